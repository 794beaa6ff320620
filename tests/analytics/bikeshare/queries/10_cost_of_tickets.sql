SELECT m.maker, k.kind, count(*) AS tickets, sum(k.cost) AS cost
FROM bikes.share.trips t
JOIN bikes.share.bikes b ON b.id = t.bike_id
JOIN bikes.share.models m ON m.code = b.model_code
JOIN bikes.share.tickets k ON k.bike_id = b.id
WHERE t.started_at >= TIMESTAMPTZ '2026-02-20T00:00:00Z'
GROUP BY CUBE (m.maker, k.kind)
ORDER BY ALL
