with recursive d(id, dist) as (select k.p2, 1
from knows k
where k.p1 in (select personid
from workat
where orgid = 2)
union
select k.p2, dist + 1
from d join knows k on k.p1 = d.id
where dist < 2)
select min(dist), id
from d
group by id
order by all
