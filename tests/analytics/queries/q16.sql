SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS supplier_cnt
FROM tpch.sales.partsupp, tpch.sales.part
WHERE p_partkey = ps_partkey
    AND p_brand <> 'Brand#22'
    AND p_type NOT LIKE 'MEDIUM POLISHED%'
    AND p_size IN (1, 3, 4, 5, 9, 11, 14, 15)
    AND ps_suppkey NOT IN (SELECT s_suppkey FROM tpch.sales.supplier WHERE s_comment LIKE '%Customer%Complaints%')
GROUP BY p_brand, p_type, p_size
ORDER BY supplier_cnt DESC, p_brand, p_type, p_size
