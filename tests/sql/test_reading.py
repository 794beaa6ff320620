"""What stands behind PIVOT and DELETE is read by parts, with sqlglot's compiled parser as with the other."""

from __future__ import annotations

import pytest
from sqlglot import exp
from sqlglot.errors import SqlglotError

from provider.sql.reading import read


@pytest.mark.parametrize(
    ("sql", "clauses"),
    [
        ("PIVOT t ON a USING sum(b) GROUP BY c\nORDER BY c LIMIT 2 OFFSET 1", ["order limit offset"]),
        ("SELECT * FROM (PIVOT t ON a LIMIT 1) ORDER BY d", ["limit"]),
        ("WITH p AS (PIVOT t ON a ORDER BY a), q AS (FROM x) FROM p LIMIT 3", ["order"]),
        ("FROM (PIVOT (FROM (PIVOT t ON a ORDER BY z)) ON b LIMIT 5)", ["limit", "order"]),
        ("UNPIVOT t ON a, b INTO NAME n VALUE v ORDER BY n", ["order"]),
        ("PIVOT t ON a ORDER BY (SELECT max(x) FROM (PIVOT u ON q LIMIT 1))", ["order", "limit"]),
    ],
)
def test_each_pivot_has_its_clauses_and_names_stand_where_they_stood(sql: str, clauses: list[str]) -> None:
    tree = read(sql)
    pivots = tree.find_all(exp.Pivot, bfs=False)
    found = [" ".join(k for k in ("order", "limit", "offset") if p.args.get(k)) for p in pivots]
    assert found == clauses
    placed = [i for i in tree.find_all(exp.Identifier) if "start" in i.meta]
    assert placed
    assert all(sql[i.meta["start"] : i.meta["end"] + 1] == i.name for i in placed)


def test_delete_returns_behind_its_limit() -> None:
    tree = read("DELETE FROM t WHERE a = 1 ORDER BY b LIMIT 1 RETURNING id")
    assert isinstance(tree.args["returning"], exp.Returning)
    assert tree.args["limit"]


def test_what_is_no_clause_stays_an_error() -> None:
    with pytest.raises(SqlglotError):
        read("PIVOT t ON a ORDER BY b LIMIT 1 1")
