"""LIMIT or EXISTS above a scan: when the rows that are staged are all that it wants.

The LIMIT may stand on the relation's own SELECT, or further out: on a UNION ALL of such, or on a SELECT from the
derived table, CTE or view that it is in. What lies between must pass on each row by itself. EXISTS wants one row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlglot import exp

from provider.catalog.catalog import Method
from provider.plan.binder import Binder
from provider.plan.blocks import Relation
from provider.plan.claims import is_constant, is_volatile, whole_number
from provider.plan.outputs import Output, outputs
from provider.plan.resolution import resolve
from provider.plan.sorting import Early, StagedRows, can_answer, compares


@dataclass(frozen=True, slots=True)
class _Limited:
    """The nearest LIMIT or EXISTS above a relation.

    `query` has it, or is what EXISTS asks for. `path` has the relation, then the derived tables and CTE uses
    that its rows pass through; each is the only relation of its SELECT. `united` says that other queries' rows
    come between.
    """

    query: exp.Expr
    path: tuple[Relation, ...]
    united: bool
    #: The conditions that say which list an outer row's rows are in, `m.thread_id = t.id`: true of all its rows.
    chooses: tuple[exp.Expr, ...] = ()
    #: The outermost ORDER BY on the way, with the part of `path` that comes before it; nothing where a UNION does.
    order: exp.Order | None = None
    ordered: tuple[Relation, ...] = ()

    @property
    def select(self) -> exp.Select:
        """The outermost SELECT that the rows pass through."""
        return self.path[-1].block.select


def limited(binder: Binder, relation: Relation, method: Method, staged: StagedRows) -> Early | None:
    """How a LIMIT lets a scan end early: when its SELECT has enough rows, in the API's order if it has ORDER BY."""
    found = _find(binder, relation)
    if found is not None and len(found.path) == 1:
        found = replace(found, chooses=tuple(c for c in relation.block.where if _chooses(c, relation, method)))
    if found is None or not all(_is_alone(r, found.chooses, whole=len(found.path) > 1) for r in found.path):
        return None
    limit = found.query.args.get("limit")
    count, wanted = _wanted(limit, found.query.args.get("offset"), staged) if limit is not None else (1, "1")
    if not wanted:
        return None
    conditions = [(c, i) for i, r in enumerate(found.path) for c in r.block.where if c not in found.chooses]
    rows = count if all(_repeats_path(c, found.path[: i + 1], method) for c, i in conditions) else None
    if found.order is None:
        reason = "stops when LIMIT has its rows" if limit is not None else "stops at the one row that EXISTS wants"
        each = f"count(*) FILTER (WHERE {_conditions(found, staged)}) >= {wanted}" if found.chooses else ""
        return Early(f"({_counted(found, staged)} >= {wanted})", None, rows, reason, each)
    direction = _direction(binder, found.order, found.ordered, method)
    if direction is None or method.sorted_by is None:
        return None
    column = staged.sql(exp.column(method.sorted_by.field, table=relation.alias, quoted=True))
    ahead = "true"
    if _is_by_several(found.order, found.ordered):
        if len(found.path) > 1 or found.chooses:
            return None
        # Further sort keys decide among equals: all rows equal to the last one wanted must be there.
        sign, last = (">", "min") if direction == "desc" else ("<", "max")
        ahead = f"{column} {sign} (SELECT {last}({column}) FROM {staged.source})"
        rows = None
    known = f"(SELECT count(*) = count({column}) FROM {staged.source})"
    enough = f"({_counted(found, staged, ahead)} >= {wanted} AND {known})"
    each = ""
    if ahead == "true" and len(found.path) == 1:
        each = f"count(*) FILTER (WHERE {_conditions(found, staged)}) >= {wanted} AND count(*) = count({column})"
    return Early(enough, direction, rows, f"stops when LIMIT has its rows, in {direction} order", each)


def _wanted(limit: exp.Expr, offset: exp.Expr | None, staged: StagedRows) -> tuple[int | None, str]:
    """How many rows LIMIT and OFFSET want, as a number if it stands there, and as SQL; '' where it depends on rows."""
    if not isinstance(limit, exp.Limit) or limit.args.get("limit_options") or not _is_number(limit.expression):
        return None, ""  # LIMIT 10% depends on how many rows there are
    wanted = _rounded(limit.expression, staged)
    count = whole_number(limit.expression)
    if offset is None:
        return count, wanted
    if not _is_number(offset.expression):
        return None, ""
    skipped = whole_number(offset.expression)
    return (
        None if count is None or skipped is None else count + skipped,
        f"{wanted} + {_rounded(offset.expression, staged)}",
    )


def _is_number(node: exp.Expr) -> bool:
    """Whether it is a constant, and not the word in LIMIT ALL."""
    return is_constant(node) and not isinstance(node, exp.Var)


def _rounded(node: exp.Expr, staged: StagedRows) -> str:
    """As many rows as DuckDB takes: 1.5 is 2."""
    return f"CAST(({staged.sql(node)}) AS BIGINT)"


def _find(binder: Binder, relation: Relation) -> _Limited | None:
    """The nearest LIMIT or EXISTS, if each row comes to it by itself."""
    path = [relation]
    united = False
    order: exp.Order | None = None
    ordered: tuple[Relation, ...] = ()
    if any(relation.block in cte.shared for cte in binder.ctes):
        return None  # a recursion adds rows between
    while path[-1].block.relations == path[-1:] and _is_plain(path[-1]):
        owner = path[-1].block.owner
        node: exp.Expr = path[-1].block.select
        while True:
            if (clause := node.args.get("order")) is not None:
                # What is cut further out is in this order, too, if nothing puts it in another one.
                order, ordered = clause, tuple(path) if node is path[-1].block.select and not united else ()
            if node.args.get("limit") is not None:
                return _Limited(node, tuple(path), united, order=order, ordered=ordered)
            if node.args.get("offset") is not None:
                return None
            if owner is not None and node is owner.query:
                path.append(owner)
                break
            parent = node.parent
            if isinstance(parent, exp.Exists):
                return _Limited(node, tuple(path), united)
            if isinstance(parent, exp.Union) and not parent.args.get("distinct"):
                united = True
            elif not isinstance(parent, exp.Subquery):
                return None
            node = parent
    return None


_CLAUSES = ("group", "having", "distinct", "qualify", "sample", "pivots", "joins", "laterals", "fetch")


def _is_plain(relation: Relation) -> bool:
    """Whether each row of a relation is one row of its SELECT or none, whatever the other rows are."""
    select = relation.block.select
    if any(select.args.get(k) for k in _CLAUSES) or any(relation.node.args.get(k) for k in ("sample", "pivots")):
        return False
    order = select.args.get("order")
    for item in [*select.expressions, *(order.expressions if order else ())]:
        # An unknown function may be an aggregate or may multiply rows.
        if item.find(exp.AggFunc, exp.Window, exp.Anonymous, exp.Explode, exp.Unnest, exp.Query) is not None:
            return False
    return True


def _chooses(condition: exp.Expr, relation: Relation, method: Method) -> bool:
    """Whether a condition compares a parameter of the path, which is one for each list, with an outer row's value."""
    if not isinstance(condition, exp.EQ) or condition.find(exp.Query) is not None:
        return False
    for column, value in ((condition.this, condition.expression), (condition.expression, condition.this)):
        outer = [resolve(c, relation.block) for c in value.find_all(exp.Column)]
        if outer and all(o is not None and o[0].block is not relation.block for o in outer):
            volatile = any(is_volatile(f) for f in value.find_all(exp.Func))
            return not volatile and isinstance(column, exp.Column) and _is_path(column, (relation,), method)
    return False


def _is_alone(relation: Relation, chooses: tuple[exp.Expr, ...], *, whole: bool) -> bool:
    """Whether the conditions on a relation, or its whole SELECT, say the same again and read nothing else.

    Those that choose the list are not asked.
    """
    block = relation.block
    asked = [c for c in block.where if c not in chooses]
    for part in (*asked, *(block.select.expressions if whole else ())):
        if part.find(exp.Query) is not None or any(is_volatile(f) for f in part.find_all(exp.Func)):
            return False
        for column in part.find_all(exp.Column):
            found = resolve(column, block) if not isinstance(column.this, exp.Star) else (relation, "")
            if found is None or found[0] is not relation:
                return False
            if found[1] and not relation.has(column.name) and relation.parameter(column.name) is None:
                return False  # an alias of the SELECT list
    return True


def _conditions(found: _Limited, staged: StagedRows) -> str:
    """The WHERE of the relation's own SELECT."""
    own = [c for c in found.path[0].block.where if c not in found.chooses]
    return " AND ".join(f"({staged.sql(c)})" for c in own) or "true"


def _counted(found: _Limited, staged: StagedRows, ahead: str = "true") -> str:
    """How many rows the SELECT has of those that are staged."""
    if len(found.path) == 1:
        return f"(SELECT count(*) FILTER (WHERE {_conditions(found, staged)} AND {ahead}) FROM {staged.source})"
    select = found.select.copy()
    for clause in ("limit", "offset", "order"):
        select.set(clause, None)
    return f"(SELECT count(*) FROM ({staged.sql(select)}) AS passed)"


def _direction(binder: Binder, order: exp.Order, path: tuple[Relation, ...], method: Method) -> str | None:
    """The direction in which the API can answer as ORDER BY wants it; None when it cannot."""
    first = order.expressions[0]
    if not path or not isinstance(first, exp.Ordered) or method.sorted_by is None or first.args.get("nulls_first"):
        return None  # the manifest does not say where the API lists what has no value
    if not binder.conventions.plain_order or not compares(binder, path[0], method):
        return None
    if _sorted_by(first.this, path) != method.sorted_by.field.lower():
        return None
    direction = "desc" if first.args.get("desc") else "asc"
    return direction if can_answer(method, direction) else None


def _sorted_by(key: exp.Expr, path: tuple[Relation, ...]) -> str | None:
    """The first relation's column that a sort key of the last one's SELECT is, in lower case."""
    place = 1 if _is_all(key) else whole_number(key)
    if place is not None:
        puts_out = outputs(path[-1].block) or []
        return _put_out(puts_out[place - 1], path) if 0 < place <= len(puts_out) else None
    for item in path[-1].block.select.expressions:
        if isinstance(item, exp.Alias) and isinstance(key, exp.Column) and item.alias.lower() == key.name.lower():
            key = item.this
    return _traced(key, path)


def _is_by_several(order: exp.Order, path: tuple[Relation, ...]) -> bool:
    """Whether further sort keys decide among rows that are equal by the first."""
    return len(order.expressions) > 1 or (_is_all(order.expressions[0].this) and len(outputs(path[-1].block) or ()) > 1)


def _is_all(key: exp.Expr) -> bool:
    """Whether it is ORDER BY ALL: every column in turn."""
    return isinstance(key, exp.Var)


def _traced(column: exp.Expr, path: tuple[Relation, ...]) -> str | None:
    """The first relation's column that an expression over the last one is, in lower case."""
    found = resolve(column, path[-1].block) if isinstance(column, exp.Column) else None
    return _named(found[1].lower(), path) if found is not None and found[0] is path[-1] else None


def _named(name: str, path: tuple[Relation, ...]) -> str | None:
    """The first relation's column that one of the last one is, in lower case."""
    if len(path) == 1:
        return name
    names = [n.lower() for n in path[-1].columns() or ()]
    puts_out = outputs(path[-2].block) or []
    at = names.index(name) if name in names else len(puts_out)
    return _put_out(puts_out[at], path[:-1]) if at < len(puts_out) else None


def _put_out(output: Output, path: tuple[Relation, ...]) -> str | None:
    """The first relation's column that the last one's SELECT puts out, in lower case."""
    if output.source is not None:
        return _named(output.source[1].lower(), path)
    return _traced(output.item.unalias(), path) if output.item is not None else None


def _repeats_path(condition: exp.Expr, path: tuple[Relation, ...], method: Method) -> bool:
    """Whether a predicate only repeats what the path says."""
    if not isinstance(condition, exp.EQ):
        return False
    for column, value in ((condition.this, condition.expression), (condition.expression, condition.this)):
        if isinstance(column, exp.Column) and is_constant(value):
            return _is_path(column, path, method)
    return False


def _is_path(column: exp.Column, path: tuple[Relation, ...], method: Method) -> bool:
    """Whether a column is a parameter in the method's path."""
    name = _traced(column, path)
    return any(p.name.lower() == name and p.location == "path" for p in method.parameters)
