with topf as (select forumid, count(*) n
from forumperson
group by 1
order by 2 desc, 1 limit 4)
select p.id, count(m.id)
from person p left join message m on m.creator = p.id and m.forumid in (select forumid
from topf)
where p.id in (select personid
from forumperson
where forumid in (select forumid
from topf))
group by 1
order by 2 desc, 1
