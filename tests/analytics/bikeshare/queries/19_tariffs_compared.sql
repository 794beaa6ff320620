SELECT f.label, count(*) AS riders, round(sum(m.minutes * f.per_minute) + any_value(f.monthly) * count(*), 2) AS costs
FROM bikes.share.riders r
JOIN (SELECT rider_id, sum(minutes) AS minutes FROM bikes.share.trips GROUP BY rider_id) m ON m.rider_id = r.id
JOIN bikes.share.tariffs f ON f.code = r.tariff_code
GROUP BY f.label
ORDER BY f.label
