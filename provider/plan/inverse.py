"""What undoes a write, as far as the manifest tells: which method, where its values come from, and the statement.

An INSERT is undone by the resource's DELETE, if the answer and the call say which object it is; an UPDATE by another
one with the values that the object had before. A DELETE and anything else is undone only where the manifest names an
`inverse`. Where it says `inverse: none`, nothing does: a mail that was sent can be deleted, and has been read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from provider.catalog.catalog import NO_INVERSE, Field, Method, Parameter, Resource
from provider.rest.exact import Json, written
from provider.sql.identifiers import identifier

#: Where a value of an inverse is found: in the call, in its answer, or in the object as it was before.
Source = Literal["call", "answer", "before"]


@dataclass(frozen=True, slots=True)
class Taken:
    """Where a parameter's value comes from: `name` is that of a field, or of the call's parameter."""

    parameter: Parameter
    source: Source
    name: str


@dataclass(frozen=True, slots=True)
class Inverse:
    """The call that undoes another one. `caveat` says what will not be as before, '' where nothing is known."""

    resource: Resource
    method: Method
    takes: tuple[Taken, ...]
    caveat: str = ""

    @property
    def before(self) -> tuple[tuple[Parameter, Field], ...]:
        """The fields that have to be read before, each with the parameter that sets it again."""
        found = ((t.parameter, self.resource.field(t.name)) for t in self.takes if t.source == "before")
        return tuple((parameter, field) for parameter, field in found if field is not None)

    def statement(
        self, call: Mapping[str, Json], answer: Mapping[str, Json], before: Mapping[str, Json] | None
    ) -> str | None:
        """The statement that undoes one call.

        Args:
            call: the values of its parameters.
            answer: the fields of its answer.
            before: the values to set again, by parameter; None where the object was not found.

        Returns:
            None where a value is missing that it needs.
        """
        if self.before and before is None:
            return None
        found: dict[Source, Mapping[str, Json]] = {"call": call, "answer": answer, "before": before or {}}
        values = {t.parameter: found[t.source].get(t.name) for t in self.takes}
        if any(value is None and parameter.required for parameter, value in values.items()):
            return None
        if self.method.verb == "INSERT":  # where NULL means "not given"
            values = {parameter: value for parameter, value in values.items() if value is not None}
        return _statement(self.resource, self.method, values)


@dataclass(frozen=True, slots=True)
class Irreversible:
    """Nothing undoes a call, for this reason."""

    reason: str


def inverse_of(resource: Resource, method: Method, given: Collection[str]) -> Inverse | Irreversible:
    """What undoes a call of a method.

    Args:
        given: the parameters that the call has a value for, by name.
    """
    if method.inverse == NO_INVERSE:
        return Irreversible(f"the manifest says that nothing undoes {method.name}")
    if method.inverse is not None and (declared := resource.method(method.inverse)) is not None:
        return _declared(resource, method, declared, given)
    if method.verb == "INSERT":
        return _deleted(resource, method, given)
    if method.verb in ("UPDATE", "REPLACE"):
        return _set_back(resource, method, given)
    return Irreversible(f"the manifest names no inverse of {method.name}")


def reading(
    resource: Resource, method: Method, inverses: Iterable[Inverse], calls: Iterable[Mapping[str, Json]]
) -> tuple[str, tuple[Parameter, ...], tuple[Field, ...]]:
    """The query for objects as they are now, which calls of a method are about to change.

    Args:
        calls: the values of the calls' parameters.

    Returns:
        SQL, the parameters that are its first columns and tell the objects apart, and the fields behind them.
    """
    keys = _keys(method)
    fields = tuple(dict.fromkeys(field for inverse in inverses for _, field in inverse.before))
    named = [identifier(key.name) for key in keys]
    columns = ", ".join([*named, *(identifier(field.name) for field in fields)])
    rows = dict.fromkeys(_row([_literal(key, call[key.name]) for key in keys]) for call in calls)
    return f"SELECT {columns} FROM {resource.id} WHERE {_row(named)} IN ({', '.join(rows)})", keys, fields


def _row(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"({', '.join(items)})"


def _keys(method: Method) -> tuple[Parameter, ...]:
    return tuple(p for p in method.parameters if p.addresses)


def _deleted(resource: Resource, method: Method, given: Collection[str]) -> Inverse | Irreversible:
    """What is made is deleted."""
    methods = resource.methods_for("DELETE")
    if not methods:
        return Irreversible(f"{resource.id} has no DELETE method")
    for delete in methods:
        if takes := _named(resource, method, delete, given):
            return Inverse(resource, delete, takes)
    return Irreversible(f"the answer of {method.name} does not say what {methods[0].name} would have to delete")


def _set_back(resource: Resource, method: Method, given: Collection[str]) -> Inverse | Irreversible:
    """What is changed is set back: what was given, or all that there is where an object loses what is left out."""
    keys = _keys(method)
    settable = [p for p in method.parameters if not p.addresses and p.type.base != "file"]
    changed = [p for p in settable if p.name in given or not method.merges]
    untold = [p.name for p in changed if resource.field(p.name) is None]
    if untold:
        return Irreversible(f"the API does not tell {' and '.join(untold)}, which {method.name} sets")
    if not keys or not _readable(resource, keys):
        return Irreversible(f"no SELECT method reads one object of {resource.id}")
    takes = [Taken(p, "call", p.name) for p in keys] + [Taken(p, "before", p.name) for p in changed]
    return Inverse(resource, method, tuple(takes))


def _declared(resource: Resource, method: Method, inverse: Method, given: Collection[str]) -> Inverse | Irreversible:
    """The method that the manifest names."""
    if inverse.verb != "INSERT":
        takes = _named(resource, method, inverse, given)
        return Inverse(resource, inverse, takes) if takes else Irreversible(f"{inverse.name} lacks a value")
    if not _readable(resource, _keys(method)):
        return Irreversible(f"no SELECT method reads one object of {resource.id}")
    made: list[Taken] = []
    untold: list[str] = []
    for parameter in inverse.parameters:
        if parameter.name in given:
            made.append(Taken(parameter, "call", parameter.name))
        elif resource.field(parameter.name) is not None:
            made.append(Taken(parameter, "before", parameter.name))
        elif parameter.location == "body":
            untold.append(parameter.name)
    same = {taken.name for taken in made}
    caveats = [f"under another {field}" for field, key in resource.key.items() if not same & {field, key}]
    if untold:
        caveats.append(f"without {' and '.join(untold)}, which the API does not tell")
    return Inverse(resource, inverse, tuple(made), " and ".join(caveats))


def _named(resource: Resource, method: Method, inverse: Method, given: Collection[str]) -> tuple[Taken, ...]:
    """Where the parameters come from without which an inverse cannot be called; () if one of them is not known."""
    answered = {field.name for field in method.returns}
    found: list[Taken] = []
    for parameter in inverse.required:
        field = resource.key_field(parameter.name) or parameter.name
        if parameter.name in given:
            found.append(Taken(parameter, "call", parameter.name))
        elif field in answered:
            found.append(Taken(parameter, "answer", field))
        else:
            return ()
    return tuple(found)


def _readable(resource: Resource, keys: Sequence[Parameter]) -> bool:
    """Whether a SELECT method answers the object that these parameters name."""
    names = {p.name for p in keys}
    return any(not m.is_list and {p.name for p in m.required} == names for m in resource.methods_for("SELECT"))


def _statement(resource: Resource, method: Method, values: Mapping[Parameter, Json]) -> str:
    several = method.verb != "EXEC" and len(resource.methods_for(method.verb)) > 1
    target = f"{resource.id}.{method.name}" if several or method.verb == "EXEC" else resource.id
    named = {p: (identifier(p.name), _literal(p, value)) for p, value in values.items()}
    if method.verb == "EXEC":
        return f"EXEC {target} {', '.join(f'@{p.name}={value}' for p, (_, value) in named.items())}"
    if method.verb == "INSERT":
        columns = ", ".join(name for name, _ in named.values())
        return f"INSERT INTO {target} ({columns}) VALUES ({', '.join(value for _, value in named.values())})"
    conditions = " AND ".join(f"{name} = {value}" for p, (name, value) in named.items() if p.addresses)
    if method.verb == "DELETE":
        return f"DELETE FROM {target} WHERE {conditions}"
    changes = ", ".join(f"{name} = {value}" for p, (name, value) in named.items() if not p.addresses)
    return f"{method.verb} {target} SET {changes} WHERE {conditions}"


def _literal(parameter: Parameter, value: Json) -> str:
    """A value in SQL; what may be structure or text says which it is."""
    if value is None:
        return "NULL"
    if parameter.type.base == "any":
        return f"JSON({_quoted(written(value).decode())})"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return _quoted(written(value).decode())
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    """Text in SQL that comes through a terminal, an error's lines and a script's placeholders as it is.

    What would not is set together: 'a' || chr(10) || 'b'.
    """
    parts = (part for part in re.split(r"(?<={)(?={)", text) for part in _shown(part))
    return " || ".join(parts) or "''"


def _shown(text: str) -> Iterator[str]:
    """The pieces of a text: strings of what is printed as it is, and the characters between them by their number."""
    for printable, characters in groupby(text, str.isprintable):
        if printable:
            yield "'" + "".join(characters).replace("'", "''") + "'"
        else:
            yield from (f"chr({ord(c)})" for c in characters)
