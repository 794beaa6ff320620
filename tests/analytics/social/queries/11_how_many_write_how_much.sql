select n, count(*)
from (select p.id, count(m.id) n
from person p left join message m on m.creator = p.id and m.length < 150 and m.lang in ('de', 'en')
group by 1)
group by 1
order by 1
