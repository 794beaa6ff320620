"""Transactions: DuckDB's own, and beside it the writes to resources, which are sent at COMMIT.

A write is planned, read for and checked where it stands, and its calls wait. COMMIT reads the objects that it is about
to change, so that their old values are known; then it sends statement after statement, and commits DuckDB's part when
all is done. ROLLBACK sends nothing. No API takes part in this: what was sent stays, and for that there are the
inverse statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import duckdb
from duckdb.sqltypes import DuckDBPyType

from provider.engine.dispatch import Dispatch
from provider.engine.encoding import encode
from provider.engine.failures import translate
from provider.engine.gateway import Gateway
from provider.engine.outcomes import WriteReport, counts, listed
from provider.engine.sending import Letter
from provider.engine.writer import Writer
from provider.engine.writes import Planned
from provider.errors import (
    DataError,
    Error,
    Guarded,
    NotSupportedError,
    OperationalError,
    PartlyDone,
    Place,
    ProgrammingError,
)
from provider.plan.actions import WritePlan
from provider.plan.inverse import Inverse, Irreversible, inverse_of, reading
from provider.plan.physical import Plan
from provider.rest.exact import Json, read
from provider.sql.scanner import Text, content
from provider.sql.statements import Control

#: Plans a query of ours.
PlanQuery = Callable[[str], Plan]
_ROLLED_BACK = "Local changes are rolled back."
#: Values of an object as they were before, by parameter.
Values = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Collected:
    """A write that waits for COMMIT: its rows as calls, and what undoes each; None where nothing is sent."""

    plan: WritePlan
    text: Text
    planned: Sequence[Planned]
    inverses: Sequence[Inverse | Irreversible | None]

    @staticmethod
    def of(plan: WritePlan, text: Text, planned: Sequence[Planned]) -> Collected:
        """A write with what undoes it, as far as the manifest tells."""
        inverses = [
            inverse_of(plan.resource, p.action.method, p.values.keys()) if p.call is not None else None for p in planned
        ]
        return Collected(plan, text, planned, inverses)

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


class Transaction:
    """The transaction of a session, open or not, and the rehearsal of one by dry runs.

    Args:
        plan_query: plans the queries for objects as they are before COMMIT changes them.
    """

    def __init__(
        self, duck: duckdb.DuckDBPyConnection, writer: Writer, gateway: Gateway, plan_query: PlanQuery
    ) -> None:
        self._duck = duck
        self._writer = writer
        self._gateway = gateway
        self._plan_query = plan_query
        #: DuckDB's number of the transaction; None when none is open.
        self._number: int | None = None
        self._reads_only = False
        self._collected: list[Collected] = []
        self._rehearsed: list[Collected] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there was a BEGIN, and no end since."""
        return self._number is not None

    @property
    def waits(self) -> str:
        """What waits for COMMIT, '' where nothing does."""
        return _summed(self._collected)

    def check(self) -> None:
        """Look whether DuckDB's transaction is still there.

        Raises:
            OperationalError: an error has ended it, and nothing but ROLLBACK or COMMIT is possible.
        """
        if self.is_open and self._duck_number() != self._number:
            raise OperationalError(
                "the transaction was given up: after an error in it DuckDB undoes all of it",
                reason=self._unsent(),
                remedy="ROLLBACK ends it.",
            )

    def run(self, control: Control) -> tuple[int, str]:
        """BEGIN, COMMIT or ROLLBACK; how many rows were written at APIs, -1 where none could be, and a message.

        Raises:
            ProgrammingError: BEGIN within a transaction, or an end without one.
            Error: as `commit`.
        """
        match control.verb:
            case "BEGIN":
                self._begin(control)
                return -1, "BEGIN"
            case "COMMIT":
                self._check_open(control)
                return self._commit(control)
        self._check_open(control)
        message = f"ROLLBACK ({self.waits} not sent)" if self._collected else "ROLLBACK"
        self._end("ROLLBACK")
        return -1, message

    def collect(self, plan: WritePlan, text: Text, arguments: Mapping[str, object]) -> tuple[int, str]:
        """Plan and check a write now, and send it at COMMIT; how many requests that will be, and a message.

        Raises:
            NotSupportedError: it wants an answer, which only COMMIT brings.
            Error: as `Writer.planned`.
        """
        if self._reads_only:
            raise ProgrammingError(f"{plan.verb} in a transaction that is READ ONLY", place=plan.place)
        _check_answers(plan, ())
        plan = _whole(plan)
        planned = self._writer.planned(plan, text, arguments)
        _check_answers(plan, planned)
        self._collected.append(Collected.of(plan, text, planned))
        return self._collected[-1].count, self._collected[-1].message

    def takes(self, plan: WritePlan) -> bool:
        """Whether a write is to be collected: one is open, and the write is one, and no EXEC that only reads."""
        return self.is_open and not _only_reads(plan)

    def unseen(self, plan: Plan) -> str:
        """A remark where a query reads what is about to be written, '' elsewhere."""
        read = {scan.resource.id for scan in plan.scans}
        waiting = [c for c in self._collected if c.plan.resource.id in read]
        return f"read as it is at the API, without {_summed(waiting)} that wait for COMMIT" if waiting else ""

    def check_queried(self, plans: Iterable[WritePlan]) -> None:
        """Refuse a query whose EXECs would have to be sent now.

        Raises:
            NotSupportedError: they write, and a transaction is open.
        """
        for plan in plans:
            if self.takes(plan):
                raise _wants("a query with EXEC in it", plan)

    def close(self) -> str:
        """Give up an open transaction; what was not sent, '' for nothing."""
        unsent = self.waits
        if self.is_open:
            self._end("ROLLBACK")
        return unsent

    # -- dry runs ------------------------------------------------------------------------------

    def rehearse(self, control: Control) -> list[str]:
        """What BEGIN, COMMIT or ROLLBACK would do after the dry runs so far.

        Raises:
            ProgrammingError: as `run`.
            Guarded: COMMIT would be stopped.
        """
        rehearsed = self._rehearsal()
        if (control.verb == "BEGIN") == (rehearsed is not None):
            raise _misplaced(control)
        rehearsed = rehearsed or []
        self._rehearsed = [] if control.verb == "BEGIN" else None
        if control.verb == "COMMIT":
            self._check_irreversible(rehearsed)
        what = {
            "BEGIN": "collects the writes that follow",
            "COMMIT": f"would send {_summed(rehearsed) or 'nothing'}, statement by statement",
            "ROLLBACK": "would send nothing",
        }
        return [f"{control.verb} {what[control.verb]}"]

    def explained(self, control: Control) -> str:
        """What EXPLAIN says of BEGIN, COMMIT or ROLLBACK."""
        match control.verb:
            case "BEGIN":
                return "BEGIN collects the writes that follow"
            case "COMMIT":
                now = f" (now {self.waits})" if self._collected else ""
                return f"COMMIT sends what waits for it{now}, statement by statement"
        return "ROLLBACK sends nothing"

    def rehearse_write(self, plan: WritePlan, text: Text, arguments: Mapping[str, object]) -> list[str]:
        """The requests of a write, which are those that COMMIT would send; errors as `collect`."""
        self._rehearsed = self._rehearsal()
        if self._rehearsed is None or _only_reads(plan):
            return self._writer.preview(plan, self._writer.planned(plan, text, arguments))
        plan = _whole(plan)
        planned = self._writer.planned(plan, text, arguments)
        _check_answers(plan, planned)
        self._rehearsed.append(Collected.of(plan, text, planned))
        return self._writer.preview(plan, planned)

    def rehearse_queried(self, plan: WritePlan) -> None:
        """A query's EXEC in a dry run; errors as `check_queried`."""
        if self._rehearsal() is not None and not _only_reads(plan):
            raise _wants("a query with EXEC in it", plan)

    def end_rehearsal(self) -> None:
        """Forget what dry runs have collected."""
        self._rehearsed = None

    def _rehearsal(self) -> list[Collected] | None:
        """What dry runs have collected, behind what the open transaction has; None outside of both."""
        if self._rehearsed is None and self.is_open:
            return list(self._collected)
        return self._rehearsed

    # -- BEGIN, COMMIT, ROLLBACK ---------------------------------------------------------------

    def _begin(self, control: Control) -> None:
        if self.is_open:
            raise _misplaced(control)
        try:
            self._duck.execute(control.text.sql)
        except duckdb.Error as e:
            raise translate(e, control.text, None) from None
        self._number, self._reads_only = self._duck_number(), control.reads_only

    def _commit(self, control: Control) -> tuple[int, str]:
        """Send what was collected, then commit DuckDB's part.

        Raises:
            Guarded: something cannot be undone, and nobody has allowed that; the transaction stays open.
            PartlyDone: some requests were done, or may have been, and others not.
            Error: the first refusal, where nothing was done; or what stopped it before anything was sent, and the
                transaction stays open then.
        """
        try:
            self.check()
        except OperationalError as e:
            self._end("ROLLBACK")
            e.remedy = "Nothing is left of it; begin anew."
            raise
        collected = self._collected
        self._check_irreversible(collected)
        before = [self._before(c) for c in collected]
        self._collected = []  # whatever happens from here on, a second COMMIT must not send it again
        place = _place(control)
        report = self._gateway.report
        dispatches: list[Dispatch] = []
        failed = None
        try:
            # The journal numbers statements by these, so that from here on COMMIT cannot be tried again.
            dispatches += [self._writer.dispatch(c.plan, c.planned, c.text, n) for n, c in enumerate(collected, 1)]
            failed = self._writer.send("COMMIT", place, dispatches)
        except BaseException as e:
            self._give_up()
            if isinstance(e, Error) and len(dispatches) == len(collected):
                report.writes = list(self._account(collected, dispatches, before))
                e.reason = "\n".join(filter(None, [e.reason, _ROLLED_BACK]))
                e.remedy = "\n".join(filter(None, [e.remedy, _way_back(collected, report.writes)]))
            raise
        report.writes = list(self._account(collected, dispatches, before))
        if failed is not None:
            self._give_up()
            raise _stopped(collected, failed, report.writes)
        try:
            self._end("COMMIT")
        except duckdb.Error as e:
            refused = translate(e, control.text, None)
            if not any(d.done for d in dispatches):
                raise refused from None
            raise PartlyDone(
                f"COMMIT: all requests are done, and DuckDB refused the local changes: {refused}",
                place=place,
                remedy=_way_back(collected, report.writes),
            ) from None
        count = sum(len(d.done) for d in dispatches)
        message = "; ".join(d.message for d in dispatches)
        return (count, f"COMMIT ({message})") if collected else (-1, "COMMIT")

    def _before(self, collected: Collected) -> dict[int, Values]:
        """What the objects are like that a write changes, by row, as far as its inverses need it."""
        groups: dict[str, list[tuple[Planned, Inverse]]] = {}
        for p, inverse in zip(collected.planned, collected.inverses, strict=True):
            if isinstance(inverse, Inverse) and inverse.before:
                groups.setdefault(p.action.method.name, []).append((p, inverse))
        found: dict[int, Values] = {}
        for rows in groups.values():
            method = rows[0][0].action.method
            calls = [p.values for p, _ in rows]
            sql, keys, fields = reading(collected.plan.resource, method, [i for _, i in rows], calls)
            objects, kinds = self._writer.objects(self._plan_query(sql), Text(sql, sql))
            known = {tuple(map(str, o[: len(keys)])): o[len(keys) :] for o in objects}
            columns = {field.name: n for n, field in enumerate(fields)}
            for p, inverse in rows:
                values = known.get(tuple(str(p.values[key.name]) for key in keys))
                if values is not None:
                    with suppress(DataError):  # what cannot be set cannot be set back
                        found[p.row] = _values(inverse, values, kinds[len(keys) :], columns)
        return found

    def _account(
        self,
        collected: Sequence[Collected],
        dispatches: Sequence[Dispatch],
        before: Sequence[Mapping[int, Values]],
    ) -> Iterator[WriteReport]:
        """What is known of all rows, with the statements that undo those that were done."""
        for c, dispatch, known in zip(collected, dispatches, before, strict=True):
            done = {letter.row: letter for letter in dispatch.done}
            for p, inverse, row in zip(c.planned, c.inverses, dispatch.rows(), strict=True):
                undone = None
                if isinstance(inverse, Inverse) and p.row in done:
                    undone = inverse.statement(p.values, _answer(done[p.row]), known.get(p.row))
                if undone is not None and self._gateway.gives_away(done[p.row].target, undone.encode()):
                    undone = None  # it would print a secret, and without that it would set something else
                yield replace(row, inverse=undone)

    def _check_irreversible(self, collected: Sequence[Collected]) -> None:
        """Stop a COMMIT of what cannot be undone."""
        lost = [(n, c) for n, c in enumerate(collected, 1) if c.irreversible]
        if lost and not self._writer.policy.guard.irreversible:
            told = [f"Statement {n} of {len(collected)}, {c}: {c.irreversible}." for n, c in lost]
            raise Guarded(
                "COMMIT would do what cannot be undone",
                place=lost[0][1].plan.place,
                reason="\n".join([*told, "Nothing was sent."]),
                remedy="Allow it with --yes (provider.connect(irreversible_writes=True)), or ROLLBACK.",
            )

    def _check_open(self, control: Control) -> None:
        if not self.is_open:
            raise _misplaced(control)

    def _give_up(self) -> None:
        """End the transaction behind a COMMIT that failed; nothing is to interrupt that."""
        self._gateway.noticed()
        self._end("ROLLBACK")

    def _end(self, command: str) -> None:
        self._number, self._collected = None, []
        try:
            self._duck.execute(command)
        except duckdb.TransactionException:
            if command == "COMMIT":
                raise  # a conflict; what is rolled back may be so already

    def _unsent(self) -> str:
        return f"Nothing was sent: {self.waits} waited for COMMIT." if self._collected else "Nothing was sent."

    def _duck_number(self) -> int | None:
        """The number of DuckDB's transaction, None where an error has broken it."""
        try:
            row = self._duck.execute("SELECT txid_current()").fetchone()
        except duckdb.TransactionException:
            return None
        return int(row[0]) if row is not None else None


def _whole(plan: WritePlan) -> WritePlan:
    """The same write without leaving out what an object has already: it may be otherwise by the time of COMMIT."""
    return replace(plan, actions=tuple(replace(action, current=()) for action in plan.actions))


def _only_reads(plan: WritePlan) -> bool:
    return all(action.method.is_safe for action in plan.actions)


def _check_answers(plan: WritePlan, planned: Sequence[Planned]) -> None:
    """Refuse what wants an answer that only COMMIT brings."""
    if plan.awaits:
        raise _wants("AWAIT", plan)
    if plan.text or any(p.streams for p in planned):
        raise _wants("a stream", plan)
    if plan.verb != "EXEC" and plan.returning is not None:
        raise _wants("RETURNING", plan)


def _wants(what: str, plan: WritePlan) -> NotSupportedError:
    return NotSupportedError(
        f"{what} wants the answer of {plan.verb}, and within a transaction nothing is sent before COMMIT",
        place=plan.place,
        remedy="After COMMIT apiql.last_writes has the ids. Without BEGIN it is sent at once.",
    )


def _misplaced(control: Control) -> ProgrammingError:
    """The error of BEGIN within a transaction, and of an end without one."""
    begins = control.verb == "BEGIN"
    return ProgrammingError(
        "a transaction is open already" if begins else f"{control.verb}: no transaction is open",
        place=_place(control),
        remedy="COMMIT or ROLLBACK ends it; transactions do not nest." if begins else "BEGIN begins one.",
    )


def _place(control: Control) -> Place:
    return control.text.place(*content(control.text.sql))


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


def _stopped(collected: Sequence[Collected], failed: Dispatch, rows: Sequence[WriteReport]) -> Error:
    """The error of a COMMIT whose sending stopped at a row."""
    letter = failed.failed
    assert letter is not None
    assert letter.failure is not None
    error, place = letter.failure, failed.plan.place
    if all(row.outcome == "not done" for row in rows if row.request is not None):
        error.place = place
        error.reason = "\n".join(filter(None, [error.reason, f"COMMIT has done nothing. {_ROLLED_BACK}"]))
        return error
    told = [
        f"Statement {n}, {c}: {counts([row for row in rows if row.statement == n])}" for n, c in enumerate(collected, 1)
    ]
    return PartlyDone(
        f"COMMIT stopped in statement {failed.number} of {len(collected)}, at row {letter.row:,}: {error.summary}",
        place=place,
        reason="\n".join([*told, _ROLLED_BACK]),
        remedy="\n".join(filter(None, [error.remedy, _way_back(collected, rows)])),
        detail=error.detail,
    )


def _way_back(collected: Sequence[Collected], rows: Sequence[WriteReport]) -> str:
    """What undoes the rows that were done, newest first, and what nothing undoes."""
    lines: list[str] = []
    back = [row.inverse for row in reversed(rows) if row.inverse is not None]
    if back:
        lines += ["To undo what was done, run:", *(f"  {statement};" for statement in back)]
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


def _summed(collected: Sequence[Collected]) -> str:
    """'3 requests of 2 statements', '' for none."""
    requests, statements = sum(c.count for c in collected), len(collected)
    if not collected:
        return ""
    return (
        f"{requests:,} request{'' if requests == 1 else 's'} of {statements} statement{'s' if statements > 1 else ''}"
    )


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, words)))
