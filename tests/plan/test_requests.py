"""The price list: which requests a statement may send, one block a statement in `requests.txt`.

The file begins with SQL that prepares the local database. A block is

    ## title
    SQL
    ---- given   parameters as JSON (optional)
    ---- sends   requests with how often each is sent; cursors are written as *

A statement that gets cheaper fails as well, so that a change of price is on purpose: `pytest tests/plan
--update-snapshots` writes down what is sent; read the difference before you commit it. A title that ends in
`[dear: reason]` marks a price that is known to be too high.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import provider
from provider.emulator import Emulator
from provider.emulator.objects import KINDS, Json
from provider.emulator.store import Store
from provider.sql.statements import Query, parse

FILE = Path(__file__).parent / "requests.txt"
KEY = "not-a-real-key"
FIRST = 1_700_000_000


@dataclass(frozen=True)
class Block:
    """One statement of the file."""

    title: str
    sql: str
    given: Any
    sends: str

    def __str__(self) -> str:
        return self.title


def parsed(text: str) -> tuple[str, list[Block]]:
    """The SQL that prepares, and the blocks."""
    setup, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    found = []
    for part in parts:
        title, _, rest = part.partition("\n")
        sql, *named = re.split(r"^---- (\w+)\n", rest, flags=re.MULTILINE)
        sections = {name: body.strip("\n") for name, body in zip(named[::2], named[1::2], strict=True)}
        given = json.loads(sections["given"]) if "given" in sections else None
        found.append(Block(title, sql.strip("\n"), given, sections.get("sends", "")))
    return setup, found


SETUP, BLOCKS = parsed(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """250 assistants, threads with 10,000, 500 and, five times, 3 messages; those five have two runs each."""
    folder = tmp_path_factory.mktemp("emulator")
    fill(folder, prototypes(tmp_path_factory.mktemp("prototypes")))
    with Emulator(folder) as running:
        yield running


def fill(folder: Path, patterns: dict[str, tuple[Json, Json]]) -> None:
    """Write the objects into an emulator's store, many at once, as copies of the patterns."""
    store = Store(folder)

    def put(kind: str, identifier: str, number: int, parent: str = "", **fields: Any) -> None:
        body, state = patterns[kind]
        store.put({**body, "id": identifier, "created_at": FIRST + number, **fields}, parent=parent, state=state)

    with store.transaction():
        for i in range(250):
            put("assistant", f"asst_{i:03}", i, name=f"Assistant {i}", model=f"m-{i % 3}")
        for thread, messages in (("thread_huge", 10_000), ("thread_long", 500)):
            put("thread", thread, 0, metadata={"team": "big"})
            for i in range(messages):
                role = "user" if i % 2 else "assistant"
                put("thread.message", f"msg{thread[6:]}_{i:05}", i, thread, thread_id=thread, role=role)
        for t in range(1, 6):
            thread = f"thread_{t}"
            put("thread", thread, t, metadata={"team": "ab"[t % 2]})
            for i in range(3):
                put("thread.message", f"msg_{t}_{i}", 10 * t + i, thread, thread_id=thread, role="user")
            for i in range(2):
                run = f"run_{t}_{i}"
                put("thread.run", run, 10 * t + i, thread, thread_id=thread, assistant_id=f"asst_{t:03}")
                put("thread.run.step", f"step_{t}_{i}", 10 * t + i, run, thread_id=thread, run_id=run)
    store.close()


def prototypes(folder: Path) -> dict[str, tuple[Json, Json]]:
    """An object of each kind as the emulator keeps it, with what is kept beside it, by its `object`."""
    headers = {"Authorization": f"Bearer {KEY}", "OpenAI-Beta": "assistants=v2"}
    ticks = iter(range(FIRST, FIRST + 10_000))
    with (
        Emulator(folder, clock=lambda: next(ticks), step_seconds=1) as running,
        httpx.Client(base_url=running.base_url, headers=headers) as http,
    ):
        assistant = http.post("/assistants", json={"model": "m-0"}).raise_for_status().json()
        thread = http.post("/threads", json={}).raise_for_status().json()
        at = f"/threads/{thread['id']}"
        message = http.post(f"{at}/messages", json={"role": "user", "content": "Hello"}).raise_for_status().json()
        run = http.post(f"{at}/runs", json={"assistant_id": assistant["id"]}).raise_for_status().json()
        while http.get(f"{at}/runs/{run['id']}").json()["status"] != "completed":
            pass  # the clock ticks once a look
        (step,) = http.get(f"{at}/runs/{run['id']}/steps").json()["data"]
    store = Store(folder)
    parents = {"thread.message": thread["id"], "thread.run": thread["id"], "thread.run.step": run["id"]}
    found = {}
    for shown in (assistant, thread, message, run, step):
        record = store.get(KINDS[shown["object"]], shown["id"], parents.get(shown["object"], ""))
        assert record is not None
        found[shown["object"]] = (record.object, record.kept)
    store.close()
    return found


@pytest.fixture(scope="module")
def connection(emulator: Emulator) -> Iterator[provider.Connection]:
    urls = {"openai": emulator.base_url}
    with provider.connect(base_urls=urls, environ={"OPENAI_API_KEY": KEY}, retries=0) as conn:
        conn.execute(SETUP)
        yield conn


def sent(emulator: Emulator) -> str:
    """What arrived since the last look."""
    lines = []
    for r in emulator.requests:
        query = re.sub(r"\bafter=[^&]*", "after=*", r.query)
        lines.append(f"{r.method} {r.path.removeprefix('/v1')}{'?' if query else ''}{query}")
    emulator.requests.clear()
    return "\n".join(f"{line}{f' x{n}' if n > 1 else ''}" for line, n in sorted(Counter(lines).items()))


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_statement_sends_what_the_price_list_says(
    block: Block, emulator: Emulator, connection: provider.Connection, pytestconfig: pytest.Config
) -> None:
    emulator.requests.clear()
    least, most = expected(connection, block)
    assert len(emulator.requests) == 0, "EXPLAIN sends nothing"
    cursor = connection.execute(block.sql, block.given)
    if cursor.description is not None:
        cursor.fetchall()
    count = len(emulator.requests)
    assert cursor.report.requests == count
    assert least <= count
    assert most is None or count <= most
    found = sent(emulator)
    if pytestconfig.getoption("update_snapshots"):
        record(block, found)
        return
    assert found == block.sends


def expected(connection: provider.Connection, block: Block) -> tuple[int, int | None]:
    """How many requests EXPLAIN expects of a query, at least and at most; nothing where it is no query."""
    statement, *others = parse(block.sql)
    if others or not isinstance(statement, Query) or statement.tree is None:
        return 0, None
    plan = connection.execute(f"EXPLAIN (FORMAT json) {block.sql}", block.given).fetchall()[0][0]
    if not plan.startswith("{"):
        return 0, 0  # DuckDB's own plan: nothing of the statement is a resource
    requests = json.loads(plan)["requests"]
    return requests["at_least"], requests["at_most"]


def test_titles_are_told_apart() -> None:
    assert len({b.title for b in BLOCKS}) == len(BLOCKS) >= 50


def record(block: Block, found: str) -> None:
    """Write a block's price into the file."""
    given = f"---- given\n{json.dumps(block.given)}\n" if block.given is not None else ""
    body = f"## {block.title}\n{block.sql}\n{given}---- sends\n" + (f"{found}\n" if found else "")
    old = re.compile(rf"^## {re.escape(block.title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text = old.sub(lambda _: body + "\n", FILE.read_text(encoding="utf-8"), count=1)
    FILE.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
