with recursive bfs(id, d) using key (id) as (select 35184372088835::bigint, 0
union
select k.p2, b.d + 1
from bfs b join knows k on k.p1 = b.id
where k.p2 not in (select id
from recurring.bfs) and b.d < 3)
select id, d
from bfs
order by id
