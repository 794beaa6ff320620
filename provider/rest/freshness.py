"""What an API says about the keeping of an answer (RFC 9111). Pure: the clock is passed in.

The cache is one user's own, a private one in the words of the RFC, and goes by whoever set a time for it. What the API
says can only shorten that time.
"""

from __future__ import annotations

import email.utils
import math
import re

from provider.rest.pagination import Answer

#: The headers that are read here.
FRESHNESS = ("cache-control", "expires", "date", "age", "vary")
_DIRECTIVE = re.compile(r'([\w!#$%&\'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')


def forbids_keeping(answer: Answer) -> bool:
    """Whether an answer must not be kept (`no-store`, section 5.2.2.5)."""
    return "no-store" in _directives(answer)


def good_for(answer: Answer, now: float) -> float:
    """Seconds for which the API calls an answer good; infinity where it does not say, 0 where it has to be asked again.

    `max-age` comes before `Expires`, and `Age` is taken off (section 4.2). What cannot be read is no longer good.

    Args:
        now: Unix time in seconds, for an answer without Date.
    """
    directives = _directives(answer)
    if "no-cache" in directives or (_value(answer, "vary") or "").strip() == "*":
        return 0.0
    age = _whole(_value(answer, "age") or "0") or 0.0
    if "max-age" in directives:
        return max(0.0, (_whole(directives["max-age"]) or 0.0) - age)
    expires = _value(answer, "expires")
    if expires is None:
        return math.inf
    until, told = _time(expires), _time(_value(answer, "date") or "")
    return max(0.0, until - (now if told is None else told) - age) if until is not None else 0.0


def _directives(answer: Answer) -> dict[str, str]:
    """The directives of Cache-Control with their values; of one that comes twice, the first counts."""
    found: dict[str, str] = {}
    for match in _DIRECTIVE.finditer(_value(answer, "cache-control") or ""):
        found.setdefault(match[1].lower(), match[2] if match[2] is not None else match[3] or "")
    return found


def _value(answer: Answer, name: str) -> str | None:
    """A header, whose lines are one list."""
    lines = [value for key, value in answer.headers if key.lower() == name]
    return ", ".join(lines) if lines else None


def _whole(text: str) -> float | None:
    """A number of seconds (section 1.2.2); None where it is none."""
    return float(text) if re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII) else None


def _time(text: str) -> float | None:
    """Unix seconds of an HTTP date."""
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
