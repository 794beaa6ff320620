"""A world: rows behind REST resources and in local tables, its manifests, and the same rows as plain tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import yaml

from tests.oracle.pages import PAGINGS

#: Field types of a world, as the manifest spells them, with DuckDB's name.
DUCKDB = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "decimal(20,4)": "DECIMAL(20,4)",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "object": "JSON",
    "array": "JSON",
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """A query parameter that narrows a list by `field operator value`.

    `how`: `exact`, `nocase` and `wide` (more rows than asked for), or `lossy` (fewer: the manifest says unsafe).
    """

    field: str
    how: str
    operator: str = "="


@dataclass(frozen=True, slots=True)
class Sort:
    """The order of a list: a field, the parameter that turns it, the direction without it, and where NULLs stand."""

    field: str
    param: str | None
    default: str
    nulls: str

    def sorted(self, rows: list[Row], type_: str, direction: str) -> list[Row]:
        """The rows as the API lists them; equal ones keep their order."""
        known = sorted(
            (r for r in rows if r.get(self.field) is not None),
            key=lambda r: comparable(r[self.field], type_),
            reverse=direction == "desc",
        )
        absent = [r for r in rows if r.get(self.field) is None]
        return absent + known if self.nulls == "first" else known + absent


@dataclass(frozen=True, slots=True)
class Method:
    """A GET. With `lists` it answers pages of rows, without one object.

    `whole` says that such rows are the objects themselves.
    """

    name: str
    path: str
    lists: bool
    query: dict[str, Filter] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    sort: Sort | None = None
    whole: bool = False

    @property
    def placeholders(self) -> list[str]:
        """The parameters in the path."""
        return [s[1:-1] for s in self.path.split("/") if s.startswith("{")]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource and its rows.

    `hidden` are parameters that are no fields: the plain table has them as columns, `*` must not be used.
    `unsent` are fields that the bodies leave out, since the path says them. `twofold` says that statements may call
    the key by its parameter as well.
    """

    name: str
    fields: dict[str, str]
    methods: tuple[Method, ...]
    key: dict[str, str]
    rows: tuple[Row, ...]
    hidden: dict[str, str] = field(default_factory=dict)
    unsent: tuple[str, ...] = ()
    provider: str = "w"
    twofold: bool = False

    @property
    def id(self) -> str:
        """Its name in SQL."""
        return f"{self.provider}.s.{self.name}"

    def column(self, parameter: str) -> str:
        """The column of the plain table that a parameter stands for."""
        return next((f for f, p in self.key.items() if p == parameter), parameter)

    @property
    def synonyms(self) -> dict[str, str]:
        """Parameter: the key field that it is another name of."""
        return {p: f for f, p in self.key.items() if p not in self.fields} if self.twofold else {}

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the plain table."""
        return {**self.fields, **self.hidden, **{p: self.fields[f] for p, f in self.synonyms.items()}}

    def plain_row(self, row: Row) -> list[Any]:
        """A row of the plain table."""
        return [row.get(self.synonyms.get(name, name)) for name in self.columns]


@dataclass(frozen=True, slots=True)
class Table:
    """A local table; `columns` are DuckDB types."""

    name: str
    columns: dict[str, str]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def sources(self) -> dict[str, str]:
        """How SQL calls the files and the data frame with its rows, with the formats of the files."""
        types = "{" + ", ".join(f"{n}: '{t}'" for n, t in self.columns.items()) + "}"
        return {
            f"'{self.name}.parquet'": "parquet",
            f"read_csv('{self.name}.csv', header = true, columns = {types})": "csv",
            f"read_json('{self.name}.json', columns = {types})": "json",
            f"{self.name}_frame": "",
        }


@dataclass(frozen=True, slots=True)
class View:
    """A view that both sides have."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a statement can read.

    `page` is the largest page, `paging` the way of cutting lists, one of `PAGINGS`. `strict`: an empty child list
    answers 404.
    """

    resources: tuple[Resource, ...]
    tables: tuple[Table, ...]
    page: int = 100
    strict: bool = False
    paging: str = "cursor"
    views: tuple[View, ...] = ()

    def resource(self, name: str) -> Resource:
        return next(r for r in self.resources if r.name == name)

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(sorted({r.provider for r in self.resources} | {"w"}))

    def undeclared(self) -> World:
        """The same rows behind an API whose manifest says of no list that it can be narrowed, or is sorted."""
        return replace(self, resources=tuple(_undeclared(r) for r in self.resources))

    def arranged(self, arrange: Callable[[tuple[Any, ...]], Iterable[Any]]) -> World:
        """The same rows in another order."""
        return replace(
            self,
            resources=tuple(replace(r, rows=tuple(arrange(r.rows))) for r in self.resources),
            tables=tuple(replace(t, rows=tuple(arrange(t.rows))) for t in self.tables),
        )

    def listed(self, turned: bool) -> World:
        """The same rows in the order in which the API lists them, or in the contrary one."""
        return replace(self, resources=tuple(_listed(r, turned) for r in self.resources))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> World:
        return World(
            tuple(_resource(r) for r in data["resources"]),
            tuple(Table(t["name"], t["columns"], tuple(tuple(r) for r in t["rows"])) for t in data["tables"]),
            data["page"],
            data["strict"],
            data.get("paging", "cursor"),
            tuple(View(**v) for v in data.get("views", ())),
        )

    # -- as a manifest -----------------------------------------------------------------------------

    def write_manifests(self, folder: Path) -> list[Path]:
        """Write the manifest of each provider, with service `s`, into a folder; the files."""
        return [self._write_manifest(folder, name) for name in self.providers]

    def _write_manifest(self, folder: Path, name: str) -> Path:
        provider = {
            "provider": name,
            "base_url": {"default": "http://127.0.0.1:1"},
            "errors": {"message": "$.error.message", "code": "$.error.code"},
            "answers": [{"status": [404], "body": {"$.error.code": "^not_found$"}, "means": "no_rows"}],
            "pagination": {"pages": PAGINGS[self.paging].declared(self.page)},
        }
        mine = {r.name: _declared(r) for r in self.resources if r.provider == name}
        path = folder / f"{name}.yaml"
        documents = [provider, {"service": "s", "resources": mine}]
        path.write_text(yaml.safe_dump_all(documents, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return path

    # -- as tables ---------------------------------------------------------------------------------

    def local_sql(self) -> str:
        """Statements that make the local tables."""
        return "".join(_create(t.name, t.columns, [list(r) for r in t.rows]) for t in self.tables)

    def views_sql(self) -> list[str]:
        """Statements that make the views."""
        return [f"CREATE VIEW {v.name} AS {v.sql}" for v in self.views]

    def write_files(self, folder: Path) -> None:
        """Write the local tables into a folder, in each of the formats in which they can be read."""
        with duckdb.connect() as duck:
            duck.execute(self.local_sql())
            for table in self.tables:
                for format_ in filter(None, table.sources.values()):
                    target = folder / f"{table.name}.{format_}"
                    duck.execute(f"COPY {table.name} TO '{target}' (FORMAT {format_})")

    def frames(self) -> dict[str, pyarrow.Table]:
        """The local tables as data frames, by the names under which they are registered."""
        with duckdb.connect() as duck:
            duck.execute(self.local_sql())
            return {f"{t.name}_frame": duck.execute(f"SELECT * FROM {t.name}").to_arrow_table() for t in self.tables}

    def plain(self) -> duckdb.DuckDBPyConnection:
        """DuckDB with every resource as a table of the same name, the local tables and the views."""
        duck = duckdb.connect(":memory:")
        duck.execute("SET python_enable_replacements = false")
        duck.execute("SET threads = 1")
        script = [f"ATTACH ':memory:' AS {p}; CREATE SCHEMA {p}.s;" for p in self.providers]
        for resource in self.resources:
            columns = {n: DUCKDB[t] for n, t in resource.columns.items()}
            script.append(_create(resource.id, columns, [resource.plain_row(r) for r in resource.rows]))
        script.append(self.local_sql())
        duck.execute("".join(script))
        for sql in self.views_sql():
            duck.execute(sql)
        return duck


def comparable(value: Any, type_: str) -> Any:
    """A value as something that sorts as SQL sorts its type."""
    match type_:
        case "timestamp":
            return datetime.fromisoformat(value)
        case "decimal(20,4)":
            return Decimal(value)
        case "string":
            return value.encode()
    return value


def literal(value: Any, type_: str) -> str:
    """A value as SQL of a DuckDB type."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return f"CAST('{str(value).replace(chr(39), chr(39) * 2)}' AS {type_})"


def _create(name: str, columns: dict[str, str], rows: list[list[Any]]) -> str:
    declared = ", ".join(f'"{n}" {t}' for n, t in columns.items())
    sql = f"CREATE TABLE {name} ({declared});\n"
    if rows:
        values = ", ".join(
            f"({', '.join(literal(v, t) for v, t in zip(row, columns.values(), strict=True))})" for row in rows
        )
        sql += f"INSERT INTO {name} VALUES {values};\n"
    return sql


def _declared(resource: Resource) -> dict[str, Any]:
    methods = {m.name: _declared_method(resource, m) for m in resource.methods}
    found: dict[str, Any] = {"fields": {n: {"type": t} for n, t in resource.fields.items()}, "methods": methods}
    if resource.key:
        found["key"] = resource.key
    return found


def _declared_method(resource: Resource, method: Method) -> dict[str, Any]:
    declared: dict[str, Any] = {"sql": "SELECT", "http": f"GET {method.path}"}
    path = {p: resource.columns[resource.column(p)] for p in method.placeholders}
    typed = {p: {"type": t} for p, t in path.items() if t != "string"}
    if typed:
        declared["path"] = typed
    if method.lists:
        declared |= {"rows": "$.data", "paginate": "pages"} | ({"whole_objects": True} if method.whole else {})
    query: dict[str, Any] = {}
    pushdown = {}
    for name, rule in method.query.items():
        query[name] = {"type": resource.columns[rule.field]} | ({"required": True} if name in method.required else {})
        if rule.field in resource.fields and name not in method.required:
            match = {"exact": "exact", "nocase": "superset", "wide": "superset", "lossy": "unsafe"}[rule.how]
            operator = {} if rule.operator == "=" else {"operator": rule.operator}
            pushdown[rule.field] = {"param": name, "match": match} | operator
    if method.sort is not None:
        turned = {"param": method.sort.param} if method.sort.param else {}
        declared["sorted_by"] = {"field": method.sort.field, **turned, "default": method.sort.default}
        if method.sort.param:
            query[method.sort.param] = {"enum": ["asc", "desc"]}
    if query:
        declared["query"] = query
    if pushdown:
        declared["pushdown"] = pushdown
    return declared


def _undeclared(resource: Resource) -> Resource:
    methods = tuple(
        replace(
            m,
            query={n: f for n, f in m.query.items() if n in m.required or f.field in resource.hidden},
            sort=None,
        )
        for m in resource.methods
    )
    return replace(resource, methods=methods)


def _listed(resource: Resource, turned: bool) -> Resource:
    sort = next((m.sort for m in resource.methods if m.sort is not None), None)
    if sort is None:
        return resource
    direction = sort.default if not turned else {"asc": "desc", "desc": "asc"}[sort.default]
    return replace(resource, rows=tuple(sort.sorted(list(resource.rows), resource.columns[sort.field], direction)))


def _resource(data: dict[str, Any]) -> Resource:
    methods = tuple(
        Method(
            m["name"],
            m["path"],
            m["lists"],
            {n: Filter(**f) for n, f in m["query"].items()},
            tuple(m["required"]),
            Sort(**m["sort"]) if m.get("sort") else None,
            m.get("whole", False),
        )
        for m in data["methods"]
    )
    return Resource(
        data["name"],
        data["fields"],
        methods,
        data["key"],
        tuple(data["rows"]),
        data["hidden"],
        tuple(data["unsent"]),
        data.get("provider", "w"),
        data.get("twofold", False),
    )
