"""Progress for people: one line on a terminal, one updating display in a notebook, nothing anywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.words import AFTER, words

if TYPE_CHECKING:
    from provider.engine.progress import Progress, Tell


def progress_display() -> Tell:
    """What shows progress where this process runs: in a notebook below its cell, else on stderr if that is a terminal.

    Give it to `provider.connect(progress=...)`. It shows nothing of a statement that is done within half a second,
    and takes away what it showed when the statement is over.
    """
    shell = _notebook()
    return Diagnostics(sys.stderr, os.environ).progress if shell is None else NotebookDisplay().show


def _notebook() -> Any:
    """IPython's shell if it is a notebook's, else None. IPython is not imported for that: a notebook has done it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


class NotebookDisplay:
    """One display below the cell that runs, updated in place, and empty when the statement is over.

    Args:
        publish: IPython's `display`.
    """

    def __init__(self, publish: Callable[..., Any] | None = None) -> None:
        if publish is None:
            from IPython.display import display

            publish = display
        self._publish: Callable[..., Any] = publish
        self._handle: Any = None
        self._shown = ""

    def show(self, progress: Progress) -> None:
        """How far a statement is."""
        if progress.over:
            if self._handle is not None:
                # An empty bundle is drawn by no reader, and has no words that a saved notebook would keep.
                self._handle.update({}, raw=True)
                self._handle, self._shown = None, ""
            return
        text = words(progress)
        if progress.seconds < AFTER or text in ("", self._shown):
            return
        self._shown = text
        if self._handle is None:
            self._handle = self._publish({"text/plain": text}, raw=True, display_id=True)
        else:
            self._handle.update({"text/plain": text}, raw=True)
