"""Streams of events as results: rows that are there as soon as the events have come, and never all at once."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from provider.catalog.catalog import Field, Method
from provider.catalog.types import parse_type
from provider.engine.cursor import Description, Row
from provider.engine.loop import Loop
from provider.engine.operations import Operations, Standing
from provider.engine.report import Report
from provider.engine.watch import Stopped, Watch
from provider.errors import Cancelled, DataError, Error, OutcomeUnknown, Place, Timeout, TransportError
from provider.rest.body import values_at
from provider.rest.request import Call
from provider.rest.sse import Event

if TYPE_CHECKING:
    import pyarrow

    from provider.catalog.waiting import StreamText
    from provider.rest.eventsource import EventSource

#: Rows that are read at a time where all are wanted.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What becomes of events: the fields of a row, and the row of an event; None where it gives none.

    `is_text` says that the rows are pieces of one text.
    """

    fields: tuple[Field, ...]
    row: Callable[[Event, int], Row | None]
    is_text: bool = False


_KINDS = {"event": "string", "data": "any", "position": "integer", "id": "string"}


def _row(event: Event, number: int) -> Row:
    try:
        msgspec.json.decode(event.data, type=msgspec.Raw)
        data = event.data
    except ValueError:
        data = json.dumps(event.data, ensure_ascii=False)
    return event.name or "message", data, number, event.id or None


#: Each event as a row: its name, its data as JSON, its position from 1, and its id.
EVENTS = Shape(tuple(Field(name, parse_type(kind)) for name, kind in _KINDS.items()), _row)


def text_shape(rule: StreamText) -> Shape:
    """The text that events bring: each piece is a row."""

    def piece(event: Event, number: int) -> Row | None:
        if event.name != rule.event:
            return None
        try:
            found = values_at(msgspec.json.decode(event.data), rule.path)
        except ValueError:
            raise DataError(f"event {number} ({event.name}) is no JSON") from None
        text = "".join(v for v in found if isinstance(v, str))
        return (text,) if text else None

    return Shape((Field("text", parse_type("string")),), piece, is_text=True)


class Live:
    """An event source, for the thread that reads it.

    Args:
        watch: may stop the reading.
        gone: called once, when it is closed.
    """

    def __init__(self, loop: Loop, source: EventSource, watch: Watch, gone: Callable[[Live], object]) -> None:
        self.source = source
        self._loop = loop
        self._watch = watch
        self._gone: Callable[[Live], object] | None = gone

    def take(self) -> list[Event]:
        """The next events; errors as `EventSource.take`, and Stopped when the statement was stopped."""
        if self._gone is None:
            return []
        future = self._loop.submit(self.source.take())
        try:
            with self._watch.waking(future.cancel):
                return self._loop.wait(future)
        finally:
            self._watch.check()

    def close(self) -> None:
        """End the request, if it has not ended."""
        if self._gone is not None:
            gone, self._gone = self._gone, None
            self._loop.submit(self.source.aclose()).result()
            gone(self)


class Story:
    """What a stream's events tell of the operation that its call has begun.

    Args:
        operations: the operations that such a call begins, None where the manifest tells of none.
        call: the call itself.
    """

    def __init__(self, method: Method, operations: Operations | None, call: Call) -> None:
        rule = method.stream.object if method.stream is not None else None
        self._names = re.compile(rule) if rule is not None and operations is not None else None
        self._operations = operations
        self._call = call
        self._body = b""

    def hear(self, event: Event) -> None:
        """Take an event in."""
        if self._names is not None and self._names.search(event.name):
            self._body = event.data.encode()

    @property
    def standing(self) -> Standing | None:
        """How the operation stood last, None where no event has told."""
        return self._operations.standing(self._body) if self._operations is not None and self._body else None

    @property
    def look(self) -> str:
        """What to do in order to see how it stands, '' where no event has told what was begun."""
        if self._operations is None or not self._body:
            return ""
        return f"Look at it with\n  {self._operations.look(self._body, self._call)}"

    def ending(self, place: Place, *, strict: bool) -> str:
        """How the operation stands at the end, or what it asks for.

        Raises:
            ApiError: it failed, where `strict` says that this is an error.
        """
        standing = self.standing
        if standing is None or self._operations is None:
            return ""
        if standing.meaning == "failed" and strict:
            raise self._operations.error(standing, self._body, place)
        if standing.meaning == "wanted":
            return self._operations.request(standing, self._body, self._call, "STREAM" if strict else "")
        return str(standing)


class EventResult:
    """The rows of a stream, for a cursor.

    `fetch` gives what has come, at least one row, and waits for it. No more rows are kept than one read of the
    connection brought.

    Args:
        is_safe: whether the call changes nothing at the API.
        report: where the stream's bytes are counted.

    Attributes:
        ending: how the operation stood at the end of the stream; '' before that, and where no event has told.
    """

    rowcount = -1

    def __init__(self, live: Live, shape: Shape, story: Story, place: Place, report: Report, *, is_safe: bool) -> None:
        self.ending = ""
        self.description: Description | None = tuple(
            (f.name, f.type.duckdb, None, None, None, None, None) for f in shape.fields
        )
        self._live = live
        self._shape = shape
        self._story = story
        self._place = place
        self._report = report
        self._is_safe = is_safe
        self._rows: deque[Row] = deque()
        self._count = 0
        self._over = False

    @property
    def is_text(self) -> bool:
        """Whether the rows are pieces of one text."""
        return self._shape.is_text

    @property
    def is_lines(self) -> bool:
        """Whether the rows are lines of one text: they are events, or pieces."""
        return False

    def fetch(self, size: int | None) -> list[Row]:
        """The rows that have come, at most `size`, or all up to the end; none when there are no more.

        Raises:
            Error: an event tells of an error, the stream was lost, or the reading was stopped.
        """
        if size is None:
            rows: list[Row] = []
            while part := self.fetch(_BATCH):
                rows += part
            return rows
        while not self._rows and not self._over:
            self._read()
        return [self._rows.popleft() for _ in range(min(size, len(self._rows)))]

    def arrow(self, ahead: Sequence[Row] = ()) -> pyarrow.Table:
        """All rows that are left; `ahead` were fetched already and belong to them."""
        import pyarrow

        kinds = {"VARCHAR": pyarrow.string(), "JSON": pyarrow.string(), "BIGINT": pyarrow.int64()}
        schema = pyarrow.schema([(f.name, kinds[f.type.duckdb]) for f in self._shape.fields])
        rows = [*ahead, *self.fetch(None)]
        return pyarrow.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)

    def detach(self) -> None:
        """Nothing: other statements and this stream do not meet."""

    def finish(self) -> None:
        """Read to the end, and forget the rows."""
        while self.fetch(_BATCH):
            pass

    def close(self) -> None:
        """End the request. What it has begun at the API goes on."""
        self._over = True
        self._rows.clear()
        self._live.close()

    abandon = close

    def _read(self) -> None:
        """Take in the next events, or the end."""
        source = self._live.source
        before = source.bytes
        try:
            events = self._live.take()
        except (KeyboardInterrupt, Stopped) as e:
            raise self._stopped(e) from None
        except TransportError as lost:
            raise self._lost(lost) from None
        except Error as e:
            e.place, e.reason = e.place or self._place, f"{e.reason}\n{self._so_far()}".strip()
            e.remedy = e.remedy or self._story.look
            raise
        self._report.bytes += source.bytes - before
        for event in events:
            self._count += 1
            self._story.hear(event)
            row = self._shape.row(event, self._count)
            if row is not None:
                self._rows.append(row)
        if not events:
            self._over = True
            self._live.close()
            self.ending = self._story.ending(self._place, strict=self._shape.is_text)

    def _so_far(self) -> str:
        count, standing = self._count, self._story.standing
        came = f"{count:,} event{'' if count == 1 else 's'} came before."
        return f"{came} The last that they say: {standing}." if standing is not None else came

    def _lost(self, lost: TransportError) -> Error:
        """The error of a stream that has no end. A write of which no event tells may have been executed or not."""
        if self._story.standing is None and not self._is_safe:
            return OutcomeUnknown(
                lost.summary,
                place=self._place,
                reason=f"{lost.reason}\n{self._so_far()} None of them tells what was begun.".strip(),
                remedy="It is not repeated. Look at what is there before you run it again.",
            )
        kind = Timeout if isinstance(lost, Timeout) else TransportError
        reason = f"{lost.reason}\n{self._so_far()}".strip()
        if not self._is_safe:
            reason += " It goes on at the server."
        return kind(lost.summary, place=self._place, reason=reason, remedy=self._story.look)

    def _stopped(self, stop: BaseException) -> Error:
        reason = self._so_far() + ("" if self._is_safe else " What was begun goes on at the server.")
        if isinstance(stop, Stopped) and isinstance(stop.reason, Timeout):
            return Timeout(stop.reason.summary, place=self._place, reason=reason, remedy=self._story.look)
        return Cancelled(
            "the reading of the stream was stopped", place=self._place, reason=reason, remedy=self._story.look
        )
