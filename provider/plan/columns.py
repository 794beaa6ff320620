"""Which fields and parameters of each resource a statement needs as columns."""

from __future__ import annotations

from sqlglot import exp

from provider.plan.binder import Binder
from provider.plan.blocks import Block
from provider.plan.resolution import resolve
from provider.plan.uses import Uses


def find_columns(binder: Binder, tree: exp.Expr, uses: Uses) -> None:
    """Note the columns of each use: fields by name, generously; parameters only where a name can mean nothing else."""
    names: set[str] = set()
    rows: set[str] = set()  # a bare name may be a whole row: SELECT t FROM r t
    everything: set[str] = set()
    for block in binder.blocks:
        for column in block.columns:
            # `t.metadata.key` is read as table.column or as column.key: every part may be the field.
            names |= {part.name.lower() for part in column.parts}
            rows |= {column.name.lower()} if not column.table else set()
            found = resolve(column, block)
            if found is not None:
                uses.need(*found)
        for join in block.joins():
            for using in join.args.get("using") or ():
                names.add(using.name.lower())
                for relation in block.relations:
                    if relation.resource is not None and not relation.has(using.name):
                        uses.need(relation, using.name)
            if (join.args.get("method") or "").upper() == "NATURAL":
                everything |= {r.alias.lower() for r in block.relations}
        if any(isinstance(n, exp.Columns | exp.Pivot) for n in block.select.find_all(exp.Columns, exp.Pivot)):
            everything |= {r.alias.lower() for r in block.relations}
    if tree.find(exp.Pivot, exp.Summarize, exp.Describe) is not None:
        everything |= {r.alias.lower() for r in binder.relations}
    before = -1
    while before != len(everything):  # a star reads whole what another star reads
        before = len(everything)
        for block in binder.blocks:
            if _is_read_whole(block, everything | rows):
                for _, qualifier in block.stars():
                    everything |= {qualifier} if qualifier else {r.alias.lower() for r in block.relations}
    for use in uses:
        alias = use.relation.alias.lower()
        if alias in everything or (alias in rows and not use.relation.has(alias)):
            use.fields |= {f.name for f in use.resource.fields}
            continue
        use.fields |= {f.name for f in use.resource.fields if f.name.lower() in names}
        if use.untold and not use.fields:
            use.fields.add(use.resource.fields[0].name)  # `*` without its hidden columns must not be empty


def _is_read_whole(block: Block, wanted: set[str]) -> bool:
    """Whether any column that a SELECT puts out may be read, and not only those that the statement names.

    EXISTS reads none. Of a derived table or CTE that is a single SELECT, its reader's names are all that is
    read, unless the reader is `wanted` as a whole, or the columns count by place or as a set.
    """
    select, owner = block.select, block.owner
    if any(star.args.get(k) for star, _ in block.stars() for k in ("except_", "replace", "rename")):
        return True  # these name columns that must be there
    if isinstance(select.parent, exp.Exists):
        return bool(select.args.get("distinct") or select.args.get("group"))
    if owner is None or len(owner.bodies) != 1 or owner.renames or (owner.cte is not None and owner.cte.recursive):
        return True
    if any(select.args.get(k) for k in ("distinct", "group", "order", "qualify", "pivots")):
        return True
    by_place = owner.block.select.find(exp.PositionalColumn) is not None
    return by_place or owner.alias.lower() in wanted
