"""Answers that are files: their bytes go to a path, or within a bound into memory, while they arrive."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Protocol

from provider.errors import DataError
from provider.rest.destination import Destination
from provider.rest.opening import whole
from provider.rest.transport import Request, Response, Stream

#: The largest answer that becomes a BLOB, in bytes.
LARGEST = 64 * 2**20
#: Bytes that are written to the disk at once.
_PIECE = 2**20


class Streaming(Protocol):
    """What a download needs of a transport."""

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]: ...


class Download:
    """Sends a request, perhaps several times, and takes the body of the good answer to where it is wanted.

    Args:
        to: where it goes; None for the response's body, up to `LARGEST` bytes.
        name: what the answer is called in errors.
        remedy: what to do where it is too large.
        moved: told of the bytes as they arrive.
    """

    def __init__(
        self, transport: Streaming, to: Destination | None, name: str, remedy: str, moved: Callable[[int], None]
    ) -> None:
        self._transport = transport
        self._to = to
        self._name = name
        self._remedy = remedy
        self._moved = moved

    async def send(self, request: Request) -> Response:
        """The answer. Where it went to a path, the body says so: `{"path": ..., "bytes": ...}`.

        Raises:
            DataError: it is too large, or the file cannot be written.
            TransportError: as `Transport.send`; of a file that was cut off nothing is left.
        """
        async with self._transport.stream(request) as stream:
            content = (stream.header("content-type") or "").partition(";")[0].strip().lower()
            if not 200 <= stream.status < 300 or content == "text/html":  # a login's page is no file
                return await whole(stream)
            announced = stream.header("content-length") or ""
            self._check(int(announced) if announced.isascii() and announced.isdecimal() else 0)
            if self._to is None:
                body = await self._read(stream)
                return Response(stream.status, stream.headers, body, len(body))
            size = await self._save(stream, self._to)
            told = json.dumps({"path": self._to.path, "bytes": size}, ensure_ascii=False).encode()
            return Response(stream.status, stream.headers, told, size)

    async def _read(self, stream: Stream) -> bytes:
        chunks, size = [], 0
        async for chunk in stream.chunks:
            size += len(chunk)
            self._check(size)
            self._moved(len(chunk))
            chunks.append(chunk)
        return b"".join(chunks)

    def _check(self, size: int) -> None:
        if self._to is not None and size > self._to.max_bytes:
            raise DataError(
                f"{self._name} is larger than max_bytes",
                reason=f"It has at least {size:,} bytes, and {self._to.max_bytes:,} are allowed.",
                remedy="If that is right, say so: @max_bytes = ...",
            )
        if self._to is None and size > LARGEST:
            raise DataError(
                f"{self._name} is too large for a BLOB",
                reason=f"It has at least {size:,} bytes; a BLOB may have {LARGEST:,}.",
                remedy=self._remedy,
            )

    async def _save(self, stream: Stream, to: Destination) -> int:
        """Write the answer beside its place, and move it there when it is whole; its size."""
        path = Path(to.path)
        part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.part")
        size = 0
        try:
            with open(part, "xb", buffering=0) as file:
                waiting = bytearray()
                async for chunk in stream.chunks:
                    size += len(chunk)
                    self._check(size)
                    waiting += chunk
                    self._moved(len(chunk))
                    if len(waiting) >= _PIECE:
                        await _finished(_write, file.fileno(), waiting)
                        waiting = bytearray()
                await _finished(_write, file.fileno(), waiting)
                await _finished(os.fsync, file.fileno())
            to.take(part)
        except OSError as e:
            raise DataError(f"the file {to.path!r} cannot be written", reason=e.strerror or str(e)) from None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return size


async def _finished(work: Callable[..., None], *arguments: object) -> None:
    """Run disk work in a thread. It is over when this returns, even if it was given up: the file is closed next."""
    running = asyncio.create_task(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.shield(running)
    finally:
        if not running.done():
            await asyncio.wait([running])


def _write(number: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]
