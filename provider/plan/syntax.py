"""The parsed statement as it is written: its queries, and which nodes belong to which; names mean nothing yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp


def span(parts: Sequence[exp.Expr]) -> tuple[int, int]:
    """Start and end offset of identifiers in the statement's text, end exclusive."""
    metas = [i.meta for p in parts for i in p.find_all(exp.Identifier) if "start" in i.meta]
    if not metas:
        return 0, 0
    return min(m["start"] for m in metas), max(m["end"] for m in metas) + 1


def star_of(item: exp.Expr) -> exp.Star | None:
    """The star of `*` or `t.*`."""
    if isinstance(item, exp.Columns) and not item.args.get("unpack"):
        item = item.this
    if isinstance(item, exp.Star):
        return item
    return item.this if isinstance(item, exp.Column) and isinstance(item.this, exp.Star) else None


def own_nodes(select: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of a SELECT that are not inside a nested query."""
    return select.walk(prune=lambda n: n is not select and isinstance(n, exp.Query) and not is_grouped_join(n))


def nested_queries(node: exp.Expr) -> Iterator[exp.Expr]:
    """Queries in expressions of a SELECT: not its CTEs, and not those behind FROM, which are relations."""
    inner = exp.Query | exp.CTE
    for n in node.walk(prune=lambda n: n is not node and isinstance(n, inner) and not is_grouped_join(n)):
        if n is not node and isinstance(n, exp.Query) and not is_grouped_join(n) and not _is_relation(n, node):
            yield n


def outermost_queries(tree: exp.Expr) -> Iterator[exp.Expr]:
    """The queries in a statement that stand in no other, without those of its CTEs."""
    for n in tree.walk(prune=lambda n: n is not tree and isinstance(n, exp.Query | exp.With)):
        if n is not tree and isinstance(n, exp.Query):
            yield n


@dataclass(frozen=True, slots=True)
class Sought:
    """The values that a nested query's rows are compared with for equality alone: those before IN.

    With `tells_null` NULL and false differ, as under NOT: then the rows that equal nothing count as well, where a
    value is NULL on either side.
    """

    items: tuple[exp.Expr, ...]
    tells_null: bool


def sought_in(query: exp.Expr) -> Sought | None:
    """What is looked for among a nested query's rows, in WHERE, ON or the SELECT list: `item IN (query)`."""
    parent = query.parent
    test = parent.parent if isinstance(parent, exp.Any | exp.All) else parent
    if isinstance(parent, exp.Any | exp.All):
        equality = exp.EQ if isinstance(parent, exp.Any) else exp.NEQ
        item = test.this if isinstance(test, equality) and test.expression is parent else None
    else:
        item = test.this if isinstance(test, exp.In) and query.arg_key == "query" else None
    if item is None or test is None:
        return None
    item = item.unnest()
    items = tuple(item.expressions) if isinstance(item, exp.Tuple) else (item,)
    place: exp.Expr = test
    while isinstance(place.parent, exp.And | exp.Or | exp.Paren):
        place = place.parent
    if isinstance(place.parent, exp.Where | exp.Join) and not isinstance(parent, exp.All):
        return Sought(items, tells_null=False)
    while place.parent is not None and not isinstance(place, exp.Where) and not isinstance(place.parent, exp.Select):
        place = place.parent
    # Not so in ON, where a row that fails may come back null-extended, nor where a group's key may be NULL.
    listed = place.arg_key == "expressions" and isinstance(place.parent, exp.Select) and not _has_sets(place.parent)
    return Sought(items, tells_null=True) if listed or isinstance(place, exp.Where) else None


def _has_sets(select: exp.Select) -> bool:
    """Whether rows are grouped by several sets of keys."""
    group = select.args.get("group")
    return group is not None and group.find(exp.Rollup, exp.Cube, exp.GroupingSets) is not None


def _is_relation(query: exp.Expr, select: exp.Expr) -> bool:
    """Whether a query stands behind FROM or JOIN of `select`, rather than in an expression."""
    child, parent = query, query.parent
    while parent is not None and child is not select:
        if isinstance(parent, exp.From | exp.Lateral) or (isinstance(parent, exp.Join) and child.arg_key == "this"):
            return True
        if parent is select or not isinstance(parent, exp.Subquery | exp.Table | exp.Join):
            return False
        child, parent = parent, parent.parent
    return False


def is_grouped_join(node: exp.Expr) -> bool:
    """Whether parentheses stand around joins: FROM (a JOIN b ON ...)."""
    return isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table) and not node.alias


def body_of(node: exp.Expr) -> exp.Expr:
    """The query inside a derived table or LATERAL."""
    body: exp.Expr = node.this
    while (
        isinstance(body, exp.Subquery)
        and not body.alias
        and isinstance(body.this, exp.Query)
        and not body.args.get("with_")
        and not cuts(body)
    ):
        body = body.this
    return body


def renames_of(node: exp.Expr) -> tuple[str, ...]:
    """The column names given in an alias: `t(a, b)`."""
    alias = node.args.get("alias")
    return tuple(c.name for c in alias.args.get("columns") or ()) if isinstance(alias, exp.TableAlias) else ()


def lift_joins(select: exp.Select) -> None:
    """Hang the joins of `FROM a JOIN b ... SELECT ...` on the SELECT; the parser hangs them on what stands first."""
    source = select.args.get("from_")
    joins = source.this.args.get("joins") if source is not None else None
    if source is not None and joins:
        source.this.set("joins", None)
        select.set("joins", [*joins, *(select.args.get("joins") or ())])


def cuts(query: exp.Expr) -> bool:
    """Whether narrowing the input could change which of the surviving rows come out."""
    return any(query.args.get(k) for k in ("limit", "offset", "fetch", "sample", "pivots"))


def makes_columns(pivot: exp.Pivot) -> bool:
    """Whether PIVOT makes a column of each value that it finds, where IN does not say which."""
    if pivot.args.get("unpivot") or pivot.args.get("fields"):
        return False
    return any(not isinstance(e, exp.In) or e.args.get("query") is not None for e in pivot.expressions)


def is_by_name(query: exp.Expr) -> bool:
    """Whether a set operation, and each in its arms, is BY NAME."""
    if not isinstance(query, exp.SetOperation) or not query.args.get("by_name"):
        return False
    return all(not isinstance(a, exp.SetOperation) or is_by_name(a) for a in (query.this, query.expression))
