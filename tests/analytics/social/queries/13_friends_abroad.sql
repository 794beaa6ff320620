select a.id, b.id
from person a join knows k on k.p1 = a.id join person b on b.id = k.p2 join place pa on pa.id = a.placeid join place
pb on pb.id = b.placeid
where pa.partof = 2 and pb.partof = 3
order by all
