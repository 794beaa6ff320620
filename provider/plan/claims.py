"""What a predicate says when it holds, read from its syntax alone: equalities, under NOT, OR and IS TRUE too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from provider.sql.lists import listed_values


@dataclass(frozen=True, slots=True)
class Equal:
    """`left = right`, and neither is NULL."""

    left: exp.Expr
    right: exp.Expr


@dataclass(frozen=True, slots=True)
class Among:
    """`item` equals one of `values`, and is not NULL; a query among them stands for all its rows.

    `origin` is the predicate that says so.
    """

    item: exp.Expr
    values: tuple[exp.Expr, ...]
    origin: exp.Expr


@dataclass(frozen=True, slots=True)
class Either:
    """All claims of at least one branch. `origin` is the predicate that says so."""

    branches: tuple[tuple[Claim, ...], ...]
    origin: exp.Expr


@dataclass(frozen=True, slots=True)
class Exists:
    """A query has a row."""

    query: exp.Expr


@dataclass(frozen=True, slots=True)
class Valued:
    """The value of a scalar query is not NULL."""

    query: exp.Expr


@dataclass(frozen=True, slots=True)
class Never:
    """It cannot hold."""


Claim = Equal | Among | Either | Exists | Valued | Never


def conjuncts(condition: exp.Expr | None) -> tuple[exp.Expr, ...]:
    """The parts of an AND, parentheses opened."""
    return () if condition is None else tuple(chain(condition, exp.And))


def chain(condition: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
    """The parts of a chain of ANDs or ORs, in order, parentheses opened.

    Flattened with a loop: a generated chain of thousands must not exhaust the stack.
    """
    found: list[exp.Expr] = []
    stack = [condition]
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, kind):
            stack += [part.expression, part.this]
        else:
            found.append(part)
    return found


def claims(predicates: Iterable[exp.Expr]) -> tuple[Claim, ...]:
    """All that follows from predicates that hold together.

    Args:
        predicates: conditions that are true in the sense of SQL, neither false nor NULL.
    """
    return _together([(p, True) for p in predicates])


@dataclass(frozen=True, slots=True)
class _Bound:
    """`item >= value`, or `item <= value`."""

    item: exp.Expr
    value: exp.Expr
    is_lower: bool


def _together(predicates: Iterable[tuple[exp.Expr, bool]]) -> tuple[Claim, ...]:
    bounds: list[_Bound] = []
    found = [c for predicate, truth in predicates for c in _claims(predicate, truth, bounds)]
    uppers = [(b.item, b.value) for b in bounds if not b.is_lower]
    found += [Equal(b.item, b.value) for b in bounds if b.is_lower and (b.item, b.value) in uppers]
    return tuple(found)


def _claims(predicate: exp.Expr, truth: bool, bounds: list[_Bound]) -> Iterator[Claim]:
    """What follows from a predicate that is true; with `truth` False, from one that is false and not NULL."""
    predicate = predicate.unnest()
    if isinstance(predicate, exp.Not):
        yield from _claims(predicate.this, not truth, bounds)
    elif isinstance(predicate, exp.And | exp.Or):
        parts = chain(predicate, type(predicate))
        if isinstance(predicate, exp.And) == truth:
            for part in parts:
                yield from _claims(part, truth, bounds)
        else:
            yield Either(tuple(_together([(p, truth)]) for p in parts), predicate)
    elif isinstance(predicate, exp.Null) or (isinstance(predicate, exp.Boolean) and bool(predicate.this) != truth):
        yield Never()
    elif not has_collation(predicate):  # with a collation, different texts are equal
        yield from _comparison(predicate, truth, bounds)


def _comparison(predicate: exp.Expr, truth: bool, bounds: list[_Bound]) -> Iterator[Claim]:
    if isinstance(predicate, exp.EQ | exp.NEQ | exp.GTE | exp.LTE | exp.GT | exp.LT):
        # True or false, it would be NULL if a side were.
        parts = [*operands(predicate.this), *operands(predicate.expression)]
        yield from (Valued(p) for p in parts if isinstance(p, exp.Subquery))
    match predicate:
        case exp.EQ() | exp.NEQ():
            equal = isinstance(predicate, exp.EQ) == truth
            yield from _of_truth(predicate.this, predicate.expression, equal, bounds)
            # `NOT (a <> ANY (...))` is `a = ALL (...)`, which an empty list fulfils.
            if equal and (truth or quantified(predicate.expression) is None):
                yield Equal(predicate.this, predicate.expression)
        case exp.NullSafeEQ() | exp.NullSafeNEQ() if isinstance(predicate, exp.NullSafeEQ) == truth:
            if _is_never_null(predicate.this) or _is_never_null(predicate.expression):
                yield from _of_truth(predicate.this, predicate.expression, True, bounds)
                yield Equal(predicate.this, predicate.expression)
        case exp.Is() if truth and isinstance(predicate.expression, exp.Boolean):
            yield from _claims(predicate.this, bool(predicate.expression.this), bounds)
        case exp.GTE() | exp.LTE() | exp.GT() | exp.LT():
            # Of `>` and `<` it is the contrary that allows equality.
            if isinstance(predicate, exp.GTE | exp.LTE) == truth:
                at_least = isinstance(predicate, exp.GTE | exp.LT)
                bounds += _bound(predicate.this, predicate.expression, at_least)
                bounds += _bound(predicate.expression, predicate.this, not at_least)
        case exp.Between() if truth and not predicate.args.get("symmetric"):
            bounds += _bound(predicate.this, predicate.args["low"], True)
            bounds += _bound(predicate.this, predicate.args["high"], False)
        case _ if truth:
            yield from _membership(predicate)


def _of_truth(left: exp.Expr, right: exp.Expr, equal: bool, bounds: list[_Bound]) -> Iterator[Claim]:
    """What `(predicate) = true` and the like say of the predicate."""
    for side, other in ((left.unnest(), right), (right.unnest(), left)):
        if isinstance(side, exp.Boolean):
            yield from _claims(other, bool(side.this) == equal, bounds)


def _bound(item: exp.Expr, value: exp.Expr, is_lower: bool) -> Iterator[_Bound]:
    # Two question marks look the same, and are not.
    if is_constant(value) and all(p.this for p in value.find_all(exp.Placeholder)):
        yield _Bound(item, value, is_lower)


def _membership(predicate: exp.Expr) -> Iterator[Claim]:
    """What a true predicate says that is no comparison of two values."""
    match predicate:
        case exp.In():
            listed = _listed(predicate)
            if len(listed) == 1 and not isinstance(listed[0], exp.Query):
                yield Equal(predicate.this, listed[0])
            elif listed or predicate.args.get("expressions"):
                yield Among(predicate.this, listed, predicate)
        case exp.Like() | exp.Escape():
            yield from _likeness(predicate)
        case exp.ArrayContains():
            yield Among(predicate.expression, (exp.Any(this=predicate.this.copy()),), predicate)
        case exp.Contains() if isinstance(predicate.this, exp.Array):
            yield Among(predicate.expression, (exp.Any(this=predicate.this.copy()),), predicate)
        case exp.Exists():
            yield Exists(predicate.this)


def _listed(predicate: exp.In) -> tuple[exp.Expr, ...]:
    """What stands behind IN; nothing for `IN column`, which looks into a list or into a text."""
    query, field = predicate.args.get("query"), predicate.args.get("field")
    if query is not None:
        return (query,)
    if isinstance(field, exp.Placeholder) or (isinstance(field, exp.Cast) and field.to.is_type("array")):
        return (exp.Any(this=field.copy()),)
    found: list[exp.Expr] = []
    for value in listed_values(predicate):
        found += [_single(row) for row in value.expressions] if isinstance(value, exp.Values) else [value]
    return tuple(found)


def _single(row: exp.Expr) -> exp.Expr:
    """The value of a row of VALUES that has one column; any other row as it is."""
    return row.expressions[0] if isinstance(row, exp.Tuple) and len(row.expressions) == 1 else row


def _likeness(predicate: exp.Expr) -> Iterator[Claim]:
    """LIKE without wildcards is equality."""
    escape = str(predicate.expression.name) if isinstance(predicate, exp.Escape) else ""
    like = predicate.this if isinstance(predicate, exp.Escape) else predicate
    if not isinstance(like, exp.Like) or like.args.get("negate"):
        return
    pattern = like.expression
    if isinstance(pattern, exp.Literal) and not set(f"%_{escape}") & set(pattern.name):
        yield Equal(like.this, pattern)


def operands(node: exp.Expr) -> Iterator[exp.Expr]:
    """An expression, or the parts that it is computed from which are not NULL where it is not."""
    todo = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.IntDiv | exp.Mod):
            todo += [part.expression, part.this]
        elif isinstance(part, exp.Paren | exp.Neg | exp.Cast):
            todo.append(part.this)
        else:
            yield part


def quantified(node: exp.Expr) -> tuple[str, exp.Expr] | None:
    """ANY or ALL, and the list or query that it stands before; None for what is no quantifier."""
    node = node.unnest()
    if isinstance(node, exp.Any | exp.All):
        return node.key.upper(), node.this
    # What sqlglot does not know as a quantifier it takes for a function's name.
    if isinstance(node, exp.Anonymous) and node.name.upper() in ("SOME", "ALL") and node.expressions:
        return "ANY" if node.name.upper() == "SOME" else "ALL", node.expressions[0]
    return None


def is_constant(node: exp.Expr) -> bool:
    """Whether something is one value that needs no table.

    Volatile functions do not count: they differ from row to row.
    """
    if isinstance(node, exp.Literal | exp.Placeholder):  # the most there are
        return True
    if quantified(node) is not None or node.find(exp.Column, exp.Query, exp.Star, exp.Window, exp.AggFunc) is not None:
        return False
    return not any(is_volatile(f) for f in node.find_all(exp.Func))


_VOLATILE = {"random", "uuid", "gen_random_uuid", "nextval", "setseed", "rand", "uuidv4", "uuidv7"}


def is_volatile(function: exp.Func) -> bool:
    """Whether a function may answer differently for each row."""
    name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
    return name.lower() in _VOLATILE or isinstance(function, exp.Rand | exp.Uuid)


def _is_never_null(node: exp.Expr) -> bool:
    node = node.unnest()
    if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
        return _is_never_null(node.this)
    return isinstance(node, exp.Literal | exp.Boolean)


def has_collation(predicate: exp.Expr) -> bool:
    """Whether texts are compared by a collation, which other texts may equal or follow."""
    if "collated" not in predicate.meta:  # a plan asks this many times
        nodes = predicate.walk(prune=lambda n: isinstance(n, exp.Query))
        predicate.meta["collated"] = any(isinstance(n, exp.Collate) for n in nodes)
    return bool(predicate.meta["collated"])
