"""SHOW and DESCRIBE: the catalog as rows, in StackQL's columns; and rows of our own as a result."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import duckdb
from sqlglot import exp

from provider.catalog.catalog import Method, Parameter, Resource
from provider.catalog.loader import Catalog
from provider.engine.failures import translate
from provider.engine.results import DuckResult
from provider.errors import BindError
from provider.plan.names import Names
from provider.plan.rendering import quoted
from provider.sql.scanner import Text
from provider.sql.statements import Describe, Show

Rows = tuple[tuple[str, ...], list[tuple[object, ...]]]


def show(statement: Show, names: Names) -> Rows:
    """Column names and rows of SHOW.

    Raises:
        BindError: a scope that does not exist, or is missing.
    """
    if statement.what == "INSERT":
        return ("insert_statement",), [(_insert(statement, names),)]
    columns, rows = _show(statement, names)
    if statement.extended:
        return columns, rows
    return columns[:-1], [r[:-1] for r in rows]


def _show(statement: Show, names: Names) -> Rows:
    """Rows with the description last."""
    catalog = names.catalog
    place = statement.text.place(*statement.scope_span)
    wanted = {"PROVIDERS": 0, "SERVICES": 1, "RESOURCES": 2, "METHODS": 3}[statement.what]
    scope = names.scope(statement.scope, wanted)
    if len(scope) != wanted:
        example = ".".join(("provider", "service", "resource")[:wanted])
        raise BindError(
            f"SHOW {statement.what} needs IN {example}" if wanted else "SHOW PROVIDERS takes no IN", place=place
        )
    match statement.what:
        case "PROVIDERS":
            found = [catalog.provider(n) for n in catalog.providers]
            return ("name", "version", "description"), [(p.name, "", p.description) for p in found]
        case "SERVICES":
            services = [catalog.service(scope[0], n) for n in catalog.services(scope[0], place)]
            rows: list[tuple[object, ...]] = [
                (f"{s.provider}.{s.name}", s.name, s.title, s.description) for s in services
            ]
            return ("id", "name", "title", "description"), rows
        case "RESOURCES":
            resources = catalog.service(scope[0], scope[1], place).resources.values()
            return ("name", "id", "description"), [(r.name, r.id, r.description) for r in resources]
    resource = catalog.resource(scope[0], scope[1], scope[2], place)
    return ("MethodName", "RequiredParams", "SQLVerb", "description"), [
        (m.name, required(m), m.verb, m.description) for m in resource.methods
    ]


def _insert(statement: Show, names: Names) -> str:
    """An INSERT with a placeholder for each value, which runs once they are filled."""
    catalog = names.catalog
    scope = names.resource_path(statement.scope, is_local=lambda: False) or statement.scope
    place = statement.text.place(*statement.scope_span)
    if len(scope) not in (3, 4):
        raise BindError("SHOW INSERT INTO needs provider.service.resource", place=place)
    resource = catalog.resource(scope[0], scope[1], scope[2], place)
    methods = resource.methods_for("INSERT")
    if len(scope) == 4:
        methods = tuple(m for m in methods if scope[3] in (m.name, *m.aliases))
    if not methods:
        raise BindError(
            f"{'.'.join(scope)} has no INSERT method", place=place, remedy=f"SHOW METHODS IN {resource.id} lists them."
        )
    method = methods[0]
    only_required = "REQUIRED" in statement.hints
    # INSERT has no rows for the events that a method's switch asks for.
    given = [p for p in method.parameters if p != method.switch]
    parameters = [p for p in given if p.required or not (only_required or p.location == "query")]
    called = [p.name if method.parameter(p.name) is p else p.sql_name for p in parameters]
    target = ".".join(_identifier(part) for part in scope)
    if not called:
        return f"INSERT INTO {target} DEFAULT VALUES"
    columns = ",\n".join(f"  {_identifier(name)}" for name in called)
    values = ",\n".join(f"  {_blank(p, name)}" for p, name in zip(parameters, called, strict=True))
    return f"INSERT INTO {target} (\n{columns}\n)\nSELECT\n{values}"


def _blank(parameter: Parameter, name: str) -> str:
    """A value's placeholder; numbers and truth values stand bare, a file is a path, all else text or JSON in quotes."""
    blank = f"{{{{ {re.sub(r'[^A-Za-z0-9_]', '_', name)} }}}}"
    if parameter.type.base == "file":
        return f"local_file('{blank}')"
    return blank if parameter.type.base in ("integer", "number", "decimal", "boolean") else f"'{blank}'"


def _identifier(name: str) -> str:
    """A name as SQL reads it: quoted where it is no plain word, or one of SQL's own."""
    return exp.to_identifier(name).sql(dialect="duckdb")


def required(method: Method) -> str:
    """A method's required parameters as SHOW METHODS lists them."""
    return ", ".join(sorted(p.sql_name for p in method.required))


def describe(statement: Describe, catalog: Catalog) -> Rows | None:
    """Column names and rows of DESCRIBE; None when the name is no resource's.

    Raises:
        BindError: an unknown resource or method of a known provider.
    """
    path = statement.path
    place = statement.text.place(*statement.path_span)
    if not catalog.has_provider(path[0]):
        return None
    resource = catalog.resource(path[0], path[1], path[2], place)
    if statement.method or len(path) > 3:
        method = resource.method(path[3]) if len(path) > 3 else None
        if method is None:
            raise BindError(f"{resource.id} has no such method", place=place, remedy=f"SHOW METHODS IN {resource.id}")
        columns: tuple[str, ...] = ("name", "type", "param_type", "shape", "description")
        rows = _method_rows(method)
    else:
        columns, rows = ("name", "type", "description"), _field_rows(resource)
    return (columns, rows) if statement.extended else (columns[:-1], [r[:-1] for r in rows])


def _field_rows(resource: Resource) -> list[tuple[object, ...]]:
    return [(f.name, str(f.type), f.description) for f in resource.fields]


def _method_rows(method: Method) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for p in sorted(method.parameters, key=lambda p: not p.required):
        shape = json.dumps({"enum": list(p.enum)}) if p.enum else ""
        kind = "input_required" if p.required else "input_optional"
        rows.append((p.sql_name, str(p.type), kind, shape, p.description))
    for f in method.returns:
        shape = json.dumps({"enum": list(f.enum)}) if f.enum else ""
        rows.append((f.name, str(f.type), "output", shape, f.description))
    return rows


def rows_of(
    duck: duckdb.DuckDBPyConnection,
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
    text: Text,
    show: Show | None = None,
) -> tuple[DuckResult, str]:
    """Rows of our own as a statement's result, filtered by SHOW's LIKE and WHERE; it has no message.

    Raises:
        Error: DuckDB refuses what stands behind WHERE.
    """
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
        duck.execute(f"SELECT * FROM {source} AS t({names}){condition}", values)
    except duckdb.Error as e:
        raise translate(e, text, None) from None
    return DuckResult(duck, lambda e: translate(e, text, None), lambda: None), ""
