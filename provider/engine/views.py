"""Views over resources, kept as text in the database, and opened where a statement names them.

DuckDB cannot keep such a view itself: its tables exist only while a statement runs. A materialized view
is a DuckDB table, and its text is kept so that it can be refreshed.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
from sqlglot import exp

from provider.errors import BindError
from provider.plan.rendering import quoted
from provider.plan.syntax import span
from provider.sql.scanner import Text
from provider.sql.statements import Query, parse_one

_TABLE = "apiql.views"
#: Views may name views; one that names itself would be opened for ever.
_DEPTH = 16


@dataclass(frozen=True, slots=True)
class View:
    """A view's definition: the query's text and the column names given with the view's name."""

    name: str
    sql: str
    columns: tuple[str, ...]
    materialized: bool


class Views:
    """The views of one database.

    Args:
        duck: the connection; the definitions live in its table `apiql.views`, made with the first view.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck

    def all(self) -> dict[str, View]:
        """The views by lower-case name."""
        try:
            rows = self._duck.execute(f"SELECT name, sql, columns, materialized FROM {_TABLE}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {
            name.lower(): View(name, sql, tuple(columns), materialized) for name, sql, columns, materialized in rows
        }

    def save(self, view: View, *, replace: bool) -> None:
        """Keep a view.

        Raises:
            BindError: the name is taken and `replace` is False.
        """
        self._duck.execute("CREATE SCHEMA IF NOT EXISTS apiql")
        self._duck.execute(
            f"CREATE TABLE IF NOT EXISTS {_TABLE} (name VARCHAR, sql VARCHAR, columns VARCHAR[], materialized BOOLEAN)"
        )
        if view.name.lower() in self.all():
            if not replace:
                raise BindError(f'the view "{view.name}" exists already', remedy="CREATE OR REPLACE VIEW replaces it.")
            self.drop(view.name)
        values = [view.name, view.sql, list(view.columns), view.materialized]
        self._duck.execute(f"INSERT INTO {_TABLE} VALUES (?, ?, ?, ?)", values)

    def drop(self, name: str) -> None:
        """Forget a view; a materialized one loses its table too."""
        view = self.all().get(name.lower())
        if view is not None and view.materialized:
            self._duck.execute(f"DROP TABLE IF EXISTS {quoted(view.name)}")
        self._duck.execute(f"DELETE FROM {_TABLE} WHERE lower(name) = lower(?)", [name])

    def open(self, query: Query) -> Query:
        """The query with each view replaced by its text; the same query when it names none."""
        if query.tree is None:
            return query
        views = {n: v for n, v in self.all().items() if not v.materialized}
        for _ in range(_DEPTH):
            opened = self._open_once(query, views) if views else None
            if opened is None:
                return query
            query = opened
        raise BindError(f"views are nested more than {_DEPTH} deep, or name one another in a circle")

    def _open_once(self, query: Query, views: dict[str, View]) -> Query | None:
        assert query.tree is not None
        ctes = {c.alias.lower() for c in query.tree.find_all(exp.CTE)}
        bodies, aliases = [], []
        for table in query.tree.find_all(exp.Table):
            parts = [p.name for p in table.parts]
            view = views.get(parts[-1].lower()) if len(parts) == 1 or (len(parts) == 2 and parts[0] == "main") else None
            if view is None or isinstance(table.parent, exp.Create | exp.Insert | exp.Drop):
                continue
            if len(parts) == 1 and _is_cte(table, query.text):
                continue
            start, end = span(table.parts)
            columns = f" ({', '.join(quoted(c) for c in view.columns)})" if view.columns else ""
            alias = "" if table.alias else f" AS {quoted(view.name)}{columns}"
            body = self._told_from(ctes, view.sql, views) if ctes else view.sql
            if table.alias and view.columns:
                body = f"SELECT * FROM ({body}) AS {quoted(view.name)}{columns}"
            source = "FROM " if isinstance(table.parent, exp.Describe) else ""
            bodies.append((start, end, f"{source}({body})"))
            aliases.append((end, end, alias))
        if not bodies:
            return None
        opened = parse_one(query.text.spliced(aliases, closed=bodies))
        return opened if isinstance(opened, Query) else Query(opened.text, getattr(opened, "tree", None))

    def _told_from(self, ctes: set[str], sql: str, views: dict[str, View]) -> str:
        """A view's text in which the tables have their whole names that are called like CTEs of the statement."""
        text = Text(sql, sql)
        tree = getattr(parse_one(text), "tree", None)
        pieces = []
        for table in tree.find_all(exp.Table) if tree is not None else ():
            name = table.name.lower()
            if len(table.parts) == 1 and name in ctes and not _is_cte(table, text):
                start, end = span(table.parts)
                path = ("main", views[name].name) if name in views else self._path(name)
                pieces.append((start, end, ".".join(map(quoted, path))))
        return text.spliced(pieces).sql

    def _path(self, name: str) -> tuple[str, ...]:
        """The whole name of a table or a view of DuckDB's; the name alone where there is none."""
        found = self._duck.execute(
            "SELECT table_catalog, table_schema, table_name FROM information_schema.tables"
            " WHERE lower(table_name) = ? AND (table_catalog = 'temp' OR"
            " (table_catalog, table_schema) = (current_database(), current_schema()))"
            " ORDER BY table_catalog <> 'temp'",
            [name],
        ).fetchone()
        return found or (name,)


def _is_cte(table: exp.Table, text: Text) -> bool:
    """Whether a name is that of a CTE that it can see: around it, before it, and in the same view."""
    within = text.enclosure(*span(table.parts))
    node = table.parent
    came: exp.Expr | None = None
    while node is not None:
        clause = node.args.get("with_")
        for cte in clause.expressions if isinstance(clause, exp.With) else ():
            if cte is came and not (clause and clause.recursive):
                break
            if cte.alias.lower() == table.name.lower() and text.enclosure(*span([cte.args["alias"]])) == within:
                return True
        came = node if isinstance(node, exp.CTE) else came
        node = node.parent
    return False
