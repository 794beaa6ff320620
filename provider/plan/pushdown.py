"""Comparisons of a field with constants that a parameter, or the order of a list, may narrow by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from sqlglot import exp

from provider.plan.blocks import Relation
from provider.plan.claims import TURNED, Among, Claim, Compared, Either, Equal, is_constant
from provider.plan.grouping import lets_through
from provider.plan.outputs import outputs
from provider.plan.resolution import resolve

#: `field operator constant`.
Test = tuple[type[exp.Expr], exp.Expr]

#: What a parameter that means `field operator value` may serve: it must not leave out a row that the predicate wants.
_SERVES: dict[str, tuple[type[exp.Expr], ...]] = {
    ">=": (exp.GT, exp.GTE, exp.EQ),
    ">": (exp.GT,),
    "<=": (exp.LT, exp.LTE, exp.EQ),
    "<": (exp.LT,),
}


def bounds(relation: Relation, field: str, operator: str) -> Iterator[exp.Expr]:
    """Constants that a field is compared with so that a parameter of that operator may narrow the rows."""
    return (tests[0][1] for tests in compared(relation, field, _SERVES[operator]) if len(tests) == 1)


def compared(relation: Relation, field: str, operators: Collection[type[exp.Expr]]) -> Iterator[tuple[Test, ...]]:
    """Comparisons of a field with constants by some operators: of each tuple's, every row that counts fulfils one.

    They stand beside the relation, or outside what passes it on alone.
    """
    here: Relation | None = relation
    name: str | None = field.lower()
    while here is not None and name is not None and not here.is_drawn:
        at, called = here, name

        def is_field(node: exp.Expr, at: Relation = at, called: str = called) -> bool:
            node = node.unnest()
            found = resolve(node, at.block) if isinstance(node, exp.Column) else None
            return found is not None and found[0] is at and found[1].lower() == called

        yield from _tests(here.block.claims(here), is_field, operators)
        name = _passed_on(here, name)
        here = here.block.owner


def _tests(
    said: tuple[Claim, ...], is_field: Callable[[exp.Expr], bool], operators: Collection[type[exp.Expr]]
) -> Iterator[tuple[Test, ...]]:
    for claim in said:
        match claim:
            case Equal(left, right):
                yield from _turned(exp.EQ, left, right, is_field, operators)
            case Compared(operator, left, right):
                yield from _turned(operator, left, right, is_field, operators)
            case Among(item, values) if exp.EQ in operators and is_field(item) and all(map(is_constant, values)):
                yield tuple((exp.EQ, v) for v in values if not isinstance(v, exp.Null))
            case Either(branches):
                firsts = [next(_tests(b, is_field, operators), None) for b in branches]
                if all(firsts):
                    yield tuple(t for first in firsts for t in first or ())


def _turned(
    operator: type[exp.Expr],
    left: exp.Expr,
    right: exp.Expr,
    is_field: Callable[[exp.Expr], bool],
    operators: Collection[type[exp.Expr]],
) -> Iterator[tuple[Test, ...]]:
    """A comparison with the field on its left."""
    for kind, item, value in ((operator, left, right), (TURNED[operator], right, left)):
        if kind in operators and is_constant(value) and is_field(item):
            yield ((kind, value),)


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
