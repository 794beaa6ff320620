"""The file in which refresh tokens live: one writer at a time, replaced whole, readable by its owner only."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import filelock

from provider.errors import InterfaceError
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Kept

#: Seconds to wait for another process that is fetching a token.
_PATIENCE = 90.0


def place(owner: str, named: str | None, environ: Mapping[str, str]) -> Path:
    """Where an account's token file is.

    Args:
        owner: `shop` or `shop/work`.
        named: the path that the account's own variable names, if it does.
        environ: the process's: APIQL_TOKENS is the folder, by default `apiql/tokens` below XDG_STATE_HOME.
    """
    if named is not None:
        return Path(named).expanduser()
    folder = environ.get("APIQL_TOKENS")
    if folder:
        return Path(folder).expanduser() / f"{owner.replace('/', '.')}.json"
    return state_folder(environ) / "tokens" / f"{owner.replace('/', '.')}.json"


def state_folder(environ: Mapping[str, str]) -> Path:
    """The folder of what ApiQL keeps for a person: `apiql` below XDG_STATE_HOME."""
    state = environ.get("XDG_STATE_HOME") or environ.get("LOCALAPPDATA") or "~/.local/state"
    return Path(state).expanduser() / "apiql"


class TokenFile:
    """One account's token file. `read` and `write` belong into a `locked` block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the file's lock, against other processes and other connections of this one.

        Raises:
            InterfaceError: the folder cannot be written to, or someone else keeps the lock.
        """
        lock = filelock.FileLock(f"{self._path}.lock", mode=0o600, thread_local=False)
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                # The lock stands beside the token, so it proves that the token could be written.
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock.acquire(blocking=False)
                break
            except filelock.Timeout:
                if time.monotonic() > until:
                    raise InterfaceError(f"another process keeps {self._path}.lock") from None
            except OSError as e:
                raise self._failure("written beside", e) from None
            await asyncio.sleep(0.02)
        try:
            yield
        finally:
            lock.release()

    def read(self) -> Kept | None:
        """What the file holds; a bare text is a refresh token. None without a file.

        Raises:
            InterfaceError: it cannot be read, or is something else.
        """
        try:
            text = self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as e:
            raise self._failure("read", e) from None
        if text and not text.startswith("{"):
            return Kept(Secret(text))
        try:
            data = json.loads(text)
            refresh, access = data["refresh_token"], data.get("access_token")
            expires_at, seed = data.get("expires_at"), data.get("seed")
        except (ValueError, KeyError, RecursionError):
            refresh = access = expires_at = seed = None
        if not isinstance(refresh, str) or not isinstance(access, str | None):
            raise InterfaceError(f"{self._path} is no token file", remedy="Delete it, and log in again.")
        until = float(expires_at) if isinstance(expires_at, int | float) else None
        return Kept(Secret(refresh), Secret(access) if access else None, until, seed if isinstance(seed, str) else None)

    def write(self, kept: Kept) -> None:
        """Replace the file in one step; it is on the disk when this returns.

        Raises:
            InterfaceError: it cannot be written; then the file is as it was.
        """
        data = {
            "refresh_token": kept.refresh.reveal(),
            "access_token": kept.access.reveal() if kept.access else None,
            "expires_at": kept.expires_at,
            "seed": kept.seed,
        }
        # A link, as container platforms mount them, stays a link.
        path = self._path.resolve()
        temporary = None
        try:
            handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({k: v for k, v in data.items() if v is not None}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as e:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise self._failure("written", e) from None

    def _failure(self, what: str, error: Exception) -> InterfaceError:
        reason = error.strerror if isinstance(error, OSError) else "It is not UTF-8."
        return InterfaceError(f"the token file {self._path} cannot be {what}", reason=reason or "")
