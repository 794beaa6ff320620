"""Scripts, statement by statement: each is run by what knows its kind, or told of, or rehearsed."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import duckdb

from provider.catalog.loader import Catalog
from provider.engine.arguments import by_name, check_count
from provider.engine.cache import Cache
from provider.engine.catalog_tables import (
    CatalogTables,
    catalog_tables,
    last_requests,
    last_writes,
    settings_table,
    tells_of_earlier,
)
from provider.engine.configuration import Configuration
from provider.engine.cursor import Parameters, Result
from provider.engine.execution import Execution
from provider.engine.explaining import Explaining
from provider.engine.gateway import Gateway
from provider.engine.macros import Macros
from provider.engine.outcomes import WriteReport
from provider.engine.planning import Planning, as_query, local_columns, too_deep
from provider.engine.queries import Queries
from provider.engine.refreshing import refreshed
from provider.engine.report import Log, Report
from provider.engine.results import as_lines, done, interruption
from provider.engine.settings import SETTINGS, Settings
from provider.engine.shows import describe, rows_of, show
from provider.engine.transaction import Transaction
from provider.engine.view_statements import ViewStatements
from provider.engine.views import Views
from provider.engine.watch import Watch
from provider.engine.writer import WritePolicy, Writer
from provider.errors import ProgrammingError
from provider.plan.clauses import source
from provider.plan.explain import as_text
from provider.plan.writes import plan_exec
from provider.sql.scanner import without_values
from provider.sql.statements import Control, Describe, Exec, Explain, Query, Set, Show, Statement, Write

if TYPE_CHECKING:
    from provider.rest.tracing import Tracing

_WORD = re.compile("[A-Za-z]+")


class Session:
    """What a connection's statements share, and the parts that run them.

    DuckDB holds one open result at a time, so the session reads an earlier cursor's rest into memory before
    it runs another statement.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        gateway: Gateway,
        policy: WritePolicy,
        settings: Settings,
        macros: Macros,
        cache: Cache,
        tracing: Tracing | None = None,
    ) -> None:
        self._duck = duck
        self._catalog = catalog
        self._gateway = gateway
        self._settings = settings
        self._macros = macros
        self._cache = cache
        self._tracing = tracing
        self._earlier = Log()
        self._written: Sequence[WriteReport] = ()
        self._open: Result | None = None
        views = Views(duck)
        self._tables = CatalogTables(duck, partial(local_columns, duck), catalog_tables(catalog))
        self._tables.add(settings_table(settings.rows))
        self._tables.add(last_requests(lambda: self._earlier))
        self._tables.add(last_writes(lambda: self._written))
        self._planning = Planning(duck, catalog, settings, macros, views, self._tables)
        execution = Execution(duck, catalog, gateway, settings, cache)
        # What is to be written rests on what is there now.
        afresh = partial(execution.run, afresh=True)
        self._writer = Writer(duck, catalog, gateway, policy, lambda *plan: afresh(*plan)[0], cache)
        self._transaction = Transaction(duck, self._writer, gateway, lambda sql: source(sql, self._planning.names()))
        self._queries = Queries(self._planning, execution, self._writer, self._transaction)
        self._explaining = Explaining(catalog, duck, self._planning, execution, self._queries, gateway)
        self._configuration = Configuration(duck, catalog, settings, gateway, self._writer, self._queries)
        self._view_statements = ViewStatements(views, self._planning, self._queries)

    @property
    def in_transaction(self) -> bool:
        """Whether there was a BEGIN, and no end since."""
        return self._transaction.is_open

    def close(self) -> None:
        """Give up the open result, and an open transaction."""
        if self._open is not None:
            self._open.close()
        if unsent := self._transaction.close():
            warnings.warn(f"a transaction was not committed: {unsent} not sent", RuntimeWarning, stacklevel=2)

    def run(self, sql: str, parameters: Parameters, report: Report, watch: Watch) -> tuple[Result, str]:
        """Run a script, until `watch` stops it; the result and message of its last statement."""
        found = self._planning.statements(sql)
        if not found:
            raise ProgrammingError("there is no statement")
        if len(found) > 1 and isinstance(parameters, Sequence) and parameters:
            raise ProgrammingError("several statements take named parameters only: $name")
        arguments = by_name(parameters)
        result: Result | None = None
        message = ""
        for statement in found:
            if result is not None:
                result.finish()
            self.detach()
            self._gateway.begin(report, watch)
            if not isinstance(statement, Control):
                self._transaction.check()
            self._macros.ready(statement.text.sql, lasting=not self._transaction.is_open)
            try:
                with self._span(statement):
                    result, message = self._run_one(statement, arguments)
            except RecursionError:
                raise too_deep() from None
            except RuntimeError as e:
                raise interruption(e) from None
            finally:
                self._remember(statement)
            self._open = result
        assert result is not None
        return result, message

    @contextmanager
    def _span(self, statement: Statement) -> Iterator[None]:
        """A span around a statement, where somebody traces."""
        if self._tracing is None:
            yield
            return
        text = without_values(statement.text.sql)
        word = _WORD.search(text)
        with self._tracing.statement(word[0].upper() if word is not None else "", text) as span:
            try:
                yield
            finally:
                report = self._gateway.report
                counts = {"requests": report.requests, "rows": sum(scan.rows for scan in report.scans)}
                span.set_attributes({f"apiql.{name}": number for name, number in counts.items()})

    def _remember(self, statement: Statement) -> None:
        """Keep a statement's requests for apiql.last_requests, unless it only asked about such things."""
        if not isinstance(statement, Show | Set | Describe) and not tells_of_earlier(statement.text.sql):
            self._earlier = self._gateway.log
        if self._gateway.report.writes:
            self._written = self._gateway.report.writes

    def _run_one(self, statement: Statement, arguments: Mapping[str, object]) -> tuple[Result, str]:
        check_count(statement, arguments)
        match statement:
            case Query():
                own = self._run_own(statement, arguments)
                return self._queries.run(statement, arguments) if own is None else done(self._duck, own)
            case Write() | Exec():
                plan = self._planning.write(statement)
                if plan is not None and self._transaction.takes(plan):
                    count, message = self._transaction.collect(plan, statement.text, arguments)
                    return done(self._duck, message, count)
                if plan is not None:
                    return self._writer.write(plan, statement.text, arguments)
                assert isinstance(statement, Write)
                return self._queries.run(as_query(statement), arguments)
            case Control():
                count, message = self._transaction.run(statement)
                return done(self._duck, message, count)
            case Show(what="SETTINGS"):
                names = ("name", "value", "default", "type", "description")
                return rows_of(self._duck, names, self._settings.rows(), statement.text, statement)
            case Show(what="TABLES"):
                return rows_of(self._duck, ("name", "description"), self._tables.listed(), statement.text, statement)
            case Show():
                shown = rows_of(self._duck, *show(statement, self._planning.names()), statement.text, statement)
                return as_lines(shown) if statement.what == "INSERT" else shown
            case Describe():
                described = describe(statement, self._catalog)
                if described is None:
                    return self._queries.run(Query(statement.text, None), arguments)
                return rows_of(self._duck, *described, statement.text)
            case Explain(statement=Control() as control):
                return rows_of(self._duck, ("plan",), [(self._transaction.explained(control),)], statement.text)
            case Explain():
                return self._explaining.run(statement, arguments)
            case Set() if statement.name in SETTINGS:
                self._configuration.change(statement)
                return done(self._duck, "RESET" if statement.reset else "SET")
            case Set():
                return self._configuration.change_duckdb(statement, arguments)

    def _run_own(self, query: Query, arguments: Mapping[str, object]) -> str | None:
        """Carry out what is ours and has no grammar of its own; its message, None for all that is DuckDB's."""
        message = self._view_statements.run(query, arguments)
        if message is not None:
            return message
        if self._refresh(query):
            return "REFRESH"
        return "USE" if self._configuration.use(query.text) else None

    def _refresh(self, query: Query) -> bool:
        """`REFRESH resource` and `REFRESH CACHE`: the next statement reads anew; False for all else."""
        resource = refreshed(query.text, self._planning.names(), self._catalog)
        if resource is not None:
            self._cache.refresh(resource or None)
        return resource is not None

    def explain(self, sql: str) -> str:
        """The plan of each statement of a script as text: methods, requests, and where values come from.

        Nothing is sent, and parameters need no values.

        Raises:
            Error: as `execute`, for what can be known without sending anything.
        """
        self.detach()
        return "\n\n".join("\n".join(self._explained(s)) for s in self._planning.statements(sql))

    def dry_run(self, sql: str, parameters: Parameters, report: Report, watch: Watch) -> str:
        """The plan of each statement of a script, and every request that its writes would send; see `explain`.

        What has to be read in order to know these requests is read. Nothing is written.

        Raises:
            Error: as `run`, for what can be known before the first write.
        """
        arguments = by_name(parameters)
        parts = []
        try:
            for statement in self._planning.statements(sql):
                self.detach()
                self._gateway.begin(report, watch)
                check_count(statement, arguments)
                parts.append("\n".join(self._rehearsed(statement, arguments)))
        except BaseException:
            self._transaction.end_rehearsal()
            raise
        return "\n\n".join(parts)

    def _rehearsed(self, statement: Statement, arguments: Mapping[str, object]) -> list[str]:
        """A statement's plan, and the requests that it would send."""
        if isinstance(statement, Control):
            return self._transaction.rehearse(statement)
        lines = self._explained(statement)
        plan = self._planning.write(statement)
        if plan is not None:
            lines += self._transaction.rehearse_write(plan, statement.text, arguments)
        for call in statement.execs if isinstance(statement, Query) else ():
            plan = plan_exec(call, self._planning.names())
            self._transaction.rehearse_queried(plan)
            lines += self._writer.preview(plan, self._writer.rehearsed(plan, call.text, arguments))
        return lines

    def _explained(self, statement: Statement) -> list[str]:
        """The lines of a statement's plan."""
        inner = statement.statement if isinstance(statement, Explain) else statement
        self._macros.ready(inner.text.sql)
        if isinstance(inner, Set) and inner.name in SETTINGS:
            self._configuration.change(inner)  # what follows is read by it
        if isinstance(inner, Control):
            return [self._transaction.explained(inner)]
        try:
            return as_text(self._explaining.explanation(inner))
        except RecursionError:
            raise too_deep() from None

    def detach(self) -> None:
        """Free DuckDB's connection of an earlier cursor's rows."""
        if self._open is not None:
            self._open.detach()
