"""A TCP server that says exactly the bytes a test wants, for answers no HTTP server would give."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Connection:
    """One accepted connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.number = number  # Counted from 1, in order of acceptance.
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """The next request, head and body as received; b'' when the client has closed, be it in the middle."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await self._reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        return head + body

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """A well-formed response."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        await self.say("\r\n".join(lines).encode() + body)

    def reset(self) -> None:
        """Close with a TCP RST instead of a FIN."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class RawServer:
    """What happened so far: `requests` as received, connections `accepted`, `open` now, `peak` at once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []
        self.accepted = 0
        self.open = 0
        self.peak = 0
        self.changed = asyncio.Condition()

    def url(self, target: str = "/", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{target}"

    async def until(self, holds: Callable[[RawServer], bool]) -> None:
        """Wait until connections have come or gone so that `holds(server)`."""
        async with self.changed:
            await self.changed.wait_for(lambda: holds(self))


Handler = Callable[[Connection, bytes], Awaitable[None]]


@asynccontextmanager
async def raw_server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve on a free port of 127.0.0.1; `handler` is called with each request.

    A connection lives until the client closes it, or the handler raises ConnectionError.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with seen.changed:
            seen.accepted += 1
            seen.open += 1
            seen.peak = max(seen.peak, seen.open)
            seen.changed.notify_all()
        connection = Connection(reader, writer, seen.accepted)
        try:
            while request := await connection.request():
                seen.requests.append(request)
                async with seen.changed:
                    seen.changed.notify_all()
                await handler(connection, request)
        except ConnectionError:
            pass
        finally:
            writer.close()
            async with seen.changed:
                seen.open -= 1
                seen.changed.notify_all()

    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls, backlog=512)
    seen = RawServer(server.sockets[0].getsockname()[1])
    try:
        yield seen
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
