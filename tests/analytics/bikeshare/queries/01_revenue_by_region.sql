-- Two levels up from the fact; stations without a district, and districts without a region, are kept.
SELECT coalesce(r.name, '(none)') AS region, count(*) AS trips, sum(t.fee) AS fees
FROM bikes.share.trips t
LEFT JOIN bikes.share.stations s ON s.id = t.from_station
LEFT JOIN bikes.share.districts d ON d.id = s.district_id
LEFT JOIN bikes.share.regions r ON r.id = d.region_id
GROUP BY ALL
ORDER BY region
