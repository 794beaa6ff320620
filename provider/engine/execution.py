"""Plans to rows: what a plan needs is fetched, and DuckDB has the last word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import duckdb

from provider.catalog.loader import Catalog
from provider.engine.arguments import used
from provider.engine.cache import Cache
from provider.engine.execs import CalledTables
from provider.engine.executor import Executor
from provider.engine.failures import translate
from provider.engine.gateway import Gateway
from provider.engine.report import Report
from provider.engine.results import DuckResult, executed
from provider.engine.reuse import reusing
from provider.engine.running import Running
from provider.engine.settings import Settings
from provider.engine.staging import OnBadValue
from provider.engine.tables import quietly
from provider.plan.explain import Explanation
from provider.plan.physical import Plan
from provider.sql.scanner import Text


class Execution:
    """Runs the plans of a session, and tells what they would do."""

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        gateway: Gateway,
        settings: Settings,
        cache: Cache,
    ) -> None:
        self._duck = duck
        self._catalog = catalog
        self._gateway = gateway
        self._settings = settings
        self._cache = cache

    def run(
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

        Raises:
            ProgrammingError: a parameter has no value.
            Error: what an API, the network or DuckDB refused.
        """
        given = used(plan.arguments, arguments)
        executor = Executor(
            plan, self._duck, self._catalog, arguments, self._gateway.report, self._on_bad_value, self._gateway.quotable
        )

        def convert(error: duckdb.Error) -> Exception:
            return translate(error, text, plan, self._catalog)

        try:
            executor.create_tables()
            if (plan.scans or called is not None) and not plan.is_shaped_by_rows:
                # DuckDB checks the whole statement on the empty tables: what it refuses sends nothing.
                self._duck.execute(f"EXPLAIN {plan.sql}", given or None).fetchall()
            if called is not None and called.writes and self._has_its_table(plan.sql, given):
                called.leave_out()
                return executed(self._duck, plan.sql, given, convert, executor.drop_tables)
            if called is not None:
                called.fill()
            if plan.scans:
                lifetime = "off" if afresh else self._settings.text("cache")
                with (
                    self._gateway.fetcher() as fetcher,
                    reusing(self._cache, lifetime, self._gateway) as reuse,
                ):
                    executor.fetch(fetcher, reuse)
            result = executed(self._duck, plan.sql, given, convert, executor.drop_tables)
            if called is not None:
                result[0].detach()  # its tables go with this statement
                return result[0], result[1] or called.message
            return result
        except duckdb.Error as e:
            self._gateway.noticed()
            quietly(self._duck, executor.drop_tables)
            raise convert(e) from None
        except BaseException:
            self._gateway.noticed()
            quietly(self._duck, executor.drop_tables)
            raise

    def _has_its_table(self, sql: str, given: Mapping[str, object]) -> bool:
        """Whether a CREATE TABLE IF NOT EXISTS would make nothing; outside of a transaction.

        Raises:
            duckdb.Error: a CREATE cannot make its table, which EXPLAIN does not notice.
        """
        if [s.type for s in self._duck.extract_statements(sql)] != [duckdb.StatementType.CREATE]:
            return False
        self._duck.execute("BEGIN")
        try:
            return not self._duck.execute(sql, given or None).fetchall()
        finally:
            self._duck.execute("ROLLBACK")

    def check(self, plan: Plan, text: Text) -> None:
        """Have DuckDB check a plan's SQL on empty tables, if these tell what it means; its errors as ours."""
        if plan.is_shaped_by_rows:
            return
        executor = Executor(plan, self._duck, self._catalog, {}, Report(), self._on_bad_value, str)
        try:
            executor.create_tables()
            self._duck.execute(f"PREPARE __apiql_check AS {plan.sql}")
            self._duck.execute("DEALLOCATE __apiql_check")
        except duckdb.Error as e:
            raise translate(e, text, plan, self._catalog) from None
        finally:
            quietly(self._duck, executor.drop_tables)

    def foreseen(self, plan: Plan, explanation: Explanation) -> Explanation:
        """A query's plan with what would come from the cache, where the statement itself says what is asked for."""
        if plan.scans:
            with reusing(self._cache, self._settings.text("cache"), self._gateway) as reuse:
                if reuse is None:
                    return explanation
                for scan, told in zip(plan.scans, explanation["scans"], strict=True):
                    told["cache"] = reuse.foresee(Running(scan, self._catalog))
        return explanation

    @property
    def _on_bad_value(self) -> OnBadValue:
        return cast(OnBadValue, self._settings.text("on_bad_value"))
