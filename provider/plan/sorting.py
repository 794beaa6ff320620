"""What the order of a list allows: an end behind the last row that a range wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from provider.catalog.catalog import Method
from provider.plan.binder import Binder
from provider.plan.blocks import Relation
from provider.plan.pushdown import compared


@dataclass(frozen=True, slots=True)
class StagedRows:
    """The rows that a scan has so far: what stands behind FROM, and how parts of the statement read over them."""

    source: str
    sql: Callable[[exp.Expr], str]


@dataclass(frozen=True, slots=True)
class Early:
    """How a scan may end early.

    `enough` is a boolean over the staged rows as an SQL expression; `each` is the same for one of several lists, as
    an aggregate over the rows of that list, '' where a list by itself cannot tell. `order` is the direction that the
    API must answer in, None for any. `rows` bounds the rows that are needed where nothing else filters them.
    `reason` is for people.
    """

    enough: str
    order: str | None
    rows: int | None
    reason: str
    each: str = ""


def can_answer(method: Method, direction: str) -> bool:
    """Whether the API can list in a direction."""
    return method.sorted_by is not None and (
        method.sorted_by.param is not None or method.sorted_by.default == direction
    )


def compares(binder: Binder, relation: Relation, method: Method) -> bool:
    """Whether DuckDB compares the field that a list is sorted by as the API does."""
    if method.sorted_by is None or relation.resource is None:
        return False
    field = relation.resource.field(method.sorted_by.field)
    return field is not None and binder.conventions.compares(field.type)


_SIGNS: dict[type[exp.Expr], str] = {exp.GT: ">", exp.GTE: ">=", exp.EQ: ">=", exp.LT: "<", exp.LTE: "<="}
_LOWER = (exp.GT, exp.GTE, exp.EQ)


def ranged(
    binder: Binder, relation: Relation, method: Method, direction: str | None, staged: StagedRows
) -> Early | None:
    """A bound on the field that the list is sorted by: what lies beyond it need not be read."""
    if method.sorted_by is None or method.pages is None or not compares(binder, relation, method):
        return None
    for operator, bound in compared(relation, method.sorted_by.field):
        wanted = "desc" if operator in _LOWER else "asc"
        if (direction is not None and direction != wanted) or not can_answer(method, wanted):
            continue
        name = staged.sql(exp.column(method.sorted_by.field, table=relation.alias, quoted=True))
        sign = _SIGNS[operator]
        last = f"min({name})" if wanted == "desc" else f"max({name})"
        each = f"count(*) = count({name}) AND NOT ({last} {sign} ({staged.sql(bound)}))"
        reason = f"stops behind {method.sorted_by.field} {sign} {bound.sql(dialect='duckdb')}"
        return Early(f"(SELECT {each} FROM {staged.source})", wanted, None, reason, each)
    return None
