with recursive up(start, id, parent) as (select id, id, replyof
from message
where creator = 35184372088835
union all
select u.start, m.id, m.replyof
from up u join message m on m.id = u.parent)
select u.start, u.id, p.firstname
from up u join message m on m.id = u.id join person p on p.id = m.creator
where u.parent is null
order by 1
