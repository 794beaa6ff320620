SELECT d.weekday, count(*) AS trips, avg(t.minutes) AS minutes
FROM bikes.share.trips t JOIN bikes.share.days d USING (day_key)
GROUP BY d.weekday
HAVING count(t.minutes) > 3
ORDER BY trips DESC, d.weekday
