SELECT r.id FROM bikes.share.riders r
WHERE NOT EXISTS (SELECT 1 FROM bikes.share.trips t WHERE t.rider_id = r.id AND t.minutes > 60)
ORDER BY r.id
