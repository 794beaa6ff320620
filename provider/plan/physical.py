"""The plan: scans that feed staged tables, and the SQL over them. Frozen values, printable and comparable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
    """A constant expression: DuckDB evaluates it once. `arguments` are the statement's parameters in it."""

    sql: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return self.sql


Term = Literal | Computed


@dataclass(frozen=True, slots=True)
class Given:
    """Parameters bound by rows of constants; usually it is one parameter, and a row is one value."""

    parameters: tuple[Parameter, ...]
    rows: tuple[tuple[Term, ...], ...]

    @staticmethod
    def one(parameter: Parameter, terms: Iterable[Term]) -> Given:
        """A single parameter that takes each of the terms."""
        return Given((parameter,), tuple((t,) for t in terms))


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
class Ending:
    """When a scan has enough: `sql` is a query for one boolean over its staged table.

    `in_order` says that this rests on the order of one list, so that it holds for a scan with one key only.
    """

    sql: str
    arguments: tuple[str, ...]
    in_order: bool
    reason: str


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
    fields: tuple[Field, ...]
    echoes: tuple[Parameter, ...]
    #: Names under which the table is used in the statement.
    aliases: tuple[str, ...]
    place: Place

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
