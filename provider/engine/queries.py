"""Queries: planned and run, with the EXECs that stand in them, and with an eye on an open transaction."""

from __future__ import annotations

from collections.abc import Mapping

from provider.engine.execs import CalledTables
from provider.engine.execution import Execution
from provider.engine.planning import Planning
from provider.engine.results import DuckResult
from provider.engine.transaction import Transaction
from provider.engine.writer import Writer
from provider.errors import Error
from provider.sql.statements import Query


class Queries:
    """Runs the queries of a session, and whatever else is DuckDB's."""

    def __init__(self, planning: Planning, execution: Execution, writer: Writer, transaction: Transaction) -> None:
        self._planning = planning
        self._execution = execution
        self._writer = writer
        self._transaction = transaction

    def run(self, query: Query, arguments: Mapping[str, object], *, afresh: bool = False) -> tuple[DuckResult, str]:
        """A query's result and message; `afresh` and errors as `Planning.query` and `Execution.run`.

        Raises:
            NotSupportedError: an EXEC in it would have to be sent within a transaction.
            PartlyDone: an EXEC in it is done, and what comes behind it failed.
        """
        if not query.execs:
            plan = self._planning.query(query)
            result, message = self._execution.run(plan, query.text, arguments, afresh=afresh)
            return result, message or self._transaction.unseen(plan)
        with self.called(query, arguments) as called:
            self._transaction.check_queried(called.plans)
            try:
                return self._execution.run(self._planning.query(query), query.text, arguments, called)
            except Error as e:
                stopped = called.stopped(e)
                if stopped is e:
                    raise
                raise stopped from e

    def called(self, query: Query, arguments: Mapping[str, object]) -> CalledTables:
        """The tables that stand for the EXECs of a query; errors as `Planning.calls`."""
        return CalledTables(self._writer, self._planning.calls(query), arguments)
