"""Forms with files (multipart/form-data, RFC 7578): what is in them, and their bytes as they are sent.

A file of this machine is read while it is sent, piece by piece; what is in memory is the form's frame. Each time that
a form is sent it is read from its beginning.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Self
from uuid import uuid4

from provider.errors import DataError, TransportError

#: Bytes that are read at once.
PIECE = 256 * 2**10
#: What could end a quoted name early or is no text, percent-encoded as RFC 7578 (section 2) has it.
_UNQUOTED = str.maketrans({c: f"%{ord(c):02X}" for c in ('"', "\\", "\x7f", *map(chr, range(32)))})


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine, as it was when it was looked at: its size in bytes and the time of its last change."""

    path: str
    size: int
    modified: int

    @classmethod
    def at(cls, path: str) -> LocalFile:
        """The file of a path.

        Raises:
            DataError: there is none, it cannot be read, or it is no regular file.
        """
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait, and a device might act
                reason = "A directory or a device has no content to send."
                raise DataError(f"{path!r} is no regular file", reason=reason)
            number, found = _open(path)
            os.close(number)
        except (OSError, ValueError) as e:
            raise DataError(f"the file {path!r} cannot be read", reason=_reason(e)) from None
        return found


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send: its content, and the name that it is sent under."""

    content: bytes | LocalFile = field(repr=False)
    filename: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form: a file if it has a file's name, else a field."""

    name: str
    content: bytes | LocalFile = field(repr=False)
    filename: str | None = None

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return self.content.size if isinstance(self.content, LocalFile) else len(self.content)

    @property
    def head(self) -> bytes:
        """What stands in front of the content, behind the boundary's line."""
        head = f'Content-Disposition: form-data; name="{quoted(self.name)}"'
        if self.filename is not None:
            head += f'; filename="{quoted(self.filename)}"\r\nContent-Type: application/octet-stream'
        # A name on this machine's disk may be no Unicode.
        return f"{head}\r\n\r\n".encode("utf-8", "replace")

    @property
    def mark(self) -> bytes:
        """What tells its content apart from others: the bytes' hash, or where a file is and when it was changed."""
        if isinstance(self.content, LocalFile):
            return repr(self.content).encode()
        return sha256(self.content).digest()

    def __str__(self) -> str:
        if self.filename is None and isinstance(self.content, bytes):
            return f"{self.name}={self.content.decode('utf-8', 'replace')}"
        return f"{self.name}={self.filename} ({self.size:,} bytes)"


@dataclass(frozen=True, slots=True)
class Form:
    """The parts of a form, in their order. Its text names the files and their sizes, without their content."""

    parts: tuple[Part, ...]

    @property
    def mark(self) -> bytes:
        """What tells it apart from other forms."""
        return b"\0".join(piece for part in self.parts for piece in (part.head, part.mark))

    def __str__(self) -> str:
        return f"multipart/form-data: {', '.join(map(str, self.parts))}"


class FormBody:
    """A form on its way; as a context manager, it has the files open.

    Args:
        moved: told of the bytes of each piece of a file when it is handed over.

    Raises:
        TransportError: on entering, a file is not what it was any more.
    """

    def __init__(self, form: Form, moved: Callable[[int], None]) -> None:
        boundary = f"apiql-{uuid4().hex}"
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._moved = moved
        self._parts = [(f"--{boundary}\r\n".encode() + part.head, part) for part in form.parts]
        self._end = f"--{boundary}--\r\n".encode()
        self._files: dict[LocalFile, int] = {}
        #: Bytes of the whole body.
        self.size = sum(len(head) + part.size + 2 for head, part in self._parts)
        self.size += len(self._end)

    def __enter__(self) -> Self:
        try:
            for _, part in self._parts:
                if isinstance(part.content, LocalFile) and part.content not in self._files:
                    self._files[part.content] = _opened(part.content)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number in self._files.values():
            os.close(number)
        self._files = {}

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the body.

        Raises:
            TransportError: a file has become shorter, or cannot be read.
        """
        async for piece, is_file in self._pieces(_lost):
            yield piece
            if is_file:
                self._moved(len(piece))

    async def digest(self) -> str:
        """The SHA-256 of the body in hexadecimal, for a signature that goes before it; its files are read for that.

        Raises:
            TransportError: as `chunks`; nothing was sent.
        """
        found = sha256()
        async for piece, _ in self._pieces(_changed):
            found.update(piece)
        return found.hexdigest()

    async def _pieces(self, lost: Callable[[LocalFile, str], TransportError]) -> AsyncIterator[tuple[bytes, bool]]:
        """The bytes of the body, and whether they are a file's; `lost` is the error for a file that is another one."""
        for head, part in self._parts:
            yield head, False
            if isinstance(part.content, LocalFile):
                async for piece in self._read(part.content, lost):
                    yield piece, True
            else:
                for start in range(0, len(part.content), PIECE):
                    yield part.content[start : start + PIECE], part.filename is not None
            yield b"\r\n", False
        yield self._end, False

    async def _read(self, file: LocalFile, lost: Callable[[LocalFile, str], TransportError]) -> AsyncIterator[bytes]:
        """As many bytes of a file as were announced."""
        at = 0
        while at < file.size:
            try:
                piece = await asyncio.to_thread(os.pread, self._files[file], min(PIECE, file.size - at), at)
            except OSError as e:
                raise lost(file, _reason(e)) from None
            if not piece:
                raise lost(file, f"It has {at:,} bytes now, and {file.size:,} were announced.")
            yield piece
            at += len(piece)
        if os.fstat(self._files[file]).st_mtime_ns != file.modified:
            raise lost(file, "Somebody has written to it.")


def quoted(name: str) -> str:
    """A name as it stands between quotes in a part's head: no quote and no line break of its own can end it."""
    return name.translate(_UNQUOTED)


def _open(path: str) -> tuple[int, LocalFile]:
    number = os.open(path, os.O_RDONLY)
    found = os.fstat(number)
    return number, LocalFile(path, found.st_size, found.st_mtime_ns)


def _opened(file: LocalFile) -> int:
    """A file to read from, if it is still what it was."""
    try:
        number, now = _open(file.path)
    except OSError as e:
        raise _changed(file, _reason(e)) from None
    if now != file:
        os.close(number)
        raise _changed(file, "Somebody has written to it.")
    return number


def _changed(file: LocalFile, reason: str) -> TransportError:
    summary = f"the file {file.path!r} has changed since it was looked at"
    return TransportError(summary, sent=False, permanent=True, reason=f"{reason} Nothing was sent.")


def _lost(file: LocalFile, reason: str) -> TransportError:
    return TransportError(f"the file {file.path!r} changed while it was sent", sent=True, permanent=True, reason=reason)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
