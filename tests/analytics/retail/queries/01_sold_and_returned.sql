SELECT i.item_name, count(*) AS lines, sum(s.quantity) AS sold, sum(r.refund) AS refunds
FROM shop_sales s, shop_returns r, web_sales w, days d1, days d2, items i
WHERE d1.year = 2024 AND d1.day_key = s.day_key AND i.item_key = s.item_key
    AND s.customer_key = r.customer_key AND s.item_key = r.item_key AND s.receipt = r.receipt
    AND r.customer_key = w.customer_key AND r.item_key = w.item_key
    AND w.day_key = d2.day_key AND d2.month IN (12, 1)
GROUP BY i.item_name
ORDER BY i.item_name
