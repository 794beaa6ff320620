"""What a resource lets one write: the methods of a verb, and the parameters that columns mean to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter, Resource
from provider.errors import BindError, Place, did_you_mean
from provider.plan.names import Names
from provider.plan.syntax import span
from provider.sql.scanner import Text

if TYPE_CHECKING:
    from provider.catalog.manifest import Verb


@dataclass(frozen=True, slots=True)
class Writable:
    """The target of a write: a resource, and where the statement names it.

    `forced` is the method that the name's fourth part chose.
    """

    resource: Resource
    text: Text
    place: Place
    forced: Method | None = None

    @staticmethod
    def named(table: exp.Table, path: tuple[str, ...], names: Names, text: Text) -> Writable:
        """The target that a table's name means; `path` is provider, service, resource and perhaps a method.

        Raises:
            BindError: there is no such resource or method.
        """
        place = text.place(*span(table.parts))
        resource = names.catalog.resource(path[0], path[1], path[2], place)
        forced = method_of(resource, path[3], place) if len(path) > 3 else None
        return Writable(resource, text, place, forced)

    def method(self, verb: Verb, columns: Sequence[exp.Identifier]) -> Method:
        """The method of a verb that takes these columns; else the first one, so that an error can name them.

        Raises:
            BindError: the resource has no method for the verb.
        """
        methods = (self.forced,) if self.forced else self.resource.methods_for(verb)
        if not methods:
            raise self._no_method(verb)
        names = [c.name for c in columns]
        able = [m for m in methods if all(m.parameter(n) for n in names)]
        given = {n.removeprefix("data__") for n in names}
        complete = (m for m in able if {p.name for p in m.required if not p.addresses} <= given)
        return next(complete, able[0] if able else methods[0])

    def parameters(self, method: Method, columns: Sequence[exp.Identifier]) -> tuple[Parameter, ...]:
        """What each column means to a method.

        Raises:
            BindError: the method does not take a column, or one is given twice.
        """
        found: list[Parameter] = []
        for column in columns:
            parameter = self._parameter(method, column)
            if parameter in found:
                raise BindError(f'column "{parameter.name}" is given twice', place=self._at(column))
            found.append(parameter)
        return tuple(found)

    def settable(self, method: Method, columns: Sequence[exp.Identifier]) -> tuple[Parameter, ...]:
        """`parameters` for SET, which cannot change a key."""
        found = self.parameters(method, columns)
        for parameter, column in zip(found, columns, strict=True):
            if parameter.addresses:
                raise BindError(
                    f"{parameter.name} is the key of {self.resource.id} and cannot be set", place=self._at(column)
                )
        return found

    def require(self, method: Method, given: Iterable[Parameter]) -> None:
        """Check that nothing is missing that a method requires.

        Raises:
            BindError: it names what is missing.
        """
        names = {p.name for p in given}
        missing = [p.sql_name for p in method.required if p.name not in names]
        if missing:
            raise BindError(
                f"{self.resource.id} needs {' and '.join(missing)}",
                place=self.place,
                reason=f"{method.name} ({method.http}) requires {'it' if len(missing) == 1 else 'them'}.",
                remedy=f"SHOW METHODS IN {self.resource.id} lists what each method requires.",
            )

    def key_field(self, key: Parameter) -> str:
        """The column that carries a path parameter in the resource's rows."""
        return self.resource.key_field(key.name) or key.name

    def has_column(self, name: str) -> bool:
        """Whether a name can mean a column of the resource: a field, or a parameter."""
        resource = self.resource
        return resource.field(name) is not None or any(m.parameter(name) is not None for m in resource.methods)

    def _parameter(self, method: Method, column: exp.Identifier) -> Parameter:
        found = method.parameter(column.name)
        if found is not None:
            return found
        plain = column.name.removeprefix("data__")
        if versions := self.resource.elsewhere.get(plain):
            only = f'{self.resource.id} has "{plain}" in {" and ".join(versions)} of the API only'
            raise BindError(only, place=self._at(column))
        reason = f"{method.name} ({method.http}) does not take it."
        if self.resource.field(plain) is not None or plain in self.resource.key.values():
            reason = f"It is read-only: {reason}"
        raise BindError(
            f'no column "{column.name}" to write in {self.resource.id}',
            place=self._at(column),
            reason=reason,
            remedy=did_you_mean(plain, [p.name for p in method.parameters]),
        )

    def _no_method(self, verb: Verb) -> BindError:
        if other := self.resource.verbs_elsewhere.get(verb):
            name, versions = other
            only = f"{self.resource.id} has {name} for {verb} in {' and '.join(versions)} of the API only"
            return BindError(only, place=self.place)
        verbs = dict.fromkeys(m.verb for m in self.resource.methods)
        return BindError(
            f"{self.resource.id} has no {verb} method", place=self.place, remedy=f"It has {', '.join(verbs)}."
        )

    def _at(self, column: exp.Identifier) -> Place:
        return self.text.place(*span([column]))


def method_of(resource: Resource, name: str, place: Place) -> Method:
    """The method of a resource that a statement names.

    Raises:
        BindError: there is none of that name.
    """
    method = resource.method(name)
    if method is not None:
        return method
    if versions := resource.elsewhere.get(name):
        raise BindError(f"{resource.id}.{name} exists in {' and '.join(versions)} of the API only", place=place)
    remedy = did_you_mean(name, [m.name for m in resource.methods])
    raise BindError(f'{resource.id} has no method "{name}"', place=place, remedy=remedy)
