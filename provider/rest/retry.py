"""When a call is sent again, and after how long: a protocol without I/O, clock or dice of its own.

`attempts` yields what is to be done next and is sent what came of it. Whoever drives it sends, waits and
knows what answers mean (`judging`). Its promises, whatever the answers are:

* A call that may have been executed is sent again only if it is repeatable.
* No repetition comes before the time that the server asked for.
* Sending and waiting together begin nothing new after the deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long.

    Attributes:
        attempts: how often a call is sent at most; a refusal that says when to come back is no failed attempt.
        deadline: seconds that a call may take with its repetitions, from its first request on. A wait that would
            end later is not begun. Time in line for a budget does not count.
        base, cap: the n-th wait is drawn evenly from 0 to min(cap, base * 2**n) seconds ("full jitter").
    """

    attempts: int = 7
    deadline: float = 120.0
    base: float = 0.25
    cap: float = 8.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request now."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Get fresh credentials; if there are none to get, the last answer stands."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait.

    Attributes:
        seconds: how long.
        asked: the server said so.
        shared: it said so to the account: nothing else of that account should be sent meanwhile.
    """

    seconds: float
    asked: bool
    shared: bool = False


Step = Send | Refresh | Pause


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        kind: `final` ends the call, well or badly. `passing` is a fault that may pass, `refused` says "later" and
            `stale` says that the credentials are no longer good.
        executed: False if the server has certainly not acted on it.
        seconds: how long the request took.
        asked: seconds that the server asks to wait.
    """

    kind: Literal["final", "passing", "refused", "stale"]
    executed: bool = False
    seconds: float = 0.0
    asked: float | None = None


_SEND, _REFRESH = Send(), Refresh()


def attempts(policy: RetryPolicy, repeatable: bool, dice: Callable[[], float]) -> Generator[Step, Outcome | None, None]:
    """The steps of one call; returns when its last answer stands.

    Args:
        repeatable: whether a call that was executed may be sent again: it is safe, or has an idempotency key.
        dice: draws evenly from 0 to 1.

    A `Send` is answered with an `Outcome`, every other step with None.
    """
    failed = refused = 0
    refreshed = False
    spent = 0.0
    while True:
        outcome = yield _SEND
        assert outcome is not None
        spent += outcome.seconds
        if outcome.kind == "final" or (outcome.executed and not repeatable):
            return
        if outcome.kind == "stale":
            if refreshed:
                return
            refreshed = True
            yield _REFRESH
            continue
        if outcome.kind == "refused" and outcome.asked:
            refused += 1
            # A little more than asked, and more each time: a server that asks for next to nothing is left alone.
            extra = dice() * min(policy.cap, 0.1 * outcome.asked * 2 ** (refused - 1))
            pause = Pause(outcome.asked + extra, asked=True, shared=True)
        else:
            failed += 1
            if failed >= policy.attempts:
                return
            backoff = dice() * min(policy.cap, policy.base * 2 ** (failed - 1))
            pause = Pause((outcome.asked or 0.0) + backoff, asked=bool(outcome.asked))
        spent += pause.seconds
        if spent > policy.deadline:
            return
        yield pause
