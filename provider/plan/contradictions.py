"""Conditions that no row fulfils together: `n > 2 AND n < 1`, `role = 'a' AND role = 'b'`, `1 = 2`.

Only what is certain counts: columns of resources, whose types the manifest tells, beside plain literals that
DuckDB compares in these types. All else may hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlglot import exp

from provider.catalog.types import FieldType
from provider.plan.binder import Binder
from provider.plan.blocks import Block, Relation
from provider.plan.claims import TURNED, Among, Claim, Compared, Either, Equal, Missing, Never, Valued
from provider.plan.outputs import outputs
from provider.plan.resolution import resolve

#: A literal as a value that Python compares as DuckDB does, beside others of the same type.
_Value = Any

_NUMBER = re.compile(r"\d{1,18}|(?=.{1,18}$)\d*\.\d+")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TRUTH: dict[type[exp.Expr], Callable[[_Value, _Value], bool]] = {
    exp.EQ: operator.eq, exp.NEQ: operator.ne, exp.GT: operator.gt,
    exp.LT: operator.lt, exp.GTE: operator.ge, exp.LTE: operator.le,
}  # fmt: skip


@dataclass(slots=True)
class _Span:
    """The values that a column can have: those that all `tests` pass, `among` these where it is not None."""

    among: frozenset[_Value] | None = None
    tests: list[tuple[type[exp.Expr], _Value]] = field(default_factory=list)
    is_null: bool = False
    is_value: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is no such value."""
        if self.is_null:
            return self.is_value
        if self.among is not None:
            return not any(all(_TRUTH[kind](v, bound) for kind, bound in self.tests) for v in self.among)
        lows = [(v, kind is exp.GT) for kind, v in self.tests if kind in (exp.GT, exp.GTE)]
        highs = [(v, kind is exp.LT) for kind, v in self.tests if kind in (exp.LT, exp.LTE)]
        if not lows or not highs:
            return False
        low, high = max(v for v, _ in lows), min(v for v, _ in highs)
        return bool(low > high) or (low == high and ((low, True) in lows or (high, True) in highs))

    def copy(self) -> _Span:
        """The same, to be narrowed further."""
        return _Span(self.among, list(self.tests), self.is_null, self.is_value)


#: A relation's column, in lower case.
_Slot = tuple[Relation, str]


class Contradictions:
    """Tells the conditions of one statement that contradict each other."""

    def __init__(self, binder: Binder) -> None:
        self._binder = binder
        self._known: dict[int, bool] = {}

    def exclude(self, relation: Relation) -> bool:
        """Whether the conditions on a relation, and on what it is a part of, let no row of it through."""
        here: Relation | None = relation
        while here is not None:
            if self._contradict(here.block.claims(here), here.block) or self._is_idle(here.block):
                return True
            here = here.block.owner
        return False

    def _is_idle(self, block: Block) -> bool:
        """Whether a SELECT stands in an expression of another one that has no row to compute it for."""
        outer = block.outer
        if outer is None or block.owner is not None:
            return False
        if self._contradict(outer.claims(), outer) and not _is_asked_without_rows(block, outer):
            return True
        return self.exclude(outer.owner) if outer.owner is not None else self._is_idle(outer)

    def _contradict(self, claims: tuple[Claim, ...], block: Block) -> bool:
        key = id(claims)  # the block keeps them
        if key not in self._known:
            self._known[key] = self._may_hold(claims, block, {})
        return not self._known[key]

    def _may_hold(self, claims: Iterable[Claim], block: Block, known: dict[_Slot, _Span]) -> bool:
        """Whether all claims may hold beside what is known of columns."""
        spans: dict[_Slot, _Span] = {}
        choices: list[Either] = []
        for claim in claims:
            if isinstance(claim, Either):
                choices.append(claim)
            elif not self._note(claim, block, spans, known):
                return False
        if any(span.is_empty for span in spans.values()):
            return False
        known = known | spans if choices else known
        return all(any(self._may_hold(b, block, known) for b in choice.branches) for choice in choices)

    def _note(self, claim: Claim, block: Block, spans: dict[_Slot, _Span], known: dict[_Slot, _Span]) -> bool:
        """Note what a claim says of a column; False where it cannot be so at all."""

        def span(node: exp.Expr) -> tuple[_Span, FieldType] | None:
            node = node.unnest()
            found = resolve(node, block) if isinstance(node, exp.Column) else None
            type_ = self._type(*found) if found is not None else None
            if found is None or type_ is None:
                return None
            slot = (found[0], found[1].lower())
            if slot not in spans:
                spans[slot] = known[slot].copy() if slot in known else _Span()
            return spans[slot], type_

        match claim:
            case Never():
                return False
            case Missing(item) if (at := span(item)) is not None:
                at[0].is_null = True
            case Valued(item) if (at := span(item)) is not None:
                at[0].is_value = True
            case Among(item, values) if (at := span(item)) is not None:
                self._list(values, *at)
            case Equal(left, right):
                return self._compare(exp.EQ, left, right, span)
            case Compared(operator, left, right):
                return self._compare(operator, left, right, span)
        return True

    def _list(self, values: Sequence[exp.Expr], span: _Span, type_: FieldType) -> None:
        span.is_value = True
        found = [self._value(v, type_) for v in values]
        if None not in found:
            span.among = frozenset(found) & (frozenset(found) if span.among is None else span.among)

    def _compare(
        self,
        kind: type[exp.Expr],
        left: exp.Expr,
        right: exp.Expr,
        span: Callable[[exp.Expr], tuple[_Span, FieldType] | None],
    ) -> bool:
        """Note a comparison that is true; False where it cannot be."""
        if isinstance(left.unnest(), exp.Null) or isinstance(right.unnest(), exp.Null):
            return False
        if isinstance(right.unnest(), exp.Column):
            kind, left, right = TURNED[kind], right, left
        at = span(left)
        if at is None:
            return self._is_possible(kind, left, right)
        found, type_ = at
        value = self._value(right, type_)
        found.is_value = True
        if value is not None and kind is exp.EQ:
            found.among = frozenset([value]) & (frozenset([value]) if found.among is None else found.among)
        elif value is not None:
            found.tests.append((kind, value))
        return True

    def _is_possible(self, kind: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> bool:
        """Whether a comparison may hold that is not of a column; of two literals alike that is known."""
        for type_ in (FieldType("decimal"), FieldType("string")):
            values = [self._value(side, type_) for side in (left, right)]
            if None not in values:
                return _TRUTH[kind](*values)
        return True

    def _value(self, node: exp.Expr, type_: FieldType) -> _Value | None:
        """A literal as DuckDB compares it with a column of a type; None where that is not certain."""
        node = node.unnest()
        text, sign = node.name, ""
        if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
            node, text, sign = node.this, node.this.name, "-"
        is_text = isinstance(node, exp.Literal) and node.is_string and not sign
        is_number = isinstance(node, exp.Literal) and not node.is_string and _NUMBER.fullmatch(text) is not None
        match type_.base:
            case "string" if is_text and self._binder.conventions.plain_text:
                return text.encode()
            case "integer" if is_text and _WHOLE.fullmatch(text):
                return Decimal(text)
            case "integer" | "decimal" if is_number:
                return Decimal(sign + text)
            case "number" if is_number:
                return float(sign + text)
            case "boolean" if isinstance(node, exp.Boolean):
                return bool(node.this)
            case "date":
                inner = node.this if isinstance(node, exp.Cast) and node.to.is_type(exp.DType.DATE) else node
                is_text, text = isinstance(inner, exp.Literal) and inner.is_string, inner.name
                return text if is_text and _DATE.fullmatch(text) else None
        return None

    def _type(self, relation: Relation, name: str) -> FieldType | None:
        """The type of a column that is a resource's, directly or through what only passes it on."""
        if relation.resource is not None:
            found = relation.resource.field(name) or relation.resource.select_parameter(name)
            return found.type if found is not None else None
        given = [n.lower() for n in relation.columns() or ()]
        recursive = relation.cte is not None and relation.cte.recursive
        if len(relation.bodies) != 1 or recursive or name.lower() not in given:
            return None
        columns = outputs(relation.bodies[0]) or []
        column = columns[given.index(name.lower())] if len(columns) == len(given) else None
        if column is None:
            return None
        source = column.source
        if column.item is not None and isinstance(item := column.item.unalias(), exp.Column):
            source = resolve(item, relation.bodies[0])
        return self._type(*source) if source is not None else None


def _is_asked_without_rows(block: Block, outer: Block) -> bool:
    """Whether a nested SELECT may be computed though WHERE lets no row through: beside an aggregate, which has one."""
    here: exp.Expr | None = block.select
    while here is not None and here.parent is not outer.select:
        here = here.parent
    if here is None or here.arg_key in ("where", "from_", "joins"):
        return here is None
    own = outer.select.walk(prune=lambda n: isinstance(n, exp.Query) and n is not outer.select)
    return any(isinstance(n, exp.AggFunc | exp.Anonymous | exp.Group) for n in own)
