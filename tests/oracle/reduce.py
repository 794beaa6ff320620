"""Smaller cases that still fail in the same way: parts of the statement go, then rows and parts of the world."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import sqlglot
from sqlglot import exp

from tests.oracle.compare import Case, opened
from tests.oracle.server import Server
from tests.oracle.world import Resource, Row, World

Fails = Callable[[World, Case], bool]


def shrink(server: Server, world: World, case: Case, kind: str, budget: int = 1500) -> tuple[World, Case]:
    """Reduce a failing case until nothing smaller fails with the same kind, or `budget` trials are spent."""
    left = budget

    def fails(other_world: World, other: Case) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            return False
        with opened(server, other_world) as oracle:
            return oracle.judge(other).kind == kind

    named = _named(case)
    case = named if fails(world, named) else case
    while left > 0:
        smaller = _rows(world, case, fails)
        with opened(server, smaller) as oracle:

            def still(other: Case, oracle: object = oracle) -> bool:
                nonlocal left
                left -= 1
                return left >= 0 and oracle.judge(other).kind == kind  # type: ignore[attr-defined]

            less = _statement(case, still)
        if smaller == world and less == case:
            break
        world, case = smaller, less
    return _unused(world, case, fails), case


def _named(case: Case) -> Case:
    """The same case with literals or names in place of question marks, so that parts can go."""
    if not isinstance(case.parameters, list):
        return case
    parts = case.sql.split("?")
    if len(parts) != len(case.parameters) + 1:
        return case
    sql = parts[0] + "".join(f"$p{i}{part}" for i, part in enumerate(parts[1:], 1))
    return replace(case, sql=sql, parameters={f"p{i}": v for i, v in enumerate(case.parameters, 1)})


def _with_sql(case: Case, sql: str) -> Case:
    if not isinstance(case.parameters, dict):
        return replace(case, sql=sql)
    used = set(re.findall(r"\$(\w+)", sql))
    return replace(case, sql=sql, parameters={n: v for n, v in case.parameters.items() if n in used} or None)


def _statement(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Try every smaller statement, the largest cuts first, until none fails."""
    try:
        tree = sqlglot.parse_one(case.sql, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return case
    found = True
    while found:
        found = False
        tried = {case.sql}
        for candidate in _smaller(tree):
            sql = candidate.sql(dialect="duckdb")
            if sql in tried or len(sql) >= len(case.sql):
                continue
            tried.add(sql)
            less = _with_sql(case, sql)
            if fails(less):
                case, tree, found = less, candidate, True
                break
    return case


def _smaller(tree: exp.Expr) -> Iterator[exp.Expr]:
    nodes = list(tree.walk())
    for i, node in enumerate(nodes):
        for change in _changes(node):
            copy = tree.copy()
            target = list(copy.walk())[i]
            made = change(target)
            if made is None:
                continue
            if target is copy:
                yield made
            else:
                yield copy


Change = Callable[[exp.Expr], exp.Expr | None]


def _changes(node: exp.Expr) -> Iterator[Change]:
    """Ways to make a node smaller; each changes its argument in place, and returns the root where that changes."""

    def become(pick: Callable[[exp.Expr], exp.Expr]) -> Change:
        def change(n: exp.Expr) -> exp.Expr | None:
            part = pick(n)
            if n.parent is None:
                return part.copy()
            n.replace(part.copy())
            return part

        return change

    def drop(key: str) -> Change:
        def change(n: exp.Expr) -> exp.Expr | None:
            n.set(key, None)
            return n

        return change

    def drop_item(key: str, i: int) -> Change:
        def change(n: exp.Expr) -> exp.Expr | None:
            items = list(n.args[key])
            del items[i]
            n.set(key, items or None)
            return n

        return change

    if isinstance(node, exp.SetOperation):
        yield become(lambda n: n.this)
        yield become(lambda n: n.expression)
    if isinstance(node, exp.And | exp.Or):
        yield become(lambda n: n.this)
        yield become(lambda n: n.expression)
    if isinstance(node, exp.Not | exp.Paren | exp.Is | exp.Coalesce | exp.Cast) and isinstance(node.this, exp.Expr):
        yield become(lambda n: n.this)
    if isinstance(node, exp.Query):
        for key in ("with_", "where", "having", "qualify", "order", "limit", "offset", "distinct", "group"):
            if node.args.get(key):
                yield drop(key)
    for key in ("expressions", "joins"):
        items = node.args.get(key)
        if isinstance(items, list) and (len(items) > 1 or key == "joins"):
            for i in range(len(items)):
                yield drop_item(key, i)
    if isinstance(node, exp.Exists | exp.In) or (isinstance(node, exp.Predicate) and node.find(exp.Query)):
        yield become(lambda n: exp.true())
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and node.parent and not node.alias:
        yield become(lambda n: exp.Literal.number(1))
    if isinstance(node, exp.Window | exp.AggFunc | exp.Case):
        yield become(lambda n: exp.Literal.number(1))
    if isinstance(node, exp.Join) and (node.side or node.kind):
        yield drop("side")
        yield drop("kind")
    if isinstance(node, exp.With) and node.args.get("recursive"):
        yield drop("recursive")


def _rows(world: World, case: Case, fails: Fails) -> World:
    """Fewer rows."""
    for i in range(len(world.resources)):
        for make in (_empty, _halves):
            for candidate in make(world.resources[i].rows):
                kept = _put(world, i, replace(world.resources[i], rows=candidate))
                if kept != world and fails(kept, case):
                    world = kept
                    break
        at = 0
        while at < len(world.resources[i].rows):
            rows = world.resources[i].rows
            kept = _put(world, i, replace(world.resources[i], rows=rows[:at] + rows[at + 1 :]))
            if fails(kept, case):
                world = kept
            else:
                at += 1
    for i, table in enumerate(world.tables):
        at = 0
        while at < len(world.tables[i].rows):
            rows2 = world.tables[i].rows
            tables = list(world.tables)
            tables[i] = replace(table, rows=rows2[:at] + rows2[at + 1 :])
            kept = replace(world, tables=tuple(tables))
            if fails(kept, case):
                world = kept
            else:
                at += 1
    return world


def _empty(rows: tuple[Row, ...]) -> list[tuple[Row, ...]]:
    return [()]


def _halves(rows: tuple[Row, ...]) -> list[tuple[Row, ...]]:
    return [rows[: len(rows) // 2], rows[len(rows) // 2 :]] if len(rows) > 3 else []


def _put(world: World, i: int, resource: Resource) -> World:
    return replace(world, resources=(*world.resources[:i], resource, *world.resources[i + 1 :]))


def _unused(world: World, case: Case, fails: Fails) -> World:
    """Without the views, resources, tables, filters, orders and small pages that the failure does not need."""
    for view in world.views:
        kept = replace(world, views=tuple(v for v in world.views if v is not view))
        if not _is_named(view.name, kept, case) and fails(kept, case):
            world = kept
    for resource in world.resources:
        kept = replace(world, resources=tuple(r for r in world.resources if r.name != resource.name))
        if not _is_named(resource.name, world, case) and fails(kept, case):
            world = kept
    for table in world.tables:
        kept = replace(world, tables=tuple(t for t in world.tables if t.name != table.name))
        if not _is_named(table.name, world, case) and fails(kept, case):
            world = kept
    for i, resource in enumerate(world.resources):
        for key in ("query", "sort"):
            less = {m.name: getattr(m, key) for m in world.undeclared().resources[i].methods}
            methods = tuple(replace(m, **{key: less[m.name]}) for m in resource.methods)
            kept = _put(world, i, replace(world.resources[i], methods=methods))
            if kept != world and fails(kept, case):
                world = kept
                resource = world.resources[i]
    simpler: tuple[dict[str, Any], ...] = ({"page": 100}, {"strict": False}, {"paging": "cursor"})
    for change in simpler:
        kept = replace(world, **change)
        if kept != world and fails(kept, case):
            world = kept
    return world


def _is_named(name: str, world: World, case: Case) -> bool:
    """Whether a statement or a view reads something."""
    return any(re.search(rf"\b{name}\b", text) for text in (case.sql, *(v.sql for v in world.views)))
