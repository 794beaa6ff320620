WITH bought AS (
    SELECT s.customer_key, c.town_key, sum(s.amount) AS amount
    FROM shop_sales s JOIN customers c ON c.customer_key = s.customer_key JOIN days d ON d.day_key = s.day_key
    WHERE d.year = 2024
    GROUP BY s.customer_key, c.town_key
)
SELECT c.customer_name, t.town, b.amount
FROM bought b
JOIN customers c ON c.customer_key = b.customer_key
LEFT JOIN towns t ON t.town_key = c.town_key
WHERE b.amount > (SELECT 1.1 * avg(amount) FROM bought x WHERE x.town_key = b.town_key)
ORDER BY c.customer_name
