"""CREATE, REFRESH and DROP of views over resources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from provider.engine.planning import Planning
from provider.engine.queries import Queries
from provider.engine.views import View, Views
from provider.errors import BindError, NotSupportedError, did_you_mean
from provider.plan.completing import completed
from provider.plan.rendering import quoted
from provider.sql.scanner import bare
from provider.sql.statements import Query, parse

_CREATE = re.compile(
    r"""CREATE\s+(?P<replace>OR\s+REPLACE\s+)?(?P<temp>TEMP(?:ORARY)?\s+)?(?P<materialized>MATERIALIZED\s+)?VIEW\s+
        (?P<new>IF\s+NOT\s+EXISTS\s+)?(?P<name>"(?:""|[^"])+"|\w+)\s*(?:\((?P<columns>[^()]*)\))?\s+AS\b""",
    re.IGNORECASE | re.VERBOSE,
)
_REFRESH = re.compile(r"REFRESH\s+MATERIALIZED\s+VIEW\s+(\"(?:\"\"|[^\"])+\"|\w+)", re.IGNORECASE)
_DROP = re.compile(r"DROP\s+(MATERIALIZED\s+)?VIEW\s+(IF\s+EXISTS\s+)?(\"(?:\"\"|[^\"])+\"|\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Definition:
    """CREATE VIEW as far as it concerns us; `only_if_new` is IF NOT EXISTS."""

    view: View
    replace: bool
    only_if_new: bool


class ViewStatements:
    """Carries out the statements that make, fill and drop views."""

    def __init__(self, views: Views, planning: Planning, queries: Queries) -> None:
        self._views = views
        self._planning = planning
        self._queries = queries

    def run(self, query: Query, arguments: Mapping[str, object]) -> str | None:
        """The message of a statement about a view over resources; None for all else, of which nothing is done.

        Raises:
            NotSupportedError: a view whose query has an EXEC in it, or parameters.
            BindError: the name is taken, or there is no such view.
            Error: as `Queries.run`, where a materialized view is filled.
        """
        found = _definition(query.text.sql)
        if found is not None:
            return self._create(found, query, arguments)
        name = _refreshed(query.text.sql)
        if name is not None:
            kept = self._views.all().get(name.lower())
            if kept is None or not kept.materialized:
                others = [view.name for view in self._views.all().values() if view.materialized]
                raise BindError(f'no materialized view "{name}"', remedy=did_you_mean(name, others))
            self._materialize(kept, arguments)
            return "REFRESH"
        name = _dropped(query.text.sql)
        if name is not None and name.lower() in self._views.all():
            self._views.drop(name)
            return "DROP VIEW"
        return None

    def _create(self, found: _Definition, query: Query, arguments: Mapping[str, object]) -> str | None:
        """Keep a view; None where it reads no resource, and so is DuckDB's."""
        if query.execs:
            place = query.execs[0].text.place(*query.execs[0].path_span)
            raise NotSupportedError("a view cannot hold EXEC: each reading would send it again", place=place)
        others = frozenset(name for name, view in self._views.all().items() if not view.materialized)
        view = replace(found.view, sql=completed(found.view.sql, self._planning.names(), others))
        source = parse(view.sql)[0]
        if not isinstance(source, Query) or (not view.materialized and not self._planning.reads_resources(source)):
            return None
        if not (found.only_if_new and view.name.lower() in self._views.all()):
            if view.materialized:
                self._materialize(view, arguments)
            self._views.save(view, replace=found.replace)
        return "CREATE MATERIALIZED VIEW" if view.materialized else "CREATE VIEW"

    def _materialize(self, view: View, arguments: Mapping[str, object]) -> None:
        """Fill a materialized view's table; the old rows stay until the new ones are there."""
        columns = f" ({', '.join(quoted(c) for c in view.columns)})" if view.columns else ""
        rows = f"SELECT * FROM ({view.sql}) AS {quoted(view.name)}{columns}"
        text = f"CREATE OR REPLACE TABLE {quoted(view.name)} AS {rows}"
        statement = parse(text)[0]
        assert isinstance(statement, Query)
        result, _ = self._queries.run(statement, arguments, afresh=True)
        result.close()


def _definition(sql: str) -> _Definition | None:
    """CREATE [OR REPLACE] [MATERIALIZED] VIEW, None for anything else.

    Raises:
        NotSupportedError: parameters in the view's query, which would have no value later.
    """
    sql = bare(sql)
    m = _CREATE.match(sql)
    if m is None:
        return None
    columns = tuple(_unquoted(c) for c in (m["columns"] or "").split(",") if c.strip())
    view = View(_unquoted(m["name"]), sql[m.end() :].strip(), columns, bool(m["materialized"]))
    if re.search(r"\$[A-Za-z_]\w*", view.sql) and not view.materialized:
        raise NotSupportedError("a view cannot hold parameters: they would have no value when it is read")
    return _Definition(view, bool(m["replace"]), bool(m["new"]))


def _refreshed(sql: str) -> str | None:
    """The view that REFRESH MATERIALIZED VIEW names."""
    m = _REFRESH.fullmatch(bare(sql))
    return _unquoted(m[1]) if m else None


def _dropped(sql: str) -> str | None:
    """The view that DROP [MATERIALIZED] VIEW names."""
    m = _DROP.fullmatch(bare(sql))
    return _unquoted(m[3]) if m else None


def _unquoted(name: str) -> str:
    name = name.strip()
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
