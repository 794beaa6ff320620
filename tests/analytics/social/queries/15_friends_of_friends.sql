select b.p2, count(*) mutual
from knows a join knows b on b.p1 = a.p2
where a.p1 = 35184372088837 and b.p2 <> 35184372088837 and not exists (select 1
from knows c
where c.p1 = 35184372088837 and c.p2 = b.p2) and exists (select 1
from interest i
where i.personid = b.p2)
group by 1
order by 2 desc, 1
