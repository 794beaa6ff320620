WITH shared AS (
    SELECT i.item_key FROM items i,
        (SELECT brand, category FROM items, shop_sales WHERE shop_sales.item_key = items.item_key
         INTERSECT SELECT brand, category FROM items, web_sales, days
         WHERE web_sales.item_key = items.item_key AND web_sales.day_key = days.day_key AND days.year = 2025) x
    WHERE i.brand = x.brand AND i.category = x.category
)
SELECT channel, item_key, sum(amount) AS amount, grouping(channel) + grouping(item_key) AS level
FROM (
    SELECT 'shop' AS channel, item_key, amount FROM shop_sales WHERE item_key IN (SELECT item_key FROM shared)
    UNION ALL
    SELECT 'web', w.item_key, amount FROM web_sales w, days d
    WHERE w.day_key = d.day_key AND d.month = 12 AND w.item_key IN (SELECT item_key FROM shared)
)
GROUP BY ROLLUP (channel, item_key)
ORDER BY channel NULLS FIRST, item_key NULLS FIRST
