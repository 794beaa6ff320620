SELECT r.id, r.name
FROM bikes.share.riders r
WHERE (SELECT count(*) FROM bikes.share.memberships m WHERE m.rider_id = r.id) > 1
ORDER BY r.id
