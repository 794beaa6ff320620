"""Ctrl-C while DuckDB computes: it looks for signals between two pieces of work only, and a piece may take minutes.

The interpreter hands a signal's number to a file descriptor at once (`signal.set_wakeup_fd`), whatever the main thread
does. A thread of ours reads it there and interrupts DuckDB; KeyboardInterrupt comes when the main thread is back.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import duckdb

T = TypeVar("T")
#: Interruptions after one Ctrl-C, and seconds between them: one that comes before DuckDB has begun is lost.
_TIMES, _AGAIN = 50, 0.01


class _Reader:
    """A thread that reads signals. `duck` is what the main thread computes with; `before` who read them otherwise."""

    def __init__(self) -> None:
        self.duck: duckdb.DuckDBPyConnection | None = None
        self.before = -1
        self._end, self.fd = os.pipe()
        os.set_blocking(self.fd, False)
        self.thread = threading.Thread(target=self._read, name="apiql-signals", daemon=True)
        self.thread.start()

    def _read(self) -> None:
        while numbers := os.read(self._end, 64):
            if self.before != -1:
                with suppress(OSError):
                    os.write(self.before, numbers)
            if signal.SIGINT in numbers:
                self._interrupt()

    def _interrupt(self) -> None:
        for _ in range(_TIMES):
            duck = self.duck
            if duck is None:
                return
            duck.interrupt()
            time.sleep(_AGAIN)


_reader: _Reader | None = None


def computed(duck: duckdb.DuckDBPyConnection, run: Callable[[], T]) -> T:
    """What `run` gives, which lets DuckDB compute; in the main thread Ctrl-C interrupts it at once.

    Where a program has a handler of its own for Ctrl-C, that decides, and DuckDB is not interrupted.
    """
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours or os.name != "posix" or threading.current_thread() is not threading.main_thread():
        return run()
    global _reader
    if _reader is None or not _reader.thread.is_alive():  # a process that was forked has no thread of ours
        _reader = _Reader()
    reader = _reader
    reader.before = signal.set_wakeup_fd(reader.fd, warn_on_full_buffer=False)
    try:
        reader.duck = duck
        return run()
    finally:
        reader.duck = None  # no call, as the next one lets KeyboardInterrupt in
        signal.set_wakeup_fd(reader.before)
