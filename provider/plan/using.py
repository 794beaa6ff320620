"""The columns that USING and NATURAL make one of two, and what gives their values."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from provider.plan.blocks import Relation, Tree, column_of, leaves
from provider.plan.syntax import own_nodes


def common(left: Tree, right: Tree) -> tuple[str, ...] | None:
    """The columns that NATURAL JOIN compares, in lower case; None when a side has columns that only DuckDB knows."""
    sides: list[list[str]] = []
    for tree in (left, right):
        columns = [r.columns() for r in leaves(tree)]
        if not is_told(tree) or any(c is None for c in columns):
            return None
        sides.append([n.lower() for c in columns for n in c or ()])
    return tuple(dict.fromkeys(n for n in sides[0] if n in sides[1]))


def is_told(tree: Tree) -> bool:
    """Whether the columns that joins make one are known."""
    return isinstance(tree, Relation) or (tree.using is not None and is_told(tree.left) and is_told(tree.right))


def merged(tree: Tree | None, name: str) -> tuple[Relation, ...]:
    """The relations that give a column which USING merged: the first whose own is not NULL. None: nothing merged it.

    The side that an outer join keeps gives it, and after a FULL JOIN either does.
    """
    if tree is None or isinstance(tree, Relation):
        return ()
    if name.lower() not in (tree.using or ()):
        right = merged(tree.right, name) if tree.kind not in ("SEMI", "ANTI") else ()
        return merged(tree.left, name) or right
    match tree.kind:
        case "RIGHT":
            return givers(tree.right, name)
        case "FULL":
            return givers(tree.left, name) + givers(tree.right, name)
    return givers(tree.left, name)


def mergers(tree: Tree, name: str) -> set[Relation]:
    """The relations whose columns of a name USING makes one."""
    if isinstance(tree, Relation):
        return set()
    found = mergers(tree.left, name) | mergers(tree.right, name)
    if name.lower() in (tree.using or ()):
        found |= {r for side in (tree.left, tree.right) if (r := _giver(side, name)) is not None}
    return found


def givers(tree: Tree, name: str) -> tuple[Relation, ...]:
    """The relations that give a column which one side of USING names."""
    found = merged(tree, name)
    owner = _giver(tree, name) if not found else None
    return (owner,) if owner is not None else found


def _giver(tree: Tree, name: str) -> Relation | None:
    """The relation of a subtree that gives a USING column."""
    relations = leaves(tree)
    known = [r for r in relations if r.has(name)] or [r for r in relations if r.parameter(name)]
    return next(iter(known or [r for r in relations if r.columns() is None]), None)


def merged_value(givers: Sequence[Relation], name: str) -> exp.Expr:
    """The value of a column that USING merged; `meta["merged"]` tells a coalesce that stands for it."""
    columns = [column_of(r, name) for r in givers]
    if len(columns) == 1:
        return columns[0]
    value = exp.Coalesce(this=columns[0], expressions=columns[1:])
    value.meta["merged"] = True
    return value


def qualify_merged(node: exp.Expr, tree: Tree | None) -> None:
    """Put what USING merged in place of its bare name, in a condition's own columns."""
    for column in [n for n in own_nodes(node) if isinstance(n, exp.Column) and not n.table]:
        givers = merged(tree, column.name)
        if givers and column is not node:
            column.replace(merged_value(givers, column.name))
