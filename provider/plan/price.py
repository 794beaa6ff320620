"""What a scan sends: its first request, and how many there will be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from provider.catalog.catalog import Method, Resource
from provider.plan.physical import Binding, Given, Listing, Literal, Requests, Term
from provider.rest.exact import Json
from provider.rest.pagination import first_call
from provider.rest.request import addresses_nothing, build, means_nothing


def price(method: Method, bindings: Iterable[Binding], *, may_stop: bool) -> Requests:
    """How many requests the combinations of the bindings' values cost; `may_stop` when rows may make some needless."""
    count, exact = 1, True
    per: list[str] = []
    for binding in bindings:
        if not isinstance(binding, Given) or is_open(binding):
            per += [p.name for p in binding.parameters]
            continue
        rows = {row for row in binding.rows if not _binds_nothing(binding, row)}
        count *= len(rows)
        exact = exact and all(isinstance(t, Literal) for row in rows for t in row)
    if count == 0:
        return Requests(0)
    lists = method.pages is not None
    page = None
    if method.pages is not None and method.pages.size is not None:
        sizes = [_single(b) for b in bindings if [p.wire for p in b.parameters] == [method.pages.size.param]]
        page = next((s.value for s in sizes if s and isinstance(s.value, int)), method.pages.size.max)
    return Requests(count, exact and not (may_stop and count > 1), tuple(per), lists, page)


#: So many objects are looked for in a list first.
MANY = 32


def listing_of(resource: Resource, method: Method, bindings: Sequence[Binding]) -> Listing | None:
    """The list that has the objects which a method answers one by one, None where the manifest knows of none.

    It wants the same parameters but for the key, and its rows are whole objects.
    """
    bound = {p.name for b in bindings for p in b.parameters}
    return listing_beside(resource, method) if bound == {p.name for p in method.required} else None


def listing_beside(resource: Resource, method: Method) -> Listing | None:
    """The list that has the objects which a method answers one by one if nothing but the key narrows them."""
    required = {p.name for p in method.required}
    if method.is_list:
        return None
    for field, name in resource.key.items():
        key, column = method.parameter(name), resource.field(field)
        if key is None or column is None or key.name not in required or column.type != key.type:
            continue
        for other in resource.methods_for("SELECT"):
            if other.whole_objects and other.pages and {p.name for p in other.required} == required - {key.name}:
                return Listing(other, key, column)
    return None


def first_request(method: Method, bindings: Sequence[Binding]) -> str:
    """The request line of a scan, with `{parameter}` for each value that the statement does not give alone."""
    values: dict[str, Json] = {p.name: _open(p.name) for p in method.parameters if p.location == "path"}
    for binding in bindings:
        single = _single(binding)
        for parameter in binding.parameters:
            unknown = _STRUCTURES.get(parameter.type.base) or _open(parameter.name)
            values[parameter.name] = single.value if single else unknown
    if addresses_nothing(method, values):
        return method.http
    shown = str(first_call(method, build(method, values)))
    for name in values:
        shown = shown.replace(quote(_open(name), safe=""), _open(name))
    return shown


#: What stands for an object or an array that is not known.
_STRUCTURES: Mapping[str, str] = {"object": "{}", "array": "[]"}


def _open(name: str) -> str:
    return "{" + name + "}"


def _single(binding: Binding) -> Literal | None:
    """The one literal that a binding gives."""
    if not isinstance(binding, Given) or len(binding.rows) != 1 or len(binding.rows[0]) != 1:
        return None
    value = binding.rows[0][0]
    return value if isinstance(value, Literal) and value.value is not None else None


def is_open(binding: Binding) -> bool:
    """Whether only rows tell how many values a binding has."""
    return not isinstance(binding, Given) or any(
        not isinstance(t, Literal) and t.unnests for row in binding.rows for t in row
    )


def _binds_nothing(binding: Given, row: tuple[Term, ...]) -> bool:
    """Whether no request is sent for a row of literals: NULL equals nothing, and no object has an empty name."""
    pairs = zip(binding.parameters, row, strict=True)
    return any(isinstance(t, Literal) and (t.value is None or means_nothing(p, t.value)) for p, t in pairs)
