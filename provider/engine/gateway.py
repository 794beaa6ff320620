"""One connection's way to its APIs: a client on an event loop of its own, and the account of what was sent."""

from __future__ import annotations

import atexit
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from provider.engine.fetching import Fetcher, asking
from provider.engine.loop import Loop
from provider.engine.progress import Progress
from provider.engine.report import Log, Report
from provider.engine.sending import Letter, OnError, Sender
from provider.engine.streaming import Live
from provider.engine.waiting import Begun, Tell, wait_for
from provider.engine.watch import Watch
from provider.errors import Place
from provider.rest.auth.redaction import redact
from provider.rest.pagination import Answer, Listing, is_whole
from provider.rest.request import Call, Exchange, Target

if TYPE_CHECKING:
    from provider.engine.journal import StatementJournal
    from provider.rest.client import Client
    from provider.rest.opening import Opening
    from provider.rest.transport import Headers, Response

#: Makes the client; it tells of each exchange, and of the bytes of files. Called with the first request, since HTTP
#: is slow to import.
NewClient = Callable[[Callable[[Exchange], None], Callable[[int], None]], "Client"]


class Gateway:
    """Sends calls for the thread that runs statements.

    Args:
        new_client: makes the client.
        concurrency: requests in flight, per provider.
        trace: told of each exchange, on the loop's thread.
        waiting: told of the operations that a statement waits for.

    Attributes:
        report: where the running statement's requests are counted.
        log: the running statement's requests themselves.
    """

    def __init__(
        self,
        new_client: NewClient,
        concurrency: int,
        trace: Callable[[Exchange], None] | None,
        waiting: Tell | None = None,
    ) -> None:
        self.report = Report()
        self.log = Log()
        self._new_client = new_client
        self._concurrency = concurrency
        self._trace = trace
        self._waiting = waiting
        self._operations = ""
        self._asked_at: float | None = None
        self._lives: set[Live] = set()
        self._loop = Loop()
        self._client: Client | None = None
        #: Clients from before a change of settings, on which streams are still open.
        self._former: list[Client] = []
        self._sender: Sender | None = None
        self._watch: Watch | None = None
        # A connection that nobody closed must not end in complaints about open sockets.
        atexit.register(_close, weakref.ref(self))

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Callable[[], object]:
        """Call a function on the loop's thread after a time. What is returned takes that back."""
        return self._loop.call_later(seconds, callback)

    def begin(self, report: Report, watch: Watch) -> None:
        """A statement begins; its requests are counted in `report`, and `watch` may stop it."""
        watch.check()
        self.report = report
        self.log = Log()
        self._watch = watch
        self._operations = ""
        self._asked_at = None
        if self._client is not None:
            self._loop.call(self._client.routes.look_up_again)

    def progress(self, report: Report, began_at: float, *, over: bool) -> Progress:
        """How far the statement is that `report` accounts for, and that began then; from any thread."""
        now = time.monotonic()
        traffic = self._client.traffic if self._client is not None else None
        sender = self._sender
        return Progress(
            seconds=now - began_at,
            requests=report.requests,
            per_second=report.requests / max(now - self._asked_at, 0.001) if self._asked_at is not None else 0.0,
            in_flight=traffic.in_flight if traffic is not None else 0,
            rows=sum(scan.rows for scan in report.scans),
            moved=report.moved,
            waits=report.waits,
            waiting={reason: n for reason, n in traffic.waiting.items() if n} if traffic is not None else {},
            resumes_in=max(0.0, traffic.until - now) if traffic is not None else 0.0,
            written=sender.ended if sender is not None else 0,
            to_write=sender.total if sender is not None else 0,
            operations=self._operations,
            over=over,
        )

    def pausing(self) -> AbstractContextManager[None]:
        """Within the block the statement waits for a person, and its time stands still."""
        assert self._watch is not None
        return self._watch.pausing()

    def noticed(self) -> None:
        """The statement has failed: what cleans up behind it is not to be interrupted."""
        if self._watch is not None:
            self._watch.noticed()

    def renew(self, concurrency: int) -> None:
        """The settings of requests have changed: the next one is sent by a new client."""
        self._concurrency = concurrency
        if self._client is not None:
            self._former.append(self._client)
            self._client = None
        if not self._lives:
            self._close_clients()

    @contextmanager
    def fetcher(self) -> Iterator[Fetcher]:
        """A fetcher for one statement's scans."""
        assert self._watch is not None
        fetcher = Fetcher(self._loop, self._ready(), self._concurrency, self._watch.check)
        try:
            with self._watch.waking(fetcher.wake):
                yield fetcher
        finally:
            fetcher.close()

    def write(
        self,
        letters: Sequence[Letter],
        on_error: OnError,
        journal: StatementJournal | None,
        live: Live | None = None,
    ) -> None:
        """Send the letters of a write, and wait until each has its outcome; see `Sender.send`.

        Args:
            live: opens the only letter's answer, where that is a stream.
        """
        assert self._watch is not None
        self._watch.check()
        client = self._ready()

        def post(letter: Letter) -> Awaitable[Response | None]:
            if live is not None:
                return live.source.open()
            none_is_fine, key = letter.none_is_fine, letter.idempotency_key
            return client.send(letter.target, letter.method, letter.call, none_is_fine=none_is_fine, key=key)

        self._sender = Sender(self._loop, post, self._concurrency, on_error, journal)
        try:
            with self._watch.waking(self._sender.stop):
                self._sender.send(letters)
            self._watch.check()
        finally:
            self._sender = None

    def is_whole(self, letter: Letter) -> bool:
        """Whether a letter was answered with all that there is, and not with one page of a longer list."""
        if letter.answer is None or letter.method.pages is None:
            return True
        listing = Listing(letter.method, letter.call, base_url=self._ready().routes.of(letter.target).base_url)
        return is_whole(listing, Answer(letter.call, letter.answer.body, letter.answer.headers))

    def wait_for(self, begun: Sequence[Begun], place: Place) -> None:
        """Wait until operations have ended; see `waiting.wait_for`. Stopped when the statement was stopped."""
        assert self._watch is not None
        future = self._loop.submit(wait_for(begun, self._ready(), self._tell, place))
        try:
            with self._watch.waking(future.cancel):
                self._loop.wait(future)
        finally:
            self._watch.check()

    def live(self, letter: Letter) -> Live:
        """The stream that a letter is answered with; nothing is sent yet. An error of the statement ends it."""
        from provider.rest.eventsource import EventSource

        assert self._watch is not None
        assert letter.method.stream is not None
        client = self._ready()

        def open_(call: Call, headers: Headers) -> Awaitable[Opening]:
            return client.open(letter.target, letter.method, call, headers=headers, key=letter.idempotency_key)

        message = letter.target.provider.errors.message
        source = EventSource(open_, letter.call, letter.method.stream, message)
        live = Live(self._loop, source, self._watch, self._lives.discard)
        self._lives.add(live)
        self._watch.ending(live.close)
        return live

    def redacted(self, target: Target, text: str) -> str:
        """A text without the secrets of the account that a target is asked with."""
        return self._ready().routes.redacted(target, text)

    def without_secrets(self, target: Target, told: Any) -> Any:
        """As `redacted`, of all texts in lists and objects."""
        match told:
            case str():
                return self.redacted(target, told)
            case dict():
                return {name: self.without_secrets(target, part) for name, part in told.items()}
            case list():
                return [self.without_secrets(target, part) for part in told]
        return told

    def quotable(self, text: str) -> str:
        """A text without the secrets that were sent to any account so far."""
        for client in (*self._former, *filter(None, [self._client])):
            text = redact(text, client.routes.hidden)
        return text

    def asker(self, target: Target) -> bytes:
        """What tells who asks through a target; see `Client.asker`."""
        client = self._ready()

        async def told() -> bytes:  # on the loop's thread, as everything that looks credentials up
            return client.routes.asker(target)

        return self._loop.wait(self._loop.submit(told()))

    def gives_away(self, target: Target, data: bytes) -> bool:
        """Whether data has a secret in it of the account that a target is asked with."""
        return self._ready().routes.gives_away(target, data)

    def close(self) -> None:
        """Close all connections and stop the loop."""
        for live in list(self._lives):
            live.close()
        self._close_clients()
        self._loop.close()

    def _close_clients(self) -> None:
        for client in (*self._former, *filter(None, [self._client])):
            self._loop.submit(client.aclose()).result()
        self._former.clear()
        self._client = None

    def _ready(self) -> Client:
        if self._client is None:
            self._client = self._new_client(self._observe, self._move)
        return self._client

    def _move(self, size: int) -> None:
        self.report.moved += size

    def _tell(self, operations: str) -> None:
        self._operations = operations
        if self._waiting is not None:
            self._waiting(operations)

    def _observe(self, exchange: Exchange) -> None:
        self.report.requests += 1
        if self._asked_at is None:
            self._asked_at = time.monotonic() - exchange.seconds
        self.log.add(exchange)
        self.report.bytes += exchange.wire_bytes
        self.report.waits += exchange.waits
        if (scan := asking()) is not None:
            scan.add(exchange)
        if self._sender is not None:
            self._sender.observe(exchange)
        if self._trace is not None:
            self._trace(exchange)


def _close(gateway: weakref.ref[Gateway]) -> None:
    found = gateway()
    if found is not None:
        found.close()
