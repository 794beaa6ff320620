"""Which relations have a row of their own wherever conditions hold, and which of them a condition may be about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlglot import exp

from provider.plan.blocks import Block, Relation
from provider.plan.claims import Among, Claim, Compared, Either, Equal, Valued, claims, is_value
from provider.plan.resolution import resolve
from provider.plan.syntax import own_nodes


def present(conditions: tuple[exp.Expr, ...], block: Block) -> set[Relation]:
    """The relations of a block that are null-extended in no row for which conditions hold: they compare a column."""
    return _present(claims(conditions), block)


def _present(found: Iterable[Claim], block: Block) -> set[Relation]:
    relations: set[Relation] = set()
    for claim in found:
        sides: list[exp.Expr] = []
        match claim:
            case Equal(left, right):
                sides += [*_compared(left, (right,)), *_compared(right, (left,))]
            case Compared(_, left, right):
                sides += [left, right]
            case Among(item, values):
                sides += _compared(item, values)
            case Valued(item):
                sides.append(item)
            case Either(branches):
                relations |= set.intersection(*(_present(b, block) for b in branches))
        for side in (s.unnest() for s in sides):
            meant = resolve(side, block) if isinstance(side, exp.Column) else None
            if meant is not None and meant[0].block is block:
                relations.add(meant[0])
    return relations


def _compared(item: exp.Expr, values: Sequence[exp.Expr]) -> Iterator[exp.Expr]:
    """The parts of an item that are not NULL where it equals one of some values."""
    item = item.unnest()
    if not isinstance(item, exp.Tuple):
        yield item
        return
    rows = [v.unnest() for v in values]
    for i, part in enumerate(item.expressions):  # within rows NULL equals NULL
        if all(isinstance(r, exp.Tuple) and i < len(r.expressions) and is_value(r.expressions[i]) for r in rows):
            yield part


def about(condition: exp.Expr, block: Block) -> frozenset[frozenset[Relation]]:
    """What a condition may be about: relations of a block, each where a name cannot be told.

    What USING merged is of several together: it stays the same as long as one of them has a row.
    """
    each = frozenset(frozenset([r]) for r in block.relations)
    if condition.find(exp.Star, exp.Columns):
        return each
    own = {id(n) for n in own_nodes(condition)}
    merged = {id(c): n for n in own_nodes(condition) if "merged" in n.meta for c in n.find_all(exp.Column)}
    found: set[frozenset[Relation]] = set()
    for column in condition.find_all(exp.Column):
        if id(column) not in own:
            found |= {frozenset([r]) for r in block.relations if _may_mean(column, r)}
            continue
        together = merged[id(column)].find_all(exp.Column) if id(column) in merged else (column,)
        meant = [resolve(c, block) for c in together]
        if None in meant:
            return each
        found.add(frozenset(m[0] for m in meant if m is not None))
    return frozenset(found)


def _may_mean(column: exp.Column, relation: Relation) -> bool:
    """Whether a name in a nested query may be of a relation outside."""
    if column.table:
        return column.table.lower() == relation.alias.lower()
    known = relation.columns() is not None
    return not known or relation.has(column.name) or relation.parameter(column.name) is not None
