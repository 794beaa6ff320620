"""What a service's document refers to must exist: checks that no single value can make on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from provider.catalog import manifest
from provider.catalog.catalog import path_placeholders
from provider.catalog.yamltext import Document, Keys
from provider.errors import ManifestError, Place, did_you_mean


def dangling(
    document: Document, model: manifest.ServiceDocument, provider: str, pagination: Iterable[str]
) -> list[ManifestError]:
    """All references of a document that lead nowhere, in every API version.

    Args:
        document: for the places of errors.
        model: the same document, validated.
        provider: name of the provider.
        pagination: names of the provider's paginations.

    Returns:
        One error a problem; empty when all is well.
    """
    return list(_Checks(document, model, provider, tuple(pagination)).service())


@dataclass(frozen=True, slots=True)
class _Checks:
    document: Document
    model: manifest.ServiceDocument
    provider: str
    pagination: tuple[str, ...]

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
            if parameter not in inputs:
                message = f'key: no method has the parameter "{parameter}"'
                yield self._unknown(message, parameter, inputs, self._value(*where, "key", name))
        for name, method in resource.methods.items():
            at = (*where, "methods", name)
            yield from self._versions(at, method.versions)
            yield from self._parameters(at, method)
            yield from self._list(at, method, resource.fields)
            yield from self._returns(at, method)
            yield from self._aliases(at, name, resource.methods)

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

    def _list(
        self, where: Keys, method: manifest.Method, fields: Mapping[str, manifest.ResourceField]
    ) -> Iterator[ManifestError]:
        """How a method's rows come: paging, pushdown, order."""
        inputs = _inputs(method)
        if method.paginate is not None and method.paginate not in self.pagination:
            message = f'no pagination "{method.paginate}"'
            yield self._unknown(message, method.paginate, self.pagination, self._value(*where, "paginate"))
        for field, push in method.pushdown.items():
            at = (*where, "pushdown", field)
            if field not in fields:
                yield self._unknown(f'pushdown "{field}" is no field', field, fields, self._key(*at))
            if push.param not in inputs:
                message = f'no parameter "{push.param}"'
                yield self._unknown(message, push.param, inputs, self._value(*at, "param"))
        if by := method.sorted_by:
            at = (*where, "sorted_by")
            if by.field not in fields:
                message = f'sorted_by "{by.field}" is no field'
                yield self._unknown(message, by.field, fields, self._value(*at, "field"))
            if by.param is not None and by.param not in inputs:
                message = f'no parameter "{by.param}"'
                yield self._unknown(message, by.param, inputs, self._value(*at, "param"))

    def _returns(self, where: Keys, method: manifest.Method) -> Iterator[ManifestError]:
        answer = method.returns
        if isinstance(answer, str):
            own = f"{self.provider}.{self.model.service}."
            if answer.removeprefix(own) not in self.model.resources:
                known = [own + n for n in self.model.resources]
                yield self._unknown(f'no resource "{answer}"', answer, known, self._value(*where, "returns"))
        else:
            for name, field in (answer or {}).items():
                yield from self._versions((*where, "returns", name), field.versions)

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
    """SQL's names of what a method takes in the path and the query, in any version."""
    declared = {p.name or n: n for n, p in method.path.items()}
    return [declared.get(p, p) for p in path_placeholders(method.http)] + list(method.query)


def _meet(one: list[str] | None, other: list[str] | None) -> bool:
    return one is None or other is None or bool(set(one) & set(other))
