SELECT i.item_name, d.month,
    sum(CASE WHEN d.day < DATE '2024-12-20' THEN on_hand ELSE 0 END) AS before,
    sum(CASE WHEN d.day >= DATE '2024-12-20' THEN on_hand ELSE 0 END) AS after
FROM stock, items i, days d, (SELECT DISTINCT item_key FROM shop_sales) s
WHERE stock.item_key = i.item_key AND stock.day_key = d.day_key AND i.item_key = s.item_key
    AND d.day BETWEEN DATE '2024-12-10' AND DATE '2024-12-10' + INTERVAL 30 DAY AND i.price BETWEEN 1 AND 8
GROUP BY ALL
ORDER BY ALL
