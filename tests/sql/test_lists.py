"""A long list of plain values behind IN is read in one go, and means what sqlglot would read in it."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from provider.sql.lists import LONG, listed_values, parameters
from provider.sql.scanner import number_placeholders
from provider.sql.statements import Query, Write, parse, parse_failure

VALUES = {
    "strings": [f"'thread_{i}'" for i in range(LONG)],
    "quotes": ["'it''s'", "''", "'), ('", "'--'", *(f"'{i}'" for i in range(LONG))],
    "numbers": [str(i) for i in range(100, 100 + LONG)],
    "parameters": ["?"] * LONG,
    "names": [f"$name_{i}" for i in range(LONG)],
    "all of them": ["'a'", "1", "$b", *["'c'", "2"] * LONG],
}
SEPARATORS = {"a line": ", ", "no blank": ",", "many lines": "\n  ,  "}


def read(sql: str) -> Query:
    (query,) = parse(sql)
    assert isinstance(query, Query)
    return query


def memberships(query: Query) -> list[exp.In]:
    assert query.tree is not None
    return list(query.tree.find_all(exp.In))


@pytest.mark.parametrize("separator", SEPARATORS.values(), ids=SEPARATORS)
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_its_values_are_those_that_sqlglot_reads(values: list[str], separator: str) -> None:
    sql = f"SELECT b FROM t WHERE a NOT IN ({separator.join(values)}) AND c = 1"
    whole = sqlglot.parse_one(number_placeholders(sql).sql, read="duckdb")
    (of_whole,) = whole.find_all(exp.In)
    query = read(sql)
    (test,) = memberships(query)
    assert len(test.expressions) == 1
    assert listed_values(test) == of_whole.expressions
    assert query.tree is not None
    assert query.tree.sql(dialect="duckdb") == whole.sql(dialect="duckdb")
    assert set(parameters(query.tree)) == {p.name for p in whole.find_all(exp.Placeholder)}
    assert listed_values(test.copy()) == of_whole.expressions


def test_names_behind_it_stand_where_they_stood() -> None:
    sql = f"SELECT b FROM t WHERE a IN ({SEPARATORS['many lines'].join(VALUES['strings'])}) AND behind = 1"
    query = read(sql)
    assert query.tree is not None
    behind = next(i for i in query.tree.find_all(exp.Identifier) if i.name == "behind")
    assert query.text.sql[behind.meta["start"] : behind.meta["end"] + 1] == "behind"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ' a IN ({})' FROM t",
        "SELECT 1 /* a IN ({}) */ FROM t",
        "SELECT $$ a IN ({}) $$ FROM t",
        'SELECT "a IN ({})" FROM t',
        "SELECT a IN ({}, 1 + 1) FROM t",
        "SELECT a IN ({}, 1.5) FROM t",
        "SELECT a IN ({}, e'a') FROM t",
        "SELECT a IN ({}, b) FROM t",
        "FROM (PIVOT (FROM t) ON a IN ({}) USING sum(b))",
    ],
)
def test_what_is_no_list_of_plain_values_is_left_to_sqlglot(text: str) -> None:
    sql = text.format(", ".join(VALUES["numbers"]))
    assert read(sql).tree == sqlglot.parse_one(sql, read="duckdb")


def test_a_string_that_looks_like_what_stands_in_its_place_is_no_list() -> None:
    values = ", ".join(VALUES["numbers"])
    double = "0".ljust(len(values) - 2)
    sql = f"SELECT a IN ('{double}') AND b IN ({values}) FROM t"
    assert read(sql).tree == sqlglot.parse_one(sql, read="duckdb")


def test_lists_are_not_mixed_up() -> None:
    first, second = (", ".join(f"'{x}_{i}'" for i in range(LONG)) for x in "ab")
    query = read(f"SELECT 1 FROM t WHERE a IN ({first}) OR b IN ({second}) OR c IN (1, 2)")
    said = {t.this.name: listed_values(t)[0].name for t in memberships(query)}
    assert said == {"a": "a_0", "b": "b_0", "c": "1"}


def test_an_error_behind_it_is_shown_where_it_stands() -> None:
    query = read(f"SELECT b FROM p.s.r WHERE a IN (\n{', '.join(VALUES['strings'])}\n) AND AND c")
    place = parse_failure(query).place
    assert place is not None
    assert place.text[place.start : place.end] == "AND"


def test_a_write_has_it_too() -> None:
    (write,) = parse(f"DELETE FROM p.s.r WHERE id IN ({', '.join(VALUES['strings'])})")
    assert isinstance(write, Write)
    (test,) = write.tree.find_all(exp.In)
    assert len(listed_values(test)) == LONG
