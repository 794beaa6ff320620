SELECT b.id, m.maker, f.started_at, f.minutes
FROM (SELECT DISTINCT bike_id FROM bikes.share.trips) x
JOIN bikes.share.bikes b ON b.id = x.bike_id
LEFT JOIN bikes.share.models m ON m.code = b.model_code,
LATERAL (SELECT started_at, minutes FROM bikes.share.trips t WHERE t.bike_id = b.id ORDER BY started_at LIMIT 1) f
ORDER BY b.id
