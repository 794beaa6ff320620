"""The address of this machine that a browser comes back to (RFC 8252, section 7.3)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs

from provider.errors import InterfaceError
from provider.rest.auth.secret import Secret

_PAGE = b"<!doctype html><title>ApiQL</title><p>You can close this page and go back to the terminal."
#: Seconds that a connection may take to say what it wants, and bytes that it may use for that.
_PATIENCE, _MOST = 5.0, 16 * 2**10


@dataclass(frozen=True, slots=True)
class Listening:
    """An address that is listened to: `uri`, and the query with which a browser first comes there."""

    uri: str
    query: asyncio.Future[str]


@asynccontextmanager
async def listening(port: int, path: str, state: Secret) -> AsyncIterator[Listening]:
    """Listen on loopback until the block ends. Whatever does not come with the state gets 404.

    Args:
        port: 0 takes a free one.

    Raises:
        InterfaceError: the port is taken.
    """
    came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                line = (await reader.readuntil(b"\r\n")).decode("ascii", "replace")
                await reader.readuntil(b"\r\n\r\n")
            method, _, rest = line.partition(" ")
            asked, _, query = rest.split(" ")[0].partition("?")
            given = parse_qs(query).get("state", [""])[0]
            knows = hmac.compare_digest(given.encode(), state.reveal().encode())
            fits = method == "GET" and asked == path and knows
            status, body = ("200 OK", _PAGE) if fits else ("404 Not Found", b"")
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
            if fits and not came.done():
                came.set_result(query)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a browser
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, "127.0.0.1", port, limit=_MOST)
    except OSError as e:
        raise InterfaceError(f"cannot listen on port {port} of this machine", reason=e.strerror or "") from None
    async with server:
        yield Listening(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}", came)
