"""Ctrl-C, `cursor.cancel()` and `statement_timeout`: what runs is stopped at once, and everything stays usable."""

from __future__ import annotations

import asyncio
import signal
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

import provider
from provider.catalog.catalog import Field
from provider.catalog.types import FieldType
from provider.emulator import Emulator
from provider.engine.tables import NUMBER, Share, StagedTable
from provider.errors import Cancelled, PartlyDone, Timeout
from tests.engine.stalling import kept_waiting, waited_since

LONG_JOIN = "SELECT count(*) FROM range(10000000) AS a(x), range(100000) AS b(y) WHERE x + y = -1"
MANY_THREADS = "SELECT t.id FROM openai.assistants.threads t WHERE t.id IN (SELECT 'thread_' || i FROM range(500) r(i))"


class Silent(socketserver.ThreadingTCPServer):
    """A server that takes requests and never answers; `requests` that came, and connections `open` now."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Silence)
        self.requests = self.open = 0
        self.lock = threading.Lock()
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Silence(socketserver.BaseRequestHandler):
    server: Silent

    def handle(self) -> None:
        with self.server.lock:
            self.server.open += 1
        while self._received():
            with self.server.lock:
                self.server.requests += 1
        with self.server.lock:
            self.server.open -= 1

    def _received(self) -> bytes:
        try:
            return bytes(self.request.recv(65536))
        except ConnectionError:
            return b""


@pytest.fixture
def slow() -> Iterator[Silent]:
    with Silent() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def conn(slow: Silent) -> Iterator[provider.Connection]:
    with connect(slow) as opened:
        yield opened


def connect(slow: Silent, **options: Any) -> provider.Connection:
    environ = {"OPENAI_API_KEY": "not-a-real-key"}
    return provider.connect(base_urls={"openai": slow.base_url}, environ=environ, **options)


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds that another thread brings about."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def interrupt() -> None:
    """What Ctrl-C does to the main thread."""
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


def later(holds: Callable[[], object], act: Callable[[], None]) -> threading.Thread:
    """A thread that acts as soon as something holds."""

    def run() -> None:
        until(holds)
        act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def tasks(conn: provider.Connection) -> set[str]:
    """What still runs on the connection's event loop, but for the question itself."""

    async def others() -> set[str]:
        return {repr(t) for t in asyncio.all_tasks() if t is not asyncio.current_task()}

    return conn._gateway._loop.submit(others()).result()


def stopped(conn: provider.Connection, sql: str, when: Callable[[], object]) -> tuple[BaseException | None, float]:
    """Run a statement in a thread and cancel it; what it raised, and how long that took."""
    cursor = conn.cursor()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            cursor.execute(sql).fetchall()
        except BaseException as e:
            raised.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: cursor._watch is not None and cursor._watch._running and when())
    before, began = kept_waiting(), time.monotonic()
    cursor.cancel()
    thread.join(10)
    return (raised[0] if raised else None), time.monotonic() - began - waited_since(before)


def test_cancel_stops_requests_in_flight(conn: Any, slow: Silent) -> None:
    error, seconds = stopped(conn, MANY_THREADS, lambda: slow.requests >= 16)
    assert isinstance(error, Cancelled)
    assert "Requests sent: " in error.reason or error.reason == "Nothing was sent."
    assert seconds < 0.5
    assert tasks(conn) == set()
    assert conn.execute("SELECT 1").fetchall() == [(1,)]


def test_after_a_cancellation_the_connection_asks_again(emulator: Emulator, slow: Silent) -> None:
    environ = {"OPENAI_API_KEY": "not-a-real-key", "OPENAI_BASE_URL": slow.base_url}
    with provider.connect(environ=environ) as conn:
        stopped(conn, MANY_THREADS, lambda: slow.requests >= 1)
        environ["OPENAI_BASE_URL"] = emulator.base_url
        assert conn.execute("SELECT count(*) FROM openai.assistants.assistants").fetchone() is not None


def test_cancel_closes_the_sockets_of_what_was_in_flight(conn: Any, slow: Silent) -> None:
    stopped(conn, MANY_THREADS, lambda: slow.requests >= 4)
    until(lambda: not slow.open)


def test_cancel_stops_duckdb(conn: Any) -> None:
    error, seconds = stopped(conn, LONG_JOIN, lambda: True)
    assert isinstance(error, Cancelled)
    assert error.reason == "Nothing was sent."
    assert seconds < 0.5
    assert conn.execute("SELECT 1").fetchall() == [(1,)]


def test_cancel_stops_the_reading_of_rows(conn: Any) -> None:
    cursor = conn.execute("SELECT x + y FROM range(10000000) AS a(x), range(1000000) AS b(y)")
    thread = later(lambda: cursor._watch._running, cursor.cancel)
    with pytest.raises(Cancelled):
        cursor.fetchall()
    thread.join()
    assert conn.execute("SELECT 1").fetchall() == [(1,)]


def test_cancel_does_nothing_when_nothing_runs(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.cancel()
    cursor.execute("SELECT 1")
    cursor.cancel()
    assert cursor.fetchall() == [(1,)]


def test_a_cancelled_statement_leaves_no_staged_table(conn: Any, slow: Silent) -> None:
    stopped(conn, MANY_THREADS, lambda: slow.requests >= 1)
    assert conn.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall() == []


class Interrupted:
    """DuckDB's connection with somebody who presses Ctrl-C while the n-th statement runs."""

    def __init__(self, duck: duckdb.DuckDBPyConnection, number: int) -> None:
        self._duck, self._left = duck, number

    def execute(self, sql: str) -> Any:
        done = self._duck.execute(sql)
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._duck, name)


@pytest.mark.parametrize("number", [1, 2, 5, 6, 7, 8])  # the others are DROP
def test_ctrl_c_while_staged_tables_are_made_leaves_none(number: int) -> None:
    field = Field("id", FieldType("string"))

    def make(duck: Any) -> None:
        StagedTable(duck, "rows", "p.s.r", [field], [NUMBER], {"row_id": "id"}, ("data",)).drop()
        StagedTable(duck, "shared", "p.s.r", [field], [NUMBER], {}, ("data",))
        Share(duck, "mine", "shared", ["id"], {})

    with duckdb.connect() as duck:
        with pytest.raises(KeyboardInterrupt):
            make(Interrupted(duck, number))
        left = {name for (name,) in duck.execute("SELECT table_name FROM information_schema.tables").fetchall()}
        assert left <= {"shared"}, "which is whole, and its owner's to remove"


def test_a_cancelled_write_says_what_is_known_of_it(conn: Any, slow: Silent) -> None:
    sql = "INSERT INTO openai.assistants.assistants (model) VALUES ('a'), ('b')"
    error, _ = stopped(conn, sql, lambda: slow.requests >= 2)
    assert isinstance(error, Cancelled | PartlyDone)
    assert "Done: 0. Refused: 0. Outcome unknown: 2 (rows 1-2). Not sent: 0." in str(error)
    assert tasks(conn) == set()


def test_ctrl_c_stops_requests_in_flight(conn: Any, slow: Silent) -> None:
    later(lambda: slow.requests >= 16, interrupt)
    with pytest.raises(KeyboardInterrupt):
        conn.execute(MANY_THREADS)
    assert tasks(conn) == set()
    assert conn.execute("SELECT 1").fetchall() == [(1,)]


def test_ctrl_c_stops_duckdb(conn: Any) -> None:
    cursor = conn.cursor()
    thread = later(lambda: cursor._watch and cursor._watch._running, interrupt)
    with pytest.raises(KeyboardInterrupt):
        cursor.execute(LONG_JOIN).fetchall()
    thread.join()
    assert conn.execute("SELECT 1").fetchall() == [(1,)]


def test_a_connection_whose_query_ctrl_c_has_stopped_closes_at_once() -> None:
    with provider.connect() as conn:
        cursor = conn.cursor()
        thread = later(lambda: cursor._watch and cursor._watch._running, interrupt)
        with pytest.raises(KeyboardInterrupt):
            cursor.execute(LONG_JOIN).fetchall()
        thread.join()
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


def test_a_statement_that_takes_too_long_says_what_was_done(slow: Silent) -> None:
    with connect(slow, statement_timeout=0.3) as conn:
        with pytest.raises(Timeout, match=r"not done within 0\.3 s") as caught:
            conn.execute(MANY_THREADS)
        assert tasks(conn) == set()
        assert conn.execute("SELECT 1").fetchall() == [(1,)]
    assert "raise statement_timeout" in caught.value.remedy


def test_a_statement_that_takes_too_long_in_duckdb_is_stopped(slow: Silent) -> None:
    with connect(slow, statement_timeout=0.2) as conn, pytest.raises(Timeout) as caught:
        conn.execute(LONG_JOIN).fetchall()
    assert caught.value.reason == "Nothing was sent."


def test_rows_that_take_too_long_to_read_are_stopped(slow: Silent) -> None:
    with connect(slow, statement_timeout=1) as conn:
        cursor = conn.execute("SELECT x + y FROM range(10000000) AS a(x), range(1000000) AS b(y)")
        with pytest.raises(Timeout):
            cursor.fetchall()


def test_time_between_two_fetches_is_not_the_statements(slow: Silent) -> None:
    with connect(slow, statement_timeout=1) as conn:
        cursor = conn.execute("SELECT * FROM range(10)")
        threading.Event().wait(1.1)
        assert len(cursor.fetchall()) == 10


def test_a_write_that_takes_too_long_says_what_was_sent(slow: Silent) -> None:
    sql = "INSERT INTO openai.assistants.assistants (model) VALUES ('a'), ('b')"
    with connect(slow, statement_timeout=1) as conn, pytest.raises(Timeout) as caught:
        conn.execute(sql)
    assert "Done: 0. Refused: 0. Outcome unknown: 2 (rows 1-2). Not sent: 0." in str(caught.value)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_statement_timeout_is_more_than_nothing(seconds: float) -> None:
    with pytest.raises(provider.InterfaceError, match="more than 0"):
        provider.connect(statement_timeout=seconds)


def test_the_timeout_can_be_set_and_reset(conn: Any) -> None:
    conn.execute("SET statement_timeout = 0.1")
    with pytest.raises(Timeout):
        conn.execute(LONG_JOIN).fetchall()
    conn.execute("SET statement_timeout = 0")
    cursor = conn.execute("SELECT * FROM range(10)")
    assert len(cursor.fetchall()) == 10
