select p.id, p.firstname, k.creationdate
from knows k, person p
where k.p1 = 35184372088836 and p.id = k.p2
order by 3 desc, 1
