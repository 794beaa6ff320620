"""Writes on their way: many at a time, those with the same path in their order, each sent once."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from provider.engine.loop import Loop, result_of
from provider.engine.outcomes import Outcome, WriteReport
from provider.errors import ApiError, Error, IntegrityError, OutcomeUnknown, TransportError
from provider.rest.request import Call, Exchange, Target

if TYPE_CHECKING:
    from provider.catalog.catalog import Method
    from provider.engine.journal import StatementJournal
    from provider.rest.transport import Response

#: What happens to the rows that are left when one has failed.
OnError = Literal["stop", "continue"]
#: What is about a single row. Other errors, such as missing credentials, would be the same for all.
_OF_ONE_ROW = (ApiError, IntegrityError, OutcomeUnknown, TransportError)


@dataclass(slots=True, eq=False)
class Letter:
    """A row's call, and what became of it.

    `none_is_fine` says that a missing object is no failure. `key` names the field with the object's id.
    `idempotency_key` lets the API recognise the call when it is sent again, where it can. The rest is filled in
    while the call is under way, by the loop's thread.
    """

    row: int
    target: Target
    method: Method
    call: Call
    none_is_fine: bool
    key: str
    idempotency_key: str | None = None
    outcome: Outcome = "not done"
    status: int | None = None
    body: bytes | None = None
    answer: Response | None = None
    failure: Error | None = None
    id: str | None = None

    def report(self) -> WriteReport:
        """The row as the statement's report has it."""
        error = self.failure.summary if self.failure is not None else None
        if error is None and self.status is not None and self.outcome == "not done":
            error = "there is no such object"
        return WriteReport(self.row, str(self.call), self.status, self.id, error, self.outcome)


#: Sends a letter's call; None where the API has no such object. Errors as `Client.send`.
Post = Callable[[Letter], Awaitable["Response | None"]]


class Sender:
    """Sends the letters of one statement.

    Args:
        post: sends one of them.
        concurrency: requests in flight.
        log: where each row is written down before and after it is sent.

    Attributes:
        total: letters that there are; `ended` counts those that have their outcome.
    """

    def __init__(
        self, loop: Loop, post: Post, concurrency: int, on_error: OnError, log: StatementJournal | None
    ) -> None:
        self._loop = loop
        self._post = post
        self._concurrency = concurrency
        self._on_error = on_error
        self._log = log
        self.total = self.ended = 0
        self._lanes: dict[object, deque[Letter]] = {}
        self._ready: list[tuple[int, object]] = []
        self._stopped = False
        self._under_way: dict[int, Letter] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def send(self, letters: Sequence[Letter]) -> None:
        """Send the letters, and wait until each has its outcome.

        Those with the same path go in their order, one after the other, where the method says that order
        matters. After a failure nothing more is sent, unless `on_error` is 'continue'; what is in flight is
        waited for.

        Raises:
            OperationalError: the journal cannot be written.
            KeyboardInterrupt: what was in flight is given up, and its outcome unknown.
        """
        self.total = len(letters)
        for letter in letters:
            lane = (letter.method.http, letter.call.path) if letter.method.ordered else letter
            self._lanes.setdefault(lane, deque()).append(letter)
        # Row numbers are unique, so that lanes are never compared.
        self._ready = [(line[0].row, lane) for lane, line in self._lanes.items()]
        heapq.heapify(self._ready)
        work = self._loop.submit(self._work())
        try:
            result_of(work)
        except BaseException:
            self._loop.submit(self._give_up()).result()
            raise

    def stop(self) -> None:
        """Give up what is in flight, from any thread; `send` returns then."""
        self._loop.submit(self._give_up())

    def observe(self, exchange: Exchange) -> None:
        """Learn the status of an answer."""
        letter = self._under_way.get(id(exchange.call))
        if letter is not None:
            letter.status = exchange.status

    async def _work(self) -> None:
        self._tasks = [asyncio.create_task(self._carry()) for _ in range(min(self._concurrency, len(self._ready)))]
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):  # given up is no failure
                raise ended

    async def _give_up(self) -> None:
        """Cancel what is in flight, and wait until it is gone."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self) -> None:
        """Send what is next, until nothing is left that may be sent."""
        try:
            while self._ready and not self._stopped:
                _, lane = heapq.heappop(self._ready)
                line = self._lanes[lane]
                await self._send(line.popleft())
                if line:
                    heapq.heappush(self._ready, (line[0].row, lane))
        except BaseException:
            self._stopped = True
            raise

    async def _send(self, letter: Letter) -> None:
        if self._log is not None:
            await self._log.sent(letter)
        if self._stopped:  # meanwhile, by another row
            await self._note(letter)
            return
        self._under_way[id(letter.call)] = letter
        letter.outcome = "unknown"
        try:
            answer = await self._post(letter)
        except Error as e:
            letter.failure = e
            letter.outcome = "unknown" if isinstance(e, OutcomeUnknown) else "not done"
            self._stopped |= self._on_error == "stop" or not isinstance(e, _OF_ONE_ROW)
        else:
            letter.outcome = "not done" if answer is None else "done"
            letter.answer = answer
            letter.body = answer.body if answer is not None else None
            letter.id = _id(letter.body, letter.key)
        finally:
            del self._under_way[id(letter.call)]
        await self._note(letter)

    async def _note(self, letter: Letter) -> None:
        self.ended += 1
        if self._log is not None:
            await self._log.ended(letter)


def _id(body: bytes | None, key: str) -> str | None:
    """What an answer calls its object."""
    try:
        found = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
    value = found.get(key) if isinstance(found, dict) else None
    return None if value is None else str(value)
