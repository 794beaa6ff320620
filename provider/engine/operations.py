"""Where a long operation stands, read from its object by the manifest's rule, and the statements that go on with it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from provider.catalog.catalog import Method, Resource, path_placeholders
from provider.errors import ApiError, Place
from provider.rest.body import text_at, values_at
from provider.rest.request import Call, build

if TYPE_CHECKING:
    from provider.catalog.loader import Catalog
    from provider.catalog.waiting import Await

Meaning = Literal["on the way", "done", "failed", "wanted"]


@dataclass(frozen=True, slots=True)
class Standing:
    """An operation at a moment: its id, the API's word for its state, and what that means.

    `state` is '' where the object has none, and 'gone' where there is no object any more.
    """

    id: str
    state: str
    meaning: Meaning

    def __str__(self) -> str:
        return f"{self.id}: {self.state}"


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations that calls of one method begin.

    Attributes:
        method: the method that begins them.
        resource: what `reading` reads.
        reading: the method that reads the object.
        giving: the method that takes what it wants, None where it never does.
    """

    rule: Await
    method: Method
    resource: Resource
    reading: Method
    giving: Method | None

    @staticmethod
    def of(method: Method, catalog: Catalog) -> Operations | None:
        """The operations of a method, None where the manifest says nothing of any."""
        rule = method.awaits
        if rule is None:
            return None
        resource, reading = _method(catalog, rule.method)
        giving = _method(catalog, rule.wanted.method)[1] if rule.wanted is not None else None
        return Operations(rule, method, resource, reading, giving)

    def standing(self, body: bytes) -> Standing:
        """Where the operation stands whose object this is."""
        id_ = text_at(body, f"$.{next(iter(self.resource.key), 'id')}") or "the operation"
        state = text_at(body, self.rule.state) or ""
        return Standing(id_, state, self._meaning(state))

    def gone(self, before: Standing) -> Standing:
        """Where an operation stands that has no object any more."""
        return Standing(before.id, "gone", self.rule.gone)

    def read(self, body: bytes, begun: Call) -> Call:
        """The call that reads the object again; BindError where neither it nor the first call has what is needed."""
        return build(self.reading, self._parameters(self.reading, body, begun))

    def look(self, body: bytes, begun: Call) -> str:
        """A statement that shows the object."""
        values = self._parameters(self.reading, body, begun).items()
        where = " AND ".join(f"{name} = {_literal(value)}" for name, value in values)
        return f"SELECT * FROM {self.resource.id} WHERE {where}"

    def error(self, standing: Standing, body: bytes, place: Place) -> ApiError:
        """The error of an operation that failed, with the API's own words."""
        said = (text_at(body, path) for path in self.rule.error)
        return ApiError(
            f"{standing.id} ended as {standing.state}",
            status=200,
            code=text_at(body, self.rule.code) if self.rule.code is not None else None,
            place=place,
            detail=next((words for words in said if words), ""),
        )

    def request(self, standing: Standing, body: bytes, begun: Call, hint: str) -> str:
        """What the operation asks of its caller, and the statement that gives it."""
        rule, giving = self.rule.wanted, self.giving
        assert rule is not None
        assert giving is not None
        found = values_at(json.loads(body), rule.calls)
        calls = found[0] if found and isinstance(found[0], list) else []
        lines = [f"  {_one(c, rule.id)}: {_one(c, rule.name)}({_one(c, rule.arguments)})" for c in calls]
        values = self._parameters(giving, body, begun).items()
        arguments = ", ".join(f"@{name}={_literal(value)}" for name, value in values)
        outputs = [{rule.id_key: _one(c, rule.id), rule.value_key: "..."} for c in calls]
        payload = json.dumps({rule.param: outputs}, ensure_ascii=False)
        name = giving.aliases[0] if giving.aliases else giving.name
        hinted = f"/*+ {hint} */ " if hint else ""
        statement = f"EXEC {hinted}{giving.resource}.{name} {arguments} @@json={_literal(payload)}"
        return "\n".join([f"{standing}. It waits for", *lines, "Give the outputs with", f"  {statement}"])

    def _meaning(self, state: str) -> Meaning:
        if state in self.rule.done:
            return "done"
        if state in self.rule.failed:
            return "failed"
        return "wanted" if self.rule.wanted is not None and state in self.rule.wanted.states else "on the way"

    def _parameters(self, method: Method, body: bytes, begun: Call) -> dict[str, str]:
        """The parameters that say which object is meant: from the object, else as the first call had them."""
        found = {p.name: begun.account for p in method.parameters if p.location == "account"}
        first = _path_values(self.method, begun)
        for parameter in method.parameters:
            if parameter.location == "path":
                path = self.rule.parameters.get(parameter.name)
                value = text_at(body, path) if path is not None else None
                found[parameter.name] = first.get(parameter.name, "") if value is None else value
        return found


def _path_values(method: Method, call: Call) -> dict[str, str]:
    """What a call has in its path, by the parameters' names in SQL."""
    pattern = re.sub(r"\\\{[^{}]*\\\}", "([^/]*)", re.escape(method.path))
    found = re.fullmatch(pattern, call.path)
    wires = {p.wire: p.name for p in method.parameters if p.location == "path"}
    values = map(unquote, found.groups()) if found is not None else ()
    return dict(zip((wires[w] for w in path_placeholders(method.path)), values, strict=False))


def _method(catalog: Catalog, path: str) -> tuple[Resource, Method]:
    provider, service, resource, name = path.split(".")
    found = catalog.resource(provider, service, resource)
    method = found.method(name)
    assert method is not None, path  # the manifest's check found it
    return found, method


def _one(call: Mapping[str, Any], path: str) -> str:
    """A part of what is asked for, as text."""
    found = values_at(call, path)
    return "" if not found else found[0] if isinstance(found[0], str) else json.dumps(found[0], ensure_ascii=False)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
