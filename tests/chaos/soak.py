"""Thousands of requests of which one in twenty fails: keyed lookups, paged lists and joins must have the right rows.

    python -m tests.chaos.soak --seeds 20 --requests 10000

A seed draws the statements and the faults. What a statement answers is compared with what plain DuckDB answers on the
same objects, row by row.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import httpx

import provider
from provider.emulator import Emulator
from provider.emulator.chaos import FAULTS, Chaos, at_random
from tests.truth import truth

SHARE = 0.05
#: The 429 asks for 50 ms, so that a long run spends its time on requests and not on waiting.
_FAULTS = tuple(FAULTS[name] for name in ("429 ms", "500", "500 late", "reset", "reset in body"))
#: How many messages the threads have, over and over: none, one page, exactly one page, and several.
_SIZES = (0, 3, 7, 12, 100, 20, 5, 130)
_THREADS = 60
_KEY = "sk-soak-3d91"
_HEADERS = {"Authorization": f"Bearer {_KEY}", "OpenAI-Beta": "assistants=v2"}

#: Each takes lists of the ids of `threads`, of as many `messages`, and a `text` that some messages have.
_STATEMENTS = (
    "SELECT id, created_at, metadata FROM openai.assistants.threads WHERE id IN (SELECT unnest($threads))",
    "SELECT m.id, m.thread_id, m.content FROM (SELECT unnest($threads) AS thread, unnest($messages) AS id) AS k "
    "JOIN openai.assistants.messages AS m ON m.thread_id = k.thread AND m.id = k.id",
    "SELECT id, role, content, metadata FROM openai.assistants.messages WHERE thread_id IN (SELECT unnest($threads))",
    "SELECT thread_id, count(*), min(id), max(id) FROM openai.assistants.messages "
    "WHERE thread_id IN (SELECT unnest($threads)) GROUP BY thread_id",
    "SELECT t.id, t.metadata, m.id, m.content FROM openai.assistants.threads AS t "
    "JOIN openai.assistants.messages AS m ON m.thread_id = t.id "
    "WHERE t.id IN (SELECT unnest($threads)) AND m.role = 'user'",
    "SELECT t.id, count(m.id) FROM openai.assistants.threads AS t "
    "LEFT JOIN openai.assistants.messages AS m ON m.thread_id = t.id "
    "WHERE t.id IN (SELECT unnest($threads)) GROUP BY t.id",
    "SELECT a.name, m.thread_id, m.id FROM openai.assistants.assistants AS a "
    "JOIN openai.assistants.messages AS m ON contains(m.content::VARCHAR, a.name) "
    "WHERE m.thread_id IN (SELECT unnest($threads))",
)


@dataclass(frozen=True)
class World:
    """Objects that nobody changes: the server that has them, the truth about them, and their ids."""

    emulator: Emulator
    judge: duckdb.DuckDBPyConnection
    threads: Sequence[str]
    messages: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Run:
    """What one seed came to."""

    seed: int
    statements: int
    rows: int
    faults: Counter[str | None]
    seconds: float

    @property
    def requests(self) -> int:
        return sum(self.faults.values())

    @property
    def faulty(self) -> int:
        return self.requests - self.faults[None]


@contextmanager
def small_world() -> Iterator[World]:
    """Threads of many sizes and more assistants than a page has."""
    with Emulator() as emulator, httpx.Client(base_url=emulator.base_url, headers=_HEADERS) as http:

        def post(path: str, body: Any) -> Any:
            return http.post(path, json=body).raise_for_status().json()

        assistants = [post("/assistants", {"model": "m", "name": f"word{i}"}) for i in range(105)]
        threads, messages = [], []
        for i in range(_THREADS):
            sent = [
                {"role": "assistant" if n % 7 == 3 else "user", "content": f"message {n} word{(i * n) % 150}. µ"}
                for n in range(_SIZES[i % len(_SIZES)])
            ]
            threads.append(post("/threads", {"metadata": {"n": str(i)}, "messages": sent}))
            messages += _every(http, f"/threads/{threads[-1]['id']}/messages")
        objects = {"assistants": assistants, "threads": threads, "messages": messages}
        ids = [t["id"] for t in threads]
        of = {t: [m["id"] for m in messages if m["thread_id"] == t] for t in ids}
        with truth(objects) as judge:
            yield World(emulator, judge, ids, of)


def _every(http: httpx.Client, path: str) -> list[Any]:
    """All objects of a list, read from the server itself."""
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 100}
    while True:
        page = http.get(path, params=query).raise_for_status().json()
        found += page["data"]
        if not page["has_more"]:
            return found
        query["after"] = page["last_id"]


def soak(world: World, seed: int, requests: int) -> Run:
    """Run statements until so many requests have arrived.

    Raises:
        AssertionError: a statement failed, or has other rows than it should; the seed is named.
    """
    dice = random.Random(seed)
    began, statements, rows = time.monotonic(), 0, 0
    with (
        Chaos(world.emulator.base_url, at_random(SHARE, _FAULTS, seed)) as chaos,
        provider.connect(base_urls={"openai": chaos.base_url}, environ={"OPENAI_API_KEY": _KEY}) as conn,
    ):
        while len(chaos.received) < requests:
            sql = dice.choice(_STATEMENTS)
            threads = dice.sample(world.threads, dice.choice((1, 5, 40)))
            messages = [dice.choice(world.messages[t] or ["msg_none"]) for t in threads]
            values = {n: v for n, v in (("threads", threads), ("messages", messages)) if f"${n}" in sql}
            # What a connection meets at random is told with the seed and the statement, so that it can be met again.
            told = f"seed {seed}, statement {statements + 1}: {sql} {values}"
            try:
                found = conn.execute(sql, values).fetchall()
            except provider.Error as e:
                faults = "\n".join(f"{r.number} {r.target}: {r.fault}" for r in chaos.received[-200:] if r.fault)
                raise AssertionError(f"{told}\n{e}\n{faults}") from e
            right = world.judge.execute(sql, values).fetchall()
            assert Counter(found) == Counter(right), f"{told}\n{len(found)} rows instead of {len(right)}"
            statements += 1
            rows += len(found)
        met = Counter(r.fault for r in chaos.received)
        assert not chaos.astray
    return Run(seed, statements, rows, met, time.monotonic() - began)


def main() -> None:
    """Soak with many seeds, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first seed")
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="requests a seed")
    given = parser.parse_args()
    with small_world() as world:
        for seed in range(given.first, given.first + given.seeds):
            run = soak(world, seed, given.requests)
            print(
                f"seed {seed}: {run.statements} statements, {run.requests} requests, {run.faulty} faults, "
                f"{run.rows} right rows, {run.seconds:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
