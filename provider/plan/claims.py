"""What a predicate says when it holds, read from its syntax alone: under NOT, OR, CASE and IS TRUE too.

Claims are the one normal form of conditions: whoever asks what a condition means reads them.
"""

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
class Alike:
    """`left = right`, or both are NULL."""

    left: exp.Expr
    right: exp.Expr


@dataclass(frozen=True, slots=True)
class Compared:
    """`left operator right` for an operator other than equality, and neither is NULL."""

    operator: type[exp.Expr]
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
    """All claims of at least one branch, of which there are two or more. `origin` is the predicate that says so."""

    branches: tuple[tuple[Claim, ...], ...]
    origin: exp.Expr


@dataclass(frozen=True, slots=True)
class Exists:
    """A query has a row."""

    query: exp.Expr


@dataclass(frozen=True, slots=True)
class Valued:
    """Something is not NULL: a column, or the value of a scalar query."""

    item: exp.Expr


@dataclass(frozen=True, slots=True)
class Missing:
    """Something is NULL."""

    item: exp.Expr


@dataclass(frozen=True, slots=True)
class Never:
    """It cannot hold."""


Claim = Equal | Alike | Compared | Among | Either | Exists | Valued | Missing | Never

#: The operator that holds where another does not, and neither side is NULL.
_CONTRARY: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ, exp.NEQ: exp.EQ, exp.GT: exp.LTE, exp.LTE: exp.GT, exp.LT: exp.GTE, exp.GTE: exp.LT,
}  # fmt: skip
#: The operator that says the same with its sides turned.
TURNED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.EQ, exp.NEQ: exp.NEQ, exp.GT: exp.LT, exp.LT: exp.GT, exp.GTE: exp.LTE, exp.LTE: exp.GTE,
}  # fmt: skip


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


def valued(found: Iterable[Claim]) -> Iterator[exp.Expr]:
    """What has a value where claims hold, since they would not hold of NULL."""
    for claim in found:
        match claim:
            case Equal(left, right) | Compared(_, left, right):
                yield left.unnest()
                yield right.unnest()
            case Among(item) | Valued(item):
                yield item.unnest()


def _together(predicates: Iterable[tuple[exp.Expr, bool]]) -> tuple[Claim, ...]:
    found = [c for predicate, truth in predicates for c in _claims(predicate, truth)]
    return (*found, *_meeting(found))


def _meeting(found: list[Claim]) -> Iterator[Equal]:
    """`item >= value` and `item <= value` together."""
    lowers: list[tuple[exp.Expr, exp.Expr]] = []
    uppers: list[tuple[exp.Expr, exp.Expr]] = []
    for claim in found:
        if isinstance(claim, Compared) and claim.operator in (exp.GTE, exp.LTE):
            at_least = claim.operator is exp.GTE
            for bounds, item, value in (
                (lowers if at_least else uppers, claim.left, claim.right),
                (uppers if at_least else lowers, claim.right, claim.left),
            ):
                # Two question marks look the same, and are not.
                if is_constant(value) and all(p.this for p in value.find_all(exp.Placeholder)):
                    bounds.append((item, value))
    yield from (Equal(*bound) for bound in lowers if bound in uppers)


def _claims(predicate: exp.Expr, truth: bool) -> Iterator[Claim]:
    """What follows from a predicate that is true; with `truth` False, from one that is false and not NULL."""
    predicate = predicate.unnest()
    match predicate:
        case _ if type(predicate) in _CONTRARY:  # the most there are
            if not has_collation(predicate):  # with a collation, different texts are equal
                yield from _comparison(predicate, truth)
        case exp.Not():
            yield from _claims(predicate.this, not truth)
        case exp.And() | exp.Or():
            parts = chain(predicate, type(predicate))
            if isinstance(predicate, exp.And) == truth:
                for part in parts:
                    yield from _claims(part, truth)
            else:
                yield from _either((_together([(p, truth)]) for p in parts), predicate)
        case exp.Null():
            yield Never()
        case exp.Boolean():
            if bool(predicate.this) != truth:
                yield Never()
        case exp.Literal():
            if (number := whole_number(predicate)) is not None and bool(number) != truth:
                yield Never()
        case exp.Cast() if predicate.to.is_type(exp.DType.BOOLEAN):
            yield from _claims(predicate.this, truth)
        case exp.Coalesce():
            parts = [predicate.this, *predicate.expressions]
            yield from _either((_together([(p, truth)]) for p in parts), predicate)
        case exp.Case() | exp.If():
            yield from _either((_together_with(*b, truth) for b in _branches(predicate)), predicate)
        case _ if not has_collation(predicate):
            yield from _condition(predicate, truth)


def _either(branches: Iterable[tuple[Claim, ...]], origin: exp.Expr) -> Iterator[Claim]:
    """What at least one of several branches claims."""
    possible = [b for b in branches if Never() not in b]
    if len(possible) > 1:
        yield Either(tuple(possible), origin)
    else:
        yield from possible[0] if possible else (Never(),)


def _branches(choice: exp.Case | exp.If) -> Iterator[tuple[tuple[Claim, ...], exp.Expr]]:
    """The values that CASE may have, each with what its WHEN claims; without ELSE it may be NULL, which is not true."""
    operand = choice.this if isinstance(choice, exp.Case) else None
    for when in choice.args["ifs"] if isinstance(choice, exp.Case) else (choice,):
        if has_collation(choice):
            said: tuple[Claim, ...] = ()
        elif operand is not None:
            said = tuple(_equality(operand, when.this))
        else:
            said = claims([when.this])
        yield said, when.args["true"]
    otherwise = choice.args.get("default" if isinstance(choice, exp.Case) else "false")
    if otherwise is not None:
        yield (), otherwise


def _together_with(said: tuple[Claim, ...], value: exp.Expr, truth: bool) -> tuple[Claim, ...]:
    return (*said, *_together([(value, truth)]))


def _comparison(predicate: exp.Expr, truth: bool) -> Iterator[Claim]:
    left, right = predicate.this, predicate.expression
    # True or false, it would be NULL if a side were.
    parts = [*operands(left), *operands(right)]
    yield from (Valued(p) for p in parts if isinstance(p, exp.Subquery))
    operator = type(predicate) if truth else _CONTRARY[type(predicate)]
    if quantified(right) is not None:
        # `NOT (a <> ANY (...))` is `a = ALL (...)`, which an empty list fulfils.
        if truth and operator is exp.EQ:
            yield from _quantified(predicate)
    elif operator is exp.EQ:
        yield from _equality(left, right)
    else:
        if operator is exp.NEQ:
            yield from _of_truth(left, right, False)
        yield Compared(operator, left, right)


def _condition(predicate: exp.Expr, truth: bool) -> Iterator[Claim]:
    """What follows from a predicate that has no operator of its own for the contrary."""
    match predicate:
        case exp.NullSafeEQ() | exp.NullSafeNEQ():
            if isinstance(predicate, exp.NullSafeEQ) == truth:
                if is_value(predicate.this) or is_value(predicate.expression):
                    yield from _equality(predicate.this, predicate.expression)
                else:
                    yield Alike(predicate.this, predicate.expression)
        case exp.Is():
            if isinstance(predicate.expression, exp.Null):
                yield Missing(predicate.this) if truth else Valued(predicate.this)
            elif truth and isinstance(predicate.expression, exp.Boolean):
                yield from _claims(predicate.this, bool(predicate.expression.this))
        case exp.Between() if not predicate.args.get("symmetric"):
            low, high = predicate.args["low"], predicate.args["high"]
            if truth:
                yield Compared(exp.GTE, predicate.this, low)
                yield Compared(exp.LTE, predicate.this, high)
            else:
                outside = (Compared(exp.LT, predicate.this, low), Compared(exp.GT, predicate.this, high))
                yield Either(tuple((c,) for c in outside), predicate)
        case exp.In() if not truth and predicate.expressions:
            yield Valued(predicate.this)
        case _ if truth:
            yield from _membership(predicate)


def _equality(left: exp.Expr, right: exp.Expr) -> Iterator[Claim]:
    """What `left = right` says."""
    yield from _of_truth(left, right, True)
    for side, other in ((left.unnest(), right), (right.unnest(), left)):
        if isinstance(side, exp.Case | exp.If) and is_constant(other):
            branches = ((*said, *_equality(value, other)) for said, value in _branches(side))
            yield from _either(branches, side)
    numbers = whole_number(left), whole_number(right)
    yield Never() if None not in numbers and numbers[0] != numbers[1] else Equal(left, right)


def _quantified(predicate: exp.Expr) -> Iterator[Claim]:
    """What `item = ANY (...)` says; of ALL nothing is said, which an empty list fulfils."""
    quantifier, values = quantified(predicate.expression) or ("ALL", predicate)
    if quantifier == "ANY" and isinstance(values.unnest(), exp.Array):
        yield Among(predicate.this, _elements(values), predicate)
    elif quantifier == "ANY":
        yield Equal(predicate.this, predicate.expression)


def _of_truth(left: exp.Expr, right: exp.Expr, equal: bool) -> Iterator[Claim]:
    """What `(predicate) = true` and the like say of the predicate."""
    for side, other in ((left.unnest(), right), (right.unnest(), left)):
        if isinstance(side, exp.Boolean):
            yield from _claims(other, bool(side.this) == equal)


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
            yield Among(predicate.expression, _elements(predicate.this), predicate)
        case exp.Contains() if isinstance(predicate.this, exp.Array):
            yield Among(predicate.expression, _elements(predicate.this), predicate)
        case exp.Exists():
            yield Exists(predicate.this)


def _elements(values: exp.Expr) -> tuple[exp.Expr, ...]:
    """The elements of a list: each where they stand there, else ANY of them."""
    inner = values.unnest()
    return tuple(inner.expressions) if isinstance(inner, exp.Array) else (exp.Any(this=values.copy()),)


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


def whole_number(node: exp.Expr | None) -> int | None:
    """The value of a literal that is a whole number."""
    return int(node.this) if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit() else None


_VOLATILE = {"random", "uuid", "gen_random_uuid", "nextval", "setseed", "rand", "uuidv4", "uuidv7"}


def is_volatile(function: exp.Func) -> bool:
    """Whether a function may answer differently for each row."""
    name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
    return name.lower() in _VOLATILE or isinstance(function, exp.Rand | exp.Uuid)


def is_value(node: exp.Expr) -> bool:
    """Whether something is written as a value that is not NULL."""
    node = node.unnest()
    if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
        return is_value(node.this)
    return isinstance(node, exp.Literal | exp.Boolean)


def has_collation(predicate: exp.Expr) -> bool:
    """Whether texts are compared by a collation, which other texts may equal or follow."""
    if "collated" not in predicate.meta:  # a plan asks this many times
        nodes = predicate.walk(prune=lambda n: isinstance(n, exp.Query))
        predicate.meta["collated"] = any(isinstance(n, exp.Collate) for n in nodes)
    return bool(predicate.meta["collated"])
