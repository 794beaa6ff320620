"""The support desk that every example in the documentation talks about, on an emulator of its own.

Its objects have names (`thread_A`, `asst_helper`, ...). The API chooses the ids, so statements are written with
names, get the ids before they run, and what comes back gets the names again. Time stands still.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

import provider
from provider.emulator import Emulator
from provider.engine.connection import Connection
from provider.engine.cursor import Cursor

#: 2026-11-02 09:00:00 UTC.
START = 1_793_610_000
_NEW_ID = re.compile(r"\b(asst|thread|msg|run|step|call)_[A-Za-z0-9]{24}\b")
_REQUEST_ID = re.compile(r"\breq_[0-9a-f]{32}\b")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


class Clock:
    """Unix seconds that move only when told to; ten times as fast as usual after `start`."""

    def __init__(self) -> None:
        self.now = float(START)
        self._started: float | None = None

    def __call__(self) -> float:
        return self.now + (0.0 if self._started is None else 10 * (time.monotonic() - self._started))

    def start(self) -> None:
        """Run from now on."""
        self._started = time.monotonic()


@dataclass
class World:
    """A running emulator with the support desk in it.

    `ids` holds the id of each name, `files` the directory with `tickets.csv`. `keeps_ids` leaves ids as they are:
    the same calls on a new emulator give the same ids.
    """

    emulator: Emulator
    clock: Clock
    files: Path
    ids: dict[str, str] = field(default_factory=dict)
    keeps_ids: bool = False

    @property
    def environ(self) -> dict[str, str]:
        """What a program needs in its environment to find the emulator."""
        return {"OPENAI_BASE_URL": self.emulator.base_url, "OPENAI_API_KEY": "any"}

    def connect(self) -> Connection:
        """A connection to this world."""
        return provider.connect(environ=self.environ)

    def named_to_real(self, text: str) -> str:
        """The text with ids in place of names."""
        for name, real in self.ids.items():
            text = re.sub(rf"\b{name}\b", real, text)
        return text

    def real_to_named(self, text: str) -> str:
        """The text with names in place of ids; ids that were made meanwhile become `thread_new` and the like."""
        for name, real in self.ids.items():
            text = text.replace(real, name)
        if not self.keeps_ids:
            text = _NEW_ID.sub(r"\1_new", text)
        text = _REQUEST_ID.sub("req_...", text)
        return _ADDRESS.sub("http://127.0.0.1:8089", text)

    def requests(self) -> list[str]:
        """The requests since the log was cleared, in alphabetical order, since reads run side by side."""
        log = ((r.method, r.path.removeprefix("/v1"), f"?{r.query}" if r.query else "") for r in self.emulator.requests)
        return sorted(self.real_to_named(f"{method} {path}{query}") for method, path, query in log)


@contextmanager
def support_desk(files: Path) -> Iterator[World]:
    """A new world; it ends with the context."""
    clock = Clock()
    with Emulator(clock=clock, step_seconds=1) as emulator:
        world = World(emulator, clock, files)
        with httpx.Client(
            base_url=emulator.base_url, headers={"Authorization": "Bearer any", "OpenAI-Beta": "assistants=v2"}
        ) as http:
            _furnish(world, http)
        emulator.requests.clear()
        yield world


def _furnish(world: World, http: httpx.Client) -> None:
    def make(name: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        world.clock.now += 60
        answer = http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        world.ids[name] = made["id"]
        return made

    def say(name: str, thread: str, text: str, **more: Any) -> None:
        make(name, f"/threads/{world.ids[thread]}/messages", {"role": "user", "content": text, **more})

    def answer(name: str, thread: str, assistant: str, reply: str) -> None:
        """A run that ends before the next object is made, and the name of the message that it writes."""
        run = make(name, f"/threads/{world.ids[thread]}/runs", {"assistant_id": world.ids[assistant]})
        world.clock.now += 10
        said = http.get(f"/threads/{world.ids[thread]}/messages", params={"run_id": run["id"]}).json()["data"]
        world.ids[reply] = said[0]["id"]

    make("asst_helper", "/assistants", {"model": "gpt-4o", "name": "Helper", "instructions": "Be brief."})
    make("asst_writer", "/assistants", {"model": "gpt-4o-mini", "name": "Writer"})
    track = {"type": "function", "function": {"name": "track", "parameters": {"type": "object", "properties": {}}}}
    make("asst_tracker", "/assistants", {"model": "gpt-4o", "name": "Tracker", "tools": [track]})
    for name, team, customer in (("A", "support", "ada"), ("B", "sales", "ben"), ("C", "support", "cid")):
        make(f"thread_{name}", "/threads", {"metadata": {"team": team, "customer": customer}})
    say("msg_A1", "thread_A", "Where is my parcel?", metadata={"mood": "worried"})
    answer("run_A1", "thread_A", "asst_helper", "msg_A2")
    say("msg_A3", "thread_A", "Thank you!", metadata={"mood": "happy"})
    say("msg_B1", "thread_B", "Do you ship to Norway?")
    say("msg_B2", "thread_B", "And to Iceland?")
    answer("run_B1", "thread_B", "asst_writer", "msg_B3")
    say("msg_C1", "thread_C", "Track my order, please.")
    waiting = make("run_C1", f"/threads/{world.ids['thread_C']}/runs", {"assistant_id": world.ids["asst_tracker"]})
    world.clock.now += 10
    run = http.get(f"/threads/{world.ids['thread_C']}/runs/{waiting['id']}").json()
    world.ids["call_C1"] = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
    tickets = "ticket,thread_id,opened\nT-1,thread_A,2026-11-01\nT-2,thread_B,2026-11-02\n"
    (world.files / "tickets.csv").write_text(world.named_to_real(tickets), encoding="utf-8")


def shown(cursor: Cursor, world: World) -> str:
    """A cursor's rows as an aligned table with names for ids, or what the statement did."""
    if cursor.description is None:
        return cursor.message
    names = [world.real_to_named(column[0]) for column in cursor.description]
    rows = [[world.real_to_named(_cell(value)) for value in row] for row in cursor.fetchall()]
    if names == ["plan"]:
        return "\n".join(row[0] for row in rows)
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    lines = [names, ["-" * w for w in widths], *rows]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    text = json.dumps(value) if isinstance(value, dict | list | bool) else str(value)
    return text.replace("\n", "\\n")
