"""Runs statements: each kind is planned, what it needs is fetched or sent, and DuckDB has the last word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

import duckdb
from sqlglot import exp

from provider.catalog.loader import Catalog
from provider.engine.cursor import Parameters
from provider.engine.executor import Executor
from provider.engine.failures import translate
from provider.engine.fetching import Progress
from provider.engine.gateway import Gateway
from provider.engine.report import Report
from provider.engine.results import DuckResult, interruption
from provider.engine.shows import describe, show
from provider.engine.staging import Page
from provider.engine.tables import StagedTable
from provider.engine.views import View, Views, definition, dropped, refreshed
from provider.engine.writes import Guard, calls, check, send_all
from provider.errors import BindError, DataError, NotSupportedError, ProgrammingError, did_you_mean
from provider.plan.binder import Binder
from provider.plan.explain import Explanation, as_text, explain_query, explain_write
from provider.plan.names import Names
from provider.plan.physical import Plan
from provider.plan.planner import plan_query
from provider.plan.rendering import quoted
from provider.plan.writes import ANSWERS, WritePlan, plan_exec, plan_write, target_of
from provider.rest.request import Call, Target
from provider.sql.scanner import Text
from provider.sql.statements import Describe, Exec, Explain, Query, Show, Statement, Write, parse, parse_failure

_USE = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*USE\s+(\w+)(?:\.(\w+))?\s*", re.IGNORECASE | re.DOTALL)
_RESOURCE_NAME = re.compile(r"\b([A-Za-z_]\w*)\.[A-Za-z_]\w*\.[A-Za-z_]\w*")


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
        guard: Guard,
        progress: Progress | None,
    ) -> None:
        self._duck = duck
        self._catalog = catalog
        self._gateway = gateway
        self._guard = guard
        self._progress = progress
        self._views = Views(duck)
        self._default: tuple[str, ...] = ()
        self._open: DuckResult | None = None

    def close(self) -> None:
        """Give up the open result."""
        if self._open is not None:
            self._open.close()

    def run(self, sql: str, parameters: Parameters, report: Report) -> tuple[DuckResult, str]:
        """Run a script; the result and message of its last statement."""
        found = parse(sql)
        if not found:
            raise ProgrammingError("there is no statement")
        if len(found) > 1 and isinstance(parameters, Sequence) and parameters:
            raise ProgrammingError("several statements take named parameters only: $name")
        arguments = _arguments(parameters)
        result, message = None, ""
        for statement in found:
            if result is not None:
                result.close()
            self.detach()
            self._gateway.report = report
            try:
                result, message = self._run_one(statement, arguments)
            except RecursionError:
                raise _too_deep() from None
            except RuntimeError as e:
                raise interruption(e) from None
            self._open = result
        assert result is not None
        return result, message

    def _run_one(self, statement: Statement, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        match statement:
            case Query():
                return self._view(statement, arguments) or self._use(statement) or self._run_query(statement, arguments)
            case Write() if self._names().target(target_of(statement.tree)) is not None:
                return self._write(plan_write(statement, self._names()), statement.text, arguments)
            case Write():
                return self._run_query(_as_query(statement), arguments)
            case Exec():
                return self._write(plan_exec(statement, self._names()), statement.text, arguments)
            case Show():
                return self._rows(*show(statement, self._catalog), statement.text, statement)
            case Describe():
                described = describe(statement, self._catalog)
                if described is None:
                    return self._run_query(Query(statement.text, None), arguments)
                return self._rows(*described, statement.text)
            case Explain():
                return self._explain(statement, arguments)

    def _run_query(self, query: Query, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        return self._execute(self._plan(query), query.text, arguments)

    def _view(self, query: Query, arguments: Mapping[str, object]) -> tuple[DuckResult, str] | None:
        """CREATE, REFRESH and DROP of views over resources; None for everything else."""
        sql = query.text.sql
        found = definition(sql)
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
        opened = self._views.open(query)
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
        result, _ = self._run_query(statement, arguments)
        result.close()

    def _use(self, query: Query) -> tuple[DuckResult, str] | None:
        """`USE provider` and `USE provider.service`; a local schema's name is DuckDB's."""
        m = _USE.fullmatch(query.text.sql.strip())
        if m is None or not self._catalog.has_provider(m[1]):
            return None
        if m[2] is not None:
            self._catalog.service(m[1], m[2])
        self._default = (m[1],) if m[2] is None else (m[1], m[2])
        return self._done("USE")

    def _done(self, message: str) -> tuple[DuckResult, str]:
        return DuckResult(self._duck, _unchanged, lambda: None, has_rows=False), message

    def _names(self) -> Names:
        return Names(self._catalog, self._columns, self._views.open, self._default)

    def explain(self, sql: str) -> str:
        """The plan of each statement of a script as text: methods, requests, and where values come from.

        Nothing is sent, and parameters need no values.

        Raises:
            Error: as `execute`, for what can be known without sending anything.
        """
        self.detach()
        lines: list[str] = []
        for statement in parse(sql):
            inner = statement.statement if isinstance(statement, Explain) else statement
            try:
                lines += [*([""] if lines else []), *as_text(self._explanation(inner))]
            except RecursionError:
                raise _too_deep() from None
        return "\n".join(lines)

    def _explanation(self, statement: Statement) -> Explanation:
        match statement:
            case Query():
                plan = self._plan(statement)
                if plan.scans and isinstance(statement.tree, exp.Query):
                    self._check_sql(plan, statement.text)
                return explain_query(plan)
            case Write() if self._names().target(target_of(statement.tree)) is not None:
                return explain_write(plan_write(statement, self._names()))
            case Write():
                return explain_query(self._plan(_as_query(statement)))
            case Exec():
                return explain_write(plan_exec(statement, self._names()))
        return explain_query(Plan("", (), ()))

    def _explain(self, statement: Explain, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        inner = statement.statement
        if isinstance(inner, Query):
            plan = self._plan(inner)
            if not plan.scans:
                # A local statement's plan is DuckDB's to tell.
                head = "EXPLAIN ANALYZE " if statement.analyze else "EXPLAIN "
                local = Plan(head + plan.sql.lstrip(), (), plan.arguments)
                return self._execute(local, statement.text, arguments)
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
            return self._rows(("plan",), [(text,)], statement.text)
        return self._rows(("plan",), [(line,) for line in as_text(explanation) + lines], statement.text)

    def _analyze(self, query: Query, arguments: Mapping[str, object], explanation: Explanation) -> list[str]:
        """Run a query for its account: what each scan really did, and the totals."""
        result, _ = self._run_query(query, arguments)
        rows = 0
        while part := len(result.fetch(10_000)):
            rows += part
        report = self._gateway.report
        for scan, done in zip(explanation["scans"], report.scans, strict=True):
            scan["actual"] = f"{done.keys} keys, {done.pages} pages, {done.rows} rows; {done.ended}"
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

    def _write(self, plan: WritePlan, text: Text, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        """Find the rows, check them all, and send."""
        check(plan, self._guard, None)
        method = plan.method
        table: StagedTable | None = None

        def drop() -> None:
            if table is not None:
                table.drop()

        try:
            source, _ = self._execute(plan.source, text, arguments)
            planned = calls(plan, source.fetch(None))
            check(plan, self._guard, len(planned))
            rows = method.rows if method.is_list else None
            sql = plan.returning.sql if plan.returning else None
            if plan.returning is not None and sql is not None:
                table = StagedTable(
                    self._duck, ANSWERS, plan.resource.id, method.returns, (), plan.returning.synonyms, rows
                )
                self._duck.execute(f"EXPLAIN {sql}").fetchall()
            answers: list[Page] = []
            resource = plan.resource
            target = Target(
                self._catalog.provider(resource.provider), self._catalog.service(resource.provider, resource.service)
            )
            none_is_fine = plan.verb in ("UPDATE", "REPLACE", "DELETE")

            def send(call: Call) -> bytes | None:
                return self._gateway.send(target, method, call, none_is_fine=none_is_fine)

            count = send_all(plan, planned, send, lambda body: answers.append(Page(body, ())))
            message = f"{plan.verb} {count}" if plan.verb != "EXEC" else "EXEC"
            if sql is None or table is None:
                return DuckResult(self._duck, _unchanged, drop, count, has_rows=False), message
            try:
                table.append(answers)
            except DataError as e:
                done = f"{e.reason} {count} of {len(planned)} writes were carried out; only the answers cannot be read."
                raise DataError(e.summary, place=plan.place, reason=done.strip(), detail=e.detail) from None
            self._duck.execute(sql)
            return DuckResult(self._duck, lambda e: translate(e, text, None), drop, count), message
        except duckdb.Error as e:
            self._quietly(drop)
            raise translate(e, text, None) from None
        except BaseException:
            self._quietly(drop)
            raise

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
        opened = self._views.open(query)
        if opened.tree is not None:
            return plan_query(opened.tree, opened.text, self._names())
        for m in _RESOURCE_NAME.finditer(query.text.sql):
            if self._catalog.has_provider(m[1]):
                raise parse_failure(query)
        names = tuple(dict.fromkeys(re.findall(r"\$([A-Za-z_]\w*|\d+)", query.text.sql)))
        return Plan(query.text.sql, (), names)

    def _execute(self, plan: Plan, text: Text, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        """Fetch what a plan needs, and run its SQL."""
        _check_count(text, arguments)
        missing = [n for n in plan.arguments if n not in arguments]
        if missing:
            raise ProgrammingError(f"no value for the parameter{'s' if len(missing) > 1 else ''} {_listed(missing)}")
        executor = Executor(plan, self._duck, self._catalog, arguments, self._gateway.report, self._progress)
        used = {n: arguments[n] for n in plan.arguments}
        try:
            executor.create_tables()
            if plan.scans:
                # DuckDB checks the whole statement on the empty tables: what it refuses sends nothing.
                self._duck.execute(f"EXPLAIN {plan.sql}", used or None).fetchall()
                fetcher = self._gateway.fetcher()
                try:
                    executor.fetch(fetcher)
                finally:
                    fetcher.close()
            return self._result(plan.sql, used, lambda e: translate(e, text, plan), executor.drop_tables)
        except duckdb.Error as e:
            self._quietly(executor.drop_tables)
            raise translate(e, text, plan) from None
        except BaseException:
            self._quietly(executor.drop_tables)
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

    def _quietly(self, cleanup: Callable[[], None]) -> None:
        """Clean up after an error without hiding it: in a broken transaction even DROP fails."""
        try:
            cleanup()
        except duckdb.Error:
            self._duck.execute("ROLLBACK")
            cleanup()

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
        executor = Executor(plan, self._duck, self._catalog, {}, Report(), None)
        try:
            executor.create_tables()
            self._duck.execute(f"PREPARE __apiql_check AS {plan.sql}")
            self._duck.execute("DEALLOCATE __apiql_check")
        except duckdb.Error as e:
            raise translate(e, text, plan) from None
        finally:
            self._quietly(executor.drop_tables)


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


def _check_count(text: Text, arguments: Mapping[str, object]) -> None:
    """Values beyond the statement's placeholders are a mistake: they would be ignored."""
    given = sum(1 for n in arguments if re.fullmatch(r"p\d+", n))
    wanted = max((int(n) for n in re.findall(r"\$p(\d+)\b", text.sql)), default=0)
    if given > wanted:
        raise ProgrammingError(f"the statement takes {wanted} values and {given} were given")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"number {n[1:]}" if re.fullmatch(r"p\d+", n) else f"${n}" for n in names)
