"""Jobs to pages: the requests of a statement's scans, many at a time, handed to the thread that stages them."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provider.catalog.catalog import Method
from provider.engine.loop import LOOK_UP, Loop
from provider.engine.report import ScanReport
from provider.engine.staging import BATCH_BYTES
from provider.errors import InternalError
from provider.rest.auth.redaction import redacted
from provider.rest.pagination import COMPLETE, Answer, Listing, Pages, pages
from provider.rest.request import Call, Target
from provider.rest.revalidation import conditions, current

if TYPE_CHECKING:
    from provider.rest.client import Client

#: Bodies waiting to be staged, in bytes; beyond it the next pages are not asked for.
_ROOM = 64 * 2**20
#: Events are handed over together, since each hand-over makes two threads fight for the interpreter: as many
#: as are worth one statement of the stage, or seconds that an event may wait: a share of the time that the
#: statement has been fetching for, between a least and a most, as what waits for an event may have to wait longer
#: the longer it waits anyway.
_PATIENCE = (0.01, 0.25)
_SHARE = 1 / 8


#: The account of the scan that a worker sends a request for.
_ASKING: ContextVar[ScanReport | None] = ContextVar("asking", default=None)


def asking() -> ScanReport | None:
    """The account of the scan for which a request is sent in this very task; None where it is for no scan."""
    return _ASKING.get()


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One key of a scan: a call, and its following pages. Compared by identity.

    `report` is the account of the scan that sends it. `key` are the fields that tell the rows of the list apart;
    `alone` says that it is the scan's only list.
    """

    report: ScanReport
    target: Target
    method: Method
    call: Call
    echo: tuple[object, ...]
    #: Whether the next page is asked for only after `Fetcher.go_on`.
    paced: bool = False
    key: tuple[str, ...] = ()
    alone: bool = False
    #: Answers that are kept, and too old to be used unasked, by their calls.
    kept: Mapping[Call, Answer] | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A page of a job. `body` is None when the API has no such object; `waits` says that the job is paused.

    `repeated` rows were left out of the body because the list had them already. `answer` is what the API said.
    """

    job: Job
    body: bytes | None
    waits: bool = False
    repeated: int = 0
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A job read to its end, or failed; `ended` says what the end was, see `Step`."""

    job: Job
    failure: BaseException | None = None
    ended: str = COMPLETE


@dataclass(eq=False, slots=True)
class _Reading:
    """A job while it is read: its protocol, and the calls that may be sent."""

    job: Job
    protocol: Pages | None = None
    # A list, as there is one for each key of a scan, and an empty deque has room for 64.
    ready: list[Call] = field(default_factory=list)
    #: Whether it stands in line: once, however many calls it has.
    in_line: bool = True
    in_flight: int = 0
    over: bool = False


class Fetcher:
    """Works off jobs with at most `concurrency` requests in flight an account.

    Jobs with something to send stand in a line an account; each gives one call when its turn comes, so that a
    job of a thousand pages does not keep another one waiting.

    `add` and `take` belong to the staging thread; everything else happens on the loop's thread.

    Args:
        check: raises when the statement was stopped.
    """

    def __init__(self, loop: Loop, client: Client, concurrency: int, check: Callable[[], None]) -> None:
        self._loop = loop
        self._check = check
        self._client = client
        self._concurrency = concurrency
        self._batches: queue.SimpleQueue[list[Arrived | Finished]] = queue.SimpleQueue()
        self._batch: list[Arrived | Finished] = []
        self._batch_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._began: float | None = None
        self._jobs = 0
        self._paused: dict[Job, _Reading] = {}
        self._stopped: set[Job] = set()
        self._lines: dict[str, deque[_Reading]] = {}
        self._workers: dict[str, set[asyncio.Task[None]]] = {}
        self._buffered = 0
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False

    def add(self, jobs: Iterable[Job]) -> None:
        """Put jobs in line."""
        self._loop.call(self._enqueue, list(jobs))

    def take(self) -> list[Arrived | Finished]:
        """The next events, at least one; waits for them. Raises what `check` raises."""
        events = self._next_batch()
        self._check()
        size = sum(len(e.body) for e in events if isinstance(e, Arrived) and e.body is not None)
        if size:
            self._loop.call(self._release, size)
        return events

    def _next_batch(self) -> list[Arrived | Finished]:
        while True:
            try:
                return self._batches.get(timeout=LOOK_UP)
            except queue.Empty:
                continue  # as in `result_of`: a signal is noticed between two waits

    def wake(self) -> None:
        """Let `take` look at `check` at once; from any thread."""
        self._batches.put([])

    def go_on(self, job: Job) -> None:
        """Let a paused job ask for its next page."""
        self._loop.call(self._resume, job)

    def stop(self, jobs: Iterable[Job]) -> None:
        """Ask for nothing more of some jobs; what is in flight still arrives."""
        self._loop.call(self._stop, list(jobs))

    def close(self) -> None:
        """Cancel what is in flight and wait until it is gone."""
        self._loop.submit(self._cancel()).result()

    def _enqueue(self, jobs: list[Job]) -> None:
        if self._closed:
            return
        self._jobs += len(jobs)
        for job in jobs:
            self._lines.setdefault(job.target.pool, deque()).append(_Reading(job))
        for pool in self._lines:
            self._staff(pool)

    def _staff(self, pool: str) -> None:
        """Have a worker for each reading in line, as far as there are free places."""
        workers = self._workers.setdefault(pool, set())
        for _ in range(min(len(self._lines[pool]), self._concurrency - len(workers))):
            task = asyncio.get_running_loop().create_task(self._work(pool))
            workers.add(task)
            task.add_done_callback(workers.discard)

    async def _work(self, pool: str) -> None:
        line = self._lines[pool]
        while line:
            reading = line.popleft()
            reading.in_line = False
            try:
                if reading.job in self._stopped:
                    self._end(reading)
                elif not reading.over:
                    await self._fetch(reading)
            except Exception as e:
                # Paging quotes what an answer has where something else was declared.
                self._end(reading, failure=redacted(e, self._client.routes.hidden))
        # Leave at once, so that a job added in this very moment finds a free place.
        current = asyncio.current_task()
        if current is not None:
            self._workers[pool].discard(current)

    async def _fetch(self, reading: _Reading) -> None:
        """Send one call of a reading, and do what its protocol makes of the answer."""
        job = reading.job
        if reading.protocol is None:
            reading.protocol = pages(self._listing(job))
            reading.ready.extend(next(reading.protocol).calls)
            # 'No such object' is no row only where the key is asked for. Further on it would cut the list short.
            none_is_fine = not _begins_within(job)
        else:
            none_is_fine = False
        call = reading.ready.pop(0)
        reading.in_flight += 1
        if reading.ready and not job.paced:
            self._line_up(reading)
            self._staff(job.target.pool)
        await self._room.wait()
        _ASKING.set(job.report)
        kept = job.kept.get(call) if job.kept else None
        response = await self._client.send(
            job.target, job.method, call, none_is_fine=none_is_fine, conditions=conditions(kept)
        )
        reading.in_flight -= 1
        if reading.over:
            return
        if response is None:
            self._emit(Arrived(job, None), 0)
            self._end(reading)
            return
        answer = current(kept, Answer(call, response.body, response.headers), response)
        step = reading.protocol.send(answer)
        reading.ready.extend(step.calls)
        body = step.body or b""
        self._buffered += len(body)
        if self._buffered > _ROOM:
            self._room.clear()
        stopped = bool(step.ended) or job in self._stopped
        waits = job.paced and not stopped
        self._emit(Arrived(job, step.body, waits, step.repeated, answer), len(body))
        if stopped:
            self._end(reading, step.ended or COMPLETE)
        elif not reading.ready and not reading.in_flight:
            raise InternalError(f"the pages of {call.template} neither end nor go on")
        elif waits:
            self._paused[job] = reading
            self._hand_over()
        elif reading.ready:
            self._line_up(reading)

    def _listing(self, job: Job) -> Listing:
        base_url = self._client.routes.of(job.target).base_url if job.method.pages is not None else ""
        return Listing(job.method, job.call, job.key, base_url, job.alone)

    def _line_up(self, reading: _Reading) -> None:
        """Put a reading that has something to send in line; it stands there once."""
        if not reading.in_line:
            reading.in_line = True
            self._lines[reading.job.target.pool].append(reading)

    def _resume(self, job: Job) -> None:
        reading = self._paused.pop(job, None)
        if reading is not None:
            self._line_up(reading)
            self._staff(job.target.pool)

    def _stop(self, jobs: list[Job]) -> None:
        self._stopped.update(jobs)
        for job in jobs:
            if (reading := self._paused.pop(job, None)) is not None:
                self._end(reading)

    def _end(self, reading: _Reading, ended: str = COMPLETE, failure: Exception | None = None) -> None:
        """A job is over, once; answers that are still on their way are dropped."""
        if reading.over:
            return
        reading.over = True
        if reading.protocol is not None:
            reading.protocol.close()
        self._jobs -= 1
        self._emit(Finished(reading.job, failure, ended), 0)
        if self._jobs == 0 or failure is not None:
            self._hand_over()

    def _emit(self, event: Arrived | Finished, size: int) -> None:
        self._batch.append(event)
        self._batch_bytes += size
        if self._batch_bytes >= BATCH_BYTES:
            self._hand_over()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._began = self._began or loop.time()
            least, most = _PATIENCE
            patience = min(most, max(least, _SHARE * (loop.time() - self._began)))
            self._timer = loop.call_later(patience, self._hand_over)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batch:
            self._batches.put(self._batch)
            self._batch, self._batch_bytes = [], 0

    def _release(self, size: int) -> None:
        self._buffered -= size
        if self._buffered <= _ROOM:
            self._room.set()

    async def _cancel(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for line in self._lines.values():
            line.clear()
        tasks = [t for workers in self._workers.values() for t in workers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _begins_within(job: Job) -> bool:
    """Whether the statement itself says where in the list to begin."""
    rule = job.method.pages
    return rule is not None and any(job.call.value(p, rule.location) is not None for p in rule.positions)
