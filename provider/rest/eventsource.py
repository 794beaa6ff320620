"""The events of a method's stream up to its end: taken up again where the API can do that, an error where it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from provider.errors import ApiError, TransportError
from provider.rest.body import text_at
from provider.rest.request import Call
from provider.rest.sse import Event, Parser

if TYPE_CHECKING:
    from provider.catalog.waiting import EventStream, Resume
    from provider.rest.opening import Opening
    from provider.rest.transport import Headers, Response

#: Opens the stream of a call, with these headers beside the usual ones.
Open = Callable[[Call, "Headers"], Awaitable["Opening"]]
#: How often in a row a stream is taken up again that gives no event, and the first pause before that, in seconds.
_TRIES = 5
_PAUSE = 0.5


class EventSource:
    """The stream of one call. Its methods belong to the event loop, one at a time.

    Args:
        rule: what the events mean.
        message: path of the message in the provider's errors.

    Attributes:
        count: events that came.
        bytes: their size.
    """

    def __init__(self, open_: Open, call: Call, rule: EventStream, message: str | None) -> None:
        self.count = 0
        self.bytes = 0
        self._open = open_
        self._call = call
        self._rule = rule
        self._message = message
        self._opening: Opening | None = None
        self._parser = Parser()
        self._ended = False
        self._failure: ApiError | None = None
        self._vain = 0

    async def open(self) -> Response:
        """Send the call; the head of its answer. Errors as `Client.open`."""
        from provider.rest.transport import Response

        self._opening = await self._open(self._call, ())
        stream = self._opening.stream
        assert stream is not None
        return Response(stream.status, stream.headers, b"", 0)

    async def take(self) -> list[Event]:
        """The next events, as many as have come, at least one; none when the stream has ended.

        Raises:
            ApiError: an event tells of an error.
            TransportError: the stream was lost before its end; Timeout, that it was silent for too long.
            DataError: an event is too large.
        """
        while not self._ended:
            try:
                chunk = await self._chunk()
                if chunk:
                    events = self._events(chunk)
                else:
                    events = []
                    self._check_end()
            except TransportError as lost:
                await self._take_up(lost)
                continue
            if self._ended:
                await self.aclose()
            if events:
                return events
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return []

    async def aclose(self) -> None:
        """Give the stream up; the request ends."""
        self._ended = True
        if self._opening is not None:
            await self._opening.aclose()

    async def _chunk(self) -> bytes:
        """The next bytes; none at the end of the connection."""
        assert self._opening is not None
        assert self._opening.stream is not None
        with suppress(StopAsyncIteration):
            return await anext(self._opening.stream.chunks)
        return b""

    def _events(self, chunk: bytes) -> list[Event]:
        """The events of a chunk, up to the stream's end or an error."""
        self.bytes += len(chunk)
        events: list[Event] = []
        for event in self._parser.feed(chunk):
            if event.data == self._rule.end:
                self._ended = True
                break
            event = self._named(event)
            self._failure = self._told(event)
            if self._failure is not None:
                self._ended = True
                break
            events.append(event)
        self.count += len(events)
        self._vain = 0 if events else self._vain
        return events

    def _check_end(self) -> None:
        """The connection has ended; TransportError where the stream has not."""
        rest, end = self._parser.unfinished, self._rule.end
        if rest != end:
            what = "within an event" if rest is not None else f"before its end, {end}"
            raise TransportError(f"{self._call.template}: the connection ended {what}")
        self._ended = True

    def _named(self, event: Event) -> Event:
        """The event with the name that its data gives it, where the stream gives none."""
        if event.name or self._rule.name is None:
            return event
        return replace(event, name=text_at(event.data.encode(), self._rule.name) or "")

    def _told(self, event: Event) -> ApiError | None:
        """The error that an event tells of, in the API's own words."""
        rule, data = self._rule.failure, event.data.encode()
        if rule is not None and event.name == rule.event:
            code = text_at(data, rule.code) if rule.code is not None else None
            return _failed(text_at(data, rule.message) or event.data, code)
        if text_at(data, "$.error") is None:
            return None
        return _failed((text_at(data, self._message) if self._message else None) or event.data, None)

    async def _take_up(self, lost: TransportError) -> None:
        """Open the stream again behind the last event.

        Raises:
            TransportError: what the stream was lost by, if it cannot be taken up again.
        """
        await self.aclose()
        rule = self._rule.resume
        while rule is not None and not lost.permanent and self._vain < _TRIES and self._goes_on(rule):
            retry = self._parser.retry
            await asyncio.sleep(_PAUSE * 2**self._vain if retry is None else retry / 1000)
            self._vain += 1
            behind = self._parser.last_id if rule.by == "id" else str(self.count)
            headers = ((rule.header, behind),) if rule.header is not None and self.count else ()
            call = self._call
            if rule.param is not None and self.count:
                call = call.with_value(rule.param, behind)
            try:
                self._opening = await self._open(call, headers)
            except TransportError as again:
                lost = again
                continue
            self._parser = Parser(self._parser.last_id)
            self._ended = False
            return
        raise lost

    def _goes_on(self, rule: Resume) -> bool:
        """Whether it is known where to go on: without an id, the events so far would come again."""
        return self.count == 0 or rule.by == "count" or self._parser.last_id != ""


def _failed(message: str, code: str | None) -> ApiError:
    return ApiError("the stream tells of an error", status=200, code=code, detail=message)
