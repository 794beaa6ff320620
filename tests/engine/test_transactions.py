"""Transactions: what is collected, what COMMIT sends, and the way back after a COMMIT that failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import provider
from provider import errors
from provider.emulator import Emulator
from provider.engine.connection import Connection
from provider.engine.journal import Journal
from provider.interfaces.values import visible_lines
from provider.sql.scanner import fill
from tests.engine.lossy import LossyProxy


def writes(emulator: Emulator) -> list[str]:
    """What reached the emulator and was no read; the log is empty then."""
    found = [f"{r.method} {r.path.removeprefix('/v1')}" for r in emulator.requests if r.method != "GET"]
    emulator.requests.clear()
    return found


def say(conn: Connection, thread: str, *texts: str) -> Any:
    """Insert messages into a thread."""
    rows = ", ".join(f"('{thread}', 'user', '{text}')" for text in texts)
    return conn.execute(f"INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES {rows}")


def tag(conn: Connection, thread: str, value: str) -> Any:
    """Set a thread's metadata."""
    sql = f"""UPDATE openai.assistants.threads SET metadata = '{{"tag": "{value}"}}' WHERE thread_id = '{thread}'"""
    return conn.execute(sql)


def texts(api: Any, thread: str) -> list[str]:
    return [m["content"][0]["text"]["value"] for m in api.every(f"/threads/{thread}/messages")]


# -- collecting -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("BEGIN", "COMMIT"),
        ("begin transaction", "END"),
        ("START TRANSACTION", "COMMIT WORK"),
        ("/* a */ BEGIN -- b\nWORK", "commit transaction"),
        ("BEGIN TRANSACTION READ WRITE", "END TRANSACTION"),
    ],
)
def test_nothing_is_sent_before_commit(connection: Any, emulator: Emulator, api: Any, begin: str, end: str) -> None:
    conn = connection()
    thread = api.thread()
    writes(emulator)
    assert conn.execute(begin).message == "BEGIN"
    cur = say(conn, thread, "one", "two")
    assert (cur.rowcount, cur.message, cur.description) == (2, "INSERT 2 (collected)", None)
    assert tag(conn, thread, "new").message == "UPDATE 1 (collected)"
    assert writes(emulator) == []
    cur = conn.execute(end)
    assert (cur.rowcount, cur.message) == (3, "COMMIT (INSERT 2; UPDATE 1)")
    sent = [f"POST /threads/{thread}/messages"] * 2 + [f"POST /threads/{thread}"]
    assert writes(emulator) == sent, "in the order of the statements"
    assert texts(api, thread) == ["one", "two"]
    rows = "SELECT statement, row, outcome FROM apiql.last_writes"
    assert conn.execute(rows).fetchall() == [(1, 1, "done"), (1, 2, "done"), (2, 1, "done")]


@pytest.mark.parametrize("end", ["ROLLBACK", "ABORT", "rollback work"])
def test_rollback_sends_nothing(connection: Any, emulator: Emulator, api: Any, end: str) -> None:
    conn = connection()
    thread = api.thread()
    writes(emulator)
    conn.execute("CREATE TABLE log (text VARCHAR)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO log VALUES ('said')")
    say(conn, thread, "one", "two")
    assert conn.execute(end).message == "ROLLBACK (2 requests of 1 statement not sent)"
    assert writes(emulator) == []
    assert conn.execute("SELECT count(*) FROM log").fetchone() == (0,)
    assert say(conn, thread, "three").message == "INSERT 1", "sent at once again"
    assert texts(api, thread) == ["three"]


def test_local_changes_are_committed_with_the_writes_and_not_without(connection: Any, api: Any) -> None:
    conn = connection()
    thread = api.thread()
    conn.execute("CREATE TABLE log (thread VARCHAR)")
    with conn.transaction():
        conn.execute("INSERT INTO log VALUES (?)", [thread])
        say(conn, thread, "one")
    assert conn.execute("SELECT count(*) FROM log").fetchone() == (1,)
    assert texts(api, thread) == ["one"]

    def fails() -> None:
        with conn.transaction():
            conn.execute("INSERT INTO log VALUES ('thread_none')")
            say(conn, "thread_none", "two")

    with pytest.raises(errors.ApiError, match="answered 404") as caught:
        fails()
    assert caught.value.exit_code == 1
    assert "COMMIT has done nothing. Local changes are rolled back." in str(caught.value)
    assert conn.execute("SELECT count(*) FROM log").fetchone() == (1,)
    assert not conn.in_transaction


def test_rows_are_selected_and_checked_where_the_statement_stands(
    connection: Any, emulator: Emulator, api: Any
) -> None:
    conn = connection(max_writes=1, irreversible_writes=True)
    thread = api.thread("old", "older")
    writes(emulator)
    conn.execute("BEGIN")
    with pytest.raises(errors.Guarded, match="would change 2 objects"):
        conn.execute("DELETE FROM openai.assistants.messages WHERE thread_id = ?", [thread])
    with pytest.raises(errors.Guarded, match="without WHERE"):
        conn.execute("DELETE FROM openai.assistants.assistants")
    with pytest.raises(errors.DataError, match="takes user, assistant"):
        conn.execute(f"INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES ('{thread}', 'x', 'y')")
    where = "thread_id = ? AND content->0->'text'->>'value' = 'old'"
    assert conn.execute(f"DELETE FROM openai.assistants.messages WHERE {where}", [thread]).rowcount == 1
    api.post(f"/threads/{thread}/messages", {"role": "user", "content": "old"})  # somebody else, meanwhile
    writes(emulator)
    conn.commit()
    assert [w.split()[0] for w in writes(emulator)] == ["DELETE"]
    assert texts(api, thread) == ["older", "old"]


def test_a_query_sees_the_api_as_it_is_and_says_so(connection: Any, api: Any) -> None:
    conn = connection()
    thread = api.thread("one")
    conn.execute("BEGIN")
    say(conn, thread, "two")
    cur = conn.execute("SELECT count(*) FROM openai.assistants.messages WHERE thread_id = ?", [thread])
    assert cur.fetchone() == (1,)
    assert cur.message == "read as it is at the API, without 1 request of 1 statement that wait for COMMIT"
    assert conn.execute("SELECT id FROM openai.assistants.threads WHERE thread_id = ?", [thread]).message == ""
    conn.rollback()


def test_what_an_object_has_already_is_sent_too_since_another_statement_may_change_it(
    connection: Any, api: Any
) -> None:
    conn = connection()
    thread = api.thread(tag="old")
    sql = """UPDATE openai.assistants.threads SET metadata = $m WHERE thread_id = $t AND metadata->>'tag' = 'old'"""
    with conn.transaction():
        conn.execute(sql, {"t": thread, "m": '{"tag": "new"}'})
        conn.execute(sql, {"t": thread, "m": '{"tag": "old"}'})
    assert api.get(f"/threads/{thread}")["metadata"] == {"tag": "old"}


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("INSERT INTO openai.assistants.threads DEFAULT VALUES RETURNING id", "RETURNING wants the answer of INSERT"),
        ("INSERT /*+ AWAIT */ INTO openai.assistants.runs (thread_id, assistant_id) VALUES ('t', 'a')", "AWAIT wants"),
        (
            "EXEC /*+ STREAM */ openai.assistants.runs.create_run @thread_id='t', @assistant_id='a'",
            "a stream wants the answer of EXEC",
        ),
        (
            "EXEC openai.assistants.runs.create_run @thread_id='t', @assistant_id='a', @stream=true",
            "a stream wants the answer of EXEC",
        ),
        ("SELECT * FROM (EXEC openai.assistants.threads.create_thread)", "a query with EXEC in it wants the answer"),
        ("SAVEPOINT here", "no savepoints"),
        ("ROLLBACK TO here", "no savepoints"),
        ("ROLLBACK TO SAVEPOINT here", "no savepoints"),
        ("RELEASE here", "no savepoints"),
        ("BEGIN", "a transaction is open already"),
        ("COMMIT AND CHAIN", "begins and ends no transaction"),
    ],
)
def test_what_a_transaction_cannot_do_is_refused_and_leaves_it_open(
    connection: Any, emulator: Emulator, sql: str, words: str
) -> None:
    conn = connection()
    conn.execute("BEGIN")
    conn.execute("CREATE TABLE kept (id VARCHAR)")
    with pytest.raises(provider.Error, match=words):
        conn.execute(sql)
    conn.execute("COMMIT")
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert writes(emulator) == []


def test_exec_is_collected_where_it_writes_and_runs_where_it_reads(
    connection: Any, emulator: Emulator, api: Any
) -> None:
    conn = connection()
    thread = api.thread(tag="seen")
    writes(emulator)
    conn.execute("BEGIN")
    cur = conn.execute("EXEC openai.assistants.threads.create_thread")
    assert (cur.description, cur.message) == (None, "EXEC 1 (collected)")
    assert conn.execute(f"EXEC openai.assistants.threads.get_thread @thread_id='{thread}'").fetchone()[0] == thread
    assert writes(emulator) == []
    assert conn.execute("COMMIT").message == "COMMIT (EXEC)"
    assert writes(emulator) == ["POST /threads"]


def test_a_transaction_that_only_reads_takes_no_writes(connection: Any, emulator: Emulator) -> None:
    conn = connection()
    conn.execute("BEGIN READ ONLY")
    with pytest.raises(provider.ProgrammingError, match="INSERT in a transaction that is READ ONLY"):
        conn.execute("INSERT INTO openai.assistants.threads DEFAULT VALUES")
    conn.execute("SELECT count(*) FROM openai.assistants.assistants")
    conn.commit()
    assert writes(emulator) == []


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_an_end_without_a_beginning_is_an_error_in_sql_and_nothing_in_python(connection: Any, end: str) -> None:
    conn = connection()
    with pytest.raises(provider.ProgrammingError, match=f"{end}: no transaction is open"):
        conn.execute(end)
    conn.commit()
    conn.rollback()


# -- endings that nobody wished ------------------------------------------------------------------------


def test_a_block_that_raises_sends_nothing(connection: Any, emulator: Emulator, api: Any) -> None:
    conn = connection()
    thread = api.thread()
    writes(emulator)

    def fails() -> None:
        with conn.transaction():
            say(conn, thread, "one")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert not conn.in_transaction
    assert writes(emulator) == []


def test_closing_sends_nothing_and_says_so(connection: Any, emulator: Emulator, api: Any) -> None:
    conn = connection()
    thread = api.thread()
    writes(emulator)
    conn.execute("BEGIN")
    say(conn, thread, "one", "two")
    with pytest.warns(RuntimeWarning, match="not committed: 2 requests of 1 statement not sent"):
        conn.close()
    assert writes(emulator) == []


def test_an_error_that_ends_duckdbs_transaction_ends_the_whole(connection: Any, emulator: Emulator, api: Any) -> None:
    conn = connection()
    thread = api.thread()
    writes(emulator)
    conn.execute("CREATE TABLE log (n INT PRIMARY KEY)")
    for end, words in (("COMMIT", "Nothing was sent: 1 request"), ("ROLLBACK", None)):
        conn.execute("BEGIN")
        say(conn, thread, "one")
        conn.execute("INSERT INTO log VALUES (1)")
        with pytest.raises(provider.Error, match="duplicate key"):
            conn.execute("INSERT INTO log VALUES (1)")
        with pytest.raises(provider.OperationalError, match="the transaction was given up"):
            say(conn, thread, "two")
        if words is None:
            conn.execute(end)
        else:
            with pytest.raises(provider.OperationalError, match=words):
                conn.execute(end)
        assert not conn.in_transaction
    assert writes(emulator) == []
    assert conn.execute("SELECT count(*) FROM log").fetchone() == (0,)


CLIENT = """
import sys, time, provider
url, thread = sys.argv[1:]
conn = provider.connect(base_urls={"openai": url}, environ={"OPENAI_API_KEY": "any"})
conn.execute("BEGIN")
sql = "INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES (?, 'user', 'one')"
print(conn.execute(sql, [thread]).message, flush=True)
time.sleep(60)
"""


def test_a_client_that_is_killed_before_commit_has_sent_nothing(emulator: Emulator, api: Any) -> None:
    thread = api.thread()
    emulator.requests.clear()
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, emulator.base_url, thread], stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    with client.stdout:
        assert client.stdout.readline() == "INSERT 1 (collected)\n"
        client.kill()
        client.wait()
    assert writes(emulator) == []


# -- the way back ---------------------------------------------------------------------------------------


def test_a_commit_that_fails_offers_statements_that_restore_what_was(
    connection: Any, emulator: Emulator, api: Any
) -> None:
    conn = connection()
    thread, other = api.thread("there", tag="it's old"), api.thread(tag="old")
    assistant = api.post("/assistants", {"model": "m", "name": "Poet", "temperature": 0.5, "tools": []})
    earlier = [api.get(f"/threads/{t}") for t in (thread, other)]
    conn.execute("CREATE TABLE log (id VARCHAR)")
    writes(emulator)

    conn.execute("BEGIN")
    conn.execute("INSERT INTO log VALUES ('x')")
    say(conn, thread, "one", "two")
    conn.execute(
        "UPDATE openai.assistants.threads SET metadata = json_object('tag', (metadata->>'tag') || '!') "
        f"WHERE thread_id IN ('{thread}', '{other}') AND metadata->>'tag' LIKE '%old'"
    )
    conn.execute("DELETE FROM openai.assistants.assistants WHERE assistant_id = ?", [assistant["id"]])
    say(conn, "thread_none", "three")
    tag(conn, thread, "last")
    with pytest.raises(errors.PartlyDone) as caught:
        conn.execute("COMMIT")
    said = str(caught.value)
    assert caught.value.exit_code == 5
    assert said.startswith("COMMIT stopped in statement 4 of 5, at row 1: POST /threads/thread_none/messages")
    assert "Statement 1, INSERT on openai.assistants.messages: Done: 2. Refused: 0." in said
    assert "Statement 4, INSERT on openai.assistants.messages: Done: 0. Refused: 1 (row 1)." in said
    assert (
        "Statement 5, UPDATE on openai.assistants.threads: Done: 0. Refused: 0. Outcome unknown: 0. Not sent: 1."
        in said
    )
    assert "Statement 3 is undone under another id and without reasoning_effort" in said
    assert not conn.in_transaction
    assert conn.execute("SELECT count(*) FROM log").fetchone() == (0,)
    assert texts(api, thread) == ["there", "one", "two"]
    assert api.get(f"/threads/{other}")["metadata"] == {"tag": "old!"}

    undo = [line.strip() for line in said.splitlines() if line.endswith(";")]
    listed = "SELECT inverse FROM apiql.last_writes WHERE inverse IS NOT NULL ORDER BY statement DESC, row DESC"
    assert [f"{sql};" for (sql,) in conn.execute(listed).fetchall()] == undo
    assert len(undo) == 5
    for sql in undo:
        assert conn.execute(sql).rowcount == 1
    assert texts(api, thread) == ["there"]
    assert [api.get(f"/threads/{t}") for t in (thread, other)] == earlier
    again = next(a for a in api.every("/assistants") if a["name"] == "Poet")
    assert {**again, "id": 0, "created_at": 0} == {**assistant, "id": 0, "created_at": 0}


def test_the_way_back_survives_the_way_over_a_terminal_and_into_a_script(connection: Any, api: Any) -> None:
    conn = connection()
    text = "Say 'no'\n  {{ name }}; -- \\ /* ü \u2028\u202e\x1b[31m 👨\u200d👩\u200d👧\ttab"
    made = {"model": "m", "instructions": text, "metadata": {"it's": text}, "temperature": 0.3, "tools": []}
    assistant = f"/assistants/{api.post('/assistants', made)['id']}"
    earlier = api.get(assistant)
    conn.execute("BEGIN")
    conn.execute(
        "UPDATE openai.assistants.assistants SET name = 'n', description = 'd', instructions = 'i', metadata = '{}', "
        f"temperature = 1, response_format = 'auto' WHERE assistant_id = '{earlier['id']}'"
    )
    say(conn, "thread_none", "two")
    with pytest.raises(errors.PartlyDone) as caught:
        conn.execute("COMMIT")
    assert api.get(assistant) != earlier
    (line,) = [line for line in visible_lines(str(caught.value)).split("\n") if line.startswith("    UPDATE")]
    conn.execute(fill(line, {}))
    assert api.get(assistant) == earlier


def test_a_commit_that_succeeded_can_be_undone_too(connection: Any, api: Any) -> None:
    conn = connection()
    thread = api.thread(tag="old")
    earlier = api.get(f"/threads/{thread}")
    with conn.transaction():
        tag(conn, thread, "new")
        tag(conn, thread, "newer")
        say(conn, thread, "one")
    inverses = conn.execute("SELECT inverse FROM apiql.last_writes ORDER BY statement DESC").fetchall()
    for (sql,) in inverses:
        conn.execute(sql)
    assert api.get(f"/threads/{thread}") == earlier
    assert texts(api, thread) == []


def test_what_cannot_be_undone_is_said_before_and_stopped_unless_it_is_allowed(
    connection: Any, emulator: Emulator, api: Any
) -> None:
    thread = api.thread("one")
    message = api.every(f"/threads/{thread}/messages")[0]["id"]
    delete = f"DELETE FROM openai.assistants.messages WHERE thread_id = '{thread}' AND message_id = '{message}'"
    writes(emulator)
    conn = connection()
    assert "undone by  nothing: the manifest names no inverse of delete_message" in conn.explain(delete)
    conn.execute("BEGIN")
    tag(conn, thread, "new")
    said = conn.execute(delete).message
    assert said == "DELETE 1 (collected; cannot be undone: the manifest names no inverse of delete_message)"
    with pytest.raises(errors.Guarded, match=r"Statement 2 of 2, DELETE on openai\.assistants\.messages") as caught:
        conn.commit()
    assert caught.value.exit_code == 4
    assert writes(emulator) == []
    assert conn.in_transaction
    conn.rollback()
    allowed = connection(irreversible_writes=True)
    with allowed.transaction():
        allowed.execute(delete)
    assert writes(emulator) == [f"DELETE /threads/{thread}/messages/{message}"]


def test_what_was_done_for_good_is_listed_after_a_failure(connection: Any, api: Any) -> None:
    thread = api.thread("one", "two")
    conn = connection(irreversible_writes=True)
    conn.execute("BEGIN")
    conn.execute("DELETE FROM openai.assistants.messages WHERE thread_id = ? AND role = 'user'", [thread])
    say(conn, "thread_none", "three")
    with pytest.raises(errors.PartlyDone, match=r"Nothing undoes statement 1, rows 1-2\."):
        conn.commit()


def test_an_answer_that_is_lost_leaves_an_unknown_row_and_ends_the_commit(
    connection: Any, emulator: Emulator, api: Any
) -> None:
    thread = api.thread(tag="old")
    with LossyProxy(emulator.base_url, lambda number: number == 2) as proxy:
        conn = connection(base_urls={"openai": proxy.base_url})
        conn.execute("BEGIN")
        tag(conn, thread, "new")
        say(conn, thread, "one")
        say(conn, thread, "two")
        with pytest.raises(errors.PartlyDone) as caught:
            conn.commit()
        assert "Look first what became of the rows whose outcome is unknown." in str(caught.value)
        outcomes = conn.execute("SELECT outcome FROM apiql.last_writes").fetchall()
        conn.close()
    assert outcomes == [("done",), ("unknown",), ("not done",)]
    assert texts(api, thread) == ["one"]


def test_an_interrupted_commit_says_of_each_statement_what_is_known(
    connection: Any, emulator: Emulator, api: Any
) -> None:
    thread, other = api.thread(tag="old"), api.thread()

    def before(number: int) -> None:
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
            over.wait(30)

    over = threading.Event()
    with LossyProxy(emulator.base_url, lambda _: False, before) as proxy:
        conn = connection(base_urls={"openai": proxy.base_url})
        conn.execute("CREATE TABLE log AS SELECT 1 AS n")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO log VALUES (2)")
        tag(conn, thread, "new")
        say(conn, other, "one", "two")
        with pytest.raises(errors.Cancelled) as caught:
            conn.execute("COMMIT")
        over.set()
    said = str(caught.value)
    assert "Statement 1: Done: 1. Refused: 0. Outcome unknown: 0. Not sent: 0." in said
    assert "Statement 2: Done: 0. Refused: 0. Outcome unknown: 1 (row 1). Not sent: 1." in said
    assert "Local changes are rolled back." in said
    assert f"""SET metadata = '{{"tag": "old"}}' WHERE thread_id = '{thread}';""" in said
    assert conn.execute("SELECT count(*) FROM log").fetchone() == (1,)
    outcomes = conn.execute("SELECT statement, row, outcome FROM apiql.last_writes").fetchall()
    assert outcomes == [(1, 1, "done"), (2, 1, "unknown"), (2, 2, "not done")]


def test_explain_says_what_the_ends_of_a_transaction_send(connection: Any, emulator: Emulator, api: Any) -> None:
    conn = connection()
    thread = api.thread()
    writes(emulator)
    assert conn.execute("EXPLAIN BEGIN").fetchall() == [("BEGIN collects the writes that follow",)]
    assert conn.explain("COMMIT") == "COMMIT sends what waits for it, statement by statement"
    conn.execute("BEGIN")
    say(conn, thread, "one", "two")
    now = "COMMIT sends what waits for it (now 2 requests of 1 statement), statement by statement"
    assert conn.execute("EXPLAIN COMMIT").fetchall() == [(now,)]
    assert conn.execute("EXPLAIN ROLLBACK").fetchall() == [("ROLLBACK sends nothing",)]
    assert conn.execute("ROLLBACK").message == "ROLLBACK (2 requests of 1 statement not sent)"
    assert writes(emulator) == []


def test_on_error_continue_is_about_the_rows_of_a_statement(connection: Any, api: Any) -> None:
    thread = api.thread()
    conn = connection(on_error="continue")
    conn.execute("BEGIN")
    rows = f"('thread_none', 'user', 'one'), ('{thread}', 'user', 'two')"
    conn.execute(f"INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES {rows}")
    say(conn, thread, "three")
    with pytest.raises(errors.PartlyDone, match="stopped in statement 1 of 2"):
        conn.commit()
    assert texts(api, thread) == ["two"]


def test_a_journal_lets_a_commit_go_on_where_it_stopped(
    connection: Any, emulator: Emulator, api: Any, tmp_path: Path
) -> None:
    thread = api.thread(tag="old")

    def script(conn: Connection) -> Any:
        conn.execute("BEGIN")
        say(conn, thread, "one")
        tag(conn, thread, "new")
        say(conn, thread, "two")
        return conn.execute("COMMIT")

    with LossyProxy(emulator.base_url, lambda number: number == 2) as proxy:
        conn = connection(base_urls={"openai": proxy.base_url}, resume=tmp_path / "j")
        with pytest.raises(errors.PartlyDone):
            script(conn)
        conn.close()
    conn = connection(resume=tmp_path / "j")
    with pytest.raises(errors.Guarded, match="outcome of 1 row of an earlier run is unknown"):
        script(conn)
    conn.close()
    assert texts(api, thread) == ["one"], "nothing was sent"
    with Journal(tmp_path / "j") as journal:  # somebody looks, and says so
        assert api.get(f"/threads/{thread}")["metadata"] == {"tag": "new"}
        journal.settle("done", [1], 2)
    said = script(connection(resume=tmp_path / "j")).message
    assert said == "COMMIT (INSERT 0 (1 done before); UPDATE 0 (1 done before); INSERT 1)"
    assert texts(api, thread) == ["one", "two"]


def test_an_object_that_cannot_be_read_stops_commit_before_anything_is_sent(
    connection: Any, emulator: Emulator, api: Any
) -> None:
    thread = api.thread()
    conn = connection()
    conn.execute("BEGIN")
    say(conn, thread, "one")
    tag(conn, "message_1", "new")
    writes(emulator)
    with pytest.raises(errors.ApiError, match="GET /threads/message_1 answered 400"):
        conn.commit()
    assert writes(emulator) == []
    assert conn.in_transaction
    conn.rollback()


# -- dry runs -------------------------------------------------------------------------------------------


def test_a_dry_run_prints_all_requests_and_what_commit_would_do(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread(tag="old")
    writes(emulator)
    conn = connection()
    insert = f"INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES ('{thread}', 'user', 'one')"
    update = f"UPDATE openai.assistants.threads SET metadata = '{{}}' WHERE thread_id = '{thread}'"
    said = conn.dry_run(f"BEGIN; {insert}; {update}; COMMIT")
    assert f"POST /threads/{thread}/messages " in said
    assert f"POST /threads/{thread} " in said
    assert said.endswith("COMMIT would send 2 requests of 2 statements, statement by statement")
    assert conn.dry_run("BEGIN; ROLLBACK") == ("BEGIN collects the writes that follow\n\nROLLBACK would send nothing")
    with pytest.raises(provider.NotSupportedError, match="RETURNING wants the answer"):
        conn.dry_run(f"BEGIN; {insert} RETURNING id")
    with pytest.raises(errors.Guarded, match="cannot be undone"):
        conn.dry_run(f"BEGIN; DELETE FROM openai.assistants.threads WHERE thread_id = '{thread}'; COMMIT")
    with pytest.raises(provider.ProgrammingError, match="no transaction is open"):
        conn.dry_run("COMMIT")
    assert not conn.in_transaction
    assert writes(emulator) == []


def test_a_dry_run_within_a_transaction_counts_what_waits(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread()
    writes(emulator)
    conn = connection()
    conn.execute("BEGIN")
    say(conn, thread, "one", "two")
    said = "COMMIT would send 2 requests of 1 statement, statement by statement"
    assert [conn.dry_run("COMMIT"), conn.dry_run("COMMIT")] == [said, said]
    with pytest.raises(provider.NotSupportedError, match="a query with EXEC in it"):
        conn.dry_run("SELECT * FROM (EXEC openai.assistants.threads.create_thread)")
    assert writes(emulator) == []
    conn.rollback()


def test_each_account_has_its_own_way_back(connection: Any, emulator: Emulator, api: Any) -> None:
    keys = {"OPENAI_API_KEY": "any"}
    conn = connection(accounts={"openai": {"home": keys, "work": keys}})
    thread = api.thread(tag="old")
    conn.execute("BEGIN")
    update = "UPDATE openai.assistants.threads SET metadata = '{}' WHERE account = 'work' AND thread_id = ?"
    conn.execute(update, [thread])
    insert = (
        "INSERT INTO openai.assistants.messages (account, thread_id, role, content) VALUES ('work', ?, 'user', 'x')"
    )
    conn.execute(insert, [thread])
    conn.commit()
    inverses = conn.execute("SELECT inverse FROM apiql.last_writes ORDER BY statement DESC").fetchall()
    assert inverses[1] == (
        """UPDATE openai.assistants.threads SET metadata = '{"tag": "old"}' """
        f"WHERE account = 'work' AND thread_id = '{thread}'",
    )
    for (sql,) in inverses:
        assert conn.execute(sql).rowcount == 1
    assert api.get(f"/threads/{thread}")["metadata"] == {"tag": "old"}
    assert texts(api, thread) == []


def test_an_upload_waits_too(connection: Any, emulator: Emulator, api: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"a": 1}\n')
    conn = connection()
    writes(emulator)
    with conn.transaction():
        conn.execute(f"INSERT INTO openai.files.files (file, purpose) VALUES (local_file('{file}'), 'assistants')")
        assert writes(emulator) == []
    (sql,) = conn.execute("SELECT inverse FROM apiql.last_writes").fetchone()
    assert conn.execute(sql).rowcount == 1
    assert [w.split("/")[0] for w in writes(emulator)] == ["POST ", "DELETE "]
