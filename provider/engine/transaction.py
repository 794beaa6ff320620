"""Transactions: DuckDB's own, and beside it the writes to resources, which are sent at COMMIT.

A write is planned, read for and checked where it stands, and its calls wait. COMMIT reads the objects that it is about
to change, so that their old values are known; then it sends statement after statement, and commits DuckDB's part when
all is done. ROLLBACK sends nothing. No API takes part in this: what was sent stays, and for that there are the
inverse statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb

from provider.engine.collected import Collected, check_irreversible, collect, summed, wants_answer
from provider.engine.dispatch import Dispatch
from provider.engine.failures import translate
from provider.engine.gateway import Gateway
from provider.engine.outcomes import behind
from provider.engine.undoing import ROLLED_BACK, PlanQuery, account, stopped, values_before, way_back
from provider.engine.writer import Writer
from provider.errors import Error, OperationalError, PartlyDone, Place, ProgrammingError
from provider.plan.actions import WritePlan
from provider.plan.physical import Plan
from provider.sql.scanner import Text, content
from provider.sql.statements import Control


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
        return summed(self._collected)

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
        collected = collect(self._writer.planned, plan, text, arguments)
        self._collected.append(collected)
        return collected.count, collected.message

    def takes(self, plan: WritePlan) -> bool:
        """Whether a write is to be collected: one is open, and the write is one, and no EXEC that only reads."""
        return self.is_open and not plan.is_safe

    def unseen(self, plan: Plan) -> str:
        """A remark where a query reads what is about to be written, '' elsewhere."""
        read = {scan.resource.id for scan in plan.scans}
        waiting = [c for c in self._collected if c.plan.resource.id in read]
        return f"read as it is at the API, without {summed(waiting)} that wait for COMMIT" if waiting else ""

    def check_queried(self, plans: Iterable[WritePlan]) -> None:
        """Refuse a query whose EXECs would have to be sent now.

        Raises:
            NotSupportedError: they write, and a transaction is open.
        """
        for plan in plans:
            if self.takes(plan):
                raise wants_answer("a query with EXEC in it", plan)

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
            check_irreversible(rehearsed, self._writer.policy.guard.unasked)
        what = {
            "BEGIN": "collects the writes that follow",
            "COMMIT": f"would send {summed(rehearsed) or 'nothing'}, statement by statement",
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
        if self._rehearsed is None or plan.is_safe:
            return self._writer.preview(plan, self._writer.rehearsed(plan, text, arguments))
        collected = collect(self._writer.rehearsed, plan, text, arguments)
        self._rehearsed.append(collected)
        return self._writer.preview(collected.plan, collected.planned)

    def rehearse_queried(self, plan: WritePlan) -> None:
        """A query's EXEC in a dry run; errors as `check_queried`."""
        if self._rehearsal() is not None and not plan.is_safe:
            raise wants_answer("a query with EXEC in it", plan)

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
        check_irreversible(collected, self._writer.policy.guard)
        before = [values_before(c, self._writer, self._plan_query) for c in collected]
        self._collected = []  # whatever happens from here on, a second COMMIT must not send it again
        place = _place(control)
        report = self._gateway.report
        earlier = tuple(report.writes)
        dispatches: list[Dispatch] = []
        failed = None
        try:
            # The journal numbers statements by these, so that from here on COMMIT cannot be tried again.
            dispatches += [self._writer.dispatch(c.plan, c.planned, c.text, n) for n, c in enumerate(collected, 1)]
            failed = self._writer.send("COMMIT", place, dispatches)
        except BaseException as e:
            self._give_up()
            if isinstance(e, Error) and len(dispatches) == len(collected):
                rows = list(account(collected, dispatches, before, self._gateway))
                report.writes = behind(earlier, rows)
                e.reason = "\n".join(filter(None, [e.reason, ROLLED_BACK]))
                e.remedy = "\n".join(filter(None, [e.remedy, way_back(collected, rows)]))
            raise
        rows = list(account(collected, dispatches, before, self._gateway))
        report.writes = behind(earlier, rows)
        if failed is not None:
            self._give_up()
            raise stopped(collected, failed, rows)
        try:
            self._end("COMMIT")
        except duckdb.Error as e:
            refused = translate(e, control.text, None)
            if not any(d.done for d in dispatches):
                raise refused from None
            raise PartlyDone(
                f"COMMIT: all requests are done, and DuckDB refused the local changes: {refused}",
                place=place,
                remedy=way_back(collected, rows),
            ) from None
        count = sum(len(d.done) for d in dispatches)
        message = "; ".join(d.message for d in dispatches)
        return (count, f"COMMIT ({message})") if collected else (-1, "COMMIT")

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
