"""What a service takes over from another place of the manifests, so that it is written once.

`fields_of`, `parameters_of` and `returns` name a resource or a method, of the same service or of any other. From
another service the definitions are taken as its default API version has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from provider.catalog import manifest
from provider.catalog.yamltext import Document, Keys
from provider.errors import BindError, ManifestError, did_you_mean

#: Reads a service's document, by the provider's name and its own; BindError where there is none.
Read = Callable[[str, str], tuple[Document, manifest.ServiceDocument]]
Fields = dict[str, manifest.ResourceField]

_Defined = TypeVar("_Defined", manifest.ResourceField, manifest.Parameter)


@dataclass(frozen=True, slots=True)
class Home:
    """A service's document, and the provider that it belongs to."""

    provider: str
    document: Document
    model: manifest.ServiceDocument

    @property
    def id(self) -> str:
        """`provider.service`."""
        return f"{self.provider}.{self.model.service}"


def completed(home: Home, read: Read) -> tuple[manifest.ServiceDocument, list[ManifestError]]:
    """A service's document with what it takes over, as if that were written there.

    Returns:
        The document, and one error for each name that leads nowhere or in a circle.
    """
    definitions = _Definitions(read)
    resources = {
        name: resource.model_copy(
            update={
                "fields": definitions.fields(home, name),
                "methods": {
                    m: method.model_copy(
                        update={
                            "query": definitions.parameters(home, name, m, "query"),
                            "body": definitions.parameters(home, name, m, "body"),
                            "returns": definitions.returns(home, name, m),
                        }
                    )
                    for m, method in resource.methods.items()
                },
            }
        )
        for name, resource in home.model.resources.items()
    }
    return home.model.model_copy(update={"resources": resources}), list(definitions.problems.values())


@dataclass(frozen=True, slots=True)
class _Definitions:
    read: Read
    #: By the place of the name that leads nowhere.
    problems: dict[tuple[str, Keys], ManifestError] = field(default_factory=dict)

    def fields(self, home: Home, resource: str, trail: tuple[str, ...] = ()) -> Fields:
        """The fields of a resource: what it takes over in front, replaced by its own of the same names."""
        said = home.model.resources[resource]
        at = ("resources", resource, "fields_of")
        found = self._named(home, at, said.fields_of, 1, (*trail, f"{home.id}.{resource}"))
        if found is None:
            return dict(said.fields)
        there, (shared,), trail = found
        return {**_spoken(there, home, self.fields(there, shared, trail)), **said.fields}

    def parameters(
        self, home: Home, resource: str, method: str, location: str, trail: tuple[str, ...] = ()
    ) -> dict[str, manifest.Parameter]:
        """The parameters of a method in the query or in the body, as `fields`."""
        said = home.model.resources[resource].methods[method]
        own: dict[str, manifest.Parameter] = said.query if location == "query" else said.body
        at = ("resources", resource, "methods", method, "parameters_of")
        found = self._named(home, at, said.parameters_of, 2, (*trail, f"{home.id}.{resource}.{method}"))
        if found is None:
            return dict(own)
        there, (other, shared), trail = found
        return {**_spoken(there, home, self.parameters(there, other, shared, location, trail)), **own}

    def returns(self, home: Home, resource: str, method: str, trail: tuple[str, ...] = ()) -> Fields | None:
        """The fields of a method's answer; None where they are the resource's."""
        said = home.model.resources[resource].methods[method].returns
        if not isinstance(said, str):
            return said
        at, here = ("resources", resource, "methods", method, "returns"), f"{home.id}.{resource}.{method}"
        size = max(1, min(2, said.count(".") - 1))
        found = self._named(home, at, said, size, (*trail, here))
        if found is None:
            return {}
        there, names, trail = found
        answer = None if len(names) == 1 else self.returns(there, names[0], names[1], trail)
        return _spoken(there, home, self.fields(there, names[0]) if answer is None else answer)

    def _named(
        self, home: Home, at: Keys, name: str | None, size: int, trail: tuple[str, ...]
    ) -> tuple[Home, list[str], tuple[str, ...]] | None:
        """Where a full name leads, and the resource and method there; None where none is given or it leads nowhere."""
        if name is None:
            return None
        place = home.document.value_place(at)

        def problem(summary: str, remedy: str = "") -> None:
            self.problems[home.id, at] = ManifestError(summary, place=place, remedy=remedy)

        what = "resource" if size == 1 else "method"
        provider, service, *names = f"{name}...".split(".")[: 2 + size]
        try:
            there = home if f"{provider}.{service}" == home.id else Home(provider, *self.read(provider, service))
        except BindError as e:
            problem(f'no {what} "{name}": {e.summary}', e.remedy)
            return None
        known = list(_names(there, size))
        if name not in known:
            problem(f'no {what} "{name}"', did_you_mean(name, known))
            return None
        if name in trail:
            problem(f"{at[-1]} leads in a circle: {' -> '.join((*trail, name))}")
            return None
        return there, names, trail


def _names(home: Home, size: int) -> Iterator[str]:
    """The full names of a service's resources, or of its methods."""
    for name, resource in home.model.resources.items():
        if size == 1:
            yield f"{home.id}.{name}"
        else:
            yield from (f"{home.id}.{name}.{method}" for method in resource.methods)


def _spoken(there: Home, here: Home, defined: dict[str, _Defined]) -> dict[str, _Defined]:
    """Definitions as another service takes them over: those of the default version, which say no version then."""
    if there.id == here.id:
        return defined
    version = there.model.versions.default if there.model.versions else None
    return {
        name: one.model_copy(update={"versions": None})
        for name, one in defined.items()
        if one.versions is None or version in one.versions
    }
