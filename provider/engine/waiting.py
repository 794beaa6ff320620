"""AWAIT: the operations that a write has begun are looked at until they have ended, all at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider.engine.operations import Operations, Standing
from provider.engine.sending import Letter
from provider.errors import Cancelled, Error, Place, Timeout
from provider.rest.request import Target
from provider.rest.waits import asked

if TYPE_CHECKING:
    from provider.catalog.waiting import Await
    from provider.rest.client import Client

#: The shortest pause between two looks, whatever the API says, in seconds.
_LEAST = 0.05
#: Told how the operations stand that a statement waits for: one line, on the loop's thread.
Tell = Callable[[str], None]


@dataclass(slots=True, eq=False)
class Begun:
    """An operation that a letter has begun; `standing` and the letter's body are what the API said last.

    `target` is where its object is read.
    """

    letter: Letter
    operations: Operations
    target: Target
    standing: Standing
    failure: Error | None = None

    @property
    def look(self) -> str:
        """A statement that shows how it stands."""
        return self.operations.look(self.letter.body or b"", self.letter.call)


async def wait_for(begun: Sequence[Begun], client: Client, tell: Tell, place: Place) -> None:
    """Look at operations until none of them is on the way; what became of each stands in it then."""
    started = time.monotonic()

    def told(one: Begun) -> None:
        ended = sum(1 for b in begun if b.standing.meaning != "on the way")
        share = f"{ended:,} of {len(begun):,} ended; " if len(begun) > 1 else ""
        tell(f"{share}{one.standing}, {time.monotonic() - started:.0f} s elapsed")

    await asyncio.gather(*(_wait(b, client, started, told, place) for b in begun))


async def _wait(begun: Begun, client: Client, started: float, told: Callable[[Begun], None], place: Place) -> None:
    operations, letter = begun.operations, begun.letter
    rule = operations.rule
    own = pauses(rule)
    wanted = asked(letter.answer, rule.waits, time.time()) if letter.answer is not None else None
    while begun.standing.meaning == "on the way":
        told(begun)
        pause = next(own) if wanted is None else max(wanted, _LEAST)
        if time.monotonic() - started + pause > rule.deadline:
            begun.failure = _too_late(begun, place)
            return
        await asyncio.sleep(pause)
        try:
            call = operations.read(letter.body or b"", letter.call)
            answer = await client.send(begun.target.of(call), operations.reading, call)
        except Error as e:
            e.place = e.place or place
            e.remedy = e.remedy or f"The operation goes on at the server. Look at it with\n  {begun.look}"
            begun.failure = e
            return
        if answer is None:
            begun.standing = operations.gone(begun.standing)
        else:
            letter.body = answer.body
            begun.standing = operations.standing(answer.body)
            wanted = asked(answer, rule.waits, time.time())
    told(begun)
    if begun.standing.meaning == "failed":
        begun.failure = operations.error(begun.standing, letter.body or b"", place)


def pauses(rule: Await) -> Iterator[float]:
    """Seconds before each look, where the API does not say."""
    pause = rule.interval
    while True:
        yield min(pause, rule.max_interval)
        pause = min(pause * 1.5, rule.max_interval)


def _too_late(begun: Begun, place: Place) -> Timeout:
    return Timeout(
        f"{begun.standing} after {begun.operations.rule.deadline:g} s",
        place=place,
        reason="The operation goes on at the server; only the waiting has ended.",
        remedy=f"Look at it with\n  {begun.look}",
    )


def left_alone(begun: Sequence[Begun], place: Place, late: Timeout | None) -> Cancelled | Timeout:
    """The error of a statement that was stopped while it waited, by somebody or by its clock, which is `late` then."""
    still = [b for b in begun if b.standing.meaning == "on the way"]
    which = str(still[0].standing) if len(still) == 1 else f"{len(still):,} operations are on the way"
    reason = f"{which}. Nothing was cancelled: what was begun goes on at the server."
    remedy = "Look at it with\n  " + still[0].look if still else ""
    if late is not None:
        return Timeout(f"AWAIT: {late.summary}", place=place, reason=reason, remedy=remedy)
    return Cancelled("AWAIT was interrupted", place=place, reason=reason, remedy=remedy)


def settled(begun: Sequence[Begun]) -> str:
    """A message about operations that have ended: their state, or what they ask for.

    Raises:
        Error: the first one that failed; of several it says how many.
    """
    failed = [b for b in begun if b.failure is not None]
    if failed and failed[0].failure is not None:
        error = failed[0].failure
        if len(begun) > 1:
            done = sum(1 for b in begun if b.standing.meaning == "done")
            error.reason = f"{error.reason}\nOf {len(begun):,} operations {done:,} are done.".lstrip()
        raise error
    asking = [b for b in begun if b.standing.meaning == "wanted"]
    if not asking:
        return str(begun[0].standing) if len(begun) == 1 else ""
    return "\n".join(b.operations.request(b.standing, b.letter.body or b"", b.letter.call, "AWAIT") for b in asking)
