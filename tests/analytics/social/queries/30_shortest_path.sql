with recursive p(id, d) as (select 35184372088835::bigint, 0
union
select k.p2, d + 1
from p join knows k on k.p1 = p.id
where d < 4)
select coalesce(min(d), -1)
from p
where id = 35184372088841
