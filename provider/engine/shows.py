"""SHOW and DESCRIBE: the catalog as rows, in StackQL's columns."""

from __future__ import annotations

import json

from provider.catalog.catalog import Method, Resource
from provider.catalog.loader import Catalog
from provider.errors import BindError
from provider.sql.statements import Describe, Show

Rows = tuple[tuple[str, ...], list[tuple[object, ...]]]


def show(statement: Show, catalog: Catalog) -> Rows:
    """Column names and rows of SHOW.

    Raises:
        BindError: a scope that does not exist, or is missing.
    """
    columns, rows = _show(statement, catalog)
    if statement.extended:
        return columns, rows
    return columns[:-1], [r[:-1] for r in rows]


def _show(statement: Show, catalog: Catalog) -> Rows:
    """Rows with the description last."""
    scope = statement.scope
    place = statement.text.place(*statement.scope_span)
    wanted = {"PROVIDERS": 0, "SERVICES": 1, "RESOURCES": 2, "METHODS": 3}[statement.what]
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
