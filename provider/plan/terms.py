"""Constants of a statement as terms that bind parameters."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from provider.catalog.catalog import Parameter
from provider.plan.bindings import Constants
from provider.plan.physical import Computed, Given, Literal, Term
from provider.sql.lists import parameters


def given(constant: Mapping[Parameter, Constants]) -> list[Given]:
    """Bindings by constants; parameters whose values come in rows stay together."""
    found: list[Given] = []
    done: set[int] = set()
    for parameter, source in constant.items():
        if source.rows is None:
            found.append(Given.one(parameter, [term(v, parameter) for v in source.values]))
        elif source.rows not in done:
            done.add(source.rows)
            group = {p: s for p, s in constant.items() if s.rows == source.rows}
            columns = [[term(v, p) for v in s.values] for p, s in group.items()]
            found.append(Given(tuple(group), tuple(zip(*columns, strict=True))))
    return found


def fits(value: exp.Expr, parameter: Parameter) -> bool:
    """Whether DuckDB compares a literal with the parameter's column as values of the column's own type.

    A text that is compared with a number is compared as a number, and a whole number that is compared with a
    double as a double: then other values are equal too, which no request can ask for.
    """
    value = value.unnest()
    if not isinstance(value, exp.Literal) or value.is_string:
        return not (isinstance(value, exp.Boolean) and parameter.type.base == "string")
    if parameter.type.base == "string":
        return False
    return parameter.type.base != "integer" or "e" not in str(value.this).lower()


def term(node: exp.Expr, parameter: Parameter) -> Term:
    """A constant as it is sent: a literal in the parameter's type, or an expression for DuckDB."""
    node = node.unnest()
    if isinstance(node, exp.Null):
        return Literal(None)
    if isinstance(node, exp.Literal):
        text = str(node.this)
        if parameter.type.base == "string":
            return Literal(text)
        if parameter.type.base == "integer" and text.isdigit() and len(text) < 19:
            return Literal(int(text))
    if isinstance(node, exp.Boolean) and parameter.type.base == "boolean":
        return Literal(bool(node.this))
    if isinstance(node, exp.Placeholder) and node.this:
        return Computed(f"${node.this}", (str(node.this),))
    sql = str(node.sql(dialect="duckdb", comments=False))
    return Computed(sql, arguments(sql, node), unnests=node.find(exp.Explode) is not None)


def arguments(sql: str, tree: exp.Expr) -> tuple[str, ...]:
    """The names of the statement's parameters that stand in a text made from it."""
    return tuple(sorted(n for n in set(parameters(tree)) if _mentions(sql, n)))


def _mentions(sql: str, name: str) -> bool:
    start = 0
    while (at := sql.find(f"${name}", start)) >= 0:
        end = at + len(name) + 1
        if end == len(sql) or not (sql[end].isalnum() or sql[end] == "_"):
            return True
        start = end
    return False
