"""Streams of events as results: in order, as they come, and never an end that is none."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

import provider
from provider.emulator import Emulator
from provider.errors import (
    ApiError,
    BindError,
    Cancelled,
    DataError,
    NotSupportedError,
    OutcomeUnknown,
    Timeout,
    TransportError,
)
from tests.conftest import KEY, Api, Connect
from tests.engine.eventserver import HEAD, JOBS, EventServer, Wire, event_server
from tests.engine.stalling import kept_waiting, waited_since

CREATE_RUN = "EXEC openai.assistants.runs.create_run @thread_id=?, @@json=?"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["New York"]}}, "required": ["city"]},
        "strict": True,
    },
}


@pytest.fixture
def assistant(api: Api) -> str:
    return str(api.post("/assistants", {"model": "m"})["id"])


def streaming(assistant: str, **more: Any) -> str:
    return json.dumps({"assistant_id": assistant, "stream": True, **more})


# --- against the emulator ---------------------------------------------------------------------------


def test_the_events_of_a_run_are_rows(connection: Connect, api: Api, assistant: str) -> None:
    thread = api.thread("Hello there")
    cursor = connection().execute(CREATE_RUN, [thread, streaming(assistant)])
    assert [(d[0], d[1]) for d in cursor.description] == [
        ("event", "VARCHAR"),
        ("data", "JSON"),
        ("position", "BIGINT"),
        ("id", "VARCHAR"),
    ]
    rows = cursor.fetchall()
    assert [row[0] for row in rows][:3] == ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
    assert [row[2] for row in rows] == list(range(1, len(rows) + 1))
    run = json.loads(rows[-1][1])
    assert (rows[-1][0], run["status"]) == ("thread.run.completed", "completed")
    assert run == api.get(f"/threads/{thread}/runs/{run['id']}")
    assert cursor.message == f"{run['id']}: completed"
    assert cursor.report.requests == 1
    assert cursor.report.bytes > sum(len(row[1]) for row in rows)
    assert [(w.status, w.outcome) for w in cursor.report.writes] == [(200, "done")]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_however_many_rows_are_fetched_at_a_time_they_are_the_same(
    connection: Connect, api: Api, assistant: str, size: int
) -> None:
    cursor = connection().execute(CREATE_RUN, [api.thread("Hi"), streaming(assistant)])
    rows: list[Any] = []
    while part := cursor.fetchmany(size):
        assert len(part) <= size
        rows += part
    assert [row[2] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1][0] == "thread.run.completed"
    assert cursor.fetchone() is None


def test_whoever_stops_iterating_finds_the_other_events(connection: Connect, api: Api, assistant: str) -> None:
    conn = connection()
    for rest in (
        lambda c: [position for _, _, position, _ in c.fetchall()],
        lambda c: c.arrow()["position"].to_pylist(),
    ):
        cur = conn.execute(CREATE_RUN, [api.thread("Hi"), streaming(assistant)])
        assert next(iter(cur))[2] == 1
        found = rest(cur)
        assert found == list(range(2, len(found) + 2))
        assert len(found) > 5


def test_a_thread_and_its_run_are_created_at_once(connection: Connect, assistant: str) -> None:
    payload = streaming(assistant, thread={"messages": [{"role": "user", "content": "Hi"}]})
    sql = "EXEC openai.assistants.threads.create_thread_and_run @@json=?"
    rows = connection().execute(sql, [payload]).fetchall()
    assert [row[0] for row in rows[:2]] == ["thread.created", "thread.run.created"]
    assert rows[-1][0] == "thread.run.completed"


def test_outputs_of_functions_open_a_second_stream_and_the_first_says_how(
    connection: Connect, api: Api, assistant: str
) -> None:
    conn, thread = connection(), api.thread("How is the weather?")
    first = conn.execute(CREATE_RUN, [thread, streaming(assistant, tools=[TOOL])])
    *_, last = first
    run = json.loads(last[1])
    (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    said = first.message.splitlines()
    assert said[:2] == [
        f"{run['id']}: requires_action. It waits for",
        f'  {call["id"]}: get_weather({{"city": "New York"}})',
    ]
    # The statement that is printed works as it is, and with `stream` in its payload it streams.
    statement = (
        said[-1].strip().replace('"..."', '"12 C"').replace('{"tool_outputs"', '{"stream": true, "tool_outputs"')
    )
    second = conn.execute(statement).fetchall()
    assert second[0][0] == "thread.run.step.completed"
    assert json.loads(second[0][1])["step_details"]["tool_calls"][0]["function"]["output"] == "12 C"
    assert second[-1][0] == "thread.run.completed"


def test_structured_output_and_tools_arrive_untouched(connection: Connect, api: Api, assistant: str) -> None:
    wanted = {
        "type": "json_schema",
        "json_schema": {
            "name": "forecast",
            "description": "Größe 5 µm",
            "schema": {
                "type": "object",
                "properties": {"high": {"type": "number", "minimum": -90.5}, "$ref": {"enum": [None, 1, "x", [], {}]}},
                "required": ["high"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
    choice = {"type": "function", "function": {"name": "get_weather"}}
    sent = {"response_format": wanted, "tools": [TOOL], "tool_choice": choice}
    thread = api.thread("Hi")
    rows = connection().execute(CREATE_RUN, [thread, streaming(assistant, **sent)]).fetchall()
    run = api.get(f"/threads/{thread}/runs/{json.loads(rows[0][1])['id']}")
    assert {name: run[name] for name in sent} == sent


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK marks all of this deprecated
@pytest.mark.parametrize("tools", [[], [TOOL]], ids=["answer", "function"])
def test_the_vendors_sdk_yields_the_same_events(api: Api, assistant: str, tools: Any) -> None:
    """The same bytes are told to both: what the emulator said once."""
    path = "/threads/" + api.thread("Größe 5 µm \u2028 🙂?") + "/runs"
    told = api.http.post(path, json={"assistant_id": assistant, "stream": True, "tools": tools}).content

    with event_server(lambda wire: wire.say(HEAD + told)) as server:
        with openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0) as sdk:
            events = list(sdk.beta.threads.runs.create("t", assistant_id="a", stream=True))
        with provider.connect(base_urls={"openai": server.url}, environ={"OPENAI_API_KEY": KEY}) as conn:
            rows = conn.execute(CREATE_RUN, ["t", streaming("a")]).fetchall()
    assert [row[0] for row in rows] == [event.event for event in events]
    assert [json.loads(row[1]) for row in rows] == [event.data.to_dict(mode="json") for event in events]
    assert len(rows) > 6


def test_the_text_of_a_run_comes_in_pieces(connection: Connect, api: Api, assistant: str) -> None:
    thread = api.thread("Tell me more.")
    sql = "EXEC /*+ STREAM */ openai.assistants.runs.create_run @thread_id=?, @assistant_id=?"
    cursor = connection().execute(sql, [thread, assistant])
    assert cursor.is_text
    pieces = [text for (text,) in cursor]
    assert len(pieces) > 1
    assert "".join(pieces) == "You said: Tell me more."
    assert cursor.message.endswith(": completed")


def test_a_query_reads_a_stream_to_its_end(connection: Connect, api: Api, assistant: str) -> None:
    conn, thread = connection(), api.thread("Tell me more.")
    sql = """
        SELECT string_agg(data->>'$.delta.content[0].text.value', '' ORDER BY position), max(position) > 10
        FROM (EXEC openai.assistants.runs.create_run @thread_id=?, @@json=?) WHERE event = 'thread.message.delta'"""
    assert conn.execute(sql, [thread, streaming(assistant)]).fetchall() == [("You said: Tell me more.", True)]
    sql = """SELECT string_agg(text, '')
        FROM (EXEC /*+ STREAM */ openai.assistants.runs.create_run @thread_id=?, @assistant_id=?)"""
    assert conn.execute(sql, [thread, assistant]).fetchall() == [("You said: Tell me more.",)]


def test_in_a_query_it_is_known_before_anything_is_read_whether_it_streams(
    connection: Connect, api: Api, assistant: str
) -> None:
    thread = api.thread()
    sql = f"""SELECT * FROM (EXEC openai.assistants.runs.create_run @thread_id='{thread}', @assistant_id='{assistant}',
        @stream=(SELECT count(*) = 1 FROM openai.assistants.threads WHERE thread_id = '{thread}'))"""
    with pytest.raises(NotSupportedError, match="must be known before anything is read"):
        connection().execute(sql)
    assert api.every(f"/threads/{thread}/runs") == []


def test_a_stream_that_is_not_the_scripts_last_statement_is_read_to_its_end(
    connection: Connect, api: Api, assistant: str
) -> None:
    thread = api.thread("Hi")
    rows = connection().execute(
        f"EXEC openai.assistants.runs.create_run @thread_id='{thread}', @assistant_id='{assistant}', @stream=true;"
        f"SELECT status FROM openai.assistants.runs WHERE thread_id='{thread}'"
    )
    assert rows.fetchall() == [("completed",)]


def test_other_statements_run_while_a_stream_is_open(connection: Connect, api: Api, assistant: str) -> None:
    conn = connection(max_concurrency=1)
    threads = [api.thread("Hi"), api.thread("Ho")]
    cursors = [conn.execute(CREATE_RUN, [thread, streaming(assistant)]) for thread in threads]
    seen: list[Any] = []
    for one, other in zip(*cursors, strict=True):
        if not seen:
            conn.execute("SET timeout = 30")  # for what is sent from here on
        seen.append((one[0], other[0]))
        assert conn.execute(
            "SELECT model FROM openai.assistants.assistants WHERE assistant_id=?", [assistant]
        ).fetchall()
    assert seen[-1] == ("thread.run.completed", "thread.run.completed")


def test_a_stream_becomes_arrow(connection: Connect, api: Api, assistant: str) -> None:
    table = connection().execute(CREATE_RUN, [api.thread("Hi"), streaming(assistant)]).arrow()
    assert [str(t) for t in table.schema.types] == ["string", "string", "int64", "string"]
    assert table.column("position").to_pylist() == list(range(1, table.num_rows + 1))


@pytest.mark.parametrize(
    ("sql", "kind", "said"),
    [
        (
            "INSERT INTO openai.assistants.runs (thread_id, assistant_id, stream) VALUES ('t', 'a', true)",
            NotSupportedError,
            "EXEC openai.assistants.runs.create_run does",
        ),
        (
            "EXEC /*+ AWAIT */ openai.assistants.runs.create_run @thread_id='t', @assistant_id='a', @stream=true",
            NotSupportedError,
            "a stream goes on until its end",
        ),
        (
            "EXEC /*+ STREAM */ openai.assistants.runs.cancel_run @thread_id='t', @run_id='r'",
            BindError,
            "Candidates: openai.assistants.threads.create_thread_and_run, openai.assistants.runs.create_run",
        ),
        (
            "EXEC /*+ STREAM */ openai.assistants.runs.create_run @thread_id='t' "
            '@@json=\'{"assistant_id": "a", "stream": false}\'',
            DataError,
            "does not answer with one",
        ),
    ],
)
def test_what_cannot_stream_is_refused_before_anything_is_sent(
    connection: Connect, emulator: Emulator, sql: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught:
        connection().execute(sql)
    assert said in str(caught.value)
    assert len(emulator.requests) == 0


def test_a_refusal_is_the_apis_own(connection: Connect, api: Api, assistant: str) -> None:
    with pytest.raises(ApiError) as caught:
        connection().execute(CREATE_RUN, [api.thread(), streaming("asst_none")])
    assert caught.value.status == 404
    assert "asst_none" in caught.value.detail


# --- against a server that says what a test wants ----------------------------------------------------

CREATE = "EXEC cloud.v1.jobs.create_job @name='x', @live=true"
FOLLOW = "EXEC cloud.v1.jobs.follow_job @job_id='j1'"


@contextmanager
def cloud(tmp_path: Path, script: Callable[[Wire], None], **options: Any) -> Iterator[tuple[Any, EventServer]]:
    """A connection to a provider with streams of all kinds, whose server follows a script."""
    with event_server(script) as server:
        file = tmp_path / "cloud.yaml"
        file.write_text(JOBS % server.url, encoding="utf-8")
        with provider.connect(manifests=[file], environ={}, **options) as conn:
            yield conn, server


def test_rows_come_before_the_next_event_is_sent(tmp_path: Path) -> None:
    read = [threading.Event() for _ in range(3)]

    def script(wire: Wire) -> None:
        wire.say(HEAD)
        for number, done in enumerate(read):
            wire.say(f"event: e\ndata: {number}\n\n")
            assert done.wait(10)
        wire.say("data: END\n\n")

    with cloud(tmp_path, script) as (conn, server):
        cursor = conn.execute(CREATE)
        for number, done in enumerate(read):
            assert cursor.fetchmany(100) == [("e", str(number), number + 1, None)]
            done.set()
        assert cursor.fetchmany(100) == []
        assert server.requests[0].header("accept") == "text/event-stream"


def test_a_get_streams_without_event_names_up_to_the_end_of_the_connection(tmp_path: Path) -> None:
    def script(wire: Wire) -> None:
        wire.say(
            HEAD
            + b'data: {"type": "start"}\n\nid: 7\ndata: {"type": "piece", "parts": [{"text": "a"}, {"text": "b"}]}\n\n'
        )
        wire.say(b"data: no JSON\n\n")

    with cloud(tmp_path, script) as (conn, server):
        assert conn.execute(FOLLOW).fetchall() == [
            ("start", '{"type": "start"}', 1, None),
            ("piece", '{"type": "piece", "parts": [{"text": "a"}, {"text": "b"}]}', 2, "7"),
            ("message", '"no JSON"', 3, "7"),
        ]
        assert conn.execute(FOLLOW.replace("EXEC", "EXEC /*+ STREAM */")).fetchall() == [("ab",)]
        assert [r.line for r in server.requests] == ["GET /jobs/j1/events"] * 2


def test_closing_the_cursor_ends_the_request_at_once(tmp_path: Path) -> None:
    gone = threading.Event()
    left: list[float] = []
    before: dict[str, float] = {}

    def script(wire: Wire) -> None:
        wire.say(HEAD + b"data: 1\n\n")
        if wire.left(10):
            left.append(time.monotonic() - waited_since(before))
        gone.set()

    with cloud(tmp_path, script) as (conn, _):
        cursor = conn.execute(FOLLOW)
        assert len(cursor.fetchmany(10)) == 1
        before.update(kept_waiting())
        started = time.monotonic()
        cursor.close()
        assert gone.wait(5)
        assert left[0] - started < 0.1


@pytest.mark.parametrize("way", ["cancel", "ctrl-c", "statement_timeout", "close"])
def test_a_reader_that_waits_is_stopped(tmp_path: Path, way: str) -> None:
    gone, begun = threading.Event(), threading.Event()

    def script(wire: Wire) -> None:
        wire.say(HEAD + b'event: job\ndata: {"id": "j1", "state": "busy"}\n\n')
        begun.set()
        if wire.left(10):
            gone.set()

    options = {"statement_timeout": 0.4} if way == "statement_timeout" else {}
    with cloud(tmp_path, script, **options) as (conn, _):
        cursor = conn.execute(CREATE)
        assert len(cursor.fetchmany(10)) == 1
        assert begun.wait(5)
        if way == "close":
            conn.close()
        else:
            if way != "statement_timeout":
                stop = cursor.cancel if way == "cancel" else lambda: os.kill(os.getpid(), signal.SIGINT)
                threading.Timer(0.2, stop).start()
            with pytest.raises(Timeout if way == "statement_timeout" else Cancelled) as caught:
                cursor.fetchmany(10)
            assert "1 event came before. The last that they say: j1: busy." in str(caught.value)
            assert "goes on at the server" in str(caught.value)
            assert "SELECT * FROM cloud.v1.jobs WHERE job_id = 'j1'" in str(caught.value)
        assert gone.wait(5)


def test_an_error_event_is_an_error_behind_the_rows_before_it(tmp_path: Path) -> None:
    def script(wire: Wire) -> None:
        wire.say(HEAD + b'event: job\ndata: {"id": "j1", "state": "busy"}\n\n')
        wire.say(b'event: trouble\ndata: {"words": "it burns", "number": 7}\n\nevent: e\ndata: 3\n\n')

    with cloud(tmp_path, script) as (conn, _):
        cursor = conn.execute(CREATE)
        rows: list[Any] = []
        with pytest.raises(ApiError) as caught:
            rows.extend(cursor)
        assert len(rows) == 1
        assert (caught.value.code, caught.value.detail) == ("7", "it burns")
        assert "The last that they say: j1: busy" in caught.value.reason


def test_data_with_an_error_in_it_is_an_error(tmp_path: Path) -> None:
    def script(wire: Wire) -> None:
        wire.say(HEAD + b'data: {"error": null}\n\ndata: {"error": {"message": "no more"}}\n\n')

    with cloud(tmp_path, script) as (conn, _), pytest.raises(ApiError) as caught:
        conn.execute(FOLLOW).fetchall()
    assert caught.value.detail == "no more"
    assert "1 event came before" in caught.value.reason


@pytest.mark.parametrize("end", ["close", "reset", "half"])
def test_a_stream_without_its_end_was_lost(tmp_path: Path, end: str) -> None:
    def script(wire: Wire) -> None:
        wire.say(HEAD + b'event: job\ndata: {"id": "j1", "state": "busy"}\n\n')
        if end == "half":
            wire.say(b"data: E")
        if end == "reset":
            assert read.wait(5)
            wire.reset()

    read = threading.Event()
    with cloud(tmp_path, script) as (conn, _):
        cursor = conn.execute(CREATE)
        assert cursor.fetchone() is not None
        read.set()
        with pytest.raises(TransportError) as caught:
            cursor.fetchall()
        said = str(caught.value)
        assert "1 event came before. The last that they say: j1: busy. It goes on at the server." in said
        assert "SELECT * FROM cloud.v1.jobs WHERE job_id = 'j1'" in said


def test_a_lost_write_of_which_no_event_has_told_is_an_unknown_outcome(tmp_path: Path) -> None:
    with cloud(tmp_path, lambda wire: wire.say(HEAD + b"event: e\ndata: 1\n\n")) as (conn, server):
        with pytest.raises(OutcomeUnknown) as caught:
            conn.execute(CREATE).fetchall()
        assert "1 event came before. None of them tells what was begun." in str(caught.value)
        assert len(server.requests) == 1


def test_a_read_that_ends_within_an_event_was_lost(tmp_path: Path) -> None:
    with cloud(tmp_path, lambda wire: wire.say(HEAD + b"data: 1\n\ndata: 2\n")) as (conn, _):
        cursor = conn.execute(FOLLOW)
        assert len(cursor.fetchmany(10)) == 1
        with pytest.raises(TransportError, match="within an event"):
            cursor.fetchall()


def test_the_end_counts_without_its_blank_line(tmp_path: Path) -> None:
    with cloud(tmp_path, lambda wire: wire.say(HEAD + b"data: 1\n\ndata: END")) as (conn, _):
        assert len(conn.execute(CREATE).fetchall()) == 1


def test_a_silent_stream_is_a_timeout(tmp_path: Path) -> None:
    def script(wire: Wire) -> None:
        wire.say(HEAD + b"data: 1\n\n")
        wire.left(10)

    with cloud(tmp_path, script, timeout=0.5) as (conn, _):
        cursor = conn.execute(FOLLOW)
        assert cursor.fetchone() is not None
        with pytest.raises(Timeout, match="timed out") as caught:
            cursor.fetchone()
        assert "1 event came before" in str(caught.value)


def test_what_is_no_stream_is_an_error(tmp_path: Path) -> None:
    with cloud(tmp_path, lambda wire: wire.answer('{"id": "j1"}')) as (conn, _):
        with pytest.raises(ApiError, match="not answered with a stream of events") as caught:
            conn.execute(CREATE)
        assert "application/json" in caught.value.reason
        assert caught.value.detail == '{"id": "j1"}'


def test_a_refused_stream_is_asked_for_again_and_a_write_that_failed_is_not(tmp_path: Path) -> None:
    left = ["429 Too Many Requests", "503 Service Unavailable"]

    def script(wire: Wire) -> None:
        if left:
            wire.answer('{"error": {"message": "later"}}', left.pop(0))
        else:
            wire.say(HEAD + b"data: 1\n\ndata: END\n\n")

    with cloud(tmp_path, script, retry_seconds=5) as (conn, server):
        with pytest.raises(OutcomeUnknown, match="answered 503"):
            conn.execute(CREATE)
        assert len(server.requests) == 2
        left.append("503 Service Unavailable")
        assert len(conn.execute(FOLLOW.replace("follow", "return_to")).fetchall()) == 1
        assert len(server.requests) == 4


def test_a_clients_own_connections_stream_too(tmp_path: Path) -> None:
    turn = threading.Event()

    def script(wire: Wire) -> None:
        wire.say(HEAD + b"data: 1\n\n")
        assert turn.wait(10)
        wire.say(b"data: 2\n\n")

    with cloud(tmp_path, script, http_client=httpx.AsyncClient()) as (conn, _):
        cursor = conn.execute(FOLLOW)
        assert len(cursor.fetchmany(10)) == 1
        turn.set()
        assert len(cursor.fetchall()) == 1


def test_a_stream_that_is_not_what_was_asked_for_shows_no_secret(tmp_path: Path) -> None:
    key = "sk-a-key-that-nobody-may-see"
    with event_server(lambda wire: wire.answer(json.dumps({"you sent": wire.head}))) as server:
        environ, base_urls = {"OPENAI_API_KEY": key}, {"openai": server.url}
        with provider.connect(base_urls=base_urls, environ=environ) as conn, pytest.raises(ApiError) as caught:
            conn.execute(CREATE_RUN, ["t", streaming("a")])
    assert "you sent" in caught.value.detail
    assert key not in str(caught.value)


def test_a_stream_that_can_be_resumed_goes_on_behind_the_last_event(tmp_path: Path) -> None:
    def by_count(wire: Wire) -> None:
        wire.say(HEAD + b"retry: 1\n\n")
        behind = int(wire.line.partition("?behind=")[2] or 0)
        for number in range(behind, min(behind + 3, 7)):
            wire.say(f"data: {number}\n\n")
        if behind + 3 < 7:
            wire.say("data: ha")  # lost in the middle of an event

    def by_id(wire: Wire) -> None:
        behind = int(wire.header("last-event-id") or 0)
        wire.say(HEAD + b"retry: 1\n")
        for number in range(behind + 1, min(behind + 3, 7)):
            wire.say(f"id: {number}\ndata: {number}\n\n")
        wire.say("data: END\n\n" if behind + 3 >= 7 else "id: 99\ndata: ha")

    def script(wire: Wire) -> None:
        (by_count if "/more" in wire.line else by_id)(wire)

    with cloud(tmp_path, script) as (conn, server):
        rows = conn.execute("EXEC cloud.v1.jobs.resume_job @job_id='j1'").fetchall()
        assert [(r[1], r[2]) for r in rows] == [(str(n), n + 1) for n in range(7)]
        assert [r.line for r in server.requests][1:] == ["GET /jobs/j1/more?behind=3", "GET /jobs/j1/more?behind=6"]
        server.requests.clear()
        rows = conn.execute("EXEC cloud.v1.jobs.return_to_job @job_id='j1'").fetchall()
        assert [r[3] for r in rows] == [str(n) for n in range(1, 7)]
        assert [r.header("last-event-id") for r in server.requests] == [None, "2", "4"]


def test_a_stream_is_not_taken_up_again_for_ever(tmp_path: Path) -> None:
    with cloud(tmp_path, lambda wire: wire.say(HEAD + b"retry: 1\n\n")) as (conn, server):
        with pytest.raises(TransportError, match="before its end, END"):
            conn.execute("EXEC cloud.v1.jobs.return_to_job @job_id='j1'").fetchall()
        assert len(server.requests) == 6


def test_a_long_stream_is_never_in_memory(tmp_path: Path) -> None:
    events, size = 3_000, 10_000
    piece = "data: " + "x" * size + "\n\n"

    def script(wire: Wire) -> None:
        wire.say(HEAD)
        for _ in range(events):
            wire.say(piece)

    with cloud(tmp_path, script) as (conn, _):
        cursor = conn.execute(FOLLOW)
        cursor.fetchone()
        tracemalloc.start()
        count = sum(1 for _ in cursor)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == events - 1
        assert peak < 0.2 * events * size


def test_a_failed_operation_is_an_error_where_only_its_text_is_read(tmp_path: Path) -> None:
    def script(wire: Wire) -> None:
        wire.say(HEAD + b'event: piece\ndata: {"parts": {"text": "so"}}\n\n')
        wire.say(b'event: job\ndata: {"id": "j1", "state": "broken", "why": "no power"}\n\ndata: END\n\n')

    with cloud(tmp_path, script) as (conn, _):
        cursor = conn.execute("EXEC /*+ STREAM */ cloud.v1.jobs.create_job @name='x'")
        assert cursor.fetchone() == ("so",)
        with pytest.raises(ApiError, match="j1 ended as broken") as caught:
            cursor.fetchone()
        assert caught.value.detail == "no power"
        cursor = conn.execute(CREATE)
        assert len(cursor.fetchall()) == 2
        assert cursor.message == "j1: broken"
