"""How far a statement is: a value that is put together when somebody looks, and told while the statement runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from provider.rest.waits import NOTHING, Waits

#: Seconds between two tellings.
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a statement is.

    Attributes:
        seconds: since it began.
        requests: that were answered, retries included.
        per_second: requests, since the first of them was sent.
        in_flight: requests on the wire now.
        rows: that were read from the API.
        moved: bytes of files that were sent or received.
        waits: seconds that were waited, by reason, summed over requests.
        waiting: calls that wait now, by reason: `limit`, `retry_after`, `backoff`; others are left out.
        resumes_in: seconds until the pause ends that the API asked for, 0 without one.
        written: rows of a write that have their outcome, of `to_write`; that is 0 where nothing is written.
        operations: how the operations stand that it waits for, '' where it waits for none.
        over: the statement has ended; nothing more is told about it.
    """

    seconds: float
    requests: int = 0
    per_second: float = 0.0
    in_flight: int = 0
    rows: int = 0
    moved: int = 0
    waits: Waits = NOTHING
    waiting: Mapping[str, int] = field(default_factory=dict)
    resumes_in: float = 0.0
    written: int = 0
    to_write: int = 0
    operations: str = ""
    over: bool = False


#: Is told how far a statement is.
Tell = Callable[[Progress], None]


@contextmanager
def telling(tell: Tell, now: Callable[[bool], Progress]) -> Iterator[None]:
    """Within the block, tell how far a statement is every `PAUSE` seconds; once more when it is over.

    It is told on a thread of its own: a display that is slow or stopped holds up no requests.

    Args:
        now: how far it is; its argument says whether it is over.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(PAUSE):
            tell(now(False))
        tell(now(True))

    thread = threading.Thread(target=run, name="apiql-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
