SELECT s.place->>'lat' AS lat, json_array_length(s.place, '$.lines') AS lines, d.name
FROM bikes.share.stations s LEFT JOIN bikes.share.districts d ON d.id = s.district_id
WHERE s.opened < DATE '2024-06-01'
ORDER BY lat
