"""Every error that ApiQL raises.

PEP 249's classes on the outside, ours beneath them::

    Error
    ├── InterfaceError
    │   └── ManifestError
    └── DatabaseError
        ├── DataError
        │   └── CoercionError
        ├── OperationalError
        │   ├── TransportError
        │   │   └── Timeout
        │   ├── ApiError
        │   │   ├── AuthError
        │   │   └── RateLimited
        │   ├── OutcomeUnknown
        │   ├── Guarded
        │   ├── PartlyDone
        │   └── Cancelled
        ├── IntegrityError
        │   └── ConflictError
        ├── InternalError
        ├── ProgrammingError
        │   ├── ParseError
        │   └── BindError
        └── NotSupportedError

An error is a value with one anatomy: a summary that names things, the place, the reason, and the
remedy; what the API itself said stays beneath. `str(error)` prints it, entry points decide where.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a text that an error points at: SQL, or a manifest file.

    `start` and `end` are character offsets into `text`, `end` exclusive.
    """

    text: str
    start: int
    end: int
    file: str | None = None

    @property
    def line(self) -> int:
        """Line number, counted from 1."""
        return self.text.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """Column number, counted from 1."""
        return self.start - (self.text.rfind("\n", 0, self.start) + 1) + 1

    def __str__(self) -> str:
        """The line with a caret run beneath; a long one is cropped. Files are headed by file:line:column."""
        begin = self.text.rfind("\n", 0, self.start) + 1
        stop = self.text.find("\n", self.start)
        source = self.text[begin:] if stop < 0 else self.text[begin:stop]
        before, marked = source[: self.start - begin], source[self.start - begin : self.end - begin]
        if len(source) > _LONGEST:
            before, marked, source = _cropped(before, marked, source)
        width = max(1, sum(map(_cells, marked)))
        gutter = f"{self.line:>3} | "
        # Tabs are kept in the padding so that the caret stands under its character.
        pad = "".join("\t" if c == "\t" else " " * _cells(c) for c in before)
        head = f"  {self.file}:{self.line}:{self.column}\n" if self.file else ""
        return f"{head}{gutter}{source}\n{' ' * (len(gutter) - 2)}| {pad}{'^' * width}"


#: Characters of a line that are shown at most; generated statements are one line of thousands.
_LONGEST = 140
_DOTS = "..."


def _cropped(before: str, marked: str, source: str) -> tuple[str, str, str]:
    """What stands before the marked stretch, that stretch and its line, as far as they lie around its start."""
    start = max(0, min(len(before) - _LONGEST // 2, len(source) - _LONGEST))
    shown = source[start : start + _LONGEST]
    head = _DOTS if start else ""
    tail = _DOTS if start + _LONGEST < len(source) else ""
    return head + before[start:], marked[: _LONGEST - (len(before) - start)], f"{head}{shown}{tail}"


def _cells(character: str) -> int:
    """How many cells of a terminal a character takes: accents and joiners none, Han and emoji two."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def did_you_mean(name: str, candidates: Iterable[str], limit: int = 5) -> str:
    """A sentence with the candidates nearest to `name`, or all of them when few; '' when none."""
    names = list(dict.fromkeys(candidates))
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=limit, cutoff=0.6)
    close = [n for low in near for n in names if n.lower() == low]
    if close:
        return "Did you mean " + " or ".join(dict.fromkeys(close)) + "?"
    if not names:
        return ""
    shown = ", ".join(names[:20])
    return f"Candidates: {shown}{', ...' if len(names) > 20 else ''}"


class Error(Exception):
    """Base of all errors.

    Args:
        summary: one line that names what is wrong.
        place: where, in SQL or in a file.
        reason: why; one or more sentences.
        remedy: what to do, or the candidates.
        detail: the API's or the engine's own words, already redacted.
    """

    exit_code = 1

    def __init__(
        self,
        summary: str,
        *,
        place: Place | None = None,
        reason: str = "",
        remedy: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.place = place
        self.reason = reason
        self.remedy = remedy
        self.detail = detail

    def __str__(self) -> str:
        lines = [self.summary]
        if self.place is not None:
            lines.append(str(self.place))
        lines += [f"  {line}" for part in (self.reason, self.remedy) for line in part.splitlines()]
        lines += [f"  > {line}" for line in self.detail.splitlines()]
        return "\n".join(lines)


class Warning(Exception):  # noqa: A001 -- the name is PEP 249's
    """Important warnings, as PEP 249 asks for the name."""


class InterfaceError(Error):
    """Misuse of the Python interface, or a configuration that cannot be used."""


class ManifestError(InterfaceError):
    """A manifest that cannot be loaded; `place` points into its file."""


class DatabaseError(Error):
    """Anything about the statement, the data or the API."""


class DataError(DatabaseError):
    """A value is not what it has to be."""


class CoercionError(DataError):
    """An API sent a value that does not fit the declared type of its field."""


class OperationalError(DatabaseError):
    """Something outside the statement failed: network, API, disk, a guard."""


class TransportError(OperationalError):
    """No usable HTTP response: refused, reset, cut off, malformed.

    `sent` is False when it is certain that no byte of the request reached a server; `permanent` says that
    the same request would fail again in the same way.
    """

    def __init__(
        self,
        summary: str,
        *,
        sent: bool = True,
        permanent: bool = False,
        place: Place | None = None,
        reason: str = "",
        remedy: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(summary, place=place, reason=reason, remedy=remedy, detail=detail)
        self.sent = sent
        self.permanent = permanent


class Timeout(TransportError):
    """No answer in time."""


class ApiError(OperationalError):
    """The API answered with an error.

    `status` is the HTTP status, `code` the API's own code or None, `request_id` its id or None.
    """

    def __init__(
        self,
        summary: str,
        *,
        status: int,
        code: str | None = None,
        request_id: str | None = None,
        place: Place | None = None,
        reason: str = "",
        remedy: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(summary, place=place, reason=reason, remedy=remedy, detail=detail)
        self.status = status
        self.code = code
        self.request_id = request_id


class AuthError(ApiError):
    """401 or 403: no credentials, wrong ones, or not enough rights."""


class RateLimited(ApiError):
    """429, and waiting did not help."""


class OutcomeUnknown(OperationalError):
    """A write was sent and its answer was lost: it may have happened. It is never repeated."""


class Guarded(OperationalError):
    """A guard stopped a statement before it sent anything."""

    exit_code = 4


class PartlyDone(OperationalError):
    """A write statement stopped half-way; the message lists done, not done and unknown."""

    exit_code = 5


class Cancelled(OperationalError):
    """The statement was cancelled."""

    exit_code = 130


class IntegrityError(DatabaseError):
    """The API refused a write because of the state of its data."""


class ConflictError(IntegrityError):
    """409 or 412: someone else changed the object."""


class InternalError(DatabaseError):
    """A defect of ApiQL itself."""


class ProgrammingError(DatabaseError):
    """The statement is wrong."""


class ParseError(ProgrammingError):
    """The text is no statement."""


class BindError(ProgrammingError):
    """A name or a required parameter cannot be bound."""


class NotSupportedError(DatabaseError):
    """Understood, and not possible."""
