"""EXPLAIN: what a statement would do, and what a query has really done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import duckdb
from sqlglot import exp

from provider.catalog.catalog import Resource
from provider.catalog.loader import Catalog
from provider.engine.execution import Execution
from provider.engine.gateway import Gateway
from provider.engine.planning import Planning, as_query
from provider.engine.queries import Queries
from provider.engine.results import DuckResult, as_lines
from provider.engine.shows import rows_of
from provider.errors import NotSupportedError
from provider.plan.explain import Explanation, as_text, explain_query, explain_write
from provider.plan.physical import Plan
from provider.rest.request import Target
from provider.sql.statements import Exec, Explain, Query, Statement, Write


class Explaining:
    """Tells of the statements of a session. Nothing is sent for that, except by EXPLAIN ANALYZE."""

    def __init__(
        self,
        catalog: Catalog,
        duck: duckdb.DuckDBPyConnection,
        planning: Planning,
        execution: Execution,
        queries: Queries,
        gateway: Gateway,
    ) -> None:
        self._catalog = catalog
        self._duck = duck
        self._planning = planning
        self._execution = execution
        self._queries = queries
        self._gateway = gateway

    def explanation(self, statement: Statement) -> Explanation:
        """What a statement would do, without the secrets of accounts.

        Raises:
            Error: as the statement itself, for what can be known without sending anything.
        """
        match statement:
            case Query(execs=execs) if execs:
                with self._queries.called(statement, {}) as called:
                    plan = self._planning.query(statement)
                    if isinstance(statement.tree, exp.Query):
                        self._execution.check(plan, statement.text)
                asked = [scan.resource for scan in plan.scans] + [call.resource for call in called.plans]
                return self._without_secrets(explain_query(plan, called.plans), asked)
            case Query():
                plan = self._planning.query(statement)
                if plan.scans and isinstance(statement.tree, exp.Query):
                    self._execution.check(plan, statement.text)
                explanation = self._execution.foreseen(plan, explain_query(plan))
                return self._without_secrets(explanation, [scan.resource for scan in plan.scans])
            case Write() | Exec():
                write = self._planning.write(statement)
                if write is not None:
                    asked = [scan.resource for scan in write.source.scans] + [write.resource]
                    return self._without_secrets(explain_write(write), asked)
                if isinstance(statement, Write):
                    plan = self._planning.query(as_query(statement))
                    return self._without_secrets(explain_query(plan), [scan.resource for scan in plan.scans])
        return explain_query(Plan("", (), ()))

    def _without_secrets(self, explanation: Explanation, asked: Iterable[Resource]) -> Explanation:
        """A plan without the secrets of the accounts that its resources are asked with, which SQL may spell out."""
        for resource in {resource.id: resource for resource in asked}.values():
            service = self._catalog.service(resource.provider, resource.service)
            target = Target(self._catalog.provider(resource.provider), service)
            explanation = self._gateway.without_secrets(target, explanation)
        return explanation

    def run(self, statement: Explain, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        """EXPLAIN's rows: lines of text, or one of JSON.

        Raises:
            NotSupportedError: ANALYZE of what sends something.
            Error: as `explanation`; with ANALYZE, as `Queries.run`.
        """
        inner = statement.statement
        if isinstance(inner, Query) and not inner.execs:
            plan = self._planning.query(inner)
            if not plan.scans:
                # A local statement's plan is DuckDB's to tell.
                head = "EXPLAIN ANALYZE " if statement.analyze else "EXPLAIN "
                local = Plan(head + plan.sql.lstrip(), (), plan.arguments)
                return as_lines(self._execution.run(local, statement.text, arguments))
        explanation = self.explanation(inner)
        lines = []
        if statement.analyze:
            if not isinstance(inner, Query):
                raise NotSupportedError(
                    "EXPLAIN ANALYZE runs the statement, and a write is not run to be explained", remedy="Use EXPLAIN."
                )
            lines = self._analyze(inner, arguments, explanation)
        if statement.as_json:
            text = json.dumps(explanation, indent=2, ensure_ascii=False)
            return as_lines(rows_of(self._duck, ("plan",), [(text,)], statement.text))
        rows = [(line,) for line in as_text(explanation) + lines]
        return as_lines(rows_of(self._duck, ("plan",), rows, statement.text))

    def _analyze(self, query: Query, arguments: Mapping[str, object], explanation: Explanation) -> list[str]:
        """Run a query for its account: what each scan really did, and the totals."""
        if query.execs:
            raise NotSupportedError("EXPLAIN ANALYZE does not run a query with EXEC in it", remedy="Use EXPLAIN.")
        result, _ = self._queries.run(query, arguments)
        rows = 0
        while part := len(result.fetch(10_000)):
            rows += part
        report = self._gateway.report
        for scan, ran in zip(explanation["scans"], report.scans, strict=True):
            scan["actual"] = ran.account
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
