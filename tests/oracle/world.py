"""A world: rows behind REST resources and in local tables, its manifest, and the same rows as plain tables."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import yaml

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
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """A query parameter that narrows a list: `exact`, `nocase` (more rows than asked) or `lossy` (fewer: unsafe)."""

    field: str
    how: str


@dataclass(frozen=True, slots=True)
class Method:
    """A GET. With `lists` it answers pages of rows, without one object."""

    name: str
    path: str
    lists: bool
    query: dict[str, Filter] = field(default_factory=dict)
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource and its rows.

    `hidden` are parameters that are no fields: the plain table has them as columns, `*` must not be used.
    `unsent` are fields that the bodies leave out, since the path says them.
    """

    name: str
    fields: dict[str, str]
    methods: tuple[Method, ...]
    key: dict[str, str]
    rows: tuple[Row, ...]
    hidden: dict[str, str] = field(default_factory=dict)
    unsent: tuple[str, ...] = ()

    def column(self, parameter: str) -> str:
        """The column of the plain table that a parameter stands for."""
        return next((f for f, p in self.key.items() if p == parameter), parameter)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the plain table."""
        return {**self.fields, **self.hidden}


@dataclass(frozen=True, slots=True)
class Table:
    """A local table; `columns` are DuckDB types."""

    name: str
    columns: dict[str, str]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a statement can read. `page` is the largest page; `strict`: an empty child list answers 404."""

    resources: tuple[Resource, ...]
    tables: tuple[Table, ...]
    page: int = 100
    strict: bool = False

    def resource(self, name: str) -> Resource:
        return next(r for r in self.resources if r.name == name)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> World:
        return World(
            tuple(_resource(r) for r in data["resources"]),
            tuple(Table(t["name"], t["columns"], tuple(tuple(r) for r in t["rows"])) for t in data["tables"]),
            data["page"],
            data["strict"],
        )

    # -- as a manifest -----------------------------------------------------------------------------

    def write_manifest(self, folder: Path) -> Path:
        """Write the manifest of provider `w` with service `s` into a folder; the file."""
        cursor = {
            "kind": "cursor",
            "param": "after",
            "next": "$.last_id",
            "more": "$.has_more",
            "size": {"param": "limit", "max": self.page},
        }
        provider = {
            "provider": "w",
            "base_url": {"default": "http://127.0.0.1:1"},
            "errors": {"message": "$.error.message", "code": "$.error.code"},
            "missing": {"status": [404], "path": "$.error.code", "pattern": "^not_found$"},
            "pagination": {"cursor": cursor},
        }
        service = {"service": "s", "resources": {r.name: _declared(r) for r in self.resources}}
        path = folder / "w.yaml"
        path.write_text(yaml.safe_dump_all([provider, service], allow_unicode=True, sort_keys=False), encoding="utf-8")
        return path

    # -- as tables ---------------------------------------------------------------------------------

    def local_sql(self, backwards: bool = False) -> str:
        """Statements that make the local tables."""
        return "".join(
            _create(t.name, t.columns, [list(r) for r in (t.rows[::-1] if backwards else t.rows)]) for t in self.tables
        )

    def plain(self, backwards: bool = False) -> duckdb.DuckDBPyConnection:
        """DuckDB with every resource as the table `w.s.<name>`, and the local tables."""
        duck = duckdb.connect(":memory:")
        duck.execute("SET python_enable_replacements = false")
        duck.execute("SET threads = 1")
        script = ["ATTACH ':memory:' AS w; CREATE SCHEMA w.s;"]
        for resource in self.resources:
            columns = {n: DUCKDB[t] for n, t in resource.columns.items()}
            rows = resource.rows[::-1] if backwards else resource.rows
            script.append(_create(f"w.s.{resource.name}", columns, [[r.get(c) for c in columns] for r in rows]))
        script.append(self.local_sql(backwards))
        duck.execute("".join(script))
        return duck


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
    methods: dict[str, Any] = {}
    for m in resource.methods:
        declared: dict[str, Any] = {"sql": "SELECT", "http": f"GET {m.path}"}
        path = {p: resource.columns[resource.column(p)] for p in _placeholders(m.path)}
        typed = {p: {"type": t} for p, t in path.items() if t != "string"}
        if typed:
            declared["path"] = typed
        if m.lists:
            declared |= {"rows": "$.data", "paginate": "cursor"}
        query = {}
        pushdown = {}
        for name, rule in m.query.items():
            query[name] = {"type": resource.columns[rule.field]} | ({"required": True} if name in m.required else {})
            if rule.field in resource.fields and name not in m.required:
                match = {"exact": "exact", "nocase": "superset", "lossy": "unsafe"}[rule.how]
                pushdown[rule.field] = {"param": name, "match": match}
        if query:
            declared["query"] = query
        if pushdown:
            declared["pushdown"] = pushdown
        methods[m.name] = declared
    found: dict[str, Any] = {"fields": {n: {"type": t} for n, t in resource.fields.items()}, "methods": methods}
    if resource.key:
        found["key"] = resource.key
    return found


def _placeholders(path: str) -> list[str]:
    return [s[1:-1] for s in path.split("/") if s.startswith("{")]


def _resource(data: dict[str, Any]) -> Resource:
    methods = tuple(
        Method(
            m["name"],
            m["path"],
            m["lists"],
            {n: Filter(**f) for n, f in m["query"].items()},
            tuple(m["required"]),
        )
        for m in data["methods"]
    )
    return Resource(
        data["name"], data["fields"], methods, data["key"], tuple(data["rows"]), data["hidden"], tuple(data["unsent"])
    )
