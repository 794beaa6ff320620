"""What a statement cost and whether its answer is whole."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class ScanReport:
    """One scan: its method, how much it read, and why it ended."""

    resource: str
    method: str
    keys: int = 0
    pages: int = 0
    rows: int = 0
    ended: str = "running"


@dataclass(slots=True)
class Report:
    """A statement's account.

    `requests` counts what was sent, retries included; `bytes` is what came over the wire; `waited` is
    seconds spent waiting because of retries and limits, summed over requests; `truncated` says that rows
    are missing because a cap or a guard cut the scan.
    """

    requests: int = 0
    bytes: int = 0
    waited: float = 0.0
    rows: int = 0
    truncated: bool = False
    scans: list[ScanReport] = field(default_factory=list)
