"""UPDATE, REPLACE and DELETE as plans: by key at once, by anything else after a SELECT."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter
from provider.plan.actions import Action, WritePlan
from provider.plan.claims import conjuncts
from provider.plan.clauses import assignments, found_rows, returning_of, source, sql, with_of
from provider.plan.names import Names
from provider.plan.rendering import quoted
from provider.plan.writable import Writable
from provider.sql.lists import listed_values
from provider.sql.statements import Write


def plan_change(
    write: Write, tree: exp.Update | exp.Delete, table: exp.Table, target: Writable, names: Names
) -> WritePlan:
    """Plan a change of objects that are there.

    Raises:
        BindError: unknown columns, no method for the verb, or no way to find the rows.
    """
    assert write.verb in ("UPDATE", "REPLACE", "DELETE")
    columns, values = assignments(tree.expressions if isinstance(tree, exp.Update) else (), table, target)
    method = target.method(write.verb, columns)
    changed = target.settable(method, columns)
    keys = keys_of(method)
    target.require(method, (*keys, *changed))
    returning = returning_of(tree, table, target.resource)
    constant = _constant_keys(target, keys, table, tree)
    direct = constant is not None and not any(v.find(exp.Column, exp.Query) for v in values)
    current: tuple[int | None, ...] = ()
    if constant is not None and direct:
        rows = source(_cross_product(constant, values), names)
        found = [f"any of {', '.join(map(sql, c))}" if len(c) > 1 else sql(c[0]) for c in constant]
    else:
        alias = quoted(table.alias or target.resource.name)
        # The answers are what RETURNING selects from, so with it nothing is left out.
        compared, current = compared_with(target, alias, keys, changed, method.merges and returning is None)
        rows = found_rows(_reading(target, keys, table, tree, values, compared), target, names)
        found = ["the rows that are found"] * len(keys)
    action = Action(write.verb, method, (*keys, *changed), (*found, *map(sql, values)), current=current)
    return WritePlan(
        verb=write.verb,
        resource=target.resource,
        actions=(action,),
        source=rows,
        place=target.place,
        returning=returning,
        reads_first=not direct,
        unfiltered=not says_something(tree.args.get("where"), target, table),
    )


def says_something(condition: exp.Expr | None, target: Writable, table: exp.Table) -> bool:
    """Whether a condition names a column of the target, without which it lets through all of its objects or none."""
    if condition is None:
        return False
    alias = table.alias_or_name.lower()
    columns = condition.find_all(exp.Column)
    return any(c.table.lower() == alias or (not c.table and target.has_column(c.name)) for c in columns)


def _constant_keys(
    target: Writable, keys: tuple[Parameter, ...], table: exp.Table, tree: exp.Update | exp.Delete
) -> list[list[exp.Expr]] | None:
    """The values of each key where the statement says nothing but `key = constant` and `key IN (constants)`."""
    where = tree.args.get("where")
    if where is None or any(tree.args.get(clause) for clause in ("with_", "from_", "using", "order", "limit")):
        return None
    found: dict[str, list[exp.Expr]] = {}
    for part in conjuncts(where.this):
        column, values = _constants(part)
        if column is None or column.table.lower() not in ("", table.alias_or_name.lower()):
            return None
        name = column.name.lower()
        key = next((k.name for k in keys if name in (k.name.lower(), target.key_field(k).lower())), None)
        if key is None or key in found:
            return None
        found[key] = values
    return [found[k.name] for k in keys] if len(found) == len(keys) else None


def _reading(
    target: Writable,
    keys: Sequence[Parameter],
    table: exp.Table,
    tree: exp.Update | exp.Delete,
    values: Sequence[exp.Expr],
    compared: Sequence[str],
) -> str:
    """The query that finds the rows to change: their keys, new values, and current values to compare with."""
    alias = quoted(table.alias or target.resource.name)
    columns = [f"{alias}.{quoted(target.key_field(k))}" for k in keys] + list(map(sql, values)) + list(compared)
    selected = ", ".join(f"{c} AS x{i}" for i, c in enumerate(columns))
    others = tree.args.get("using") or ([tree.args["from_"].this] if tree.args.get("from_") else [])
    tables = ", ".join([f"{target.resource.id} AS {alias}", *map(sql, others)])
    clauses = "".join(f" {sql(tree.args[c]).strip()}" for c in ("where", "order", "limit") if tree.args.get(c))
    return f"{with_of(tree)}SELECT {selected} FROM {tables}{clauses}"


def keys_of(method: Method) -> tuple[Parameter, ...]:
    """The parameters that together name the object."""
    return tuple(p for p in method.parameters if p.addresses)


def compared_with(
    target: Writable, alias: str, keys: Sequence[Parameter], changed: Sequence[Parameter], wanted: bool
) -> tuple[list[str], tuple[int | None, ...]]:
    """The columns with the current values of what is changed, and where they stand for each parameter.

    The positions count from the action's first column, where keys and new values come before. Nothing is
    compared unless it is `wanted`.
    """
    if not wanted:
        return [], ()
    columns: list[str] = []
    current: list[int | None] = [None] * len(keys)
    for parameter in changed:
        known = target.resource.field(parameter.name) is not None
        current.append(len(keys) + len(changed) + len(columns) if known else None)
        if known:
            columns.append(f"{alias}.{quoted(parameter.name)}")
    return columns, tuple(current)


def _constants(part: exp.Expr) -> tuple[exp.Column | None, list[exp.Expr]]:
    """The column and values of `column = constant` or `column IN (constants)`."""
    if isinstance(part, exp.EQ):
        sides = [part.this.unnest(), part.expression.unnest()]
        for column, value in (sides, sides[::-1]):
            if isinstance(column, exp.Column) and value.find(exp.Column, exp.Query) is None:
                return column, [value]
    if isinstance(part, exp.In) and isinstance(part.this, exp.Column):
        values = listed_values(part)
        if values and all(v.find(exp.Column, exp.Query) is None for v in values):
            return part.this, values
    return None, []


def _cross_product(keys: list[list[exp.Expr]], values: Sequence[exp.Expr]) -> str:
    """A query with a row for each combination of keys, without NULLs and repetitions."""
    columns = [f"k{i}" for i in range(len(keys))]
    sources = []
    for name, options in zip(columns, keys, strict=True):
        rows = ", ".join(f"({sql(o)})" for o in options)
        sources.append(f"(SELECT DISTINCT c FROM (VALUES {rows}) AS t(c) WHERE c IS NOT NULL) AS {name}({name})")
    selected = [*(f"{c}.{c}" for c in columns), *(f"{sql(v)} AS v{i}" for i, v in enumerate(values))]
    return f"SELECT {', '.join(selected)} FROM {', '.join(sources)}" if sources else f"SELECT {', '.join(selected)}"
