with recursive f(id, d) as (select 35184372088835::bigint, 0
union
select k.p2, d + 1
from knows k, f
where k.p1 = f.id and d < 3), g as (select id, min(d) d
from f
group by 1)
select g.d, p.lastname, ci.name
from g join person p on p.id = g.id join place ci on ci.id = p.placeid
where p.firstname = 'Jörg'
order by all
