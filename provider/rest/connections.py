"""The transports of one client: its own connections, a client of the caller's, or a recording in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from provider.rest.auth.certificate import certificate_of
from provider.rest.opening import Streaming
from provider.rest.request import Target
from provider.rest.routes import Routes
from provider.rest.transport import Limits, Request, Response, Timeouts, Transport

if TYPE_CHECKING:
    import httpx

    from provider.rest.cassette import Cassette, Recorder


class Sender(Protocol):
    """What sends a request and reads its answer."""

    async def send(self, request: Request) -> Response: ...


class Connections(Sender, Streaming, Protocol):
    """What a client needs of a transport."""

    async def aclose(self) -> None: ...


class Transports:
    """One transport for each account and each limit of what it answers, made when it is first needed.

    Args:
        routes: says what an account's certificate and secrets are.
        max_concurrency: requests in flight, per account.
        timeout: seconds to wait for an answer to begin, and between two parts of it.
        allow_plain_http: permit http:// to hosts other than this machine.
        http_client: a client to send through, instead of one's own connections.
        recorder: is told of all that goes over the wire, without secrets.
        replay: answers instead of the network.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        max_concurrency: int,
        timeout: float,
        allow_plain_http: bool,
        http_client: httpx.AsyncClient | None,
        recorder: Recorder | None,
        replay: Cassette | None,
    ) -> None:
        self._routes = routes
        self._max_concurrency = max_concurrency
        self._timeout = timeout
        self._allow_plain_http = allow_plain_http
        self._http_client = http_client
        self._recorder = recorder
        self._replay = replay
        self._transports: dict[tuple[str, Limits], Connections] = {}

    def of(self, target: Target, limits: Limits) -> Connections:
        """The transport for an account's calls whose answers have these limits."""
        transport = self._transports.get((target.pool, limits))
        if transport is None:
            transport = self._transports[target.pool, limits] = self.new(target, limits)
        return transport

    def new(self, target: Target, limits: Limits, *, private: bool = False) -> Connections:
        """A transport for an account; `private` where it serves an exchange that obtains credentials."""
        wire = self._wire(target, limits)
        if self._recorder is None:
            return wire
        from provider.rest.cassette import Recording

        hidden = lambda: self._routes.credentials(target).hidden  # noqa: E731 -- they change while it is used
        return Recording(wire, self._recorder, hidden, target.account, private=private)

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()

    def _wire(self, target: Target, limits: Limits) -> Connections:
        if self._replay is not None:
            from provider.rest.cassette import Replaying

            return Replaying(self._replay, target.account)
        if self._http_client is not None:
            from provider.rest.httpx_client import HttpxTransport

            return HttpxTransport(self._http_client, limits)
        return Transport(
            max_connections=self._max_concurrency,
            timeouts=Timeouts(read=self._timeout),
            limits=limits,
            certificate=certificate_of(target.provider.client_certificate, target.pool, self._routes.environ(target)),
            allow_plain_http=self._allow_plain_http,
        )
