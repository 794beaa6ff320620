"""A query with nothing in it to plan: it goes to DuckDB as it stands, and nobody can tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import provider
from provider.sql.scanner import stands_alone

ALONE = [
    "SELECT 1",
    "select 1.5 + 2 AS x, 'a.b(c) ?' AS \"y z\", NULL, DATE '2026-01-02'",
    "-- a.comment(with) $things\nSELECT true /* x.y */ AS yes",
    "SELECT * FROM 'numbers.csv' ORDER BY n",
    "FROM 'numbers.csv'",
]
REFUSED = [
    "SELECT",
    "SELECT 1 +",
    "SELECT nothing",
    "SELECT * FROM threads",
    "SELECT 'a' + 1",
    "SELECT * FROM 'missing.csv'",
    "SELECT 'x' REGEXP 'y'",
    "FROM apiql",
    "SELECT 9223372036854775807 + n FROM 'numbers.csv'",
]


@pytest.fixture
def conn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "numbers.csv").write_text("n\n1\n2\n")
    monkeypatch.chdir(tmp_path)
    with provider.connect() as connection:
        yield connection


def told(conn: Any, sql: str) -> object:
    """All that a caller can see of a statement."""
    cursor = conn.cursor()
    try:
        cursor.execute(sql)
        return cursor.description, cursor.fetchall(), cursor.rowcount, cursor.message, cursor.report
    except provider.Error as e:
        return type(e), str(e), e.summary, e.place, e.reason, e.remedy, e.detail


@pytest.mark.parametrize("sql", ALONE + REFUSED)
def test_it_says_what_a_planned_one_says(conn: Any, sql: str) -> None:
    first = told(conn, sql)
    conn.execute("SHOW PROVIDERS").fetchall()  # from here on everything is planned
    assert told(conn, sql) == first
    assert isinstance(first, tuple)
    assert isinstance(first[0], type) == (sql in REFUSED and sql != "SELECT 'x' REGEXP 'y'")


@pytest.mark.parametrize("sql", ALONE)
def test_what_stands_alone(sql: str) -> None:
    assert stands_alone(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM openai.assistants.threads",
        'SELECT * FROM "openai" . "assistants"."threads"',
        "SELECT date('now')",
        "SELECT max (1, 2)",
        "SELECT ?",
        "SELECT $name",
        "SELECT {{ name }}",
        "SELECT 1; SELECT 2",
        "SHOW PROVIDERS",
        "CREATE TABLE t AS SELECT 1",
        "EXPLAIN SELECT 1",
        "",
    ],
)
def test_what_has_to_be_planned(sql: str) -> None:
    assert not stands_alone(sql)


def test_its_rows_outlast_the_statements_behind_it(conn: Any) -> None:
    first = conn.execute("SELECT * FROM 'numbers.csv'")
    assert first.fetchone() == (1,)
    second = conn.execute("SELECT n + 3 AS n FROM 'numbers.csv'")
    assert second.fetchone() == (4,)
    assert conn.execute("SELECT count(*) FROM range(7)").fetchall() == [(7,)]
    assert first.fetchall() == [(2,)]
    assert second.fetchall() == [(5,)]


def test_a_table_of_the_connection_is_found(conn: Any) -> None:
    conn.execute("CREATE TABLE t AS SELECT 42 AS answer")
    assert conn.execute("SELECT answer FROM t").fetchall() == [(42,)]


def test_it_can_be_cancelled(conn: Any) -> None:
    Path("numbers.csv").write_text("n\n" + "1\n" * 50)
    endless = ", ".join(f"'numbers.csv' AS n{i}" for i in range(10))
    cursor = conn.cursor()
    timer = threading.Timer(0.2, cursor.cancel)
    timer.start()
    with pytest.raises(provider.OperationalError, match="cancelled"):
        cursor.execute(f"SELECT * FROM {endless} ORDER BY ALL")
    timer.join()
