"""Whatever goes wrong on the way: all rows, an error, or a result that says it is cut short; no hang and no leak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import provider
from provider.emulator import Emulator
from provider.emulator.chaos import FAULTS, Chaos, at, certify

KEY = "sk-chaos-8f3a1c"
MESSAGES = 250

#: What must come of a fault at the second page, where more than one thing would be honest.
HEALED = {"429", "429 seconds", "429 date", "429 ms", "429 nonsense", "500", "500 late", "503 seconds", "504 late",
          "reset", "reset in body", "truncated", "slow", "HTML error", "shifted page", "skewed clock", "foreign links",
          "wrong type"}  # fmt: skip


@pytest.fixture(scope="module")
def thread(emulator: Emulator, api: Any) -> str:
    """A thread of three pages."""
    found: str = api.thread(*(f"message {i}" for i in range(MESSAGES)))
    return found


@pytest.fixture(scope="module")
def chaos(emulator: Emulator) -> Iterator[Chaos]:
    with Chaos(emulator.base_url) as running:
        yield running


def connect(base_url: str, **options: Any) -> provider.Connection:
    return provider.connect(
        base_urls={"openai": base_url}, environ={"OPENAI_API_KEY": KEY}, timeout=1.5, retries=1, **options
    )


STATEMENTS = {
    "list": "SELECT id, content FROM openai.assistants.messages WHERE thread_id = $thread",
    "ordered limit": "SELECT id FROM openai.assistants.messages WHERE thread_id = $thread "
    "ORDER BY created_at, id LIMIT 150",
    "join": "SELECT t.id, m.id FROM openai.assistants.threads t "
    "JOIN openai.assistants.messages m ON m.thread_id = t.id WHERE t.id = $thread",
}


#: Faults that cost seconds, since they send hundreds of megabytes: one look at them is enough.
COSTLY = {"gzip bomb", "endless"}
#: Faults that meet ways of reading differently: where pages follow each other, and where keys come from a join.
TELLING = {"500", "429 ms", "reset", "truncated", "not JSON", "null", "loop", "duplicate page", "shifted page"}


@pytest.mark.parametrize(
    ("fault", "statement"), [(f, s) for f in FAULTS for s in STATEMENTS if f in TELLING or s == "list"]
)
def test_nobody_is_deceived(emulator: Emulator, thread: str, fault: str, statement: str) -> None:
    def read(base_url: str) -> tuple[list[Any], bool]:
        with connect(base_url) as conn:
            cursor = conn.execute(STATEMENTS[statement], {"thread": thread})
            return cursor.fetchall(), cursor.report.truncated

    verdicts = certify(emulator.base_url, read, faults=[FAULTS[fault]])
    assert all(v.is_good for v in verdicts), verdicts
    assert not any(KEY in v.detail for v in verdicts)


@pytest.mark.parametrize("fault", sorted(HEALED))
def test_what_can_be_healed_gives_all_rows(chaos: Chaos, thread: str, fault: str) -> None:
    chaos.reset(at(2, FAULTS[fault]))
    with connect(chaos.base_url) as conn:
        rows = conn.execute(STATEMENTS["list"], {"thread": thread}).fetchall()
    assert len(rows) == len(set(rows)) == MESSAGES
    assert [r.fault for r in chaos.received].count(fault) == 1
