select l.personid, max(l.creationdate), arg_max(m.id, l.creationdate), not exists (select 1
from knows k
where k.p1 = 35184372088835 and k.p2 = l.personid) isnew
from message m join likes l on l.messageid = m.id
where m.creator = 35184372088835
group by 1
order by 1
