SELECT d.month, d.day, sum(count(*)) OVER (PARTITION BY d.month ORDER BY d.day) AS trips
FROM bikes.share.trips t JOIN bikes.share.days d ON d.day_key = t.day_key
GROUP BY d.month, d.day
QUALIFY row_number() OVER (PARTITION BY d.month ORDER BY d.day DESC) <= 3
ORDER BY d.day
