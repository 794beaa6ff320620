"""Views and materialized views over resources, and the defaults that USE sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provider.emulator import Emulator
from provider.errors import BindError, NotSupportedError, TransportError
from tests.conftest import Api, Connect


def requests(emulator: Emulator) -> int:
    """How many requests arrived since the last call."""
    count = len(emulator.requests)
    emulator.requests.clear()
    return count


@pytest.fixture
def thread(api: Api, emulator: Emulator) -> str:
    made = api.thread("one", "two", "three")
    emulator.requests.clear()
    return made


def test_a_predicate_on_a_view_reaches_the_resource(connection: Connect, emulator: Emulator, thread: str) -> None:
    conn = connection()
    created = conn.execute(
        "-- said first\nCREATE VIEW texts AS SELECT id, thread_id, content FROM openai.assistants.messages"
    )
    assert (created.message, requests(emulator)) == ("CREATE VIEW", 0)
    assert conn.execute("SELECT count(*) FROM texts WHERE thread_id = ?", [thread]).fetchall() == [(3,)]
    assert requests(emulator) == 1


def test_a_view_of_a_view_keeps_its_own_column_names(connection: Connect, thread: str) -> None:
    conn = connection()
    conn.execute("CREATE VIEW inner_ AS SELECT * FROM openai.assistants.messages")
    conn.execute("CREATE VIEW outer_(a, b) AS SELECT thread_id, role FROM inner_ WHERE role = 'user'")
    cursor = conn.execute("SELECT * FROM outer_ AS o WHERE a = ? LIMIT 1", [thread])
    assert [d[0] for d in cursor.description] == ["a", "b"]
    assert cursor.fetchall() == [(thread, "user")]


def test_one_view_used_twice_is_narrowed_twice(connection: Connect, emulator: Emulator, api: Api, thread: str) -> None:
    other = api.thread("four")
    conn = connection()
    conn.execute("CREATE VIEW m AS SELECT * FROM openai.assistants.messages")
    requests(emulator)
    sql = "SELECT count(*) FROM m AS a, m AS b WHERE a.thread_id = ? AND b.thread_id = ?"
    assert conn.execute(sql, [thread, other]).fetchall() == [(3,)]
    assert requests(emulator) == 2


@pytest.mark.parametrize("kind", ["TABLE", "TEMP TABLE", "VIEW"])
def test_a_view_reads_the_table_and_not_a_cte_of_that_name(connection: Connect, thread: str, kind: str) -> None:
    conn = connection()
    conn.execute(f"CREATE {kind} chosen AS SELECT '{thread}' AS k")
    conn.execute("CREATE VIEW m AS SELECT * FROM openai.assistants.messages WHERE thread_id IN (SELECT k FROM chosen)")
    ours = "WITH chosen AS (SELECT 'thread_none' AS k)"
    assert conn.execute(f"{ours} SELECT count(*), any_value(k) FROM m, chosen").fetchall() == [(3, "thread_none")]
    assert conn.execute(f"SELECT * FROM ({ours} SELECT count(*) FROM m WHERE role = 'user')").fetchall() == [(3,)]


def test_a_view_reads_the_view_and_not_a_cte_of_that_name(connection: Connect, thread: str) -> None:
    conn = connection()
    conn.execute(f"CREATE VIEW inner_ AS SELECT * FROM openai.assistants.messages WHERE thread_id = '{thread}'")
    conn.execute("CREATE VIEW outer_ AS WITH own AS (SELECT role FROM inner_) SELECT role AS r FROM own")
    ours = "WITH inner_ AS (SELECT 1 AS n), own AS (SELECT 2 AS o)"
    assert conn.execute(f"{ours} SELECT count(r), sum(n), sum(o) FROM outer_, inner_, own").fetchall() == [(3, 3, 6)]


def test_a_cte_may_have_the_name_of_the_view_that_it_reads(connection: Connect, thread: str) -> None:
    conn = connection()
    conn.execute(f"CREATE VIEW m AS SELECT * FROM openai.assistants.messages WHERE thread_id = '{thread}'")
    assert conn.execute("WITH m AS (SELECT id FROM m LIMIT 2) SELECT count(*) FROM m").fetchall() == [(2,)]


def test_after_use_a_view_reads_the_resource_and_not_a_cte_of_that_name(connection: Connect, thread: str) -> None:
    conn = connection()
    conn.execute("USE openai.assistants")
    conn.execute(f"CREATE VIEW m AS SELECT * FROM messages WHERE thread_id = '{thread}'")
    sql = "WITH messages AS (SELECT 1 AS n) SELECT count(*), sum(n) FROM m, messages"
    assert conn.execute(sql).fetchall() == [(3, 3)]


@pytest.mark.parametrize(
    ("use", "name"),
    [
        ("USE openai.assistants", "messages"),
        ("USE openai.assistants", "messages.list_messages"),
        ("USE openai", "assistants.messages"),
    ],
)
@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_a_view_means_what_use_said_when_it_was_made(
    connection: Connect, tmp_path: Path, thread: str, use: str, name: str, kind: str
) -> None:
    file = str(tmp_path / "views.duckdb")
    with connection(file) as conn:
        conn.execute(use)
        query = f"WITH x AS (SELECT * FROM {name}) SELECT count(*) AS n FROM x, x AS y WHERE x.thread_id = '{thread}'"
        conn.execute(f"CREATE {kind} m AS {query} AND y.thread_id = x.thread_id")
        conn.execute(
            "CREATE VIEW threads AS SELECT id FROM openai.assistants.assistants; CREATE VIEW v AS FROM threads"
        )
    with connection(file) as conn:
        if kind != "VIEW":
            conn.execute("REFRESH MATERIALIZED VIEW m")
        assert conn.execute("SELECT n FROM m").fetchall() == [(9,)]
        assert "scan 1: openai.assistants.assistants" in conn.explain("SELECT * FROM v")


def test_what_is_wrong_within_a_view_is_shown_at_its_name(connection: Connect) -> None:
    conn = connection()
    conn.execute("CREATE VIEW m AS SELECT * FROM openai.assistants.messages")
    conn.execute("CREATE VIEW n AS SELECT * FROM m")
    for sql in ("SELECT id FROM n WHERE role = 'user'", "SELECT id FROM n AS m WHERE role = 'user'"):
        with pytest.raises(BindError) as refused:
            conn.execute(sql)
        assert refused.value.place is not None
        assert (refused.value.place.column, refused.value.place.end - refused.value.place.start) == (16, 1)


def test_a_view_without_its_key_says_what_is_missing_and_sends_nothing(connection: Connect, emulator: Emulator) -> None:
    conn = connection()
    conn.execute("CREATE VIEW m AS SELECT * FROM openai.assistants.messages")
    with pytest.raises(BindError, match="needs thread_id"):
        conn.execute("SELECT * FROM m")
    assert requests(emulator) == 0


def test_views_live_in_the_database_file(connection: Connect, tmp_path: Path, thread: str) -> None:
    file = str(tmp_path / "views.duckdb")
    first = connection(file)
    first.execute("CREATE VIEW m AS SELECT * FROM openai.assistants.messages")
    first.close()
    found = connection(file).execute("SELECT count(*) FROM m WHERE thread_id = ?", [thread])
    assert found.fetchall() == [(3,)]


def test_a_name_is_taken_until_the_view_is_replaced_or_dropped(connection: Connect, thread: str) -> None:
    conn = connection()
    conn.execute("CREATE VIEW m AS SELECT * FROM openai.assistants.messages")
    with pytest.raises(BindError, match="exists already"):
        conn.execute("CREATE VIEW m AS SELECT role FROM openai.assistants.messages")
    conn.execute("CREATE VIEW IF NOT EXISTS m AS SELECT role FROM openai.assistants.messages")
    conn.execute("CREATE OR REPLACE VIEW m AS SELECT thread_id, role FROM openai.assistants.messages")
    assert len(conn.execute("SELECT * FROM m WHERE thread_id = ?", [thread]).description) == 2
    conn.execute("DROP VIEW m")
    with pytest.raises(BindError, match="m does not exist"):
        conn.execute("SELECT * FROM m")


def test_a_materialized_view_is_a_table_until_it_is_refreshed(
    connection: Connect, emulator: Emulator, api: Api, thread: str
) -> None:
    conn = connection()
    sql = f"CREATE MATERIALIZED VIEW kept AS SELECT id FROM openai.assistants.messages WHERE thread_id = '{thread}'"
    conn.execute(sql)
    api.post(f"/threads/{thread}/messages", {"role": "user", "content": "four"})
    requests(emulator)
    assert conn.execute("SELECT count(*) FROM kept").fetchall() == [(3,)]
    assert requests(emulator) == 0
    conn.execute("REFRESH MATERIALIZED VIEW kept")
    assert conn.execute("SELECT count(*) FROM kept").fetchall() == [(4,)]
    conn.execute("DROP MATERIALIZED VIEW kept")
    with pytest.raises(BindError, match="kept does not exist"):
        conn.execute("SELECT * FROM kept")


def test_a_failed_refresh_keeps_the_old_rows(connection: Connect, tmp_path: Path, thread: str) -> None:
    file = str(tmp_path / "kept.duckdb")
    conn = connection(file)
    conn.execute(
        f"CREATE MATERIALIZED VIEW kept AS SELECT id FROM openai.assistants.messages WHERE thread_id = '{thread}'"
    )
    conn.close()
    cut_off = connection(file, base_urls={"openai": "http://127.0.0.1:9/v1"}, retries=0)
    with pytest.raises(TransportError):
        cut_off.execute("REFRESH MATERIALIZED VIEW kept")
    assert cut_off.execute("SELECT count(*) FROM kept").fetchall() == [(3,)]


def test_refresh_of_an_unknown_view_is_an_error(connection: Connect) -> None:
    with pytest.raises(BindError, match="no materialized view"):
        connection().execute("REFRESH MATERIALIZED VIEW kept")


def test_a_view_cannot_hold_parameters(connection: Connect) -> None:
    with pytest.raises(NotSupportedError, match="parameters"):
        connection().execute(
            "CREATE VIEW m AS SELECT * FROM openai.assistants.messages WHERE thread_id = $t", {"t": "x"}
        )


def test_views_that_name_one_another_in_a_circle_are_an_error(connection: Connect) -> None:
    conn = connection()
    conn.execute("CREATE VIEW a AS SELECT * FROM openai.assistants.messages")
    conn.execute("CREATE VIEW b AS SELECT * FROM a")
    conn.execute("DROP VIEW a")
    conn.execute("CREATE VIEW a AS SELECT b.* FROM b, openai.assistants.assistants")
    with pytest.raises(BindError, match="circle"):
        conn.execute("SELECT * FROM a")


@pytest.mark.parametrize(
    ("use", "table"),
    [
        ("USE openai", "assistants.threads"),
        ("USE openai.assistants", "threads"),
        ("-- c\nuse openai.assistants", "threads t"),
    ],
)
def test_use_completes_names(connection: Connect, thread: str, use: str, table: str) -> None:
    conn = connection()
    assert conn.execute(use).message == "USE"
    assert conn.execute(f"SELECT id FROM {table} WHERE thread_id = ?", [thread]).fetchall() == [(thread,)]


def test_after_use_a_local_table_still_comes_first(connection: Connect) -> None:
    conn = connection()
    conn.execute("USE openai.assistants; CREATE TABLE threads AS SELECT 1 AS x")
    assert conn.execute("SELECT * FROM threads").fetchall() == [(1,)]


def test_after_use_writes_and_exec_find_their_resource(connection: Connect, thread: str) -> None:
    conn = connection()
    conn.execute("USE openai.assistants")
    written: Any = conn.execute(
        'UPDATE threads SET metadata = \'{"a": "b"}\' WHERE id = ? RETURNING metadata', [thread]
    )
    assert written.fetchall() == [('{"a":"b"}',)]
    assert conn.execute("EXEC threads.modify_thread @thread_id = $t", {"t": thread}).fetchone()[0] == thread


def test_use_of_an_unknown_service_is_an_error(connection: Connect) -> None:
    with pytest.raises(BindError, match='no service "assistant"'):
        connection().execute("USE openai.assistant")


def test_explain_analyze_runs_the_statement_and_says_what_it_cost(
    connection: Connect, emulator: Emulator, thread: str
) -> None:
    sql = "EXPLAIN ANALYZE SELECT id FROM openai.assistants.messages WHERE thread_id = ?"
    lines = [row[0] for row in connection().execute(sql, [thread]).fetchall()]
    assert "1 pages, 3 rows; complete" in "\n".join(lines)
    assert lines[-1].startswith("total: 1 requests")
    assert requests(emulator) == 1


def test_explain_analyze_does_not_run_a_write(connection: Connect, emulator: Emulator) -> None:
    with pytest.raises(NotSupportedError, match="not run to be explained"):
        connection().execute("EXPLAIN ANALYZE INSERT INTO openai.assistants.threads DEFAULT VALUES")
    assert requests(emulator) == 0
