"""A request whose answer is read while it arrives, sent by the client's own rules for credentials and repetitions."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol

from provider.rest.transport import Limits, Request, Response, Stream

#: A stream has no size; its events have (`sse.LARGEST`).
ENDLESS = Limits(max_wire_bytes=sys.maxsize, max_decoded_bytes=sys.maxsize)
#: Bytes of a refusal that are read.
_REFUSAL = 256 * 2**10


class Streaming(Protocol):
    """What opening needs of a transport."""

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]: ...


class Opening:
    """Sends a request, perhaps several times, and leaves the good answer open.

    Attributes:
        stream: the events on their way, None while there is no answer that is such a stream.
    """

    def __init__(self, transport: Streaming) -> None:
        self.stream: Stream | None = None
        self._transport = transport
        self._held = AsyncExitStack()

    async def send(self, request: Request) -> Response:
        """The answer: without a body where it is a stream of events, else whole; errors as `Transport.send`."""
        await self.aclose()
        stream = await self._held.enter_async_context(self._transport.stream(request))
        content = (stream.header("content-type") or "").partition(";")[0].strip().lower()
        if 200 <= stream.status < 300 and content == "text/event-stream":
            self.stream = stream
            return Response(stream.status, stream.headers, b"", 0)
        refused = await whole(stream)
        await self.aclose()
        return refused

    async def aclose(self) -> None:
        """Give up the answer; it may be called again."""
        self.stream = None
        await self._held.aclose()


async def whole(stream: Stream) -> Response:
    """The answer that came where another one was wanted: what it says, as far as that is of use."""
    body = b""
    async for chunk in stream.chunks:
        body += chunk
        if len(body) > _REFUSAL:
            break
    return Response(stream.status, stream.headers, body, len(body))
