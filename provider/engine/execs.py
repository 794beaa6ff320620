"""EXEC as a relation: a query reads a method's answer, and the method is called once, whatever DuckDB does with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from provider.engine.tables import StagedTable
from provider.engine.writer import Writer
from provider.errors import Cancelled, Error, NotSupportedError, PartlyDone, Timeout
from provider.plan.actions import WritePlan
from provider.sql.scanner import Text
from provider.sql.statements import exec_table


class CalledTables:
    """The tables that stand for the EXECs of one query, as a context manager.

    They are there, and empty, within the block, so that the query can be planned and checked; `fill` sends the EXECs.

    Args:
        calls: the EXECs in the order of their tables, each with its text.
    """

    def __init__(
        self, writer: Writer, calls: Sequence[tuple[WritePlan, Text]], arguments: Mapping[str, object]
    ) -> None:
        self._writer = writer
        self._calls = calls
        self._arguments = arguments
        self._tables: list[StagedTable] = []
        self._streams: list[bool] = []
        self._settled: list[str] = []
        self._done: list[WritePlan] = []

    @property
    def plans(self) -> list[WritePlan]:
        """The plans of the EXECs."""
        return [plan for plan, _ in self._calls]

    @property
    def texts(self) -> list[Text]:
        """The texts of the EXECs."""
        return [text for _, text in self._calls]

    @property
    def message(self) -> str:
        """How the operations stand that the EXECs have waited for, and what they want."""
        return "\n".join(filter(None, self._settled))

    @property
    def writes(self) -> bool:
        """Whether one of the EXECs changes anything."""
        return any(not plan.is_safe for plan, _ in self._calls)

    def leave_out(self) -> None:
        """Send none of the EXECs, and have the journal count them."""
        for plan, text in self._calls:
            self._writer.leave_out(plan, text)

    def fill(self) -> None:
        """Check all EXECs, then send them in their order; errors as `Writer.write`."""
        planned = [self._writer.planned(plan, text, self._arguments) for plan, text in self._calls]
        for (plan, text), rows, table, streams in zip(self._calls, planned, self._tables, self._streams, strict=True):
            if streams != any(p.streams for p in rows):
                raise NotSupportedError(
                    "whether an EXEC within a query streams must be known before anything is read",
                    place=plan.place,
                    remedy="Write its payload as a literal or a parameter.",
                )
            self._settled.append(self._writer.answer(plan, rows, text, table))
            if not plan.is_safe:
                self._done.append(plan)

    def stopped(self, error: Error) -> Error:
        """The error of the query, behind EXECs that have changed something; the same error where none has."""
        if not self._done:
            return error
        done = ", ".join(f"{plan.resource.id}.{plan.actions[0].method.name}" for plan in self._done)
        reason = "\n".join(
            filter(None, [error.reason, f"Done before that: EXEC {done}. apiql.last_writes has the ids."])
        )
        if isinstance(error, Cancelled | PartlyDone | Timeout):
            error.reason = reason
            return error
        return PartlyDone(
            f"the query stopped behind EXEC: {error.summary}",
            place=error.place,
            reason=reason,
            remedy=error.remedy,
            detail=error.detail,
        )

    def __enter__(self) -> Self:
        for number, (plan, text) in enumerate(self._calls):
            streams = self._answers_with_events(plan, text)
            self._streams.append(streams)
            self._tables.append(self._writer.answers(plan, exec_table(number), streams=streams))
        return self

    def _answers_with_events(self, plan: WritePlan, text: Text) -> bool:
        """Whether an EXEC is answered with a stream, as far as that can be known without reading anything."""
        method = plan.actions[0].method
        if method.stream is None or plan.text or method.switch is None:
            return method.stream is not None
        if plan.source.scans or any(name not in self._arguments for name in plan.source.arguments):
            return False
        return any(p.streams for p in self._writer.planned(plan, text, self._arguments))

    def __exit__(self, *_: object) -> None:
        for table in self._tables:
            table.drop()
