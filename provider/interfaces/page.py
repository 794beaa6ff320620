"""A resource's documentation as Markdown, from the catalog alone; and the lists that lead to it.

The statements on the page run as they are printed, once their placeholders have values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from provider.catalog.catalog import Field, Method, Parameter, Resource, Service
from provider.catalog.loader import Catalog
from provider.errors import BindError
from provider.interfaces.render import Column, Style, markdown
from provider.sql.identifiers import identifier

_LINE = 100


def document(catalog: Catalog, name: str | None) -> str:
    """The page of `provider.service.resource`, or the list of what a shorter name contains.

    Raises:
        BindError: there is no such name.
    """
    match (name or "").split("."):
        case [""]:
            providers = [catalog.provider(p) for p in catalog.providers]
            return _contents("Providers", "", ((p.name, p.title, p.description) for p in providers))
        case [provider]:
            found = catalog.provider(provider)
            services = [catalog.service(provider, s) for s in catalog.services(provider)]
            rows = ((f"{provider}.{s.name}", s.title, s.description) for s in services)
            return _contents(found.title or provider, found.description, rows)
        case [provider, service]:
            one = catalog.service(provider, service)
            rows = ((r.id, r.title, r.description) for r in one.resources.values())
            return _contents(one.title or service, _sentences(one.description, _versions(one)), rows)
        case [provider, service, resource]:
            return _page(catalog.resource(provider, service, resource), catalog.service(provider, service))
    raise BindError(f'"{name}" is no resource', remedy="A resource is named provider.service.resource.")


def _contents(title: str, description: str, rows: Iterable[tuple[str, str, str]]) -> str:
    return _joined([f"# {title}", description, _table(("name", "title", "description"), rows)])


def _page(resource: Resource, service: Service) -> str:
    named = [("Name", resource.name), ("Type", "Resource"), ("Id", resource.id)]
    if service.version:
        named.append(("API version", service.version))
    parts = [
        f"# {resource.title or resource.name}",
        _sentences(resource.description, _versions(service)),
        _table(("", ""), named),
        "## Fields",
        _table(("name", "type", "description"), ((f.name, str(f.type), _described(f)) for f in resource.fields)),
        "## Methods",
        _table(
            ("name", "accessible by", "required params", "description"),
            (
                (m.name, m.verb, ", ".join(p.sql_name for p in m.required) or "none", m.description)
                for m in resource.methods
            ),
        ),
    ]
    for verb in ("SELECT", "INSERT", "UPDATE", "REPLACE", "DELETE", "EXEC"):
        examples = [e for m in resource.methods if m.verb == verb for e in _examples(resource, m)]
        if examples:
            parts += [f"## {verb}", *examples]
    parts += _optional(resource)
    if template := _template(resource):
        parts += ["## Stack", "The resource as a part of a stack; leave out what is not needed.", template]
    return _joined(parts)


def _optional(resource: Resource) -> list[str]:
    """The parameters that a method takes beside those that it requires, and the fields of a row."""
    columns = {f.name for f in resource.fields}
    found: dict[str, tuple[Parameter, list[str]]] = {}
    for method in resource.methods:
        for p in method.parameters:
            if p.required or (method.verb == "SELECT" and p.name in columns):
                continue
            found.setdefault(p.sql_name, (p, []))[1].append(method.name)
    if not found:
        return []
    rows = ((n, str(p.type), ", ".join(m), _described(p)) for n, (p, m) in found.items())
    return ["## Optional parameters", _table(("name", "type", "of", "description"), rows)]


# -- examples ------------------------------------------------------------------------------------


def _examples(resource: Resource, method: Method) -> Iterator[str]:
    """A sentence and a statement; an INSERT comes with what it must have, and with all that it takes."""
    sentence = method.description or f"{method.name}: {method.http}"
    match method.verb:
        case "SELECT":
            columns = _list([identifier(f.name) for f in resource.fields], "  ")
            yield _sql(sentence, f"SELECT\n{columns}\nFROM {resource.id}", _where(method, method.required))
        case "INSERT":
            everything = [p for p in method.parameters if not _pages(method, p)]
            returning = _returning(method)
            if method.required and len(method.required) < len(everything):
                yield _sql(
                    _sentences(sentence, "Only what is required:"),
                    _insert(resource, method, method.required),
                    returning,
                )
                sentence = "All that it takes:"
            yield _sql(sentence, _insert(resource, method, everything), returning)
        case "UPDATE" | "REPLACE":
            keys = [p for p in method.parameters if p.location == "path"]
            settable = [p for p in method.parameters if p not in keys]
            items = [f"{identifier(_plain(method, p))} = {_blank(method, p)}" for p in settable]
            yield _sql(sentence, f"{method.verb} {resource.id}\nSET\n{_list(items, '  ')}", _where(method, keys))
        case "DELETE":
            yield _sql(sentence, f"DELETE FROM {resource.id}", _where(method, method.required))
        case "EXEC":
            lines = [f"EXEC {resource.id}.{method.name}"]
            lines.append(",\n".join(f"  @{p.sql_name} = {_blank(method, p)}" for p in method.required))
            optional = [f"`{p.name}`" for p in method.parameters if p.location == "body" and not p.required]
            if optional:
                lines.append("  @@json = '{{ json }}'")
                sentence = _sentences(
                    sentence, f"`json` is a JSON object of any of {', '.join(optional)}; `{{}}` for none of them."
                )
            yield _sql(sentence, *filter(None, lines))


def _insert(resource: Resource, method: Method, parameters: Sequence[Parameter]) -> str:
    if not parameters:
        return f"INSERT INTO {resource.id} DEFAULT VALUES"
    names = _list([identifier(p.sql_name) for p in parameters], "  ")
    values = _list([_blank(method, p) for p in parameters], "  ")
    return f"INSERT INTO {resource.id} (\n{names}\n)\nSELECT\n{values}"


def _returning(method: Method) -> str:
    """RETURNING with the first field of the answer, which is its id where there is one."""
    return f"RETURNING {identifier(method.returns[0].name)}" if method.returns else ""


def _pages(method: Method, parameter: Parameter) -> bool:
    pages = method.pages
    return pages is not None and parameter.wire in (*pages.positions, pages.size.param if pages.size else None)


def _where(method: Method, parameters: Sequence[Parameter]) -> str:
    conditions = [f"{identifier(p.sql_name)} = {_blank(method, p)}" for p in parameters]
    return "WHERE " + "\n  AND ".join(conditions) if conditions else ""


def _plain(method: Method, parameter: Parameter) -> str:
    """A parameter of the body without `data__`, where nothing else has its name."""
    alone = sum(p.name == parameter.name for p in method.parameters) == 1
    return parameter.name if alone else parameter.sql_name


def _blank(method: Method, parameter: Parameter) -> str:
    return "'{{ " + re.sub(r"\W", "_", _plain(method, parameter)) + " }}'"


def _list(items: Sequence[str], indent: str) -> str:
    """The items with commas, in lines that are not too long."""
    lines: list[str] = []
    for i, item in enumerate(items):
        text = item + ("," if i < len(items) - 1 else "")
        if lines and len(lines[-1]) + 1 + len(text) <= _LINE:
            lines[-1] += " " + text
        else:
            lines.append(indent + text)
    return "\n".join(lines)


def _sql(sentence: str, *lines: str) -> str:
    return f"{sentence}\n\n```sql\n" + "\n".join(filter(None, lines)) + ";\n```"


# -- the stack template --------------------------------------------------------------------------


def _template(resource: Resource) -> str:
    """A YAML list with the resource and its insertable fields; '' where nothing can be inserted."""
    methods = resource.methods_for("INSERT")
    if not methods:
        return ""
    import yaml

    method = methods[0]
    props = [
        {"name": p.name, "value": _blank(method, p).strip("'")}
        | ({"required": True} if p.required else {})
        | {"type": str(p.type)}
        | ({"description": _described(p)} if _described(p) else {})
        for p in method.parameters
        if not _pages(method, p)
    ]
    declared = [{"name": resource.name, "resource": resource.id, "props": props}]
    return "```yaml\n" + yaml.safe_dump(declared, sort_keys=False, allow_unicode=True, width=_LINE) + "```"


# -- prose ---------------------------------------------------------------------------------------


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines: list[str] = []
    markdown([Column(n, "VARCHAR") for n in names], [[tuple(r) for r in rows]], lines.append, Style())
    return "".join(lines)


def _described(item: Field | Parameter) -> str:
    """The description of a field or parameter, its unit, and the values that it may have."""
    unit = f"In {item.type.unit}." if item.type.unit else ""
    values = f"{'One of' if len(item.enum) > 1 else 'Always'} {', '.join(map(str, item.enum))}." if item.enum else ""
    return _sentences(item.description, unit, values)


def _versions(service: Service) -> str:
    others = [v for v in service.versions if v != service.version]
    if not others:
        return ""
    name = f"{service.provider}.{service.name}"
    choices = " or ".join(f"`--api-version {name}={v}`" for v in others)
    return f"This page is about {service.version} of the API; {choices} shows another one."


def _sentences(*sentences: str) -> str:
    return " ".join(s for s in sentences if s)


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(p.strip("\n") for p in parts if p) + "\n"
