"""Runs a reader under every fault, and judges what it gives."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from provider.emulator.chaos.faults import FAULTS, Fault
from provider.emulator.chaos.proxy import Chaos, at

#: Reads through a base URL: the rows, and whether the reader itself says that they are cut short.
Read = Callable[[str], tuple[Sequence[object], bool]]
Outcome = Literal["rows", "truncated", "error", "wrong", "hangs", "strays"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one fault at one request.

    `outcome` is good when it is `rows` (the same as without a fault), `truncated` (fewer, and said so) or `error`;
    it is bad when it is `wrong` (other rows, without a word), `hangs`, or `strays` (the other server was asked).
    """

    fault: str
    request: int
    outcome: Outcome
    detail: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nobody was deceived."""
        return self.outcome in ("rows", "truncated", "error")


def certify(
    upstream: str, read: Read, *, faults: Iterable[Fault] = FAULTS.values(), requests: int = 2, patience: float = 30.0
) -> list[Verdict]:
    """Read without faults, then with each fault at each of the first requests.

    Args:
        upstream: base URL of a server that answers as its API documents.
        read: reads the same rows each time it is called; it may raise.
        requests: how many of the first requests meet a fault, one at a time.
        patience: seconds that a read may take.
    """
    verdicts = []
    with Chaos(upstream) as chaos:
        expected, _ = read(chaos.base_url)
        for fault in faults:
            for request in range(1, requests + 1):
                chaos.reset(at(request, fault))
                outcome, detail = _judge(read, chaos.base_url, expected, patience)
                if chaos.astray:
                    outcome, detail = "strays", chaos.astray[0].target
                verdicts.append(Verdict(fault.name, request, outcome, detail))
    return verdicts


def _judge(read: Read, base_url: str, expected: Sequence[object], patience: float) -> tuple[Outcome, str]:
    answers: queue.SimpleQueue[tuple[Sequence[object], bool] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(read(base_url))
        except Exception as e:
            answers.put(e)

    # A daemon: a reader that hangs must not keep the process from its end.
    threading.Thread(target=run, daemon=True).start()
    try:
        answer = answers.get(timeout=patience)
    except queue.Empty:
        return "hangs", f"no answer within {patience} s"
    if isinstance(answer, Exception):
        return "error", str(answer)
    rows, truncated = answer
    if sorted(map(repr, rows)) == sorted(map(repr, expected)):
        return "rows", ""
    return ("truncated" if truncated else "wrong"), f"{len(rows)} rows instead of {len(expected)}"
