"""PEP 249, section by section, on the connection that ApiQL gives. Most need no API."""

from __future__ import annotations

import datetime as dt
import decimal
import gc
import threading
import uuid
import warnings
from typing import Any

import pytest

import provider


@pytest.fixture
def conn(over: Any) -> Any:
    return over()


# -- module interface ----------------------------------------------------------------------------------


def test_globals() -> None:
    assert (provider.apilevel, provider.threadsafety, provider.paramstyle) == ("2.0", 1, "qmark")
    assert callable(provider.connect)


def test_the_level_of_thread_safety_is_documented() -> None:
    """Level 1: threads share the module, each with a connection of its own."""
    assert "One thread at a time" in (provider.Connection.__doc__ or "")
    found: list[Any] = []

    def work(n: int) -> None:
        with provider.connect(environ={}) as conn:
            found.append(conn.execute("SELECT sum(i) FROM range(?) AS r(i)", [n]).fetchone())

    threads = [threading.Thread(target=work, args=(n,)) for n in (10, 20, 30, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(45,), (190,), (435,), (780,)]


# -- exceptions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("Warning", Exception),
        ("Error", Exception),
        ("InterfaceError", "Error"),
        ("DatabaseError", "Error"),
        ("DataError", "DatabaseError"),
        ("OperationalError", "DatabaseError"),
        ("IntegrityError", "DatabaseError"),
        ("InternalError", "DatabaseError"),
        ("ProgrammingError", "DatabaseError"),
        ("NotSupportedError", "DatabaseError"),
    ],
)
def test_exceptions_have_the_order_of_the_specification(name: str, base: Any) -> None:
    parent = getattr(provider, base) if isinstance(base, str) else base
    assert getattr(provider, name).__mro__[1] is parent


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELEC 1", provider.ProgrammingError),
        ("SELECT nothing", provider.ProgrammingError),
        ("SELECT * FROM nowhere", provider.ProgrammingError),
        ("SELECT nofunction(1)", provider.ProgrammingError),
        ("SELECT 'x'::INT", provider.DataError),
        ("SELECT 1000::TINYINT", provider.DataError),
        ("CREATE TABLE u (i INT PRIMARY KEY); INSERT INTO u VALUES (1), (1)", provider.IntegrityError),
        ("CREATE TABLE n (i INT NOT NULL); INSERT INTO n VALUES (NULL)", provider.IntegrityError),
        ("SELECT * FROM '/nowhere/file.csv'", provider.DatabaseError),
        ("", provider.ProgrammingError),
        ("-- only a comment", provider.ProgrammingError),
        (";;", provider.ProgrammingError),
    ],
)
def test_errors_have_the_class_of_what_went_wrong(conn: Any, sql: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        conn.execute(sql).fetchall()


def test_an_error_while_rows_are_read_is_ours_too(conn: Any) -> None:
    sql = "SELECT CASE WHEN i = 1999999 THEN error('stop') ELSE i END FROM range(2000000) AS r(i)"
    with pytest.raises(provider.Error, match="stop"):
        for _ in conn.execute(sql):
            pass


# -- connection objects ------------------------------------------------------------------------------------


def test_a_closed_connection_takes_nothing(conn: Any) -> None:
    cur = conn.execute("SELECT 1")
    conn.close()
    conn.close()
    for use in (
        conn.cursor,
        conn.commit,
        conn.rollback,
        lambda: conn.execute("SELECT 1"),
        lambda: conn.explain("SELECT 1"),
    ):
        with pytest.raises(provider.InterfaceError):
            use()
    for use in (lambda: cur.execute("SELECT 1"), cur.fetchone, cur.fetchall, cur.arrow):
        with pytest.raises(provider.InterfaceError):
            use()


def test_commit_and_rollback(conn: Any) -> None:
    conn.commit()
    conn.rollback()
    conn.execute("CREATE TABLE t (i INT)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.commit()
    conn.execute("BEGIN")
    conn.execute("INSERT INTO t VALUES (2)")
    conn.rollback()
    assert conn.execute("SELECT i FROM t").fetchall() == [(1,)]


def test_a_connection_is_a_context_manager() -> None:
    with provider.connect(environ={}) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(provider.InterfaceError):
        conn.execute("SELECT 1")


def test_a_connection_that_is_not_closed_says_so() -> None:
    conn = provider.connect(environ={})
    with pytest.warns(ResourceWarning, match="not closed"), warnings.catch_warnings():
        conn.__del__()
        # The test itself tidies up.
    conn.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_concurrency": 0},
        {"manifests": ["/nowhere/at/all"]},
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any]) -> None:
    with pytest.raises(provider.Error):
        provider.connect(environ={}, **arguments)


def test_a_database_that_cannot_be_opened_leaves_nothing_to_close() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            provider.connect("/nowhere/at/all/x.duckdb", environ={})
        except provider.OperationalError as refused:
            summary = refused.summary
        gc.collect()
    assert "/nowhere" in summary
    assert [str(w.message) for w in seen] == []


def test_an_unknown_version_is_refused_where_it_is_used(over: Any) -> None:
    with pytest.raises(provider.Error, match="v1, v2"):
        over(versions={"openai.assistants": "v9"}).execute("SELECT * FROM openai.assistants.assistants")


# -- cursor attributes ---------------------------------------------------------------------------------------


def test_description(conn: Any) -> None:
    assert conn.cursor().description is None
    columns = conn.execute("SELECT 1::INT AS a, 'x' AS b, [1] AS c, NULL AS d, now() AS e WHERE false").description
    assert [c[0] for c in columns] == ["a", "b", "c", "d", "e"]
    assert all(len(c) == 7 for c in columns)
    assert [c[1] for c in columns][:3] == ["INTEGER", "VARCHAR", "INTEGER[]"]
    assert columns[4][1] == "TIMESTAMP WITH TIME ZONE"
    assert conn.execute("CREATE TABLE t (i INT)").description is None


def test_rowcount(conn: Any) -> None:
    cur = conn.cursor()
    assert cur.rowcount == -1
    for sql, count in (
        ("CREATE TABLE t (i INT)", -1),
        ("INSERT INTO t VALUES (1), (2), (3)", 3),
        ("UPDATE t SET i = 9 WHERE i > 1", 2),
        ("DELETE FROM t WHERE i = 9", 2),
        ("SELECT * FROM t", -1),
    ):
        assert cur.execute(sql).rowcount == count, sql


def test_arraysize(conn: Any) -> None:
    cur = conn.execute("SELECT * FROM range(5)")
    assert cur.arraysize == 1
    assert cur.fetchmany() == [(0,)]
    cur.arraysize = 3
    assert cur.fetchmany() == [(1,), (2,), (3,)]
    assert cur.fetchmany() == [(4,)]
    assert cur.fetchmany() == []


# -- cursor methods ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["range(2500) AS r(i)", "(SELECT i FROM range(2500) AS r(i) ORDER BY i)"])
def test_fetching(conn: Any, source: str) -> None:
    cur = conn.execute(f"SELECT i FROM {source}")
    assert cur.fetchone() == (0,)
    assert cur.fetchmany(2) == [(1,), (2,)]
    assert cur.fetchmany(0) == []
    assert [i for (i,) in cur.fetchall()] == list(range(3, 2500))
    assert cur.fetchone() is None
    assert cur.fetchmany(5) == []
    assert cur.fetchall() == []


def test_a_cursor_can_be_iterated(conn: Any) -> None:
    cur = conn.execute("SELECT i FROM range(2500) AS r(i)")
    assert next(iter(cur)) == (0,)
    assert sum(1 for _ in conn.execute("SELECT i FROM range(2500) AS r(i)")) == 2500


def test_whoever_stops_iterating_finds_the_other_rows(conn: Any) -> None:
    def begun() -> Any:
        cur = conn.execute("SELECT i FROM range(2500) AS r(i)")
        for _ in cur:
            break
        return cur

    cur = begun()
    assert (cur.fetchone(), cur.fetchmany(2)) == ((1,), [(2,), (3,)])
    assert next(iter(cur)) == (4,)
    assert cur.fetchmany(2000) == [(i,) for i in range(5, 2005)]
    assert [i for (i,) in cur] == list(range(2005, 2500))
    assert cur.fetchall() == []
    assert begun().fetchall() == [(i,) for i in range(1, 2500)]
    assert begun().arrow().column("i").to_pylist() == list(range(1, 2500))
    cur = begun()
    assert conn.execute("SELECT 1").fetchone() == (1,), "which frees the connection of the rows"
    assert len(cur.fetchall()) == 2499
    cur = begun()
    assert cur.execute("SELECT 'new'").fetchall() == [("new",)]


@pytest.mark.parametrize("sql", [None, "CREATE TABLE t (i INT)"])
def test_fetching_without_rows_is_an_error(conn: Any, sql: str | None) -> None:
    cur = conn.cursor()
    if sql:
        cur.execute(sql)
    for fetch in (cur.fetchone, cur.fetchmany, cur.fetchall, cur.arrow, cur.df):
        with pytest.raises(provider.Error):
            fetch()


def test_an_error_leaves_no_rows_of_the_statement_before(conn: Any) -> None:
    cur = conn.execute("SELECT 1")
    with pytest.raises(provider.ProgrammingError):
        cur.execute("SELECT nothing")
    with pytest.raises(provider.InterfaceError):
        cur.fetchall()
    assert cur.description is None


def test_executemany(conn: Any) -> None:
    cur = conn.cursor()
    cur.execute("CREATE TABLE t (i INT, s VARCHAR)")
    cur.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2, "b"), (3, None)])
    assert cur.execute("SELECT * FROM t ORDER BY i").fetchall() == [(1, "a"), (2, "b"), (3, None)]
    cur.executemany("DELETE FROM t WHERE i = $i", [{"i": 1}, {"i": 2}])
    assert cur.execute("SELECT count(*) FROM t").fetchone() == (1,)
    cur.executemany("DELETE FROM t WHERE i = ?", [])


def test_executemany_counts_all_its_rows(conn: Any) -> None:
    cur = conn.cursor()
    cur.execute("CREATE TABLE t (i INT)")
    cur.executemany("INSERT INTO t VALUES (?), (?)", [(1, 2), (3, 4)])
    assert cur.rowcount == 4
    cur.executemany("SELECT i FROM t WHERE i = ?", [(1,), (2,)])
    assert cur.rowcount == -1
    cur.executemany("INSERT INTO t VALUES (?)", [])
    assert (cur.rowcount, cur.description) == (-1, None)


def test_executemany_accounts_for_all_of_its_writes(connection: Any, api: Any) -> None:
    thread, cur = api.thread(), connection().cursor()
    sql = "INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES (?, 'user', ?)"
    with pytest.raises(provider.OperationalError, match="set 3 of 4 parameters: POST /threads/thread_none") as stopped:
        cur.executemany(sql, iter([(thread, "a"), (thread, "b"), ("thread_none", "c"), (thread, "d")]))
    assert isinstance(stopped.value, provider.errors.PartlyDone)
    assert "2 before it are done. 1 behind it were not begun." in str(stopped.value)
    rows = [(w.statement, w.row, w.outcome) for w in cur.report.writes]
    assert rows == [(1, 1, "done"), (2, 1, "done"), (3, 1, "not done")]
    told = cur.execute("SELECT statement, row, outcome FROM apiql.last_writes")
    assert told.fetchall() == rows
    with pytest.raises(provider.errors.ApiError):
        cur.executemany(sql, [("thread_none", "c"), (thread, "d")])


def test_executemany_writes_to_the_api(connection: Any, api: Any) -> None:
    thread = api.thread()
    connection().cursor().executemany(
        "INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES (?, 'user', ?)",
        [(thread, "one"), (thread, "two")],
    )
    assert len(api.every(f"/threads/{thread}/messages")) == 2


def test_a_closed_cursor_takes_nothing(conn: Any) -> None:
    with conn.execute("SELECT 1") as cur:
        assert cur.fetchone() == (1,)
    for use in (lambda: cur.execute("SELECT 1"), cur.fetchone, cur.fetchmany, cur.fetchall, lambda: next(iter(cur))):
        with pytest.raises(provider.InterfaceError):
            use()
    cur.close()
    assert conn.execute("SELECT 2").fetchone() == (2,)


def test_sizes_may_be_set_and_there_is_no_next_set(conn: Any) -> None:
    cur = conn.cursor()
    cur.setinputsizes([None])
    cur.setoutputsize(10)
    cur.setoutputsize(10, 1)
    with pytest.raises(provider.NotSupportedError):
        cur.nextset()


def test_cursors_of_one_connection_do_not_disturb_one_another(over: Any, world: Any) -> None:
    conn = over()
    first = conn.execute("SELECT i FROM range(5000) AS r(i)")
    assert first.fetchmany(2) == [(0,), (1,)]
    second = conn.execute("SELECT id FROM openai.assistants.assistants")
    assert len(second.fetchmany(1)) == 1
    third = conn.execute("CREATE TABLE t AS SELECT 1 AS i")
    assert len(second.fetchall()) == 2
    assert len(first.fetchall()) == 4998
    assert third.description is None
    assert first.connection is second.connection is conn


def test_a_cursor_closed_early_gives_its_rows_up(over: Any, world: Any) -> None:
    conn = over()
    cur = conn.execute("SELECT a.id FROM openai.assistants.assistants a, range(100000)")
    assert len(cur.fetchmany(10)) == 10
    cur.close()
    assert conn.execute("SELECT count(*) FROM openai.assistants.assistants").fetchone() == (3,)


def test_a_cursor_is_used_again(conn: Any) -> None:
    cur = conn.execute("SELECT i FROM range(10) AS r(i)")
    assert cur.fetchone() == (0,)
    assert cur.execute("SELECT 'other'").fetchall() == [("other",)]


# -- parameters ----------------------------------------------------------------------------------------------

ZONE = dt.timezone(dt.timedelta(hours=2))
VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63 - 1,
    -(2**63),
    2**64,
    1.5,
    -0.0,
    float("inf"),
    "",
    "text",
    "ünïcode 🙂",
    "it's",
    b"",
    b"\x00\xff",
    decimal.Decimal("1.10"),
    decimal.Decimal("-99999999999999999.9999"),
    dt.date(2024, 2, 29),
    dt.time(23, 59, 59, 999999),
    dt.datetime(2024, 2, 29, 1, 2, 3, 4),
    dt.timedelta(days=1, seconds=2, microseconds=3),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    [1, 2, 3],
    [],
    ["a", None],
    [[1], [2, 3]],
    {"a": 1, "b": "x"},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("form", ["?", "$1", "$value"])
def test_values_go_in_and_come_out(conn: Any, value: Any, form: str) -> None:
    given: Any = {"value": value} if form == "$value" else [value]
    (found,) = conn.execute(f"SELECT {form}", given).fetchone()
    assert found == value
    assert type(found) is type(value)


def test_a_time_with_zone_is_the_same_moment(conn: Any) -> None:
    moment = dt.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=ZONE)
    (found,) = conn.execute("SELECT ?", [moment]).fetchone()
    assert found == moment
    assert found.tzinfo is not None


@pytest.mark.parametrize("value", [uuid.UUID(int=1), 12, decimal.Decimal("1.5"), dt.date(2024, 1, 1), True], ids=repr)
def test_a_key_may_be_of_any_type(over: Any, world: Any, value: Any) -> None:
    """What is sent is the text that DuckDB makes of the value; the API has no such object."""
    conn = over()
    (text,) = conn.execute("SELECT ?::VARCHAR", [value]).fetchone()
    cur = conn.execute("SELECT id FROM openai.assistants.assistants WHERE id = 'asst_' || ?", [value])
    assert cur.fetchall() == []
    assert world.requests() == [f"GET /assistants/asst_{text}"]


@pytest.mark.parametrize(
    ("sql", "given"),
    [
        ("SELECT ?", []),
        ("SELECT ?", None),
        ("SELECT ?, ?", [1]),
        ("SELECT $a", {}),
        ("SELECT $a", {"b": 1}),
        ("SELECT $2", [1]),
        ("SELECT ?", "a"),
    ],
)
def test_missing_parameters_are_an_error(conn: Any, sql: str, given: Any) -> None:
    with pytest.raises(provider.ProgrammingError):
        conn.execute(sql, given)


@pytest.mark.parametrize("given", [[1, 2], [1, 2, 3]])
def test_parameters_that_nothing_takes_are_an_error(conn: Any, given: list[int]) -> None:
    with pytest.raises(provider.ProgrammingError):
        conn.execute("SELECT ?", given)


def test_a_script_takes_named_parameters_only(conn: Any) -> None:
    assert conn.execute("CREATE TABLE t AS SELECT $a AS i; SELECT i + $a FROM t", {"a": 2}).fetchall() == [(4,)]
    with pytest.raises(provider.ProgrammingError, match="named"):
        conn.execute("SELECT ?; SELECT ?", [1, 2])


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT \'?\', "?" FROM (SELECT 1 AS "?") -- ?',
        "SELECT '$a', 1 /* ? $b */",
        "SELECT $$?$$, 1",
        "SELECT $tag$ ? $a $tag$, 1",
        "SELECT e'it\\'s ?', 1",
    ],
)
def test_marks_inside_of_texts_and_comments_are_no_parameters(conn: Any, sql: str) -> None:
    assert len(conn.execute(sql).fetchall()) == 1


# -- data frames ---------------------------------------------------------------------------------------------


def test_arrow_pandas_and_polars(over: Any, world: Any) -> None:
    conn = over()
    sql = "SELECT id, created_at, temperature FROM openai.assistants.assistants ORDER BY created_at"
    rows = conn.execute(sql).fetchall()
    table = conn.execute(sql).arrow()
    assert table.column_names == ["id", "created_at", "temperature"]
    assert [tuple(r.values()) for r in table.to_pylist()] == rows
    assert list(conn.execute(sql).df().itertuples(index=False, name=None)) == rows
    assert conn.execute(sql).pl().rows() == rows


def test_a_data_frame_holds_the_rows_that_are_left(conn: Any) -> None:
    cur = conn.execute("SELECT i FROM range(10) AS r(i)")
    cur.fetchmany(3)
    assert cur.arrow().column("i").to_pylist() == [3, 4, 5, 6, 7, 8, 9]
    assert cur.fetchall() == []
    assert cur.arrow().num_rows == 0
    for frame in ("df", "pl"):
        cur = conn.execute("SELECT i FROM range(10) AS r(i)")
        cur.fetchone()
        assert getattr(cur, frame)()["i"].to_list() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_data_frame_keeps_its_types_after_another_statement_ran(conn: Any) -> None:
    sql = "SELECT 1::TINYINT AS a, 1.50::DECIMAL(9,2) AS b, DATE '2024-01-01' AS c, NULL::VARCHAR AS d WHERE {}"
    for condition in ("true", "false"):
        wanted = conn.execute(sql.format(condition)).arrow().schema
        cur = conn.execute(sql.format(condition))
        conn.execute("SELECT 1")
        assert cur.arrow().schema == wanted


@pytest.mark.parametrize(
    "value",
    [
        "'00000000-0000-0000-0000-000000000001'::UUID",
        "9223372036854775808::HUGEINT",
        "TIMESTAMPTZ '2024-01-01 00:00:00+00'",
        "TIME '12:30:00'",
        "INTERVAL 3 DAY",
        "'a'::BLOB",
        "'{\"a\": 1}'::JSON",
        "{'a': 1, 'b c': NULL}",
        "[[1], NULL, []]",
        "[1, 2]::INT[2]",
        "MAP {'a': '00000000-0000-0000-0000-000000000001'::UUID}",
        "MAP {[1]: {'a': 1.5}}",
        "[MAP {1: 'a'}]",
    ],
)
def test_a_data_frame_holds_what_it_would_have_held_before_another_statement_ran(conn: Any, value: str) -> None:
    conn.execute("SET TimeZone = 'Asia/Tokyo'")
    sql = f"SELECT {value} AS a, NULL::INTEGER AS a UNION ALL SELECT NULL, 1"
    cur = conn.execute(sql)
    conn.execute("SELECT 1")
    assert cur.arrow() == conn.execute(sql).arrow()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("'101'::BIT", "101"),
        ("1::UNION(i INT, s VARCHAR)", "1"),
        ("row(1, 2)", "(1, 2)"),
        (f"{2**127 - 1}::HUGEINT", str(2**127 - 1)),
    ],
)
def test_what_arrow_cannot_take_from_python_is_text(conn: Any, value: str, text: str) -> None:
    cur = conn.execute(f"SELECT {value} AS a")
    conn.execute("SELECT 1")
    assert cur.arrow().to_pylist() == [{"a": text}]


def test_a_data_frame_of_detached_rows_leaves_other_rows_alone(conn: Any) -> None:
    first = conn.execute("SELECT i FROM range(3) AS r(i)")
    second = conn.execute("SELECT i FROM range(5000) AS r(i)")
    second.fetchone()
    assert first.arrow().num_rows == 3
    assert len(second.fetchall()) == 4999


def test_no_rows_are_an_empty_data_frame(conn: Any) -> None:
    assert conn.execute("SELECT 1 AS a, 'x' AS b WHERE false").df().shape == (0, 2)
