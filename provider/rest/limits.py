"""Gates: how many requests an account has in flight and in a period of time, over all threads of the process.

A gate is kept by base URL and account. Requests pass it in the order of their arrival. It knows the budgets of
the manifest, the pauses that the API asks for, and what it learned from refusals: after one, half as many
requests are in flight as before, and each good answer raises that again, by one a round of requests (additive
increase, multiplicative decrease, as in TCP).
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider.rest.waits import NOTHING, Waits

if TYPE_CHECKING:
    from provider.catalog.limits import Budget, Limits

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


class Meter:
    """One budget and how much of it is used: no locks, no clock. Times are seconds on any one clock.

    Attributes:
        held_until: nothing is let through before.
    """

    def __init__(self, budget: Budget | None) -> None:
        self.held_until = -math.inf
        self._in_flight = 0
        self._window = math.inf
        self._cut_at = -math.inf
        self._sent: deque[float] = deque(maxlen=0)
        self.adopt(budget)

    def adopt(self, budget: Budget | None) -> None:
        """Go by another budget from now on."""
        self._most = budget.in_flight or math.inf if budget else math.inf
        self._period = _SECONDS[budget.per] if budget and budget.per else 0.0
        size = budget.requests or 0 if budget else 0
        if size != self._sent.maxlen:
            self._sent = deque(self._sent, maxlen=size)

    def opens(self, now: float) -> float:
        """When the next request may pass: `now` or a later time; infinity if one has to end first."""
        if self._in_flight >= self._most or self._in_flight + 1 > max(1.0, self._window):
            return math.inf
        at = self.held_until
        if self._sent.maxlen and len(self._sent) == self._sent.maxlen:
            # In no period of that length there are more than the budget.
            at = max(at, self._sent[0] + self._period)
        return max(at, now)

    def take(self, now: float) -> None:
        """A request passes."""
        self._in_flight += 1
        if self._sent.maxlen:
            self._sent.append(now)

    def give(self, taken_at: float, now: float, *, refused: bool) -> None:
        """A request that passed at `taken_at` has ended."""
        if not refused:
            if self._window < math.inf:
                self._window += 1 / self._window
        elif taken_at >= self._cut_at:
            # Those in flight at the same time are refused together: that counts once.
            self._window = max(1.0, min(self._window, self._in_flight) / 2)
            self._cut_at = now
        self._in_flight -= 1

    def hold(self, until: float) -> None:
        """Let nothing through before."""
        self.held_until = max(self.held_until, until)


@dataclass(slots=True, eq=False)
class _Place:
    """A place in line, and how its owner is told that it is let through."""

    group: str | None
    loop: asyncio.AbstractEventLoop
    turn: asyncio.Future[None]
    passed_at: float | None = None
    alarm_at: float | None = None


class Gate:
    """The line before an API; any thread may use it.

    Requests of a group pass the group's budget and the account's. One that waits for its group lets others by.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._account = Meter(None)
        self._groups: dict[str, Meter] = {}
        self._line: list[_Place] = []

    def adopt(self, limits: Limits) -> None:
        """Go by these budgets from now on."""
        with self._lock:
            self._account.adopt(limits.account)
            for name, budget in limits.groups.items():
                if name in self._groups:
                    self._groups[name].adopt(budget)
                else:
                    self._groups[name] = Meter(budget)

    def pass_now(self, group: str | None) -> float | None:
        """Pass if nobody is before and all budgets allow it; the time of passing, else None."""
        with self._lock:
            now = self._clock()
            if self._line or self._opens(group, now) > now:
                return None
            self._take(group, now)
            return now

    async def line_up(self, group: str | None) -> tuple[float, Waits]:
        """Wait until it is one's turn; the time of passing, and what was waited for."""
        loop = asyncio.get_running_loop()
        place = _Place(group, loop, loop.create_future())
        with self._lock:
            began = self._clock()
            self._line.append(place)
        self._advance()
        try:
            await place.turn
        except asyncio.CancelledError:
            with self._lock:
                if place.passed_at is None:
                    self._line.remove(place)
                else:
                    self._give(place.group, place.passed_at, refused=False)
            self._advance()
            raise
        assert place.passed_at is not None
        waited = place.passed_at - began
        held = min(waited, max(0.0, self._meter(group).held_until - began))
        return place.passed_at, Waits(limit=waited - held, retry_after=held) if waited > 0 else NOTHING

    def leave(self, group: str | None, passed_at: float, *, refused: bool = False) -> None:
        """The request that passed at that time has ended; whether the API refused it as one too many."""
        with self._lock:
            self._give(group, passed_at, refused=refused)
        if self._line:
            self._advance()

    def held(self, group: str | None) -> float:
        """Seconds for which nothing of the group is let through because the API asked for that; 0 if it did not."""
        with self._lock:
            return max(0.0, self._meter(group).held_until - self._clock())

    def hold(self, group: str | None, seconds: float) -> None:
        """Let nothing of the group, or of the account, through for a time."""
        with self._lock:
            self._meter(group).hold(self._clock() + seconds)

    def _advance(self) -> None:
        """Let through who may pass, and set an alarm for who may later."""
        with self._lock:
            now = self._clock()
            for place in list(self._line):
                at = self._account.opens(now)
                if at > now:
                    # Nobody passes; the first in line has the alarm.
                    self._set_alarm(place, at, now)
                    break
                at = self._opens(place.group, now)
                if at > now:
                    self._set_alarm(place, at, now)
                    continue
                self._line.remove(place)
                self._take(place.group, now)
                place.passed_at = now
                if not _tell(place.loop, self._turn, place):  # its loop is gone, and its owner with it
                    self._give(place.group, now, refused=False)

    def _set_alarm(self, place: _Place, at: float, now: float) -> None:
        if at < math.inf and place.alarm_at != at and _tell(place.loop, self._start_alarm, place, at - now):
            place.alarm_at = at

    def _start_alarm(self, place: _Place, seconds: float) -> None:
        place.loop.call_later(seconds, self._ring, place)

    def _ring(self, place: _Place) -> None:
        place.alarm_at = None
        self._advance()

    @staticmethod
    def _turn(place: _Place) -> None:
        if not place.turn.done():
            place.turn.set_result(None)

    def _meter(self, group: str | None) -> Meter:
        return self._groups.get(group, self._account) if group is not None else self._account

    def _opens(self, group: str | None, now: float) -> float:
        at = self._account.opens(now)
        return at if group is None else max(at, self._meter(group).opens(now))

    def _take(self, group: str | None, now: float) -> None:
        self._account.take(now)
        if group in self._groups:
            self._groups[group].take(now)

    def _give(self, group: str | None, passed_at: float, *, refused: bool) -> None:
        now = self._clock()
        # What refused a request of a group is the group's limit.
        self._account.give(passed_at, now, refused=refused and group not in self._groups)
        if group in self._groups:
            self._groups[group].give(passed_at, now, refused=refused)


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> bool:
    """Call a function on a loop's thread, soon; False if the loop is closed."""
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        return False
    return True


class Gates:
    """The gates of a process, by whom they are before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[Hashable, Gate] = {}

    def gate(self, key: Hashable, limits: Limits) -> Gate:
        """The gate of a base URL and account, going by the limits that were read last."""
        with self._lock:
            gate = self._gates.setdefault(key, Gate())
        gate.adopt(limits)
        return gate
