"""One connection's way to its APIs: a client on an event loop of its own, and the account of what was sent."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from provider.engine.fetching import Fetcher
from provider.engine.loop import Loop
from provider.engine.report import Report
from provider.rest.request import Call, Exchange, Target

if TYPE_CHECKING:
    from provider.catalog.catalog import Method
    from provider.rest.client import Client

#: Makes the client; it is told of each exchange. Called with the first request, since HTTP is slow to import.
NewClient = Callable[[Callable[[Exchange], None]], "Client"]


class Gateway:
    """Sends calls for the thread that runs statements.

    Args:
        new_client: makes the client.
        concurrency: requests in flight, per provider.
        trace: told of each exchange, on the loop's thread.

    Attributes:
        report: where the running statement's requests are counted.
    """

    def __init__(self, new_client: NewClient, concurrency: int, trace: Callable[[Exchange], None] | None) -> None:
        self.report = Report()
        self._new_client = new_client
        self._concurrency = concurrency
        self._trace = trace
        self._loop = Loop()
        self._client: Client | None = None
        # A connection that nobody closed must not end in complaints about open sockets.
        atexit.register(_close, weakref.ref(self))

    def fetcher(self) -> Fetcher:
        """A fetcher for one statement's scans; it must be closed."""
        return Fetcher(self._loop, self._ready(), self._concurrency)

    def send(self, target: Target, method: Method, call: Call, *, none_is_fine: bool) -> bytes | None:
        """Send one call and wait for its answer; see `Client.send`."""
        return self._loop.wait(self._ready().send(target, method, call, none_is_fine=none_is_fine))

    def close(self) -> None:
        """Close all connections and stop the loop."""
        if self._client is not None:
            self._loop.submit(self._client.aclose()).result()
            self._client = None
        self._loop.close()

    def _ready(self) -> Client:
        if self._client is None:
            self._client = self._new_client(self._observe)
        return self._client

    def _observe(self, exchange: Exchange) -> None:
        self.report.requests += 1
        self.report.bytes += exchange.wire_bytes
        self.report.waited += exchange.waited
        if self._trace is not None:
            self._trace(exchange)


def _close(gateway: weakref.ref[Gateway]) -> None:
    found = gateway()
    if found is not None:
        found.close()
