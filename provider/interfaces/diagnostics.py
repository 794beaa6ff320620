"""stderr and exit codes: the only place that writes the one and decides the other."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

import click

from provider.errors import Error
from provider.interfaces.values import visible_lines
from provider.interfaces.words import AFTER, cut, heads, request_line, words

if TYPE_CHECKING:
    from provider.engine.guard import Question
    from provider.engine.progress import Progress
    from provider.rest.har import Entry
    from provider.rest.request import Exchange

DONE, FAILED, INTERRUPTED = 0, 1, 130
_WAITING_PAUSE = 10.0  # seconds
_CLEAR_LINE = "\r\x1b[K"


class Diagnostics:
    """What people are told beside the data; safe to use from several threads.

    Args:
        stream: stderr. Colour and progress are written to a terminal only.
        environ: NO_COLOR, TERM and CI are looked up here.
        answers: where a person answers questions: stdin. They are asked on a terminal only.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str], answers: TextIO | None = None) -> None:
        self._stream = stream
        self._answers = answers
        self._terminal = stream.isatty()
        moves = self._terminal and environ.get("TERM") != "dumb"
        #: Whether there may be colour.
        self.colour = moves and not environ.get("NO_COLOR")
        # What runs a build may say that it is a terminal; nobody looks at it, and all of it is kept.
        self._person = moves and not environ.get("CI")
        #: Whether there is a person who can be asked.
        self.can_ask = self._terminal and answers is not None and answers.isatty() and not environ.get("CI")
        self._asking = False
        self._lock = threading.Lock()
        self._line = ""
        self._waits_for = ""
        self._told_at = 0.0
        #: Whether remarks and progress are left out; warnings and errors are not.
        self.quiet = False
        #: Whether an internal error is shown with its traceback.
        self.debug = False

    def note(self, text: str) -> None:
        """One remark, such as a row count."""
        if not self.quiet:
            self._print(visible_lines(text))

    def warning(self, text: str) -> None:
        """A remark that must not be overlooked."""
        self._print(self._painted("Warning:", "33") + " " + visible_lines(text))

    def error(self, error: Error) -> None:
        """An error with its place, reason and remedy."""
        told = error.shown(self._columns() if self._terminal else None)
        self._print(self._painted(f"{type(error).__name__}:", "1;31") + " " + visible_lines(told))

    def exchange(self, exchange: Exchange) -> None:
        """A request that was sent."""
        self._print(visible_lines(request_line(exchange)))

    def wire(self, entry: Entry) -> None:
        """The heads of a request that was sent, and of its answer."""
        self._print(visible_lines(heads(entry)))

    @property
    def shows_progress(self) -> bool:
        """Whether progress has anybody to look at it."""
        return self._person and not self.quiet

    def progress(self, progress: Progress) -> None:
        """How far the statement is: a line that overwrites itself, on a terminal that a person looks at."""
        if not self.shows_progress:
            return
        if progress.over:
            self.clear()
        elif progress.seconds >= AFTER:
            line = cut(visible_lines(words(progress)), self._columns() - 1)
            with self._lock:
                if line != self._line and not self._asking:
                    self._stream.write(_CLEAR_LINE + line)
                    self._stream.flush()
                    self._line = line

    def waiting(self, text: str) -> None:
        """How an operation stands that a statement waits for: told when its state has changed, and every ten seconds.

        Where progress is shown, it is part of that.
        """
        now = time.monotonic()
        state = text.rpartition(",")[0]
        if not self.shows_progress and (state != self._waits_for or now - self._told_at >= _WAITING_PAUSE):
            self._waits_for, self._told_at = state, now
            self.note(text)

    def confirm(self, question: Question) -> bool:
        """Ask a person; no, unless they say yes. Only where `can_ask`."""
        assert self._answers is not None
        with self._lock:
            self._asking = True
        try:
            self._print(visible_lines(str(question)))
            self.ask("Go on? [y/N] ")
            answer = ""
            try:
                answer = self._answers.readline()
            finally:
                if not answer.endswith("\n"):  # what follows has a line of its own
                    self._print("")
        finally:
            self._asking = False
        return answer.strip().lower() in ("y", "yes")

    def ask(self, text: str) -> None:
        """Write what stands in front of an answer."""
        with self._lock:
            self._clear()
            self._stream.write(text)
            self._stream.flush()

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
            self._print("interrupted")
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

    def _columns(self) -> int:
        """The width of the terminal, which may change at any time."""
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def _print(self, text: str) -> None:
        with self._lock:
            self._clear()
            self._stream.write(text + "\n")
            self._stream.flush()

    def _clear(self) -> None:
        if self._line:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()
            self._line = ""
