"""A file that says of each written row what became of it, whatever becomes of this process.

One JSON object a line. A row is written down before it is sent and again when its outcome is known; both lines are on
the disk before anything else happens. So after a crash, a row without a second line is one whose outcome nobody
knows. A later run of the same statements leaves out what is done. Bodies are not kept: a row is known by a hash of
its request.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, Self

from provider.engine.outcomes import listed
from provider.errors import Error, Guarded, InterfaceError, OperationalError
from provider.rest.request import Call

if TYPE_CHECKING:
    from provider.engine.sending import Letter

#: 'sent' is the first line of a row, the others are a second one.
Event = Literal["sent", "done", "refused", "unknown", "not sent"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a journal knows of a row: its statement and row, both counted from 1, and the last event.

    `mark` tells rows of a statement apart by what they send; `key` is the idempotency key that was sent.
    """

    statement: int
    row: int
    mark: str
    request: str
    event: Event
    status: int | None = None
    id: str | None = None
    error: str | None = None
    key: str | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows if the row was written."""
        return self.event in ("sent", "unknown")

    @property
    def is_open(self) -> bool:
        """Whether the row is unknown, and sending it again might write it twice."""
        return self.is_unknown and self.key is None


class Journal:
    """The journal of a connection's writes.

    Args:
        path: the file; it is made when it is not there.

    Raises:
        InterfaceError: it cannot be used, is no journal, or another process writes to it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._statements: dict[int, str] = {}
        self._entries: dict[tuple[int, str], Entry] = {}
        self._begun = 0
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._draining: asyncio.Task[None] | None = None
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as e:
            raise InterfaceError(f"the journal {self.path} cannot be opened", reason=str(e)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read()
        except BlockingIOError:
            os.close(self._file)
            raise InterfaceError(f"another process writes to the journal {self.path}") from None
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Entry]:
        """What is known of each row, in the order of the statements and rows."""
        return iter(sorted(self._entries.values(), key=lambda e: (e.statement, e.row)))

    def begin(self, verb: str, resource: str, sql: str) -> StatementJournal:
        """The next write statement of this connection.

        Raises:
            InterfaceError: the journal has another statement in this place.
        """
        self._begun += 1
        name = f"{verb} {resource} {sha256(' '.join(sql.split()).encode()).hexdigest()[:16]}"
        known = self._statements.setdefault(self._begun, name)
        if known != name:
            what = known.rsplit(" ", 1)[0]
            other = "the words differ" if what == f"{verb} {resource}" else f"here it is {verb} {resource}"
            raise InterfaceError(
                f"the journal {self.path} belongs to other statements",
                reason=f"Its write number {self._begun} is {what}; {other}. Nothing was sent.",
                remedy="Give each script a journal of its own.",
            )
        self._commit(_line({"statement": self._begun, "is": name, "at": _now()}))
        entries = {mark: e for (number, mark), e in self._entries.items() if number == self._begun}
        return StatementJournal(self, self._begun, entries)

    def settle(self, outcome: Literal["done", "not done"], rows: Collection[int], statement: int | None) -> None:
        """Write down what somebody found out about rows of unknown outcome.

        Args:
            statement: whose rows; needed when unknown rows of several statements have these numbers.

        Raises:
            InterfaceError: a row is not unknown, or stands for several.
        """
        for row in sorted(rows):
            found = [e for e in self if e.row == row and e.is_unknown and statement in (None, e.statement)]
            if len(found) != 1:
                several = f"is in statements {', '.join(str(e.statement) for e in found)}; say which"
                reason = several if found else "is none whose outcome is unknown"
                raise InterfaceError(f"row {row} of the journal {self.path} {reason}")
            event: Event = "done" if outcome == "done" else "not sent"
            self.note(_line(_told(found[0]) | {"event": event, "told": True, "at": _now()}))

    def note(self, line: str) -> None:
        """Write a line about a row, and read it."""
        self._commit(line)
        self._learn(json.loads(line))

    async def append(self, line: str) -> None:
        """Write a line from the event loop; it is on the disk when this returns. Lines of one moment share a write.

        Raises:
            OperationalError: the disk does not take it.
        """
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((line, written))
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        await written

    async def _drain(self) -> None:
        while self._waiting:
            lines, self._waiting = self._waiting, []
            failure: Error | None = None
            try:
                await asyncio.to_thread(self._commit, "".join(line for line, _ in lines))
            except Error as e:
                failure = e
            for _, written in lines:
                if written.done():  # its row was given up
                    continue
                if failure is None:
                    written.set_result(None)
                else:
                    written.set_exception(failure)
        self._draining = None

    def _commit(self, text: str) -> None:
        try:
            data = text.encode()
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as e:
            raise OperationalError(f"the journal {self.path} cannot be written", reason=str(e)) from None

    def _read(self) -> None:
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # a crash in the middle of a line, before what it announces
            os.truncate(self._file, len(whole.encode()))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._learn(json.loads(line))
            except (ValueError, KeyError, TypeError) as e:
                raise InterfaceError(f"{self.path} is no journal of writes", reason=f"Line {number}: {e!r}") from None

    def _learn(self, line: dict[str, Any]) -> None:
        if "is" in line:
            self._statements[line["statement"]] = line["is"]
            return
        entry = Entry(**{k: line[k] for k in Entry.__slots__ if k in line})
        self._entries[entry.statement, entry.mark] = entry


class StatementJournal:
    """A journal's part about one statement."""

    def __init__(self, journal: Journal, statement: int, entries: dict[str, Entry]) -> None:
        self._journal = journal
        self._statement = statement
        self._entries = entries
        self._marks: dict[int, str] = {}

    def known(self, calls: Sequence[tuple[int, Call]]) -> dict[int, Entry]:
        """What is known of rows from an earlier run. Rows that send the same are told apart by their order.

        Args:
            calls: the rows' numbers and calls.
        """
        seen: Counter[str] = Counter()
        for row, call in calls:
            mark = sha256(call.mark).hexdigest()[:24]
            seen[mark] += 1
            self._marks[row] = f"{mark}-{seen[mark]}"
        return {row: self._entries[mark] for row, mark in self._marks.items() if mark in self._entries}

    def check(self, known: dict[int, Entry]) -> None:
        """Stop before rows that may have been written.

        Raises:
            Guarded: there are such rows.
        """
        unknown = [row for row, entry in known.items() if entry.is_open]
        if unknown:
            journal = f"apiql journal {self._journal.path}"
            raise Guarded(
                f"the outcome of {len(unknown):,} row{'s' if len(unknown) > 1 else ''} of an earlier run is unknown: "
                f"{listed(unknown)} of write {self._statement}",
                reason="They were sent and not answered. Nothing was sent now.",
                remedy=f"Look whether they are there: {journal} lists them.\n"
                f"Then say so: {journal} --statement {self._statement} --done ROWS --not-done ROWS",
            )

    async def sent(self, letter: Letter) -> None:
        """A row is about to be sent."""
        await self._journal.append(self._line(letter, "sent"))

    async def ended(self, letter: Letter) -> None:
        """A row has its outcome."""
        event: Event = "refused" if letter.status is not None or letter.failure is not None else "not sent"
        if letter.outcome != "not done":
            event = letter.outcome
        await self._journal.append(self._line(letter, event))

    def _line(self, letter: Letter, event: Event) -> str:
        report = letter.report()
        entry = Entry(
            self._statement, letter.row, self._marks[letter.row], str(letter.call), event, report.status, report.id
        )
        return _line(_told(entry) | {"error": report.error, "key": letter.idempotency_key, "at": _now()})


def _told(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in Entry.__slots__}


def _line(found: dict[str, Any]) -> str:
    return json.dumps({k: v for k, v in found.items() if v is not None}, ensure_ascii=False) + "\n"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
