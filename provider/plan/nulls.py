"""Which columns have a value in each row: where NULL can be ruled out, NOT IN is only the contrary of IN."""

from __future__ import annotations

from sqlglot import exp

from provider.catalog.catalog import Resource
from provider.plan.blocks import Block, Relation
from provider.plan.claims import valued
from provider.plan.grouping import lets_through
from provider.plan.outputs import outputs
from provider.plan.resolution import resolve


def is_never_null(relation: Relation, name: str, block: Block, beside: Relation | None = None) -> bool:
    """Whether a column of a block's relation has a value in each row of its result, or in each that `beside` is in."""
    if relation.block is not block:
        return False
    column = (relation, name.lower())
    for node in valued(block.claims()):
        found = resolve(node, block) if isinstance(node, exp.Column) else None
        if found is not None and (found[0], found[1].lower()) == column:
            return True
    return block.is_present(relation, beside) and _is_given(relation, name)


def _is_given(relation: Relation, name: str) -> bool:
    """Whether a relation's rows all have a value in a column."""
    if relation.resource is not None:
        return _is_key(relation.resource, name.lower())
    columns = [c.lower() for c in relation.columns() or ()]
    if not relation.bodies or name.lower() not in columns:
        return False
    at = columns.index(name.lower())
    return all(_puts_out(body, at, len(columns)) for body in relation.bodies)


def _puts_out(body: Block, at: int, width: int) -> bool:
    """Whether a SELECT has a value in each row of one of its columns."""
    found = outputs(body)
    if found is None or len(found) != width or body.by_name:
        return False
    source, item = found[at].source, found[at].item
    if item is not None:
        column = item.unalias().unnest()
        source = resolve(column, body) if isinstance(column, exp.Column) else None
    return source is not None and lets_through(body, source) and is_never_null(*source, body)


def _is_key(resource: Resource, field: str) -> bool:
    """Whether no row can be without a field: it is part of the key, or all rows are asked for by it."""
    if field in (f.lower() for f in resource.key):
        return True
    return all(any(p.name.lower() == field for p in m.required) for m in resource.methods_for("SELECT"))
