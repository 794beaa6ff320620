SELECT m.campaign_id, m.rider_id
FROM bikes.share.campaigns c
JOIN bikes.share.memberships m ON m.campaign_id = c.id
ANTI JOIN bikes.share.riders r ON r.id = m.rider_id
ORDER BY ALL
