"""What the name of a column means: a relation's own column or parameter, here or in a SELECT around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlglot import exp

from provider.plan.blocks import Block, Relation, Standing
from provider.plan.claims import is_constant
from provider.plan.using import merged


def resolve(column: exp.Column, block: Block) -> tuple[Relation, str] | None:
    """The relation and name that a column means; None when that cannot be told for sure."""
    if "of" in column.meta:
        found = (r for r in visible_from(block) if r.node.meta.get("relation") == column.meta["of"])
        return next(((r, _spelled(r, column.name)) for r in found), None)
    if block.meanings is None:
        return _meaning(column, _standing(column, block), block)
    if id(column) in block.resolved:
        return block.resolved[id(column)][1]
    standing = _standing(column, block)
    key = (column.name, column.table, column.text("db"), standing)
    if key not in block.meanings:
        block.meanings[key] = _meaning(column, standing, block)
    block.resolved[id(column)] = column, block.meanings[key]
    return block.meanings[key]


def _meaning(column: exp.Column, standing: Standing, block: Block) -> tuple[Relation, str] | None:
    name, qualifier = column.name, column.table
    if qualifier:
        for here in outwards(block):
            for relation in _seen(standing, here):
                if relation.alias.lower() == qualifier.lower() and _qualifies(column, relation):
                    return relation, _spelled(relation, name)
        return None
    # Real columns come first, through all enclosing blocks: a parameter must not hide an outer column.
    # But an outer column has one value for all rows, and orders nothing.
    for here in (block,) if standing.orders and _takers(name, standing, block) else outwards(block):
        givers = merged(here.tree, name)
        if givers:
            return (givers[0], _spelled(givers[0], name)) if len(givers) == 1 else None
        seen = _seen(standing, here)
        owners = [r for r in seen if r.has(name)]
        if len(owners) == 1:
            return owners[0], name
        unknown = [r for r in seen if r.columns() is None]
        if not owners and unknown == seen and len(unknown) == 1:
            return unknown[0], name
        if owners or unknown:
            return None
    for here in outwards(block):
        behind = aliased(column, here)
        if behind is not None:
            return resolve(behind, here)
        if takers := _takers(name, standing, here):
            return takers[0] if len(takers) == 1 else None
    return None


def owner_of(column: exp.Column, block: Block) -> Relation | None:
    """The relation that a column is read from, as a whole or as `column.field`; None when that cannot be told."""
    found = resolve(column, block)
    if found is None and column.table and not column.args.get("db"):
        found = resolve(exp.column(column.table), block)
    elif found is None and column.args.get("db"):
        first, second = column.text("db"), column.table
        found = resolve(exp.column(second, table=first), block) or resolve(exp.column(first), block)
    return found[0] if found is not None else None


def _takers(name: str, standing: Standing, block: Block) -> list[tuple[Relation, str]]:
    """The relations of a block that have a parameter of a name, with their spelling of it."""
    return [(r, p) for r in _seen(standing, block) if (p := r.parameter(name)) is not None]


def _seen(standing: Standing, block: Block) -> list[Relation]:
    """The relations of a block that a name can mean where it stands."""
    if not standing.in_query:
        return block.relations
    return next((block.sides[j] for j in standing.joins if j in block.sides), block.visible())


def _standing(column: exp.Column, block: Block) -> Standing:
    """Where a column stands; what is known of one node is known of all in it, however long a chain of ANDs is."""
    path: list[exp.Expr] = []
    here: exp.Expr | None = column
    while here is not None and id(here) not in block.standings:
        path.append(here)
        here = here.parent
    standing = block.standings[id(here)][1] if here is not None else Standing()
    for node in reversed(path):
        match node.parent:
            case exp.Query():
                standing = replace(standing, in_query=True, orders=False)
            case exp.Ordered():
                standing = replace(standing, orders=True)
            case exp.Join() if node.arg_key == "on":
                standing = replace(standing, joins=(id(node.parent), *standing.joins))
        block.standings[id(node)] = node, standing
    return standing


def _spelled(relation: Relation, name: str) -> str:
    return name if relation.has(name) else relation.parameter(name) or name


def _qualifies(column: exp.Column, relation: Relation) -> bool:
    if not column.args.get("db"):
        return True
    return isinstance(relation.node, exp.Table) and relation.node.text("db").lower() == column.text("db").lower()


def aliased(column: exp.Column, block: Block) -> exp.Column | None:
    """The column behind an alias of the SELECT list, which DuckDB lets WHERE use."""
    for item in block.select.expressions:
        inner = item.this if isinstance(item, exp.Alias) else None
        if isinstance(inner, exp.Column) and item.alias.lower() == column.name.lower() and inner is not column:
            return inner if inner.name.lower() != column.name.lower() else None
    return None


def computed(column: exp.Column, block: Block) -> exp.Expr | None:
    """The constant behind an alias of the SELECT list."""
    if column.table or any(r.parameter(column.name) for r in block.relations):
        return None
    items = [i for i in block.select.expressions if isinstance(i, exp.Alias)]
    return next((i.this for i in items if i.alias.lower() == column.name.lower() and is_constant(i.this)), None)


def outwards(block: Block) -> Iterator[Block]:
    """A block and those around it, inner before outer."""
    here: Block | None = block
    while here is not None:
        yield here
        here = here.outer


def is_independent(query: exp.Expr, blocks: Iterable[Block]) -> bool:
    """Whether the rows of a nested query depend on no outer row.

    Args:
        blocks: those of the statement.
    """
    inside = {id(s) for s in query.find_all(exp.Select)}
    for block in blocks:
        if id(block.select) in inside:
            owners = [found[0] for c in block.columns if (found := resolve(c, block)) is not None]
            if not all(is_within(owner, inside) for owner in owners):
                return False
    return True


def is_within(relation: Relation, selects: set[int]) -> bool:
    """Whether a relation stands in one of the SELECTs with these ids, or in the copy of a CTE that is used there."""
    if id(relation.block.select) in selects:
        return True
    owner = relation.block.owner
    return owner is not None and is_within(owner, selects)


def visible_from(block: Block) -> Iterator[Relation]:
    """The relations of a block and of those around it."""
    for here in outwards(block):
        yield from here.relations
