"""Server-sent events: the bytes of a `text/event-stream` as events. Pure; whoever has the bytes feeds them.

The rules are those of the WHATWG HTML standard, section 9.2.6 (Interpreting an event stream). How the bytes are cut
into chunks makes no difference, and an event is there as soon as its last byte is.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from provider.errors import DataError

#: Characters of data that a single event may have.
LARGEST = 16 * 2**20

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream.

    `name` is '' where the stream gives it none; browsers say `message` then. `id` is the last id that the stream has
    told, with this event or before it, and '' before the first.
    """

    name: str
    data: str
    id: str


class Parser:
    """Reads one stream.

    Attributes:
        last_id: the id that a reader sends when it comes back, '' for none.
        retry: milliseconds after which a reader may come back, None where the stream has not said.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: int | None = None
        # A byte order mark in front is no content; what is no UTF-8 becomes U+FFFD.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line: list[str] = []
        self._size = 0
        self._after_return = False
        self._name = ""
        self._id = last_id
        self._data: list[str] = []

    @property
    def unfinished(self) -> str | None:
        """The data of an event whose end has not come, None between two events; at the end of a stream it is void."""
        lines = [*self._data]
        rest = "".join(self._line)
        if rest.startswith("data:"):
            lines.append(rest.removeprefix("data:").removeprefix(" "))
        return "\n".join(lines) if lines or rest else None

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that a chunk completes.

        Raises:
            DataError: an event is larger than `LARGEST`.
        """
        text = self._decoder.decode(chunk)
        if not text:  # a part of a character
            return
        if self._after_return:
            # The line has ended at CR already; an LF behind it belongs to it.
            text = text.removeprefix("\n")
        at = 0
        for end in _LINE_END.finditer(text):
            self._keep(text[at : end.start()])
            event = self._take("".join(self._line))
            self._line.clear()
            at = end.end()
            if event is not None:
                yield event
        self._keep(text[at:])
        self._after_return = at == len(text) and text.endswith("\r")

    def _keep(self, piece: str) -> None:
        self._size += len(piece)
        if self._size > LARGEST:
            raise DataError(f"an event of the stream is larger than {LARGEST:,} characters")
        if piece:
            self._line.append(piece)

    def _take(self, line: str) -> Event | None:
        """Take in a line without its end; the event that it completes."""
        if not line:
            return self._dispatch()
        self._size -= len(line)
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
                self._size += len(line)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if re.fullmatch(r"[0-9]+", value):
                self.retry = int(value)
        return None  # a line that begins with a colon is a comment, and other fields mean nothing

    def _dispatch(self) -> Event | None:
        self.last_id = self._id
        event = Event(self._name, "\n".join(self._data), self._id) if self._data else None
        self._name, self._size = "", 0
        self._data.clear()
        return event
