with recursive thread(root, creator, id) as (select id, creator, id
from message
where replyof is null
union all
select t.root, t.creator, m.id
from message m join thread t on m.replyof = t.id)
select creator, count(distinct root) threads, count(*) msgs
from thread
group by 1
order by 3 desc, 1
