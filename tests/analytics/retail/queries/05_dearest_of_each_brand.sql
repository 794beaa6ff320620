SELECT brand, item_name, hour(max(paid_at)) AS hour, date_trunc('day', min(paid_at)) AS first, sum(amount) AS amount,
    rank() OVER (PARTITION BY brand ORDER BY sum(amount) DESC) AS place
FROM shop_sales s JOIN items i USING (item_key)
WHERE item_key IN (SELECT item_key FROM items GROUP BY item_key HAVING max(price) > 2)
GROUP BY brand, item_key, item_name
QUALIFY place <= 2
ORDER BY brand, place
