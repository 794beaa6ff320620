"""The rows of a write as calls, all checked before the first one is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duckdb.sqltypes import DuckDBPyType

from provider.catalog.catalog import Method
from provider.engine.encoding import encode, is_same
from provider.engine.files import Files
from provider.errors import BindError, DataError, NotSupportedError, did_you_mean
from provider.plan.actions import Action, WritePlan
from provider.rest.exact import Json, canonical, read
from provider.rest.pagination import first_call
from provider.rest.request import Call, build

#: The verbs that change objects which are there.
CHANGES = ("UPDATE", "REPLACE", "DELETE")
#: Rows that cannot be sent, of which an error tells the reasons.
_TOLD = 10


@dataclass(frozen=True, slots=True)
class Planned:
    """A row of the source, counted from 1, and its call; None where the object is already as it should be.

    `values` are the row's parameters by name, those that the object has already included. `streams` says that the call
    is answered with a stream of events.
    """

    row: int
    action: Action
    call: Call | None
    values: Mapping[str, Json]
    streams: bool = False


def calls(
    plan: WritePlan, rows: Sequence[tuple[object, ...]], kinds: Sequence[DuckDBPyType], files: Files
) -> list[Planned]:
    """The calls of a plan's source rows.

    Rows that change one object in the same way are one.

    Args:
        kinds: the DuckDB types of the rows' columns.
        files: makes files of values.

    Raises:
        DataError: values that their parameters do not take, of all rows together.
        NotSupportedError: an answer with events, where no events are wanted.
    """
    found: list[Planned] = []
    problems: list[tuple[int, DataError]] = []
    seen: dict[object, tuple[int, Call | None]] = {}
    for number, row in enumerate(rows, 1):
        action = _action(plan, row)
        if action is None:
            continue
        try:
            values = _values(plan, action, row, kinds)
            kept = _changed(action, values, row, kinds)
            attached = files.attached(action, values, row, kinds, plan.resource.id)
            call = first_call(action.method, build(action.method, values, attached))
            if call.saves is not None:
                files.check(call.saves)
            streams = _streams(plan, action, values)
            if kept is values:
                sent: Call | None = call
            else:
                sent = build(action.method, kept, attached) if kept is not None else None
            planned = Planned(number, action, sent, values, streams)
            same = _same(action, values, call)
            if same in seen and seen[same][1] != call:
                raise DataError(f"it writes the same object as row {seen[same][0]}, with other values")
        except (DataError, BindError) as e:
            problems.append((number, e if isinstance(e, DataError) else DataError(e.summary, reason=e.reason)))
            continue
        except NotSupportedError as e:
            raise NotSupportedError(e.summary, place=plan.place, reason=e.reason, remedy=e.remedy) from None
        if same not in seen:
            found.append(planned)
        if same is not None:
            seen[same] = (number, call)
    if problems:
        raise _refused(plan, problems, len(rows))
    return found


def _action(plan: WritePlan, row: tuple[object, ...]) -> Action | None:
    """What a row asks for."""
    if not plan.chooses:
        return plan.actions[0]
    return plan.actions[row[0]] if isinstance(row[0], int) else None


def _same(action: Action, values: Mapping[str, Json], call: Call) -> object:
    """What two rows may not both write; None where rows cannot be in each other's way."""
    if action.verb in CHANGES:
        return call.account, call.path
    if action.unique:
        return tuple(canonical(values.get(p.name)) for p in action.unique)
    return None


def _refused(plan: WritePlan, problems: Sequence[tuple[int, DataError]], rows: int) -> DataError:
    """One error for all rows that cannot be sent."""
    row, first = problems[0]
    if plan.verb == "EXEC":
        return DataError(first.summary, place=plan.place, reason=first.reason, remedy=first.remedy)
    told = [f"row {n}: {e.summary}" for n, e in problems[1 : _TOLD + 1]]
    if len(problems) > _TOLD + 1:
        told.append(f"... and {len(problems) - _TOLD - 1:,} more")
    nothing = (
        "Nothing was sent."
        if len(problems) == 1
        else f"Nothing was sent. {len(problems):,} of {rows:,} rows are wrong, also"
    )
    return DataError(
        f"row {row}: {first.summary}",
        place=plan.place,
        reason="\n".join(part for part in (first.reason, nothing, *told) if part),
        remedy=first.remedy,
    )


def _values(plan: WritePlan, action: Action, row: tuple[object, ...], kinds: Sequence[DuckDBPyType]) -> dict[str, Json]:
    """A row as parameter values. In INSERT, NULL means: not given, so that the API's default holds."""
    resource = plan.resource.id
    values: dict[str, Json] = {}
    for number, parameter in enumerate(action.parameters, action.first):
        if row[number] is None and action.verb in ("INSERT", "EXEC"):
            continue
        if parameter.type.base == "file":
            continue
        values[parameter.name] = encode(parameter, row[number], resource, kinds[number])
    if action.payload:
        members = _payload(action.method, row[action.first + len(action.parameters)], resource)
        # The hint STREAM has added its switch itself; what @@json says of that is looked at later.
        hinted = action.method.switch if plan.text else None
        if twice := [n for n in members if any(p.name == n for p in action.parameters if p != hinted)]:
            raise DataError(f'"{twice[0]}" is given twice, by @{twice[0]} and in @@json')
        values |= members
    missing = [p.sql_name for p in action.method.required if values.get(p.name) is None and p.type.base != "file"]
    if missing:
        raise DataError(f"{resource} needs {' and '.join(missing)}, which is NULL or missing")
    return values


def _streams(plan: WritePlan, action: Action, values: Mapping[str, Json]) -> bool:
    """Whether a call is answered with a stream of events.

    Raises:
        NotSupportedError: it is, and the statement has no use for them.
    """
    method = action.method
    on = method.stream is not None and (method.switch is None or values.get(method.switch.name) is True)
    if plan.text and not on:
        raise DataError(f"STREAM wants a stream, and the payload says that {method.name} does not answer with one")
    if on and (plan.verb != "EXEC" or plan.awaits):
        what = "AWAIT reads no events" if plan.verb == "EXEC" else f"{plan.verb} reads no events"
        remedy = (
            "Leave AWAIT out: a stream goes on until its end."
            if plan.verb == "EXEC"
            else f"EXEC {method.resource}.{method.name} does."
        )
        raise NotSupportedError(
            f"{what}, and {method.name} would answer with a stream of them",
            place=plan.place,
            reason="Nothing was sent.",
            remedy=remedy,
        )
    return on


def _changed(
    action: Action, values: dict[str, Json], row: tuple[object, ...], kinds: Sequence[DuckDBPyType]
) -> dict[str, Json] | None:
    """The values that the object does not have yet, with its keys; None when it has them all."""
    if not action.current:
        return values
    kept = dict(values)
    for parameter, number in zip(action.parameters, action.current, strict=True):
        if number is not None and is_same(parameter, values[parameter.name], row[number], kinds[number]):
            del kept[parameter.name]
    if all(p.addresses for p in action.parameters if p.name in kept):
        return None
    return kept | {p.name: values[p.name] for p in action.method.required if p.name in values}


def _payload(method: Method, payload: object, resource: str) -> dict[str, Json]:
    """The members of @@json as parameters."""
    try:
        found = read(payload) if isinstance(payload, str) else payload
    except ValueError as e:
        raise DataError(f"@@json is no JSON: {e}") from None
    if not isinstance(found, dict):
        raise DataError("@@json takes a JSON object")
    values: dict[str, Json] = {}
    for name, value in found.items():
        parameter = next((p for p in method.parameters if p.location == "body" and name in (p.wire, p.name)), None)
        if parameter is None:
            names = [p.wire for p in method.parameters if p.location == "body"]
            raise DataError(
                f'{method.name} takes no "{name}" in its body', remedy=did_you_mean(name, names) or "It takes no body."
            )
        values[parameter.name] = encode(parameter, value, resource)
    return values
