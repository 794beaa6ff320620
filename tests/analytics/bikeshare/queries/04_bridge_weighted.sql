-- Fees by campaign, weighted by the bridge's share; a campaign that nobody joined is there with 0.
SELECT c.title, count(DISTINCT m.rider_id) AS riders, coalesce(sum(t.fee * m.share), 0) AS fees
FROM bikes.share.campaigns c
LEFT JOIN bikes.share.memberships m ON m.campaign_id = c.id
LEFT JOIN bikes.share.trips t ON t.rider_id = m.rider_id AND t.day_key BETWEEN c.first_day AND coalesce(c.last_day, 99999999)
GROUP BY c.title
ORDER BY c.title
