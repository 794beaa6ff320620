"""The wire: one HTTP request out, one response in, and a precise word when that fails.

The only module that knows the HTTP client (aiohttp; `docs/transport.md` tells why, with numbers).
Nothing of the client crosses this border: requests and responses are values of ours, and every
failure is an `errors.TransportError` or `errors.Timeout` with two facts for whoever decides
about a repeat:

* `error.sent`: False when it is certain that no byte of the request reached a server; True when
  the server may have acted on it.
* `error.permanent`: True when the same request would fail again in the same way (a refused URL,
  a body over its cap, a certificate that does not verify).

Policy lives above: redirects come back as they are, statuses are not judged, no cookies are kept,
nothing is repeated except a safe request on a stale connection (`_once`).
"""

from __future__ import annotations

import asyncio
import functools
import io
import ipaddress
import os
import re
import select
import ssl
import urllib.request
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, cast
from weakref import WeakSet

import aiohttp
import certifi
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import LineTooLong
from yarl import URL

from provider import errors

__all__ = ["Certificate", "Head", "Limits", "Request", "Response", "Source", "Stream", "Timeouts", "Transport"]

Headers = tuple[tuple[str, str], ...]


class Source(Protocol):
    """A body that is read while it is sent, so that it need not be in memory: `size` bytes, in `chunks`.

    A TransportError of its own ends the request, and is what the sender raises.
    """

    size: int

    def chunks(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    Attributes:
        method: upper case, as it goes on the wire.
        url: absolute and already percent-encoded; path and query are sent byte for byte as given.
            No user information (`user:secret@`), no blanks; a fragment is not sent.
        headers: in order, repeats allowed. Host, Content-Length, Accept, Accept-Encoding and
            User-Agent are added where missing.
        body: the whole body, or where it is read from, or None for none.
    """

    method: str
    # Headers, bodies and queries carry secrets, so a traceback or a log never shows them.
    url: str = field(repr=False)
    headers: Headers = field(default=(), repr=False)
    body: bytes | Source | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a response; headers in the order received, repeats kept."""

    status: int
    # They may set a cookie.
    headers: Headers = field(repr=False)

    def header(self, name: str) -> str | None:
        """The value of a header, any case; repeated ones joined by ', '; None when absent."""
        lowered = name.lower()
        values = [value for key, value in self.headers if key.lower() == lowered]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Response(Head):
    """A response read to its end: `body` is decoded, `wire_bytes` its size before decoding."""

    body: bytes = field(repr=False)
    wire_bytes: int


@dataclass(frozen=True, slots=True)
class Stream(Head):
    """A response whose body is still arriving; `chunks` yields decoded bytes as they arrive, once."""

    chunks: AsyncIterator[bytes] = field(repr=False)

    async def read(self) -> bytes:
        """The rest of the body: an error's text, say, where events were expected."""
        return b"".join([chunk async for chunk in self.chunks])


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds without progress that are tolerated at each step; None waits forever. No total.

    Attributes:
        connect: TCP and TLS handshake.
        read: until the first byte of the answer, and between two arrivals of bytes.
        write: while the server takes nothing of the request's body.
        pool: for a free connection, when all are in use; no limit where `connect` has none.
    """

    connect: float | None = 10.0
    read: float | None = 60.0
    write: float | None = 60.0
    pool: float | None = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest answer that is accepted, in bytes.

    Attributes:
        max_wire_bytes: body as it arrives, possibly compressed.
        max_decoded_bytes: body after decompression; a bomb is stopped when it crosses this.
        max_header_bytes: status line, and each header; the client allows 128 of them.
    """

    max_wire_bytes: int = 256 * 2**20
    max_decoded_bytes: int = 256 * 2**20
    max_header_bytes: int = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Certificate:
    """What this side shows of itself (mutual TLS): PEM files; without `key` the chain's file has it too."""

    chain: str
    key: str | None = None
    password: str | None = field(default=None, repr=False)


class Transport:
    """Sends requests over one pool of kept-alive connections. One per account, one event loop.

    Args:
        max_connections: sockets open at once, over all hosts; further requests wait in order.
        timeouts: see `Timeouts`.
        limits: see `Limits`.
        verify: True checks certificates against certifi's CAs (or SSL_CERT_FILE, SSL_CERT_DIR);
            a path names a CA bundle or directory; False checks nothing.
        certificate: shown to servers that ask for one.
        allow_plain_http: permit http:// to hosts other than this machine.
        environment_proxies: obey HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. Loopback hosts
            never go through a proxy. A netrc file is never read.
    """

    def __init__(
        self,
        *,
        max_connections: int,
        timeouts: Timeouts = Timeouts(),
        limits: Limits = Limits(),
        verify: bool | str = True,
        certificate: Certificate | None = None,
        allow_plain_http: bool = False,
        environment_proxies: bool = True,
    ) -> None:
        self._max_connections = max_connections
        self._timeouts = timeouts
        self._limits = limits
        self._verify = verify
        self._certificate = certificate
        self._allow_plain_http = allow_plain_http
        self._environment_proxies = environment_proxies
        #: By origin as it was written: the same as a URL, and the proxy before it.
        self._routes: dict[str, tuple[URL, URL | None]] = {}
        self._tls: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: Request, *, timeouts: Timeouts | None = None) -> Response:
        """Send, and read the whole answer; any status is an answer.

        Raises:
            errors.Timeout: nothing happened for as long as `timeouts` allow.
            errors.TransportError: no usable answer; see the module's words on `sent`, `permanent`.
        """
        timeouts = timeouts or self._timeouts
        response = await self._open(request, timeouts)
        try:
            body = _Body(request, response, timeouts, self._limits)
            content = await body.read()
        except BaseException:
            response.close()
            raise
        # Read to its end, the body has given its connection back to the pool.
        return Response(body.head.status, body.head.headers, content, body.wire_bytes)

    @asynccontextmanager
    async def stream(self, request: Request, *, timeouts: Timeouts | None = None) -> AsyncIterator[Stream]:
        """Send, and hand out the answer while it arrives. Leaving the block ends the exchange.

        Raises as `send` does, from the block's start and from `chunks`.
        """
        timeouts = timeouts or self._timeouts
        response = await self._open(request, timeouts)
        try:
            body = _Body(request, response, timeouts, self._limits)
            yield Stream(body.head.status, body.head.headers, body.chunks())
        finally:
            response.close()

    async def aclose(self) -> None:
        """Close all connections; the transport cannot be used afterwards."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _open(self, request: Request, timeouts: Timeouts) -> aiohttp.ClientResponse:
        """The response, its headers read and its body not."""
        url, proxy = self._way(request)
        if self._session is None:
            self._session = self._new_session()
        payload = _payload(request.body)
        try:
            return await self._session.request(
                request.method,
                url,
                headers=request.headers,
                data=payload,
                allow_redirects=False,
                proxy=proxy,
                ssl=self._tls_context() if url.scheme == "https" else True,
                timeout=_client_timeout(timeouts),
                # The client would call every body octet-stream; a content type is the caller's to say.
                skip_auto_headers=None if request.method in _SAFE else ["Content-Type"],
                middlewares=[functools.partial(_once, timeouts.write)],
                max_line_size=self._limits.max_header_bytes,
                max_field_size=self._limits.max_header_bytes,
            )
        except _Lost as lost:
            failure = _explain(request, lost, timeouts, self._limits)
            if isinstance(payload, _Sourced) and payload.failure is not None:
                failure = payload.failure
        except ValueError as error:
            # A header with a line break in it, say. Its text may quote a secret, so it is not shown.
            failure = _refusal(request, f"The request cannot be written as HTTP ({type(error).__name__}).")
        # Raised here and not above: the client's error may quote the whole URL, and must not hang
        # below ours as its context.
        raise failure

    def _way(self, request: Request) -> tuple[URL, URL | None]:
        """Where a request goes, and the proxy to go through, or None; raises where nothing may be sent."""
        if self._closed:
            raise errors.InterfaceError("this transport is closed")
        written = _URL.fullmatch(request.url)
        if written is None:
            raise _refusal(
                request, "The URL must be absolute http or https, percent-encoded, without user information."
            )
        origin, path, query = written.groups("")
        if origin not in self._routes:
            self._routes[origin] = self._route(request, origin)
        base, proxy = self._routes[origin]
        # Put together, as reading the whole URL takes three times as long.
        url = URL.build(scheme=base.scheme, authority=base.raw_authority, path=path, query_string=query, encoded=True)
        return url, proxy

    def _route(self, request: Request, origin: str) -> tuple[URL, URL | None]:
        """An origin as a URL, and the proxy before it; raises where nothing may be sent to that."""
        try:
            url = URL(origin, encoded=True)
            # Parsed only when asked for.
            host = url.host if url.port else None
        except ValueError:
            host = None
        if not host:
            raise _refusal(request, "The URL has no usable host and port.")
        local = _is_loopback(host)
        if url.scheme == "http" and not local and not self._allow_plain_http:
            raise _refusal(
                request,
                "Plain http to another machine can be read and changed on the way.",
                "Use https, or connect(allow_plain_http=True) in Python where the way there is safe.",
            )
        # Through a proxy, "this machine" would mean the proxy's.
        proxy = _environment_proxy(url.scheme, host) if self._environment_proxies and not local else None
        if proxy is not None and proxy.scheme not in ("http", "https"):
            raise _refusal(request, f"A proxy of kind {proxy.scheme} is not supported; use http or https.")
        return url, proxy

    def _tls_context(self) -> ssl.SSLContext:
        """Made at the first https request, then shared: loading the CAs takes about 20 ms."""
        if self._tls is None:
            self._tls = _tls_context(self._verify, self._certificate)
        return self._tls

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections),
            request_class=_Attempt,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "apiql", "Accept-Encoding": "gzip, deflate"},
            auto_decompress=False,
            trust_env=False,
        )


@functools.lru_cache(maxsize=16)
def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    # The client counts the wait for a free connection and the handshake together.
    waits = (timeouts.pool, timeouts.connect)
    return aiohttp.ClientTimeout(
        connect=None if None in waits else sum(filter(None, waits)),
        sock_connect=timeouts.connect,
        sock_read=timeouts.read,
    )


# A body up to this size never waits to be written: it fits into the buffers of an idle connection.
_LARGE = 64 * 2**10


def _payload(body: bytes | Source | None) -> bytes | io.BytesIO | _Sourced | None:
    """The body in the form that the client writes in pieces when it is large."""
    if body is None or isinstance(body, bytes):
        return body if body is None or len(body) <= _LARGE else io.BytesIO(body)
    return _Sourced(body)


class _Sourced(aiohttp.Payload):
    """A source as the client takes it; `failure` is the source's own, which the client would hide."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._size = source.size
        self._source = source
        self.failure: errors.TransportError | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a body that is read while it is sent is no text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._consumed = True
        try:
            async for chunk in self._source.chunks():
                await writer.write(chunk)
        except errors.TransportError as failure:
            self.failure = failure
            raise


# --- one attempt --------------------------------------------------------------------------------


class _Attempt(aiohttp.ClientRequest):
    """The client's request, made to know how far it got, which the client itself does not tell.

    Attributes:
        written: False until a connection is there and bytes are about to be written to it.
        reused: that connection had carried a request before.
        patience: seconds for which the server may refuse to take more of the body.
        stalled: it did so for longer.
    """

    written = False
    reused = False
    patience: float | None = None
    stalled = False

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        assert conn.protocol is not None
        self.reused = conn.protocol in _used
        if not self.reused:
            _used.add(conn.protocol)
        elif self.method not in _SAFE and _is_readable(conn):
            raise _Stale
        self.written = True
        return await super().send(conn)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """Write the body; a large one under a watch, as the client has no timeout for writing."""
        watch = None
        if self.patience and (content_length or 0) > _LARGE:
            watch = asyncio.create_task(self._watch(writer, conn, self.patience))
        try:
            await super().write_bytes(writer, conn, content_length)
        finally:
            if watch is not None:
                watch.cancel()

    async def _watch(self, writer: AbstractStreamWriter, conn: Connection, patience: float) -> None:
        transport = cast(asyncio.WriteTransport, conn.transport)
        progress, idle = (-1, -1), 0
        while idle < 4:
            await asyncio.sleep(patience / 4)
            before, progress = progress, (writer.output_size, transport.get_write_buffer_size())
            idle = idle + 1 if progress == before else 0
        self.stalled = True
        transport.abort()


def _is_readable(conn: Connection) -> bool:
    """Whether an idle connection has something to say: that can only be a goodbye.

    The event loop may not have read it yet; a write that looks first is provably unsent.
    """
    assert conn.transport is not None
    sock = conn.transport.get_extra_info("socket")
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


# Connections that carried a request before.
_used: WeakSet[ResponseHandler] = WeakSet()

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class _Stale(Exception):
    """The server had closed a kept-alive connection before anything was written to it."""


class _Lost(Exception):
    """A failed attempt and how far it got. Not a client error: those the client may repeat."""

    def __init__(self, cause: Exception, *, sent: bool, stalled: bool = False) -> None:
        self.cause = cause
        self.sent = sent
        self.stalled = stalled


async def _once(
    patience: float | None, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send once; again only where a kept-alive connection was closed before, or under a safe request.

    Left alone, the client repeats PUT and DELETE too, and might do a write twice.
    """
    assert isinstance(request, _Attempt)
    request.patience = patience
    # This ends: each turn uses up one old connection, and a fresh one is not `reused`.
    while True:
        try:
            return await handler(request)
        except _Stale:
            continue
        except (aiohttp.ClientError, OSError) as error:
            gone = isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError))
            if gone and request.reused and request.method in _SAFE:
                request.written = request.reused = False
                continue
            raise _Lost(error, sent=request.written, stalled=request.stalled) from None


# --- the body -----------------------------------------------------------------------------------


class _Body:
    """A response's body on its way: counted, decoded and capped. `wire_bytes` grows as it is read."""

    def __init__(self, request: Request, response: aiohttp.ClientResponse, timeouts: Timeouts, limits: Limits) -> None:
        self.head = Head(response.status, tuple(response.headers.items()))
        self.wire_bytes = 0
        self._request = request
        self._response = response
        self._timeouts = timeouts
        self._limits = limits

    async def read(self) -> bytes:
        """The whole body, decoded."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Decoded bytes as they arrive; what was compressed comes in pieces of at most 1 MiB."""
        limits, decoded = self._limits, 0
        self._check("max_wire_bytes", limits.max_wire_bytes, self._announced_bytes())
        inflate = self._inflate()
        while chunk := await self._arrival():
            self.wire_bytes += len(chunk)
            self._check("max_wire_bytes", limits.max_wire_bytes, self.wire_bytes)
            try:
                for piece in inflate.feed(chunk) if inflate else (chunk,):
                    decoded += len(piece)
                    self._check("max_decoded_bytes", limits.max_decoded_bytes, decoded)
                    yield piece
            except zlib.error:
                failure = self._unusable("The compressed body is damaged.")
                break
        else:
            if inflate is None or inflate.complete:
                return
            failure = self._unusable("The compressed body ends before its end.")
        raise failure

    async def _arrival(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            failure = _explain(self._request, _Lost(error, sent=True), self._timeouts, self._limits)
        raise failure

    def _inflate(self) -> _Inflate | None:
        coding = (self.head.header("content-encoding") or "identity").strip().lower()
        if coding == "identity":
            return None
        if coding in ("gzip", "x-gzip", "deflate"):
            return _Inflate(coding)
        raise self._unusable(f"The body is encoded as {coding!r}, which was not asked for.", permanent=True)

    def _announced_bytes(self) -> int:
        # An answer to HEAD has the length of a body that does not come.
        return 0 if self._request.method == "HEAD" else self._response.content_length or 0

    def _check(self, name: str, cap: int, size: int) -> None:
        if size > cap:
            raise self._unusable(
                f"It is larger than {name} = {cap} bytes.", f"Ask for less, or raise {name}.", permanent=True
            )

    def _unusable(self, reason: str, remedy: str = "", *, permanent: bool = False) -> errors.TransportError:
        summary = f"{_place(self._request)}: the answer cannot be used"
        return _failure(summary, reason, remedy, sent=True, permanent=permanent)


class _Inflate:
    """Undoes gzip (several members too) or deflate (with or without zlib's wrapping), incrementally."""

    PIECE = 2**20

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._engine: zlib._Decompress | None = None
        self._started = False

    @property
    def complete(self) -> bool:
        """At an end: nothing was begun (an empty body), or all that was begun has ended."""
        return not self._started or (self._engine is not None and self._engine.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds to the output, never more than PIECE bytes at once."""
        piece = b""
        while data or len(piece) == self.PIECE:
            if self._engine is None or (self._engine.eof and self._gzip and data[:1] == b"\x1f"):
                self._engine = zlib.decompressobj(self._window(data))
                self._started = True
            if self._engine.eof:
                return  # Padding behind the end.
            piece = self._engine.decompress(data, self.PIECE)
            data = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
            if piece:
                yield piece

    def _window(self, data: bytes) -> int:
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        # RFC 9110 means zlib's format by 'deflate', whose first byte ends in 8; some send it bare.
        return zlib.MAX_WBITS if data[0] & 15 == 8 else -zlib.MAX_WBITS


# --- words for failures -------------------------------------------------------------------------


def _explain(request: Request, lost: _Lost, timeouts: Timeouts, limits: Limits) -> errors.TransportError:
    """The client's error in our words. Of its own text only what cannot quote the URL is kept."""
    cause, place, sent = lost.cause, _place(request), lost.sent
    if lost.stalled:
        reason = f"The server took no more of the body for {timeouts.write} s."
        return _failure(f"{place}: timed out", reason, sent=sent, timeout=True)
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        reason = f"No connection within {timeouts.connect} s, or no free one within {timeouts.pool} s."
        return _failure(f"{place}: timed out", reason, sent=sent, timeout=True)
    if isinstance(cause, TimeoutError):
        reason = f"The server sent nothing for {timeouts.read} s."
        return _failure(f"{place}: timed out", reason, sent=sent, timeout=True)
    if isinstance(cause, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        reason = "No trusted TLS connection could be made."
        remedy = "Set SSL_CERT_FILE, or `verify`, to the CA bundle that signs this server's certificate."
        return _failure(f"{place}: TLS failed", reason, remedy, str(cause), sent=sent, permanent=True)
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        reason = f"The proxy answered {cause.status} {cause.message}."
        return _failure(f"{place}: the proxy refused", reason, sent=sent)
    if isinstance(cause, aiohttp.ClientConnectorError):
        reason = re.sub(r"^\[Errno -?\d+\] ", "", str(cause.os_error)).rstrip(".") + "."
        remedy = "Does a server answer there, and is that the right base URL?"
        return _failure(f"{place}: cannot connect", reason, remedy, sent=sent)
    if isinstance(cause, aiohttp.ClientResponseError) and _too_long(cause):
        reason = f"A line of its head is larger than max_header_bytes = {limits.max_header_bytes} bytes."
        return _failure(f"{place}: the answer cannot be used", reason, sent=sent, permanent=True)
    if isinstance(cause, aiohttp.ClientResponseError):
        return _failure(f"{place}: the answer is not HTTP", detail=cause.message, sent=sent)
    if isinstance(cause, aiohttp.ClientPayloadError):
        reason = "The body was cut off or malformed."
        return _failure(f"{place}: the answer cannot be used", reason, sent=sent)
    return _failure(f"{place}: connection lost", "The server closed it before the answer was complete.", sent=sent)


def _refusal(request: Request, reason: str, remedy: str = "") -> errors.TransportError:
    return _failure(f"{_place(request)}: refused", reason, remedy, sent=False, permanent=True)


def _failure(
    summary: str,
    reason: str = "",
    remedy: str = "",
    detail: str = "",
    *,
    sent: bool,
    permanent: bool = False,
    timeout: bool = False,
) -> errors.TransportError:
    kind = errors.Timeout if timeout else errors.TransportError
    words = f"{reason} {_FATE[sent]}".strip()
    return kind(summary, sent=sent, permanent=permanent, reason=words, remedy=remedy, detail=detail)


_FATE = {True: "The request was sent; the server may have acted on it.", False: "Nothing was sent."}


def _too_long(error: BaseException) -> bool:
    """Whether a line over the cap is the root of a 'malformed' answer; the client says it only there."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, LineTooLong):
        cause = cause.__cause__
    return cause is not None


def _place(request: Request) -> str:
    """Method and URL without what may be secret: query and fragment (and user information)."""
    url = re.split(r"[?#]", request.url, maxsplit=1)[0]
    return f"{request.method} {re.sub(r'//[^/]*@', '//', url)}"


# --- where a request may go ---------------------------------------------------------------------

# Printable ASCII only: a blank or a line break would end the request line early. No backslash in
# the host, which some parsers take for a slash.
_URL = re.compile(
    r"(https?://[^/?#@\\\s]+)((?:/[!-\"$->@-~]*)?)(?:\?([!-\"$-~]*))?(?:#[!-~]*)?", re.ASCII | re.IGNORECASE
)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _environment_proxy(scheme: str, host: str) -> URL | None:
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return None
    return URL(proxy if "://" in proxy else f"http://{proxy}")


def _tls_context(verify: bool | str, certificate: Certificate | None) -> ssl.SSLContext:
    """A client context; see `Transport` for what `verify` says."""
    if isinstance(verify, str):
        place = verify
    else:
        place = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or certifi.where()
    folder = os.path.isdir(place)
    try:
        context = ssl.create_default_context(cafile=None if folder else place, capath=place if folder else None)
    except (OSError, ssl.SSLError) as error:
        raise errors.InterfaceError(f"the CA bundle {place} cannot be loaded", reason=str(error)) from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        try:
            # Without a password of ours, OpenSSL would ask the terminal for one.
            context.load_cert_chain(certificate.chain, certificate.key, certificate.password or "")
        except (OSError, ssl.SSLError) as error:
            files = " and ".join(filter(None, (certificate.chain, certificate.key)))
            is_form = isinstance(error, ssl.SSLError)
            reason = "They are no certificate with its key, in PEM." if is_form else error.strerror or ""
            raise errors.InterfaceError(f"the client certificate {files} cannot be loaded", reason=reason) from None
    return context
