"""What a statement cost and whether its answer is whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provider.engine.outcomes import WriteReport
from provider.rest.waits import NOTHING, Waits

if TYPE_CHECKING:
    from provider.rest.request import Exchange

#: Requests of a statement that are remembered one by one.
KEPT = 10_000


@dataclass(slots=True)
class Log:
    """The requests of one statement: how many, and the last of them one by one."""

    count: int = 0
    exchanges: deque[Exchange] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, exchange: Exchange) -> None:
        """One more request that was sent."""
        self.count += 1
        self.exchanges.append(exchange)


@dataclass(slots=True)
class ScanReport:
    """One scan: its method, how much it read, and why it ended.

    `keys` are the calls that it made, `shared` those of them that another scan of the statement had sent already.
    `requests`, `bytes` and `waits` are of its own requests, retries included. `rows` is what it had, of whichever
    request; `repeated` counts rows that the API sent again and that were left out. `ended` is
    'complete', 'enough rows' where the rest could not matter, or the name of the setting that cut the reading off.
    """

    resource: str
    method: str
    keys: int = 0
    shared: int = 0
    #: Keys whose rows came from the cache, and the age of the oldest of them in seconds, None where none did.
    cached: int = 0
    age: float | None = None
    requests: int = 0
    bytes: int = 0
    waits: Waits = NOTHING
    pages: int = 0
    rows: int = 0
    repeated: int = 0
    ended: str = "running"
    #: Values that did not fit their field and are NULL, by field; see `on_bad_value`.
    bad_values: Mapping[str, int] = field(default_factory=dict)

    def add(self, exchange: Exchange) -> None:
        """One more request that was sent for it."""
        self.requests += 1
        self.bytes += exchange.wire_bytes
        self.waits += exchange.waits

    @property
    def account(self) -> dict[str, int | float | str]:
        """What it did, as EXPLAIN ANALYZE shows it: a count that is added here is shown there."""
        told: dict[str, int | float | str] = {"keys": self.keys}
        if self.shared:
            told["shared"] = self.shared
        if self.age is not None:
            told |= {"cached": self.cached, "age": round(self.age, 3)}
        told |= {"requests": self.requests, "bytes": self.bytes, "pages": self.pages, "rows": self.rows}
        if self.repeated:
            told["repeated"] = self.repeated
        if self.waits.total:
            told["waited"] = round(self.waits.total, 3)
        return told | {"ended": self.ended}


@dataclass(slots=True)
class Report:
    """A statement's account.

    `requests` counts what was sent, retries included; `bytes` is what came over the wire; `waits` says
    what was waited for, in seconds summed over requests; `truncated` says that rows
    are missing because a cap or a guard cut the scan. `writes` has the rows of a write in their order; it
    is complete after an error too. `moved` counts the bytes of files, sent or received, as they move.
    """

    requests: int = 0
    bytes: int = 0
    moved: int = 0
    waits: Waits = NOTHING
    rows: int = 0
    truncated: bool = False
    scans: list[ScanReport] = field(default_factory=list)
    writes: list[WriteReport] = field(default_factory=list)

    @property
    def cached(self) -> int:
        """Keys whose rows came from the cache, of all scans."""
        return sum(s.cached for s in self.scans)

    @property
    def waited(self) -> float:
        """Seconds of all waits."""
        return self.waits.total
