"""Runs statements: each kind is planned, what it needs is fetched or sent, and DuckDB has the last word."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, cast

import duckdb
from sqlglot import exp

from provider.catalog.catalog import Resource
from provider.catalog.loader import Catalog
from provider.engine.cache import Cache
from provider.engine.catalog_tables import (
    CatalogTables,
    catalog_tables,
    last_requests,
    last_writes,
    settings_table,
    tells_of_earlier,
)
from provider.engine.cursor import Parameters, Result
from provider.engine.execs import CalledTables
from provider.engine.executor import Executor
from provider.engine.failures import translate
from provider.engine.gateway import Gateway
from provider.engine.macros import Macros
from provider.engine.outcomes import WriteReport
from provider.engine.refreshing import refreshed as cached_name
from provider.engine.report import Log, Report
from provider.engine.results import DuckResult, interruption
from provider.engine.reuse import reusing
from provider.engine.running import Running
from provider.engine.settings import SETTINGS, Settings
from provider.engine.shows import describe, show
from provider.engine.staging import OnBadValue
from provider.engine.tables import quietly
from provider.engine.transaction import Transaction
from provider.engine.views import View, Views, definition, dropped, refreshed
from provider.engine.watch import Watch
from provider.engine.writer import WritePolicy, Writer
from provider.errors import BindError, NotSupportedError, ProgrammingError, did_you_mean
from provider.plan.actions import WritePlan
from provider.plan.binder import Binder
from provider.plan.clauses import source
from provider.plan.conventions import Conventions
from provider.plan.explain import Explanation, as_text, explain_query, explain_write
from provider.plan.names import Names
from provider.plan.physical import Plan
from provider.plan.planner import plan_query
from provider.plan.rendering import quoted
from provider.plan.writes import plan_exec, plan_write, target_of
from provider.rest.request import Target
from provider.sql.dialect import Dialect
from provider.sql.scanner import Text, without_values
from provider.sql.statements import (
    Control,
    Describe,
    Exec,
    Explain,
    Query,
    Set,
    Show,
    Statement,
    Write,
    parse,
    parse_failure,
)

if TYPE_CHECKING:
    from provider.rest.tracing import Tracing

_USE = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*USE\s+(\w+)(?:\.(\w+))?\s*", re.IGNORECASE | re.DOTALL)
_RESOURCE_NAME = re.compile(r"\b([A-Za-z_]\w*)\.[A-Za-z_]\w*\.[A-Za-z_]\w*")


_LOCKED = "SELECT current_setting('lock_configuration')"
#: The settings that only say what names mean.
_NAMES = ("provider", "service")


class Session:
    """What a connection's statements share: the database, the catalog, views, the defaults that USE sets.

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
        # What is to be written rests on what is there now.
        afresh = partial(self._execute, afresh=True)
        self._writer = Writer(duck, catalog, gateway, policy, lambda *query: afresh(*query)[0], cache)
        self._transaction = Transaction(duck, self._writer, gateway, lambda sql: source(sql, self._names()))
        self._macros = macros
        self._cache = cache
        self._views = Views(duck)
        self._settings = settings
        self._tracing = tracing
        self._integer_division = False
        self._earlier = Log()
        self._written: Sequence[WriteReport] = ()
        self._tables = CatalogTables(duck, self._columns, catalog_tables(catalog))
        self._tables.add(settings_table(settings.rows))
        self._tables.add(last_requests(lambda: self._earlier))
        self._tables.add(last_writes(lambda: self._written))
        self._open: Result | None = None

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
        found = parse(sql, self._dialect(sql))
        if not found:
            raise ProgrammingError("there is no statement")
        if len(found) > 1 and isinstance(parameters, Sequence) and parameters:
            raise ProgrammingError("several statements take named parameters only: $name")
        arguments = _arguments(parameters)
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
                raise _too_deep() from None
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
        with self._tracing.statement(text.partition(" ")[0].upper(), text) as span:
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
        _check_count(statement, arguments)
        match statement:
            case Query():
                own = self._view(statement, arguments) or self._refresh(statement) or self._use(statement)
                return own or self._run_query(statement, arguments)
            case Write() | Exec():
                plan = self._write_plan(statement)
                if plan is not None and self._transaction.takes(plan):
                    return self._counted(*self._transaction.collect(plan, statement.text, arguments))
                if plan is not None:
                    return self._writer.write(plan, statement.text, arguments)
                assert isinstance(statement, Write)
                return self._run_query(_as_query(statement), arguments)
            case Control():
                return self._counted(*self._transaction.run(statement))
            case Show(what="SETTINGS"):
                names = ("name", "value", "default", "type", "description")
                return self._rows(names, self._settings.rows(), statement.text, statement)
            case Show(what="TABLES"):
                return self._rows(("name", "description"), self._tables.listed(), statement.text, statement)
            case Show():
                shown = self._rows(*show(statement, self._catalog), statement.text, statement)
                return _lines(shown) if statement.what == "INSERT" else shown
            case Describe():
                described = describe(statement, self._catalog)
                if described is None:
                    return self._run_query(Query(statement.text, None), arguments)
                return self._rows(*described, statement.text)
            case Explain():
                return self._explain(statement, arguments)
            case Set() if statement.name in SETTINGS:
                self._change(statement)
                return self._done("RESET" if statement.reset else "SET")
            case Set():
                return self._set(statement, arguments)

    def _run_query(
        self, query: Query, arguments: Mapping[str, object], *, afresh: bool = False
    ) -> tuple[DuckResult, str]:
        if not query.execs:
            plan = self._plan(query)
            result, message = self._execute(plan, query.text, arguments, afresh=afresh)
            return result, message or self._transaction.unseen(plan)
        with self._called(query, arguments) as called:
            self._transaction.check_queried(called.plans)
            return self._execute(self._plan(query), query.text, arguments, called)

    def _called(self, query: Query, arguments: Mapping[str, object]) -> CalledTables:
        """The tables that stand for the EXECs of a query."""
        place = query.execs[0].text.place(*query.execs[0].path_span)
        written = isinstance(query.tree, exp.Insert | exp.Update | exp.Delete | exp.Merge)
        if written and query.tree is not None and self._names().target(target_of(query.tree)) is not None:
            raise NotSupportedError(
                "EXEC does not stand in a write to a resource",
                place=place,
                remedy="CREATE TABLE name AS SELECT * FROM (EXEC ...) keeps its answer for a second statement.",
            )
        plans = [(plan_exec(e, self._names()), e.text) for e in query.execs]
        return CalledTables(self._writer, plans, arguments)

    def _view(self, query: Query, arguments: Mapping[str, object]) -> tuple[DuckResult, str] | None:
        """CREATE, REFRESH and DROP of views over resources; None for everything else."""
        sql = query.text.sql
        found = definition(sql)
        if found is not None and query.execs:
            place = query.execs[0].text.place(*query.execs[0].path_span)
            raise NotSupportedError("a view cannot hold EXEC: each reading would send it again", place=place)
        if found is not None:
            view = found.view
            source = parse(view.sql)[0]
            if not isinstance(source, Query) or (not view.materialized and not self._reads_resources(source)):
                return None
            message = "CREATE MATERIALIZED VIEW" if view.materialized else "CREATE VIEW"
            if found.only_if_new and view.name.lower() in self._views.all():
                return self._done(message)
            if view.materialized:
                self._materialize(view, arguments)
            self._views.save(view, replace=found.replace)
            return self._done(message)
        name = refreshed(sql)
        if name is not None:
            kept = self._views.all().get(name.lower())
            if kept is None or not kept.materialized:
                raise BindError(f'no materialized view "{name}"', remedy=did_you_mean(name, self._views.all()))
            self._materialize(kept, arguments)
            return self._done("REFRESH")
        name = dropped(sql)
        if name is not None and name.lower() in self._views.all():
            self._views.drop(name)
            return self._done("DROP VIEW")
        return None

    def _reads_resources(self, query: Query) -> bool:
        """Whether a query names a resource, directly or through a view; unknown names are errors."""
        opened = self._opened(query)
        if opened.tree is None:
            return False
        binder = Binder(self._names(), opened.text)
        binder.bind(opened.tree)
        return bool(binder.resources)

    def _materialize(self, view: View, arguments: Mapping[str, object]) -> None:
        """Fill a materialized view's table; the old rows stay until the new ones are there."""
        columns = f" ({', '.join(quoted(c) for c in view.columns)})" if view.columns else ""
        rows = f"SELECT * FROM ({view.sql}) AS {quoted(view.name)}{columns}"
        text = f"CREATE OR REPLACE TABLE {quoted(view.name)} AS {rows}"
        statement = parse(text)[0]
        assert isinstance(statement, Query)
        result, _ = self._run_query(statement, arguments, afresh=True)
        result.close()

    def _refresh(self, query: Query) -> tuple[DuckResult, str] | None:
        """`REFRESH resource` and `REFRESH CACHE`: the next statement reads anew."""
        resource = cached_name(query.text, self._names(), self._catalog)
        if resource is None:
            return None
        self._cache.refresh(resource or None)
        return self._done("REFRESH")

    def _use(self, query: Query) -> tuple[DuckResult, str] | None:
        """`USE provider` and `USE provider.service`; a local schema's name is DuckDB's."""
        m = _USE.fullmatch(query.text.sql.strip())
        if m is None or not self._catalog.has_provider(m[1]):
            return None
        if m[2] is not None:
            self._catalog.service(m[1], m[2])
        self._settings.put("provider", m[1])
        self._settings.put("service", f"{m[1]}.{m[2]}" if m[2] is not None else "")
        return self._done("USE")

    def _dialect(self, sql: str) -> Dialect:
        """How a script is read."""
        name: Literal["duckdb", "stackql"] = "stackql" if self._settings["dialect"] == "stackql" else "duckdb"
        return Dialect(name, self._macros.own(sql), frozenset(SETTINGS))

    def _set(self, statement: Set, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        """SET or RESET of one of DuckDB's settings; a name that nobody knows is looked for in both worlds."""
        try:
            return self._run_query(Query(statement.text, None), arguments)
        except BindError:
            rows = self._duck.execute("SELECT name FROM duckdb_settings()").fetchall()
            names = [*SETTINGS, *(name for (name,) in rows)]
            if statement.name in names:
                raise
            raise BindError(
                f'no setting "{statement.name}"',
                place=statement.text.place(*statement.span),
                remedy=did_you_mean(statement.name, names),
            ) from None

    def _change(self, statement: Set) -> None:
        """Carry out SET or RESET of a setting of ours, and act on it."""
        before = {name: self._settings[name] for name in SETTINGS}
        if statement.name not in _NAMES and self._duck.execute(_LOCKED).fetchall() == [(True,)]:
            raise ProgrammingError(
                f"{statement.name} cannot be changed: the configuration has been locked",
                place=statement.text.place(*statement.span),
                reason="lock_configuration is on; it holds for the settings of ApiQL, too.",
            )
        self._settings.change(statement)
        try:
            self._apply(statement, before)
        except BaseException:
            self._settings.put(statement.name, before[statement.name])
            raise

    def _apply(self, statement: Set, before: Mapping[str, object]) -> None:
        settings, place = self._settings, statement.text.place(*statement.span)
        match statement.name:
            case "dialect" if settings["dialect"] != before["dialect"]:
                # StackQL's 5 / 2 is 2; DuckDB has a setting of its own for that.
                own = self._integer_division
                (now,) = self._duck.execute("SELECT current_setting('integer_division')").fetchone() or (False,)
                self._integer_division = bool(now)
                wanted = True if settings["dialect"] == "stackql" else own
                self._duck.execute(f"SET integer_division = {str(wanted).lower()}")
            case "max_concurrency" | "timeout" | "retries" | "retry_seconds":
                self._gateway.renew(settings.integer("max_concurrency"))
            case "max_writes":
                guard = replace(self._writer.policy.guard, max_writes=settings.integer("max_writes"))
                self._writer.policy = replace(self._writer.policy, guard=guard)
            case "provider":
                if name := settings.text("provider"):
                    self._catalog.provider(name, place)
                settings.put("service", "")
            case "service":
                path = settings.text("service").split(".")
                if path == [""]:
                    return
                if len(path) == 1:
                    path = [settings.text("provider"), *path]
                self._catalog.service(path[0], ".".join(path[1:]), place)
                settings.put("provider", path[0])
                settings.put("service", ".".join(path))

    def _done(self, message: str) -> tuple[DuckResult, str]:
        return DuckResult(self._duck, _unchanged, lambda: None, has_rows=False), message

    def _counted(self, count: int, message: str) -> tuple[DuckResult, str]:
        return DuckResult(self._duck, _unchanged, lambda: None, count, has_rows=False), message

    def _names(self) -> Names:
        service, provider = self._settings.text("service"), self._settings.text("provider")
        default = tuple(service.split(".")) if service else (provider,) if provider else ()
        told = "SELECT current_setting('default_order'), current_setting('default_null_order'), "
        row = self._duck.execute(told + "current_setting('default_collation')").fetchone()
        conventions = Conventions.of(*row) if row is not None else Conventions()
        return Names(self._catalog, self._columns, self._opened, default, conventions, self._title)

    def _title(self, expression: str) -> str:
        """What DuckDB calls a column that is an expression: its own way to write it."""
        query = "SELECT json_deserialize_sql(json_serialize_sql(?::VARCHAR))"
        try:
            row = self._duck.execute(query, [f"SELECT {expression}"]).fetchone()
        except duckdb.Error:
            return expression  # no SQL, as DuckDB says better of the whole statement
        return str(row[0]).removeprefix("SELECT ") if row is not None else expression

    def _opened(self, query: Query) -> Query:
        """A query with the views that it names opened, ready to be run."""
        opened = self._views.open(query)
        if opened is not query:
            self._macros.ready(opened.text.sql)
        return self._tables.open(opened)

    def explain(self, sql: str) -> str:
        """The plan of each statement of a script as text: methods, requests, and where values come from.

        Nothing is sent, and parameters need no values.

        Raises:
            Error: as `execute`, for what can be known without sending anything.
        """
        self.detach()
        return "\n\n".join("\n".join(self._explained(s)) for s in parse(sql, self._dialect(sql)))

    def dry_run(self, sql: str, parameters: Parameters, report: Report, watch: Watch) -> str:
        """The plan of each statement of a script, and every request that its writes would send; see `explain`.

        What has to be read in order to know these requests is read. Nothing is written.

        Raises:
            Error: as `run`, for what can be known before the first write.
        """
        arguments = _arguments(parameters)
        parts = []
        try:
            for statement in parse(sql, self._dialect(sql)):
                self.detach()
                self._gateway.begin(report, watch)
                _check_count(statement, arguments)
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
        plan = self._write_plan(statement)
        if plan is not None:
            lines += self._transaction.rehearse_write(plan, statement.text, arguments)
        for call in statement.execs if isinstance(statement, Query) else ():
            plan = plan_exec(call, self._names())
            self._transaction.rehearse_queried(plan)
            lines += self._writer.preview(plan, self._writer.planned(plan, call.text, arguments))
        return lines

    def _explained(self, statement: Statement) -> list[str]:
        """The lines of a statement's plan."""
        inner = statement.statement if isinstance(statement, Explain) else statement
        self._macros.ready(inner.text.sql)
        if isinstance(inner, Set) and inner.name in SETTINGS:
            self._change(inner)  # what follows is read by it
        if isinstance(inner, Control):
            return [self._transaction.explained(inner)]
        try:
            return as_text(self._explanation(inner))
        except RecursionError:
            raise _too_deep() from None

    def _write_plan(self, statement: Statement) -> WritePlan | None:
        """The plan of a statement that writes to a resource, None for any other."""
        match statement:
            case Write() if self._names().target(target_of(statement.tree)) is not None:
                return plan_write(statement, self._names())
            case Exec():
                return plan_exec(statement, self._names())
        return None

    def _explanation(self, statement: Statement) -> Explanation:
        match statement:
            case Query(execs=execs) if execs:
                with self._called(statement, {}) as called:
                    plan = self._plan(statement)
                    if isinstance(statement.tree, exp.Query):
                        self._check_sql(plan, statement.text)
                asked = [scan.resource for scan in plan.scans] + [call.resource for call in called.plans]
                return self._without_secrets(explain_query(plan, called.plans), asked)
            case Query():
                plan = self._plan(statement)
                if plan.scans and isinstance(statement.tree, exp.Query):
                    self._check_sql(plan, statement.text)
                explanation = self._foreseen(plan, explain_query(plan))
                return self._without_secrets(explanation, [scan.resource for scan in plan.scans])
            case Write() | Exec():
                write = self._write_plan(statement)
                if write is not None:
                    asked = [scan.resource for scan in write.source.scans] + [write.resource]
                    return self._without_secrets(explain_write(write), asked)
                if isinstance(statement, Write):
                    plan = self._plan(_as_query(statement))
                    return self._without_secrets(explain_query(plan), [scan.resource for scan in plan.scans])
        return explain_query(Plan("", (), ()))

    def _without_secrets(self, explanation: Explanation, asked: Iterable[Resource]) -> Explanation:
        """A plan without the secrets of the accounts that its resources are asked with, which SQL may spell out."""
        for resource in {resource.id: resource for resource in asked}.values():
            service = self._catalog.service(resource.provider, resource.service)
            target = Target(self._catalog.provider(resource.provider), service)
            explanation = self._gateway.without_secrets(target, explanation)
        return explanation

    def _foreseen(self, plan: Plan, explanation: Explanation) -> Explanation:
        """A query's plan with what would come from the cache, where the statement itself says what is asked for."""
        if plan.scans:
            with reusing(self._cache, self._settings.text("cache"), self._gateway) as reuse:
                if reuse is None:
                    return explanation
                for scan, told in zip(plan.scans, explanation["scans"], strict=True):
                    told["cache"] = reuse.foresee(Running(scan, self._catalog))
        return explanation

    def _explain(self, statement: Explain, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        inner = statement.statement
        if isinstance(inner, Control):
            return self._rows(("plan",), [(self._transaction.explained(inner),)], statement.text)
        if isinstance(inner, Query) and not inner.execs:
            plan = self._plan(inner)
            if not plan.scans:
                # A local statement's plan is DuckDB's to tell.
                head = "EXPLAIN ANALYZE " if statement.analyze else "EXPLAIN "
                local = Plan(head + plan.sql.lstrip(), (), plan.arguments)
                return _lines(self._execute(local, statement.text, arguments))
        explanation = self._explanation(inner)
        lines = []
        if statement.analyze:
            if not isinstance(inner, Query):
                raise NotSupportedError(
                    "EXPLAIN ANALYZE runs the statement, and a write is not run to be explained", remedy="Use EXPLAIN."
                )
            lines = self._analyze(inner, arguments, explanation)
        if statement.as_json:
            text = json.dumps(explanation, indent=2, ensure_ascii=False)
            return _lines(self._rows(("plan",), [(text,)], statement.text))
        return _lines(self._rows(("plan",), [(line,) for line in as_text(explanation) + lines], statement.text))

    def _analyze(self, query: Query, arguments: Mapping[str, object], explanation: Explanation) -> list[str]:
        """Run a query for its account: what each scan really did, and the totals."""
        if query.execs:
            raise NotSupportedError("EXPLAIN ANALYZE does not run a query with EXEC in it", remedy="Use EXPLAIN.")
        result, _ = self._run_query(query, arguments)
        rows = 0
        while part := len(result.fetch(10_000)):
            rows += part
        report = self._gateway.report
        for scan, done in zip(explanation["scans"], report.scans, strict=True):
            scan["actual"] = done.account
        totals = {
            "requests": report.requests,
            "bytes": report.bytes,
            "waited": round(report.waited, 3),
            "rows_fetched": report.rows,
            "rows": rows,
        }
        explanation["totals"] = totals
        return [
            f"total: {report.requests} requests, {report.bytes} bytes, {report.waited:.1f} s waited, "
            f"{report.rows} rows fetched, {rows} rows answered"
        ]

    def _rows(
        self, columns: Sequence[str], rows: Sequence[tuple[object, ...]], text: Text, show: Show | None = None
    ) -> tuple[DuckResult, str]:
        """Rows of our own as a result, filtered by SHOW's LIKE and WHERE."""
        names = ", ".join(quoted(c) for c in columns)
        condition = ""
        values: list[object] = [v for row in rows for v in row]
        if show is not None and show.like is not None:
            condition = f" WHERE {quoted('name' if 'name' in columns else columns[0])} LIKE ?"
            values.append(show.like)
        elif show is not None and show.where is not None:
            condition = f" WHERE {show.where}"
        row = f"({', '.join('?' for _ in columns)})"
        source = (
            f"(VALUES {', '.join([row] * len(rows))})"
            if rows
            else f"(SELECT {', '.join('NULL' for _ in columns)} WHERE false)"
        )
        try:
            self._duck.execute(f"SELECT * FROM {source} AS t({names}){condition}", values)
        except duckdb.Error as e:
            raise translate(e, text, None) from None
        return DuckResult(self._duck, lambda e: translate(e, text, None), lambda: None), ""

    def _plan(self, query: Query) -> Plan:
        opened = self._opened(query)
        if opened.tree is not None:
            return plan_query(opened.tree, opened.text, self._names())
        for m in _RESOURCE_NAME.finditer(query.text.sql):
            if self._catalog.has_provider(m[1]):
                raise parse_failure(query)
        names = tuple(dict.fromkeys(re.findall(r"\$([A-Za-z_]\w*|\d+)", query.text.sql)))
        return Plan(query.text.sql, (), names)

    def _execute(
        self,
        plan: Plan,
        text: Text,
        arguments: Mapping[str, object],
        called: CalledTables | None = None,
        *,
        afresh: bool = False,
    ) -> tuple[DuckResult, str]:
        """Send the EXECs that a query holds, fetch what its plan needs, and run its SQL.

        With `afresh` the cache has no part in it.
        """
        missing = [n for n in plan.arguments if n not in arguments]
        if missing:
            raise ProgrammingError(
                f"no value for the parameter{'s' if len(missing) > 1 else ''} {_listed(missing)}",
                remedy="Give values with the statement: execute(sql, [...]) for ?, execute(sql, {...}) for $name."
                " On the command line `-p name=VALUE` fills $name.",
            )
        executor = Executor(
            plan,
            self._duck,
            self._catalog,
            arguments,
            self._gateway.report,
            self._on_bad_value,
            self._gateway.quotable,
        )
        used = {n: arguments[n] for n in plan.arguments}
        try:
            executor.create_tables()
            if plan.scans or called is not None:
                # DuckDB checks the whole statement on the empty tables: what it refuses sends nothing.
                self._duck.execute(f"EXPLAIN {plan.sql}", used or None).fetchall()
            if called is not None:
                called.fill()
            if plan.scans:
                lifetime = "off" if afresh else self._settings.text("cache")
                with (
                    self._gateway.fetcher() as fetcher,
                    reusing(self._cache, lifetime, self._gateway) as reuse,
                ):
                    executor.fetch(fetcher, reuse)
            result = self._result(
                plan.sql, used, lambda e: translate(e, text, plan, self._catalog), executor.drop_tables
            )
            if called is not None:
                result[0].detach()  # its tables go with this statement
                return result[0], result[1] or called.message
            return result
        except duckdb.Error as e:
            self._gateway.noticed()
            quietly(self._duck, executor.drop_tables)
            raise translate(e, text, plan, self._catalog) from None
        except BaseException:
            self._gateway.noticed()
            quietly(self._duck, executor.drop_tables)
            raise

    def _result(
        self,
        sql: str,
        arguments: Mapping[str, object],
        convert: Callable[[duckdb.Error], Exception],
        on_close: Callable[[], None],
    ) -> tuple[DuckResult, str]:
        statements = self._duck.extract_statements(sql)
        kind = statements[0].expected_result_type if len(statements) == 1 else [duckdb.ExpectedResultType.QUERY_RESULT]
        self._duck.execute(sql, arguments or None)
        if kind == [duckdb.ExpectedResultType.QUERY_RESULT] or (
            # What may change rows has rows of its own only with RETURNING; else DuckDB answers their count.
            duckdb.ExpectedResultType.QUERY_RESULT in kind and [d[0] for d in self._duck.description or ()] != ["Count"]
        ):
            return DuckResult(self._duck, convert, on_close), ""
        verb = re.sub(r"^(\s|--[^\n]*\n|/\*.*?\*/)*", "", sql, flags=re.DOTALL).split(None, 1)[0].upper().rstrip(";")
        if duckdb.ExpectedResultType.CHANGED_ROWS in kind:
            row = self._duck.fetchone()
            count = int(row[0]) if row and isinstance(row[0], int) else -1
            message = f"{verb} {count}" if count >= 0 else verb
            return DuckResult(self._duck, convert, on_close, count, has_rows=False), message
        return DuckResult(self._duck, convert, on_close, has_rows=False), verb

    @property
    def _on_bad_value(self) -> OnBadValue:
        return cast(OnBadValue, self._settings.text("on_bad_value"))

    def _columns(self, name: str) -> tuple[str, ...] | None:
        """The columns of a local table, view or file; None when there is none of that name."""
        try:
            described = self._duck.execute(f"SELECT * FROM {name} LIMIT 0").description
        except duckdb.Error:
            return None
        return tuple(d[0] for d in described or ())

    def detach(self) -> None:
        """Free DuckDB's connection of an earlier cursor's rows."""
        if self._open is not None:
            self._open.detach()

    def _check_sql(self, plan: Plan, text: Text) -> None:
        """Have DuckDB check a plan's SQL on empty tables."""
        executor = Executor(plan, self._duck, self._catalog, {}, Report(), self._on_bad_value, str)
        try:
            executor.create_tables()
            self._duck.execute(f"PREPARE __apiql_check AS {plan.sql}")
            self._duck.execute("DEALLOCATE __apiql_check")
        except duckdb.Error as e:
            raise translate(e, text, plan, self._catalog) from None
        finally:
            quietly(self._duck, executor.drop_tables)


def _lines(result: tuple[DuckResult, str]) -> tuple[DuckResult, str]:
    """The same result, which is to be read as the lines of a text."""
    result[0].is_lines = True
    return result


def _too_deep() -> NotSupportedError:
    return NotSupportedError("the statement is nested too deeply to be planned")


def _as_query(write: Write) -> Query:
    """A write to a local table: DuckDB's statement, whose source may read resources."""
    return Query(write.text, write.tree)


def _unchanged(error: duckdb.Error) -> Exception:
    return error


def _arguments(parameters: Parameters) -> dict[str, object]:
    """Parameters by name: the n-th of a sequence is p<n>, as `?` and `$n` are called once they are numbered."""
    if parameters is None:
        return {}
    if isinstance(parameters, Mapping):
        return {f"p{k}" if str(k).isdigit() else str(k): v for k, v in parameters.items()}
    if isinstance(parameters, str | bytes):
        raise ProgrammingError("parameters are a list or a mapping, not a single text")
    return {f"p{i}": v for i, v in enumerate(parameters, 1)}


def _check_count(statement: Statement, arguments: Mapping[str, object]) -> None:
    """Values beyond the statement's placeholders are a mistake: they would be ignored."""
    given = sum(1 for n in arguments if re.fullmatch(r"p\d+", n))
    texts = [statement.text, *(e.text for e in (statement.execs if isinstance(statement, Query) else ()))]
    wanted = max((int(n) for text in texts for n in re.findall(r"\$p(\d+)\b", text.sql)), default=0)
    if given > wanted:
        raise ProgrammingError(f"the statement takes {wanted} values and {given} were given")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"number {n[1:]}" if re.fullmatch(r"p\d+", n) else f"${n}" for n in names)
