select p.id, m.id, coalesce(m.content, '?')
from knows k join person p on p.id = k.p2 join message m on m.creator = p.id
where k.p1 = 35184372088835 and m.creationdate < timestamptz '2012-10-01'
order by m.creationdate desc, m.id limit 20
