SELECT t.id, d.holiday
FROM bikes.share.trips t JOIN bikes.share.days d ON d.day_key = t.day_key
WHERE d.holiday IS NOT NULL
ORDER BY t.id
