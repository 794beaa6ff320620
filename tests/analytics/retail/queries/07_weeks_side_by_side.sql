SELECT coalesce(s.week, w.week) AS week, s.amount AS shop, w.amount AS web
FROM (SELECT d.week, sum(amount) AS amount FROM shop_sales s JOIN days d USING (day_key) GROUP BY d.week) s
FULL JOIN (SELECT d.week, sum(amount) AS amount FROM days d JOIN web_sales w ON w.day_key = d.day_key
           WHERE d.day >= DATE '2024-12-15' GROUP BY d.week) w ON w.week = s.week
ORDER BY week
