"""StackQL's functions over DuckDB: SQLite is the judge of their meaning, DuckDB of what keeps its own."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

import provider
from provider.sql.dialect import Dialect, rewritten
from provider.sql.scanner import Text


@pytest.fixture(scope="module")
def conn() -> Iterator[provider.Connection]:
    with provider.connect(environ={}) as opened:
        yield opened


@pytest.fixture(scope="module")
def stackql() -> Iterator[provider.Connection]:
    with provider.connect(environ={}) as opened:
        opened.execute("SET dialect = 'stackql'")
        yield opened


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        yield opened


def one(conn: provider.Connection, sql: str) -> Any:
    row = conn.execute(sql).fetchone()
    assert row is not None
    return row[0]


#: DuckDB has none of these: they mean the same in both dialects.
MISSING = [
    "char(65, 66)",
    "quote('it''s')",
    "quote(1.5)",
    "quote(1)",
    "quote(NULL)",
    "iif(1 = 1, 'yes', 'no')",
    "iif(NULL, 2, 3)",
    "total(1)",
    "max('b', 'c', 'a')",
    "min('b', 'a')",
    "min(3, 2, NULL)",
    "json_extract('{\"a\": 1, \"b\": \"x\"}', '$.a', '$.b', '$.c')",
    "json_extract('{\"a\": 2}', '$.a') * 2",
    "sum(json_extract('{\"a\": 2}', '$.a'))",
    'json_patch(\'{"a":1}\', \'{"a":null,"b":2}\')',
    "date('now', '-30 days')",
    "date('now')",
    "date()",
    "date(2461043.5)",
    "date(1700000000, 'auto')",
    "date('2026-01-31', '+1 month')",
    "date('2024-02-29', '+1 year', '-1 month')",
    "date('2026-01-02', 'weekday 0')",
    "date('2026-01-04', 'weekday 0')",
    "date('2026-01-02', 'start of month', '+1 month', '-1 day')",
    "datetime('2026-01-01', 'start of year', '+5 hours', '-30 minutes')",
    "datetime('2026-01-02', '-90 seconds')",
    "datetime('2026-01-02', '+1.5 days')",
    "datetime('2026-01-02', '-01:30')",
    "datetime(1700000000, 'unixepoch')",
    "datetime('1700000000', 'unixepoch', '+1 day')",
    "datetime('2026-01-02T10:00:00.5Z')",
    "datetime('2026-01-02T10:00+05:30')",
    "datetime('2026-01-02 10:00:00-05:30')",
    "datetime('10:00')",
    "datetime('no time')",
    "datetime(NULL)",
    "time('2026-01-02T10:11:12Z')",
    "time('2026-01-02', '+1 hour')",
    "unixepoch('2026-01-02')",
    "unixepoch('1969-12-31 23:59:59')",
    "julianday('2026-01-02 06:00')",
    "strftime('%s', '2026-01-02')",
    "strftime('%s', '2026-01-02', '+1 day')",
    "strftime('%J', '2026-01-02')",
    "strftime('%f', '2026-01-02 10:00:01.25')",
    "strftime('%Y-%m-%d', 1700000000, 'unixepoch')",
    "strftime('%Y-%m-%d %H:%M:%S %j %w %W %%', '2026-11-22 01:02:03')",
    "strftime('%Y')",
    "strftime('%s', '2026-01-02') - strftime('%s', '2026-01-01')",
]

#: DuckDB has all of these with another meaning.
OTHER = [
    "json_extract('{\"a\": \"x\"}', '$.a')",
    "json_extract('{\"a\": null}', '$.a')",
    "json_extract('{\"a\": true}', '$.a')",
    "json_extract('{\"a\": [1]}', '$.a')",
    "json_extract('{\"a\": 2}', '$.a') > 1",
    "json_type('{\"a\": 1.5}', '$.a')",
    "json_type('[1]')",
    "json_type('true')",
    "typeof(1)",
    "typeof('a')",
    "typeof(1.5)",
    "typeof(NULL)",
    "min(2, 3)",
    "max(2, 3)",
    "max(2, NULL)",
    "5 / 2",
    "-5 / 2",
    "5.0 / 2",
    "'ABC' LIKE 'a%'",
    "'ABC' NOT LIKE 'a%'",
    "date('2026-01-02T10:00:00Z')",
    "(SELECT group_concat(value, '') FROM json_each('[\"a\", \"b\"]'))",
    "(SELECT count(*) FROM json_each('[\"a\", \"b\"]') e WHERE e.value = 'a' AND e.type = 'text')",
]


@pytest.mark.parametrize("sql", MISSING)
def test_what_duckdb_lacks_is_sqlites_in_both_dialects(
    conn: provider.Connection, stackql: provider.Connection, sqlite: sqlite3.Connection, sql: str
) -> None:
    (wanted,) = sqlite.execute(f"SELECT {sql}").fetchone()
    assert str(one(conn, f"SELECT {sql}")).removesuffix(".0") == str(wanted).removesuffix(".0")
    assert str(one(stackql, f"SELECT {sql}")).removesuffix(".0") == str(wanted).removesuffix(".0")


@pytest.mark.parametrize("sql", OTHER)
def test_what_both_have_is_sqlites_in_the_dialect_stackql_only(
    conn: provider.Connection, stackql: provider.Connection, sqlite: sqlite3.Connection, sql: str
) -> None:
    (wanted,) = sqlite.execute(f"SELECT {sql}").fetchone()
    found = one(stackql, f"SELECT {sql}")
    # What json_extract takes out is text here, since a column has one type.
    assert str(found) == str(wanted) or found == wanted
    with duckdb.connect() as duck:
        try:
            own = duck.execute(f"SELECT {sql}").fetchone()
        except duckdb.Error:
            return
        assert conn.execute(f"SELECT {sql}").fetchone() == own


#: StackQL's own functions, and those of its extensions: SQLite on its own is no judge of them.
EXTENSIONS = [
    ("'abc' REGEXP 'b'", True),
    ("'abc' REGEXP '^b'", False),
    ("'abc' NOT REGEXP '^' || 'a'", False),
    ("NULL REGEXP 'b'", None),
    ("regexp_like('abc', 'B', 'i')", True),
    ("regexp_substr('a12b', '[0-9]+')", "12"),
    ("regexp_substr('ab', '[0-9]+')", None),
    ('json_equal(\'{"a": 1, "b": [1, 2]}\', \'{"b":[1,2],"a":1}\')', 1),
    ("json_equal('[1, 2]', '[2, 1]')", 0),
    ("json_equal('{\"a\": {}}', '{\"a\": []}')", 0),
    ("json_equal(NULL, '1')", None),
    ("string(5)", "5"),
    # SQLite asks what the column is that a text of digits is compared with.
    ("x = strftime('%s', '2026-01-02') FROM (SELECT 1767312000 AS x)", True),
    ("strftime('%s', '2026-01-02') = x FROM (SELECT '1767312000' AS x)", True),
    ("CASE WHEN json_equal('1', '1') THEN 'same' END", "same"),
]
POLICY = '{"Version": "1", "Statement": [{"Action": ["a", "b"], "Resource": "r"}, {"Action": "c", "Resource": "s"}]}'
POLICIES = [
    ('{"Statement": [{"Resource": ["s"], "Action": "c"}, {"Resource": "r", "Action": ["b", "a"]}], "Version": "1"}', 1),
    ('{"Version": "1", "Statement": [{"Action": ["a"], "Resource": "r"}, {"Action": "c", "Resource": "s"}]}', 0),
    # The same words with another resource beside each action are another policy.
    ('{"Version": "1", "Statement": [{"Action": ["a", "b"], "Resource": "s"}, {"Action": "c", "Resource": "r"}]}', 0),
]


@pytest.mark.parametrize(("sql", "wanted"), EXTENSIONS)
def test_the_extensions_of_stackql(conn: provider.Connection, sql: str, wanted: object) -> None:
    assert one(conn, f"SELECT {sql}") == wanted


@pytest.mark.parametrize(("other", "wanted"), POLICIES)
def test_policies_are_compared_as_sets_of_statements(conn: provider.Connection, other: str, wanted: int) -> None:
    assert one(conn, f"SELECT aws_policy_equal('{POLICY}', '{other}')") == wanted


def test_tags_are_compared_as_a_set(conn: provider.Connection) -> None:
    tags = """'[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]'"""
    assert one(conn, f"SELECT aws_policy_equal({tags}, {tags.replace('1', '2')})") == 0
    turned = """'[{"Value": "2", "Key": "b"}, {"Key": "a", "Value": "1"}]'"""
    assert one(conn, f"SELECT aws_policy_equal({tags}, {turned})") == 1


@pytest.mark.parametrize(
    ("sql", "duckdbs", "stackqls"),
    [
        ("split_part('a/b-c', '/-', 2)", "", "b"),
        ("split_part('a/b/c', '/', -1)", "c", "c"),
        ("split_part('a/b', '/', 9)", "", ""),
        ("regexp_replace('aaa', 'a', 'b')", "baa", "bbb"),
        ("format('%s!', 'a')", "%s!", "a!"),
    ],
)
def test_what_stackql_means_otherwise(
    conn: provider.Connection, stackql: provider.Connection, sql: str, duckdbs: str, stackqls: str
) -> None:
    assert one(conn, f"SELECT {sql}") == duckdbs
    assert one(stackql, f"SELECT {sql}") == stackqls


#: What plain DuckDB accepts is DuckDB's: its meaning, and its very text.
DUCKDBS = [
    "SELECT json_extract('{\"a\": \"x\"}', '$.a')",
    "SELECT json_extract('{\"a\": \"x\"}', '$.a') = '\"x\"'",
    "SELECT json_extract('{\"a\": 5}', '$.a') = '5'",
    "SELECT json_extract('{\"a\": \"x\"}', '$.a') LIKE 'x'",
    "SELECT json_extract('{\"a\": [1]}', ['$.a', '$.b'])",
    "SELECT max(x, 2) FROM (VALUES (1), (2), (3)) AS t(x)",
    "SELECT date('2026-01-02')",
    "SELECT strftime(DATE '2026-01-02', '%d.%m.%Y')",
    "SELECT CAST('x' AS char(3)), 'y'::varchar(2)",
    "SELECT e.value FROM json_each('[\"a\", 1]') AS e WHERE e.value = '\"a\"'",
    "SELECT 'iif(1, 2)' AS \"total(x)\" -- quote(1)",
    "SELECT total FROM (SELECT 1 AS total) AS char(total)",
    "WITH total(n) AS (SELECT 1) SELECT n FROM total",
    "SELECT [x FOR x IN ['a']], 5 / 2, 'A' LIKE 'a'",
]


@pytest.mark.parametrize("sql", DUCKDBS)
def test_what_duckdb_accepts_is_left_to_it(conn: provider.Connection, sql: str) -> None:
    assert rewritten(Text(sql, sql), Dialect()).sql == sql
    with duckdb.connect() as duck:
        assert conn.execute(sql).fetchall() == duck.execute(sql).fetchall()


@pytest.mark.parametrize(
    "value", ["DATE '2026-01-02'", "TIMESTAMP '2026-01-02 03:04:05.678'", "TIMESTAMPTZ '2026-01-02 03:04:05+01'"]
)
def test_strftime_of_duckdbs_own_times_is_duckdbs(conn: provider.Connection, value: str) -> None:
    sql = f"SELECT strftime('%Y-%m-%d %H:%M:%S %f', {value})"
    with duckdb.connect() as duck:
        duck.execute("SET TimeZone = 'Asia/Tokyo'")
        conn.execute("SET TimeZone = 'Asia/Tokyo'")
        assert conn.execute(sql).fetchall() == duck.execute(sql).fetchall()
        conn.execute("RESET TimeZone")


def test_an_unknown_modifier_is_an_error(conn: provider.Connection) -> None:
    with pytest.raises(provider.Error, match='"-30 dayz" is no modifier of a time'):
        conn.execute("SELECT date('now', '-30 dayz')").fetchall()


def test_now_is_the_same_throughout_a_statement(conn: provider.Connection) -> None:
    sql = "SELECT count(DISTINCT strftime('%f', 'now')), count(*) FROM range(100000)"
    assert conn.execute(sql).fetchall() == [(1, 100000)]
    before = one(conn, "SELECT julianday('now')")
    assert one(conn, "SELECT julianday('now')") > before


def test_places_in_a_rewritten_statement_are_the_users_own(conn: provider.Connection) -> None:
    with pytest.raises(provider.ProgrammingError) as refused:
        conn.execute("SELECT iif(true, 1, 2), 'a' REGEXP 'b',\n  nothing FROM range(1)")
    assert refused.value.place is not None
    assert (refused.value.place.line, refused.value.place.column) == (2, 3)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT iif(true, 1, 2), 1 + 1", ["iif(true, 1, 2)", "(1 + 1)"]),
        ("SELECT DISTINCT date('now',  '-1 day'), iif(true, 1, 2) x, iif(true, 1, 2) AS \"y\"",
         ["date('now', '-1 day')", "x", "y"]),
        ("SELECT * FROM (SELECT 'a' REGEXP 'b', CASE WHEN true THEN char(65) END z) t",
         ["'a' REGEXP 'b'", "z"]),
        ("SELECT iif(true, 1, 2) date, char(65) status FROM range(1)", ["date", "status"]),
        ("SELECT (SELECT iif(true, 1, 2)) UNION SELECT iif(true, 1, 2)", ["(SELECT iif(true, 1, 2))"]),
    ],
)  # fmt: skip
def test_columns_are_called_what_the_user_wrote(conn: provider.Connection, sql: str, names: list[str]) -> None:
    assert [d[0] for d in conn.execute(sql).description or ()] == names


def test_the_users_own_functions_keep_their_names(tmp_path: Path) -> None:
    file = str(tmp_path / "kept.duckdb")
    with provider.connect(file, environ={}) as conn:
        assert one(conn, "SELECT quote('a')") == "'a'"
        conn.execute("CREATE MACRO quote(x) AS '<' || x || '>'; CREATE TABLE q AS SELECT quote('a') AS c")
        assert one(conn, "FROM q") == "<a>"
    with provider.connect(file, environ={}) as conn:
        assert one(conn, "SELECT quote('a')") == "<a>"


def test_views_and_macros_in_a_file_find_the_functions_again(tmp_path: Path) -> None:
    file = str(tmp_path / "kept.duckdb")
    with provider.connect(file, environ={}) as conn:
        conn.execute("CREATE VIEW v AS SELECT iif('abc' REGEXP 'b', datetime(0, 'unixepoch'), 'no') AS c")
        conn.execute("CREATE MACRO half(x) AS iif(x > 1, x / 2, 0)")
        conn.execute("SET dialect = 'stackql'")
        conn.execute("CREATE VIEW w AS SELECT json_extract('{\"a\": \"x\"}', '$.a') AS c")
    with provider.connect(file, environ={}) as conn:
        # A view means what it meant when it was made.
        assert conn.execute("SELECT v.c, w.c, half(4) FROM v, w").fetchall() == [("1970-01-01 00:00:00", "x", 2.0)]
        assert conn.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []
    with duckdb.connect(file) as duck:
        named = "SELECT function_name FROM duckdb_functions() WHERE function_name LIKE 'stackql%'"
        assert duck.execute(named).fetchall() == []


def test_a_view_over_resources_keeps_its_dialect(over: Any) -> None:
    conn = over()
    conn.execute("SET dialect = 'stackql'")
    conn.execute("CREATE VIEW v AS SELECT json_extract(metadata, '$.team') AS team FROM openai.assistants.assistants")
    conn.execute("RESET dialect")
    assert conn.execute("SELECT team FROM v WHERE team IS NOT NULL").fetchall() == [("support",)]


def test_a_rollback_takes_no_function_away(conn: provider.Connection) -> None:
    with provider.connect(environ={}) as fresh:
        fresh.execute("BEGIN; SELECT iif(true, 1, 2); ROLLBACK")
        assert one(fresh, "SELECT iif(true, 1, 2)") == 1
        fresh.execute("BEGIN; SELECT char(65)")
        fresh.rollback()
        assert one(fresh, "SELECT char(65)") == "A"


def test_a_statement_without_such_names_creates_nothing() -> None:
    with provider.connect(environ={}) as conn:
        conn.execute("SELECT max(x), 'iif' FROM range(3) AS t(x)").fetchall()
        named = "SELECT count(*) FROM duckdb_functions() WHERE function_name LIKE 'stackql%'"
        assert one(conn, named) == 0


#: Statements as StackQL's users write them. All run as they are, and so far in which dialects.
SCRIPTS: list[tuple[str, set[str]]] = [
    ("SELECT id FROM {a} WHERE json_extract(metadata, '$.team') = 'support'", {"duckdb", "stackql"}),
    ("SELECT id FROM {a} WHERE 'support' = json_extract(metadata, '$.team')", {"duckdb", "stackql"}),
    ("SELECT id FROM {a} WHERE json_extract(metadata, '$.team') IN ('support', 'sales')", {"duckdb", "stackql"}),
    ("SELECT id FROM {a} WHERE json_extract(metadata, '$.team') NOT IN ('sales')", {"duckdb", "stackql"}),
    ("SELECT id FROM {a} WHERE json_extract(metadata, '$.team') LIKE 'Supp%'", {"stackql"}),
    ("SELECT id FROM {a} WHERE metadata ->> '$.team' = 'support'", {"duckdb", "stackql"}),
    ("SELECT a.id FROM {a} a, json_each(a.metadata) WHERE json_each.value = 'support'", {"duckdb", "stackql"}),
    ("SELECT a.id FROM {a} a, json_each(a.metadata) AS ac WHERE ac.value = 'support'", {"duckdb", "stackql"}),
    (
        "SELECT a.id FROM {a} a JOIN (SELECT 'support' AS team) t ON json_extract(a.metadata, '$.team') = t.team",
        {"stackql"},
    ),
    ("SELECT id FROM {a} WHERE name REGEXP '^Help' AND object = lower('ASSISTANT')", {"duckdb", "stackql"}),
    ("SELECT id FROM {a} WHERE regexp_like(name, '^Help')", {"duckdb", "stackql"}),
    ("SELECT id FROM {a} WHERE iif(name = 'Helper', 1, 0) = 1", {"duckdb", "stackql"}),
    ("SELECT id FROM {a} WHERE split_part(name, 'lp', 1) = 'He'", {"duckdb", "stackql"}),
    ("SELECT id FROM {a} WHERE name = 'Helper' AND date(created_at, 'unixepoch') < date('now')", {"duckdb", "stackql"}),
    (
        "SELECT id FROM {a} WHERE name = 'Helper' AND created_at < strftime('%s', date('now', '-30 days'))",
        {"duckdb", "stackql"},
    ),
    ("SELECT id FROM {a} WHERE name = 'Helper' AND datetime(created_at, 'unixepoch') > '2020'", {"duckdb", "stackql"}),
    ("SELECT max(id, '') FROM {a} WHERE name = 'Helper'", {"duckdb", "stackql"}),
    ('SELECT id FROM {a} WHERE json_equal(metadata, \'{{"team":"support"}}\') = 1', {"duckdb", "stackql"}),
    (
        "SELECT max(id) FROM {a} WHERE name = 'Helper' HAVING total(json_extract(metadata, '$.n')) = 0",
        {"duckdb", "stackql"},
    ),
    ("SELECT id FROM {a} WHERE name LIKE 'hELPER'", {"stackql"}),
]


@pytest.mark.parametrize(("sql", "dialects"), SCRIPTS)
def test_scripts_run_as_they_are(over: Any, world: Any, sql: str, dialects: set[str]) -> None:
    found = set()
    for dialect in ("duckdb", "stackql"):
        conn = over()
        conn.execute(f"SET dialect = '{dialect}'")
        try:
            rows = conn.execute(sql.format(a="openai.assistants.assistants")).fetchall()
        except provider.Error:
            continue
        if rows == [(world.ids["asst_helper"],)]:
            found.add(dialect)
    assert found == dialects


def test_a_function_of_now_binds_a_parameter(over: Any, world: Any) -> None:
    conn = over()
    sql = "SELECT id FROM openai.assistants.threads WHERE thread_id = 'thread_' || strftime('%s', 'now', '+1 day')"
    assert conn.execute(sql).fetchall() == []
    (request,) = world.requests()
    assert re.fullmatch(r"GET /threads/thread_\d{10}", request)
