"""Requests and progress in words, for a line that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provider.engine.progress import Progress
    from provider.rest.har import Entry
    from provider.rest.request import Exchange

#: Seconds after which a statement is worth a word about its progress.
AFTER = 0.5
_WAITS = {"limit": "for the rate limit", "retry_after": "as the API asks", "backoff": "before a repetition"}


def words(progress: Progress) -> str:
    """How far a statement is, the most important first; '' before it asks anything."""
    parts = [progress.operations] if progress.operations else []
    if progress.to_write:
        parts.append(f"{progress.written:,} of {progress.to_write:,} written")
    if progress.moved:
        parts.append(f"{amount(progress.moved)}, {amount(progress.moved / max(progress.seconds, 0.001))}/s")
    if progress.requests or progress.in_flight:
        asked, read = count(progress.requests, "request"), count(progress.rows, "row")
        parts.append(f"{asked}, {read}, {progress.per_second:,.0f} requests/s, {progress.in_flight:,} in flight")
    for reason, calls in progress.waiting.items():
        left = f", {progress.resumes_in:.0f} s left" if reason == "retry_after" and progress.resumes_in >= 1 else ""
        parts.append(f"{calls:,} waiting {_WAITS[reason]}{left}")
    return "; ".join(parts)


def cut(text: str, cells: int) -> str:
    """A line that fits into a width."""
    return text if len(text) <= cells else text[: max(cells - 1, 0)] + "…" if cells > 0 else ""


def request_line(exchange: Exchange) -> str:
    """A request that was sent, with its answer: `GET /threads?limit=100 -> 200, 12.3 kB, 48 ms`."""
    call, waits = exchange.call, exchange.waits
    answer = "no answer" if exchange.status is None else f"{exchange.status}, {amount(exchange.wire_bytes)}"
    notes = [f"{call.http_method} {call.target} -> {answer}, {exchange.seconds * 1000:,.0f} ms"]
    if exchange.resend:
        notes.append(f"repetition {exchange.resend}")
    waited = (("limit", waits.limit), ("retry_after", waits.retry_after), ("backoff", waits.backoff))
    notes += [f"waited {seconds:.1f} s {_WAITS[reason]}" for reason, seconds in waited if seconds >= 0.05]
    return ", ".join(notes)


def heads(entry: Entry) -> str:
    """The heads of a request and of its answer, as they went over the wire but for credentials."""
    lines = [f"> {entry.method} {entry.url}", *(f"> {name}: {value}" for name, value in entry.headers)]
    lines.append(f"< {entry.status}" if entry.status else "< no answer")
    return "\n".join([*lines, *(f"< {name}: {value}" for name, value in entry.answer_headers)])


def amount(size: float) -> str:
    """Bytes in the unit that leaves a readable number; a kB has 1,000."""
    units = iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while size >= 999.95 and unit != "GB":
        size, unit = size / 1000, next(units)
    return f"{size:,.0f} B" if unit == "B" else f"{size:,.1f} {unit}"


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
