"""stdout: the only place that writes it. What is written is data, and the same bytes wherever it goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from provider.interfaces.values import visible_lines

#: What a shell reports of a program whose reader went away: 128 + SIGPIPE.
READER_GONE = 141


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


@contextmanager
def stdout() -> Iterator[Callable[[str], object]]:
    """Gives a `write`. When the reader goes away (`| head`) the process ends quietly.

    On a terminal, characters that it would act on are written out, line feeds and tabs excepted.
    """
    try:
        yield _write_visibly if is_terminal() else sys.stdout.write
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try again to write what is left when it ends, and complain.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(READER_GONE) from None


def _write_visibly(text: str) -> None:
    sys.stdout.write(visible_lines(text))
