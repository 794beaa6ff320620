"""What statements mean in a session, and their plans: its catalog, views, macros and defaults say what names are."""

from __future__ import annotations

import re
from typing import Literal

import duckdb
from sqlglot import exp

from provider.catalog.loader import Catalog
from provider.engine.catalog_tables import CatalogTables
from provider.engine.macros import Macros
from provider.engine.settings import SETTINGS, Settings
from provider.engine.views import Views
from provider.errors import NotSupportedError
from provider.plan.actions import WritePlan
from provider.plan.binder import Binder
from provider.plan.conventions import Conventions
from provider.plan.names import Names
from provider.plan.physical import Plan
from provider.plan.planner import plan_query
from provider.plan.writes import plan_exec, plan_write, target_of
from provider.sql.dialect import Dialect
from provider.sql.scanner import Text
from provider.sql.statements import Exec, Query, Statement, Write, parse, parse_failure

_RESOURCE_NAME = re.compile(r"\b([A-Za-z_]\w*)\.[A-Za-z_]\w*\.[A-Za-z_]\w*")


class Planning:
    """Reads and plans the statements of a session. Nothing is sent for that.

    Args:
        duck: tells what local names there are, and how values compare.
        tables: the schema `apiql`.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        settings: Settings,
        macros: Macros,
        views: Views,
        tables: CatalogTables,
    ) -> None:
        self._duck = duck
        self._catalog = catalog
        self._settings = settings
        self._macros = macros
        self._views = views
        self._tables = tables

    def statements(self, sql: str) -> list[Statement]:
        """The statements of a script, as the session's dialect reads them; errors as `parse`."""
        name: Literal["duckdb", "stackql"] = "stackql" if self._settings["dialect"] == "stackql" else "duckdb"
        return parse(sql, Dialect(name, self._macros.own(sql), frozenset(SETTINGS)))

    def names(self) -> Names:
        """What names mean at this moment."""
        service, provider = self._settings.text("service"), self._settings.text("provider")
        default = tuple(service.split(".")) if service else (provider,) if provider else ()
        told = "SELECT current_setting('default_order'), current_setting('default_null_order'), "
        row = self._duck.execute(told + "current_setting('default_collation')").fetchone()
        conventions = Conventions.of(*row) if row is not None else Conventions()
        return Names(self._catalog, self._columns, self._opened, default, conventions, self._title)

    def query(self, query: Query) -> Plan:
        """The plan of a query, or of any statement that is DuckDB's.

        Raises:
            ParseError: it cannot be parsed, and names a provider.
            BindError: a name that means nothing.
            Error: as `plan_query`.
        """
        opened = self._opened(query)
        if opened.tree is not None:
            return plan_query(opened.tree, opened.text, self.names())
        for m in _RESOURCE_NAME.finditer(query.text.sql):
            if self._catalog.has_provider(m[1]):
                raise parse_failure(query)
        arguments = tuple(dict.fromkeys(re.findall(r"\$([A-Za-z_]\w*|\d+)", query.text.sql)))
        return Plan(query.text.sql, (), arguments)

    def write(self, statement: Statement) -> WritePlan | None:
        """The plan of a statement that writes to a resource, None for any other; errors as `plan_write`."""
        match statement:
            case Write() if self.names().target(target_of(statement.tree)) is not None:
                return plan_write(statement, self.names())
            case Exec():
                return plan_exec(statement, self.names())
        return None

    def calls(self, query: Query) -> list[tuple[WritePlan, Text]]:
        """The EXECs that stand in a query, each with its text.

        Raises:
            NotSupportedError: the query itself is a write to a resource.
        """
        written = isinstance(query.tree, exp.Insert | exp.Update | exp.Delete | exp.Merge)
        if written and query.tree is not None and self.names().target(target_of(query.tree)) is not None:
            raise NotSupportedError(
                "EXEC does not stand in a write to a resource",
                place=query.execs[0].text.place(*query.execs[0].path_span),
                remedy="CREATE TABLE name AS SELECT * FROM (EXEC ...) keeps its answer for a second statement.",
            )
        return [(plan_exec(e, self.names()), e.text) for e in query.execs]

    def reads_resources(self, query: Query) -> bool:
        """Whether a query names a resource, directly or through a view; unknown names are errors."""
        opened = self._opened(query)
        if opened.tree is None:
            return False
        binder = Binder(self.names(), opened.text)
        binder.bind(opened.tree)
        return bool(binder.resources)

    def _opened(self, query: Query) -> Query:
        """A query with the views that it names opened, ready to be run."""
        opened = self._views.open(query)
        if opened is not query:
            self._macros.ready(opened.text.sql)
        return self._tables.open(opened)

    def _columns(self, name: str) -> tuple[str, ...] | None:
        return local_columns(self._duck, name)

    def _title(self, expression: str) -> str:
        """What DuckDB calls a column that is an expression: its own way to write it."""
        query = "SELECT json_deserialize_sql(json_serialize_sql(?::VARCHAR))"
        try:
            row = self._duck.execute(query, [f"SELECT {expression}"]).fetchone()
        except duckdb.Error:
            return expression  # no SQL, as DuckDB says better of the whole statement
        return str(row[0]).removeprefix("SELECT ") if row is not None else expression


def local_columns(duck: duckdb.DuckDBPyConnection, name: str) -> tuple[str, ...] | None:
    """The columns of a local table, view or file; None when there is none of that name."""
    try:
        described = duck.execute(f"SELECT * FROM {name} LIMIT 0").description
    except duckdb.Error:
        return None
    return tuple(d[0] for d in described or ())


def as_query(write: Write) -> Query:
    """A write to a local table: DuckDB's statement, whose source may read resources."""
    return Query(write.text, write.tree)


def too_deep() -> NotSupportedError:
    """The error of a statement at which Python's stack ends."""
    return NotSupportedError("the statement is nested too deeply to be planned")
