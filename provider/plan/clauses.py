"""The clauses of a write, read from its tree and made into queries for its rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlglot import exp

from provider.catalog.catalog import Resource
from provider.errors import BindError, NotSupportedError
from provider.plan.actions import ANSWERS, Returning
from provider.plan.names import Names
from provider.plan.physical import Plan
from provider.plan.planner import plan_query
from provider.plan.rendering import quoted
from provider.plan.syntax import span
from provider.plan.writable import Writable
from provider.sql.scanner import Text
from provider.sql.statements import Query, parse_one


def insert_columns(tree: exp.Insert, target: Writable) -> list[exp.Identifier]:
    """The columns that an INSERT names; none for DEFAULT VALUES.

    Raises:
        BindError: there is no list of columns, or the rows have another width.
    """
    if tree.args.get("default"):
        return []
    if not isinstance(tree.this, exp.Schema):
        insertable = [p.name for p in target.method("INSERT", []).parameters if p.location != "query"]
        raise BindError(
            f"INSERT INTO {target.resource.id} needs a list of columns",
            place=target.place,
            remedy=f"INSERT INTO {target.resource.id} ({', '.join(insertable)}) ...",
        )
    columns = [c if isinstance(c, exp.Identifier) else c.this for c in tree.this.expressions]
    width = _width(tree.expression)
    if width is not None and width != len(columns):
        raise BindError(f"INSERT names {len(columns)} columns and gives {width} values", place=target.place)
    return columns


def insert_source(tree: exp.Insert) -> str:
    """The query for the rows to insert."""
    if tree.expression is None:
        raise NotSupportedError("INSERT takes VALUES or SELECT")
    return with_of(tree) + sql(_marked(tree.expression))


def _marked(rows: exp.Expr) -> exp.Expr:
    """The rows of VALUES, where one says string() or JSON(), with that column as JSON in all of them.

    DuckDB gives a column one type: what is plain text in another row must say so, or be read as JSON.
    """
    if not isinstance(rows, exp.Values):
        return rows
    rows = rows.copy()
    tuples = [row.expressions for row in rows.expressions if isinstance(row, exp.Tuple)]
    marked = {i for items in tuples for i, item in enumerate(items) if isinstance(item, exp.ParseJSON) or _text(item)}
    for items in tuples:
        for i in marked & set(range(len(items))):
            item = items[i]
            if isinstance(item, exp.Literal) and item.is_string and _is_structure(item.name):
                item.replace(exp.ParseJSON(this=item.copy()))
            elif isinstance(item, exp.Literal | exp.Parameter | exp.Placeholder):
                item.replace(exp.String(this=item.copy()))
    return rows


def _text(node: exp.Expr) -> exp.Expr | None:
    """What string() is given: sqlglot knows it by a name of its own, and the dialect by another."""
    if isinstance(node, exp.Anonymous) and node.name.lower() == "stackql_string" and len(node.expressions) == 1:
        argument: exp.Expr = node.expressions[0]
        return argument
    return node.this if isinstance(node, exp.String) else None


def _is_structure(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


def assignments(
    items: Sequence[exp.Expr], table: exp.Table, target: Writable
) -> tuple[list[exp.Identifier], list[exp.Expr]]:
    """The columns and values of SET.

    Raises:
        BindError: a column of something else than the target, or a part of a column.
        NotSupportedError: anything but `column = value`.
    """
    for item in items:
        if not isinstance(item, exp.EQ) or not isinstance(item.this, exp.Column):
            raise NotSupportedError("SET takes column = value", place=target.place)
    return own_columns([i.this for i in items], table, target), [i.expression for i in items]


def own_columns(columns: Sequence[exp.Column], table: exp.Table, target: Writable) -> list[exp.Identifier]:
    """The names of the target's columns that are written; the table's name or alias may stand in front.

    Raises:
        BindError: a column of something else than the target, or a part of a column.
    """
    for column in columns:
        owner, name = column.table, column.name
        if owner.lower() not in ("", table.alias_or_name.lower()):
            whole = f"Columns are written whole: SET {owner} = json_merge_patch({owner}, json_object('{name}', ...))."
            raise BindError(
                f'"{owner}.{name}" is no column of {target.resource.id}',
                place=target.text.place(*span(column.parts)),
                remedy=whole if target.resource.field(owner) is not None else "",
            )
    return [column.this for column in columns]


def found_rows(text: str, target: Writable, names: Names) -> Plan:
    """The plan of a query that finds the rows; what it lacks, the user's statement lacks."""
    try:
        return source(text, names)
    except BindError as e:
        raise BindError(e.summary, place=target.place, reason=e.reason, remedy=e.remedy) from None


def source(text: str, names: Names) -> Plan:
    """The plan of a query whose rows are to be written."""
    query = parse_one(Text(text, text))
    if not isinstance(query, Query) or query.tree is None:
        return Plan(text, (), ())
    opened = names.opened(query)
    assert opened.tree is not None
    return plan_query(opened.tree, opened.text, names)


def sql(node: exp.Expr) -> str:
    """A part of a write as DuckDB's SQL.

    `string(x)` is StackQL's word for a value that stays text even if it looks like JSON: a JSON string is just that.
    """
    marked = node.transform(
        lambda n: exp.Anonymous(this="to_json", expressions=[exp.cast(text, "VARCHAR")]) if (text := _text(n)) else n
    )
    return str(marked.sql(dialect="duckdb", comments=False))


def with_of(tree: exp.Expr) -> str:
    """The WITH clause in front of a write, '' without one."""
    clause = tree.args.get("with_")
    return f"{sql(clause)} " if clause is not None else ""


def returning_of(tree: exp.Expr, table: exp.Table, resource: Resource) -> Returning | None:
    """The RETURNING clause of a write."""
    clause = tree.args.get("returning")
    if clause is None:
        return None
    named = {c.name.lower() for e in clause.expressions for c in e.find_all(exp.Column)}
    synonyms = {p: f for f, p in resource.key.items() if p.lower() in named and resource.field(p) is None}
    selected = ", ".join(str(e.sql(dialect="duckdb", comments=False)) for e in clause.expressions)
    return Returning(answers(selected, table.alias or resource.name), synonyms)


def answers(selected: str, alias: str) -> str:
    """A query over the staged answers, under the target's name."""
    return f"SELECT {selected} FROM {quoted(ANSWERS)} AS {quoted(alias)}"


def _width(rows: exp.Expr | None) -> int | None:
    """How many columns the rows of INSERT have, None when only DuckDB can tell."""
    if isinstance(rows, exp.Values):
        return len(rows.expressions[0].expressions) if isinstance(rows.expressions[0], exp.Tuple) else 1
    if isinstance(rows, exp.Select) and not any(e.find(exp.Star, exp.Columns) for e in rows.expressions):
        return len(rows.expressions)
    return None
