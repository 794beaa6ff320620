select f.id, f.title, count(distinct m.id) n
from place c join place ci on ci.partof = c.id join person p on p.placeid = ci.id join forum f on f.moderator = p.id
join message m on m.forumid = f.id join messagetag mt on mt.messageid = m.id join tag t on t.id = mt.tagid join
tagclass tc on tc.id = t.typeclass
where c.name = 'Germany' and tc.name in ('Thing', 'Artist')
group by f.id, f.title
order by n desc, f.id
