with recursive f(id, d) as (select 35184372088835, 0
union
select k.p2, f.d + 1
from f join knows k on k.p1 = f.id
where f.d < 3)
select p.id, min(f.d) d, count(distinct m.id)
from f join person p on p.id = f.id join message m on m.creator = p.id
group by 1
having min(f.d) between 2 and 3
order by 1
