"""What became of each row of a write: done, not done, or unknown. And the error that says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from provider.errors import Cancelled, Error, PartlyDone, Place, Timeout

#: What is known of a row's write at the API.
Outcome = Literal["done", "not done", "unknown"]
#: Ranges of rows that an error lists: an error is all that some have, and they have to look at each of these rows.
_LISTED = 100


@dataclass(frozen=True, slots=True)
class WriteReport:
    """One row of a write statement.

    `row` counts the rows of the source from 1. `request` is the call without host and body, None where nothing
    had to be sent. `status` is the HTTP status of the last answer, `id` what the API calls the object, `error`
    what went wrong: each None where there is none. `statement` counts the writes of a transaction, a script or
    `executemany` from 1, and the EXECs of a query. In a transaction `inverse` is the statement that undoes the row,
    None where there is none.
    """

    row: int
    request: str | None
    status: int | None
    id: str | None
    error: str | None
    outcome: Outcome
    statement: int = 1
    inverse: str | None = None


def behind(earlier: Sequence[WriteReport], rows: Iterable[WriteReport]) -> list[WriteReport]:
    """The rows of earlier statements, and those of later ones, whose numbers go on from there."""
    last = max((row.statement for row in earlier), default=0)
    return [*earlier, *(replace(row, statement=last + row.statement) for row in rows)]


def interrupted(verb: str, place: Place, rows: Sequence[WriteReport], late: Timeout | None) -> Cancelled | Timeout:
    """The error of a statement that somebody stopped, or its clock, which is `late` then."""
    if late is not None:
        return Timeout(f"{verb}: {late.summary}", place=place, reason=counts(rows), remedy=_LOOK)
    return Cancelled(f"{verb} was interrupted", place=place, reason=counts(rows), remedy=_LOOK)


def partly_done(verb: str, place: Place, rows: Sequence[WriteReport], failed: int, error: Error) -> PartlyDone:
    """The error of a statement that did not do all of its rows.

    Args:
        failed: the first row that failed, and `error` why.
    """
    what = "stopped" if any(r.outcome == "not done" and r.error is None for r in rows) else "failed"
    return PartlyDone(
        f"{verb} {what} at row {failed:,} of {len(rows):,}: {error.summary}",
        place=place,
        reason="\n".join(filter(None, [error.reason, counts(rows)])),
        remedy=error.remedy,
        detail=error.detail,
    )


def none_done(place: Place, rows: Sequence[WriteReport], error: Error) -> Error:
    """The error of a statement that did none of its several rows: that of the first that was refused."""
    error.place = error.place or place
    error.reason = "\n".join(filter(None, [error.reason, counts(rows)]))
    return error


def counts(rows: Sequence[WriteReport]) -> str:
    """How many rows were done and were not, with the numbers of those that one has to look at; a line a statement."""
    statements: dict[int, list[WriteReport]] = {}
    for row in rows:
        statements.setdefault(row.statement, []).append(row)
    if len(statements) > 1:
        return "\n".join(f"Statement {number}: {counts(own)}" for number, own in statements.items())
    done = sum(1 for r in rows if r.outcome == "done")
    refused = [r.row for r in rows if r.outcome == "not done" and r.error is not None]
    unknown = [r.row for r in rows if r.outcome == "unknown"]
    unsent = len(rows) - done - len(refused) - len(unknown)
    return (
        f"Done: {done:,}. Refused: {_numbered(refused)}. Outcome unknown: {_numbered(unknown)}. Not sent: {unsent:,}."
    )


_LOOK = (
    "Look at what is there before you run it again; apiql.last_writes lists the rows (--last-writes FILE on the "
    "command line)."
)


def _numbered(rows: Sequence[int]) -> str:
    return f"{len(rows):,}" + (f" (row{'s' if len(rows) > 1 else ''} {listed(rows)})" if rows else "")


def listed(rows: Sequence[int]) -> str:
    """Numbers in ascending order with runs drawn together: 1, 4-7, 12."""
    runs: list[tuple[int, int]] = []
    for row in sorted(rows):
        if runs and row == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in runs[:_LISTED]]
    return ", ".join(shown) + (", ..." if len(runs) > _LISTED else "")
