SELECT c.customer_key FROM customers c
WHERE c.customer_key IN (SELECT customer_key FROM shop_sales)
EXCEPT
SELECT r.customer_key FROM shop_returns r JOIN days d ON d.day_key = r.day_key
ORDER BY customer_key
