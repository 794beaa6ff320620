"""What a client is doing at this moment, for whoever watches: counted where it happens, and cheap to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

#: What a call waits for: see `Waits`.
Reason = Literal["limit", "retry_after", "backoff"]


@dataclass(slots=True)
class Traffic:
    """Requests on the wire, and calls that wait before one. Changed on the client's loop, read from any thread.

    `waiting` counts calls by what they wait for; `until` is when the last pause ends of those that the API asked for,
    on `time.monotonic`'s clock.
    """

    in_flight: int = 0
    waiting: dict[Reason, int] = field(default_factory=lambda: {"limit": 0, "retry_after": 0, "backoff": 0})
    until: float = 0.0

    @contextmanager
    def wait(self, reason: Reason, seconds: float = 0.0) -> Iterator[None]:
        """Within the block a call waits, `seconds` long where that is known."""
        self.waiting[reason] += 1
        if reason == "retry_after":
            self.until = max(self.until, time.monotonic() + seconds)
        try:
            yield
        finally:
            self.waiting[reason] -= 1
