"""INSERT, UPDATE, DELETE and EXEC over HTTP: what is sent, once, and what is said about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import provider
from provider import errors
from provider.emulator import Emulator


def posts(emulator: Emulator) -> list[str]:
    """The writes since the last look."""
    found = [f"{r.method} {r.path.removeprefix('/v1')}" for r in emulator.requests if r.method != "GET"]
    emulator.requests.clear()
    return found


def count(emulator: Emulator) -> int:
    found = len(emulator.requests)
    emulator.requests.clear()
    return found


# -- INSERT ----------------------------------------------------------------------------------------


def test_insert_values_sends_one_request_a_row_in_order(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread()
    emulator.requests.clear()
    cur = connection().execute(
        """INSERT INTO openai.assistants.messages (thread_id, role, content)
           VALUES (?, 'user', 'one'), (?, 'user', 'two')""",
        [thread, thread],
    )
    assert (cur.rowcount, cur.message, cur.description) == (2, "INSERT 2", None)
    assert posts(emulator) == [f"POST /threads/{thread}/messages"] * 2
    assert [m["content"][0]["text"]["value"] for m in api.every(f"/threads/{thread}/messages")] == ["one", "two"]


def test_insert_default_values(connection: Any, emulator: Emulator, api: Any) -> None:
    (made,) = connection().execute("INSERT INTO openai.assistants.threads DEFAULT VALUES RETURNING id").fetchone()
    assert posts(emulator) == ["POST /threads"]
    assert api.get(f"/threads/{made}")["metadata"] == {}


def test_insert_select_of_no_rows_sends_nothing(connection: Any, emulator: Emulator) -> None:
    cur = connection().execute("INSERT INTO openai.assistants.threads (metadata) SELECT '{}' WHERE false")
    assert (cur.rowcount, count(emulator)) == (0, 0)


def test_an_insert_into_the_list_that_it_reads_writes_each_row_once(connection: Any, api: Any) -> None:
    thread = api.thread()
    for number in range(101):  # two pages, and with the new ones a third
        api.post(f"/threads/{thread}/messages", {"role": "user", "content": str(number)})
    sql = """INSERT INTO openai.assistants.messages (thread_id, role, content)
             SELECT thread_id, role, 'again ' || (content->0->'text'->>'value')
             FROM openai.assistants.messages WHERE thread_id = ?"""
    assert connection().execute(sql, [thread]).rowcount == 101
    texts = [m["content"][0]["text"]["value"] for m in api.every(f"/threads/{thread}/messages")]
    assert len(texts) == 202
    assert set(texts[101:]) == {f"again {text}" for text in texts[:101]}


def test_insert_copies_one_thread_into_another(connection: Any, emulator: Emulator, api: Any) -> None:
    source, target = api.thread("one", "two", "three"), api.thread()
    emulator.requests.clear()
    connection().execute(
        """INSERT INTO openai.assistants.messages (thread_id, role, content)
           SELECT ?, role, content->0->'text'->>'value' FROM openai.assistants.messages
           WHERE thread_id = ? ORDER BY created_at, id""",
        [target, source],
    )
    assert posts(emulator) == [f"POST /threads/{target}/messages"] * 3
    texts = [m["content"][0]["text"]["value"] for m in api.every(f"/threads/{target}/messages")]
    assert sorted(texts) == ["one", "three", "two"]


def test_insert_from_a_local_table_with_a_cte(connection: Any, api: Any) -> None:
    conn = connection()
    conn.execute("CREATE TABLE people AS SELECT * FROM (VALUES ('Ada', 1), ('Bob', 2)) AS t(name, n)")
    cur = conn.execute(
        """WITH chosen AS (SELECT * FROM people WHERE n > 1)
           INSERT INTO openai.assistants.assistants (model, name, metadata)
           SELECT 'm', name, {'n': n::VARCHAR} FROM chosen RETURNING name, metadata->>'n'"""
    )
    assert cur.fetchall() == [("Bob", "2")]


@pytest.mark.parametrize("prefix", ["", "data__"])
def test_the_prefix_data_is_optional(connection: Any, api: Any, prefix: str) -> None:
    sql = f"INSERT INTO openai.assistants.assistants ({prefix}model, {prefix}name) SELECT 'm', 'Ada' RETURNING name"
    assert connection().execute(sql).fetchall() == [("Ada",)]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("""'{"a": "1"}'""", {"a": "1"}),
        ("""'{"a": "1"}'::JSON""", {"a": "1"}),
        ("{'a': '1', 'b': 'x'}", {"a": "1", "b": "x"}),
        ("MAP {'a': '1'}", {"a": "1"}),
        ("json_object('a', '1')", {"a": "1"}),
    ],
)
def test_objects_have_many_forms_in_sql(connection: Any, api: Any, given: str, sent: dict[str, str]) -> None:
    (made,) = (
        connection()
        .execute(f"INSERT INTO openai.assistants.threads (metadata) VALUES ({given}) RETURNING id")
        .fetchone()
    )
    assert api.get(f"/threads/{made}")["metadata"] == sent


def test_text_that_looks_like_json_stays_text_in_a_text_column(connection: Any, api: Any) -> None:
    for text in ('{"a": 1}', "[1, 2]", "null", "true", "12"):
        row = (
            connection()
            .execute(
                "INSERT INTO openai.assistants.assistants (model, instructions) VALUES ('m', ?) RETURNING id", [text]
            )
            .fetchone()
        )
        assert api.get(f"/assistants/{row[0]}")["instructions"] == text


def test_json_keeps_every_digit(connection: Any) -> None:
    tools = (
        '[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"n": '
        '{"maximum": 12345678901234567890.125, "multipleOf": 0.1, "minimum": -1E+400, "const": 36893488147419103233}'
        "}}}}]"
    )
    sql = "EXEC openai.assistants.runs.create_run @thread_id='thread_1', @assistant_id='asst_1', @tools=?"
    assert f'"tools": {tools}}}' in connection().dry_run(sql, [tools])
    payload = f'{{"assistant_id": "asst_1", "tools": {tools}}}'
    sql = "EXEC openai.assistants.runs.create_run @thread_id='thread_1' @@json=?"
    assert payload in connection().dry_run(sql, [payload])


def test_decimals_are_sent_as_they_are(connection: Any, emulator: Emulator) -> None:
    sql = """INSERT INTO openai.assistants.assistants (model, temperature, top_p, name)
             VALUES ('m', 0.12345678901234567890123, 0.1, 1.50)"""
    shown = connection().dry_run(sql)
    assert '"name": "1.50", "temperature": 0.12345678901234567890123, "top_p": 0.1' in shown


def test_content_is_text_or_parts(connection: Any, api: Any) -> None:
    thread = api.thread()
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    connection().execute(
        """INSERT INTO openai.assistants.messages (thread_id, role, content)
           VALUES ($t, 'user', 'plain'), ($t, 'user', $p)""",
        {"t": thread, "p": json.dumps(parts)},
    )
    contents = [[p["text"]["value"] for p in m["content"]] for m in api.every(f"/threads/{thread}/messages")]
    assert contents == [["plain"], ["a", "b"]]


def test_null_means_not_given_in_insert(connection: Any, api: Any) -> None:
    (made,) = (
        connection()
        .execute(
            "INSERT INTO openai.assistants.assistants (model, name, temperature) VALUES ('m', NULL, NULL) RETURNING id"
        )
        .fetchone()
    )
    found = api.get(f"/assistants/{made}")
    assert (found["name"], found["temperature"]) == (None, 1.0)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("metadata", "'{'", "no JSON"),
        ("metadata", "'[1]'", "JSON object"),
        ("tools", "'{}'", "JSON array"),
        ("temperature", "3", "at most 2"),
        ("temperature", "'warm'", "warm"),
        ("temperature", "'NaN'::DOUBLE", "temperature cannot be nan"),
        ("temperature", "'-inf'::DOUBLE", "temperature cannot be -inf"),
        ("temperature", "'infinity'", "temperature cannot be 'infinity'"),
        ("metadata", "'{\"a\": NaN}'", "metadata cannot be .* no such number"),
        ("metadata", """'{"a": "\\ud83d"}'""", "half of a surrogate pair"),
        ("response_format", """'{"\\ud83d": 1}'""", "half of a surrogate pair"),
        ("tools", "'[1e99999999999999999999]'", "tools cannot be .* exponent"),
        ("temperature", "'0_1'", "'0_1': it takes a number"),
        ("metadata", "{'a': 'inf'::DOUBLE}", "metadata cannot be .* no such number"),
        ("name", f"'{'x' * 257}'", "256"),
        ("reasoning_effort", "'huge'", "minimal"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_is_sent(
    connection: Any, emulator: Emulator, column: str, value: str, words: str
) -> None:
    sql = f"INSERT INTO openai.assistants.assistants (model, {column}) VALUES ('m', NULL), ('m', {value})"
    with pytest.raises(provider.DataError, match=words):
        connection().execute(sql)
    assert count(emulator) == 0


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{'role': 'boss', 'content': 'x'}", r"\[1\].role: it takes user, assistant"),
        ("{'role': 'user'}", r"\[1\].content is missing"),
        (
            "{'role': 'user', 'content': 'x', 'metadata': {'k': repeat('v', 513)}}",
            r'\[1\].metadata: its value of "k" has 513',
        ),
    ],
)
@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO openai.assistants.threads (messages) VALUES ({})",
        "INSERT INTO openai.assistants.runs (thread_id, assistant_id, additional_messages) VALUES ('t', 'a', {})",
        "EXEC openai.assistants.threads.create_thread_and_run @assistant_id='a', @thread={{'messages': {}}}",
    ],
)
def test_what_stands_within_is_checked_too(
    connection: Any, emulator: Emulator, sql: str, message: str, words: str
) -> None:
    fine = "{'role': 'user', 'content': 'x'}::JSON"
    with pytest.raises(provider.DataError, match=words):
        connection().execute(sql.format(f"[{fine}, {message}::JSON]"))
    assert count(emulator) == 0


def test_a_required_value_that_is_null_is_refused_before_anything_is_sent(connection: Any, emulator: Emulator) -> None:
    with pytest.raises(provider.DataError, match="model"):
        connection().execute("INSERT INTO openai.assistants.assistants (model) VALUES ('m'), (NULL)")
    assert count(emulator) == 0


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_a_key_that_addresses_something_else_is_refused(connection: Any, emulator: Emulator, key: str) -> None:
    conn = connection()
    for sql in (
        "INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES (?, 'user', 'x')",
        "DELETE FROM openai.assistants.threads WHERE id = ?",
        "EXEC openai.assistants.runs.cancel @thread_id=?, @run_id='run_1'",
    ):
        with pytest.raises(provider.Error, match="cannot be the thread_id"):
            conn.execute(sql, [key])
    assert count(emulator) == 0


def test_returning_is_a_select_over_the_answers(connection: Any) -> None:
    cur = connection().execute(
        """INSERT INTO openai.assistants.assistants (model, name) VALUES ('m', 'Ada'), ('m', 'Bob')
           RETURNING upper(name) AS n, id LIKE 'asst_%', assistant_id = id"""
    )
    assert cur.fetchall() == [("ADA", True, True), ("BOB", True, True)]
    assert cur.description[0][0] == "n"


def test_an_unknown_column_in_returning_sends_nothing(connection: Any, emulator: Emulator) -> None:
    with pytest.raises(provider.ProgrammingError, match="nam"):
        connection().execute("INSERT INTO openai.assistants.assistants (model) VALUES ('m') RETURNING nam")
    assert count(emulator) == 0


# -- UPDATE and DELETE -------------------------------------------------------------------------------


def test_update_by_key_reads_nothing(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread()
    emulator.requests.clear()
    cur = connection().execute(
        """UPDATE openai.assistants.threads SET metadata = '{"a": "1"}' WHERE thread_id = ?""", [thread]
    )
    assert (cur.rowcount, cur.message) == (1, "UPDATE 1")
    assert [r.method for r in emulator.requests] == ["POST"]
    assert api.get(f"/threads/{thread}")["metadata"] == {"a": "1"}


def test_update_by_any_where_changes_those_rows_and_no_others(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread("keep", "change", "change")
    emulator.requests.clear()
    cur = connection().execute(
        """UPDATE openai.assistants.messages SET metadata = json_object('text', content->0->'text'->>'value')
           WHERE thread_id = ? AND content->0->'text'->>'value' = 'change' RETURNING metadata->>'text'""",
        [thread],
    )
    assert cur.fetchall() == [("change",), ("change",)]
    assert [r.method for r in emulator.requests] == ["GET", "POST", "POST"]
    metadata = [m["metadata"] for m in api.every(f"/threads/{thread}/messages")]
    assert sorted(map(str, metadata)) == sorted(map(str, [{}, {"text": "change"}, {"text": "change"}]))


def test_set_null_is_sent_and_what_is_left_out_stays(connection: Any, api: Any) -> None:
    made = api.post("/assistants", {"model": "m", "name": "Ada", "instructions": "Be kind."})["id"]
    connection().execute("UPDATE openai.assistants.assistants SET name = NULL WHERE id = ?", [made])
    found = api.get(f"/assistants/{made}")
    assert (found["name"], found["instructions"]) == (None, "Be kind.")


def test_delete_by_key_and_by_any_where(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread("one", "two", "three")
    first = api.every(f"/threads/{thread}/messages")[0]["id"]
    emulator.requests.clear()
    conn = connection()
    gone = conn.execute(
        "DELETE FROM openai.assistants.messages WHERE thread_id = ? AND id = ? RETURNING id, deleted", [thread, first]
    )
    assert gone.fetchall() == [(first, True)]
    assert [r.method for r in emulator.requests] == ["DELETE"]
    cur = conn.execute("DELETE FROM openai.assistants.messages WHERE thread_id = ? AND role = 'user'", [thread])
    assert (cur.rowcount, cur.message) == (2, "DELETE 2")
    assert api.every(f"/threads/{thread}/messages") == []


def test_a_missing_object_is_not_counted(connection: Any, api: Any) -> None:
    thread = api.thread()
    conn = connection()
    cur = conn.execute("DELETE FROM openai.assistants.threads WHERE id IN (?, 'thread_none')", [thread])
    assert cur.rowcount == 1
    cur = conn.execute("UPDATE openai.assistants.threads SET metadata = '{}' WHERE id = 'thread_none'")
    assert cur.rowcount == 0


@pytest.mark.parametrize(
    "where",
    [
        "id = '{id}' AND metadata->>'a' = 'no'",
        "id = '{id}' AND false",
        "id = '{id}' AND id = 'thread_none'",
        "id = NULL",
    ],
)
def test_a_where_that_holds_for_no_row_writes_nothing(
    connection: Any, emulator: Emulator, api: Any, where: str
) -> None:
    thread = api.thread()
    emulator.requests.clear()
    cur = connection().execute(f"DELETE FROM openai.assistants.threads WHERE {where.replace('{id}', thread)}")
    assert cur.rowcount == 0
    assert posts(emulator) == []
    assert api.get(f"/threads/{thread}")["id"] == thread


@pytest.mark.parametrize("where", ["id IN ('{id}', '{id}')", "id = '{id}' OR id = '{id}'"])
def test_an_object_that_is_named_twice_is_written_once(
    connection: Any, emulator: Emulator, api: Any, where: str
) -> None:
    thread = api.thread()
    emulator.requests.clear()
    connection().execute(
        f"UPDATE openai.assistants.threads SET metadata = {{'a': 'b'}} WHERE {where.replace('{id}', thread)}"
    )
    assert posts(emulator) == [f"POST /threads/{thread}"]


@pytest.mark.parametrize("statement", ["DELETE FROM {t}", "UPDATE {t} SET metadata = '{{}}'"])
def test_no_where_is_stopped_before_anything_is_sent(connection: Any, emulator: Emulator, statement: str) -> None:
    with pytest.raises(errors.Guarded, match="without WHERE") as stopped:
        connection().execute(statement.format(t="openai.assistants.assistants"))
    assert stopped.value.exit_code == 4
    assert count(emulator) == 0


def test_too_many_objects_are_stopped_before_the_first_write(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread("one", "two", "three")
    emulator.requests.clear()
    sql = f"DELETE FROM openai.assistants.messages WHERE thread_id = '{thread}' AND role = 'user'"
    with pytest.raises(errors.Guarded, match="3 objects"):
        connection(max_writes=2).execute(sql)
    assert posts(emulator) == []
    assert connection(max_writes=3).execute(sql).rowcount == 3


# -- EXEC --------------------------------------------------------------------------------------------


def test_exec_with_arguments_and_a_payload(connection: Any, emulator: Emulator, api: Any) -> None:
    assistant = api.post("/assistants", {"model": "m"})["id"]
    emulator.requests.clear()
    cur = connection().execute(
        """EXEC openai.assistants.threads.create_thread_and_run @assistant_id=?, @data__instructions='Be brief.'
           @@json='{"thread": {"messages": [{"role": "user", "content": "Hi"}]}, "metadata": {"a": "1"}}'""",
        [assistant],
    )
    names = [d[0] for d in cur.description]
    run = dict(zip(names, cur.fetchone(), strict=True))
    assert posts(emulator) == ["POST /threads/runs"]
    assert (run["assistant_id"], run["instructions"]) == (assistant, "Be brief.")
    assert json.loads(run["metadata"]) == {"a": "1"}
    assert len(api.every(f"/threads/{run['thread_id']}/messages")) >= 1


@pytest.mark.parametrize("method", ["cancel", "cancel_run"])
def test_exec_takes_both_names_of_a_method(connection: Any, api: Any, method: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assistant = api.post("/assistants", {"model": "m", "tools": [tool]})["id"]
    thread = api.thread("Hi")
    run = api.post(f"/threads/{thread}/runs", {"assistant_id": assistant})["id"]
    cur = connection().execute(f"EXEC openai.assistants.runs.{method} @thread_id='{thread}', @run_id='{run}'")
    names = [d[0] for d in cur.description]
    assert dict(zip(names, cur.fetchone(), strict=True))["id"] == run


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("'{'", "no JSON"),
        ("'[]'", "object"),
        ("""'{"asistant_id": "x"}'""", "assistant_id"),
        ("'{}'", "assistant_id"),
        ("""'{"model": "m", "assistant_id": "\\ud83d"}'""", "half of a surrogate pair"),
    ],
)
def test_a_payload_that_cannot_be_is_refused_before_it_is_sent(
    connection: Any, emulator: Emulator, payload: str, words: str
) -> None:
    with pytest.raises(provider.Error, match=words):
        connection().execute(f"EXEC openai.assistants.threads.create_thread_and_run @@json={payload}")
    assert count(emulator) == 0


def test_an_argument_and_the_payload_do_not_give_the_same(connection: Any, emulator: Emulator) -> None:
    with pytest.raises(provider.DataError, match='"metadata" is given twice, by @metadata and in @@json'):
        connection().execute(
            """EXEC openai.assistants.threads.create_thread @metadata='{"a": "1"}' @@json='{"metadata": {"a": "2"}}'"""
        )
    assert count(emulator) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR REPLACE INTO openai.assistants.assistants (model) VALUES ('m')",
        "INSERT OR IGNORE INTO openai.assistants.assistants (model) VALUES ('m')",
        "TRUNCATE openai.assistants.assistants",
        "DROP TABLE openai.assistants.assistants",
        "CREATE TABLE openai.assistants.more (i INT)",
        "ALTER TABLE openai.assistants.assistants ADD COLUMN i INT",
    ],
)
def test_what_a_resource_does_not_take_is_said_and_not_sent(connection: Any, emulator: Emulator, sql: str) -> None:
    with pytest.raises(provider.NotSupportedError, match=sql.split()[0]):
        connection().execute(sql)
    assert count(emulator) == 0


# -- what goes wrong ---------------------------------------------------------------------------------


def test_a_refusal_carries_the_apis_words_and_its_request_id(connection: Any, api: Any) -> None:
    sql = """INSERT INTO openai.assistants.runs (thread_id, assistant_id) VALUES (?, 'asst_none')"""
    thread = api.thread()
    with pytest.raises(provider.OperationalError) as refused:
        connection().execute(sql, [thread])
    text = str(refused.value)
    assert f"POST /threads/{thread}/runs answered 404" in text
    assert "No assistant found with id 'asst_none'." in text
    assert refused.value.status == 404  # type: ignore[attr-defined]
    assert refused.value.request_id.startswith("req_")  # type: ignore[attr-defined]
    assert refused.value.request_id in text  # type: ignore[attr-defined]
    assert "not-a-real-key" not in text + repr(refused.value) + repr(vars(refused.value))


def test_a_statement_that_fails_half_way_says_how_far_it_came(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread()
    emulator.requests.clear()
    values = f"('{thread}', 'user', 'one'), ('thread_none', 'user', 'two'), ('{thread}', 'user', 'three')"
    sql = f"INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES {values}"
    with pytest.raises(errors.PartlyDone) as stopped:
        connection(max_concurrency=1).execute(sql)
    text = str(stopped.value)
    assert "row 2 of 3" in text
    assert "Done: 1. Refused: 1 (row 2). Outcome unknown: 0. Not sent: 1." in text
    assert stopped.value.exit_code == 5
    assert len(posts(emulator)) == 2


def test_a_statement_of_which_all_is_refused_says_so(connection: Any, emulator: Emulator) -> None:
    columns = "(thread_id, role, content)"
    sql = f"INSERT INTO openai.assistants.messages {columns} SELECT 'thread_none', 'user', 'x' FROM range(3)"
    with pytest.raises(errors.ApiError, match="answered 404") as refused:
        connection(on_error="continue").execute(sql)
    assert "Done: 0. Refused: 3 (rows 1-3). Outcome unknown: 0. Not sent: 0." in str(refused.value)
    assert "1 | INSERT INTO" in str(refused.value)
    with pytest.raises(errors.ApiError) as refused:
        connection().execute(sql)
    assert "Done: 0. Refused: 1 (row 1). Outcome unknown: 0. Not sent: 2." in str(refused.value)


def test_no_key_in_the_environment_is_said_by_the_variables_name(connection: Any, emulator: Emulator) -> None:
    with pytest.raises(provider.Error, match="OPENAI_API_KEY"):
        connection(environ={}).execute("SELECT id FROM openai.assistants.assistants")
    assert count(emulator) == 0


def test_nobody_at_the_other_end(connection: Any) -> None:
    conn = connection(base_urls={"openai": "http://127.0.0.1:9/v1"}, retries=0)
    with pytest.raises(errors.TransportError):
        conn.execute("SELECT id FROM openai.assistants.assistants")
    with pytest.raises(errors.TransportError):
        conn.execute("INSERT INTO openai.assistants.threads DEFAULT VALUES")


def test_faults_that_pass_are_retried_for_reads_and_never_for_writes() -> None:
    with Emulator(fail_rate=0.3, seed=7) as flaky, provider.connect(
        base_urls={"openai": flaky.base_url}, environ={"OPENAI_API_KEY": "any"}, retries=20
    ) as conn:  # fmt: skip
        outcomes = []
        for _ in range(10):
            flaky.requests.clear()
            try:
                conn.execute("INSERT INTO openai.assistants.threads DEFAULT VALUES")
                outcomes.append("done")
            except provider.OperationalError:
                outcomes.append("refused")
            assert len(flaky.requests) == 1
        assert set(outcomes) == {"done", "refused"}
        assert conn.execute("SELECT count(*) FROM openai.assistants.assistants").fetchone() == (0,)


# -- transactions -----------------------------------------------------------------------------------


def test_an_error_inside_a_transaction_leaves_the_connection_usable(connection: Any) -> None:
    conn = connection()
    conn.execute("CREATE TABLE kept (id VARCHAR)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO kept VALUES ('x')")
    with pytest.raises(provider.Error):
        conn.execute("SELECT error('stop') FROM openai.assistants.assistants UNION ALL SELECT error('stop')").fetchall()
    conn.rollback()
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert conn.execute("SELECT count(*) >= 0 FROM openai.assistants.assistants").fetchone() == (True,)
