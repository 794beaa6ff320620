"""Runs write plans: the rows become calls, each is sent once, and the answers are staged."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provider.catalog.catalog import Method
from provider.engine.encoding import encode
from provider.errors import (
    Cancelled,
    DataError,
    Error,
    Guarded,
    NotSupportedError,
    OutcomeUnknown,
    PartlyDone,
    did_you_mean,
)
from provider.plan.writes import WritePlan
from provider.rest.request import Call, Json, build

#: Sends one call; None when the API has no such object.
Send = Callable[[Call], bytes | None]


@dataclass(frozen=True, slots=True)
class Guard:
    """What UPDATE, REPLACE and DELETE may do unasked.

    `max_writes` bounds how many objects one statement changes; `unfiltered` permits a missing WHERE.
    """

    max_writes: int = 100
    unfiltered: bool = False


def calls(plan: WritePlan, rows: Sequence[tuple[object, ...]]) -> list[Call]:
    """The calls of a plan's source rows, all checked before the first one is sent.

    Raises:
        DataError: a value that its parameter does not take.
        BindError: a path parameter that addresses nothing.
    """
    return [build(plan.method, _values(plan, row)) for row in rows]


def check(plan: WritePlan, guard: Guard, count: int | None) -> None:
    """Stop what should be asked for first.

    Args:
        count: how many objects would be changed, None before that is known.

    Raises:
        Guarded: no WHERE, or more objects than the guard lets pass.
    """
    if plan.verb not in ("UPDATE", "REPLACE", "DELETE"):
        return
    if plan.unfiltered and not guard.unfiltered:
        raise Guarded(
            f"{plan.verb} on {plan.resource.id} without WHERE would change every object",
            place=plan.place,
            remedy="Add a WHERE clause, or allow it with --yes (provider.connect(unfiltered_writes=True)).",
        )
    if count is not None and count > guard.max_writes:
        raise Guarded(
            f"{plan.verb} would change {count:,} objects of {plan.resource.id}; the guard is {guard.max_writes:,}",
            place=plan.place,
            reason="Nothing was sent.",
            remedy="Narrow WHERE, or raise the guard with --max-writes (provider.connect(max_writes=...)).",
        )


def send_all(plan: WritePlan, planned: Sequence[Call], send: Send, on_answer: Callable[[bytes], None]) -> int:
    """Send the calls in order; stop at the first that fails.

    Returns:
        How many objects were written.

    Raises:
        Error: what the only call raised.
        PartlyDone: a later call failed; says what was done, what was not, and what is unknown.
    """
    done = 0
    for i, call in enumerate(planned):
        try:
            body = send(call)
        except KeyboardInterrupt:
            raise Cancelled(
                f"{plan.verb} was interrupted",
                reason=f"Done: {done}. Row {i + 1} ({call}): its outcome is unknown. Not sent: {len(planned) - i - 1}.",
                remedy="Look at what is there before you run it again.",
            ) from None
        except Error as e:
            if len(planned) == 1 or (i == 0 and not isinstance(e, OutcomeUnknown)):
                raise  # nothing was done
            raise _partly(plan, planned, i, done, e) from e
        if body is not None:
            done += 1
            on_answer(body or b"{}")
    return done


def _partly(plan: WritePlan, planned: Sequence[Call], failed: int, done: int, error: Error) -> PartlyDone:
    unknown = isinstance(error, OutcomeUnknown)
    left = len(planned) - failed - 1
    state = "its outcome is unknown" if unknown else "it was refused"
    return PartlyDone(
        f"{plan.verb} stopped at row {failed + 1} of {len(planned)}: {error.summary}",
        place=plan.place,
        reason=f"Done: {done}. Row {failed + 1} ({planned[failed]}): {state}. Not sent: {left}.",
        remedy=error.remedy,
        detail=error.detail,
    )


def _values(plan: WritePlan, row: tuple[object, ...]) -> dict[str, Json]:
    """A row as parameter values. In INSERT, NULL means: not given, so that the API's default holds."""
    resource = plan.resource.id
    values: dict[str, Json] = {}
    for parameter, value in zip(plan.parameters, row, strict=False):
        if value is None and plan.verb in ("INSERT", "EXEC"):
            continue
        values[parameter.name] = encode(parameter, value, resource)
    if plan.payload:
        values |= _payload(plan.method, row[len(plan.parameters)], resource)
    for parameter in plan.method.parameters:
        if parameter.streams and values.get(parameter.name) is True:
            raise NotSupportedError(
                f"{plan.method.name} would answer with a stream of events, which cannot be read yet",
                place=plan.place,
                reason="Nothing was sent.",
                remedy=f"Leave out {parameter.sql_name}, and SELECT the run until it is done.",
            )
    missing = [p.sql_name for p in plan.method.required if values.get(p.name) is None]
    if missing:
        raise DataError(f"{resource} needs {' and '.join(missing)}, which is NULL or missing in a row")
    return values


def _payload(method: Method, payload: object, resource: str) -> dict[str, Json]:
    """The members of @@json as parameters."""
    try:
        found = json.loads(payload) if isinstance(payload, str) else payload
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
