with recursive tree as (select id, name, 0 lvl
from place
where partof is null
union all
select p.id, p.name, lvl + 1
from place p join tree t on p.partof = t.id)
select lvl, count(*)
from tree
group by 1
order by 1
