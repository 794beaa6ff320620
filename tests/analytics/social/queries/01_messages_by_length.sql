select extract(year
from creationdate) y, replyof is not null as iscomment, case when length < 40 then 0 when length < 80 then 1 when
length < 160 then 2 else 3 end cat, count(*), avg(length), sum(length), count(*) / (select count(*)
from message)::double pct
from message
where creationdate < timestamptz '2012-06-01 00:00:00+00' and content is not null
group by all
order by 1 desc, 2, 3
