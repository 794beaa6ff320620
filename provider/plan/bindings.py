"""Where a parameter's values can come from: constants, subqueries, or columns of other relations.

All predicates used here hold in every row of the result that has a row of the relation in question
(`Block.held`), so narrowing that relation by them can lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from provider.plan.binder import Binder, Block, Relation, conjuncts, outputs

#: A relation's column: (relation, lower-case name).
Slot = tuple[Relation, str]


@dataclass(frozen=True, slots=True)
class Constants:
    """Values that need no table: literals, parameters, expressions over them. Empty: no row can match.

    Sources with the same `rows` give the columns of one list of rows, `(a, b) IN ((1, 2), (3, 4))`: the
    n-th values belong together.
    """

    values: tuple[exp.Expr, ...]
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class FromQuery:
    """The rows of a query that stands in the statement: `IN (SELECT ...)`, `= (SELECT ...)`.

    The values are its column `index` of `width`.
    """

    query: exp.Expr
    block: Block
    index: int = 0
    width: int = 1


@dataclass(frozen=True, slots=True)
class FromRelations:
    """An expression over columns of other relations of one block: a join or a correlation."""

    value: exp.Expr
    relations: frozenset[Relation]
    block: Block

    def may_lack(self, relation: Relation) -> frozenset[Relation]:
        """The relations whose absence from a row may still give a value: `coalesce(column, 'x')`.

        A plain column is NULL in a null-extended row, which binds nothing.
        """
        if isinstance(self.value, exp.Column):
            return frozenset()
        beside = relation if relation.block is self.block else None
        return frozenset(r for r in self.relations if not r.block.is_present(r, beside))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Values of several origins together: an OR, or the branches of one."""

    parts: tuple[Source, ...]


Source = Constants | FromQuery | FromRelations | AnyOf


class Bindings:
    """Finds sources for the columns of a bound statement."""

    def __init__(self, binder: Binder) -> None:
        self._binder = binder
        self._cache: dict[tuple[int, str], tuple[Source, ...]] = {}
        self._facts: dict[int, list[tuple[Slot, Source | Slot]]] = {}

    def sources(self, relation: Relation, name: str) -> tuple[Source, ...]:
        """All sources of values for a column, constants first; each alone is enough."""
        slot = _canonical(relation, name)
        key = (id(relation), slot[1])
        if key not in self._cache:
            self._cache[key] = ()  # what leads back here adds nothing
            found = list(self._search(*slot))
            self._cache[key] = tuple(_constants_first(found))
        return self._cache[key]

    def _search(self, relation: Relation, name: str) -> Iterator[Source]:
        block = relation.block
        facts = self._facts_of(relation)
        equal: list[Slot] = []
        todo = [(relation, name)]
        while todo:
            slot = todo.pop()
            if slot in equal:
                continue
            equal.append(slot)
            for left, right in facts:
                if left != slot:
                    continue
                if isinstance(right, tuple):
                    todo.append(right)
                elif _is_usable(right, relation):
                    yield right
        for other, column in equal:
            if other is not relation:
                value = exp.column(column, table=other.alias, quoted=True)
                yield FromRelations(value, frozenset([other]), other.block)
                if other.block is not block:
                    yield from self.sources(other, column)
        yield from self._from_owner(block, [slot for slot in equal if slot[0].block is block])

    def _from_owner(self, block: Block, equal: list[Slot]) -> Iterator[Source]:
        """What is known of the owner's output columns holds for the columns that feed them."""
        owner = block.owner
        if owner is None or not block.transparent:
            return
        columns = outputs(block)
        if columns is None:
            return
        first = outputs(owner.bodies[0]) if owner.bodies and owner.bodies[0] is not block else columns
        if first is None or len(first) != len(columns):
            return
        grouped = block.select.args.get("group")
        for i, column in enumerate(columns):
            source = column.source
            if column.item is not None:
                inner = column.item.unalias()
                source = self._binder.resolve(inner, block) if isinstance(inner, exp.Column) else None
                if grouped is not None and not _groups_by(grouped, column.item, i):
                    continue
            elif grouped is not None:
                continue
            if source is not None and _canonical(*source) in equal:
                yield from self.sources(owner, owner.renames[i] if i < len(owner.renames) else first[i].name)

    def _facts_of(self, relation: Relation) -> list[tuple[Slot, Source | Slot]]:
        """The held predicates as `column = source`, both ways for `column = column`."""
        if id(relation) not in self._facts:
            facts: list[tuple[Slot, Source | Slot]] = []
            for conjunct in relation.block.held(relation):
                facts += self._fact(conjunct, relation.block)
            self._facts[id(relation)] = facts
        return self._facts[id(relation)]

    def _fact(self, predicate: exp.Expr, block: Block) -> Iterator[tuple[Slot, Source | Slot]]:
        predicate = predicate.unnest()
        if isinstance(predicate, exp.EQ | exp.NullSafeEQ | exp.In) and _has_collation(predicate):
            return  # different texts are equal
        literal = isinstance(predicate, exp.NullSafeEQ) and isinstance(predicate.expression.unnest(), exp.Literal)
        if isinstance(predicate, exp.EQ) or literal:
            for a, b in ((predicate.this, predicate.expression), (predicate.expression, predicate.this)):
                yield from self._equality(a, b, block)
        elif isinstance(predicate, exp.In) and not predicate.args.get("unnest"):
            yield from self._membership(predicate, block)
        elif isinstance(predicate, exp.Or):
            yield from self._disjunction(predicate, block)
        elif isinstance(predicate, exp.Boolean) and not predicate.this:
            for relation in block.relations:
                for column in relation.columns() or ():
                    yield (relation, column.lower()), Constants(())

    def _equality(self, a: exp.Expr, b: exp.Expr, block: Block) -> Iterator[tuple[Slot, Source | Slot]]:
        if isinstance(a, exp.Tuple) and isinstance(b, exp.Tuple) and len(a.expressions) == len(b.expressions):
            for x, y in zip(a.expressions, b.expressions, strict=True):
                yield from self._equality(x, y, block)
            return
        slot = self._slot(a, block)
        if slot is None:
            return
        other = self._slot(b, block)
        if other is not None:
            yield slot, other
            return
        source = self._value(b, block)
        if source is not None:
            yield slot, source

    def _membership(self, predicate: exp.In, block: Block) -> Iterator[tuple[Slot, Source | Slot]]:
        query = predicate.args.get("query")
        left = predicate.this.unnest()
        if isinstance(left, exp.Tuple):
            # A row value: each column on its own is bound by its share of the rows.
            rows = [r.unnest() for r in predicate.expressions]
            width = len(left.expressions)
            if query is not None:
                for i, item in enumerate(left.expressions):
                    slot = self._slot(item, block)
                    source = self._query(query, block)
                    if slot is not None and isinstance(source, FromQuery):
                        yield slot, FromQuery(source.query, source.block, i, width)
            elif all(isinstance(r, exp.Tuple) and len(r.expressions) == width for r in rows):
                for i, item in enumerate(left.expressions):
                    yield from self._listed(item, [r.expressions[i] for r in rows], block, id(predicate))
            return
        if query is None:
            yield from self._listed(left, predicate.expressions, block)
            return
        slot = self._slot(left, block)
        if slot is not None:
            source = self._query(query, block)
            if source is not None:
                yield slot, source

    def _listed(
        self, item: exp.Expr, values: list[exp.Expr], block: Block, rows: int | None = None
    ) -> Iterator[tuple[Slot, Source | Slot]]:
        slot = self._slot(item, block)
        if slot is None:
            return
        if all(is_constant(v) for v in values):
            yield slot, Constants(tuple(values), rows)
            return
        parts = [self._value(v, block) for v in values]
        if all(p is not None for p in parts):
            yield slot, AnyOf(tuple(p for p in parts if p is not None))

    def _disjunction(self, predicate: exp.Or, block: Block) -> Iterator[tuple[Slot, Source | Slot]]:
        """A column is bound by an OR when each branch binds it."""
        branches = [self._branch(branch, block) for branch in _branches(predicate)]
        for slot in branches[0]:
            if not all(slot in b for b in branches):
                continue
            parts = [b[slot] for b in branches]
            constants = [p for p in parts if isinstance(p, Constants)]
            if len(constants) < len(parts):
                yield slot, AnyOf(tuple(parts))
                continue
            # One value a branch: the columns of `(a = 1 AND b = 2) OR (a = 3 AND b = 4)` are rows too.
            rows = id(predicate) if all(len(c.values) == 1 for c in constants) else None
            yield slot, Constants(tuple(v for c in constants for v in c.values), rows)

    def _branch(self, branch: exp.Expr, block: Block) -> dict[Slot, Source]:
        """What one branch of an OR says of each column: a constant if it can, else whatever binds it."""
        found: dict[Slot, Source] = {}
        for part in conjuncts(branch):
            for slot, value in self._fact(part, block):
                source = _as_source(value) if isinstance(value, tuple) else value
                if isinstance(source, FromRelations) and slot[0] in source.relations:
                    continue
                if slot not in found or isinstance(source, Constants):
                    found[slot] = source
        return found

    def _slot(self, node: exp.Expr, block: Block) -> Slot | None:
        """The column that an expression is, casts that change nothing removed."""
        node = node.unnest()
        if not isinstance(node, exp.Column):
            if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
                inner = self._slot(node.this, block)
                if inner is not None and _keeps(inner, node):
                    return inner
            return None
        found = self._binder.resolve(node, block)
        return _canonical(*found) if found else None

    def _value(self, node: exp.Expr, block: Block) -> Source | None:
        """What the other side of an equality offers."""
        node = node.unnest() if not isinstance(node, exp.Subquery) else node
        if isinstance(node, exp.Any | exp.All):
            if isinstance(node, exp.All):
                return None
            inner = node.this.unnest() if not isinstance(node.this, exp.Query) else node.this
            if isinstance(inner, exp.Query):
                return self._query(inner, block)
            if isinstance(inner, exp.Array) and all(is_constant(v) for v in inner.expressions):
                return Constants(tuple(inner.expressions))
            return Constants((exp.Explode(this=inner.copy()),)) if is_constant(inner) else None
        if is_constant(node):
            return Constants((node,))
        if isinstance(node, exp.Query):
            return self._query(node, block)
        if node.find(exp.Query, exp.AggFunc, exp.Window) is not None:
            return None
        relations = set()
        for column in node.find_all(exp.Column):
            found = self._binder.resolve(column, block)
            if found is None:
                return None
            relations.add(found[0])
        blocks = {r.block for r in relations}
        return FromRelations(node, frozenset(relations), blocks.pop()) if len(blocks) == 1 else None

    def _query(self, query: exp.Expr, block: Block) -> Source | None:
        """A nested query, unless it is correlated: its rows must not depend on outer ones."""
        inside = {id(s) for s in query.find_all(exp.Select)}
        for nested in self._binder.blocks:
            if id(nested.select) not in inside:
                continue
            for column in nested.columns:
                found = self._binder.resolve(column, nested)
                if (
                    found is not None
                    and id(found[0].block.select) not in inside
                    and not self._belongs(found[0], inside)
                ):
                    return None
        return FromQuery(query, block)

    def _belongs(self, relation: Relation, inside: set[int]) -> bool:
        """Whether a relation is reached through a CTE copy that is used inside the query."""
        owner = relation.block.owner
        return owner is not None and (id(owner.block.select) in inside or self._belongs(owner, inside))


def _groups_by(group: exp.Expr, item: exp.Expr, index: int) -> bool:
    """Whether an output column is a grouping key; grouping sets make keys NULL, so they do not count."""
    if any(group.args.get(k) for k in ("grouping_sets", "cube", "rollup")):
        return False
    if group.args.get("all"):
        return True
    column = item.unalias()
    for key in group.expressions:
        if isinstance(key, exp.Literal) and not key.is_string and int(key.this) == index + 1:
            return True
        if isinstance(key, exp.Column) and key.name.lower() in (column.name.lower(), item.alias.lower()):
            return True
    return False


def _has_collation(predicate: exp.Expr) -> bool:
    return any(isinstance(n, exp.Collate) for n in predicate.walk(prune=lambda n: isinstance(n, exp.Query)))


def _is_usable(source: Source, relation: Relation) -> bool:
    """Whether a source can be read without the relation itself."""
    match source:
        case FromRelations():
            return relation not in source.relations
        case AnyOf(parts):
            return all(_is_usable(p, relation) for p in parts)
    return True


def _canonical(relation: Relation, name: str) -> Slot:
    """The key field and the parameter that carries it are one value under two names: the field stands for both."""
    if relation.resource is not None and not relation.has(name):
        for key, parameter in relation.resource.key.items():
            if parameter.lower() == name.lower():
                return relation, key.lower()
    return relation, name.lower()


def _keeps(slot: Slot, cast: exp.Cast) -> bool:
    """Whether a cast of a column is the identity: text to text."""
    relation, name = slot
    if not cast.to.is_type(*exp.DataType.TEXT_TYPES) or relation.resource is None:
        return False
    field = relation.resource.field(name)
    parameter = relation.resource.select_parameter(name)
    kind = field.type.base if field else parameter.type.base if parameter else ""
    return kind == "string"


def _branches(predicate: exp.Expr) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    stack = [predicate]
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, exp.Or):
            stack += [part.expression, part.this]
        else:
            found.append(part)
    return found


def is_constant(node: exp.Expr) -> bool:
    """Whether a value needs no table. Volatile functions do not count: they differ from row to row."""
    if node.find(exp.Column, exp.Query, exp.Star, exp.Window, exp.AggFunc) is not None:
        return False
    return not any(is_volatile(f) for f in node.find_all(exp.Func))


_VOLATILE = {"random", "uuid", "gen_random_uuid", "nextval", "setseed", "rand", "uuidv4", "uuidv7"}


def is_volatile(function: exp.Func) -> bool:
    """Whether a function may answer differently for each row."""
    name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
    return name.lower() in _VOLATILE or isinstance(function, exp.Rand | exp.Uuid)


def _as_source(slot: Slot) -> Source:
    relation, name = slot
    value = exp.column(name, table=relation.alias, quoted=True)
    return FromRelations(value, frozenset([relation]), relation.block)


def _constants_first(found: list[Source]) -> list[Source]:
    """Constants in front, several literal sets narrowed to what they share."""
    constants = [s for s in found if isinstance(s, Constants)]
    rest = [s for s in found if not isinstance(s, Constants)]
    literal = [c for c in constants if all(isinstance(v, exp.Literal) and v.is_string for v in c.values)]
    if len(literal) > 1:
        keep = [v for v in literal[0].values if all(any(v == w for w in c.values) for c in literal[1:])]
        return [Constants(tuple(keep)), *(c for c in constants if c not in literal), *rest]
    return [*sorted(constants, key=lambda c: len(c.values)), *rest]
