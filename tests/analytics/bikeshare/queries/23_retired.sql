SELECT b.id, d.day AS retired
FROM bikes.share.bikes b LEFT JOIN bikes.share.days d ON d.day_key = b.retired_day
WHERE b.id IN (SELECT bike_id FROM bikes.share.trips WHERE minutes > 30) AND (d.day IS NULL OR d.quarter = 1)
ORDER BY b.id
