with friends as (select distinct b.p2 id
from knows a join knows b on b.p1 = a.p2
where a.p1 = 35184372088835)
select t2.name, count(*)
from friends f join message m on m.creator = f.id join messagetag x on x.messageid = m.id join tag t1 on t1.id =
x.tagid and t1.name = 'Bach' join messagetag y on y.messageid = m.id join tag t2 on t2.id = y.tagid and t2.name <>
'Bach'
group by 1
order by 2 desc, 1
