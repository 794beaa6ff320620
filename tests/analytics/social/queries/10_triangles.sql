select count(*)
from knows a join knows b on b.p1 = a.p2 join knows c on c.p1 = b.p2 and c.p2 = a.p1
where a.p1 < a.p2 and b.p1 < b.p2
