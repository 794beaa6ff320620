SELECT a.id AS one, b.id AS other, a.rider_id
FROM bikes.share.trips a JOIN bikes.share.trips b ON a.rider_id = b.rider_id AND a.day_key = b.day_key AND a.id < b.id
ORDER BY one, other
