"""The guard of writes: what a statement may do unasked, and the question to whoever may allow it more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from provider.engine.journal import Entry
from provider.engine.writes import CHANGES, Planned
from provider.errors import Guarded, Place
from provider.plan.actions import WritePlan

#: Keys of a statement's objects that a question shows.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Change:
    """What a statement would do: `verb` to `count` objects of `resource`.

    `keys` are those of the first objects, as paths have them: `thread_1`, or `thread_1/msg_1`; new objects have none
    yet. `why` says what cannot be undone about it, '' where that is not the question.
    """

    verb: str
    resource: str
    count: int
    keys: tuple[str, ...] = ()
    why: str = ""

    @staticmethod
    def of(plan: WritePlan, planned: Iterable[Planned], why: str = "") -> Change:
        """The change that a plan's rows are, as far as they are sent."""
        sent = [p for p in planned if p.call is not None]
        keys = (_key(p) for p in sent[:_SHOWN])
        return Change(plan.verb, plan.resource.id, len(sent), tuple(filter(None, keys)), why)

    @property
    def objects(self) -> str:
        """'3 objects'; of EXEC, which may do anything, '3 calls'."""
        noun = "call" if self.verb == "EXEC" else "object"
        return f"{self.count:,} {noun}{'' if self.count == 1 else 's'}"

    @property
    def listed(self) -> str:
        """The first keys, and how many more there are; '' where none is known."""
        left = self.count - len(self.keys)
        return ", ".join([*self.keys, f"... ({left:,} more)"] if left else self.keys) if self.keys else ""


@dataclass(frozen=True, slots=True)
class Question:
    """What the guard would stop, and somebody may allow. Its text is `summary` with a line for each change."""

    summary: str
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        lines = [self.summary]
        for change in self.changes:
            if change.why:
                lines.append(f"  {change.verb} of {change.objects} of {change.resource}: {change.why}")
            if change.listed:
                lines.append(f"  {change.listed}")
        return "\n".join(lines)


#: Answers whether a write may go on; called on the thread that runs the statement, before anything is written.
Confirm = Callable[[Question], bool]


@dataclass(frozen=True, slots=True)
class Guard:
    """What UPDATE, REPLACE, DELETE and MERGE may do unasked, and who is asked for more.

    `max_writes` bounds how many objects one statement changes; `unfiltered` permits a missing WHERE, and
    `irreversible` a COMMIT of what cannot be undone. Without `confirm` what they do not permit is an error.
    """

    max_writes: int = 100
    unfiltered: bool = False
    irreversible: bool = False
    confirm: Confirm | None = None

    @property
    def unasked(self) -> Guard:
        """The same guard where nobody is asked, as in a dry run."""
        return replace(self, confirm=None)

    def ask(self, verb: str, question: Question, place: Place) -> None:
        """Let the statement of this verb go on only if somebody says so.

        Raises:
            Guarded: the answer was no.
        """
        if self.confirm is None or not self.confirm(question):
            raise Guarded(f"{verb} was not confirmed", place=place, reason="Nothing was sent.")


def check_filter(plan: WritePlan, guard: Guard) -> None:
    """Stop a change of every object before anything is read, where nobody can be asked.

    Raises:
        Guarded: no WHERE, or ON of a MERGE that says nothing of the target, and nobody allowed that.
    """
    if plan.unfiltered and not guard.unfiltered and guard.confirm is None:
        add = "Name its columns in ON" if plan.verb == "MERGE" else "Add a WHERE clause"
        raise Guarded(
            f"{plan.verb} on {plan.resource.id} without {_missing(plan)} would change every object",
            place=plan.place,
            remedy=f"{add}, or allow it with --yes (provider.connect(unfiltered_writes=True)).",
        )


def check_whole(plan: WritePlan, *, truncated: bool) -> None:
    """Stop a write whose rows were not all found.

    Raises:
        Guarded: reading was cut off.
    """
    if truncated:
        raise Guarded(
            f"{plan.verb} on {plan.resource.id} would rest on a list that was cut off",
            place=plan.place,
            reason="Nothing was sent: the rows behind max_pages are not known.",
            remedy="Narrow what is read, or raise max_pages in the manifest's pagination.",
        )


def check_changes(plan: WritePlan, guard: Guard, planned: Sequence[Planned]) -> None:
    """Stop a change of every object, or of more objects than were meant, unless somebody confirms it.

    Raises:
        Guarded: nobody does.
    """
    change = Change.of(plan, (p for p in planned if p.action.verb in CHANGES))
    every, many = plan.unfiltered and not guard.unfiltered, change.count > guard.max_writes
    if not change.count or not (every or many):
        return
    would = f"would change {change.objects} of {plan.resource.id}"
    limit = f"; the guard is {guard.max_writes:,}" if many else ""
    if guard.confirm is None:
        narrow = "Narrow ON" if plan.verb == "MERGE" else "Narrow WHERE"
        raise Guarded(
            f"{plan.verb} {would}{limit}",
            place=plan.place,
            reason="Nothing was sent.",
            remedy=f"{narrow}, or raise the guard with --max-writes (provider.connect(max_writes=...)).",
        )
    without = f"without {_missing(plan)} " if every else ""
    summary = f"{plan.verb} {without}{would}{limit}"
    guard.ask(plan.verb, Question(summary, (change,)), plan.place)


def check_answer(plan: WritePlan, before: Mapping[int, Entry]) -> None:
    """Stop a query that would read an answer which is not kept.

    Args:
        before: what the journal knows of rows that an earlier run has done.

    Raises:
        Guarded: there are such rows.
    """
    for entry in before.values():
        made = f" It has made {entry.id}." if entry.id is not None else ""
        raise Guarded(
            f"the query reads the answer of {entry.request}, which an earlier run has sent",
            place=plan.place,
            reason=f"The journal says that it is done, and has no answers.{made} Nothing was sent now.",
            remedy="Put what it has answered in its place, or keep another journal for what is left.",
        )


def _missing(plan: WritePlan) -> str:
    """What would limit a change."""
    return "a condition on it" if plan.verb == "MERGE" else "WHERE"


def _key(planned: Planned) -> str:
    """What tells an object apart, as its path has it; '' for a new one."""
    if planned.action.verb == "INSERT":
        return ""
    values = (planned.values.get(p.name) for p in planned.action.method.parameters if p.addresses)
    return "/".join(str(value) for value in values if value is not None)
