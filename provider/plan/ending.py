"""How a scan ends before its last page, or does not begin.

Nothing here drops a row that the answer needs: a scan may end only when the rows it has prove that the rest
cannot matter; tests/plan has the statements for which that is not so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter
from provider.plan.binder import Binder
from provider.plan.blocks import Block, Cte, Relation
from provider.plan.claims import whole_number
from provider.plan.contradictions import Contradictions
from provider.plan.limit import limited
from provider.plan.physical import Check, Ending, Given, Literal
from provider.plan.rendering import StagedSql
from provider.plan.sorting import Early, StagedRows, ranged
from provider.plan.terms import arguments
from provider.plan.uses import CALL, LISTS, Use, Uses


def end_early(binder: Binder, uses: Uses, use: Use, tree: exp.Expr, staged: StagedSql) -> Ending | None:
    """How a scan may end early, None when it must be read to its end.

    What the API must be told for that becomes a binding of the use, and a field of it.
    """
    method, relation = use.method, use.relation
    assert method is not None
    bound = {p.name for b in use.bindings for p in b.parameters}
    sorted_by = method.sorted_by
    if sorted_by is not None and sorted_by.param in bound:
        return None  # the statement itself says in which order the API answers
    recursive: dict[str, Cte] = {}
    rows = StagedRows(staged.source(relation, recursive), lambda e: staged.sql(e, recursive))
    found = _early(binder, relation, method, rows)
    if found is None or recursive:
        return None
    order = _order_parameter(method, found)
    if order is not None:
        use.bindings += (Given.one(order[0], [Literal(order[1])]),)
    size = method.pages.size if method.pages is not None else None
    if size is not None and found.rows is not None and found.rows < size.max:
        parameter = next((p for p in method.parameters if p.name == size.param), None)
        if parameter is not None and size.param not in bound:
            use.bindings += (Given.one(parameter, [Literal(found.rows)]),)
    if found.order and sorted_by:
        uses.need(relation, sorted_by.field)
    enough = f"SELECT {found.enough}"
    each = None
    if found.each:
        lists = LISTS.format(use.table) + rows.source.removeprefix(use.table)
        sql = f"SELECT {CALL} FROM {lists} GROUP BY {CALL} HAVING {found.each}"
        each = Check(sql, arguments(sql, tree))
    return Ending(
        Check(enough, arguments(enough, tree)), each, found.order is not None or bool(found.each), found.reason
    )


def _early(binder: Binder, relation: Relation, method: Method, staged: StagedRows) -> Early | None:
    limit = limited(binder, relation, method, staged)
    bound = ranged(binder, relation, method, limit.order if limit else None, staged)
    if limit and bound:
        each = " OR ".join(f"({e.each})" for e in (limit, bound) if e.each)
        return replace(limit, enough=f"{limit.enough} OR {bound.enough}", order=bound.order, each=each)
    return limit or bound


def _order_parameter(method: Method, early: Early) -> tuple[Parameter, str] | None:
    """The parameter and value that make the API answer in the wanted direction."""
    sorted_by = method.sorted_by
    if early.order is None or sorted_by is None or sorted_by.param is None or sorted_by.default == early.order:
        return None
    found = next((p for p in method.parameters if p.name == sorted_by.param), None)
    return (found, early.order) if found is not None else None


def is_empty(relation: Relation, contradictions: Contradictions) -> bool:
    """Whether no row of a relation can matter: LIMIT 0 around it, or conditions that contradict each other."""
    if any(whole_number(limit.expression) == 0 for limit in _limits_around(relation)):
        return True
    return contradictions.exclude(relation)


def _limits_around(relation: Relation) -> Iterator[exp.Limit]:
    """The LIMITs of all queries that a relation is in; a CTE is where it is used."""
    node: exp.Expr | None = relation.node
    block: Block | None = relation.block
    while node is not None:
        limit = node.args.get("limit") if isinstance(node, exp.Query) else None
        if isinstance(limit, exp.Limit):
            yield limit
        if isinstance(node, exp.CTE):
            return  # a recursive one, which may have several uses
        node = node.parent
        if node is None and block is not None and block.region is not None:
            node, block = block.region.node, block.region.block
