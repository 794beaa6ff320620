with recursive up as (select id, replyof, forumid
from message
where id = 70368744177854
union all
select m.id, m.replyof, m.forumid
from message m, up
where m.id = up.replyof)
select f.title, p.id
from up join forum f on f.id = up.forumid left join person p on p.id = f.moderator
