"""Whatever a statement is doing, Ctrl-C and `cursor.cancel()` end it within 100 ms, and nothing of it is left.

The 100 ms are ApiQL's own: for what a busy machine adds, the time is granted in which the kernel says that threads of
this process were ready to run and had no core.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

import provider
from provider.errors import Cancelled, PartlyDone
from tests.engine.stalling import Stalling, kept_waiting, stalling, until, waited_since

SECONDS = 0.1
ENVIRON = {"OPENAI_API_KEY": "not-a-real-key", "ID": "app", "SECRET": "s3cret"}
THREAD = "SELECT id FROM openai.assistants.threads WHERE id = "
LONG = "range(10000000) AS a(x), range(100000) AS b(y) WHERE x + y = -1"
NEW_RUN = "openai.assistants.runs (thread_id, assistant_id) VALUES ('t', 'a')"

MANIFEST = """
provider: slow
base_url: {{default: '{url}'}}
auth: {auth}
limits: {{account: {{requests: 1, per: hour}}}}
pagination:
  pages: {{kind: page_number, param: page, ends: total, total: $.total, size: {{param: size, max: 100}}}}
---
service: s
resources:
  pages:
    key: {{id: page_id}}
    fields: {{id: {{type: string}}}}
    methods:
      get_page: {{sql: SELECT, http: 'GET /pages/{{page_id}}'}}
      list_pages: {{sql: SELECT, http: GET /pages, rows: $.data, paginate: pages}}
"""
UNLIMITED = MANIFEST.replace("requests: 1, per: hour", "in_flight: 1000")
TOKEN = "{type: oauth2_client_credentials, token_url: /silent, client_id_env: ID, client_secret_env: SECRET}"


@dataclass(frozen=True)
class State:
    """A statement, and how one sees from outside what it is doing."""

    sql: str
    when: Callable[[Stalling, Any], object]
    options: dict[str, Any] = field(default_factory=dict)
    manifest: str = UNLIMITED
    auth: str = "{type: none}"
    #: What is asked next on the same connection.
    then: str = THREAD + "'there'"


def waits_for(reason: str) -> Callable[[Stalling, Any], object]:
    return lambda server, conn: conn._gateway._client is not None and conn._gateway._client.traffic.waiting[reason]


def asked(server: Stalling, conn: Any) -> object:
    return server.waiting


def begun(server: Stalling, conn: Any) -> object:
    return server.begun


def answered(server: Stalling, conn: Any) -> object:
    return server.answered


def computes() -> bool:
    """Whether one thread of this process did nothing but compute for a tenth of a second."""
    before, began = time.process_time(), time.monotonic()
    while time.monotonic() < began + 0.1:
        time.sleep(0.01)
    return time.process_time() - before > 0.08


STATES = {
    "waiting for headers": State(THREAD + "'silent'", asked),
    "in the middle of a body": State(THREAD + "'half'", begun),
    "in the middle of a file": State("SELECT content FROM openai.files.content WHERE file_id = 'f'", begun),
    "between repetitions": State(
        THREAD + "'failing'", lambda s, c: s.answered > 2 and waits_for("backoff")(s, c), {"retries": 99}
    ),
    "in a pause that the API wants": State(THREAD + "'later'", waits_for("retry_after"), then="SELECT 1"),
    "in line for a budget": State(
        "SELECT id FROM slow.s.pages WHERE id IN ('a', 'b', 'c')", waits_for("limit"), manifest=MANIFEST
    ),
    "while pages follow each other": State(
        "SELECT count(*) FROM openai.assistants.messages WHERE thread_id = 'endless'", lambda s, c: s.answered > 5
    ),
    "with many pages asked for": State("SELECT count(*) FROM slow.s.pages", lambda s, c: s.waiting == 16),
    "with 64 in flight": State(
        "SELECT id FROM slow.s.pages WHERE id IN (SELECT i || '.silent' FROM range(200) AS r(i))",
        lambda s, c: s.waiting == 64,
        {"max_concurrency": 64},
    ),
    "before DuckDB joins": State(f"SELECT count(*) FROM {LONG}", lambda s, c: True),
    "while DuckDB joins": State(f"SELECT count(*) FROM {LONG}", lambda s, c: computes()),
    "while DuckDB joins what was read": State(
        f"SELECT count(*) FROM openai.assistants.threads AS t, {LONG} AND t.id = 'there'",
        lambda s, c: answered(s, c) and computes(),
    ),
    "while a stream says nothing": State(
        "EXEC openai.assistants.runs.create_run @thread_id='t', @assistant_id='a', @stream=true", begun
    ),
    "between two looks at an operation": State(
        f"INSERT /*+ AWAIT */ INTO {NEW_RUN}", lambda s, c: s.answered > 1 and not s.waiting
    ),
    "while a write is not answered": State(
        "DELETE FROM openai.assistants.threads WHERE thread_id = 'silent'", asked
    ),
    "while TLS is agreed on": State(
        "SELECT id FROM slow.s.pages WHERE id = 'a'", asked, manifest=UNLIMITED.replace("{url}", "{secure_url}")
    ),
    "while a token is asked for": State("SELECT id FROM slow.s.pages WHERE id = 'a'", asked, auth=TOKEN),
    "while a program looks for a key": State(
        "SELECT id FROM slow.s.pages WHERE id = 'a'",
        lambda s, c: c._gateway._client is not None and tasks(c),
        {"environ": {**ENVIRON, "KEY_COMMAND": "sleep 600"}},
        auth="{type: bearer, env: KEY}",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def a_first_parameter() -> None:
    """DuckDB imports pandas, where it is there, with the first parameter of a process; nothing can stop that."""
    duckdb.execute("SELECT ?", [1])


@pytest.fixture
def server() -> Iterator[Stalling]:
    with stalling() as running:
        yield running


def connect(folder: Path, server: Stalling, state: State) -> provider.Connection:
    file = folder / "slow.yaml"
    secure = server.base_url.replace("http:", "https:")
    text = state.manifest.format(url=server.base_url, secure_url=secure, auth=state.auth)
    file.write_text(text, encoding="utf-8")
    options = {"environ": ENVIRON, **state.options}
    return provider.connect(manifests=[file], base_urls={"openai": server.base_url}, **options)


def tasks(conn: Any) -> set[str]:
    """What still runs on the connection's event loop, but for the question itself."""

    async def others() -> set[str]:
        return {repr(t) for t in asyncio.all_tasks() if t is not asyncio.current_task()}

    found: set[str] = conn._gateway._loop.submit(others()).result()
    return found


def interrupt(cursor: Any) -> None:
    """What Ctrl-C does to the main thread."""
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


def stop(conn: Any, server: Stalling, state: State, how: Callable[[Any], None]) -> tuple[float, float]:
    """Run a statement and stop it in its state: seconds until it raised, and until the server knew, without those
    that the machine added."""
    cursor = conn.cursor()
    stopped_at: list[float] = []
    before: dict[str, float] = {}

    def act() -> None:
        until(lambda: cursor._watch is not None and cursor._watch._running and state.when(server, conn))
        before.update(kept_waiting())
        stopped_at.append(time.monotonic())
        how(cursor)

    actor = threading.Thread(target=act)
    actor.start()
    with pytest.raises((KeyboardInterrupt, Cancelled, PartlyDone)):
        cursor.execute(state.sql).fetchall()
    raised = time.monotonic() - stopped_at[0]
    waited = waited_since(before)
    actor.join()
    until(lambda: not server.waiting)
    return raised - waited, max(0.0, server.calm_at - stopped_at[0]) - waited


@pytest.mark.parametrize("how", [interrupt, lambda cursor: cursor.cancel()], ids=["ctrl-c", "cancel"])
@pytest.mark.parametrize("name", STATES)
def test_it_stops_within_100_ms(tmp_path: Path, server: Stalling, name: str, how: Callable[[Any], None]) -> None:
    state = STATES[name]
    with connect(tmp_path, server, state) as conn:
        raised, seen = stop(conn, server, state, how)
        assert raised < SECONDS
        assert seen < SECONDS
        assert tasks(conn) == set()
        assert len(conn.execute(state.then).fetchall()) == 1


def test_a_stream_that_is_stopped_between_execute_and_its_first_row_is_closed(tmp_path: Path, server: Stalling) -> None:
    state = STATES["while a stream says nothing"]
    with connect(tmp_path, server, state) as conn:
        cursor: Any = conn.execute(state.sql)
        with cursor._watch:  # the last moment of `execute`
            cursor.cancel()
        with pytest.raises(Cancelled):
            cursor.fetchone()
        until(lambda: not server.waiting)
        assert tasks(conn) == set()
