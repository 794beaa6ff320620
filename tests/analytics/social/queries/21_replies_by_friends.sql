select c.id, c.content, a.id, exists (select 1
from knows k
where k.p1 = m.creator and k.p2 = c.creator) knows
from message m join message c on c.replyof = m.id join person a on a.id = c.creator
where m.id = 70368744177681
order by c.creationdate desc
