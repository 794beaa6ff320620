"""Where a parameter's values can come from: constants, subqueries, or columns of other relations.

All predicates used here hold in every row of the result that has a row of the relation in question
(`Block.held`), so narrowing that relation by them can lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlglot import exp

from provider.catalog.types import FieldType
from provider.plan.binder import Binder
from provider.plan.blocks import Block, Relation, column_of
from provider.plan.claims import (
    Alike,
    Among,
    Claim,
    Either,
    Equal,
    Exists,
    Never,
    Valued,
    claims,
    is_constant,
    is_volatile,
    operands,
    quantified,
)
from provider.plan.grouping import lets_through
from provider.plan.nulls import is_never_null
from provider.plan.outputs import Output, outputs
from provider.plan.resolution import is_independent, owner_of, resolve
from provider.plan.syntax import star_of

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
    #: Whether NULL equals NULL, as it does inside row values. No key is NULL, but another column may be.
    matches_null: bool = False


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

#: A column and what it equals.
Fact = tuple[Slot, Source | Slot]


@dataclass(frozen=True, slots=True)
class _View:
    """The rows that predicates are read for: those of a block's result in which `of`, if given, has a row."""

    block: Block
    of: Relation | None = None


class Bindings:
    """Finds sources for the columns of a bound statement."""

    def __init__(self, binder: Binder) -> None:
        self._binder = binder
        self._cache: dict[tuple[int, str], tuple[Source, ...]] = {}
        self._facts: dict[int, list[Fact]] = {}

    def sources(self, relation: Relation, name: str) -> tuple[Source, ...]:
        """All sources of values for a column, constants first; each alone is enough."""
        slot = _canonical(relation, name)
        key = (id(relation), slot[1])
        if key not in self._cache:
            self._cache[key] = ()  # what leads back here adds nothing
            found = list(self._search(*slot))
            self._cache[key] = tuple(_constants_first(found, _type(slot)))
        return self._cache[key]

    def facts(self, predicates: Iterable[exp.Expr], relation: Relation) -> list[Fact]:
        """What predicates that are held for a relation say of columns: they equal a source's values, or another."""
        return [f for c in claims(predicates) for f in self._fact(c, _View(relation.block, relation))]

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
                value = column_of(other, column)
                yield FromRelations(value, frozenset([other]), other.block)
                if other.block is not block:
                    yield from (s for s in self.sources(other, column) if _is_usable(s, relation))
        yield from self._from_owner(block, [slot for slot in equal if slot[0].block is block])

    def _from_owner(self, block: Block, equal: list[Slot]) -> Iterator[Source]:
        """What is known of the owner's output columns holds for the columns that feed them."""
        owner = block.owner
        if not block.transparent or (owner is None and not block.sought):
            return
        columns = outputs(block)
        if columns is None:
            return
        if owner is None:
            yield from self._from_question(block, columns, equal)
            return
        given, known = owner.given, owner.columns()
        if given is None or known is None or (len(given) != len(columns) and not block.by_name):
            return
        places = [n.lower() for n in given]
        for i, column in enumerate(columns):
            if self._fed(block, column, equal) is not None:
                yield from self.sources(owner, known[places.index(column.name.lower()) if block.by_name else i])

    def _from_question(self, block: Block, columns: list[Output], equal: list[Slot]) -> Iterator[Source]:
        """What IN looks for among a query's rows holds for the columns that feed them: no other row is found.

        Where NULL and false differ, this needs values on both sides: NULL may equal any row, so that each counts.
        """
        sought, outer = block.sought, block.outer
        if sought is None or outer is None or len(sought.items) != len(columns) or block.by_name:
            return
        for item, column in zip(sought.items, columns, strict=True):
            slot = self._slot(item, _View(outer))
            if slot is None or (source := self._fed(block, column, equal)) is None:
                continue
            if not sought.tells_null or (is_never_null(*slot, outer) and is_never_null(*source, block)):
                yield _as_source(slot)
                yield from self.sources(*slot)

    def _fed(self, block: Block, column: Output, equal: list[Slot]) -> Slot | None:
        """The one of these that an output column is, if narrowing by it takes no row away from what remains."""
        source = column.source
        if column.item is not None:
            source = self._slot(column.item.unalias(), _View(block, equal[0][0]))
        is_fed = source is not None and _canonical(*source) in equal and lets_through(block, source)
        return source if is_fed else None

    def _facts_of(self, relation: Relation) -> list[Fact]:
        """The held predicates as `column = source`, both ways for `column = column`."""
        if id(relation) not in self._facts:
            view = _View(relation.block, relation)
            self._facts[id(relation)] = [f for c in relation.block.claims(relation) for f in self._fact(c, view)]
        return self._facts[id(relation)]

    def _fact(self, claim: Claim, view: _View) -> Iterator[Fact]:
        match claim:
            case Equal(left, right):
                yield from self._equality(left, right, view)
                yield from self._equality(right, left, view)
            case Alike(left, right):
                # Both NULL is no equality, but where one of them never is, neither is the other.
                if self._is_valued(left, view) or self._is_valued(right, view):
                    yield from self._equality(left, right, view)
                    yield from self._equality(right, left, view)
            case Among():
                yield from self._membership(claim, view)
            case Either():
                yield from self._disjunction(claim, view)
            case Exists(query):
                nested = self._opened(query)
                if nested is not None:
                    yield from self._inside(nested)
            case Valued(exp.Subquery() as query):
                nested = self._aggregated(query)
                if nested is not None:
                    yield from self._inside(nested)
            case Never():
                for relation in view.block.relations:
                    for column in relation.columns() or ():
                        yield (relation, column.lower()), Constants(())

    def _equality(self, item: exp.Expr, value: exp.Expr, view: _View) -> Iterator[Fact]:
        items, values = _row(item), _row(value)
        if items is not None and values is not None and len(items) == len(values):
            for x, y in zip(items, values, strict=True):
                yield from _null_matching(self._equality(x, y, view))
            return
        slot = self._slot(item, view)
        if slot is not None:
            found = self._slot(value, view) or self._value(value, view)
            if found is not None:
                yield slot, found
            quantifier, query = quantified(value) or ("ANY", value)
            if quantifier == "ANY" and isinstance(query, exp.Query) and (nested := self._opened(query)) is not None:
                yield from self._correlated(slot, nested)
        elif (narrow := self._uncast(item, view)) is not None:
            source = self._value(value, view)
            if source is not None:
                yield narrow, _cast_back(source, narrow)

    def _correlated(self, slot: Slot, nested: Block) -> Iterator[Fact]:
        """A column equals what a nested query selects, in a row for which all its predicates hold."""
        items = nested.select.expressions
        if len(items) == 1 and star_of(items[0]) is None:
            item, view = items[0].unalias(), _View(nested)
            found = self._slot(item, view) or self._value(item, view)
            if found is not None:
                yield slot, found
        yield from self._inside(nested)

    def _inside(self, nested: Block) -> Iterator[Fact]:
        """What holds in some row of a nested block."""
        for claim in nested.claims():
            if not isinstance(claim, Never):
                yield from self._fact(claim, _View(nested))

    def _opened(self, query: exp.Expr) -> Block | None:
        """The block of a nested query that depends on outer rows and has a row only where its input has one."""
        block = self._dependent(query)
        if block is None:
            return None
        own = [n for item in (*block.select.expressions, block.select.args.get("having")) if item for n in item.walk()]
        return None if any(isinstance(n, exp.AggFunc | exp.Anonymous | exp.Window) for n in own) else block

    def _aggregated(self, query: exp.Expr) -> Block | None:
        """The block of a nested query that depends on outer rows and is NULL where its input has no row."""
        block = self._dependent(query)
        if block is None or len(block.select.expressions) != 1:
            return None
        parts = operands(block.select.expressions[0].unalias())
        return block if any(isinstance(p, exp.Sum | exp.Min | exp.Max | exp.Avg) for p in parts) else None

    def _dependent(self, query: exp.Expr) -> Block | None:
        """The block of a nested query that depends on outer rows and has no groups."""
        select = query.unnest()
        block = next((b for b in self._binder.blocks if b.select is select), None)
        if block is None or self._query(query, block) is not None or block.select.args.get("group"):
            return None
        return block

    def _membership(self, claim: Among, view: _View) -> Iterator[Fact]:
        items = _row(claim.item)
        queries = [v for v in claim.values if isinstance(v, exp.Query)]
        if items is None:
            if queries and len(claim.values) == 1:
                yield from self._equality(claim.item, queries[0], view)
            else:
                yield from self._listed(claim.item, claim.values, view)
            return
        # A row value: each column on its own is bound by its share of the rows.
        rows = [_row(v) for v in claim.values]
        width = len(items)
        if queries and len(claim.values) == 1:
            for i, item in enumerate(items):
                slot = self._slot(item, view)
                source = self._query(queries[0], view.block)
                if slot is not None and source is not None:
                    yield slot, FromQuery(source.query, source.block, i, width)
        elif all(r is not None and len(r) == width for r in rows):
            for i, item in enumerate(items):
                column = tuple(r[i] for r in rows if r is not None)
                yield from _null_matching(self._listed(item, column, view, id(claim.origin)))

    def _listed(
        self, item: exp.Expr, values: tuple[exp.Expr, ...], view: _View, rows: int | None = None
    ) -> Iterator[Fact]:
        column = self._slot(item, view)
        slot = column or self._uncast(item, view)
        if slot is None:
            return
        source: Source
        if all(is_constant(v) for v in values):
            source = Constants(values, rows)
        else:
            parts = [self._value(v, view) for v in values]
            found = tuple(p for p in parts if p is not None)
            if len(found) < len(parts):
                return
            source = found[0] if len(found) == 1 else AnyOf(found)
        yield slot, source if column is not None else _cast_back(source, slot)

    def _disjunction(self, claim: Either, view: _View) -> Iterator[Fact]:
        """A column is bound by an OR when each branch binds it."""
        branches = [self._branch(b, view) for b in claim.branches]
        for slot in branches[0]:
            if not all(slot in b for b in branches):
                continue
            parts = [b[slot] for b in branches]
            constants = [p for p in parts if isinstance(p, Constants)]
            if len(constants) < len(parts):
                yield slot, AnyOf(tuple(parts))
                continue
            # One value a branch: the columns of `(a = 1 AND b = 2) OR (a = 3 AND b = 4)` are rows too.
            rows = id(claim.origin) if all(len(c.values) == 1 for c in constants) else None
            values = tuple(v for c in constants for v in c.values)
            yield slot, Constants(values, rows, any(c.matches_null for c in constants))

    def _branch(self, branch: tuple[Claim, ...], view: _View) -> dict[Slot, Source]:
        """What one branch of an OR says of each column: a constant if it can, else whatever binds it."""
        found: dict[Slot, list[Source]] = {}
        for claim in branch:
            for slot, value in self._fact(claim, view):
                source = _as_source(value) if isinstance(value, tuple) else value
                if not isinstance(source, FromRelations) or slot[0] not in source.relations:
                    found.setdefault(slot, []).append(source)
        return {slot: _constants_first(sources, _type(slot))[0] for slot, sources in found.items()}

    def _slot(self, node: exp.Expr, view: _View) -> Slot | None:
        """The column that an expression is, casts that change nothing removed."""
        node = node.unnest()
        if isinstance(node, exp.Column):
            found = resolve(node, view.block)
            return _canonical(*found) if found else None
        if isinstance(node, exp.Cast):
            inner = self._slot(node.this, view)
            return inner if inner is not None and _keeps(_type(inner), node.to) else None
        if "merged" in node.meta:
            return self._merged(node, view)
        return None

    def _is_valued(self, node: exp.Expr, view: _View) -> bool:
        """Whether an expression is a column that has a value in each row."""
        slot = self._slot(node, view)
        return slot is not None and is_never_null(*slot, view.block, view.of)

    def _merged(self, node: exp.Expr, view: _View) -> Slot | None:
        """The column that stands for one that USING merged: of a relation that has a row in each row of the view."""
        for column in node.find_all(exp.Column):
            found = self._slot(column, view)
            if found is not None and view.block.is_present(found[0], view.of):
                return found
        return None

    def _uncast(self, node: exp.Expr, view: _View) -> Slot | None:
        """The column under a cast that gives each of its values another one, so that it can be cast back."""
        node = node.unnest()
        if not isinstance(node, exp.Cast):
            return None
        inner = self._slot(node.this, view)
        return inner if inner is not None and _is_invertible(_type(inner), node.to) else None

    def _value(self, node: exp.Expr, view: _View) -> Source | None:
        """What the other side of an equality offers."""
        node = node.unnest() if not isinstance(node, exp.Subquery) else node
        if (quantifier := quantified(node)) is not None:
            return self._element(quantifier[1], view) if quantifier[0] == "ANY" else None
        if is_constant(node):
            return Constants((node,))
        if isinstance(node, exp.Query):
            return self._query(node, view.block)
        own = list(node.walk(prune=lambda n: isinstance(n, exp.Query)))
        if any(isinstance(n, exp.AggFunc | exp.Window) or (isinstance(n, exp.Func) and is_volatile(n)) for n in own):
            return None
        queries = [n for n in own if isinstance(n, exp.Query)]
        if queries:
            # A value computed from nested queries alone is one row of a query.
            alone = not any(isinstance(n, exp.Column) for n in own) and all(self._query(q, view.block) for q in queries)
            return FromQuery(exp.select(node.copy()), view.block) if alone else None
        relations = set()
        for column in node.find_all(exp.Column):
            owner = owner_of(column, view.block)
            if owner is None:
                return None
            relations.add(owner)
        blocks = {r.block for r in relations}
        return FromRelations(node, frozenset(relations), blocks.pop()) if len(blocks) == 1 else None

    def _element(self, values: exp.Expr, view: _View) -> Source | None:
        """What `= ANY (values)` offers: the rows of a query, or the elements of a list."""
        inner = values.unnest() if not isinstance(values, exp.Query) else values
        if isinstance(inner, exp.Query):
            return self._query(inner, view.block)
        return self._value(exp.Explode(this=inner.copy()), view)

    def _query(self, query: exp.Expr, block: Block) -> FromQuery | None:
        """A nested query, unless it is correlated: its rows must not depend on outer ones."""
        return FromQuery(query, block) if is_independent(query, self._binder.blocks) else None


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


def _row(node: exp.Expr) -> list[exp.Expr] | None:
    """The values of a row value: `(a, b)`, `ROW(a, b)`."""
    node = node.unnest()
    if isinstance(node, exp.Tuple) or (isinstance(node, exp.Anonymous) and node.name.lower() == "row"):
        return [v.unnest() if isinstance(v, exp.Paren) else v for v in node.expressions]
    return None


def _null_matching(facts: Iterator[Fact]) -> Iterator[Fact]:
    """The facts that a row value states."""
    for slot, source in facts:
        yield slot, replace(source, matches_null=True) if isinstance(source, Constants) else source


def _type(slot: Slot) -> FieldType | None:
    """The type of a resource's column, None for any other."""
    relation, name = slot
    if relation.resource is None:
        return None
    found = relation.resource.field(name) or relation.resource.select_parameter(name)
    return found.type if found else None


def _cast_back(source: Source, slot: Slot) -> Source:
    """Constants that a column's cast equals as values of the column; none where no value's cast is that."""
    type_ = _type(slot)
    if type_ is None or not isinstance(source, Constants):
        return source  # keys that a query gives are cast there
    to = exp.DataType.build(type_.duckdb, dialect="duckdb")
    return replace(source, values=tuple(exp.TryCast(this=v.copy(), to=to) for v in source.values))


def _keeps(type_: FieldType | None, to: exp.DataType) -> bool:
    """Whether a cast leaves every value as it is, or fails: text to text, whole numbers to exact numbers."""
    if type_ is not None and type_.base == "string":
        return to.is_type(*exp.DataType.TEXT_TYPES)
    return type_ is not None and type_.base == "integer" and to.is_type(*exp.DataType.INTEGER_TYPES, exp.DType.DECIMAL)


def _is_invertible(type_: FieldType | None, to: exp.DataType) -> bool:
    """Whether a cast gives each value another one, and casting that back gives the value again."""
    base = type_.base if type_ is not None else ""
    if base == "date" and to.is_type(exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ):
        return True
    return base in ("integer", "date", "boolean") and to.is_type(*exp.DataType.TEXT_TYPES)


def _as_source(slot: Slot) -> Source:
    relation, name = slot
    value = column_of(relation, name)
    return FromRelations(value, frozenset([relation]), relation.block)


def _constants_first(found: list[Source], type_: FieldType | None) -> list[Source]:
    """Constants in front, several sets of a column's own literals narrowed to what they share."""
    constants = [s for s in found if isinstance(s, Constants)]
    rest = [s for s in found if not isinstance(s, Constants)]
    own = [c for c in constants if all(_own_value(v, type_) is not None for v in c.values)]
    others = [c for c in constants if c not in own]
    if len(own) > 1:
        shared = set.intersection(*({_own_value(v, type_) for v in c.values} for c in own))
        own = [Constants(tuple(v for v in own[0].values if _own_value(v, type_) in shared))]

    def preference(source: Constants) -> tuple[bool, int]:
        """Literals of another type last, which may bind nothing; few values before many."""
        foreign = any(isinstance(v, exp.Literal) and _own_value(v, type_) is None for v in source.values)
        return foreign, len(source.values)

    return [*sorted([*own, *others], key=preference), *rest]


def _own_value(node: exp.Expr, type_: FieldType | None) -> str | int | None:
    """What a literal of a column's own type is; None for any other constant."""
    if type_ is None or not isinstance(node, exp.Literal):
        return None
    text = str(node.this)
    if type_.base == "string":
        return text if node.is_string else None
    return int(text) if type_.base == "integer" and text.isascii() and text.isdigit() else None
