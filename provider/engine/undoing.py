"""The way back from a COMMIT: what objects were like before it, what undoes each row, and the error that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from duckdb.sqltypes import DuckDBPyType

from provider.engine.collected import Collected
from provider.engine.dispatch import Dispatch
from provider.engine.encoding import encode
from provider.engine.gateway import Gateway
from provider.engine.outcomes import WriteReport, counts, listed
from provider.engine.sending import Letter
from provider.engine.writer import Writer
from provider.engine.writes import Planned
from provider.errors import DataError, Error, PartlyDone
from provider.plan.inverse import Inverse, reading
from provider.plan.physical import Plan
from provider.rest.exact import Json, read
from provider.sql.scanner import Text

#: Plans a query of ours.
PlanQuery = Callable[[str], Plan]
#: Statements of the way back that an error lists; apiql.last_writes has all.
LISTED = 10
#: What an error of COMMIT says of DuckDB's part.
ROLLED_BACK = "Local changes are rolled back."
#: By row of a write, values of its object as they were before, by parameter.
Before = Mapping[int, Mapping[str, Json]]


def values_before(collected: Collected, writer: Writer, plan_query: PlanQuery) -> Before:
    """What the objects are like that a write is about to change, as far as its inverses need it.

    Raises:
        Error: what stops the reading.
    """
    groups: dict[str, list[tuple[Planned, Inverse]]] = {}
    for p, inverse in zip(collected.planned, collected.inverses, strict=True):
        if isinstance(inverse, Inverse) and inverse.before:
            groups.setdefault(p.action.method.name, []).append((p, inverse))
    found: dict[int, Mapping[str, Json]] = {}
    for rows in groups.values():
        method = rows[0][0].action.method
        calls = [p.values for p, _ in rows]
        sql, keys, fields = reading(collected.plan.resource, method, [i for _, i in rows], calls)
        objects, kinds = writer.objects(plan_query(sql), Text(sql, sql))
        known = {tuple(map(str, o[: len(keys)])): o[len(keys) :] for o in objects}
        columns = {field.name: n for n, field in enumerate(fields)}
        for p, inverse in rows:
            values = known.get(tuple(str(p.values[key.name]) for key in keys))
            if values is not None:
                with suppress(DataError):  # what cannot be set cannot be set back
                    found[p.row] = _values(inverse, values, kinds[len(keys) :], columns)
    return found


def account(
    collected: Sequence[Collected],
    dispatches: Sequence[Dispatch],
    before: Sequence[Before],
    gateway: Gateway,
) -> Iterator[WriteReport]:
    """What is known of all rows, with the statements that undo those that were done."""
    for c, dispatch, known in zip(collected, dispatches, before, strict=True):
        done = {letter.row: letter for letter in dispatch.done}
        for p, inverse, row in zip(c.planned, c.inverses, dispatch.rows(), strict=True):
            undone = None
            if isinstance(inverse, Inverse) and p.row in done:
                undone = inverse.statement(p.values, _answer(done[p.row]), known.get(p.row))
            if undone is not None and gateway.gives_away(done[p.row].target, undone.encode()):
                undone = None  # it would print a secret, and without that it would set something else
            yield replace(row, inverse=undone)


def stopped(collected: Sequence[Collected], failed: Dispatch, rows: Sequence[WriteReport]) -> Error:
    """The error of a COMMIT whose sending stopped at a row."""
    letter = failed.failed
    assert letter is not None
    assert letter.failure is not None
    error, place = letter.failure, failed.plan.place
    if all(row.outcome == "not done" for row in rows if row.request is not None):
        error.place = place
        error.reason = "\n".join(filter(None, [error.reason, f"COMMIT has done nothing. {ROLLED_BACK}"]))
        return error
    told = [
        f"Statement {n}, {c}: {counts([row for row in rows if row.statement == n])}" for n, c in enumerate(collected, 1)
    ]
    return PartlyDone(
        f"COMMIT stopped in statement {failed.number} of {len(collected)}, at row {letter.row:,}: {error.summary}",
        place=place,
        reason="\n".join([*told, ROLLED_BACK]),
        remedy="\n".join(filter(None, [error.remedy, way_back(collected, rows)])),
        detail=error.detail,
    )


def way_back(collected: Sequence[Collected], rows: Sequence[WriteReport]) -> str:
    """What undoes the rows that were done, newest first and of many only the newest, and what nothing undoes."""
    lines: list[str] = []
    back = [row.inverse for row in reversed(rows) if row.inverse is not None]
    if back:
        lines += ["To undo what was done, run:", *(f"  {statement};" for statement in back[:LISTED])]
    if len(back) > LISTED:
        lines += [
            f"  ... and {len(back) - LISTED:,} more, which apiql.last_writes has in this order "
            "(--last-writes FILE on the command line):",
            "  SELECT inverse FROM apiql.last_writes WHERE inverse IS NOT NULL ORDER BY statement DESC, row DESC",
        ]
    for number, c in enumerate(collected, 1):
        own = [row for row in rows if row.statement == number]
        if c.caveat and any(row.inverse for row in own):
            lines.append(f"Statement {number} is undone {c.caveat}.")
        lost = [r.row for r in own if r.outcome == "done" and r.request is not None and r.inverse is None]
        if lost:
            lines.append(f"Nothing undoes statement {number}, row{'s' if len(lost) > 1 else ''} {listed(lost)}.")
    if any(row.outcome == "unknown" for row in rows):
        lines.append("Look first what became of the rows whose outcome is unknown.")
    return "\n".join(lines)


def _values(
    inverse: Inverse, row: Sequence[object], kinds: Sequence[DuckDBPyType], columns: Mapping[str, int]
) -> dict[str, Json]:
    """The values of an object's fields, as the parameters that set them again take them."""
    resource = inverse.resource.id
    return {
        parameter.name: encode(parameter, row[columns[field.name]], resource, kinds[columns[field.name]])
        for parameter, field in inverse.before
    }


def _answer(letter: Letter) -> dict[str, Json]:
    try:
        found = read((letter.body or b"{}").decode())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
