SELECT * FROM (
    PIVOT (
        SELECT d.month, k.kind FROM (SELECT DISTINCT bike_id FROM bikes.share.trips) b
        JOIN bikes.share.tickets k ON k.bike_id = b.bike_id JOIN bikes.share.days d ON d.day_key = k.opened_day
    )
    ON kind IN ('brake', 'tyre') USING count(*) GROUP BY month
)
ORDER BY month
