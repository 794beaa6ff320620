with d as (select m.creator, m.id, (select count(*)
from likes l
where l.messageid = m.id) lk, (select count(*)
from message r
where r.replyof = m.id) rp
from tag t join messagetag mt on mt.tagid = t.id join message m on m.id = mt.messageid
where t.name = 'Bach')
select creator, sum(lk), sum(rp), count(*), count(*) + 2 * sum(rp) + 10 * sum(lk) score
from d
group by 1
order by score desc, 1
