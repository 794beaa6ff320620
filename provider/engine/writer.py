"""Runs write plans: finds the rows, checks them all, sends them, and accounts for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import msgspec
from duckdb.sqltypes import DuckDBPyType

from provider.catalog.catalog import Method, Parameter
from provider.catalog.loader import Catalog
from provider.engine.cache import Cache, Scope
from provider.engine.cursor import Result
from provider.engine.dispatch import Dispatch
from provider.engine.failures import translate
from provider.engine.files import Files
from provider.engine.gateway import Gateway
from provider.engine.guard import Guard, check_answer, check_changes, check_filter, check_whole
from provider.engine.journal import Journal
from provider.engine.operations import Operations
from provider.engine.outcomes import WriteReport, behind, counts, interrupted, none_done, partly_done
from provider.engine.results import DuckResult
from provider.engine.sending import Letter, OnError
from provider.engine.staging import Page
from provider.engine.streaming import EVENTS, EventResult, Live, Shape, Story, text_shape
from provider.engine.tables import StagedTable, quietly
from provider.engine.waiting import Begun, left_alone, settled
from provider.engine.watch import Stopped
from provider.engine.writes import Planned, calls
from provider.errors import DataError, OperationalError, PartlyDone, Place, Timeout
from provider.plan.actions import ANSWERS, WritePlan
from provider.plan.physical import Plan
from provider.rest.request import Target, sent
from provider.sql.scanner import Text

#: Events that are staged at a time.
_EVENTS = 1_000
#: Runs a query of a write's plan.
Read = Callable[[Plan, Text, Mapping[str, object]], DuckResult]


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """How a connection writes: what it may do unasked, what it does after a failure, and where it keeps account."""

    guard: Guard
    on_error: OnError = "stop"
    journal: Journal | None = None


class Writer:
    """Writes for one session.

    Args:
        read: runs the query for the rows.
        cache: what it drops of it is read anew.

    Attributes:
        policy: what it may do; it may be replaced between two statements.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        gateway: Gateway,
        policy: WritePolicy,
        read: Read,
        cache: Cache,
    ) -> None:
        self._duck = duck
        self._catalog = catalog
        self._gateway = gateway
        self._files = Files(duck)
        self.policy = policy
        self._read = read
        self._cache = cache

    def planned(self, plan: WritePlan, text: Text, arguments: Mapping[str, object]) -> list[Planned]:
        """Read what the plan reads, check every row, and ask where the guard wants that; nothing is written.

        Raises:
            Guarded: the guard does not let it pass.
            DataError: values that cannot be sent.
        """
        return self._planned(plan, text, arguments, self.policy.guard)

    def rehearsed(self, plan: WritePlan, text: Text, arguments: Mapping[str, object]) -> list[Planned]:
        """As `planned`, for a dry run: nobody is asked."""
        return self._planned(plan, text, arguments, self.policy.guard.unasked)

    def _planned(self, plan: WritePlan, text: Text, arguments: Mapping[str, object], guard: Guard) -> list[Planned]:
        check_filter(plan, guard)
        with self._files.functions(plan):
            source = self._read(plan.source, text, arguments)
            check_whole(plan, truncated=self._gateway.report.truncated)
            kinds = [self._duck.type(column[1]) for column in source.description or ()]
            rows = source.fetch(None)
        found = calls(plan, rows, kinds, self._files)
        check_changes(plan, guard, found)
        return found

    def preview(self, plan: WritePlan, planned: Sequence[Planned]) -> list[str]:
        """The requests that a plan would send, without the account's secrets."""
        target = self._target(plan)
        count = sum(1 for p in planned if p.call is not None)
        lines = [f"would send {count:,} request{'' if count == 1 else 's'}"]
        for p in planned:
            call = p.call.described if p.call is not None else "nothing: the object is so already"
            asker = target.of(p.call) if p.call is not None else target
            lines.append(f"  row {p.row:<6,} {self._gateway.redacted(asker, call)}")
        return lines

    def write(self, plan: WritePlan, text: Text, arguments: Mapping[str, object]) -> tuple[Result, str]:
        """Carry a plan out; the answers that RETURNING selects or the events of a stream, and a message.

        Raises:
            PartlyDone: some rows were done, or may have been, and others not; the report has each of them.
            Error: what the rows' query or the first refusal raised; nothing was done.
        """
        table: StagedTable | None = None

        def drop() -> None:
            if table is not None:
                table.drop()

        try:
            planned = self.planned(plan, text, arguments)
            streams = any(p.streams for p in planned)
            if plan.returning is not None and not streams:
                table = self.answers(plan, ANSWERS)
                self._duck.execute(f"EXPLAIN {plan.returning.sql}").fetchall()
            dispatch = self.dispatch(plan, planned, text)
            if streams and not dispatch.before:
                return self._stream(dispatch), ""
            settled = self._carry_out(dispatch, table)
            message = f"{dispatch.message}; {settled}" if settled else dispatch.message
            if plan.returning is None or table is None:
                return DuckResult(self._duck, lambda e: e, drop, len(dispatch.done), has_rows=False), message
            self._duck.execute(plan.returning.sql)
            return DuckResult(self._duck, lambda e: translate(e, text, None), drop, len(dispatch.done)), message
        except duckdb.Error as e:
            self._gateway.noticed()
            quietly(self._duck, drop)
            raise translate(e, text, None) from None
        except BaseException:
            self._gateway.noticed()
            quietly(self._duck, drop)
            raise

    def answer(self, plan: WritePlan, planned: Sequence[Planned], text: Text, table: StagedTable) -> str:
        """Call the method of an EXEC that a query reads, and put its answer into `table`.

        Returns:
            How the operation stands that was waited for, '' without any.

        Raises:
            Guarded: an earlier run has done it, so that there is no answer.
            Error: as `write`.
        """
        dispatch = self.dispatch(plan, planned, text)
        check_answer(plan, dispatch.before)
        if not any(p.streams for p in planned):
            return self._carry_out(dispatch, table)
        result = self._stream(dispatch)
        self._collect(plan, result, table)
        return result.ending

    def _carry_out(self, dispatch: Dispatch, table: StagedTable | None) -> str:
        """Send a statement and put the answers into `table`; how the operations stand that were waited for."""
        plan = dispatch.plan
        try:
            self._send_one(dispatch)
        except PartlyDone as e:
            if plan.awaits and dispatch.done:
                e.reason += "\nWhat the rows have begun that are done goes on at the server, and was not waited for."
            raise
        self._gateway.report.truncated |= not all(map(self._gateway.is_whole, dispatch.letters))
        settled = self._wait(plan, dispatch.letters) if plan.awaits else ""
        if table is not None:
            self._stage(plan, table, dispatch)
        return settled

    def dispatch(self, plan: WritePlan, planned: Sequence[Planned], text: Text, number: int = 1) -> Dispatch:
        """What is to be sent for the next statement of the journal, where there is one; see `Dispatch.of`."""
        journal = self.policy.journal if not plan.is_safe else None  # what only reads is read again
        own = journal.begin(plan.verb, plan.resource.id, text.sql) if journal is not None else None
        return Dispatch.of(number, plan, planned, self._target(plan), own)

    def leave_out(self, plan: WritePlan, text: Text) -> None:
        """Count a statement that need not be sent, so that the journal knows the next one."""
        self.dispatch(plan, (), text)

    def send(
        self, verb: str, place: Place, dispatches: Sequence[Dispatch], live: Live | None = None
    ) -> Dispatch | None:
        """Send what was planned, a statement after the other, and write the report.

        Args:
            verb: what an interruption is told of, and `place` where that stands.
            live: opens the only letter's answer, where that is a stream.

        Returns:
            The statement that failed, and behind which nothing was sent; None when all is done.

        Raises:
            Cancelled, Timeout: it was interrupted.
            PartlyDone: the journal cannot be written.
        """
        report = self._gateway.report
        earlier = tuple(report.writes)

        def account() -> list[WriteReport]:
            return [row for dispatch in dispatches for row in dispatch.rows()]

        try:
            for dispatch in dispatches:
                self._drop(dispatch.letters)  # before, too: whoever dies behind the request leaves nothing old
                try:
                    self._gateway.write(dispatch.letters, self.policy.on_error, dispatch.journal, live)
                finally:
                    report.writes = behind(earlier, account())
                    self._drop(dispatch.letters)
                if dispatch.failed is not None:
                    return dispatch
        except (KeyboardInterrupt, Stopped) as e:
            late = e.reason if isinstance(e, Stopped) and isinstance(e.reason, Timeout) else None
            raise interrupted(verb, place, account(), late) from None
        except OperationalError as e:  # of the journal: those of rows are in their letters
            reason = f"{e.reason}\n{counts(account())}"
            raise PartlyDone(f"{verb} stopped: {e.summary}", place=place, reason=reason) from e
        return None

    def objects(self, plan: Plan, text: Text) -> tuple[list[tuple[object, ...]], list[DuckDBPyType]]:
        """The rows of a query of ours about objects as they are now, and their columns' types in DuckDB."""
        source = self._read(plan, text, {})
        kinds = [self._duck.type(column[1]) for column in source.description or ()]
        return source.fetch(None), kinds

    def answers(self, plan: WritePlan, name: str, *, streams: bool = False) -> StagedTable:
        """An empty table for the answers to a plan's calls, or for the events of its stream."""
        if streams:
            return StagedTable(self._duck, name, plan.resource.id, _shape(plan).fields, (), {}, ())
        method = plan.actions[0].method
        return StagedTable(
            self._duck,
            name,
            plan.resource.id,
            method.returns,
            [p for p, _ in _addressed(plan)],
            plan.returning.synonyms if plan.returning is not None else {},
            method.rows,
            one_row=not method.is_list,
            rows_omitted=method.rows_omitted,
            known=_known(plan),
            redact=self._gateway.quotable,
        )

    def _stream(self, dispatch: Dispatch) -> EventResult:
        """Send a call that is answered with events, which are the result; errors as `write`, from reading it too."""
        plan = dispatch.plan
        (letter,) = dispatch.letters
        live = self._gateway.live(letter)
        self._send_one(dispatch, live)
        operations = Operations.of(letter.method, self._catalog)
        story = Story(letter.method, operations, letter.call)
        report = self._gateway.report
        return EventResult(live, _shape(plan), story, plan.place, report, is_safe=letter.call.is_safe)

    def _collect(self, plan: WritePlan, result: Result, table: StagedTable) -> None:
        """Read a stream to its end, into a table."""
        names = [field.name for field in _shape(plan).fields]
        try:
            while rows := result.fetch(_EVENTS):
                objects = [dict(zip(names, row, strict=True)) for row in rows]
                for event in objects:
                    if "data" in event:
                        event["data"] = msgspec.Raw(event["data"].encode())
                table.append([Page(msgspec.json.encode(objects), ())])
        finally:
            result.close()

    def _wait(self, plan: WritePlan, letters: Sequence[Letter]) -> str:
        """Wait until the operations that were begun have ended; a message about that, '' where there is none.

        The letters have their last objects then.
        """
        begun: list[Begun] = []
        for letter in letters:
            operations = Operations.of(letter.method, self._catalog)
            if letter.outcome == "done" and operations is not None:
                standing = operations.standing(letter.body or b"")
                begun.append(Begun(letter, operations, self._target(plan), standing))
        try:
            self._gateway.wait_for(begun, plan.place)
        except (KeyboardInterrupt, Stopped) as e:
            late = e.reason if isinstance(e, Stopped) and isinstance(e.reason, Timeout) else None
            raise left_alone(begun, plan.place, late) from None
        finally:
            self._drop(letters)  # what they have begun has changed it meanwhile
        return settled(begun)

    def _send_one(self, dispatch: Dispatch, live: Live | None = None) -> None:
        """Send a single statement; errors as `write`."""
        plan = dispatch.plan
        if self.send(plan.verb, plan.place, [dispatch], live) is None:
            return
        failed = dispatch.failed
        assert failed is not None
        assert failed.failure is not None
        rows = list(dispatch.rows())
        if len(dispatch.planned) == 1:
            raise failed.failure
        if all(letter.outcome == "not done" for letter in dispatch.letters) and not dispatch.before:
            raise none_done(plan.place, rows, failed.failure)
        raise partly_done(plan.verb, plan.place, rows, failed.row, failed.failure) from failed.failure

    def _drop(self, letters: Sequence[Letter]) -> None:
        """Drop what the letters may have changed from the cache, whatever becomes of them."""
        written = [letter for letter in letters if not letter.call.is_safe]
        self._cache.drop([Scope.of(w.target.provider.name, w.method, w.call) for w in written])

    def _target(self, plan: WritePlan) -> Target:
        resource = plan.resource
        service = self._catalog.service(resource.provider, resource.service)
        return Target(self._catalog.provider(resource.provider), service)

    def _stage(self, plan: WritePlan, table: StagedTable, dispatch: Dispatch) -> None:
        try:
            values, echoes = {p.row: p.values for p in dispatch.planned}, _addressed(plan)
            table.append(
                [
                    Page(
                        letter.body or _nothing(letter.method),
                        tuple(sent(values[letter.row].get(name), p.type) for p, name in echoes),
                    )
                    for letter in dispatch.done
                ]
            )
        except DataError as e:
            done = f"{len(dispatch.done)} of {len(dispatch.letters)} writes were carried out"
            what = f"{done}; only the answers cannot be read."
            raise DataError(e.summary, place=plan.place, reason=f"{e.reason} {what}".strip(), detail=e.detail) from None


def _nothing(method: Method) -> bytes:
    """What stands for an answer without a body, as a 204 is: an object of which nothing is told, or an empty list."""
    body: dict[str, object] | list[object] = [] if method.is_list else {}
    for key in reversed(method.rows):
        body = {key: body}
    return msgspec.json.encode(body)


def _addressed(plan: WritePlan) -> list[tuple[Parameter, str]]:
    """The fields that an object's address tells, where its answer leaves them out, and the parameters they are."""
    method, resource = plan.actions[0].method, plan.resource
    if plan.verb not in ("UPDATE", "REPLACE", "DELETE"):
        return []
    fields = {p.name: resource.key_field(p.name) or p.name for p in method.parameters if p.location == "path"}
    known = {f.name for f in method.returns}
    return [(replace(p, name=fields[p.name]), p.name) for p in method.parameters if fields.get(p.name) in known]


def _known(plan: WritePlan) -> list[str]:
    """The names that an answer's object has some of; none where it need not be the resource's object."""
    method = plan.actions[0].method
    said = method.verb in ("INSERT", "UPDATE", "REPLACE") or method.returns != plan.resource.fields
    return [field.name for field in method.returns] if said else []


def _shape(plan: WritePlan) -> Shape:
    """What a statement makes of a stream's events."""
    stream = plan.actions[0].method.stream
    return text_shape(stream.text) if plan.text and stream is not None and stream.text is not None else EVENTS
