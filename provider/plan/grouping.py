"""Groups and windows: which columns are the same in all rows that meet there."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from provider.plan.blocks import Block, Relation
from provider.plan.resolution import resolve
from provider.plan.syntax import own_nodes


def lets_through(block: Block, column: tuple[Relation, str]) -> bool:
    """Whether a predicate on a column that a block puts out may be applied to the block's input already."""
    key = (column[0], column[1].lower())
    if block.select.args.get("group") is not None and key not in _grouping_keys(block):
        return False
    for partition in _partitions(block.select):
        found = [resolve(c, block) for e in partition if isinstance(c := e.unnest(), exp.Column)]
        if key not in [(f[0], f[1].lower()) for f in found if f is not None]:
            return False
    return block.transparent


def is_of_groups(condition: exp.Expr, block: Block) -> bool:
    """Whether a condition of HAVING is about grouping keys alone, so that it holds for the rows of the groups."""
    nodes = list(own_nodes(condition))
    if any(isinstance(n, exp.AggFunc | exp.Window | exp.Anonymous) for n in nodes):
        return False
    found = [resolve(n, block) for n in nodes if isinstance(n, exp.Column)]
    keys = _grouping_keys(block)
    asks = bool(found) or any(isinstance(n, exp.Query) for n in nodes)
    return asks and all(f is not None and (f[0], f[1].lower()) in keys for f in found)


def _grouping_keys(block: Block) -> set[tuple[Relation, str]]:
    """The columns, in lower case, that have one value in each group; not those that grouping sets make NULL."""
    group = block.select.args.get("group")
    if group is None:
        return set()
    items = [i.unalias() for i in block.select.expressions]
    nodes = items if group.args.get("all") else group.expressions
    found = set()
    for node in nodes:
        if isinstance(node, exp.Literal) and not node.is_string and 0 < int(node.this) <= len(items):
            node = items[int(node.this) - 1]
        key = resolve(node, block) if isinstance(node, exp.Column) else None
        if key is not None:
            found.add((key[0], key[1].lower()))
    return found


def _partitions(select: exp.Expr) -> Iterator[list[exp.Expr]]:
    """The expressions by which each window, and DISTINCT ON, keeps rows apart: a row meets only its equals there."""
    distinct = select.args.get("distinct")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        on = distinct.args["on"]
        yield on.expressions if isinstance(on, exp.Tuple) else [on]
    named = {w.name.lower(): w for w in select.args.get("windows") or ()}
    for node in own_nodes(select):
        if isinstance(node, exp.Window) and node.arg_key != "windows":
            yield (named.get(str(node.args.get("alias") or "").lower()) or node).args.get("partition_by") or []
