"""Whole names of resources in a text that outlives what USE has set: a view's."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from provider.plan.binder import Binder
from provider.plan.names import Names
from provider.plan.rendering import quoted
from provider.plan.syntax import span
from provider.sql.scanner import Text
from provider.sql.statements import Query, parse_one


def completed(sql: str, names: Names, views: frozenset[str]) -> str:
    """A query in which each resource has its provider and service, so that it means the same after another USE.

    Args:
        sql: the query's text.
        names: what names mean now.
        views: names of views over resources, in lower case, which come before resources.

    Raises:
        BindError: an unknown name.
        ParseError: as `parse_one`.
    """
    text = Text(sql, sql)
    query = parse_one(text)
    if not names.default or not isinstance(query, Query) or query.tree is None:
        return sql
    taken = {quoted(v) for v in views}
    known = replace(names, columns=lambda name: () if name.lower() in taken else names.columns(name))
    binder = Binder(known, text)
    binder.bind(query.tree)
    missing: dict[int, str] = {}
    for relation in binder.resources:
        assert relation.resource is not None
        assert isinstance(relation.node, exp.Table)
        parts = relation.node.parts
        whole = 3 if relation.forced is None else 4
        lacking = (relation.resource.provider, relation.resource.service)[: max(0, whole - len(parts))]
        missing[span(parts)[0]] = "".join(f"{quoted(name)}." for name in lacking)
    return text.spliced((at, at, prefix) for at, prefix in missing.items() if prefix).sql
