"""DuckDB's exceptions as ours: same classes inside and outside, and no staged table's name in a message."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import duckdb

from provider.catalog.catalog import Resource, spelling
from provider.catalog.loader import Catalog
from provider.errors import (
    BindError,
    Cancelled,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    ManifestError,
    NotSupportedError,
    OperationalError,
    ParseError,
    Place,
    ProgrammingError,
    did_you_mean,
)
from provider.plan.physical import Plan
from provider.sql.misspelt import misspelt
from provider.sql.scanner import Text, bare

#: Most specific first: DuckDB's classes inherit from one another.
_CLASSES: tuple[tuple[type[Exception], type[Error]], ...] = (
    (duckdb.ParserException, ParseError),
    (duckdb.SyntaxException, ParseError),
    (duckdb.BinderException, BindError),
    (duckdb.CatalogException, BindError),
    (duckdb.InterruptException, Cancelled),
    (duckdb.ConstraintException, IntegrityError),
    (duckdb.NotImplementedException, NotSupportedError),
    (duckdb.NotSupportedError, NotSupportedError),
    (duckdb.IntegrityError, IntegrityError),
    (duckdb.DataError, DataError),
    (duckdb.OperationalError, OperationalError),
    (duckdb.ProgrammingError, ProgrammingError),
)


def translate(error: duckdb.Error, text: Text, plan: Plan | None, catalog: Catalog | None = None) -> Error:
    """Our error for one of DuckDB's, with the place in the user's statement where it can be told.

    The catalog says what a name may have meant that is no table's.
    """
    kind, message, extra = _parts(error)
    bindings = re.search(r"\nCandidate bindings: (.*)", message)
    # "LINE 1: ..." quotes the statement with the staged tables in it; the place says it better.
    message = re.split(r"\n+(?:LINE \d+:|Candidate bindings:)", message)[0]
    message = re.sub(
        r"\b(?:temp\.)?(?:main\.)?(__apiql_scan_\d+)(?:_rows)?\b", lambda m: _resource(m[1], plan), message
    )
    message = re.sub(r'\n?Did you mean "(?:pg_|duckdb_|sqlite_|pragma_)[^"]*"\??', "", message)
    if plan is not None and plan.is_shaped_by_rows and _NO_COLUMN in message:
        return BindError(
            "PIVOT has no column: no row has a value to make one of",
            remedy="ON column IN ('a', 'b') says which columns there are, and GROUP BY keeps further ones.",
        )
    if "a key is " in message:
        return BindError(message[message.index("a key is ") :].strip())
    missing = _missing_column(message)
    if missing is not None and plan is not None and plan.scans:
        return _no_column(*missing, text, plan)
    if m := _NO_RELATION.match(message):
        return _no_relation(m[1], re.findall(r'"([^"]+)"', m[2] or ""), text, plan)
    if kind is ParseError and (found := misspelt(text, _stopped(text, message))):
        return found
    if catalog is not None and (m := _NO_TABLE.match(message)):
        return _no_table(m[1], message, text, catalog)
    name = extra.get("name") or _quoted_name(message)
    known = re.findall(r'"([^"]+)"', bindings[1]) if bindings is not None else ()
    return kind(message.strip().rstrip("!"), place=_place(text, name), remedy=did_you_mean(name, known))


#: What DuckDB says of PIVOT without IN over no rows: each value is a column there, and there is none.
_NO_COLUMN = "SELECT list is empty after resolving"
_NO_RELATION = re.compile(r'Referenced table "([^"]+)" not found!?(?:\s*Candidate tables: (.*))?', re.DOTALL)


def _no_relation(name: str, known: list[str], text: Text, plan: Plan | None) -> BindError:
    """The error for a name in front of a dot that stands for nothing there.

    DuckDB says so of a table, too, that a nested query has and whose column it did not find.
    """
    for scan in plan.scans if plan is not None else ():
        if name.lower() in (a.lower() for a in scan.aliases):
            columns = {f.name.lower() for f in scan.resource.fields} | {p.lower() for p in scan.resource.key.values()}
            columns |= {p.name.lower() for p in scan.method.parameters}
            for column in re.findall(rf"(?<![\w.]){re.escape(name)}\.(\w+)", text.sql, re.IGNORECASE):
                if column.lower() not in columns and plan is not None:
                    return _no_column(name, column, text, plan)
    summary = f'"{name}" is no table of this query'
    return BindError(summary, place=_place(text, name), remedy=did_you_mean(name, known))


def _stopped(text: Text, message: str) -> int | None:
    """Where DuckDB's parser stopped reading, as far as its message tells: behind the word that it names."""
    named = re.search(r'syntax error at or near "(.+)"', message, re.DOTALL)
    found = list(re.finditer(rf"(?<!\w){re.escape(named[1])}(?!\w)", text.sql)) if named else []
    return found[0].end() if len(found) == 1 else None


_NO_TABLE = re.compile(r'Table with name "?([\w.]+)"? does not exist')
_SHOWN = ("PROVIDERS", "SERVICES", "RESOURCES", "METHODS", "SETTINGS")


def _no_table(name: str, message: str, text: Text, catalog: Catalog) -> BindError:
    """The error for a table that does not exist, with what there is of that name."""
    place, (first, _, rest) = _place(text, name), name.partition(".")
    if catalog.has_provider(first):
        services = catalog.services(first)
        if not rest:
            remedy = f"A resource is named provider.service.resource: SHOW SERVICES IN {first}"
            return BindError(f'"{name}" is a provider, and no table', place=place, remedy=remedy)
        if spelling(rest, services) is not None:
            remedy = f"A resource is named provider.service.resource: SHOW RESOURCES IN {name}"
            return BindError(f'"{name}" is a service, and no table', place=place, remedy=remedy)
        summary, remedy = f'provider "{first}" has no service "{rest}"', did_you_mean(rest, services)
        return BindError(summary, place=place, remedy=remedy)
    summary = message.strip().rstrip("!")
    if bare(text.sql).upper().startswith("SHOW"):
        meant = difflib.get_close_matches(name.upper(), _SHOWN, cutoff=0.8)
        return BindError(summary, place=place, remedy=f"Did you mean SHOW {meant[0]}?" if meant else "")
    resources = list(_resources(catalog))
    near = difflib.get_close_matches(name.lower(), [r.rpartition(".")[2].lower() for r in resources], cutoff=0.8)
    meant = [r for n in near for r in resources if r.rpartition(".")[2].lower() == n]
    remedy = f"Did you mean {' or '.join(dict.fromkeys(meant))}?" if meant else ""
    return BindError(summary, place=place, remedy=remedy)


def _resources(catalog: Catalog) -> Iterator[str]:
    """The names of all resources, as far as the manifests can be read."""
    for provider in catalog.providers:
        with suppress(ManifestError, BindError):
            for service in catalog.services(provider):
                yield from (r.id for r in catalog.service(provider, service).resources.values())


def _missing_column(message: str) -> tuple[str, str] | None:
    """The qualifier and name of a column that DuckDB did not find."""
    if m := re.search(r'Referenced column "([^"]+)" not found', message):
        qualifier, _, column = m[1].rpartition(".")
        return qualifier, column
    if m := re.search(r'"([^"]+)" does not have a column named "([^"]+)"', message):
        return m[1], m[2]
    return None


def _no_column(qualifier: str, column: str, text: Text, plan: Plan) -> BindError:
    scans = [s for s in plan.scans if qualifier.lower() in (a.lower() for a in s.aliases)] or list(plan.scans)
    resources: dict[str, Resource] = {s.resource.id: s.resource for s in scans}
    place = _place(text, f"{qualifier}.{column}") if qualifier else None
    # The caret stands under the column's own name.
    place = replace(place, start=place.end - len(column)) if place else _place(text, column)
    for resource in resources.values():
        if known := spelling(column, resource.elsewhere):
            versions = " and ".join(resource.elsewhere[known])
            only = f'{resource.id} has the field "{known}" in {versions} of the API only'
            return BindError(only, place=place)
    names = [f.name for r in resources.values() for f in r.fields]
    names += [p for r in resources.values() for p in r.key.values()]
    summary = f'column "{column}" not found in {" and ".join(resources)}'
    remedy = did_you_mean(column, names)
    if place is not None and place.text[place.start - 1 : place.start] == '"' and remedy.startswith("Candidates"):
        remedy = f"Double quotes stand around names; a string is '{column}'.\n{remedy}"
    return BindError(summary, place=place, remedy=remedy)


def _parts(error: duckdb.Error) -> tuple[type[Error], str, dict[str, str]]:
    kind = next((ours for theirs, ours in _CLASSES if isinstance(error, theirs)), DatabaseError)
    text = str(error)
    # With errors_as_json DuckDB prints {"exception_type": ..., "exception_message": ..., "position": ...}.
    start = text.find('{"exception_type"')
    if start >= 0:
        try:
            found = json.loads(text[start:])
            return kind, str(found.get("exception_message", text)), found
        except ValueError:
            pass
    return kind, re.sub(r"^[A-Z][A-Za-z]+(?: [A-Za-z]+)* Error: ", "", text), {}


def _quoted_name(message: str) -> str:
    found = re.search(r'(?:column(?: name)?|to table|(?:Table|Function) with name) "?([A-Za-z_][\w.]*)"?', message)
    return found[1] if found else ""


def _place(text: Text, name: str) -> Place | None:
    return text.find(name) if name else None


def _resource(table: str, plan: Plan | None) -> str:
    return next((s.resource.id for s in plan.scans if s.table == table), table) if plan else table
