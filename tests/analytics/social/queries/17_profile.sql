select p.firstname, p.lastname, p.birthday, c.name
from person p, place c
where p.id = 35184372088836 and c.id = p.placeid
