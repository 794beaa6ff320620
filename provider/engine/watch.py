"""Stopping a statement from outside: on demand from another thread, or because its time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import duckdb

from provider.engine.report import Report
from provider.errors import Cancelled, ProgrammingError, Timeout

#: Seconds between two interruptions of DuckDB: one that comes between two of its statements is lost.
_AGAIN = 0.01


Later = Callable[[float, Callable[[], object]], Callable[[], object]]


class Stopped(BaseException):
    """Leaves whatever a stopped statement is doing, as KeyboardInterrupt would; `reason` is what its caller sees."""

    def __init__(self, reason: Cancelled | Timeout) -> None:
        super().__init__(reason.summary)
        self.reason = reason


class Watch:
    """Watches over one statement and over the reading of its rows; a `with` block each.

    Outside of these blocks nothing runs that could be stopped, and no time is counted.

    Args:
        duck: interrupted while the statement may be running in it.
        call_later: calls a function after so many seconds, on another thread; what it returns takes that back.
        report: what the statement has done so far.
        seconds: how long it may take, None for as long as it likes.
    """

    def __init__(
        self, duck: duckdb.DuckDBPyConnection, call_later: Later, report: Report, seconds: float | None = None
    ) -> None:
        self._duck = duck
        self._call_later = call_later
        self._report = report
        self._seconds = seconds
        self._left = seconds
        self._lock = threading.Lock()
        self._running = False
        self._reason: Cancelled | Timeout | None = None
        self._wakes: list[Callable[[], object]] = []
        self._ends: list[Callable[[], object]] = []
        self._began = 0.0
        self._take_back: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        if self._reason is not None:
            raise self._reason
        with self._lock:
            self._running = True
        self._start_clock()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._running = False
        if error is not None:
            self._drop_rest()
        self._stop_clock()
        # DuckDB's own word for an interruption says nothing more; a write's says what was done.
        if self._reason is not None and (isinstance(error, Stopped) or _says_nothing(error)):
            raise self._reason from None

    def cancel(self) -> None:
        """Stop the statement, from any thread; nothing happens when it is not running."""
        self._stop(Cancelled("the statement was cancelled", reason=self._account()))

    def check(self) -> None:
        """Leave, if the statement was stopped."""
        if self._reason is not None:
            raise Stopped(self._reason)

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Within the block the statement's thread may be waiting; `wake` ends that, and is called on any thread."""
        with self._lock:
            self._wakes.append(wake)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._wakes.remove(wake)

    def ending(self, end: Callable[[], object]) -> None:
        """What the statement has opened and hands out: `end` is called where an error leaves it, or its rows.

        Ctrl-C may come at any moment between the opening and the cursor's getting it.
        """
        self._ends.append(end)

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Within the block somebody is asked, whose time is not the statement's."""
        self._stop_clock()
        try:
            yield
            self.check()
        finally:
            self._start_clock()

    def noticed(self) -> None:
        """The statement has failed: what cleans up behind it is not to be interrupted."""
        with self._lock:
            self._running = False
        self._drop_rest()

    def _start_clock(self) -> None:
        if self._left is not None:
            self._began = time.monotonic()
            self._take_back = self._call_later(max(0.0, self._left), self._run_out)

    def _stop_clock(self) -> None:
        if self._left is not None and self._take_back is not None:
            self._take_back()
            self._left -= time.monotonic() - self._began

    def _drop_rest(self) -> None:
        """End what was opened, and what DuckDB still carries of a query that was left.

        Its next statement would carry that to the end first. An interruption ends it, and is forgotten when the next
        statement begins.
        """
        self._duck.interrupt()
        for end in self._ends:
            end()

    def _stop(self, reason: Cancelled | Timeout) -> None:
        with self._lock:
            if not self._running or self._reason is not None:
                return
            self._reason = reason
            wakes = list(self._wakes)
        for wake in wakes:
            wake()
        self._interrupt()

    def _interrupt(self) -> None:
        with self._lock:
            if not self._running:
                return
            self._duck.interrupt()
        self._call_later(_AGAIN, self._interrupt)

    def _run_out(self) -> None:
        sent = self._report.requests > 0
        summary = f"the statement was not done within {self._seconds:g} s"
        self._stop(
            Timeout(summary, sent=sent, reason=self._account(), remedy="Ask for less, or raise statement_timeout.")
        )

    def _account(self) -> str:
        report = self._report
        if not report.requests:
            return "Nothing was sent."
        waited = f" {report.waited:.1f} s of it were spent waiting." if report.waited >= 0.1 else ""
        rows = sum(scan.rows for scan in report.scans)
        return f"Requests sent: {report.requests:,}. Rows read: {rows:,}.{waited}"


def _says_nothing(error: BaseException | None) -> bool:
    # An interruption while rows are read reaches us as a misuse of the result that it has closed.
    closed = isinstance(error, ProgrammingError) and "INTERRUPT Error" in str(error)
    return closed or isinstance(error, duckdb.InterruptException) or (isinstance(error, Cancelled) and not error.reason)
