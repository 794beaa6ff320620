"""The plan: scans that feed staged tables, and the SQL over them. Frozen values, printable and comparable."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from provider.catalog.catalog import Field, Method, Parameter, Resource
from provider.errors import Place

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the statement."""

    value: Scalar

    def __str__(self) -> str:
        return "NULL" if self.value is None else "'" + str(self.value).replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Computed:
    """A constant expression: DuckDB evaluates it once. `arguments` are the statement's parameters in it.

    `unnests` says that it is a list, each element of which is a value.
    """

    sql: str
    arguments: tuple[str, ...]
    unnests: bool = False

    def __str__(self) -> str:
        return self.sql


Term = Literal | Computed


@dataclass(frozen=True, slots=True)
class Given:
    """Parameters bound by rows of constants; usually it is one parameter, and a row is one value.

    `operator` is `=`, or how one parameter's one value bounds a field: `<`, `<=`, `>` or `>=`. A bound whose
    nearest value in the parameter's type would leave out rows is not sent.
    """

    parameters: tuple[Parameter, ...]
    rows: tuple[tuple[Term, ...], ...]
    operator: str = "="

    @staticmethod
    def one(parameter: Parameter, terms: Iterable[Term], operator: str = "=") -> Given:
        """A single parameter that takes each of the terms."""
        return Given((parameter,), tuple((t,) for t in terms), operator)


@dataclass(frozen=True, slots=True)
class Keys:
    """Parameters bound by the distinct rows of a query over staged and local tables.

    `scans` are the numbers of the scans whose tables the query reads. `monotone` says that more rows in
    those tables can only add keys, so that requests may start before the tables are complete.
    `origin` names the columns for people.
    """

    parameters: tuple[Parameter, ...]
    sql: str
    scans: frozenset[int]
    arguments: tuple[str, ...]
    monotone: bool
    origin: str


Binding = Given | Keys


@dataclass(frozen=True, slots=True)
class Check:
    """A query over a scan's staged rows; `arguments` are the statement's parameters in it."""

    sql: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """When a scan has enough: `enough` asks for one boolean.

    `in_order` says that this rests on the order of one list, so that it holds for a scan with one key only. With
    several, `each` asks for the numbers of the calls whose lists have enough; None where a list by itself cannot tell.
    """

    enough: Check
    each: Check | None
    in_order: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition of the statement on a scan's rows. DuckDB checks each; this says whether the API does, too.

    `parameters` carry it to the API, which answers the rows that it holds for, or with `superset` more of
    them. Where none does, `reason` says why.
    """

    sql: str
    parameters: tuple[str, ...] = ()
    match: typing.Literal["exact", "superset"] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Requests:
    """What a scan costs, as far as the plan can tell: so many requests, or lists of a request a page.

    `count` is exact, or at most that; with `per` it is for each distinct value of those parameters, whose
    number only the rows tell. `page` is the rows a page, where the API lets one say so.
    """

    count: int
    exact: bool = True
    per: tuple[str, ...] = ()
    lists: bool = False
    page: int | None = None
    #: A list whose pages are read in place of many requests, as long as they are fewer.
    instead: str = ""
    #: Whether the list, if it is long, is read from both its ends at once; that may cost two requests more.
    both_ends: bool = False

    @property
    def several(self) -> bool:
        """Whether there may be more than one list, or request."""
        return bool(self.per) or self.count > 1

    @property
    def at_least(self) -> int:
        """The fewest requests that there may be."""
        return min(1, self.count) if self.instead else self.count if self.exact and not self.per else 0

    @property
    def at_most(self) -> int | None:
        """The most requests that there may be; None when that depends on what the API answers."""
        if self.count and (self.per or self.lists):
            return None
        return 2 * self.count if self.instead else self.count


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that has the objects which a scan asks for one by one: `key` carries the list's `field` there."""

    method: Method
    key: Parameter
    field: Field


@dataclass(frozen=True, slots=True)
class Scan:
    """Requests of one method, whose rows fill one staged table.

    The table's columns are `fields`, then one an echoed parameter in `echoes` that is no field. The keys
    are all combinations of the bindings' values.
    """

    number: int
    table: str
    resource: Resource
    method: Method
    bindings: tuple[Binding, ...]
    #: How the scan may end before its last page.
    ending: Ending | None
    #: What may be read in place of many objects one by one.
    listing: Listing | None
    fields: tuple[Field, ...]
    echoes: tuple[Parameter, ...]
    #: Names under which the table is used in the statement.
    aliases: tuple[str, ...]
    place: Place
    #: For people: why this method, its first request as far as it is known, and the price.
    why: str
    request: str
    requests: Requests

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The bound parameters in the order of the key tuples."""
        found: list[Parameter] = []
        for b in self.bindings:
            found += b.parameters
        return tuple(found)

    @property
    def depends(self) -> frozenset[int]:
        """The scans whose rows bind this one."""
        return frozenset(n for b in self.bindings if isinstance(b, Keys) for n in b.scans)


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement ready to run: fetch the scans, then run `sql` with the named `arguments`."""

    sql: str
    scans: tuple[Scan, ...]
    arguments: tuple[str, ...]
    #: Whether its rows say which columns it has: PIVOT without IN.
    is_shaped_by_rows: bool = False
    #: What becomes of the conditions on each scan's rows, by its number: for people, worked out when asked for.
    conditions: Callable[[], Mapping[int, tuple[Predicate, ...]]] = field(default=dict, compare=False, repr=False)

    def circles(self) -> dict[int, frozenset[int]]:
        """For each scan those that feed it and are fed by it, itself included: several only in a recursive CTE."""
        direct = {s.number: s.depends for s in self.scans}
        feeding = {n: set(feeders) for n, feeders in direct.items()}
        for found in feeding.values():
            todo = list(found)
            while todo:
                further = direct[todo.pop()] - found
                found |= further
                todo += further
        return {n: frozenset({n, *(m for m in found if n in feeding[m])}) for n, found in feeding.items()}
