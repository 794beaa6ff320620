"""Ranges over a field that a parameter may narrow by."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from provider.plan.blocks import Relation
from provider.plan.claims import has_collation, is_constant
from provider.plan.grouping import lets_through
from provider.plan.outputs import outputs
from provider.plan.resolution import resolve

#: What a parameter that means `field operator value` may serve: it must not leave out a row that the predicate wants.
_SERVES: dict[str, tuple[type[exp.Expr], ...]] = {
    ">=": (exp.GT, exp.GTE, exp.EQ),
    ">": (exp.GT,),
    "<=": (exp.LT, exp.LTE, exp.EQ),
    "<": (exp.LT,),
}


def bounds(relation: Relation, field: str, operator: str) -> Iterator[exp.Expr]:
    """Constants that a field is compared with so that a parameter of that operator may narrow the rows."""
    return (bound for comparison, bound in compared(relation, field) if comparison in _SERVES[operator])


def compared(relation: Relation, field: str) -> Iterator[tuple[type[exp.Expr], exp.Expr]]:
    """The constants that a field is compared with, and how: beside the relation, or outside what passes it on alone."""
    here: Relation | None = relation
    name: str | None = field.lower()
    while here is not None and name is not None and not here.is_drawn:
        for comparison, column, bound in comparisons(here.block.held(here)):
            if isinstance(column, exp.Column) and is_constant(bound):
                found = resolve(column, here.block)
                if found is not None and found[0] is here and found[1].lower() == name:
                    yield comparison, bound
        name = _passed_on(here, name)
        here = here.block.owner


def _passed_on(relation: Relation, name: str) -> str | None:
    """What the derived table around a relation calls a column of it, in lower case; None where it is not passed on."""
    block, owner = relation.block, relation.block.owner
    if owner is None or block.relations != [relation] or block.by_name or not lets_through(block, (relation, name)):
        return None
    columns, known = outputs(block) or [], owner.columns() or ()
    for column, called in zip(columns, known, strict=False):
        source = column.source
        if column.item is not None and isinstance(item := column.item.unalias(), exp.Column):
            source = resolve(item, block)
        if source is not None and source[0] is relation and source[1].lower() == name:
            return called.lower()
    return None


def comparisons(held: tuple[exp.Expr, ...]) -> Iterator[tuple[type[exp.Expr], exp.Expr, exp.Expr]]:
    """`column operator constant`, turned so that the column is on the left; no collation decides there."""
    turned: dict[type[exp.Expr], type[exp.Expr]] = {
        exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE, exp.EQ: exp.EQ,
    }  # fmt: skip
    for condition in held:
        if has_collation(condition):
            continue
        if isinstance(condition, exp.Between) and not condition.args.get("symmetric"):
            yield exp.GTE, condition.this, condition.args["low"]
            yield exp.LTE, condition.this, condition.args["high"]
        elif type(condition) in turned:
            yield type(condition), condition.this, condition.expression
            yield turned[type(condition)], condition.expression, condition.this
