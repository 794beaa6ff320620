with recursive sub(id) as (select id
from tagclass
where name = 'Person'
union all
select tc.id
from tagclass tc join sub on tc.subclassof = sub.id)
select p.id, list(distinct t.name
order by t.name), count(*)
from knows k join person p on p.id = k.p2 join message c on c.creator = p.id and c.replyof is not null join message q
on q.id = c.replyof join messagetag mt on mt.messageid = q.id join tag t on t.id = mt.tagid
where k.p1 = 35184372088835 and t.typeclass in (select id
from sub)
group by 1
order by 3 desc, 1
