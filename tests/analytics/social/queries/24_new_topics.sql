select t.name, count(*)
from knows k join message m on m.creator = k.p2 join messagetag mt on mt.messageid = m.id join tag t on t.id =
mt.tagid
where k.p1 = 35184372088835 and m.creationdate >= timestamptz '2012-01-01' and t.id not in (select mt2.tagid
from knows k2 join message m2 on m2.creator = k2.p2 join messagetag mt2 on mt2.messageid = m2.id
where k2.p1 = 35184372088835 and m2.creationdate < timestamptz '2011-03-01')
group by 1
order by 2 desc, 1
