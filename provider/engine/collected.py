"""Writes that wait for COMMIT: planned and checked where they stand, each with what will undo it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from provider.engine.guard import Change, Guard, Question
from provider.engine.writes import Planned
from provider.errors import Guarded, NotSupportedError
from provider.plan.actions import WritePlan
from provider.plan.inverse import Inverse, Irreversible, inverse_of
from provider.sql.scanner import Text

#: Reads and checks the rows of a plan: `Writer.planned` or `Writer.rehearsed`.
PlanRows = Callable[[WritePlan, Text, Mapping[str, object]], Sequence[Planned]]


@dataclass(frozen=True, slots=True)
class Collected:
    """A write that waits for COMMIT: its rows as calls, and what undoes each; None where nothing is sent."""

    plan: WritePlan
    text: Text
    planned: Sequence[Planned]
    inverses: Sequence[Inverse | Irreversible | None]

    @property
    def count(self) -> int:
        """How many requests it will send."""
        return sum(1 for p in self.planned if p.call is not None)

    @property
    def irreversible(self) -> str:
        """Why it cannot be undone, '' where it can."""
        return _joined(i.reason for i in self.inverses if isinstance(i, Irreversible))

    @property
    def caveat(self) -> str:
        """What will not be as before where it is undone, '' where nothing is known of that."""
        return _joined(i.caveat for i in self.inverses if isinstance(i, Inverse))

    @property
    def message(self) -> str:
        """What was collected, and what COMMIT will not be able to take back."""
        notes = ["collected"]
        if self.irreversible:
            notes.append(f"cannot be undone: {self.irreversible}")
        if self.caveat:
            notes.append(f"undone {self.caveat}")
        return f"{self.plan.verb} {self.count:,} ({'; '.join(notes)})"

    def __str__(self) -> str:
        return f"{self.plan.verb} on {self.plan.resource.id}"


def collect(plan_rows: PlanRows, plan: WritePlan, text: Text, arguments: Mapping[str, object]) -> Collected:
    """Plan and check a write that COMMIT is to send.

    Raises:
        NotSupportedError: it wants an answer, which only COMMIT brings.
        Error: as `Writer.planned`.
    """
    _check_answers(plan, ())
    plan = _whole(plan)
    planned = plan_rows(plan, text, arguments)
    _check_answers(plan, planned)
    inverses = [
        inverse_of(plan.resource, p.action.method, p.values.keys()) if p.call is not None else None for p in planned
    ]
    return Collected(plan, text, planned, inverses)


def summed(collected: Sequence[Collected]) -> str:
    """'3 requests of 2 statements', '' for none."""
    requests, statements = sum(c.count for c in collected), len(collected)
    if not collected:
        return ""
    return (
        f"{requests:,} request{'' if requests == 1 else 's'} of {statements} statement{'s' if statements > 1 else ''}"
    )


def check_irreversible(collected: Sequence[Collected], guard: Guard) -> None:
    """Look whether all that waits can be undone, and ask where it cannot.

    Raises:
        Guarded: something cannot, and the guard does not let it pass.
    """
    lost = [(n, c) for n, c in enumerate(collected, 1) if c.irreversible]
    if not lost or guard.irreversible:
        return
    what, place = "COMMIT would do what cannot be undone", lost[0][1].plan.place
    if guard.confirm is not None:
        changes = tuple(Change.of(c.plan, c.planned, c.irreversible) for _, c in lost)
        guard.ask("COMMIT", Question(what, changes), place)
        return
    told = [f"Statement {n} of {len(collected)}, {c}: {c.irreversible}." for n, c in lost]
    raise Guarded(
        what,
        place=place,
        reason="\n".join([*told, "Nothing was sent."]),
        remedy="Allow it with --yes (provider.connect(irreversible_writes=True)), or ROLLBACK.",
    )


def wants_answer(what: str, plan: WritePlan) -> NotSupportedError:
    """The error of `what`, which cannot wait for COMMIT."""
    return NotSupportedError(
        f"{what} wants the answer of {plan.verb}, and within a transaction nothing is sent before COMMIT",
        place=plan.place,
        remedy="After COMMIT apiql.last_writes has the ids. Without BEGIN it is sent at once.",
    )


def _check_answers(plan: WritePlan, planned: Sequence[Planned]) -> None:
    """Refuse what wants an answer that only COMMIT brings."""
    if plan.awaits:
        raise wants_answer("AWAIT", plan)
    if plan.text or any(p.streams for p in planned):
        raise wants_answer("a stream", plan)
    if plan.verb != "EXEC" and plan.returning is not None:
        raise wants_answer("RETURNING", plan)


def _whole(plan: WritePlan) -> WritePlan:
    """The same write without leaving out what an object has already: it may be otherwise by the time of COMMIT."""
    return replace(plan, actions=tuple(replace(action, current=()) for action in plan.actions))


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, words)))
