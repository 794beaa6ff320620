"""AWAIT looks at what a write has begun until it has ended, says how it stands, and never says that it ended if not."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import provider
from provider.catalog.waiting import Await
from provider.emulator import Emulator
from provider.engine.waiting import pauses
from provider.errors import ApiError, BindError, Cancelled, PartlyDone, Timeout
from tests.conftest import Api, Connect
from tests.rest.webserver import Reply, Seen, WebServer, web_server

AWAITED = "INSERT /*+ AWAIT */ INTO openai.assistants.runs (thread_id, assistant_id) VALUES (?, ?) RETURNING id, status"
FUNCTIONS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("one", "two")]


@pytest.fixture
def assistant(api: Api) -> str:
    return str(api.post("/assistants", {"model": "m"})["id"])


# --- against the emulator ---------------------------------------------------------------------------


def test_the_object_at_the_end_is_returned(connection: Connect, api: Api, assistant: str) -> None:
    lines: list[str] = []
    thread = api.thread("Hi")
    cursor = connection(waiting=lines.append).execute(AWAITED.replace("id, status", "*"), [thread, assistant])
    run = dict(zip([d[0] for d in cursor.description], cursor.fetchone(), strict=True))
    assert run["status"] == "completed"
    assert json.loads(run["usage"]) == api.get(f"/threads/{thread}/runs/{run['id']}")["usage"]
    assert cursor.message == f"INSERT 1; {run['id']}: completed"
    assert lines[0] == f"{run['id']}: queued, 0 s elapsed"
    assert lines[-1].startswith(f"{run['id']}: completed, ")


def test_a_run_that_wants_outputs_says_how_to_give_them(connection: Connect, api: Api, assistant: str) -> None:
    conn, thread = connection(), api.thread("Hi")
    sql = AWAITED.replace("assistant_id)", "assistant_id, tools)").replace("(?, ?)", "(?, ?, ?)")
    cursor = conn.execute(sql, [thread, assistant, json.dumps(FUNCTIONS)])
    ((run, status),) = cursor.fetchall()
    assert status == "requires_action"
    calls = api.get(f"/threads/{thread}/runs/{run}")["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = json.dumps([{"tool_call_id": c["id"], "output": "..."} for c in calls])
    assert cursor.message.splitlines() == [
        f"INSERT 1; {run}: requires_action. It waits for",
        f"  {calls[0]['id']}: one({calls[0]['function']['arguments']})",
        f"  {calls[1]['id']}: two({calls[1]['function']['arguments']})",
        "Give the outputs with",
        f"  EXEC /*+ AWAIT */ openai.assistants.runs.submit_tool_outputs @thread_id='{thread}', @run_id='{run}' "
        f"@@json='{{\"tool_outputs\": {outputs}}}'",
    ]
    # What is printed runs as it is, and waits for the end.
    cursor = conn.execute(cursor.message.splitlines()[-1])
    row = dict(zip([d[0] for d in cursor.description], cursor.fetchone(), strict=True))
    assert (row["id"], row["status"], cursor.message) == (run, "completed", f"EXEC; {run}: completed")


def test_several_operations_are_waited_for_at_the_same_time(
    connection: Connect, api: Api, assistant: str, emulator: Emulator
) -> None:
    threads = [api.thread("Hi") for _ in range(6)]
    lines: list[str] = []
    conn = connection(waiting=lines.append)
    conn.execute("CREATE TABLE t AS SELECT unnest(?) AS id", [threads])
    emulator.requests.clear()
    cursor = conn.execute(
        "INSERT /*+ AWAIT */ INTO openai.assistants.runs (thread_id, assistant_id) SELECT id, ? FROM t "
        "RETURNING status",
        [assistant],
    )
    assert cursor.fetchall() == [("completed",)] * 6
    assert cursor.message == "INSERT 6"
    looks = [r.path for r in emulator.requests if r.method == "GET"]
    assert set(looks[:6]) == set(looks)  # each is looked at before any is looked at again
    assert lines[-1].startswith("6 of 6 ended; run_")


def test_a_statement_that_is_partly_done_says_that_nothing_was_waited_for(
    connection: Connect, api: Api, assistant: str
) -> None:
    sql = "INSERT /*+ AWAIT */ INTO openai.assistants.runs (thread_id, assistant_id) SELECT unnest($t), $a"
    with pytest.raises(PartlyDone) as stopped:
        connection(on_error="continue").execute(sql, {"t": [api.thread("one"), "thread_none"], "a": assistant})
    assert "Done: 1. Refused: 1 (row 2)." in stopped.value.reason
    assert stopped.value.reason.endswith("goes on at the server, and was not waited for.")


def test_a_thread_and_run_is_waited_for_by_its_run(connection: Connect, assistant: str) -> None:
    sql = "SELECT status FROM (EXEC /*+ AWAIT */ openai.assistants.threads.create_thread_and_run @assistant_id=?)"
    assert connection().execute(sql, [assistant]).fetchall() == [("completed",)]


def test_a_run_that_fails_is_an_error_with_the_apis_words(connection: Connect, api: Api, assistant: str) -> None:
    sql = AWAITED.replace("assistant_id)", "assistant_id, max_prompt_tokens)").replace("(?, ?)", "(?, ?, 256)")
    with pytest.raises(ApiError, match=r"run_\w+ ended as incomplete") as caught:
        connection().execute(sql, [api.thread("word " * 1000), assistant])
    assert caught.value.detail == "max_prompt_tokens"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT /*+ AWAIT */ INTO openai.assistants.threads (metadata) VALUES ('{}')",
        "UPDATE /*+ AWAIT */ openai.assistants.threads SET metadata = '{}' WHERE thread_id = 't'",
        "DELETE /*+ AWAIT */ FROM openai.assistants.threads WHERE thread_id = 't'",
        "EXPLAIN EXEC /*+ AWAIT */ openai.assistants.threads.create_thread",
    ],
)
def test_what_begins_nothing_is_refused_with_what_does(connection: Connect, emulator: Emulator, sql: str) -> None:
    with pytest.raises(BindError, match="begins nothing that can be waited for") as caught:
        connection().execute(sql)
    assert "openai.assistants.runs.create_run, " in caught.value.remedy
    assert len(emulator.requests) == 0


# --- against a server that says what a test wants ----------------------------------------------------

MANIFEST = """
provider: cloud
base_url: {default: '%s'}
errors: {message: $.error}
---
service: v1
resources:
  machines:
    key: {id: machine_id}
    fields: {id: {type: string}, state: {type: string}}
    methods:
      get_machine: {sql: SELECT, http: 'GET /zones/{zone}/machines/{machine_id}'}
      create_machine:
        sql: INSERT
        http: POST /zones/{zone}/machines
        body: {name: {}}
        await: &await
          method: cloud.v1.machines.get_machine
          parameters: {machine_id: $.id}
          state: $.state
          done: [up]
          failed: [dead]
          error: [$.nothing, $.why]
          code: $.number
          interval: 0.05
          max_interval: 0.1
          deadline: 1
      stop_machine:
        sql: UPDATE
        http: PATCH /zones/{zone}/machines/{machine_id}
        body: {state: {}}
        await: {<<: *await, done: [off]}
      delete_machine:
        sql: DELETE
        http: DELETE /zones/{zone}/machines/{machine_id}
        await: {<<: *await, done: [], gone: done}
"""
START = "INSERT /*+ AWAIT */ INTO cloud.v1.machines (zone, name) VALUES ('a b', 'x') RETURNING id, state"


@contextmanager
def cloud(
    tmp_path: Path, answer: Callable[[Seen], Reply], rule: str = "", **options: Any
) -> Iterator[tuple[Any, WebServer]]:
    """A connection to a provider with machines; `rule` replaces lines of its `await` (key: value)."""
    with web_server(answer) as server:
        text = MANIFEST % server.url
        key = rule.partition(":")[0]
        lines = [
            f"          {rule}" if rule and line.strip().startswith(f"{key}:") else line for line in text.splitlines()
        ]
        file = tmp_path / "cloud.yaml"
        file.write_text("\n".join(lines), encoding="utf-8")
        with provider.connect(manifests=[file], environ={}, **options) as conn:
            yield conn, server


def states(*names: str, **more: Any) -> Callable[[Seen], Reply]:
    """Answers with one state after the other, the last one for ever."""
    left = list(names)

    def answer(request: Seen) -> Reply:
        state = left.pop(0) if len(left) > 1 else left[0]
        return Reply(200 if request.method == "GET" else 202, {"id": "m1", "state": state, **more})

    return answer


def test_what_the_object_lacks_is_taken_from_the_first_call(tmp_path: Path) -> None:
    with cloud(tmp_path, states("new", "new", "up")) as (conn, server):
        assert conn.execute(START).fetchall() == [("m1", "up")]
        assert [f"{r.method} {r.target}" for r in server.requests] == [
            "POST /zones/a%20b/machines",
            "GET /zones/a%20b/machines/m1",
            "GET /zones/a%20b/machines/m1",
        ]


def test_an_answer_that_is_the_end_is_not_looked_at_again(tmp_path: Path) -> None:
    with cloud(tmp_path, states("up")) as (conn, server):
        assert conn.execute(START).fetchall() == [("m1", "up")]
        assert len(server.requests) == 1


def test_a_change_is_waited_for(tmp_path: Path) -> None:
    sql = (
        "UPDATE /*+ AWAIT */ cloud.v1.machines SET state = 'off' WHERE zone = 'z' AND machine_id = 'm1' RETURNING state"
    )
    with cloud(tmp_path, states("stopping", "stopping", "off")) as (conn, _):
        assert conn.execute(sql).fetchall() == [("off",)]


def test_a_delete_with_an_empty_answer_is_waited_for_until_the_object_is_gone(tmp_path: Path) -> None:
    looks: list[str] = []

    def answer(request: Seen) -> Reply:
        if request.method == "DELETE":
            return Reply(204, b"")
        looks.append(request.target)
        return Reply(404, {"error": "no such machine"}) if len(looks) == 3 else Reply(200, {"id": "m1", "state": "?"})

    with cloud(tmp_path, answer) as (conn, _):
        # The manifest says that a 404 means that there is no such object.
        file = tmp_path / "cloud.yaml"
        file.write_text(file.read_text().replace("errors:", "answers: [{status: [404], means: no_rows}]\nerrors:"))
        cursor = conn.execute("DELETE /*+ AWAIT */ FROM cloud.v1.machines WHERE zone = 'z' AND machine_id = 'm1'")
        assert cursor.message == "DELETE 1; m1: gone"
        assert looks == ["/zones/z/machines/m1"] * 3


def test_a_failure_is_an_error_with_code_and_words(tmp_path: Path) -> None:
    with cloud(tmp_path, states("new", "dead", why="no power", number=7)) as (conn, _):
        with pytest.raises(ApiError) as caught:
            conn.execute(START)
        assert str(caught.value).splitlines()[0] == "m1 ended as dead"
        assert (caught.value.code, caught.value.detail) == ("7", "no power")


def test_of_several_that_fail_it_is_said_how_many_are_done(tmp_path: Path) -> None:
    def answer(request: Seen) -> Reply:
        name = json.loads(request.body)["name"] if request.body else request.path[-1]
        return Reply(200, {"id": name, "state": "new" if request.body else {"1": "up", "2": "dead", "3": "up"}[name]})

    sql = START.replace("VALUES ('a b', 'x')", "SELECT 'z', i::VARCHAR FROM range(1, 4) r(i)")
    with cloud(tmp_path, answer) as (conn, _):
        with pytest.raises(ApiError, match="2 ended as dead") as caught:
            conn.execute(sql)
        assert "Of 3 operations 2 are done." in str(caught.value)


def test_the_deadline_ends_the_waiting_and_says_how_to_look(tmp_path: Path) -> None:
    with cloud(tmp_path, states("new"), "deadline: 0.3") as (conn, server):
        with pytest.raises(Timeout, match=r"m1: new after 0.3 s") as caught:
            conn.execute(START)
        assert "goes on at the server" in caught.value.reason
        assert "SELECT * FROM cloud.v1.machines WHERE zone = 'a b' AND machine_id = 'm1'" in caught.value.remedy
        assert 3 <= len(server.requests) <= 7


@pytest.mark.parametrize("way", ["cancel", "statement_timeout", "ctrl-c"])
def test_stopping_stops_the_waiting_and_not_the_operation(tmp_path: Path, way: str) -> None:
    polled = threading.Event()

    def answer(request: Seen) -> Reply:
        if request.method == "GET":
            polled.set()
        return Reply(200, {"id": "m1", "state": "new"})

    options = {"statement_timeout": 0.4} if way == "statement_timeout" else {}
    with cloud(tmp_path, answer, "deadline: 60", **options) as (conn, server):
        cursor = conn.cursor()

        def stop() -> None:
            assert polled.wait(5)
            if way == "cancel":
                cursor.cancel()
            else:
                os.kill(os.getpid(), signal.SIGINT)

        stopper = threading.Thread(target=stop)
        if way != "statement_timeout":
            stopper.start()
        with pytest.raises(Timeout if way == "statement_timeout" else Cancelled) as caught:
            cursor.execute(START)
        if way != "statement_timeout":
            stopper.join()
        said = str(caught.value)
        assert "m1: new. Nothing was cancelled: what was begun goes on at the server." in said
        assert "SELECT * FROM cloud.v1.machines WHERE zone = 'a b' AND machine_id = 'm1'" in said
        assert {r.method for r in server.requests} == {"POST", "GET"}
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_the_server_says_when_to_look_again(tmp_path: Path) -> None:
    looked: list[float] = []

    def answer(request: Seen) -> Reply:
        if request.method == "POST":
            return Reply(200, {"id": "m1", "state": "new"})
        looked.append(len(looked))
        return Reply(200, {"id": "m1", "state": "up" if len(looked) == 2 else "new"}, {"Retry-After": "2"})

    with cloud(tmp_path, answer) as (conn, _):
        # Two seconds are more than the deadline leaves: nothing is asked before they are over.
        with pytest.raises(Timeout):
            conn.execute(START)
        assert len(looked) == 1


def test_a_look_that_fails_says_that_the_operation_goes_on(tmp_path: Path) -> None:
    def answer(request: Seen) -> Reply:
        return Reply(200, {"id": "m1", "state": "new"}) if request.method == "POST" else Reply(400, {"error": "no"})

    with cloud(tmp_path, answer) as (conn, _):
        with pytest.raises(ApiError) as caught:
            conn.execute(START)
        assert caught.value.detail == "no"
        assert "goes on at the server" in caught.value.remedy
        assert caught.value.place is not None


def test_each_pause_is_longer_up_to_the_longest() -> None:
    rule = Await(method="a.b.c.d", state="$.s", done=["x"], interval=1, max_interval=3)
    found = pauses(rule)
    assert [next(found) for _ in range(5)] == [1, 1.5, 2.25, 3, 3]
