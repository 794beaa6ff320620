"""What the order of a list allows: an end behind the last row that a range wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from provider.catalog.catalog import Field, Method
from provider.catalog.types import FieldType
from provider.plan.binder import Binder
from provider.plan.blocks import Relation
from provider.plan.claims import whole_number
from provider.plan.pushdown import Test, compared


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
    field = _sort_field(relation, method)
    return field is not None and binder.conventions.compares(field.type)


def _sort_field(relation: Relation, method: Method) -> Field | None:
    """The field that a method's list is sorted by."""
    if method.sorted_by is None or relation.resource is None:
        return None
    return relation.resource.field(method.sorted_by.field)


#: How a row that is still to come compares with a constant, by the direction of the list and what is asked of it.
_SIGNS: dict[str, dict[type[exp.Expr], str]] = {
    "desc": {exp.GT: ">", exp.GTE: ">=", exp.EQ: ">="},
    "asc": {exp.LT: "<", exp.LTE: "<=", exp.EQ: "<="},
}
#: A range by more constants than this is not worth what it costs to ask for its end after each page.
_MANY = 32


def ranged(
    binder: Binder, relation: Relation, method: Method, direction: str | None, staged: StagedRows
) -> Early | None:
    """A bound on the field that the list is sorted by: what lies beyond it need not be read."""
    field = _sort_field(relation, method)
    if field is None or method.sorted_by is None or method.pages is None or not compares(binder, relation, method):
        return None
    name = staged.sql(exp.column(method.sorted_by.field, table=relation.alias, quoted=True))
    for wanted, signs in _SIGNS.items():
        if (direction is not None and direction != wanted) or not can_answer(method, wanted):
            continue
        last = f"min({name})" if wanted == "desc" else f"max({name})"
        for tests in compared(relation, method.sorted_by.field, signs):
            tests = _outermost(tests, wanted)
            if not 0 < len(tests) <= _MANY:
                continue
            inside = " OR ".join(_reaches(last, signs[op], bound, staged.sql(bound), field.type) for op, bound in tests)
            each = f"count(*) = count({name}) AND NOT ({inside})"
            shown = [f"{signs[operator]} {bound.sql(dialect='duckdb')}" for operator, bound in tests]
            reason = f"stops behind {method.sorted_by.field} {' and '.join(dict.fromkeys(shown))}"
            return Early(f"(SELECT {each} FROM {staged.source})", wanted, None, reason, each)
    return None


def _reaches(last: str, sign: str, bound: exp.Expr, sql: str, type_: FieldType) -> str:
    """Whether rows behind the last one may still fulfil a test, as SQL.

    Where a text is compared with something else, the order of texts tells nothing of it.
    """
    if type_.base != "string" or (isinstance(bound, exp.Literal) and bound.is_string):
        return f"{last} {sign} ({sql})"
    return f"CASE WHEN typeof({sql}) = 'VARCHAR' THEN {last} {sign} CAST(({sql}) AS VARCHAR) ELSE true END"


def _outermost(tests: tuple[Test, ...], direction: str) -> tuple[Test, ...]:
    """The one test that the last row fulfils in which any of them holds, if whole numbers alone are compared."""
    numbers = [whole_number(bound) for _, bound in tests]
    if len(tests) < 2 or None in numbers:
        return tests
    values = [n for n in numbers if n is not None]
    end = min(values) if direction == "desc" else max(values)
    kept = [t for t, n in zip(tests, values, strict=True) if n == end]
    return (next((t for t in kept if t[0] not in (exp.GT, exp.LT)), kept[0]),)
