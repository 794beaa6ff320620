"""An event loop in a thread of its own, so that a synchronous caller can have many requests in flight."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent import futures
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
#: Seconds after which a wait looks whether a signal came.
LOOK_UP = 0.05


class Loop:
    """Runs coroutines for callers of other threads. Starts with the first one, ends with `close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; the future can be waited for, or cancelled, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._running())

    def wait(self, future: Future[T]) -> T:
        """What `submit` started, run to its end. It is cancelled, and gone, when the caller is interrupted."""
        try:
            return result_of(future)
        except BaseException:
            if future.cancel() or future.cancelled():
                self.submit(_end_of_cancelled()).result()
            raise

    def call(self, callback: Any, *arguments: Any) -> None:
        """Call a function on the loop's thread, soon."""
        self._running().call_soon_threadsafe(callback, *arguments)

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: object) -> Callable[[], object]:
        """Call a function on the loop's thread after a time. What is returned takes that back."""
        loop, handles = self._running(), []

        def start() -> None:
            handles.append(loop.call_later(seconds, callback, *arguments))

        loop.call_soon_threadsafe(start)
        return lambda: loop.call_soon_threadsafe(lambda: handles[0].cancel())

    def close(self) -> None:
        """Stop the loop; what still runs is cancelled first."""
        if self._loop is None or self._thread is None:
            return
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="apiql-requests", daemon=True)
            self._thread.start()
        return self._loop


def result_of(future: Future[T]) -> T:
    """What a future comes to, waited for so that Ctrl-C ends the wait.

    Python notices no signal that arrives between its last look and the beginning of a wait; so it looks up now and
    then.
    """
    while not future.done():
        futures.wait((future,), LOOK_UP)
    return future.result()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, which costs a fifth less of CPU a request; else asyncio's own."""
    try:
        import uvloop  # here, as a statement that sends nothing needs no loop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _end_of_cancelled() -> None:
    """Wait until the tasks that were cancelled are gone."""
    tasks = [t for t in asyncio.all_tasks() if t.cancelling()]
    await asyncio.gather(*tasks, return_exceptions=True)


async def _cancel_all() -> None:
    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
