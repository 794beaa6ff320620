"""What was typed in earlier sessions: a file that nobody else can read."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from provider.errors import InterfaceError
from provider.rest.auth.tokenfile import state_folder

#: Statements that spell out a secret.
_SECRET = re.compile(r"\bCREATE\s+(OR\s+REPLACE\s+)?((PERSISTENT|TEMPORARY|TEMP)\s+)?SECRET\b", re.IGNORECASE)


def place(environ: Mapping[str, str]) -> Path | None:
    """Where the history is kept: the file that APIQL_HISTORY names, or `apiql/history` below XDG_STATE_HOME.

    None where APIQL_HISTORY is empty, and nothing is to be kept.
    """
    named = environ.get("APIQL_HISTORY")
    if named is not None:
        return Path(named).expanduser() if named else None
    return state_folder(environ) / "history"


def opened(environ: Mapping[str, str]) -> History:
    """The history of earlier sessions, which grows.

    Raises:
        InterfaceError: its file cannot be written.
    """
    path = place(environ)
    if path is None:
        return _Unkept()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as e:
        raise InterfaceError(
            f"the history cannot be kept in {path}",
            reason=e.strerror or str(e),
            remedy="APIQL_HISTORY names another file.",
        ) from None
    return _Kept(str(path))


def is_kept(text: str) -> bool:
    """Whether an input goes into the history: none that begins with a blank, as in bash, or that makes a secret."""
    return not text.startswith((" ", "\t")) and _SECRET.search(text) is None


class _Kept(FileHistory):
    def append_string(self, string: str) -> None:
        if is_kept(string):
            super().append_string(string)


class _Unkept(InMemoryHistory):
    def append_string(self, string: str) -> None:
        if is_kept(string):
            super().append_string(string)
