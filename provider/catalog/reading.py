"""What a manifest's files say: YAML to validated documents to catalog values.

Apart from `loader`, since it needs pydantic and PyYAML, which a statement that names no resource does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from provider.catalog import manifest
from provider.catalog.catalog import (
    Field,
    Location,
    Method,
    Parameter,
    Provider,
    Resource,
    Service,
    path_keys,
    path_placeholders,
)
from provider.catalog.model import SPELLINGS
from provider.catalog.references import dangling
from provider.catalog.types import parse_type
from provider.catalog.yamltext import Document, documents
from provider.errors import ManifestError, did_you_mean

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was at a moment. What was read from it is kept until the file changes."""

    path: Path
    modified: int
    size: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        try:
            stat = path.stat()
        except OSError as e:
            raise ManifestError(f"cannot read {path}: {e.strerror}") from None
        return cls(path, stat.st_mtime_ns, stat.st_size)


@cache
def documents_of(stamp: Stamp) -> list[Document]:
    """The documents of a file; each is of a provider or of a service, and none is there twice."""
    try:
        found = documents(stamp.path.read_text(encoding="utf-8"), str(stamp.path))
    except (OSError, UnicodeDecodeError) as e:
        raise ManifestError(f"cannot read {stamp.path}: {e}") from None
    seen = set()
    for document in found:
        kinds = [k for k in ("provider", "service") if k in document.data]
        if len(kinds) != 1:
            raise ManifestError(
                "a manifest document has either the key `provider` or the key `service`",
                place=document.place(()),
            )
        name = document.data[kinds[0]]
        if not isinstance(name, str):
            raise ManifestError(f"{kinds[0]}: a name is text", place=document.value_place((kinds[0],)))
        what = "provider" if kinds[0] == "provider" else f'service "{name}"'
        if what in seen:
            raise ManifestError(f"a second document of the {what}", place=document.value_place((kinds[0],)))
        seen.add(what)
    return found


def _validated(document: Document, model: type[_Model]) -> _Model:
    try:
        return model.model_validate(document.data)
    except ValidationError as e:
        raise together(_findings(document, model, e)) from None


def together(problems: Sequence[ManifestError]) -> ManifestError:
    """All problems of a document as one error, in the order of the file; the first gives the place."""
    ordered = sorted(problems, key=lambda p: p.place.start if p.place else 0)
    first, rest = ordered[0], ordered[1:]
    if not rest:
        return first
    return ManifestError(
        f"{first.summary} (and {len(rest)} more)",
        place=first.place,
        reason=first.remedy,
        remedy="\n".join(str(e) for e in rest),
    )


def check_references(document: Document, model: manifest.ServiceDocument, provider: Provider) -> None:
    """Raise ManifestError for names in a service's document that lead nowhere, all together."""
    if problems := dangling(document, model, provider.name, provider.pagination):
        raise together(problems)


def _findings(document: Document, model: type[BaseModel], error: ValidationError) -> list[ManifestError]:
    """What pydantic found, in the words of the format."""
    items = {_where(document, item["loc"], item["type"]): item for item in error.errors(include_url=False)}
    found = []
    for where, item in items.items():
        if any(other[: len(where)] == where for other in items if other != where):
            continue  # the verdict of another branch of a union; the longer one says what is wrong
        parent, last = ".".join(map(str, where[:-1])) or "the document", str(where[-1]) if where else ""
        if item["type"] == "extra_forbidden":
            message, place = f'unknown key "{last}" in {parent}', document.place(where)
            remedy = did_you_mean(last, _known_keys(model, where[:-1]))
        elif item["type"] == "missing":
            message, place, remedy = f'{parent} needs the key "{last}"', document.place(where[:-1]), ""
        else:
            message = f"{'.'.join(map(str, where))}: {item['msg'].removeprefix('Value error, ')}"
            place, remedy = document.value_place(where), ""
            if pattern := item.get("ctx", {}).get("pattern"):
                message = f"{'.'.join(map(str, where))}: write {SPELLINGS[pattern]}"
            elif item["type"] == "literal_error":
                remedy = did_you_mean(str(item["input"]), re.findall(r"'([^']*)'", item["ctx"]["expected"]))
        found.append(ManifestError(message, place=place, remedy=remedy))
    return found


def _where(document: Document, loc: tuple[int | str, ...], kind: str) -> tuple[int | str, ...]:
    """A location of pydantic's without what it adds: names of union branches and its mark for keys."""
    node: object = document.data
    where: list[int | str] = []
    for i, key in enumerate(loc):
        inside = isinstance(node, dict) and key in node
        if inside or (isinstance(node, list) and isinstance(key, int) and key < len(node)):
            node = node[key]  # type: ignore[index]
            where.append(key)
        elif kind == "missing" and i == len(loc) - 1:
            where.append(key)
    return tuple(where)


def _known_keys(model: type[BaseModel], where: tuple[int | str, ...]) -> list[str]:
    """The keys that pydantic would have taken at a location, by walking the JSON schema."""
    schema = model.model_json_schema()
    nodes = _branches(schema, schema)
    for key in where:
        nodes = [b for node in nodes for child in _children(node, key) for b in _branches(schema, child)]
    return [name for node in nodes for name in node.get("properties", {})]


def _children(node: dict[str, Any], key: int | str) -> Iterator[dict[str, Any]]:
    """What a schema says about the value under a key: a declared one, or any of a mapping."""
    if key in node.get("properties", {}):
        yield node["properties"][key]
    yield from node.get("patternProperties", {}).values()
    if isinstance(node.get("additionalProperties"), dict):
        yield node["additionalProperties"]


def _branches(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    """A node and the branches of its union, with references followed."""
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    unions = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    return [node, *(branch for option in unions for branch in _branches(schema, option))]


def provider_document(stamp: Stamp) -> Document:
    for document in documents_of(stamp):
        if "provider" in document.data:
            return document
    raise ManifestError(f"{stamp.path} has no document with the key `provider`")


@cache
def provider_of(stamp: Stamp) -> Provider:
    model = _validated(provider_document(stamp), manifest.ProviderDocument)
    return Provider(
        name=model.provider,
        base_url=model.base_url,
        auth=model.auth,
        headers=model.headers,
        env_headers=model.env_headers,
        errors=model.errors,
        missing=model.missing,
        pagination=model.pagination,
        title=model.title,
        description=model.description,
    )


@cache
def service_of(stamp: Stamp, name: str) -> tuple[Document, manifest.ServiceDocument]:
    found = documents_of(stamp)
    document = next((d for d in found if d.data.get("service") == name), None)
    if document is None:
        raise ManifestError(
            f"{stamp.path} has no document `service: {name}`", remedy="A service's file is named after it."
        )
    if len(found) > 1 and not any("provider" in d.data for d in found):
        other = next(d for d in found if d is not document)
        raise ManifestError(
            "a service's file holds one document",
            place=other.place(("service",)),
            remedy="Give it a file of its own.",
        )
    return document, _validated(document, manifest.ServiceDocument)


class ServiceBuilder:
    """Turns one service's document, whose references are known to hold, into one version's values."""

    def __init__(self, model: manifest.ServiceDocument, provider: Provider, version: str | None) -> None:
        self._model = model
        self._provider = provider
        self._version = version

    def service(self) -> Service:
        model = self._model
        resources = {n: self._resource(n, r) for n, r in model.resources.items() if self._has(r.versions)}
        headers = {n: v.replace("{version}", self._version or "") for n, v in model.headers.items()}
        return Service(
            provider=self._provider.name,
            name=model.service,
            resources=resources,
            headers=headers,
            title=model.title,
            description=model.description,
            version=self._version,
            versions=tuple(model.versions.all) if model.versions else (),
            version_env=model.versions.env if model.versions else None,
            elsewhere={n: tuple(r.versions or ()) for n, r in model.resources.items() if not self._has(r.versions)},
        )

    def _has(self, versions: list[str] | None) -> bool:
        return versions is None or self._version in versions

    def _resource(self, name: str, model: manifest.Resource) -> Resource:
        fields = tuple(self._field(n, f) for n, f in model.fields.items() if self._has(f.versions))
        methods = tuple(self._method(name, n, m, fields) for n, m in model.methods.items() if self._has(m.versions))
        return Resource(
            provider=self._provider.name,
            service=self._model.service,
            name=name,
            fields=fields,
            methods=methods,
            key={f: p for f, p in model.key.items() if any(f == known.name for known in fields)},
            title=model.title,
            description=model.description,
            elsewhere=self._elsewhere(model, fields, methods),
            verbs_elsewhere={
                m.sql: (n, tuple(m.versions or ()))
                for n, m in model.methods.items()
                if all(known.verb != m.sql for known in methods)
            },
        )

    def _elsewhere(
        self, model: manifest.Resource, fields: tuple[Field, ...], methods: tuple[Method, ...]
    ) -> dict[str, tuple[str, ...]]:
        """Names that this version lacks as field, method or parameter, with the versions that have them."""
        called = {n for m in methods for n in (m.name, *m.aliases)}
        taken = called | {f.name for f in fields} | {p.name for m in methods for p in m.parameters}
        lacking: dict[str, list[str] | None] = {}
        for method in model.methods.values():
            for group in (method.query, method.body):
                lacking |= {n: p.versions for n, p in group.items() if n not in taken}
        for name, method in model.methods.items():
            lacking |= {n: method.versions for n in (name, *method.aliases) if n not in called}
        lacking |= {n: f.versions for n, f in model.fields.items()}
        return {n: tuple(v) for n, v in lacking.items() if v is not None and not self._has(v)}

    def _method(self, resource: str, name: str, model: manifest.Method, fields: tuple[Field, ...]) -> Method:
        http_method, path = model.http.split(" ", 1)
        parameters = self._parameters(resource, model, path)
        columns, inputs = {f.name for f in fields}, {p.name for p in parameters if p.location != "body"}
        pages = self._provider.pagination[model.paginate] if model.paginate else None
        return Method(
            name=name,
            resource=f"{self._provider.name}.{self._model.service}.{resource}",
            verb=model.sql,
            http_method=http_method,
            path=path,
            parameters=parameters,
            returns=self._returns(model, fields),
            rows=path_keys(model.rows),
            description=model.description,
            aliases=tuple(model.aliases),
            pages=pages,
            pushdown={f: p for f, p in model.pushdown.items() if f in columns and p.param in inputs},
            sorted_by=model.sorted_by if model.sorted_by and model.sorted_by.field in columns else None,
            missing=model.missing or self._provider.missing,
            is_list=pages is not None or model.rows != "$",
        )

    def _parameters(self, resource: str, model: manifest.Method, path: str) -> tuple[Parameter, ...]:
        owner = self._model.resources[resource]
        keys = {parameter: field for field, parameter in owner.key.items()}
        declared = {p.name or n: (n, p) for n, p in model.path.items()}
        found = []
        for wire in path_placeholders(path):
            # What is not declared has the type of the field that carries it.
            field = owner.fields.get(keys.get(wire, wire))
            implied = manifest.Parameter(type=field.type, unit=field.unit) if field else manifest.Parameter()
            name, parameter = declared.get(wire, (wire, implied))
            found.append(_parameter(name, parameter.model_copy(update={"name": wire, "required": True}), "path"))
        locations: tuple[tuple[Location, dict[str, manifest.Parameter]], ...] = (
            ("query", model.query),
            ("body", model.body),
        )
        for location, group in locations:
            found += [_parameter(n, p, location) for n, p in group.items() if self._has(p.versions)]
        return tuple(found)

    def _returns(self, model: manifest.Method, fields: tuple[Field, ...]) -> tuple[Field, ...]:
        if model.returns is None:
            return fields
        answer = model.returns
        if isinstance(answer, str):
            own = f"{self._provider.name}.{self._model.service}."
            answer = self._model.resources[answer.removeprefix(own)].fields
        return tuple(self._field(n, f) for n, f in answer.items() if self._has(f.versions))

    @staticmethod
    def _field(name: str, model: manifest.ResourceField) -> Field:
        return Field(name, parse_type(model.type, model.unit), model.description, tuple(model.enum or ()))


def _parameter(name: str, model: manifest.Parameter, location: Location) -> Parameter:
    return Parameter(
        name=name,
        wire=model.name or name,
        location=location,
        type=parse_type(model.type, model.unit),
        required=model.required,
        description=model.description,
        enum=tuple(model.enum or ()),
        minimum=model.minimum,
        maximum=model.maximum,
        max_length=model.max_length,
        max_items=model.max_items,
        streams=model.streams,
    )
