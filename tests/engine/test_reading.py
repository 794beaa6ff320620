"""Reading over HTTP: exact numbers of requests, whole lists, and the very values that the API has."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

import provider
from provider.emulator import Emulator

KEY = {"OPENAI_API_KEY": "not-a-real-key"}


def lines(emulator: Emulator) -> list[str]:
    """The requests since the last look."""
    found = [f"{r.method} {r.path.removeprefix('/v1')}{'?' if r.query else ''}{r.query}" for r in emulator.requests]
    emulator.requests.clear()
    return found


@pytest.fixture(scope="session")
def long_thread(api: Any) -> str:
    """A thread of 250 messages, numbered in their metadata."""
    thread = api.thread()
    for i in range(250):
        body = {"role": "user", "content": f"message {i}", "metadata": {"n": str(i)}}
        api.post(f"/threads/{thread}/messages", body)
    return str(thread)


# -- pages ---------------------------------------------------------------------------------------


def test_250_messages_are_three_pages(connection: Any, emulator: Emulator, long_thread: str) -> None:
    cur = connection().execute("SELECT count(*) FROM openai.assistants.messages WHERE thread_id = ?", [long_thread])
    assert cur.fetchone() == (250,)
    sent = lines(emulator)
    assert len(sent) == 3
    assert all("limit=100" in line for line in sent)
    assert ["after=" in line for line in sent] == [False, True, True]
    assert cur.report.requests == 3
    assert cur.report.rows == 250
    assert cur.report.truncated is False
    assert [(s.resource, s.method, s.keys, s.pages, s.rows, s.ended) for s in cur.report.scans] == [
        ("openai.assistants.messages", "list_messages", 1, 3, 250, "complete")
    ]
    assert cur.report.bytes > 0


def test_every_message_is_there_once(connection: Any, long_thread: str) -> None:
    sql = "SELECT (metadata->>'n')::INT AS n FROM openai.assistants.messages WHERE thread_id = ? ORDER BY n"
    assert connection().execute(sql, [long_thread]).fetchall() == [(i,) for i in range(250)]


@pytest.mark.parametrize(
    ("tail", "expected", "at_most"),
    [
        ("LIMIT 3", 3, 1),
        ("LIMIT 100", 100, 1),
        ("LIMIT 101", 101, 2),
        ("LIMIT 0", 0, 0),
        ("LIMIT 3 OFFSET 249", 1, 3),
        ("AND (metadata->>'n')::INT < 2 LIMIT 2", 2, 3),
        ("AND (metadata->>'n')::INT < 2 LIMIT 3", 2, 3),
        ("ORDER BY (metadata->>'n')::INT LIMIT 3", 3, 3),
        ("ORDER BY content::VARCHAR LIMIT 3", 3, 3),
    ],
)
def test_limit_stops_paging_only_when_its_rows_are_there(
    connection: Any, emulator: Emulator, long_thread: str, tail: str, expected: int, at_most: int
) -> None:
    sql = f"SELECT (metadata->>'n')::INT FROM openai.assistants.messages WHERE thread_id = '{long_thread}' {tail}"
    rows = connection().execute(sql).fetchall()
    assert len(rows) == expected
    assert len(emulator.requests) <= at_most
    if "ORDER BY (" in tail:
        assert rows == [(0,), (1,), (2,)]
    if "< 2" in tail:
        assert sorted(rows) == [(0,), (1,)]


@pytest.mark.parametrize(("direction", "first"), [("", 0), ("ASC", 0), ("DESC", 249)])
def test_the_first_rows_by_time_are_the_first(connection: Any, long_thread: str, direction: str, first: int) -> None:
    """Messages of one second tie, so the time of the row is what can be compared."""
    sql = f"""SELECT created_at FROM openai.assistants.messages WHERE thread_id = '{long_thread}'
              ORDER BY created_at {direction} LIMIT 1"""
    every = f"SELECT created_at FROM openai.assistants.messages WHERE thread_id = '{long_thread}'"
    conn = connection()
    times = sorted(t for (t,) in conn.execute(every).fetchall())
    assert conn.execute(sql).fetchall() == [(times[first],)]


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("SELECT count(*) FROM {m} LIMIT 1", [(250,)]),
        ("SELECT max((metadata->>'n')::INT) FROM {m} LIMIT 1", [(249,)]),
        ("SELECT DISTINCT role FROM {m} LIMIT 5", [("user",)]),
        ("SELECT role, count(*) FROM {m} GROUP BY role LIMIT 5", [("user", 250)]),
        ("SELECT count(*) FROM (SELECT id FROM {m} LIMIT 120)", [(120,)]),
        ("SELECT count(*) FROM (SELECT a.id FROM {m} a ANTI JOIN (SELECT 1 AS i) b ON b.i = 2 LIMIT 130)", [(130,)]),
        ("SELECT count(*) FROM (SELECT id FROM {m} UNION ALL SELECT id FROM {m}) LIMIT 1", [(500,)]),
        ("SELECT count(*) OVER () FROM {m} LIMIT 1", [(250,)]),
        (
            "SELECT (metadata->>'n')::INT AS n FROM {m} QUALIFY row_number() OVER (ORDER BY n DESC) = 1 LIMIT 1",
            [(249,)],
        ),
        ("SELECT unnest([1, 2]) FROM {m} ORDER BY 1 LIMIT 1 OFFSET 250", [(2,)]),
    ],
)
def test_limit_above_something_does_not_cut_what_is_below(
    connection: Any, long_thread: str, select: str, expected: list[Any]
) -> None:
    listed = f"(SELECT * FROM openai.assistants.messages WHERE thread_id = '{long_thread}')"
    assert connection().execute(select.format(m=listed)).fetchall() == expected


# -- many keys -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def forty(api: Any) -> list[str]:
    """Forty threads with 0, 1, 2, 0, 1, 2, ... messages."""
    return [api.thread(*(f"text {j}" for j in range(i % 3))) for i in range(40)]


@pytest.mark.parametrize("max_concurrency", [1, 3, 16])
def test_a_join_over_forty_threads_is_one_list_a_thread(
    connection: Any, emulator: Emulator, forty: list[str], max_concurrency: int
) -> None:
    conn = connection(max_concurrency=max_concurrency)
    conn.execute("CREATE TABLE t AS SELECT unnest(?::VARCHAR[]) AS id", [forty])
    # Each thread twice, and a NULL: the same requests.
    conn.execute("INSERT INTO t SELECT id FROM t UNION ALL SELECT NULL")
    sql = "SELECT t.id, count(m.id) FROM t LEFT JOIN openai.assistants.messages m ON m.thread_id = t.id GROUP BY t.id"
    counts = [(t, i % 3 * 2) for i, t in enumerate(forty)]
    assert set(conn.execute(sql).fetchall()) == {*counts, (None, 0)}
    assert sorted(lines(emulator)) == sorted(f"GET /threads/{t}/messages?limit=100" for t in forty)
    assert emulator.max_in_flight <= max_concurrency


def test_two_levels_of_joins_ask_once_a_distinct_key(
    connection: Any, emulator: Emulator, api: Any, forty: list[str]
) -> None:
    assistant = api.post("/assistants", {"model": "m"})["id"]
    runs = {t: api.post(f"/threads/{t}/runs", {"assistant_id": assistant})["id"] for t in forty[:5]}
    emulator.requests.clear()
    listed = ", ".join(f"'{t}'" for t in runs)
    sql = f"""SELECT r.id, a.id FROM openai.assistants.runs r
              JOIN openai.assistants.assistants.get_assistant a ON a.id = r.assistant_id
              WHERE r.thread_id IN ({listed})"""
    assert sorted(connection().execute(sql).fetchall()) == sorted((r, assistant) for r in runs.values())
    sent = lines(emulator)
    assert sent.count(f"GET /assistants/{assistant}") == 1
    assert len(sent) == 6


# -- every method that reads ------------------------------------------------------------------------

RESOURCES = ["assistants", "threads", "messages", "runs", "run_steps"]
READ = [
    ("assistants", "get_assistant", "assistant_id = 'asst_poet'", 1),
    ("assistants", "list_assistants", "true", 3),
    ("threads", "get_thread", "thread_id = 'thread_a'", 1),
    ("messages", "get_message", "thread_id = 'thread_a' AND message_id = 'msg_a1'", 1),
    ("messages", "list_messages", "thread_id = 'thread_a'", 5),
    ("runs", "get_run", "thread_id = 'thread_a' AND run_id = 'run_a1'", 1),
    ("runs", "list_runs", "thread_id = 'thread_a'", 2),
    ("run_steps", "get_run_step", "thread_id = 'thread_b' AND run_id = 'run_b1' AND step_id = 'step_b1x1'", 1),
    ("run_steps", "list_run_steps", "thread_id = 'thread_b' AND run_id = 'run_b1'", 1),
]


@pytest.mark.parametrize(("resource", "method", "where", "count"), READ, ids=[r[1] for r in READ])
def test_every_method_that_reads_can_be_named(
    over: Any, world: Any, resource: str, method: str, where: str, count: int
) -> None:
    sql = f"SELECT * FROM openai.assistants.{resource}.{method} WHERE {where}"
    cur = over().execute(world.real(sql))
    assert len(cur.fetchall()) == count
    assert [s.method for s in cur.report.scans] == [method]
    assert len(world.requests()) == 1


def test_no_method_that_reads_is_left_out() -> None:
    with provider.connect(environ=KEY) as conn:
        resources = conn.catalog.service("openai", "assistants").resources.values()
    assert {(r.name, m.name) for r in resources for m in r.methods_for("SELECT")} == {r[:2] for r in READ}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK marks all of this deprecated
@pytest.mark.parametrize("resource", RESOURCES)
def test_rows_are_what_the_vendors_sdk_returns(over: Any, world: Any, resource: str) -> None:
    ids = world.ids
    with openai.OpenAI(base_url=world.emulator.base_url, api_key="any", max_retries=0) as sdk:
        threads = sdk.beta.threads
        objects: list[Any]
        match resource:
            case "assistants":
                objects, where = list(sdk.beta.assistants.list()), "true"
            case "threads":
                objects, where = [threads.retrieve(ids["thread_a"])], "id = 'thread_a'"
            case "messages":
                objects, where = list(threads.messages.list(ids["thread_a"])), "thread_id = 'thread_a'"
            case "runs":
                objects, where = list(threads.runs.list(ids["thread_b"])), "thread_id = 'thread_b'"
            case _:
                objects = list(threads.runs.steps.list(ids["run_b1"], thread_id=ids["thread_b"]))
                where = "thread_id = 'thread_b' AND run_id = 'run_b1'"
    cur = over().execute(world.real(f"SELECT * FROM openai.assistants.{resource} WHERE {where}"))
    names = [(d[0], d[1]) for d in cur.description]
    rows = [
        {n: json.loads(v) if t == "JSON" and v is not None else v for (n, t), v in zip(names, row, strict=True)}
        for row in cur.fetchall()
    ]
    assert len(rows) == len(objects) > 0
    wanted = {o.id: o.to_dict(mode="json", exclude_unset=False) for o in objects}
    for row in rows:
        sdk_object = wanted[row["id"]]
        # Fields that one of them has and the other has not are None there.
        differing = {
            name: (row.get(name), sdk_object.get(name))
            for name in row.keys() | sdk_object.keys()
            if _without_nulls(row.get(name)) != _without_nulls(sdk_object.get(name))
        }
        assert differing == {}


def _without_nulls(value: Any) -> Any:
    """The SDK's models fill keys that the API left out with null, also inside of objects."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


# -- values ----------------------------------------------------------------------------------------

TEXTS = {
    "100,000 characters": "ab🙂é" * 25_000,
    "control characters": "tab\tnewline\nreturn\rbell\x07delete\x7f",
    "separators": "\x1e\x1f\x00nul",
    "json in text": '{"a": [1, null]}',
    "quotes": """it's "quoted" \\ `here` $$ -- ;""",
    "null": "null",
    "emoji with joiners": "👩‍👩‍👧‍👦 é é \ufeff\u202e",
    "a noncharacter": "\ufdd0 \uffff",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text_arrives_as_it_was_sent(connection: Any, api: Any, text: str) -> None:
    """In both directions: written through SQL, read by plain HTTP, and read back through SQL."""
    conn = connection()
    assistant = conn.execute(
        "INSERT INTO openai.assistants.assistants (model, instructions) VALUES ('m', ?) RETURNING id, instructions",
        [text],
    ).fetchone()
    assert assistant[1] == text
    assert api.get(f"/assistants/{assistant[0]}")["instructions"] == text
    again = conn.execute("SELECT instructions FROM openai.assistants.assistants WHERE id = ?", [assistant[0]])
    assert again.fetchall() == [(text,)]


def test_null_false_zero_and_empty_are_four_things(connection: Any, api: Any) -> None:
    made = api.post("/assistants", {"model": "m", "name": "", "temperature": 0, "metadata": {}})["id"]
    sql = f"""SELECT name, description, temperature, metadata::VARCHAR, tools::VARCHAR
              FROM openai.assistants.assistants WHERE id = '{made}'"""
    assert connection().execute(sql).fetchall() == [("", None, 0.0, "{}", "[]")]


def test_columns_have_the_types_of_the_manifest(over: Any, world: Any) -> None:
    cur = over().execute("SELECT id, created_at, tools, metadata, temperature FROM openai.assistants.assistants")
    assert [(d[0], d[1]) for d in cur.description] == [
        ("id", "VARCHAR"),
        ("created_at", "BIGINT"),
        ("tools", "JSON"),
        ("metadata", "JSON"),
        ("temperature", "DOUBLE"),
    ]


# -- what is not there -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM openai.assistants.threads WHERE id = 'thread_none'",
        "SELECT * FROM openai.assistants.assistants WHERE id = 'asst_none'",
        "SELECT * FROM openai.assistants.messages WHERE thread_id = 'thread_none'",
        "SELECT * FROM openai.assistants.messages WHERE thread_id = 'thread_a' AND id = 'msg_none'",
        "SELECT * FROM openai.assistants.run_steps WHERE thread_id = 'thread_a' AND run_id = 'run_none'",
    ],
)
def test_an_object_that_does_not_exist_is_no_row(over: Any, world: Any, sql: str) -> None:
    assert over().execute(world.real(sql)).fetchall() == []
    assert len(world.requests()) == 1


def test_a_missing_object_among_others_costs_only_its_own_row(over: Any, world: Any) -> None:
    sql = "SELECT id FROM openai.assistants.threads WHERE id IN ('thread_a', 'thread_none', 'thread_b')"
    found = {world.readable(i) for (i,) in over().execute(world.real(sql)).fetchall()}
    assert found == {"thread_a", "thread_b"}


def test_another_404_is_an_error(emulator: Emulator, connection: Any) -> None:
    conn = connection(base_urls={"openai": emulator.base_url + "/gone"})
    with pytest.raises(provider.OperationalError, match="404") as refused:
        conn.execute("SELECT * FROM openai.assistants.assistants")
    assert refused.value.status == 404  # type: ignore[attr-defined]
    assert "base URL" in str(refused.value)


INJECTIONS = [
    "../assistants",
    "..",
    ".",
    "",
    "a/../../assistants",
    "%2e%2e",
    "%2e%2e/assistants",
    "thread_a?limit=1",
    "thread_a#x",
    "thread_a/messages",
    "a'b\"c",
    "' OR 1=1 --",
    "a b\tc",
    "thread_a\r\nX-Evil: 1",
    "thread_ä🙂",
    "a\\b",
    ";",
    "thread_a;x=1",
    "@evil.example",
    "//evil.example/",
]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("form", ["parameter", "literal"])
def test_a_key_cannot_leave_its_place_in_the_path(over: Any, world: Any, text: str, form: str) -> None:
    conn = over()
    if form == "parameter":
        sql, given = "SELECT id FROM openai.assistants.threads WHERE id = ?", [text]
    else:
        quoted = text.replace("'", "''")
        sql, given = f"SELECT id FROM openai.assistants.threads WHERE id = '{quoted}'", []
    try:
        assert conn.execute(sql, given).fetchall() == []
    except provider.OperationalError as refused:
        # The API does not take an id that begins in another way; its words quote what it was asked for.
        assert f"Invalid 'thread_id': '{text}'" in str(refused)  # noqa: PT017 -- either outcome is right
    for line in world.emulator.requests:
        assert line.path.startswith("/v1/threads/")
        assert line.path.count("/") == 3
        assert line.query == ""
        assert "x-evil" not in line.headers
    assert len(world.emulator.requests) <= 1


@pytest.mark.parametrize("text", ["run&order=asc", "a=b", "ä 🙂", "x#y", "%26", "a\r\nb"])
def test_a_query_value_cannot_leave_its_place(over: Any, world: Any, text: str) -> None:
    sql = world.real("SELECT id FROM openai.assistants.messages WHERE thread_id = 'thread_a' AND run_id = ?")
    assert over().execute(sql, [text]).fetchall() == []
    (request,) = world.emulator.requests
    sent = httpx.QueryParams(request.query)
    assert sent["run_id"] == text
    assert set(sent) == {"run_id", "limit"}


# -- headers and versions ----------------------------------------------------------------------------


def test_requests_carry_the_version_and_no_more_than_needed(over: Any, world: Any) -> None:
    over().execute("SELECT id FROM openai.assistants.assistants").fetchall()
    (request,) = world.emulator.requests
    assert request.headers["openai-beta"] == "assistants=v2"
    assert "content-type" not in request.headers


@pytest.mark.parametrize("options", [{"versions": {"openai.assistants": "v1"}}, {"v1_by_environment": True}])
def test_v1_is_a_setting(connection: Any, emulator: Emulator, api: Any, options: dict[str, Any]) -> None:
    if options.pop("v1_by_environment", False):
        options["environ"] = {**KEY, "OPENAI_ASSISTANTS_VERSION": "v1"}
    conn = connection(**options)
    body = {"model": "m", "tools": [{"type": "code_interpreter"}]}
    made = api.post("/assistants", {**body, "tool_resources": {"code_interpreter": {"file_ids": ["file-a"]}}})["id"]
    emulator.requests.clear()
    sql = f"SELECT file_ids::VARCHAR FROM openai.assistants.assistants WHERE id = '{made}'"
    assert json.loads(conn.execute(sql).fetchone()[0]) == ["file-a"]
    assert emulator.requests[0].headers["openai-beta"] == "assistants=v1"
    with pytest.raises(provider.ProgrammingError, match="temperature"):
        conn.execute("SELECT temperature FROM openai.assistants.assistants")


# -- beside a database ---------------------------------------------------------------------------------


def test_rows_can_be_kept_in_a_table(over: Any, world: Any) -> None:
    conn = over()
    conn.execute("CREATE TABLE kept AS SELECT id, name FROM openai.assistants.assistants")
    assert len(world.requests()) == 1
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (3,)
    cur = conn.execute(
        world.real("INSERT INTO kept SELECT id, role FROM openai.assistants.messages WHERE thread_id = 'thread_b'")
    )
    assert cur.rowcount == 2
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (5,)
    conn.execute(world.real("DELETE FROM kept WHERE id IN (SELECT id FROM openai.assistants.assistants)"))
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (2,)
    assert len(world.requests()) == 2


def test_rows_can_be_kept_in_a_file(over: Any, tmp_path: Any) -> None:
    target = tmp_path / "kept.parquet"
    conn = over()
    conn.execute(f"COPY (SELECT id, metadata FROM openai.assistants.assistants) TO '{target}' (FORMAT parquet)")
    assert conn.execute(f"SELECT count(*) FROM '{target}'").fetchone() == (3,)


def test_a_file_binds_a_key(over: Any, world: Any, tmp_path: Any) -> None:
    source = tmp_path / "threads.csv"
    source.write_text(world.real("thread_id,note\nthread_a,x\nthread_b,y\n"))
    sql = f"SELECT f.note, count(*) FROM '{source}' f JOIN openai.assistants.messages m USING (thread_id) GROUP BY 1"
    assert sorted(over().execute(sql).fetchall()) == [("x", 5), ("y", 2)]


def test_a_database_file_keeps_tables_and_no_staged_rows(connection: Any, api: Any, tmp_path: Any) -> None:
    path = tmp_path / "kept.duckdb"
    thread = api.thread("one", "two")
    sql = f"CREATE TABLE kept AS SELECT id FROM openai.assistants.messages WHERE thread_id = '{thread}'"
    conn = connection(str(path))
    conn.execute(sql)
    conn.close()
    conn = connection(str(path))
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (2,)
    assert conn.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("kept",)]


def test_no_staged_rows_are_left_behind(over: Any, world: Any) -> None:
    conn = over()
    conn.execute("SELECT id FROM openai.assistants.assistants").fetchall()
    conn.execute("SELECT id FROM openai.assistants.assistants").fetchmany(1)
    with pytest.raises(provider.Error):
        conn.execute("SELECT error(id) FROM openai.assistants.assistants").fetchall()
    assert conn.execute("SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() "
                        "WHERE NOT internal").fetchall() == []  # fmt: skip


def test_a_python_variable_is_no_table(over: Any) -> None:
    variable = [1, 2, 3]
    with pytest.raises(provider.ProgrammingError):
        over().execute("SELECT * FROM variable")
    assert variable


def test_explain_is_a_statement_too(over: Any, world: Any) -> None:
    conn = over()
    sql = world.real("SELECT id FROM openai.assistants.messages WHERE thread_id = 'thread_a'")
    rows = conn.execute(f"EXPLAIN {sql}").fetchall()
    assert "\n".join(line for (line,) in rows) == conn.explain(sql)
    assert world.requests() == []


def test_two_statements_see_what_is_there_now(connection: Any, api: Any) -> None:
    thread = api.thread("one")
    conn = connection()
    sql = f"SELECT count(*) FROM openai.assistants.messages WHERE thread_id = '{thread}'"
    assert conn.execute(sql).fetchone() == (1,)
    api.post(f"/threads/{thread}/messages", {"role": "user", "content": "two"})
    assert conn.execute(sql).fetchone() == (2,)


def test_a_script_answers_with_its_last_statement(over: Any, world: Any) -> None:
    script = """
        CREATE TABLE picked AS SELECT id FROM openai.assistants.assistants WHERE model = 'm-1'; -- ;
        SELECT count(*) FROM picked /* ; */ WHERE id <> ';';
    """
    assert over().execute(script).fetchall() == [(2,)]


def test_a_script_ends_at_the_first_error(over: Any, world: Any) -> None:
    conn = over()
    with pytest.raises(provider.ProgrammingError, match="mesages"):
        conn.execute("CREATE TABLE one (i INT); SELECT * FROM openai.assistants.mesages; CREATE TABLE two (i INT)")
    assert conn.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("one",)]


def test_progress_and_trace_are_told(over: Any, world: Any) -> None:
    seen: list[provider.Progress] = []
    traced: list[Any] = []
    conn = over(progress=seen.append, trace=traced.append)
    sql = world.real("SELECT id FROM openai.assistants.messages WHERE thread_id IN ('thread_a', 'thread_b')")
    conn.execute(sql).fetchall()
    assert (seen[-1].requests, seen[-1].rows, seen[-1].in_flight, seen[-1].over) == (2, 7, 0, True)
    assert [t.status for t in traced] == [200, 200]
    assert "not-a-real-key" not in repr(traced)


def test_views_over_resources(over: Any, world: Any) -> None:
    conn = over()
    try:
        conn.execute("CREATE VIEW mine AS SELECT id, model FROM openai.assistants.assistants")
    except provider.NotSupportedError:
        pytest.skip("views over resources are not there yet")
    assert world.requests() == []
    assert conn.execute("SELECT count(*) FROM mine WHERE model = 'm-1'").fetchone() == (2,)
