"""A program of the user's that prints a secret."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from provider.errors import InterfaceError
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Found

#: Seconds that a program may take; some ask a person.
PATIENCE = 60.0
#: Bytes that it may print.
MOST = 64 * 2**10


async def run(name: str, argv: Sequence[str], clock: Callable[[], float], patience: float = PATIENCE) -> Found:
    """Run a program and read the secret that it prints: a text, or JSON with `token` and when it expires.

    No shell is involved, its stdin is empty, and what it says on stderr is dropped, as that may quote secrets.

    Args:
        name: the variable that named the program, for messages.
        clock: Unix time in seconds.
        patience: seconds that it may take.

    Raises:
        InterfaceError: it cannot be started, fails, takes too long, or prints nothing or too much.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # A group of its own, so that what the program started ends with it.
            start_new_session=True,
        )
    except (OSError, ValueError) as e:
        raise InterfaceError(f"the program of {name} cannot be started", reason=str(e)) from None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(patience):
            printed = b""
            while len(printed) <= MOST and (chunk := await process.stdout.read(MOST)):
                printed += chunk
            status = await process.wait() if len(printed) <= MOST else None
    except TimeoutError:
        raise InterfaceError(f"the program of {name} was not done within {patience:g} s") from None
    finally:
        _end(process)
        # Read to its end, the pipe is closed; only what left the program's group could hold it open.
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while await process.stdout.read(MOST):
                    pass
        await process.wait()
    if status is None:
        raise InterfaceError(f"the program of {name} printed more than {MOST:,} bytes")
    if status != 0:
        raise InterfaceError(
            f"the program of {name} failed with status {status}", remedy="Run it by hand to see what it says."
        )
    return _read(name, printed, clock())


def _end(process: asyncio.subprocess.Process) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # it is gone


def _read(name: str, printed: bytes, now: float) -> Found:
    try:
        text = printed.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise InterfaceError(f"the program of {name} printed no text")
    if not text.startswith("{"):
        return Found(Secret(text))
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return Found(Secret(text))
    token = answer.get("token", answer.get("access_token"))
    if not isinstance(token, str) or not token:
        # A key that is itself JSON.
        return Found(Secret(text), expiry(answer.get("Expiration"), now))
    if "expires_in" in answer:
        return Found(Secret(token), lifetime(answer["expires_in"], now))
    return Found(Secret(token), expiry(answer.get("expires_at"), now))


def lifetime(seconds: object, now: float) -> float | None:
    """When something expires that is good for so many seconds; None where that is no usable number."""
    try:
        left = float(seconds) if isinstance(seconds, str | int | float) and not isinstance(seconds, bool) else 0.0
    except (ValueError, OverflowError):
        return None
    # A century is "for ever"; the comparison refuses NaN as well.
    return now + left if 0 < left < 3e9 else None


def expiry(when: object, now: float) -> float | None:
    """Unix seconds of a time given as such or in ISO 8601.

    A time that is over already is a clock that is wrong somewhere: then it counts until it is refused.
    """
    at: float
    try:
        if isinstance(when, str):
            read = datetime.fromisoformat(when)
            at = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
        elif isinstance(when, int | float) and not isinstance(when, bool):
            at = float(when)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return lifetime(at - now, now)
