"""stderr and exit codes: the only place that writes the one and decides the other."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

import click

from provider.errors import Error
from provider.interfaces.values import visible_lines

if TYPE_CHECKING:
    from provider.rest.request import Exchange

DONE, FAILED, INTERRUPTED = 0, 1, 130
_PROGRESS_PAUSE = 0.1  # seconds
_CLEAR_LINE = "\r\x1b[K"


class Diagnostics:
    """What people are told beside the data; safe to use from several threads.

    Args:
        stream: stderr. Colour and progress are written to a terminal only.
        environ: NO_COLOR and TERM are looked up here.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._colour = self._terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self._lock = threading.Lock()
        self._progress_shown = False
        self._began = self._shown_at = time.monotonic()
        #: Whether an internal error is shown with its traceback.
        self.debug = False

    def note(self, text: str) -> None:
        """One remark, such as a row count."""
        self._print(visible_lines(text))

    def warning(self, text: str) -> None:
        """A remark that must not be overlooked."""
        self._print(self._painted("Warning:", "33") + " " + visible_lines(text))

    def error(self, error: Error) -> None:
        """An error with its place, reason and remedy."""
        self._print(self._painted(f"{type(error).__name__}:", "1;31") + " " + visible_lines(str(error)))

    def exchange(self, exchange: Exchange) -> None:
        """A request that was sent."""
        answer = "no answer" if exchange.status is None else str(exchange.status)
        waited = f", after a wait of {exchange.waited:.1f} s" if exchange.waited else ""
        call = exchange.call
        self.note(f"{call.http_method} {call.target} {answer} in {exchange.seconds * 1000:.0f} ms{waited}")

    def begin(self) -> None:
        """A statement begins; the rate of its requests is counted from here."""
        self._began = self._shown_at = time.monotonic()

    def progress(self, requests: int, rows: int) -> None:
        """How far the statement is: a line that overwrites itself, on a terminal."""
        now = time.monotonic()
        if not self._terminal or now - self._shown_at < _PROGRESS_PAUSE:
            return
        self._shown_at = now
        rate = requests / max(now - self._began, 0.001)
        with self._lock:
            self._stream.write(f"{_CLEAR_LINE}{requests:,} requests, {rows:,} rows, {rate:,.0f} requests/s")
            self._stream.flush()
            self._progress_shown = True

    def clear(self) -> None:
        """Take the progress line away."""
        with self._lock:
            self._clear()

    def exit_code(self, run: Callable[[], object]) -> int:
        """Run a command, tell what went wrong, and answer the exit code of the process."""
        try:
            run()
        except Error as error:
            self.error(error)
            return error.exit_code
        except click.ClickException as error:
            self.clear()
            error.show(self._stream)
            return error.exit_code
        except (KeyboardInterrupt, click.Abort):
            self.note("interrupted")
            return INTERRUPTED
        except Exception as error:  # a person must not see a traceback, whatever it was
            self._internal(error)
            return FAILED
        return DONE

    def _internal(self, error: Exception) -> None:
        if self.debug:
            self._print("".join(traceback.format_exception(error)).rstrip())
        words = " ".join(str(error).split())
        self._print(
            self._painted("internal error:", "1;31")
            + visible_lines(f" {type(error).__name__}: {words}\n  This is a defect of ApiQL; please report it.")
            + ("" if self.debug else "\n  `apiql --debug ...` shows where it happened.")
        )

    def _painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _print(self, text: str) -> None:
        with self._lock:
            self._clear()
            self._stream.write(text + "\n")
            self._stream.flush()

    def _clear(self) -> None:
        if self._progress_shown:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()
            self._progress_shown = False
