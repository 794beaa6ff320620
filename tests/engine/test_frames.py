"""Data frames as tables: what `Connection.register` is given binds parameters as a local table does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas
import polars
import pyarrow
import pytest

from provider.errors import BindError, InterfaceError

MADE = [
    lambda rows: pandas.DataFrame(rows),
    lambda rows: polars.DataFrame(rows),
    lambda rows: polars.LazyFrame(rows),
    lambda rows: pyarrow.table(rows),
    lambda rows: pyarrow.table(rows).to_reader(),
]


@pytest.fixture
def conn(over: Any) -> Any:
    return over()


@pytest.mark.parametrize("make", MADE, ids=["pandas", "polars", "lazy", "arrow", "stream"])
def test_a_frames_values_are_keys(conn: Any, world: Any, make: Callable[[Any], Any]) -> None:
    threads = [world.ids["thread_a"], None, world.ids["thread_b"], world.ids["thread_a"]]
    conn.register("chosen", make({"thread_id": threads, "n": [1, 2, 3, 4]}))
    sql = "SELECT n, t.metadata->>'alias' FROM chosen c JOIN openai.assistants.threads t ON t.id = thread_id ORDER BY n"
    for _ in range(2):
        assert conn.execute(sql).fetchall() == [(1, "a"), (3, "b"), (4, "a")]
        assert sorted(world.requests()) == ["GET /threads/thread_a", "GET /threads/thread_b"]


def test_a_frame_is_read_as_it_is_when_the_statement_runs(conn: Any) -> None:
    conn.register("n", pyarrow.table({"x": [1, 2]}))
    assert conn.execute("SELECT sum(x) FROM n").fetchall() == [(3,)]
    conn.register("n", pyarrow.table({"x": [5]}))
    assert conn.execute("SELECT sum(x) FROM n").fetchall() == [(5,)]
    conn.unregister("n")
    conn.unregister("n")
    with pytest.raises(BindError):
        conn.execute("SELECT sum(x) FROM n")


@pytest.mark.parametrize("first", ["SELECT i FROM range(5000) r(i)", "SELECT ? + i FROM range(5000) r(i)"])
def test_an_open_cursor_keeps_its_rows(conn: Any, first: str) -> None:
    cur = conn.execute(first, [0] if "?" in first else None)
    cur.fetchone()
    conn.register("n", pyarrow.table({"x": [1]}))
    assert len(cur.fetchall()) == 4999
    cur = conn.execute(first, [0] if "?" in first else None)
    cur.fetchone()
    conn.unregister("n")
    assert len(cur.fetchall()) == 4999


def test_what_is_no_frame_is_refused_by_name(conn: Any) -> None:
    with pytest.raises(InterfaceError, match=r'"n" cannot be a table of builtins\.list'):
        conn.register("n", [1, 2])
