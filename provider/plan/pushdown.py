"""What lets a scan end before its last page, or ask for less: LIMIT, and ranges over a sorted list.

Nothing here drops a row that the answer needs: a scan may end only when the rows it has prove that the rest
cannot matter; tests/plan has the statements for which that is not so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter
from provider.plan.binder import Binder, Block, Relation
from provider.plan.bindings import is_constant, is_volatile

#: An expression of the statement as SQL over staged tables.
Render = Callable[[exp.Expr], str]


@dataclass(frozen=True, slots=True)
class Early:
    """How a scan may end early.

    `enough` is a boolean over the staged rows as an SQL expression, with `{source}` for the table.
    `order` is the direction that the API must answer in, None for any. `rows` bounds the rows that are
    needed where nothing else filters them. `reason` is for people.
    """

    enough: str
    order: str | None
    rows: int | None
    reason: str


def early(binder: Binder, relation: Relation, method: Method, top: exp.Expr, render: Render) -> Early | None:
    """The way in which a scan may end early, None when it must be read to its end."""
    limit = _limit(binder, relation, method, top, render)
    bound = _range(binder, relation, method, limit.order if limit else None, render)
    if limit and bound:
        return Early(f"{limit.enough} OR {bound.enough}", bound.order, limit.rows, limit.reason)
    return limit or bound


def is_empty(relation: Relation, top: exp.Expr) -> bool:
    """Whether no row of a relation can matter: LIMIT 0, or a predicate that is plainly false."""
    limit = top.args.get("limit")
    if isinstance(top, exp.Query) and limit is not None and _whole_number(limit.expression) == 0:
        return True
    return any(
        isinstance(c, exp.Null) or (isinstance(c, exp.Boolean) and not c.this) for c in relation.block.held(relation)
    )


def _limit(binder: Binder, relation: Relation, method: Method, top: exp.Expr, render: Render) -> Early | None:
    """LIMIT of a plain SELECT from this one relation, whose order, if any, is the API's."""
    block = relation.block
    select = block.select
    if select is not top or block.relations != [relation] or not _is_plain(select):
        return None
    limit, offset = select.args.get("limit"), select.args.get("offset")
    if limit is None or limit.args.get("percent") or not is_constant(limit.expression):
        return None
    if any(c.find(exp.Query) or any(is_volatile(f) for f in c.find_all(exp.Func)) for c in block.where):
        return None
    wanted = f"({render(limit.expression)})"
    count = _whole_number(limit.expression)
    if offset is not None:
        if not is_constant(offset.expression):
            return None
        wanted += f" + ({render(offset.expression)})"
        skipped = _whole_number(offset.expression)
        count = None if count is None or skipped is None else count + skipped
    condition = " AND ".join(f"({render(c)})" for c in block.where) or "true"
    rows = count if all(_is_key_equality(binder, c, block, method) for c in block.where) else None
    order = select.args.get("order")
    if order is None:
        enough = f"(SELECT count(*) FILTER (WHERE {condition}) >= {wanted} FROM {{source}})"
        return Early(enough, None, rows, "stops when LIMIT has its rows")
    sorted_by = method.sorted_by
    direction = _order(binder, block, order, relation, method)
    if sorted_by is None or direction is None:
        return None
    column = render(exp.column(sorted_by.field, table=relation.alias, quoted=True))
    if len(order.expressions) > 1:
        # Further sort keys decide among equals: all rows equal to the last one wanted must be there.
        ahead = ">" if direction == "desc" else "<"
        last = "min" if direction == "desc" else "max"
        condition += f" AND {column} {ahead} (SELECT {last}({column}) FROM {{source}})"
        rows = None
    enough = f"(SELECT count(*) FILTER (WHERE {condition}) >= {wanted} AND count(*) = count({column}) FROM {{source}})"
    return Early(enough, direction, rows, f"stops when LIMIT has its rows, in {direction} order")


def _is_plain(select: exp.Select) -> bool:
    """Whether each row of the input is one row of the output, whatever the other rows are."""
    clauses = ("group", "having", "distinct", "qualify", "sample", "pivots", "joins", "laterals", "fetch", "with_")
    if any(select.args.get(k) for k in clauses):
        return False
    order = select.args.get("order")
    for item in [*select.expressions, *(order.expressions if order else ())]:
        # An unknown function may be an aggregate or may multiply rows.
        if item.find(exp.AggFunc, exp.Window, exp.Anonymous, exp.Explode, exp.Unnest, exp.Query) is not None:
            return False
    return True


def _order(binder: Binder, block: Block, order: exp.Expr, relation: Relation, method: Method) -> str | None:
    """The direction in which the API can answer as ORDER BY wants it; None when it cannot."""
    first = order.expressions[0]
    if not isinstance(first, exp.Ordered) or method.sorted_by is None:
        return None
    column = first.this
    for item in block.select.expressions:
        if isinstance(item, exp.Alias) and isinstance(column, exp.Column) and item.alias.lower() == column.name.lower():
            column = item.this
    if not isinstance(column, exp.Column) or not _is_sort_field(binder, column, block, relation, method):
        return None
    direction = "desc" if first.args.get("desc") else "asc"
    return direction if _can_answer(method, direction) else None


def _can_answer(method: Method, direction: str) -> bool:
    return method.sorted_by is not None and (
        method.sorted_by.param is not None or method.sorted_by.default == direction
    )


def _is_sort_field(binder: Binder, column: exp.Expr, block: Block, relation: Relation, method: Method) -> bool:
    if not isinstance(column, exp.Column) or method.sorted_by is None:
        return False
    found = binder.resolve(column, block)
    return found is not None and found[0] is relation and found[1].lower() == method.sorted_by.field.lower()


def _is_key_equality(binder: Binder, condition: exp.Expr, block: Block, method: Method) -> bool:
    """Whether a predicate only repeats what the path says."""
    if not isinstance(condition, exp.EQ):
        return False
    for column, value in ((condition.this, condition.expression), (condition.expression, condition.this)):
        if isinstance(column, exp.Column) and is_constant(value):
            found = binder.resolve(column, block)
            return found is not None and any(p.name == found[1] and p.location == "path" for p in method.parameters)
    return False


_SIGNS: dict[type[exp.Expr], str] = {exp.GT: ">", exp.GTE: ">=", exp.EQ: ">=", exp.LT: "<", exp.LTE: "<="}
_LOWER = (exp.GT, exp.GTE, exp.EQ)


def _range(binder: Binder, relation: Relation, method: Method, direction: str | None, render: Render) -> Early | None:
    """A bound on the field that the list is sorted by: what lies beyond it need not be read."""
    if method.sorted_by is None or method.pages is None:
        return None
    for operator, column, bound in _comparisons(relation.block.held(relation)):
        if not _is_sort_field(binder, column, relation.block, relation, method) or not is_constant(bound):
            continue
        wanted = "desc" if operator in _LOWER else "asc"
        if (direction is not None and direction != wanted) or not _can_answer(method, wanted):
            continue
        name = render(exp.column(method.sorted_by.field, table=relation.alias, quoted=True))
        sign = _SIGNS[operator]
        last = f"min({name})" if wanted == "desc" else f"max({name})"
        enough = f"(SELECT count(*) = count({name}) AND NOT ({last} {sign} ({render(bound)})) FROM {{source}})"
        return Early(
            enough, wanted, None, f"stops behind {method.sorted_by.field} {sign} {bound.sql(dialect='duckdb')}"
        )
    return None


#: What a parameter that means `field operator value` may serve: it must not leave out a row that the predicate wants.
_SERVES: dict[str, tuple[type[exp.Expr], ...]] = {
    ">=": (exp.GT, exp.GTE, exp.EQ),
    ">": (exp.GT,),
    "<=": (exp.LT, exp.LTE, exp.EQ),
    "<": (exp.LT,),
}


def bounds(binder: Binder, relation: Relation, field: str, operator: str) -> Iterator[exp.Expr]:
    """Constants that a field is compared with so that a parameter of that operator may narrow the rows."""
    for comparison, column, bound in _comparisons(relation.block.held(relation)):
        if comparison in _SERVES[operator] and isinstance(column, exp.Column) and is_constant(bound):
            found = binder.resolve(column, relation.block)
            if found is not None and found[0] is relation and found[1].lower() == field.lower():
                yield bound


def _comparisons(held: tuple[exp.Expr, ...]) -> Iterator[tuple[type[exp.Expr], exp.Expr, exp.Expr]]:
    """`column operator constant`, turned so that the column is on the left."""
    turned: dict[type[exp.Expr], type[exp.Expr]] = {
        exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE, exp.EQ: exp.EQ,
    }  # fmt: skip
    for condition in held:
        if isinstance(condition, exp.Between) and not condition.args.get("symmetric"):
            yield exp.GTE, condition.this, condition.args["low"]
            yield exp.LTE, condition.this, condition.args["high"]
        elif type(condition) in turned:
            yield type(condition), condition.this, condition.expression
            yield turned[type(condition)], condition.expression, condition.this


def _whole_number(node: exp.Expr | None) -> int | None:
    return int(node.this) if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit() else None


def order_parameter(method: Method, early: Early | None) -> tuple[Parameter, str] | None:
    """The parameter and value that make the API answer in the wanted direction."""
    if early is None or early.order is None or method.sorted_by is None or method.sorted_by.param is None:
        return None
    if method.sorted_by.default == early.order:
        return None
    found = next((p for p in method.parameters if p.name == method.sorted_by.param), None)
    return (found, early.order) if found is not None else None
