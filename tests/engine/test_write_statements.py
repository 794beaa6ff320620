"""UPDATE ... FROM, DELETE ... USING, MERGE, ON CONFLICT, dry runs, and EXEC as a relation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import provider
from provider import errors
from provider.emulator import Emulator
from provider.engine.journal import Journal


@pytest.fixture
def team(api: Any, emulator: Emulator) -> Iterator[dict[str, str]]:
    """Three assistants of this test alone, by name."""
    for left in api.every("/assistants"):
        api.delete(f"/assistants/{left['id']}")
    ids = {n: api.post("/assistants", {"model": "m", "name": n})["id"] for n in ("Ada", "Bob", "Cid")}
    emulator.requests.clear()
    yield ids
    for made in api.every("/assistants"):
        api.delete(f"/assistants/{made['id']}")


def writes(emulator: Emulator) -> list[str]:
    """The writes since the last look, sorted."""
    found = sorted(f"{r.method} {r.path.removeprefix('/v1')}" for r in emulator.requests if r.method != "GET")
    emulator.requests.clear()
    return found


# -- UPDATE and DELETE by other tables ---------------------------------------------------------------


def test_update_from_gives_each_object_the_values_of_its_row(connection: Any, api: Any, team: Any) -> None:
    cur = connection().execute(
        """UPDATE openai.assistants.assistants a SET instructions = s.text, model = 'm-' || s.n
           FROM (VALUES ('Ada', 'Be kind.', 1), ('Cid', NULL, 3), ('Dan', 'x', 4)) s(name, text, n)
           WHERE a.name = s.name"""
    )
    assert cur.rowcount == 2
    found = {a["name"]: (a["instructions"], a["model"]) for a in api.every("/assistants")}
    assert found == {"Ada": ("Be kind.", "m-1"), "Bob": (None, "m"), "Cid": (None, "m-3")}


def test_update_with_subqueries_over_resources(connection: Any, api: Any, team: Any) -> None:
    connection().execute(
        """WITH chosen AS (SELECT 'Bob' AS name)
           UPDATE openai.assistants.assistants
           SET description = (SELECT count(*)::VARCHAR FROM openai.assistants.assistants)
           WHERE name IN (SELECT name FROM chosen)"""
    )
    assert api.get(f"/assistants/{team['Bob']}")["description"] == "3"


def test_an_object_with_two_new_values_is_refused(connection: Any, emulator: Emulator, team: Any) -> None:
    with pytest.raises(provider.DataError, match="row 2: it writes the same object as row 1, with other values"):
        connection().execute(
            """UPDATE openai.assistants.assistants a SET description = s.d
               FROM (VALUES ('Ada', 'x'), ('Ada', 'y')) s(name, d) WHERE a.name = s.name"""
        )
    assert writes(emulator) == []


def test_delete_using_deletes_each_object_once(connection: Any, emulator: Emulator, team: Any) -> None:
    cur = connection().execute(
        """WITH gone AS (SELECT * FROM (VALUES ('Ada'), ('Ada'), ('Bob')) g(name))
           DELETE FROM openai.assistants.assistants a USING gone WHERE a.name = gone.name"""
    )
    assert cur.message == "DELETE 2"
    assert writes(emulator) == sorted(f"DELETE /assistants/{team[n]}" for n in ("Ada", "Bob"))


def test_delete_with_order_and_limit(connection: Any, emulator: Emulator, team: Any) -> None:
    connection().execute("DELETE FROM openai.assistants.assistants WHERE name <> 'Ada' ORDER BY name DESC LIMIT 1")
    assert writes(emulator) == [f"DELETE /assistants/{team['Cid']}"]


def test_a_where_about_the_other_table_only_does_not_limit_the_target(connection: Any, team: Any) -> None:
    with pytest.raises(errors.Guarded, match="without WHERE"):
        connection().execute("DELETE FROM openai.assistants.assistants a USING (SELECT 1 AS i) s WHERE s.i = 1")
    with pytest.raises(errors.Guarded, match="without WHERE"):
        connection().execute("DELETE FROM openai.assistants.assistants USING (SELECT 1 AS i) s WHERE i = 1")
    with pytest.raises(errors.Guarded, match="without WHERE"):
        connection().execute("DELETE FROM openai.assistants.assistants WHERE (SELECT max(i) FROM range(3) r(i)) = 2")


@pytest.mark.parametrize(
    ("condition", "clause"),
    [
        ("true", "WHEN MATCHED THEN DELETE"),
        ("s.name = 'Ada'", "WHEN MATCHED THEN UPDATE SET model = 'new'"),
        ("false", "WHEN NOT MATCHED BY SOURCE THEN DELETE"),
        ("true", "WHEN NOT MATCHED THEN DO NOTHING WHEN MATCHED AND s.name = 'Ada' THEN DELETE"),
    ],
)
def test_a_merge_whose_conditions_say_nothing_of_the_target_is_guarded(
    connection: Any, emulator: Emulator, team: Any, condition: str, clause: str
) -> None:
    sql = "MERGE INTO openai.assistants.assistants a USING (VALUES ('Ada')) s(name) ON "
    with pytest.raises(errors.Guarded, match=r"MERGE on openai\.assistants\.assistants without a condition"):
        connection().execute(f"{sql}{condition} {clause}")
    assert writes(emulator) == []
    conn = connection(unfiltered_writes=True)
    assert conn.execute(f"{sql}{condition} {clause}").rowcount >= 1


def test_a_merge_may_say_behind_when_what_it_changes(connection: Any, emulator: Emulator, team: Any) -> None:
    sql = """MERGE INTO openai.assistants.assistants a USING (SELECT 1) s ON true
             WHEN MATCHED AND a.name = 'Bob' THEN DELETE"""
    assert connection().execute(sql).rowcount == 1
    assert writes(emulator) == [f"DELETE /assistants/{team['Bob']}"]


def test_what_an_object_has_already_is_not_sent(connection: Any, emulator: Emulator, team: Any) -> None:
    conn = connection()
    sql = "UPDATE openai.assistants.assistants SET description = 'x', model = 'm' WHERE name <> 'Bob'"
    cur = conn.cursor().execute(sql)
    assert (cur.message, cur.rowcount) == ("UPDATE 2", 2)
    emulator.requests.clear()
    cur = conn.cursor().execute(sql)
    assert (cur.message, cur.rowcount) == ("UPDATE 0 (2 unchanged)", 0)
    assert writes(emulator) == []
    assert [(w.request, w.outcome) for w in cur.report.writes] == [(None, "done")] * 2
    preview = conn.dry_run(sql.replace("'x'", "'y'"))
    assert preview.count('{"description": "y"}') == 2, "only what changes"
    assert conn.execute(sql + " RETURNING name").fetchall(), "RETURNING needs the answers"


def test_numbers_that_are_spelled_otherwise_are_sent(connection: Any, emulator: Emulator, team: Any) -> None:
    connection().execute("UPDATE openai.assistants.assistants SET temperature = 1 WHERE name = 'Ada'")
    assert len(writes(emulator)) == 1, "1 is not 1.0, and a doubt costs a request"


# -- MERGE and ON CONFLICT -----------------------------------------------------------------------------


def test_merge_updates_deletes_and_inserts(connection: Any, api: Any, team: Any) -> None:
    cur = connection().execute(
        """MERGE INTO openai.assistants.assistants a
           USING (VALUES ('Ada', 'm-1'), ('Bob', NULL), ('Cid', 'm'), ('Dan', 'm-4')) s(name, model)
           ON a.name = s.name
           WHEN MATCHED AND s.model IS NULL THEN DELETE
           WHEN MATCHED AND a.model = s.model THEN DO NOTHING
           WHEN MATCHED THEN UPDATE SET model = s.model
           WHEN NOT MATCHED THEN INSERT (name, model) VALUES (s.name, s.model)"""
    )
    assert cur.message == "MERGE 3"
    found = {a["name"]: a["model"] for a in api.every("/assistants")}
    assert found == {"Ada": "m-1", "Cid": "m", "Dan": "m-4"}


def test_merge_changes_what_has_no_source(connection: Any, emulator: Emulator, api: Any, team: Any) -> None:
    conn = connection()
    kept = api.post("/assistants", {"model": "m", "name": "Zoe", "metadata": {"keep": "yes"}})
    sql = """MERGE INTO openai.assistants.assistants a
             USING (VALUES ('Ada', 'm-1'), ('Dan', 'm-4'), (NULL, 'm-5')) s(name, model) ON a.name = s.name
             WHEN MATCHED THEN UPDATE SET model = s.model
             WHEN NOT MATCHED BY TARGET AND s.name IS NOT NULL THEN INSERT (name, model) VALUES (s.name, s.model)
             WHEN NOT MATCHED BY SOURCE AND a.metadata->>'keep' = 'yes' THEN DO NOTHING
             WHEN NOT MATCHED BY SOURCE AND a.name = 'Bob' THEN UPDATE SET metadata = '{"gone": "soon"}'
             WHEN NOT MATCHED BY SOURCE THEN DELETE"""
    with pytest.raises(errors.Guarded, match="MERGE would change 3 objects"):
        connection(max_writes=2).execute(sql)
    assert writes(emulator)[1:] == []
    assert conn.execute(sql).message == "MERGE 4"
    found = {a["name"]: (a["model"], a["metadata"]) for a in api.every("/assistants")}
    assert found == {
        "Ada": ("m-1", {}),
        "Dan": ("m-4", {}),
        "Bob": ("m", {"gone": "soon"}),
        "Zoe": ("m", {"keep": "yes"}),
    }
    api.delete(f"/assistants/{kept['id']}")


def test_merge_by_source_alone_reads_what_its_condition_names(connection: Any, api: Any) -> None:
    thread = api.thread("one", "two", "three")
    text = "m.content->0->'text'->>'value'"
    cur = connection().execute(
        f"""MERGE INTO openai.assistants.messages m USING (VALUES ('two')) s(text) ON {text} = s.text
            WHEN NOT MATCHED BY SOURCE AND m.thread_id = '{thread}' THEN DELETE"""
    )
    assert cur.message == "MERGE 2"
    assert [m["content"][0]["text"]["value"] for m in api.every(f"/threads/{thread}/messages")] == ["two"]


def test_merge_with_returning_where_all_answers_are_alike(connection: Any, team: Any) -> None:
    conn = connection()
    sql = """MERGE INTO openai.assistants.assistants a USING (VALUES ('Ada'), ('Dan')) s(name) ON a.name = s.name
             WHEN MATCHED THEN UPDATE SET model = 'new' WHEN NOT MATCHED THEN INSERT (name, model) VALUES (s.name, 'm')
             RETURNING name, model"""
    assert sorted(conn.execute(sql).fetchall()) == [("Ada", "new"), ("Dan", "m")]
    with pytest.raises(provider.NotSupportedError, match="different fields"):
        conn.execute(sql.replace("THEN UPDATE SET model = 'new'", "THEN DELETE"))


def test_merge_is_guarded_by_what_it_changes(connection: Any, emulator: Emulator, team: Any) -> None:
    sql = """MERGE INTO openai.assistants.assistants a USING (VALUES ('Ada'), ('Bob')) s(name) ON a.name = s.name
             WHEN MATCHED THEN DELETE"""
    with pytest.raises(errors.Guarded, match="MERGE would change 2 objects"):
        connection(max_writes=1).execute(sql)
    assert writes(emulator) == []


SHELF = """
provider: shelf
base_url: {default: http://127.0.0.1:1/v1}
---
service: books
resources:
  books:
    key: {id: book_id}
    identity: [isbn]
    fields: {id: {type: string}, isbn: {type: string}, title: {type: string}}
    methods:
      list_books: {sql: SELECT, http: GET /books, rows: $.data}
      create_book:
        sql: INSERT
        http: POST /books
        body: {isbn: {required: true}, title: {max_length: 9}}
        idempotency: {header: Idempotency-Key}
      change_book: {sql: UPDATE, http: 'PATCH /books/{book_id}', body: {title: {}}}
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[provider.Connection, list[tuple[str, str, Any]]]]:
    """An API whose books have an ISBN that tells them apart; it has one. And the writes that it got."""
    manifest = tmp_path / "shelf.yaml"
    manifest.write_text(SHELF)
    got: list[tuple[str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"data": [{"id": "b1", "isbn": "111", "title": "Old"}]})
        got.append((request.method, request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"id": "b9", **json.loads(request.content)})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    with provider.connect(manifests=[manifest], http_client=client) as conn:
        yield conn, got


@pytest.mark.parametrize("target", ["(isbn)", ""])
def test_on_conflict_updates_what_is_there_and_inserts_the_rest(shelf: Any, target: str) -> None:
    conn, got = shelf
    cur = conn.execute(
        f"""INSERT INTO shelf.books.books (isbn, title) VALUES ('111', 'New'), ('222', 'Two')
            ON CONFLICT {target} DO {"UPDATE SET title = excluded.title" if target else "NOTHING"}"""
    )
    inserted = ("POST", "/v1/books", {"isbn": "222", "title": "Two"})
    changed = ("PATCH", "/v1/books/b1", {"title": "New"})
    assert sorted(got) == ([changed, inserted] if target else [inserted])
    assert cur.message == f"INSERT {len(got)}"


def test_on_conflict_refuses_one_identity_twice(shelf: Any) -> None:
    conn, got = shelf
    with pytest.raises(provider.DataError, match="row 2: it writes the same object as row 1"):
        conn.execute(
            "INSERT INTO shelf.books.books (isbn, title) VALUES ('2', 'a'), ('2', 'b') ON CONFLICT (isbn) DO NOTHING"
        )
    assert got == []


def test_on_conflict_takes_the_identity_and_nothing_else(shelf: Any) -> None:
    conn, _ = shelf
    with pytest.raises(provider.ProgrammingError, match=r'"title" does not identify .*\n(.*\n)*.*takes isbn'):
        conn.execute("INSERT INTO shelf.books.books (isbn, title) VALUES ('1', 'a') ON CONFLICT (title) DO NOTHING")


# -- checks ----------------------------------------------------------------------------------------------


def test_every_row_that_cannot_be_sent_is_told_with_its_number(shelf: Any) -> None:
    conn, got = shelf
    with pytest.raises(provider.DataError) as refused:
        conn.execute(
            "INSERT INTO shelf.books.books (isbn, title) VALUES ('1', 'fine'), ('2', 'much too long'), (NULL, 'x')"
        )
    assert refused.value.summary.startswith("row 2: shelf.books.books: title cannot be 'much too long'")
    assert "2 of 3 rows" in str(refused.value)
    assert "row 3: shelf.books.books needs data__isbn, which is NULL or missing" in str(refused.value)
    assert got == []


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("MAP {repeat('k', 65): 'x'}", "a key has 65 characters and may have 64"),
        ("MAP {'k': repeat('x', 513)}", 'value of "k" has 513 characters and may have 512'),
        ("{'k': 1}", 'value of "k" is no text'),
        ("map_from_entries([('k' || i, 'v') FOR i IN range(17)])", "17 items and may have 16"),
    ],
)
def test_the_documented_limits_of_metadata(connection: Any, emulator: Emulator, metadata: str, words: str) -> None:
    with pytest.raises(provider.DataError, match=f"row 1: .*{words}"):
        connection().execute(f"INSERT INTO openai.assistants.threads (metadata) VALUES ({metadata})")
    assert len(emulator.requests) == 0


def test_string_is_text_and_json_is_json(connection: Any, api: Any) -> None:
    thread = api.thread()
    parts = '[{"type": "text", "text": "three"}]'
    connection().execute(
        """INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES
           ($t, 'user', string('[1, 2]')), ($t, 'user', 'two'), ($t, 'user', JSON($parts)), ($t, 'user', $parts)""",
        {"t": thread, "parts": parts},
    )
    texts = [m["content"][0]["text"]["value"] for m in api.every(f"/threads/{thread}/messages")]
    assert texts == ["[1, 2]", "two", "three", parts]


def test_json_columns_within_structs_are_not_quoted_twice(connection: Any, api: Any) -> None:
    sql = """INSERT INTO openai.assistants.threads (metadata)
             SELECT {'a': j->'x', 'b': 'y'} FROM (SELECT '{"x": "1"}'::JSON AS j) RETURNING id"""
    (made,) = connection().execute(sql).fetchone()
    assert api.get(f"/threads/{made}")["metadata"] == {"a": "1", "b": "y"}


# -- dry runs ----------------------------------------------------------------------------------------------


def test_a_delete_deletes_just_what_its_dry_run_printed(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread("one", "two", "three")
    api.post(f"/threads/{thread}/messages", {"role": "assistant", "content": "answer"})
    users = [m["id"] for m in api.every(f"/threads/{thread}/messages") if m["role"] == "user"]
    emulator.requests.clear()
    conn = connection()
    sql = "DELETE FROM openai.assistants.messages WHERE thread_id = ? AND role = 'user' AND created_at < ?"
    shown = conn.dry_run(sql, [thread, 4_000_000_000])
    assert writes(emulator) == []
    assert "would send 3 requests" in shown
    assert all(f"DELETE /threads/{thread}/messages/{m}" in shown for m in users)
    assert conn.execute(sql, [thread, 0]).rowcount == 0
    assert conn.execute(sql, [thread, 4_000_000_000]).rowcount == 3
    assert [m["role"] for m in api.every(f"/threads/{thread}/messages")] == ["assistant"]


def test_a_dry_run_checks_as_the_statement_does_and_hides_secrets(connection: Any, emulator: Emulator) -> None:
    conn = connection()
    with pytest.raises(provider.DataError, match="row 2"):
        conn.dry_run("INSERT INTO openai.assistants.assistants (model, temperature) VALUES ('m', 1), ('m', 3)")
    shown = conn.dry_run("INSERT INTO openai.assistants.assistants (model, name) VALUES ('m', 'not-a-' || 'real-key')")
    assert 'POST /assistants {"model": "m", "name": "***"}' in shown
    assert len(emulator.requests) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO openai.assistants.threads (metadata) VALUES (MAP {'k': 'not-a-real-key'})",
        "UPDATE openai.assistants.assistants SET name = 'not-a-real-key' WHERE name = 'Ada'",
        'EXEC openai.assistants.threads.create_thread @metadata=\'{"k": "not-a-real-key"}\'',
        'SELECT * FROM (EXEC openai.assistants.threads.create_thread @metadata=\'{"k": "not-a-real-key"}\')',
    ],
)
def test_a_plan_of_a_write_hides_secrets(connection: Any, sql: str) -> None:
    conn = connection()
    told = [conn.explain(sql), conn.dry_run(sql)]
    told += [str(conn.execute(f"EXPLAIN {how} {sql}").fetchall()) for how in ("", "(FORMAT json)")]
    for text in told:
        assert "***" in text
        assert "not-a-real-key" not in text


# -- EXEC as a relation --------------------------------------------------------------------------------------


def test_exec_in_from_is_sent_once_and_its_rows_bind_other_resources(
    connection: Any, emulator: Emulator, team: Any
) -> None:
    rows = connection().execute(
        """WITH run AS (EXEC /*+ SHOWRESULTS */ openai.assistants.threads.create_thread_and_run @assistant_id=?
               @@json='{"thread": {"messages": [{"role": "user", "content": "Hi"}]}}')
           SELECT m.role, a.id = b.id FROM run a, run b JOIN openai.assistants.messages m ON m.thread_id = b.thread_id
           WHERE m.role = ?""",
        [team["Ada"], "user"],
    )
    assert rows.fetchall() == [("user", True)]
    assert writes(emulator) == ["POST /threads/runs"]


@pytest.mark.parametrize(
    ("arguments", "rows", "truncated"), [("", 100, True), (", @limit=2", 2, True), (", @after='{}'", 2, False)]
)
@pytest.mark.parametrize("sql", ["{}", "SELECT * FROM ({})"])
def test_exec_of_a_list_says_whether_it_is_whole(
    connection: Any, api: Any, sql: str, arguments: str, rows: int, truncated: bool
) -> None:
    thread = api.thread(*map(str, range(102)))
    third_oldest = api.every(f"/threads/{thread}/messages")[2]["id"]
    call = f"EXEC openai.assistants.messages.list_messages @thread_id='{thread}'" + arguments.format(third_oldest)
    cur = connection().execute(sql.format(call))
    assert (len(cur.fetchall()), cur.report.truncated) == (rows, truncated)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT no_such_column FROM (EXEC openai.assistants.threads.create_thread)", provider.ProgrammingError),
        ("SELECT * FROM (EXEC openai.assistants.threads.create_thread @metadata='x')", provider.DataError),
        ("SELECT * FROM (EXEC openai.assistants.threads.no_such_method)", provider.ProgrammingError),
        ("EXPLAIN ANALYZE SELECT * FROM (EXEC openai.assistants.threads.create_thread)", provider.NotSupportedError),
        ("CREATE VIEW v AS SELECT * FROM (EXEC openai.assistants.threads.create_thread)", provider.NotSupportedError),
        (
            "INSERT INTO openai.assistants.threads (metadata) "
            "SELECT metadata FROM (EXEC openai.assistants.threads.create_thread)",
            provider.NotSupportedError,
        ),
        ("EXEC /*+ AWIAT */ openai.assistants.threads.create_thread", provider.ProgrammingError),
    ],
)
def test_exec_that_is_refused_is_not_sent(
    connection: Any, emulator: Emulator, sql: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        connection().execute(sql)
    assert len(emulator.requests) == 0


def test_exec_fills_a_local_table_once_and_explain_sends_nothing(connection: Any, emulator: Emulator) -> None:
    conn = connection()
    sql = "CREATE TABLE made AS SELECT id FROM (EXEC openai.assistants.threads.create_thread)"
    conn.execute(f"EXPLAIN {sql}")
    conn.explain(sql)
    assert len(emulator.requests) == 0
    conn.execute(sql)
    assert conn.execute("SELECT count(*) FROM made WHERE id LIKE 'thread_%'").fetchone() == (1,)
    assert writes(emulator) == ["POST /threads"]


# -- accounts --------------------------------------------------------------------------------------------------


def test_the_last_write_is_a_table(connection: Any, api: Any) -> None:
    conn, thread = connection(on_error="continue"), api.thread()
    with pytest.raises(errors.PartlyDone, match="failed at row 2 of 3") as stopped:
        conn.execute(
            """INSERT INTO openai.assistants.messages (thread_id, role, content)
               VALUES ($t, 'user', 'one'), ('thread_none', 'user', 'two'), ($t, 'user', 'three')""",
            {"t": thread},
        )
    assert "Done: 2. Refused: 1 (row 2). Outcome unknown: 0. Not sent: 0." in str(stopped.value)
    rows = conn.execute("SELECT row, status, left(id, 4), outcome, error IS NULL FROM apiql.last_writes").fetchall()
    assert rows == [(1, 200, "msg_", "done", True), (2, 404, None, "not done", False), (3, 200, "msg_", "done", True)]
    assert conn.execute("SELECT count(*) FROM apiql.last_writes").fetchone() == (3,), "a query keeps them"


def test_the_statements_of_a_script_are_told_apart(connection: Any, api: Any) -> None:
    thread, conn = api.thread(), connection()
    insert = "INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES"
    script = f"{insert} ($t, 'user', 'a'), ($t, 'user', 'b'); {insert} ($t, 'user', 'c'), ('thread_none', 'user', 'd')"
    with pytest.raises(errors.PartlyDone, match="at row 2 of 2") as stopped:
        conn.execute(script, {"t": thread})
    assert "Done: 1. Refused: 1 (row 2)." in str(stopped.value), "of the statement that failed"
    rows = conn.execute("SELECT statement, row, outcome FROM apiql.last_writes").fetchall()
    assert rows == [(1, 1, "done"), (1, 2, "done"), (2, 1, "done"), (2, 2, "not done")]


def test_a_query_that_fails_behind_its_exec_says_what_is_done(connection: Any, emulator: Emulator) -> None:
    conn, create = connection(), "EXEC openai.assistants.threads.create_thread"
    run = "EXEC openai.assistants.runs.create_run @thread_id = 'thread_none', @assistant_id = 'asst_none'"
    with pytest.raises(errors.PartlyDone, match="behind EXEC: POST /threads/thread_none/runs answered 404") as stopped:
        conn.execute(f"SELECT * FROM ({create}) a, ({run}) b")
    assert "Done before that: EXEC openai.assistants.threads.create_thread." in str(stopped.value)
    told = conn.execute("SELECT statement, outcome, id IS NOT NULL FROM apiql.last_writes").fetchall()
    assert told == [(1, "done", True), (2, "not done", False)]
    with pytest.raises(errors.PartlyDone, match="behind EXEC: Could not convert"):
        conn.execute(f"SELECT id::INTEGER FROM ({create})")
    writes(emulator)
    with pytest.raises(errors.ApiError):
        conn.execute(f"SELECT * FROM ({run}) a, ({create}) b")
    assert len(writes(emulator)) == 1


def test_a_journal_knows_its_statements(connection: Any, emulator: Emulator, tmp_path: Path) -> None:
    one = 'INSERT INTO openai.assistants.threads (metadata) VALUES (\'{"a": "1"}\')'
    path = tmp_path / "j"
    conn = connection(resume=path)
    with pytest.raises(provider.InterfaceError, match="another process writes"):
        connection(resume=path)
    assert [conn.execute(one).message, conn.execute(one).message] == ["INSERT 1", "INSERT 1"], "two statements"
    conn.close()
    assert "not-a-real-key" not in path.read_text()
    assert '"1"' not in path.read_text(), "no bodies"
    again = connection(resume=path)
    assert again.execute(one).message == "INSERT 0 (1 done before)"
    with pytest.raises(provider.InterfaceError, match="belongs to other statements"):
        again.execute("INSERT INTO openai.assistants.threads DEFAULT VALUES")
    again.close()
    assert len(writes(emulator)) == 2


def test_a_rerun_reads_again_and_tells_what_it_leaves_out(
    connection: Any, emulator: Emulator, api: Any, tmp_path: Path
) -> None:
    thread = api.thread("one")
    writes(emulator)
    for created, note in ((1, "EXEC"), (0, "EXEC (1 done before)")):
        with connection(resume=tmp_path / "j") as conn:
            listed = f"SELECT count(*) FROM (EXEC openai.assistants.messages.list_messages @thread_id = '{thread}')"
            assert conn.execute(listed).fetchall() == [(1,)], "what only reads is no row of a journal"
            assert len(conn.execute(f"EXEC openai.assistants.threads.get_thread @thread_id='{thread}'").fetchall()) == 1
            cursor = conn.execute("EXEC openai.assistants.threads.create_thread")
            assert (len(cursor.fetchall()), cursor.message) == (created, note)
    assert len(writes(emulator)) == 1


def test_a_query_does_not_go_on_without_an_answer_that_an_earlier_run_has_got(
    connection: Any, emulator: Emulator, tmp_path: Path
) -> None:
    made = "SELECT id FROM (EXEC openai.assistants.threads.create_thread)"
    with connection(resume=tmp_path / "j") as conn:
        ((id_,),) = conn.execute(made).fetchall()
    with connection(resume=tmp_path / "j") as conn, pytest.raises(errors.Guarded, match="an earlier run has sent") as e:
        conn.execute(made)
    assert f"It has made {id_}." in e.value.reason
    assert len(writes(emulator)) == 1


def test_a_table_that_is_there_already_keeps_exec_from_being_sent(
    connection: Any, emulator: Emulator, tmp_path: Path
) -> None:
    made = "AS SELECT id FROM (EXEC openai.assistants.threads.create_thread @metadata = $m)"
    later = "INSERT INTO openai.assistants.threads DEFAULT VALUES"
    for _ in range(2):
        with connection(tmp_path / "file.duckdb", resume=tmp_path / "j") as conn:
            conn.execute(f"CREATE TABLE IF NOT EXISTS made {made}", {"m": "{}"})
            conn.execute(later)  # is the second write of the journal both times
            assert len(conn.execute("SELECT * FROM made").fetchall()) == 1
    assert len(writes(emulator)) == 2
    with connection() as conn:
        conn.execute("CREATE TABLE taken (i INTEGER); CREATE VIEW seen AS SELECT 1")
        for name in ("taken", "seen"):
            with pytest.raises(provider.DatabaseError, match="already exists"):
                conn.execute(f"CREATE TABLE {name} {made}", {"m": "{}"})
        assert writes(emulator) == []
        conn.execute(f"CREATE OR REPLACE TABLE taken {made}", {"m": "{}"})
    assert len(writes(emulator)) == 1


def test_unknown_rows_are_sent_again_with_the_same_key_where_the_api_recognises_it(tmp_path: Path) -> None:
    manifest, journal = tmp_path / "shelf.yaml", tmp_path / "j"
    manifest.write_text(SHELF)
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return httpx.Response(200, json={"id": "b1"})

    def insert() -> str:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        with provider.connect(manifests=[manifest], http_client=client, resume=journal) as conn:
            return str(conn.execute("INSERT INTO shelf.books.books (isbn) VALUES ('1'), ('2')").message)

    assert insert() == "INSERT 2"
    # As a crash leaves it: both were sent, and no answer was written down.
    journal.write_text("".join(line for line in journal.read_text().splitlines(True) if '"done"' not in line))
    assert insert() == "INSERT 2"
    assert len(keys) == 4
    assert len(set(keys)) == 2
    assert insert() == "INSERT 0 (2 done before)"


def test_a_journal_that_was_cut_off_in_a_line_is_read_up_to_there(connection: Any, tmp_path: Path) -> None:
    path = tmp_path / "j"
    conn = connection(resume=path)
    conn.execute("INSERT INTO openai.assistants.threads DEFAULT VALUES")
    conn.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    with Journal(path) as journal:
        assert [e.is_unknown for e in journal] == [True]
        with pytest.raises(provider.InterfaceError, match="row 2"):
            journal.settle("done", [2], None)
        journal.settle("not done", [1], None)
    assert connection(resume=path).execute("INSERT INTO openai.assistants.threads DEFAULT VALUES").rowcount == 1
