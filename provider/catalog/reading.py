"""What a manifest's files say: YAML to validated documents to catalog values.

Apart from `loader`, since it needs pydantic and PyYAML, which a statement that names no resource does not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
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
from provider.catalog.definitions import Home, Read, completed
from provider.catalog.lifetime import seconds_of
from provider.catalog.model import SPELLINGS
from provider.catalog.references import dangling
from provider.catalog.types import parse_type
from provider.catalog.waiting import EventStream
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


def completed_service(
    document: Document, model: manifest.ServiceDocument, provider: Provider, read: Read
) -> manifest.ServiceDocument:
    """A service's document with what it takes over from elsewhere, which `read` reads.

    Raises:
        ManifestError: names that lead nowhere, all together.
    """
    model, problems = completed(Home(provider.name, document, model), read)
    problems += dangling(document, model, provider.name, provider.pagination, provider.limits.groups)
    if problems:
        raise together(problems)
    return model


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
            remedy = did_you_mean(last, _known_keys(model, where[:-1], document.data))
        elif item["type"] == "union_tag_invalid":
            key, tag = item["ctx"]["discriminator"].strip("'"), item["ctx"]["tag"]
            message, place = f'{".".join(map(str, where))}: no {key} "{tag}"', document.value_place((*where, key))
            remedy = did_you_mean(tag, re.findall(r"'([^']*)'", item["ctx"]["expected_tags"]))
        elif item["type"] == "union_tag_not_found":
            key = item["ctx"]["discriminator"].strip("'")
            message, place, remedy = f'{".".join(map(str, where))} needs the key "{key}"', document.place(where), ""
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


def _known_keys(model: type[BaseModel], where: tuple[int | str, ...], value: Any) -> list[str]:
    """The keys that pydantic would have taken at a location of a document, by walking the JSON schema."""
    schema = model.model_json_schema()
    nodes = _branches(schema, schema, value)
    for key in where:
        value = value[key]
        nodes = [b for node in nodes for child in _children(node, key) for b in _branches(schema, child, value)]
    return [name for node in nodes for name in node.get("properties", {})]


def _children(node: dict[str, Any], key: int | str) -> Iterator[dict[str, Any]]:
    """What a schema says about the value under a key: a declared one, or any of a mapping."""
    if key in node.get("properties", {}):
        yield node["properties"][key]
    if isinstance(key, int) and "items" in node:
        yield node["items"]
    yield from node.get("patternProperties", {}).values()
    if isinstance(node.get("additionalProperties"), dict):
        yield node["additionalProperties"]


def _branches(schema: dict[str, Any], node: dict[str, Any], value: Any) -> list[dict[str, Any]]:
    """A node and the branches of its union that a value may belong to, with references followed."""
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    unions = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    if told := node.get("discriminator"):
        chosen = told["mapping"].get(value.get(told["propertyName"]) if isinstance(value, dict) else None)
        unions = [{"$ref": chosen}] if chosen else unions
    return [node, *(branch for option in unions for branch in _branches(schema, option, value))]


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
        client_certificate=model.client_certificate,
        headers=model.headers,
        query=model.query,
        env_headers=model.env_headers,
        errors=model.errors,
        answers=tuple(model.answers),
        limits=model.limits,
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
    """Turns one service's document, whose references are known to hold, into one version's values.

    Where the provider has named accounts, each resource has a field and each method a parameter for them.
    """

    def __init__(
        self,
        model: manifest.ServiceDocument,
        provider: Provider,
        version: str | None,
        accounts: tuple[str, ...] = (),
    ) -> None:
        self._model = model
        self._accounts = accounts
        self._provider = provider
        self._version = version

    def service(self) -> Service:
        model = self._model
        resources = {n: self._resource(n, r) for n, r in model.resources.items() if self._has(r.versions)}
        return Service(
            provider=self._provider.name,
            name=model.service,
            resources=resources,
            headers=self._filled(model.headers),
            title=model.title,
            description=model.description,
            version=self._version,
            versions=tuple(model.versions.all) if model.versions else (),
            version_env=model.versions.env if model.versions else None,
            elsewhere={n: tuple(r.versions or ()) for n, r in model.resources.items() if not self._has(r.versions)},
        )

    def _filled(self, texts: dict[str, str]) -> dict[str, str]:
        return {name: text.replace("{version}", self._version or "") for name, text in texts.items()}

    def _has(self, versions: list[str] | None) -> bool:
        return versions is None or self._version in versions

    def _resource(self, name: str, model: manifest.Resource) -> Resource:
        fields = tuple(self._field(n, f) for n, f in model.fields.items() if self._has(f.versions))
        methods = tuple(self._method(name, n, m, fields) for n, m in model.methods.items() if self._has(m.versions))
        if self._accounts:
            taken = {f.name for f in fields} | {p.name for m in methods for p in m.parameters}
            account = account_parameter(self._accounts, taken)
            fields = (*fields, Field(account.name, account.type, account.description, self._accounts))
            methods = tuple(replace(m, parameters=(account, *m.parameters)) for m in methods)
        return Resource(
            provider=self._provider.name,
            service=self._model.service,
            name=name,
            fields=fields,
            methods=methods,
            key={f: p for f, p in model.key.items() if any(f == known.name for known in fields)},
            identity=tuple(model.identity),
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
        columns, inputs = {f.name for f in fields}, {p.name for p in parameters}
        pages = self._provider.pagination[model.paginate] if model.paginate else None
        lifetime = model.cache or self._model.resources[resource].cache
        return Method(
            name=name,
            resource=f"{self._provider.name}.{self._model.service}.{resource}",
            verb=model.sql,
            http_method=http_method,
            path=path,
            parameters=parameters,
            fixed=self._fixed(parameters),
            returns=_SAVED if model.binary and model.sql == "EXEC" else self._returns(model, fields),
            rows=path_keys(model.rows if model.row == "$" else model.row),
            rows_omitted=model.rows_omitted,
            whole_objects=model.whole_objects,
            description=model.description,
            aliases=tuple(model.aliases),
            pages=pages,
            pushdown={
                f: tuple(p for p in model.pushdowns(f) if p.param in inputs) for f in model.pushdown if f in columns
            },
            sorted_by=model.sorted_by if model.sorted_by and model.sorted_by.field in columns else None,
            answers=(*model.answers, *self._provider.answers),
            limit=model.limit,
            idempotency=model.idempotency,
            is_list=pages is not None or model.rows != "$",
            merges=model.merges,
            inverse=model.inverse,
            ordered=any(p.location == "path" for p in parameters) if model.ordered is None else model.ordered,
            binary=model.binary,
            awaits=model.await_,
            stream=model.stream or (EventStream() if any(p.streams for p in parameters) else None),
            lifetime=None if lifetime is None else seconds_of(lifetime),
        )

    def _fixed(self, parameters: tuple[Parameter, ...]) -> tuple[tuple[str, str], ...]:
        own = {p.wire for p in parameters if p.location == "query"}
        fixed = {**self._provider.query, **self._filled(self._model.query)}
        return tuple((name, value) for name, value in fixed.items() if name not in own)

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
        if model.binary and model.sql == "EXEC":
            found += _SAVING
        return tuple(found)

    def _returns(self, model: manifest.Method, fields: tuple[Field, ...]) -> tuple[Field, ...]:
        if model.returns is None:
            return fields
        assert isinstance(model.returns, dict)  # a name is replaced when the document is completed
        return tuple(self._field(n, f) for n, f in model.returns.items() if self._has(f.versions))

    @staticmethod
    def _field(name: str, model: manifest.ResourceField) -> Field:
        return Field(name, parse_type(model.type, model.unit), model.description, tuple(model.enum or ()))


#: What EXEC takes beside a method's own parameters where the answer is a file, and what it gives then.
_SAVING = (
    Parameter("to", "to", "local", parse_type("string"), required=True, description="The path that the file goes to."),
    Parameter(
        "overwrite",
        "overwrite",
        "local",
        parse_type("boolean"),
        required=False,
        description="Whether a file that is there may be replaced.",
    ),
    Parameter(
        "max_bytes",
        "max_bytes",
        "local",
        parse_type("integer"),
        required=False,
        description="The largest file that is kept; 8 GiB if left out.",
        minimum=0,
    ),
)
_SAVED = (
    Field("path", parse_type("string"), "Where the file is now."),
    Field("bytes", parse_type("integer"), "Its size."),
)


def account_parameter(accounts: tuple[str, ...], taken: Collection[str]) -> Parameter:
    """The parameter that says which account sends a request: `account`, or `_account` where the API has that name."""
    name = "account" if "account" not in taken else "_account"
    return Parameter(
        name, name, "account", parse_type("string"), required=True, description="The account that asks.", enum=accounts
    )


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
        max_key_length=model.max_key_length,
        max_value_length=model.max_value_length,
        members=tuple(_parameter(n, m, location) for n, m in model.members.items()),
        streams=model.streams,
        has_default=model.default is not None,
        filename_of=model.filename_of,
    )
