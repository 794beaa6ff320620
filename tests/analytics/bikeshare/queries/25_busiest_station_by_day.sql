WITH counts AS (
    SELECT t.day_key, t.from_station, count(*) AS n, rank() OVER (PARTITION BY t.day_key ORDER BY count(*) DESC) AS place
    FROM bikes.share.trips t GROUP BY t.day_key, t.from_station
)
SELECT d.day, s.name, c.n
FROM counts c JOIN bikes.share.days d ON d.day_key = c.day_key JOIN bikes.share.stations s ON s.id = c.from_station
WHERE c.place = 1 AND d.weekday = 'Sun'
ORDER BY d.day, s.name
