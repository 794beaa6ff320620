-- Two roles of one dimension; an open ticket has no second day.
SELECT k.bike_id, k.number, c.day - o.day AS days
FROM bikes.share.tickets k
JOIN bikes.share.days o ON o.day_key = k.opened_day
LEFT JOIN bikes.share.days c ON c.day_key = k.closed_day
WHERE k.bike_id IN ('b01', 'b02', 'b03', 'b04', 'b05', 'b99')
ORDER BY k.bike_id, k.number
