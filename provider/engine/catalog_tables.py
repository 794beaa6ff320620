"""The schema `apiql`: the catalog, the settings and what happened, as tables that cost nothing unless named.

They are no tables of the database. Where a statement names one, its rows become a variable of DuckDB's as JSON,
and a query over that variable stands in its place; a table of that name in the user's own schema `apiql` wins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
from sqlglot import exp

from provider.catalog.catalog import Method, Resource
from provider.catalog.loader import Catalog
from provider.engine.outcomes import WriteReport
from provider.engine.report import Log
from provider.errors import BindError, did_you_mean
from provider.plan.claims import conjuncts
from provider.plan.names import Columns
from provider.plan.rendering import quoted
from provider.plan.syntax import span
from provider.sql.statements import Query, parse_one

SCHEMA = "apiql"
_EARLIER = re.compile(rf"\b{SCHEMA}\s*\.\s*\"?last_", re.IGNORECASE)
_MENTION = re.compile(rf"\b{SCHEMA}\b", re.IGNORECASE)

#: A row: text, numbers, truth values, lists of text, or None.
Row = Sequence[object]
#: Gives a table's rows. The argument is the provider that alone is asked for, None for all of them.
Rows = Callable[[str | None], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    `columns` are names with DuckDB's types, such as VARCHAR, BIGINT, DOUBLE, BOOLEAN, VARCHAR[]; `rows` is
    called by each statement that reads the table, when it is planned.
    """

    name: str
    description: str
    columns: Mapping[str, str]
    rows: Rows

    def query(self) -> str:
        """The SQL that stands in place of the table's name."""
        kinds = {c: [t.removesuffix("[]")] if t.endswith("[]") else t for c, t in self.columns.items()}
        shape = json.dumps([kinds]).replace("'", "''")
        listed = ", ".join(f"line.{quoted(c)} AS {quoted(c)}" for c in self.columns)
        lines = f"SELECT unnest(from_json(getvariable('{self.variable}'), '{shape}')) AS line"
        return f"SELECT {listed} FROM ({lines}) AS lines"

    @property
    def variable(self) -> str:
        """DuckDB's variable that holds the rows."""
        return f"{SCHEMA}_{self.name}"


class CatalogTables:
    """The tables of one connection.

    Args:
        columns: tells the columns of a local table, None where there is none.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection, columns: Columns, tables: Iterable[Table]) -> None:
        self._duck = duck
        self._columns = columns
        self._tables = {t.name: t for t in tables}

    def add(self, table: Table) -> None:
        """Make one more table known, such as the account of another part of the engine."""
        self._tables[table.name] = table

    def listed(self) -> list[tuple[str, str]]:
        """(name, description) of all tables, by name."""
        return [(t.name, t.description) for _, t in sorted(self._tables.items())]

    def open(self, query: Query) -> Query:
        """The query with each of these tables replaced by a query over its rows; the same query when it names none.

        Raises:
            BindError: a table of the schema that does not exist.
            ManifestError: a manifest that has to be read for the rows cannot be used.
        """
        if query.tree is None or not _MENTION.search(query.text.sql):
            return query
        edits = list(self._edits(query, query.tree))
        if not edits:
            return query
        opened = parse_one(query.text.spliced(edits))
        return opened if isinstance(opened, Query) else Query(opened.text, getattr(opened, "tree", None))

    def _edits(self, query: Query, tree: exp.Expr) -> Iterator[tuple[int, int, str]]:
        opened: set[str] = set()
        wanted: dict[str, set[str | None]] = {}
        for node in tree.find_all(exp.Table):
            found = self._table(query, node)
            if found is None:
                continue
            opened.add(found.name)
            wanted.setdefault(found.name, set()).add(_only_provider(node))
            start, end = span(node.parts)
            source = "FROM " if isinstance(node.parent, exp.Describe) else ""
            alias = "" if node.alias else f" AS {quoted(found.name)}"
            yield start, end, f"{source}({found.query()}){alias}"
        for column in tree.find_all(exp.Column):
            if column.text("db").lower() == SCHEMA and column.table.lower() in opened:
                yield span([column.args["db"]])[0], span([column.args["table"]])[0], ""
        for name, providers in wanted.items():
            self._fill(self._tables[name], providers.pop() if len(providers) == 1 else None)

    def _table(self, query: Query, node: exp.Table) -> Table | None:
        """The table that a name means; None for what is no name of ours."""
        parts = [p.name.lower() for p in node.parts]
        read = isinstance(node.parent, exp.From | exp.Join | exp.Describe | exp.Summarize)
        if len(parts) != 2 or parts[0] != SCHEMA or not read or self._columns(f"{SCHEMA}.{quoted(parts[1])}"):
            return None
        if parts[1] not in self._tables:
            raise BindError(
                f"no table {SCHEMA}.{parts[1]}",
                place=query.text.place(*span(node.parts)),
                remedy=did_you_mean(parts[1], sorted(self._tables)),
            )
        return self._tables[parts[1]]

    def _fill(self, table: Table, provider: str | None) -> None:
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows(provider)]
        text = json.dumps(rows, ensure_ascii=False)
        self._duck.execute(f"SET VARIABLE {table.variable} = $1", [text])


def _only_provider(node: exp.Table) -> str | None:
    """The provider to which WHERE confines a table that stands alone behind FROM, so that no other is read."""
    select = node.find_ancestor(exp.Select)
    if select is None or not isinstance(node.parent, exp.From) or select.args.get("joins"):
        return None
    where = select.args.get("where")
    for part in conjuncts(where.this if where else None):
        sides = (part.this, part.expression) if isinstance(part, exp.EQ) else ()
        for column, value in (sides, sides[::-1]) if sides else ():
            named = isinstance(column, exp.Column) and column.name.lower() == "provider"
            if named and isinstance(value, exp.Literal) and value.is_string:
                return str(value.this)
    return None


# -- the catalog -----------------------------------------------------------------------------------


def catalog_tables(catalog: Catalog) -> Iterator[Table]:
    """providers, services, resources, methods, fields and parameters."""

    def providers(only: str | None) -> Iterator[str]:
        return (n for n in catalog.providers if only is None or n == only)

    def resources(only: str | None) -> Iterator[Resource]:
        for provider in providers(only):
            for service in catalog.services(provider):
                yield from catalog.service(provider, service).resources.values()

    def methods(only: str | None) -> Iterator[tuple[Resource, Method]]:
        return ((r, m) for r in resources(only) for m in r.methods)

    def provider_rows(only: str | None) -> Iterator[Row]:
        for provider in map(catalog.provider, providers(only)):
            yield provider.name, provider.title, provider.description

    def service_rows(only: str | None) -> Iterator[Row]:
        for provider in providers(only):
            for service in (catalog.service(provider, n) for n in catalog.services(provider)):
                yield (
                    provider,
                    service.name,
                    service.version,
                    list(service.versions),
                    service.title,
                    service.description,
                )

    def resource_rows(only: str | None) -> Iterator[Row]:
        for r in resources(only):
            yield r.provider, r.service, r.name, r.id, sorted({m.verb for m in r.methods}), r.title, r.description

    def method_rows(only: str | None) -> Iterator[Row]:
        for r, m in methods(only):
            required = [p.sql_name for p in m.required]
            yield *_path(r), m.name, m.verb, m.http_method, m.path, required, list(m.aliases), m.description

    def field_rows(only: str | None) -> Iterator[Row]:
        for r in resources(only):
            for n, f in enumerate(r.fields, 1):
                yield *_path(r), f.name, n, str(f.type), f.type.unit, r.key.get(f.name), list(f.enum), f.description

    def parameter_rows(only: str | None) -> Iterator[Row]:
        for r, m in methods(only):
            for p in m.parameters:
                enum = [str(v) for v in p.enum]
                yield *_path(r), m.name, p.name, p.location, str(p.type), p.required, p.wire, enum, p.description

    path = {"provider": "VARCHAR", "service": "VARCHAR", "resource": "VARCHAR"}
    told = {"description": "VARCHAR"}
    yield Table("providers", "the providers", {"provider": "VARCHAR", "title": "VARCHAR"} | told, provider_rows)
    yield Table(
        "services",
        "the services of each provider, in the version that this connection speaks",
        {"provider": "VARCHAR", "service": "VARCHAR", "version": "VARCHAR", "versions": "VARCHAR[]", "title": "VARCHAR"}
        | told,
        service_rows,
    )
    yield Table(
        "resources",
        "the resources, and the verbs that have a method",
        path | {"id": "VARCHAR", "sql_verbs": "VARCHAR[]", "title": "VARCHAR"} | told,
        resource_rows,
    )
    yield Table(
        "methods",
        "the methods of each resource, and the request that each of them is",
        path
        | {"method": "VARCHAR", "sql_verb": "VARCHAR", "http_method": "VARCHAR", "path": "VARCHAR"}
        | {"required": "VARCHAR[]", "aliases": "VARCHAR[]"}
        | told,
        method_rows,
    )
    yield Table(
        "fields",
        "the fields of each resource",
        path
        | {"field": "VARCHAR", "position": "BIGINT", "type": "VARCHAR", "unit": "VARCHAR", "key_parameter": "VARCHAR"}
        | {"enum": "VARCHAR[]"}
        | told,
        field_rows,
    )
    yield Table(
        "parameters",
        "the parameters of each method",
        path
        | {"method": "VARCHAR", "parameter": "VARCHAR", "location": "VARCHAR", "type": "VARCHAR"}
        | {"required": "BOOLEAN", "wire_name": "VARCHAR", "enum": "VARCHAR[]"}
        | told,
        parameter_rows,
    )


def _path(resource: Resource) -> tuple[str, str, str]:
    return resource.provider, resource.service, resource.name


def settings_table(rows: Callable[[], Iterable[Row]]) -> Table:
    """The settings of the session; `rows` gives (name, value, default, type, description)."""
    columns = dict.fromkeys(("name", "value", "default", "type", "description"), "VARCHAR")
    return Table("settings", "the settings of this session", columns, lambda _: rows())


# -- what happened ---------------------------------------------------------------------------------


def tells_of_earlier(sql: str) -> bool:
    """Whether a statement reads what an earlier one did, and so leaves the account of that as it is."""
    return _EARLIER.search(sql) is not None


def last_requests(log: Callable[[], Log]) -> Table:
    """The requests of the last statement, in the order of their answers.

    Args:
        log: gives that statement's requests.
    """

    def rows(only: str | None) -> Iterator[Row]:
        done = log()
        for number, e in enumerate(done.exchanges, done.count - len(done.exchanges) + 1):
            provider, service, resource = (*e.resource.split("."), None, None)[:3]
            if only is None or provider == only:
                path, _, query = e.call.target.partition("?")
                asked = (provider, service, resource, e.method, e.call.http_method, path, query)
                yield number, *asked, e.status, e.wire_bytes, e.seconds, e.waited

    return Table(
        "last_requests",
        "the requests of the last statement that ran, at most its last 10,000",
        {"number": "BIGINT", "provider": "VARCHAR", "service": "VARCHAR", "resource": "VARCHAR", "method": "VARCHAR"}
        | {"http_method": "VARCHAR", "path": "VARCHAR", "query": "VARCHAR", "status": "BIGINT", "bytes": "BIGINT"}
        | {"seconds": "DOUBLE", "waited": "DOUBLE"},
        rows,
    )


def last_writes(written: Callable[[], Sequence[WriteReport]]) -> Table:
    """The rows of the last statement that wrote to a resource, and what became of each.

    Args:
        written: gives that statement's rows.
    """
    return Table(
        "last_writes",
        "the rows of the last write to a resource: done, not done, or unknown",
        {"row": "BIGINT", "request": "VARCHAR", "status": "BIGINT"}
        | {"id": "VARCHAR", "error": "VARCHAR", "outcome": "VARCHAR", "statement": "BIGINT", "inverse": "VARCHAR"},
        lambda _: ((w.row, w.request, w.status, w.id, w.error, w.outcome, w.statement, w.inverse) for w in written()),
    )
