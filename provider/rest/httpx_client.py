"""Requests through a client of the caller's own: any `httpx.AsyncClient`, with its transport, hooks and proxies.

The default transport is faster (docs/transport.md); this seam is for what httpx's ecosystem offers: a
`MockTransport` or `ASGITransport` in tests, a recorder, an instrumented client, special proxies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from provider.errors import Timeout, TransportError
from provider.rest.transport import Limits, Request, Response, Stream

#: Failures that come before a byte of the request can have reached a server.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


class HttpxTransport:
    """Speaks the transport's interface over a borrowed client, which is left open by `aclose`.

    Timeouts, certificates and connection limits are the client's. Redirects are not followed here,
    whatever the client's setting.
    """

    def __init__(self, client: httpx.AsyncClient, limits: Limits | None = None) -> None:
        self._client = client
        self._limits = limits or Limits()

    async def send(self, request: Request) -> Response:
        """Send a request and read its answer; errors as `Transport.send`."""
        async with self.stream(request) as stream:
            body = await stream.read()
            return Response(stream.status, stream.headers, body, len(body))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Send a request; its answer's body arrives as it is read."""
        headers, body = list(request.headers), request.body
        content: bytes | AsyncIterator[bytes] | None
        if body is None or isinstance(body, bytes):
            content = body
        else:
            headers.append(("Content-Length", str(body.size)))
            content = body.chunks()
        built = self._client.build_request(request.method, request.url, headers=headers, content=content)
        try:
            response = await self._client.send(built, stream=True, follow_redirects=False)
        except httpx.HTTPError as e:
            raise _failure(request, e) from None
        try:
            received = tuple(response.headers.multi_items())
            yield Stream(response.status_code, received, self._chunks(request, response))
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Nothing: the client is its owner's to close."""

    async def _chunks(self, request: Request, response: httpx.Response) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > self._limits.max_decoded_bytes:
                    raise TransportError(
                        f"{request.method}: the answer is larger than {self._limits.max_decoded_bytes:,} bytes",
                        permanent=True,
                    )
                yield chunk
        except httpx.HTTPError as e:
            raise _failure(request, e) from None


def _failure(request: Request, error: httpx.HTTPError) -> TransportError:
    """Our error for one of httpx's; its text may hold the URL, which may hold a query, so it stays behind."""
    kind = Timeout if isinstance(error, httpx.TimeoutException) else TransportError
    sent = not isinstance(error, _UNSENT)
    fate = "The request was sent; the server may have acted on it." if sent else "Nothing was sent."
    return kind(f"{request.method}: {type(error).__name__}", sent=sent, reason=fate)
