SELECT s.name, d.weekday, o.hour, o.free
FROM bikes.share.stations s
JOIN bikes.share.occupancy o ON o.station_id = s.id
JOIN bikes.share.days d ON d.day_key = o.day_key
WHERE s.id IN (1, 2) AND o.day_key IN (20260101, 20260102, 20260104)
ORDER BY s.name, d.day, o.hour
