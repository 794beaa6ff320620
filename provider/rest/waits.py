"""How long an answer asks to wait, and what was waited for. Pure: the clock is passed in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provider.catalog.limits import Unit, Wait
    from provider.rest.transport import Head, Response


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that were waited, by reason.

    Attributes:
        limit: in line for a budget of the manifest, or because the API refused too many requests at once.
        retry_after: because the API said how long to wait.
        backoff: before a repetition whose time the API did not say.
    """

    limit: float = 0.0
    retry_after: float = 0.0
    backoff: float = 0.0

    @property
    def total(self) -> float:
        """All of it, in seconds."""
        return self.limit + self.retry_after + self.backoff

    def __add__(self, other: Waits) -> Waits:
        if other is NOTHING:  # as almost always
            return self
        return Waits(self.limit + other.limit, self.retry_after + other.retry_after, self.backoff + other.backoff)


NOTHING = Waits()


def asked(response: Response, places: Iterable[Wait], now: float) -> float | None:
    """Seconds that a refusal asks to wait; None when it does not say.

    `retry-after-ms` and `Retry-After` (seconds or an HTTP date, RFC 9110 section 10.2.3) come first, then the
    manifest's places in their order. Points in time are compared with the answer's own Date, so that a clock
    that is wrong on either side does no harm.

    Args:
        now: Unix time in seconds, for an answer without Date.
    """
    now = _server_time(response, now)
    if (milliseconds := response.header("retry-after-ms")) is not None:
        found = seconds(milliseconds, "milliseconds", now)
        if found is not None:
            return found
    if (after := response.header("retry-after")) is not None:
        found = seconds(after, "seconds", now)
        found = seconds(after, "date", now) if found is None else found
        if found is not None:
            return found
    for place in places:
        if (text := _text(response, place)) is not None and (found := seconds(text, place.unit, now)) is not None:
            return found
    return None


def announced(response: Response, places: Iterable[Wait], now: float) -> float | None:
    """Seconds for which a good answer says that there is nothing left to ask for; None when it does not say.

    Only places with `when` count: a time alone does not say that a budget is used up.
    """
    names = {name.lower() for name, _ in response.headers}
    for place in places:
        if place.when and place.header is not None and place.header.lower() in names:
            text = _text(response, place)
            if text is not None:
                return seconds(text, place.unit, _server_time(response, now))
    return None


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|us|µs|ns|h|m|s))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")


def seconds(text: str, unit: Unit, now: float) -> float | None:
    """A time as seconds from `now`, 0 for what is past; None for what is no time in that unit."""
    text = text.strip()
    try:
        match unit:
            case "seconds":
                found = _number(text)
            case "milliseconds":
                found = _number(text) / 1000
            case "unix seconds":
                found = _number(text) - now
            case "unix milliseconds":
                found = _number(text) / 1000 - now
            case "duration":
                if not _DURATION.fullmatch(text):
                    return None
                found = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
            case "date":
                found = _date(text) - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(0.0, found)


def _number(text: str) -> float:
    if not re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII):
        raise ValueError(text)
    return float(text)


def _date(text: str) -> float:
    """Unix time of an HTTP date, or of an ISO 8601 one; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        from email.utils import parsedate_to_datetime

        found = parsedate_to_datetime(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _server_time(head: Head, now: float) -> float:
    date = head.header("date")
    if date is None:
        return now
    try:
        return _date(date)
    except (ValueError, TypeError, OverflowError, IndexError):
        return now


def _text(response: Response, place: Wait) -> str | None:
    """What stands at a place of an answer, where it counts."""
    if not holds(response, place.when):
        return None
    if place.header is not None:
        text = response.header(place.header)
    else:
        from provider.rest.body import text_at  # its decoder is not needed by a statement that sends nothing

        text = text_at(response.body, place.path or "$")
    if text is None or place.pattern is None:
        return text
    found = re.search(place.pattern, text)
    return None if found is None else found[1] if found.re.groups else found[0]


def holds(head: Head, patterns: Mapping[str, str]) -> bool:
    """Whether each header is there and has what its pattern looks for."""
    return all((v := head.header(name)) is not None and re.search(p, v) for name, p in patterns.items())
