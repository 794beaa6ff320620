select t.name, count(case when m.creationdate < timestamptz '2011-06-01' then 1 end) c1, count(case when
m.creationdate >= timestamptz '2011-06-01' then 1 end) c2
from tag t join tagclass tc on tc.id = t.typeclass left join messagetag mt on mt.tagid = t.id left join message m on
m.id = mt.messageid
where tc.name = 'Person' or tc.name = 'Thing'
group by t.name
order by abs(c1 - c2) desc, 1
