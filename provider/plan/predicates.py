"""What becomes of each condition that a statement puts on a resource: sent by a parameter, or left to DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from provider.catalog.catalog import Method
from provider.plan.bindings import Bindings, Constants, Fact, FromRelations, Slot, Source
from provider.plan.blocks import Block, Join, Relation, Tree
from provider.plan.claims import is_volatile
from provider.plan.physical import Predicate
from provider.plan.resolution import resolve
from provider.plan.uses import Carried, Use

#: What may be a bound; `NOT k < 1` is one too.
_BOUNDS = (exp.GTE, exp.LTE, exp.GT, exp.LT, exp.Between, exp.Not)


class Predicates:
    """Tells what becomes of the conditions of one statement; what a condition says is read once for all uses."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._columns: dict[int, list[Slot | None]] = {}

    def of(self, use: Use) -> tuple[Predicate, ...]:
        """The conditions on a use's rows, those that are sent first.

        Conditions that compare several relations count where they are sent, and are left out elsewhere.
        """
        relation = use.relation
        sent: list[Predicate] = []
        kept: list[Predicate] = []
        held = [c for c in relation.block.held(relation) if not isinstance(c, exp.Boolean)]
        said: dict[int, list[Fact]] = {}

        def facts(condition: exp.Expr) -> list[Fact]:
            if id(condition) not in said:
                said[id(condition)] = self._bindings.facts([condition], relation)
            return said[id(condition)]

        def met(condition: exp.Expr) -> list[Fact]:
            """What a bound says together with one that meets it."""
            bounds = [c for c in held if isinstance(c.unnest(), _BOUNDS) and not facts(c)]
            others = [c for c in bounds if c is not condition] if any(c is condition for c in bounds) else []
            return [f for c in others for f in self._bindings.facts([condition, c], relation)]

        def is_given(slot: Slot, source: Source | exp.Expr) -> bool:
            about = (c for c in held if self._reads(c, slot[0]))
            return any(s == slot and _gives(v, source) for c in about for s, v in facts(c))

        for condition in held:
            if not self._reads(condition, relation):
                continue
            found = facts(condition) or met(condition)
            carriers = [c for c in use.carried if _is_carried(condition, found, c, relation, is_given)]
            columns = self._own_columns(condition, relation)
            if carriers:
                sent.append(_sent(condition, carriers, rest={c.lower() for c in columns}))
            elif columns:
                kept.append(Predicate(_text(condition), reason=_reason(condition, columns, use, found)))
        kept += (
            Predicate(_text(condition), reason=reason)
            for condition, reason in _conditions(relation.block)
            if not any(condition is h for h in held) and self._own_columns(condition, relation)
        )
        return (*sent, *self._from_outside(use), *kept)

    def _from_outside(self, use: Use) -> Iterator[Predicate]:
        """Conditions on the derived tables and CTEs around a relation that bind its parameters."""
        owner = use.relation.block.owner
        while owner is not None:
            for condition in owner.block.held(owner):
                if isinstance(condition, exp.Boolean):
                    continue
                values = [v for slot, v in self._bindings.facts([condition], owner) if slot[0] is owner]
                bounded = {id(n) for n in condition.walk()}
                carriers = [
                    c for c in use.carried if id(c.source) in bounded or any(_gives(v, c.source) for v in values)
                ]
                if carriers:
                    yield _sent(condition, carriers, rest=set())
            owner = owner.block.owner

    def _own_columns(self, condition: exp.Expr, relation: Relation) -> list[str]:
        """The columns of a condition if all are the relation's; else none."""
        found = self._owners(condition, relation.block)
        own = [f[1] for f in found if f is not None and f[0] is relation]
        return list(dict.fromkeys(own)) if len(own) == len(found) else []

    def _reads(self, condition: exp.Expr, relation: Relation) -> bool:
        """Whether a condition may be about a relation; an unknown column, or one in a nested query, may be its own."""
        return condition.find(exp.Query) is not None or any(
            f is None or f[0] is relation for f in self._owners(condition, relation.block)
        )

    def _owners(self, condition: exp.Expr, block: Block) -> list[Slot | None]:
        """The relations' columns that a condition names."""
        if id(condition) not in self._columns:
            nodes = condition.walk(prune=lambda n: isinstance(n, exp.Query))
            columns = [n for n in nodes if isinstance(n, exp.Column)]
            self._columns[id(condition)] = [resolve(c, block) for c in columns]
        return self._columns[id(condition)]


def _is_carried(
    condition: exp.Expr,
    facts: list[Fact],
    carried: Carried,
    relation: Relation,
    is_given: Callable[[Slot, Source | exp.Expr], bool],
) -> bool:
    """Whether a parameter's values come from a condition."""
    if isinstance(carried.source, exp.Expr):
        return any(n is carried.source for n in condition.walk())
    slot = (relation, carried.column.lower())
    for left, value in facts:
        if left != slot:
            continue
        if _gives(value, carried.source):
            return True
        if isinstance(value, tuple) and not is_given(slot, carried.source):
            # An equal column led to the source: one that stands before this one, or that has the values itself.
            if value[0].node.meta["relation"] < relation.node.meta["relation"]:
                return True
            if is_given(value, carried.source):
                return True
    return False


def _gives(value: Source | Slot, source: Source | exp.Expr) -> bool:
    if isinstance(value, tuple):
        return isinstance(source, FromRelations) and value[0] in source.relations
    if isinstance(value, Constants) and isinstance(source, Constants):
        return source.values == value.values or (bool(source.values) and set(source.values) <= set(value.values))
    return value == source


def _sent(condition: exp.Expr, carriers: list[Carried], rest: set[str]) -> Predicate:
    """A condition that is sent; the API's answer holds more where it says something of further columns, too."""
    rest = rest - {c.column.lower() for c in carriers} - {c.parameter.lower() for c in carriers}
    superset = bool(rest) or any(c.match == "superset" for c in carriers)
    return Predicate(_text(condition), tuple(c.parameter for c in carriers), "superset" if superset else "exact")


def _reason(condition: exp.Expr, columns: list[str], use: Use, facts: list[Fact]) -> str:
    """Why no parameter carries a condition."""
    assert use.method is not None
    if any(is_volatile(f) for f in condition.find_all(exp.Func)):
        return "it may differ from row to row"
    if isinstance(condition.unnest(), exp.Or) and len(columns) > 1:
        return "an OR over several columns"
    column = columns[0]
    served = _served(use.method, use, column)
    if not served:
        return f"{use.method.name} has no parameter for {column}"
    parameter, operator, is_safe = served
    if not is_safe:
        return f"{parameter} is declared unsafe for it"
    values = next((v for slot, v in facts if slot[1] == column.lower()), None)
    if isinstance(values, Constants) and len(values.values) > 1:
        return "several values would be several lists"
    source = next((c.source for c in use.carried if c.parameter == parameter), None)
    if source == Constants(()):
        return "no row can match"
    if values is not None:
        return "not constant" if source is None else f"{parameter} is bound otherwise"
    if any(isinstance(c.parent, exp.Func) for c in condition.find_all(exp.Column)):
        return f"a function of {column}"
    return f"{parameter} means {operator}"


def _served(method: Method, use: Use, column: str) -> tuple[str, str, bool] | None:
    """The parameter that could carry a column, the operator that it means, and whether it is safe to use."""
    for parameter in method.parameters:
        if column.lower() in (parameter.name.lower(), (use.resource.key_field(parameter.name) or "").lower()):
            return parameter.name, "=", True
    rules = [r for name, rules in method.pushdown.items() if name.lower() == column.lower() for r in rules]
    rule = next((r for r in rules if r.match != "unsafe"), rules[0] if rules else None)
    return (rule.param, rule.operator, rule.match != "unsafe") if rule else None


def _conditions(block: Block) -> Iterator[tuple[exp.Expr, str]]:
    """The conditions of WHERE and of each ON, with why rows that fail them may not be left out."""
    yield from ((c, "an outer join adds a row without it, which may pass") for c in block.where)
    todo: list[Tree] = [block.tree] if block.tree is not None else []
    while todo:
        tree = todo.pop()
        if isinstance(tree, Join):
            yield from ((c, "an outer join keeps the rows that fail its ON") for c in tree.on)
            todo += [tree.left, tree.right]


def _text(condition: exp.Expr) -> str:
    column = condition.find(exp.Column)
    if column is not None and not any("start" in i.meta for i in condition.find_all(exp.Identifier)):
        return f"USING ({column.name})"  # stands nowhere in the statement: the binder made it
    return str(condition.sql(dialect="duckdb", comments=False))
