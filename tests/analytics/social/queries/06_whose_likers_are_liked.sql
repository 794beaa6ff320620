select m1.creator, sum(coalesce(pl.n, 0))
from (select distinct m.id, m.creator
from tag t join messagetag mt on mt.tagid = t.id join message m on m.id = mt.messageid
where t.name = 'Hamlet') m1 left join likes l on l.messageid = m1.id left join (select m.creator, count(*) n
from message m join likes k on k.messageid = m.id
group by 1) pl on pl.creator = l.personid
group by 1
order by 2 desc, 1
