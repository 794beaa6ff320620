"""When a failed call is tried again, and after how long. Pure: the clock and the dice are passed in."""

from __future__ import annotations

import email.utils
from dataclasses import dataclass

#: Statuses that say "later": RFC 9110 sections 15.5.9 and 15.6, RFC 6585 section 4.
RETRIED = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long. Times are seconds.

    A call is tried at most `attempts` times. The n-th wait is drawn evenly from 0 to
    min(cap, base * 2**n) ("full jitter"); a longer wait that the API asks for is obeyed up to `longest`.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 8.0
    longest: float = 120.0

    def wait(self, attempt: int, asked: float | None, dice: float) -> float | None:
        """Seconds before the next attempt, None to give up.

        Args:
            attempt: how many attempts have failed, from 1.
            asked: what the API asked for, if it did.
            dice: a number from 0 to 1.
        """
        if attempt >= self.attempts:
            return None
        if asked is None:
            return dice * float(min(self.cap, self.base * 2 ** (attempt - 1)))
        if asked > self.longest:
            return None
        # A little more than asked, so that many callers do not come back in the same instant.
        return asked + dice * min(1.0, 0.1 * asked)


def retry_after(value: str | None, milliseconds: str | None, now: float) -> float | None:
    """Seconds that `Retry-After` (seconds or an HTTP date, RFC 9110 section 10.2.3) or `retry-after-ms` ask for.

    Args:
        now: Unix time in seconds, for dates.
    """
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if value is None:
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
