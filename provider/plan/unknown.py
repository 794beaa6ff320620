"""The error for a misspelt column."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from provider.catalog.catalog import spelling
from provider.errors import BindError, did_you_mean
from provider.plan.blocks import Block, Relation
from provider.plan.resolution import outwards, visible_from
from provider.plan.syntax import span
from provider.sql.scanner import Text


def unknown_column(blocks: Sequence[Block], text: Text) -> BindError | None:
    """The error for the first name of the statement that no relation has as a column or parameter.

    What a misspelt name should have bound is not bound, so that this is the likelier mistake.
    """
    for block in blocks:
        for column in block.columns:
            owners = _could_have(column, block)
            if owners and not any(r.has(column.name) or r.parameter(column.name) for r in owners):
                return _unknown(column.this, owners, text)
        for join in block.joins():
            for name in join.args.get("using") or ():
                owners = [r for r in block.relations if r.resource is not None]
                if owners and not any(r.has(name.name) or r.parameter(name.name) for r in owners):
                    return _unknown(name, owners, text)
    return None


def _could_have(column: exp.Column, block: Block) -> list[Relation]:
    """The relations that a name can mean, if resources are among them and all columns are known; else none."""
    nearest = column.find_ancestor(exp.Lambda, exp.Columns, exp.Pivot, exp.Query)
    if not isinstance(nearest, exp.Query) or not isinstance(column.this, exp.Identifier):
        return []
    reached = list(visible_from(block))
    if column.table:
        owners = [r for r in reached if r.alias.lower() == column.table.lower()][:1]
    else:
        named = {i.alias.lower() for here in outwards(block) for i in here.select.expressions if i.alias}
        owners = reached if column.name.lower() not in named | {r.alias.lower() for r in reached} else []
    told = all(r.columns() is not None for r in owners)
    return owners if told and any(r.resource is not None for r in owners) else []


def _unknown(name: exp.Expr, owners: Sequence[Relation], text: Text) -> BindError:
    resources = {r.resource.id: r.resource for r in owners if r.resource is not None}
    place = text.place(*span([name]))
    for resource in resources.values():
        if known := spelling(name.name, resource.elsewhere):
            versions = " and ".join(resource.elsewhere[known])
            return BindError(f'{resource.id} has the field "{known}" in {versions} of the API only', place=place)
    known_names = [c for r in owners for c in r.columns() or ()]
    known_names += [p for r in resources.values() for p in r.select_parameters()]
    summary = f'column "{name.name}" not found in {" and ".join(resources)}'
    return BindError(summary, place=place, remedy=did_you_mean(name.name, known_names))
