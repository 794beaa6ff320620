with recursive path(src, dst, hops, w) as (select p1, p2, 1, 1.0::double
from knows
where p1 = 35184372088832
union all
select p.src, k.p2, p.hops + 1, p.w + 1.0 / (1 + (select count(*)
from message m join message r on m.replyof = r.id
where m.creator = k.p1 and r.creator = k.p2))
from path p join knows k on k.p1 = p.dst
where p.hops < 3)
select dst, min(w)
from path
group by 1
order by 1
