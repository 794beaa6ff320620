"""What all tests share: a clean environment, emulators over real HTTP, and connections that get closed."""

from __future__ import annotations

import gc
import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import duckdb
import httpx
import pytest

import provider
from provider.emulator import Emulator
from tests.truth import truth

KEY = "not-a-real-key"
HEADERS = {"Authorization": f"Bearer {KEY}", "OpenAI-Beta": "assistants=v2"}

E = TypeVar("E", bound=provider.Error)

#: Opens a connection to an emulator; keyword arguments are those of `provider.connect`.
Connect = Callable[..., Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write what the statement files should say")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("update_snapshots") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--update-snapshots writes files: run it without -n, whose workers would share them")


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay to the end: a look through them all would halt a test for 0.3 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings and keys out of the tests."""
    for name in list(os.environ):
        if name.startswith("OPENAI_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def interruptible() -> None:
    """A shell that runs the tests in the background has them, and the processes they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def error_of(sql: str, kind: type[E]) -> E:
    """The error of a statement that needs no API, on a connection of its own."""
    with provider.connect() as connection, pytest.raises(kind) as caught:
        connection.execute(sql)
    return caught.value


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """An emulator that tests may write to; its runs end almost at once."""
    with Emulator(step_seconds=0.01) as running:
        yield running


@pytest.fixture
def connection(emulator: Emulator) -> Iterator[Connect]:
    """Opens connections to `emulator`, with the request log emptied, and closes them at the end."""
    opened: list[provider.Connection] = []

    def connect(database: str = ":memory:", **options: Any) -> provider.Connection:
        options.setdefault("base_urls", {"openai": emulator.base_url})
        options.setdefault("environ", {"OPENAI_API_KEY": KEY})
        opened.append(provider.connect(database, **options))
        return opened[-1]

    emulator.requests.clear()
    yield connect
    for conn in opened:
        conn.close()


@pytest.fixture(scope="session")
def api(emulator: Emulator) -> Iterator[Api]:
    """Plain HTTP to `emulator`."""
    with httpx.Client(base_url=emulator.base_url, headers=HEADERS) as http:
        yield Api(http)


@dataclass(frozen=True)
class Api:
    """Plain HTTP to an emulator; a refusal fails the test."""

    http: httpx.Client

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(path, params=query).raise_for_status().json()

    def post(self, path: str, body: Any = None) -> Any:
        return self.http.post(path, json={} if body is None else body).raise_for_status().json()

    def delete(self, path: str) -> Any:
        return self.http.delete(path).raise_for_status().json()

    def every(self, path: str) -> list[Any]:
        """All objects of a list, oldest first."""
        found: list[Any] = []
        query: dict[str, Any] = {"limit": 100, "order": "asc"}
        while True:
            page = self.get(path, **query)
            found += page["data"]
            if not page["has_more"]:
                return found
            query["after"] = page["last_id"]

    def thread(self, *texts: str, **metadata: str) -> str:
        """A new thread with these user messages; its id."""
        messages = [{"role": "user", "content": text} for text in texts]
        return str(self.post("/threads", {"messages": messages, "metadata": metadata})["id"])


@dataclass(frozen=True)
class World:
    """A few known objects that nobody changes, and the readable names that tests have for their ids."""

    emulator: Emulator
    api: Api
    ids: Mapping[str, str]

    def real(self, text: str) -> str:
        """Names as ids: thread_a -> thread_0Zk..."""
        return re.sub(r"\b[a-z]+_[a-z0-9]+\b", lambda m: self.ids.get(m[0], m[0]), text)

    def readable(self, text: str) -> str:
        """Ids as names."""
        for name, id_ in self.ids.items():
            text = text.replace(id_, name)
        return text

    def requests(self) -> list[str]:
        """What arrived since the last look, with names for ids."""
        log = [
            f"{r.method} {r.path.removeprefix('/v1')}{'?' if r.query else ''}{r.query}" for r in self.emulator.requests
        ]
        self.emulator.requests.clear()
        return [self.readable(line) for line in log]


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """The known objects, on an emulator of their own whose clock ticks once a request that writes."""
    ticks = itertools.count(1_700_000_000)
    now = [next(ticks)]
    with (
        Emulator(clock=lambda: now[0], step_seconds=1) as running,
        httpx.Client(base_url=running.base_url, headers=HEADERS) as http,
    ):
        api = Api(http)
        ids: dict[str, str] = {}

        def make(name: str, path: str, body: Any) -> str:
            now[0] = next(ticks)
            ids[name] = api.post(path, body)["id"]
            return ids[name]

        def settle() -> None:
            """Let the runs end."""
            for _ in range(10):
                now[0] = next(ticks)

        weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
        make("asst_helper", "/assistants", {"model": "m-1", "name": "Helper", "metadata": {"team": "support"}})
        make("asst_poet", "/assistants", {"model": "m-2", "name": "Poet", "instructions": "Rhyme."})
        make("asst_clerk", "/assistants", {"model": "m-1", "tools": [weather], "temperature": 0.5})
        for thread, team in (("thread_a", "support"), ("thread_b", "sales"), ("thread_empty", "support")):
            make(thread, "/threads", {"metadata": {"team": team, "alias": thread[-1]}})
        for name, thread, role, text in (
            ("msg_a1", "thread_a", "user", "Hello"),
            ("msg_a2", "thread_a", "assistant", "Good day"),
            ("msg_a3", "thread_a", "user", "Größe 5 µm 🙂"),
            ("msg_b1", "thread_b", "user", 'It\'s "quoted"\nand long'),
            ("msg_b2", "thread_b", "user", "Hello"),
        ):
            body = {"role": role, "content": text, "metadata": {"n": name[-1]}}
            make(name, f"/threads/{ids[thread]}/messages", body)
        for name, thread, assistant in (
            ("run_a1", "thread_a", "asst_helper"),
            ("run_a2", "thread_a", "asst_poet"),
            ("run_b1", "thread_b", "asst_clerk"),
        ):
            make(name, f"/threads/{ids[thread]}/runs", {"assistant_id": ids[assistant]})
            settle()
        for thread in ("thread_a", "thread_b"):
            for run in api.every(f"/threads/{ids[thread]}/runs"):
                name = next(n for n, i in ids.items() if i == run["id"])
                steps = api.every(f"/threads/{ids[thread]}/runs/{run['id']}/steps")
                ids |= {f"step_{name[4:]}x{i}": s["id"] for i, s in enumerate(steps, 1)}
            for i, message in enumerate(api.every(f"/threads/{ids[thread]}/messages"), 1):
                if message["id"] not in ids.values():
                    ids[f"msg_{thread[-1]}{i}"] = message["id"]
        yield World(running, api, ids)


@pytest.fixture
def over(world: World) -> Iterator[Connect]:
    """Opens connections to `world`; keyword arguments are those of `provider.connect`."""
    opened: list[provider.Connection] = []

    def connect(**options: Any) -> provider.Connection:
        base_urls = {"openai": world.emulator.base_url}
        opened.append(provider.connect(base_urls=base_urls, environ={"OPENAI_API_KEY": KEY}, **options))
        return opened[-1]

    world.emulator.requests.clear()
    yield connect
    for conn in opened:
        conn.close()


@pytest.fixture(scope="session")
def judge(world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    """Plain DuckDB that has the objects of `world` as tables, under the very names that ApiQL gives them."""
    api = world.api
    threads = [world.ids[name] for name in ("thread_a", "thread_b", "thread_empty")]
    runs = [run for thread in threads for run in api.every(f"/threads/{thread}/runs")]
    objects = {
        "assistants": api.every("/assistants"),
        "threads": [api.get(f"/threads/{thread}") for thread in threads],
        "messages": [m for thread in threads for m in api.every(f"/threads/{thread}/messages")],
        "runs": runs,
        "run_steps": [s for run in runs for s in api.every(f"/threads/{run['thread_id']}/runs/{run['id']}/steps")],
    }
    with truth(objects) as duck:
        world.emulator.requests.clear()
        yield duck
