"""The errors of a resource that cannot be called as a statement names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

from provider.catalog.catalog import Method
from provider.errors import BindError
from provider.plan.uses import Use

#: The names of a method's required parameters that nothing binds.
Missing = Callable[[Method], list[str]]


def unbound(use: Use, methods: Sequence[Method], missing_of: Missing, *, alone: bool) -> BindError:
    """The error for a resource none of whose methods can be called; `alone` when no other could be joined."""
    if (incomparable := _incomparable(use)) is not None:
        return incomparable
    method = min(methods, key=lambda m: (len(missing_of(m)), len(m.required)))
    missing = missing_of(method) or [p.name for p in method.required]
    remedy = "Add WHERE " + " AND ".join(f"{n} = '...'" for n in missing)
    if use.view:
        remedy += (
            f", and let the view {use.view} select {_and(missing)}:\nnothing outside reaches what it does not select."
        )
    elif not alone and len(missing) == 1:
        alias = use.relation.alias
        remedy += f", or join it: ... JOIN {use.resource.id} {alias} ON {alias}.{missing[0]} = ..."
    if not any(m.is_list for m in methods):
        remedy += f"\n{method.name} answers one object: there is no list of {use.resource.name}."
    return BindError(
        f"{use.resource.id} needs {' and '.join(missing)}",
        place=use.place,
        reason=f"{method.name} ({method.http}) cannot be called without {'it' if len(missing) == 1 else 'them'}.",
        remedy=remedy,
    )


def _incomparable(use: Use) -> BindError | None:
    """The error for a parameter whose value is given, and compared in a way that no request can ask for."""
    if use.misfit is not None:
        parameter, value = use.misfit
        named = exp.column(parameter.name).sql(dialect="duckdb")
        remedy = f"Write {named} = '{value.name}'" if parameter.type.base == "string" else ""
        if parameter.enum:
            remedy = (
                f"{parameter.name} is one of {', '.join(map(str, parameter.enum))}: {named} = '{parameter.enum[0]}'"
            )
        reason = "DuckDB would compare them as numbers, and so find '01' by 1; no request can ask for that."
        kind = "text"
        if parameter.type.base != "string":
            kind, reason = f"of type {parameter.type}", "DuckDB would compare them as values of another type."
        summary = f"{use.resource.id}: {parameter.name} is {kind}, and {value.sql(dialect='duckdb')} is not"
        return BindError(summary, place=use.place, reason=reason, remedy=remedy)
    if use.collated is not None:
        return BindError(
            f"{use.resource.id} needs {use.collated.name}, and default_collation makes different texts equal",
            place=use.place,
            reason="DuckDB would find the rows of all of them; no request can ask for that.",
            remedy="RESET default_collation",
        )
    return None


def untold(use: Use, methods: Sequence[Method], sources_of: Callable[[str], Sequence[object]]) -> BindError:
    """The error for parameters that the statement uses as columns and that no callable method takes together.

    Args:
        methods: those that could be called.
        sources_of: what binds a parameter.
    """
    if (incomparable := _incomparable(use)) is not None:
        return incomparable
    for name in sorted(use.untold):
        if not sources_of(name):
            return _valueless(use, name)
    first = methods[0]
    lacking = _and(use.untold - {p.name for p in first.parameters})
    if len(methods) > 1:
        summary = f"{use.resource.id} has no method that takes {_and(use.untold)} together"
        remedy = (
            f"Candidates: {_told(methods)}\n"
            f"Name one, FROM {use.resource.id}.{first.name}, without the condition on {lacking}; "
            "for the rows of both, join the two."
        )
    else:
        summary = f"{use.resource.id}.{first.name} does not take {lacking}"
        others = [m for m in use.resource.methods_for("SELECT") if use.untold & {p.name for p in m.parameters}]
        remedy = (
            f"Leave out the condition on {lacking}, or name another method: {_told(m for m in others if m != first)}"
        )
    it = "it" if len(methods) == 1 and " and " not in lacking else "them"
    return BindError(
        summary,
        place=use.place,
        reason=f"Its rows do not have {it}, so that DuckDB cannot compare {it}; only the API can.",
        remedy=remedy,
    )


def _and(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))


def _told(methods: Iterable[Method]) -> str:
    return ", ".join(f"{m.name} ({m.http})" for m in methods)


def check_echoes(use: Use) -> None:
    """A parameter that is used as a column has a value only where something binds it.

    Raises:
        BindError: nothing does.
    """
    bound = {p.name for b in use.bindings for p in b.parameters}
    for name in sorted(use.untold - bound):
        raise _valueless(use, name)


def _valueless(use: Use, name: str) -> BindError:
    return BindError(
        f'"{name}" of {use.resource.id} is a parameter, not a field: it needs a value',
        place=use.place,
        reason="Its rows do not have it; it only tells the API what to answer.",
        remedy=f'Add WHERE "{name}" = ...',
    )
