select p.id, count(m.id)
from person p join place ci on ci.id = p.placeid join place co on co.id = ci.partof left join message m on m.creator =
p.id
where co.name = '中国'
group by p.id
having count(m.id) < 6
order by all
