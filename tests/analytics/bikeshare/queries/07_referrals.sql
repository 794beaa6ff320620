WITH RECURSIVE chain(id, root, depth) AS (
    SELECT id, id, 0 FROM bikes.share.riders WHERE referred_by IS NULL
    UNION ALL
    SELECT r.id, c.root, c.depth + 1 FROM bikes.share.riders r JOIN chain c ON r.referred_by = c.id
)
SELECT root, max(depth) AS depth, count(*) AS riders FROM chain GROUP BY root HAVING count(*) > 1 ORDER BY root
