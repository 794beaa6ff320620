"""What a SELECT puts out: the columns of its list, with the stars opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from provider.plan.blocks import Block, Relation
from provider.plan.syntax import star_of
from provider.plan.using import is_told, merged, merged_value, mergers


@dataclass(frozen=True, slots=True)
class Output:
    """A column that a SELECT puts out: its name, and the relation's column that it is, if it is one."""

    name: str
    item: exp.Expr | None
    source: tuple[Relation, str] | None = None


def outputs(block: Block) -> list[Output] | None:
    """The columns that a SELECT puts out, stars opened; None when they cannot be told without DuckDB.

    `item` is the expression in the select list or of REPLACE, None for what else a star opens into.
    """
    found: list[Output] = []
    for item in block.select.expressions:
        star = star_of(item)
        if star is not None:
            opened = _opened(star, item.table if isinstance(item, exp.Column) else "", block)
            if opened is None:
                return None
            found += opened
        elif item.find(exp.Columns) is not None or (item.find(exp.Star) is not None and not item.find(exp.Count)):
            return None
        else:
            found.append(Output(item.alias_or_name, item))
    return found


def _opened(star: exp.Star, qualifier: str, block: Block) -> list[Output] | None:
    """The columns of a star."""
    replaced = {e.alias.lower(): e for e in star.args.get("replace") or ()}
    renamed = {e.this.name.lower(): e.alias for e in star.args.get("rename") or ()}
    excluded = star.args.get("except_") or ()
    if block.tree is None or (not qualifier and not is_told(block.tree)) or any(e.args.get("table") for e in excluded):
        return None
    hidden = {e.name.lower() for e in excluded}
    found: list[Output] = []
    shown: set[str] = set()
    for relation in block.visible():
        if qualifier and relation.alias.lower() != qualifier.lower():
            continue
        columns = relation.columns()
        if columns is None:
            return None
        for name in columns:
            low = name.lower()
            item: exp.Expr | None = replaced.get(low)
            source: tuple[Relation, str] | None = (relation, name)
            if not qualifier and relation in mergers(block.tree, low):
                if low in shown:
                    continue
                shown.add(low)
                givers = merged(block.tree, low)
                source = (givers[0], name) if len(givers) == 1 else None
                item = item or (merged_value(givers, name) if source is None else None)
            if low not in hidden:
                found.append(Output(renamed.get(low, name), item, source if item is None else None))
    return found


def given_names(bodies: Sequence[Block]) -> tuple[str, ...] | None:
    """The names that the bodies of a derived table or CTE give to its columns, None when unknown."""
    names: list[str] = []
    for body in bodies if bodies[0].by_name else bodies[:1]:
        given = outputs(body)
        if given is None:
            return None
        seen = {n.lower() for n in names}
        names += [o.name for o in given if not body.by_name or o.name.lower() not in seen]
    return tuple(names)
