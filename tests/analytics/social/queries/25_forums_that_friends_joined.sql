with friends as (select p2 id
from knows
where p1 = 35184372088835
union
select b.p2
from knows a join knows b on b.p1 = a.p2
where a.p1 = 35184372088835 and b.p2 <> 35184372088835)
select f.title, (select count(*)
from message m
where m.forumid = f.id and m.creator in (select id
from friends)) n
from forum f
where f.id in (select forumid
from forumperson fp join friends on friends.id = fp.personid
where fp.joindate > timestamptz '2011-05-01')
order by 2 desc, 1
