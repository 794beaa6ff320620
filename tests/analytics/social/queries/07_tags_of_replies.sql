select rt.name, count(distinct c.id)
from tag t join messagetag mt on mt.tagid = t.id join message c on c.replyof = mt.messageid join messagetag ct on
ct.messageid = c.id join tag rt on rt.id = ct.tagid
where t.name = 'Jazz' and not exists (select 1
from messagetag x
where x.messageid = c.id and x.tagid = t.id)
group by 1
order by 2 desc, 1
