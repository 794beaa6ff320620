SELECT CASE WHEN r.home_station IS NOT DISTINCT FROM t.from_station THEN 'home' WHEN h.id IS NULL THEN 'nowhere' ELSE 'away' END
    AS place, count(*) AS trips
FROM bikes.share.trips t
JOIN bikes.share.riders r ON r.id = t.rider_id
LEFT JOIN bikes.share.stations h ON h.id = r.home_station
GROUP BY 1
ORDER BY 1
