"""What a service's document refers to must exist: checks that no single value can make on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from provider.catalog import manifest
from provider.catalog.catalog import NO_INVERSE, path_keys, path_placeholders
from provider.catalog.paging import Pages
from provider.catalog.types import parse_type
from provider.catalog.yamltext import Document, Keys
from provider.errors import ManifestError, Place, did_you_mean

#: The types whose values are more or less than others.
_ORDERED = {"string", "integer", "number", "decimal", "date", "datetime", "timestamp"}


def dangling(
    document: Document,
    model: manifest.ServiceDocument,
    provider: str,
    pagination: Mapping[str, Pages],
    limit_groups: Iterable[str],
) -> list[ManifestError]:
    """All references of a document that lead nowhere, in every API version.

    Args:
        document: for the places of errors.
        model: the same document, validated.
        provider: name of the provider.
        pagination: the provider's paginations.
        limit_groups: names of the provider's limit groups.

    Returns:
        One error a problem; empty when all is well.
    """
    return list(_Checks(document, model, provider, pagination, tuple(limit_groups)).service())


@dataclass(frozen=True, slots=True)
class _Checks:
    document: Document
    model: manifest.ServiceDocument
    provider: str
    pagination: Mapping[str, Pages]
    limit_groups: tuple[str, ...]

    def service(self) -> Iterator[ManifestError]:
        for name, resource in self.model.resources.items():
            yield from self._resource(("resources", name), resource)

    def _resource(self, where: Keys, resource: manifest.Resource) -> Iterator[ManifestError]:
        yield from self._versions(where, resource.versions)
        for name, count in Counter(n.lower() for n in resource.fields).items():
            if count > 1:
                twice = [n for n in resource.fields if n.lower() == name]
                message = f"SQL cannot tell the fields {' and '.join(twice)} apart"
                yield ManifestError(message, place=self._key(*where, "fields", twice[1]))
        for name, field in resource.fields.items():
            yield from self._versions((*where, "fields", name), field.versions)
        inputs = [n for m in resource.methods.values() for n in _inputs(m)]
        for name, parameter in resource.key.items():
            if name not in resource.fields:
                yield self._unknown(f'key "{name}" is no field', name, resource.fields, self._key(*where, "key", name))
            if parameter not in (*inputs, name):
                message = f'key: no method has the parameter "{parameter}"'
                yield self._unknown(message, parameter, inputs, self._value(*where, "key", name))
        for name, method in resource.methods.items():
            at = (*where, "methods", name)
            yield from self._versions(at, method.versions)
            yield from self._parameters(at, method)
            yield from self._sending(at, method)
            yield from self._row(at, method)
            yield from self._paging(at, method, resource.fields)
            yield from self._list(at, method, resource)
            yield from self._returns(at, method)
            yield from self._aliases(at, name, resource.methods)
            yield from self._awaiting(at, method)
            yield from self._streaming(at, method)
            yield from self._files(at, method, resource)
            if method.inverse is not None and method.inverse not in (NO_INVERSE, *resource.methods):
                message = f'inverse: the resource has no method "{method.inverse}"'
                yield self._unknown(message, method.inverse, resource.methods, self._value(*at, "inverse"))

    def _parameters(self, where: Keys, method: manifest.Method) -> Iterator[ManifestError]:
        for group, parameters in (("path", method.path), ("query", method.query), ("body", method.body)):
            for name, parameter in parameters.items():
                yield from self._versions((*where, group, name), parameter.versions)
        path = method.http.split(" ", 1)[1]
        placeholders = list(path_placeholders(path))
        bare = path
        for placeholder in placeholders:
            bare = bare.replace(f"{{{placeholder}}}", "", 1)
        if "{" in bare or "}" in bare or "" in placeholders:
            yield ManifestError(f"unbalanced or empty braces in the path {path}", place=self._value(*where, "http"))
        for name, count in Counter(placeholders).items():
            if count > 1:
                yield ManifestError(f"{{{name}}} stands twice in the path {path}", place=self._value(*where, "http"))
        for name, parameter in method.path.items():
            wire = parameter.name or name
            if wire not in placeholders:
                message = f'"{wire}" is not in the path {path}'
                yield self._unknown(message, wire, placeholders, self._key(*where, "path", name))
        for name in method.query:
            if name in (*method.path, *placeholders):
                message = f'the path has a parameter "{name}" too; give one of them another name in SQL'
                yield ManifestError(message, place=self._key(*where, "query", name))
        for name in method.body:
            # Elsewhere the prefix data__ tells them apart.
            if method.sql == "SELECT" and name in (*method.path, *placeholders, *method.query):
                message = f'path or query have a parameter "{name}" too; give one of them another name in SQL'
                yield ManifestError(message, place=self._key(*where, "body", name))

    def _sending(self, where: Keys, method: manifest.Method) -> Iterator[ManifestError]:
        """Which budget counts a method's requests, and whether they may be repeated."""
        if method.limit is not None and method.limit not in self.limit_groups:
            message = f'no limit group "{method.limit}"'
            yield self._unknown(message, method.limit, self.limit_groups, self._value(*where, "limit"))
        if method.idempotency is not None and method.http.startswith("GET "):
            message = "a GET is repeated in any case; idempotency is for methods that change something"
            yield ManifestError(message, place=self._key(*where, "idempotency"))

    def _row(self, where: Keys, method: manifest.Method) -> Iterator[ManifestError]:
        """Whether an answer of one row is not declared to be a list as well."""
        if method.row != "$" and (method.rows != "$" or method.paginate is not None or method.rows_omitted):
            message = "row is one object, and rows, rows_omitted and paginate are about a list"
            yield ManifestError(message, place=self._key(*where, "row"), remedy="Leave out row, or the others.")

    def _paging(
        self, where: Keys, method: manifest.Method, fields: Mapping[str, manifest.ResourceField]
    ) -> Iterator[ManifestError]:
        """Whether a pagination fits the method that uses it."""
        if method.paginate is None:
            return
        place, said = self._value(*where, "paginate"), f'pagination "{method.paginate}"'
        rule = self.pagination.get(method.paginate)
        if rule is None:
            yield self._unknown(f"no {said}", method.paginate, self.pagination, place)
            return
        rows = path_keys(method.rows)
        for path in rule.paths:
            shorter = min(len(rows), len(path_keys(path)))
            if path_keys(path)[:shorter] == rows[:shorter]:
                message = f"{said} reads {path}, and the rows are declared at {method.rows}"
                yield ManifestError(message, place=place, remedy="Correct rows, or the pagination's paths.")
        if rule.location == "body" and method.http.startswith(("GET ", "DELETE ")):
            message = f"{said} puts its parameters into the body, and {method.http} has none"
            yield ManifestError(message, place=place, remedy="Leave out in: body.")
        if rule.kind == "keyset" and rule.field not in fields:
            yield self._unknown(f'{said} goes on from "{rule.field}", which is no field', rule.field, fields, place)
        if rule.kind == "time_window":
            given = method.body if rule.location == "body" else method.query
            required = [p.name or name for name, p in given.items() if p.required]
            for name in (rule.from_, rule.to):
                if name not in required:
                    message = f'{said} needs "{name}" as a required parameter of the {rule.location}'
                    yield self._unknown(message, name, required, place)

    def _list(self, where: Keys, method: manifest.Method, resource: manifest.Resource) -> Iterator[ManifestError]:
        """How a method's rows come: pushdown, order."""
        inputs, fields = _inputs(method), resource.fields
        for field, declared in method.pushdown.items():
            if field not in fields:
                at = (*where, "pushdown", field)
                yield self._unknown(f'pushdown "{field}" is no field', field, fields, self._key(*at))
            for i, push in enumerate(method.pushdowns(field)):
                at = (*where, "pushdown", field, *([i] if isinstance(declared, list) else []))
                if push.param not in inputs:
                    message = f'no parameter "{push.param}"'
                    yield self._unknown(message, push.param, inputs, self._value(*at, "param"))
                elif field in fields:
                    yield from self._types(at, fields[field], method, push)
        if by := method.sorted_by:
            at = (*where, "sorted_by")
            if by.field not in fields:
                message = f'sorted_by "{by.field}" is no field'
                yield self._unknown(message, by.field, fields, self._value(*at, "field"))
            if by.param is not None and by.param not in inputs:
                message = f'no parameter "{by.param}"'
                yield self._unknown(message, by.param, inputs, self._value(*at, "param"))
            if by.reversible and (by.param is None or not resource.key):
                lacking = "the param that sets the direction" if by.param is None else "the resource's key"
                message = f"reversible needs {lacking}"
                yield ManifestError(message, place=self._key(*at, "reversible"))

    def _types(
        self, at: Keys, field: manifest.ResourceField, method: manifest.Method, push: manifest.Pushdown
    ) -> Iterator[ManifestError]:
        """Whether a parameter can take the values that its field is compared with; text takes any."""
        taken = next((p for n, p in (*method.query.items(), *method.path.items()) if push.param == n), None)
        type_ = parse_type(taken.type if taken is not None else "string")
        if push.operator != "=":
            if unordered := {type_.base, parse_type(field.type).base} - _ORDERED:
                message = f'operator "{push.operator}" compares values that have no order: {", ".join(unordered)}'
                yield ManifestError(message, place=self._value(*at, "operator"))
        elif type_.base != "string" and type_.duckdb != parse_type(field.type).duckdb:
            message = f'the field is {field.type}, and its parameter "{push.param}" is {type_}'
            remedy = "Give both the same type, or the parameter the type string."
            yield ManifestError(message, place=self._value(*at, "param"), remedy=remedy)

    def _returns(self, where: Keys, method: manifest.Method) -> Iterator[ManifestError]:
        if isinstance(method.returns, dict):
            for name, field in method.returns.items():
                yield from self._versions((*where, "returns", name), field.versions)

    def _awaiting(self, where: Keys, method: manifest.Method) -> Iterator[ManifestError]:
        """Whether one can look at an operation, and give it what it wants, with what its object has."""
        rule = method.await_
        if rule is None:
            return
        at = (*where, "await")
        reading = self._named(rule.method)
        if reading is None:
            yield self._no_method(rule.method, self._value(*at, "method"))
        else:
            if reading.sql != "SELECT" or reading.rows != "$":
                message = f"{rule.method} does not read one object"
                yield ManifestError(message, place=self._value(*at, "method"))
            inputs = _inputs(reading)
            for name in rule.parameters:
                if name not in inputs:
                    message = f'no parameter "{name}" of {rule.method}'
                    yield self._unknown(message, name, inputs, self._key(*at, "parameters", name))
            yield from self._covered(at, rule.method, reading, (*rule.parameters, *_path_inputs(method)))
        if rule.wanted is None:
            return
        giving = self._named(rule.wanted.method)
        if giving is None:
            yield self._no_method(rule.wanted.method, self._value(*at, "wanted", "method"))
            return
        yield from self._covered(at, rule.wanted.method, giving, (*rule.parameters, *_path_inputs(method)))
        if rule.wanted.param not in giving.body:
            message = f'no parameter "{rule.wanted.param}" in the body of {rule.wanted.method}'
            yield self._unknown(message, rule.wanted.param, giving.body, self._value(*at, "wanted", "param"))

    def _covered(
        self, at: Keys, name: str, method: manifest.Method, parameters: Iterable[str]
    ) -> Iterator[ManifestError]:
        """Each part of a method's path has a place in the object, or in the path of the method that began it."""
        known = list(parameters)
        for part in _path_inputs(method):
            if part not in known:
                yield ManifestError(f'await: parameters lacks "{part}", which {name} needs', place=self._key(*at))

    def _streaming(self, where: Keys, method: manifest.Method) -> Iterator[ManifestError]:
        stream, at = method.stream, (*where, "stream")
        if stream is None:
            return
        switches = [n for group in (method.query, method.body) for n, p in group.items() if p.streams]
        if method.sql != "EXEC" and not switches:
            message = "a method that always answers with a stream is called with EXEC"
            yield ManifestError(message, place=self._value(*where, "sql"), remedy="Write sql: EXEC.")
        if stream.resume is None:
            return
        if not method.http.startswith("GET "):
            message = "only a GET is resumed: another method would be called twice"
            yield ManifestError(message, place=self._key(*at, "resume"))
        if stream.resume.param is not None and stream.resume.param not in method.query:
            message = f'no parameter "{stream.resume.param}" in the query'
            yield self._unknown(message, stream.resume.param, method.query, self._value(*at, "resume", "param"))

    def _files(self, where: Keys, method: manifest.Method, resource: manifest.Resource) -> Iterator[ManifestError]:
        """Where files may stand: as parts of a body, and as the whole of an answer."""
        files = [n for n, p in method.body.items() if p.type == "file"]
        for group, parameters in (("path", method.path), ("query", method.query)):
            for name, parameter in parameters.items():
                if parameter.type == "file":
                    yield ManifestError("a file stands in the body", place=self._value(*where, group, name, "type"))
        if files and method.http.startswith(("GET ", "DELETE ")):
            message = f"{method.http} has no body for the file"
            yield ManifestError(message, place=self._value(*where, "body", files[0], "type"))
        for name, parameter in method.body.items():
            if parameter.filename_of is not None and parameter.filename_of not in files:
                message = f'filename_of: "{parameter.filename_of}" is no parameter of type file'
                at = (*where, "body", name, "filename_of")
                yield self._unknown(message, parameter.filename_of, files, self._value(*at))
        if not method.binary:
            return
        place = self._key(*where, "binary")
        if method.sql not in ("SELECT", "EXEC") or not method.http.startswith("GET "):
            message = "binary is for a GET that serves SELECT or EXEC"
            yield ManifestError(message, place=place)
        if method.sql == "EXEC" and (taken := {"to", "overwrite", "max_bytes"} & {*_inputs(method), *method.body}):
            message = f"EXEC takes {' and '.join(sorted(taken))} to say where the file goes; give yours another name"
            yield ManifestError(message, place=place)
        if method.sql == "SELECT" and [f.type for f in resource.fields.values()].count("file") != 1:
            message = "binary needs one field of type file, which takes the answer"
            yield ManifestError(message, place=place)
        if method.paginate is not None or method.rows != "$" or method.row != "$":
            yield ManifestError("a binary answer has neither rows nor pages", place=place)

    def _named(self, path: str) -> manifest.Method | None:
        """The method of this service that a full name means."""
        resource, _, name = path.removeprefix(f"{self.provider}.{self.model.service}.").partition(".")
        return self.model.resources[resource].methods.get(name) if resource in self.model.resources else None

    def _no_method(self, name: str, place: Place) -> ManifestError:
        own = f"{self.provider}.{self.model.service}"
        known = [f"{own}.{r}.{m}" for r, resource in self.model.resources.items() for m in resource.methods]
        return self._unknown(f'no method "{name}"', name, known, place)

    def _aliases(self, where: Keys, name: str, methods: Mapping[str, manifest.Method]) -> Iterator[ManifestError]:
        """A name means one method in each version; the later of two is at fault."""
        method = methods[name]
        earlier = list(methods)[: list(methods).index(name)]
        for i, alias in enumerate(method.aliases):
            for other_name, other in methods.items():
                taken = alias == other_name or (other_name in earlier and alias in other.aliases)
                if taken and _meet(method.versions, other.versions):
                    yield ManifestError(
                        f'"{alias}" already means {other_name}', place=self._value(*where, "aliases", i)
                    )

    def _versions(self, where: Keys, versions: list[str] | None) -> Iterator[ManifestError]:
        known = self.model.versions.all if self.model.versions else []
        for i, version in enumerate(versions or ()):
            if version not in known:
                message = f'the service has no version "{version}"'
                yield self._unknown(message, version, known, self._value(*where, "versions", i))

    def _key(self, *keys: str | int) -> Place:
        return self.document.place(keys)

    def _value(self, *keys: str | int) -> Place:
        return self.document.value_place(keys)

    @staticmethod
    def _unknown(message: str, name: str, candidates: Iterable[str], place: Place) -> ManifestError:
        return ManifestError(message, place=place, remedy=did_you_mean(name, candidates))


def _inputs(method: manifest.Method) -> list[str]:
    """SQL's names of what a method takes, in any version."""
    return [*_path_inputs(method), *method.query, *method.body]


def _path_inputs(method: manifest.Method) -> list[str]:
    """SQL's names of what a method takes in the path."""
    declared = {p.name or n: n for n, p in method.path.items()}
    return [declared.get(p, p) for p in path_placeholders(method.http)]


def _meet(one: list[str] | None, other: list[str] | None) -> bool:
    return one is None or other is None or bool(set(one) & set(other))
