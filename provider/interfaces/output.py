"""stdout: the only place that writes it. What is written is data, and the same bytes wherever it goes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ParamSpec

import click

from provider.errors import OperationalError
from provider.interfaces.values import visible_lines

P = ParamSpec("P")
FORMATS = ("table", "csv", "json", "jsonl", "markdown")
#: The option that names one of them, as `format_name`.
format_option = click.option(
    "-o", "--output", "format_name", type=click.Choice(FORMATS), default="table", show_default=True, help="Format."
)
#: Characters of a table's value that a terminal shows, unless something else is asked for.
TERMINAL_WIDTH = 60
#: What a shell reports of a program whose reader went away: 128 + SIGPIPE.
READER_GONE = 141


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def widths() -> tuple[int, int]:
    """How wide a table's value and its line may be on stdout; 0 stands for any width."""
    return (TERMINAL_WIDTH, shutil.get_terminal_size().columns) if is_terminal() else (0, 0)


@contextmanager
def stdout() -> Iterator[Callable[[str], object]]:
    """Gives a `write`. When the reader goes away (`| head`) the process ends quietly.
    What else keeps it from being written is an OperationalError, such as a full disk.

    On a terminal, characters that it would act on are written out, line feeds and tabs excepted.
    """
    try:
        yield _told(_write_visibly if is_terminal() else sys.stdout.write)
        flush()
    except BrokenPipeError:
        _give_up()
        raise SystemExit(READER_GONE) from None


def flush() -> None:
    """Hand what is written to the reader now; errors as in `stdout`."""
    _told(sys.stdout.flush)()


def _told(write: Callable[P, object]) -> Callable[P, object]:
    """The same function, whose failures name what could not be written."""

    def told(*args: P.args, **kwargs: P.kwargs) -> object:
        try:
            return write(*args, **kwargs)
        except BrokenPipeError:
            raise
        except OSError as e:
            _give_up()
            raise OperationalError("stdout cannot be written", reason=e.strerror or str(e)) from None

    return told


def _give_up() -> None:
    """Throw away what is left: Python would try again to write it when it ends, and complain."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_visibly(text: str) -> None:
    sys.stdout.write(visible_lines(text))
