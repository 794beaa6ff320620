select c.creator, c.id
from message m join message c on c.replyof = m.id
where m.creator = 35184372088835
order by c.creationdate desc limit 20
