-- Both keys of the snapshot come from the rows of one fact.
SELECT t.id, max(o.free) AS free
FROM bikes.share.trips t JOIN bikes.share.occupancy o ON o.station_id = t.from_station AND o.day_key = t.day_key
WHERE t.minutes > 45 AND t.day_key < 20260113 AND t.from_station < 5
GROUP BY t.id
ORDER BY t.id
