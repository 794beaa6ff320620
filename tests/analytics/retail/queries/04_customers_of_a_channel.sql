SELECT t.state, count(*) AS customers, avg(c.born) AS born
FROM customers c, towns t, stores
WHERE c.town_key = t.town_key AND t.town_key = stores.town_key
    AND (EXISTS (SELECT * FROM shop_sales s, days d
                 WHERE s.customer_key = c.customer_key AND s.day_key = d.day_key AND d.year = 2025)
        OR EXISTS (SELECT * FROM web_sales w, days d
                   WHERE w.customer_key = c.customer_key AND w.day_key = d.day_key AND d.month = 12))
GROUP BY t.state
ORDER BY t.state NULLS FIRST
