SELECT tag, count(*) AS riders
FROM bikes.share.riders r, unnest(CAST(r.tags AS VARCHAR[])) AS u(tag)
GROUP BY tag
ORDER BY tag
