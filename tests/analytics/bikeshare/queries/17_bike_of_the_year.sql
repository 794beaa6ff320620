SELECT bike_id, sum(minutes) AS minutes FROM bikes.share.trips
GROUP BY bike_id
HAVING sum(minutes) >= ALL (SELECT sum(minutes) FROM bikes.share.trips GROUP BY bike_id)
