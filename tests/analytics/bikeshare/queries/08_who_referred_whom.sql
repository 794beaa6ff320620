-- From one rider upwards, by key alone.
WITH RECURSIVE up(id, referred_by) AS (
    SELECT id, referred_by FROM bikes.share.riders WHERE id = 39
    UNION
    SELECT r.id, r.referred_by FROM up JOIN bikes.share.riders r ON r.id = up.referred_by
)
SELECT * FROM up ORDER BY id DESC
