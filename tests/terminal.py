"""A terminal with a program in it, for tests that type and read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[1]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x1b\][^\x07]*\x07|[\r\x07]")
#: Seconds after which something that has not been shown is not coming.
_PATIENCE = 30.0


class Terminal:
    """`apiql` on a terminal of its own.

    Attributes:
        text: what was written so far, without the codes that move and paint.
    """

    def __init__(self, *arguments: str, environ: Mapping[str, str], columns: int = 100) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        inherited = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "COLUMNS")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "provider", *arguments],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # So Ctrl-C reaches it as it reaches the program that a shell has started.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            # No terminal is there to answer where its cursor is.
            env=inherited | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"} | dict(environ),
        )
        os.close(slave)
        self.text = ""
        self._seen = 0

    def type(self, text: str) -> None:
        """Press keys; a line feed is Enter."""
        os.write(self._master, text.replace("\n", "\r").encode())

    def until(self, pattern: str) -> str:
        """What is written up to the next match of a pattern, that included."""
        deadline = time.monotonic() + _PATIENCE
        while (m := re.compile(pattern).search(self.text, self._seen)) is None:
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.text[self._seen :]!r}"
            assert self._read(), f"it ended without {pattern!r}: {self.text[self._seen :]!r}"
        found = self.text[self._seen : m.end()]
        self._seen = m.end()
        return found

    def until_it_runs(self) -> None:
        """Wait until the line editor has let go of the terminal, so that Ctrl-C is a signal and no key."""
        deadline = time.monotonic() + _PATIENCE
        while not termios.tcgetattr(self._master)[3] & termios.ISIG:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def run(self, text: str) -> str:
        """Type a text and Enter, and wait for the next prompt; what was written from the Enter on."""
        self.type(text + "\n")
        return self.until(r"\napiql=\*?>")

    def end(self) -> int:
        """Wait for the program's end; its exit code."""
        while self._read():
            pass
        return self.process.wait(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._master)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], _PATIENCE)
        try:
            part = os.read(self._master, 65536) if ready else b""
        except OSError:  # that is how a terminal says that nobody writes any more
            return False
        self.text += _ESCAPES.sub("", part.decode(errors="replace"))
        return bool(part)
