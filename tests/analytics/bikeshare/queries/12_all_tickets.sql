SELECT kind, count(*) AS n FROM bikes.share.tickets GROUP BY kind ORDER BY kind
