"""A write's rows on their way: what is sent, what need not be, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from provider.catalog.catalog import Method
from provider.engine.journal import Entry, StatementJournal
from provider.engine.outcomes import WriteReport
from provider.engine.sending import Letter
from provider.engine.writes import Planned
from provider.plan.actions import WritePlan
from provider.rest.request import Target


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The rows of one statement: letters for those that are sent, and what an earlier run has done of the others.

    `number` counts the statements of a transaction from 1.
    """

    number: int
    plan: WritePlan
    planned: Sequence[Planned]
    letters: Sequence[Letter]
    before: Mapping[int, Entry]
    journal: StatementJournal | None

    @staticmethod
    def of(
        number: int, plan: WritePlan, planned: Sequence[Planned], target: Target, journal: StatementJournal | None
    ) -> Dispatch:
        """What is to be sent, by a journal too.

        Raises:
            Guarded: the journal has rows whose outcome is unknown.
        """
        known: dict[int, Entry] = {}
        if journal is not None:
            known = journal.known([(p.row, p.call) for p in planned if p.call is not None])
            journal.check(known)
        before = {row: entry for row, entry in known.items() if entry.event == "done"}
        letters = [
            Letter(
                p.row,
                target.of(p.call),
                p.action.method,
                p.call,
                none_is_fine=p.action.verb in ("UPDATE", "REPLACE", "DELETE"),
                key=next(iter(plan.resource.key), "id"),
                idempotency_key=_idempotency_key(p.action.method, known.get(p.row)),
            )
            for p in planned
            if p.call is not None and p.row not in before
        ]
        return Dispatch(number, plan, planned, letters, before, journal)

    @property
    def done(self) -> list[Letter]:
        """The letters that the API has carried out."""
        return [letter for letter in self.letters if letter.outcome == "done"]

    @property
    def failed(self) -> Letter | None:
        """The first letter that failed."""
        return next((letter for letter in self.letters if letter.failure is not None), None)

    def rows(self) -> Iterator[WriteReport]:
        """What is known of each row now."""
        sent = {letter.row: letter for letter in self.letters}
        for p in self.planned:
            row = sent[p.row].report() if p.row in sent else _unsent(p, self.before.get(p.row))
            yield replace(row, statement=self.number)

    @property
    def message(self) -> str:
        """What was done, as a database says it: 'UPDATE 1 (2 unchanged)'."""
        unchanged = sum(1 for p in self.planned if p.call is None)
        counted = ((len(self.before), "done before"), (unchanged, "unchanged"))
        notes = ", ".join(f"{count:,} {what}" for count, what in counted if count)
        verb = "EXEC" if self.plan.verb == "EXEC" else f"{self.plan.verb} {len(self.done)}"
        return f"{verb} ({notes})" if notes else verb


def _unsent(planned: Planned, before: Entry | None) -> WriteReport:
    """A row that this run did not send: it is done already, or needs nothing."""
    if before is not None:
        return WriteReport(planned.row, before.request, before.status, before.id, None, "done")
    return WriteReport(planned.row, None, None, None, None, "done")


def _idempotency_key(method: Method, known: Entry | None) -> str | None:
    """What lets the API recognise a row: as it was sent before, if nobody knows what became of it then."""
    if method.idempotency is None:
        return None
    return known.key if known is not None and known.is_unknown and known.key is not None else str(uuid4())
