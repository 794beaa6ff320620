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
remedy; what the API itself said stays beneath. `str(error)` is all of it, entry points decide where that is
printed, and how wide (`error.shown`).
"""

from __future__ import annotations

import difflib
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate


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
        """As `shown`, whatever the width of what it is printed on."""
        return self.shown()

    def shown(self, width: int | None = None) -> str:
        """The line with a caret run beneath; a long one is cropped. Files are headed by file:line:column.

        Args:
            width: columns that there are; by default the line has a fixed number of them.
        """
        begin = self.text.rfind("\n", 0, self.start) + 1
        stop = self.text.find("\n", self.start)
        source = self.text[begin:] if stop < 0 else self.text[begin:stop]
        before, marked = source[: self.start - begin], source[self.start - begin : self.end - begin]
        gutter = f"{self.line:>3} | "
        longest = _LONGEST if width is None else max(width - len(gutter) - 2 * len(_DOTS), _SHORTEST)
        if sum(map(_cells, source)) > longest:
            before, marked, source = _cropped(before, marked, source, longest)
        carets = max(1, sum(map(_cells, marked)))
        # Tabs are kept in the padding so that the caret stands under its character.
        pad = "".join("\t" if c == "\t" else " " * _cells(c) for c in before)
        head = f"  {self.file}:{self.line}:{self.column}\n" if self.file else ""
        return f"{head}{gutter}{source}\n{' ' * (len(gutter) - 2)}| {pad}{'^' * carets}"


#: Cells of a line that are shown at most where nobody knows how many there are, and at least on the narrowest terminal.
#: Generated statements are one line of thousands.
_LONGEST, _SHORTEST = 140, 20
_DOTS = "..."


def _cropped(before: str, marked: str, source: str, longest: int) -> tuple[str, str, str]:
    """What stands before the marked stretch, that stretch and its line, as far as they lie around its start."""
    at = list(accumulate(map(_cells, source), initial=0))  # the cell of each character
    start = bisect_left(at, max(0, min(at[len(before)] - longest // 2, at[-1] - longest)))
    stop = bisect_right(at, at[start] + longest) - 1
    head = _DOTS if start else ""
    tail = _DOTS if stop < len(source) else ""
    return head + before[start:], marked[: stop - len(before)], f"{head}{source[start:stop]}{tail}"


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
        return self.shown()

    def shown(self, width: int | None = None) -> str:
        """All that it says, on several lines; the line that `place` points at is cropped to `width` columns."""
        lines = [self.summary]
        if self.place is not None:
            lines.append(self.place.shown(width))
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

    exit_code = 5


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
