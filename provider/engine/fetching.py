"""Jobs to pages: the requests of a statement's scans, many at a time, handed to the thread that stages them."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider.catalog.catalog import Method
from provider.engine.loop import Loop
from provider.engine.staging import BATCH_BYTES
from provider.rest.pagination import Pages, pages
from provider.rest.request import Call, Target

if TYPE_CHECKING:
    from provider.rest.client import Client

#: Bodies waiting to be staged, in bytes; beyond it the next pages are not asked for.
_ROOM = 64 * 2**20
#: Events are handed over together, since each hand-over makes two threads fight for the interpreter: as many
#: as are worth one statement of the stage, or seconds that an event may wait.
_PATIENCE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One key of a scan: a call, and its following pages. Compared by identity."""

    scan: int
    target: Target
    method: Method
    call: Call
    echo: tuple[object, ...]
    #: Whether the next page is asked for only after `Fetcher.go_on`.
    paced: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """A page of a job. `body` is None when the API has no such object; `waits` says that the job is paused."""

    job: Job
    body: bytes | None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """A job read to its end, or failed."""

    job: Job
    failure: BaseException | None = None


class Fetcher:
    """Works off jobs with at most `concurrency` requests in flight a provider.

    `add` and `take` belong to the staging thread; everything else happens on the loop's thread.
    """

    def __init__(self, loop: Loop, client: Client, concurrency: int) -> None:
        self._loop = loop
        self._client = client
        self._concurrency = concurrency
        self._batches: queue.SimpleQueue[list[Arrived | Finished]] = queue.SimpleQueue()
        self._batch: list[Arrived | Finished] = []
        self._batch_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._jobs = 0
        self._paused: dict[Job, asyncio.Event] = {}
        self._stopped: set[int] = set()
        self._waiting: dict[str, deque[Job]] = {}
        self._workers: dict[str, set[asyncio.Task[None]]] = {}
        self._buffered = 0
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False

    def add(self, jobs: Iterable[Job]) -> None:
        """Put jobs in line."""
        self._loop.call(self._enqueue, list(jobs))

    def take(self) -> list[Arrived | Finished]:
        """The next events, at least one; waits for them."""
        events = self._batches.get()
        size = sum(len(e.body) for e in events if isinstance(e, Arrived) and e.body is not None)
        if size:
            self._loop.call(self._release, size)
        return events

    def go_on(self, job: Job) -> None:
        """Let a paused job ask for its next page."""
        self._loop.call(self._resume, job)

    def stop(self, scan: int) -> None:
        """Ask for nothing more of a scan; what is in flight still arrives."""
        self._loop.call(self._stop, scan)

    def close(self) -> None:
        """Cancel what is in flight and wait until it is gone."""
        self._loop.submit(self._cancel()).result()

    def _enqueue(self, jobs: list[Job]) -> None:
        if self._closed:
            return
        self._jobs += len(jobs)
        for job in jobs:
            name = job.target.provider.name
            self._waiting.setdefault(name, deque()).append(job)
        for name, line in self._waiting.items():
            workers = self._workers.setdefault(name, set())
            for _ in range(min(len(line), self._concurrency - len(workers))):
                task = asyncio.get_running_loop().create_task(self._work(name, line))
                workers.add(task)
                task.add_done_callback(workers.discard)

    async def _work(self, name: str, line: deque[Job]) -> None:
        while line:
            job = line.popleft()
            try:
                if job.scan not in self._stopped:
                    await self._fetch(job)
            except Exception as e:
                self._finish(Finished(job, e))
            else:
                self._finish(Finished(job))
        # Leave at once, so that a job added in this very moment finds a free place.
        current = asyncio.current_task()
        if current is not None:
            self._workers[name].discard(current)

    async def _fetch(self, job: Job) -> None:
        protocol = pages(job.method, job.call)
        call = first = next(protocol)
        while True:
            await self._room.wait()
            # 'No such object' is no row only where the key is asked for. Behind a cursor it would cut the list short.
            keyed = call is first and not call.has_query(job.method.pages.param if job.method.pages else "")
            body = await self._client.send(job.target, job.method, call, none_is_fine=keyed)
            if body is not None:
                self._buffered += len(body)
                if self._buffered > _ROOM:
                    self._room.clear()
            following = self._next_call(protocol, body)
            waits = job.paced and following is not None
            if waits:
                self._paused[job] = asyncio.Event()
            self._emit(Arrived(job, body, waits), len(body or b""))
            if waits:
                self._hand_over()
                await self._paused[job].wait()
                del self._paused[job]
            if following is None or job.scan in self._stopped:
                protocol.close()
                return
            call = following

    @staticmethod
    def _next_call(protocol: Pages, body: bytes | None) -> Call | None:
        """The call for the page behind a body; None behind the last one, and where there is no object."""
        try:
            return protocol.send(body) if body is not None else None
        except StopIteration:
            return None

    def _resume(self, job: Job) -> None:
        if job in self._paused:
            self._paused[job].set()

    def _stop(self, scan: int) -> None:
        self._stopped.add(scan)
        for job, gate in self._paused.items():
            if job.scan == scan:
                gate.set()

    def _finish(self, event: Finished) -> None:
        self._jobs -= 1
        self._emit(event, 0)
        if self._jobs == 0 or event.failure is not None:
            self._hand_over()

    def _emit(self, event: Arrived | Finished, size: int) -> None:
        self._batch.append(event)
        self._batch_bytes += size
        if self._batch_bytes >= BATCH_BYTES:
            self._hand_over()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._hand_over)

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
        for line in self._waiting.values():
            line.clear()
        tasks = [t for workers in self._workers.values() for t in workers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


#: Tells how far a statement is: requests answered, and rows staged.
Progress = Callable[[int, int], None]
