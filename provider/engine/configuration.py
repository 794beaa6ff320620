"""USE, SET and RESET: a setting is changed where its value is kept, and whatever works by it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import duckdb

from provider.catalog.loader import Catalog
from provider.engine.gateway import Gateway
from provider.engine.queries import Queries
from provider.engine.results import DuckResult
from provider.engine.settings import SETTINGS, Settings
from provider.engine.writer import Writer
from provider.errors import BindError, ProgrammingError, did_you_mean
from provider.sql.scanner import Text
from provider.sql.statements import Query, Set

_USE = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*USE\s+(\w+)(?:\.(\w+))?\s*", re.IGNORECASE | re.DOTALL)
_LOCKED = "SELECT current_setting('lock_configuration')"
#: The settings that only say what names mean.
_NAMES = ("provider", "service")


class Configuration:
    """The settings of a session, ours and DuckDB's, and what acts on them."""

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        settings: Settings,
        gateway: Gateway,
        writer: Writer,
        queries: Queries,
    ) -> None:
        self._duck = duck
        self._catalog = catalog
        self._settings = settings
        self._gateway = gateway
        self._writer = writer
        self._queries = queries
        #: DuckDB's setting as it was before SET dialect changed it.
        self._integer_division = False

    def use(self, text: Text) -> bool:
        """Carry out `USE provider` or `USE provider.service`; False for all else: a local schema's name is DuckDB's.

        Raises:
            BindError: the provider has no such service.
        """
        m = _USE.fullmatch(text.sql.strip())
        if m is None or not self._catalog.has_provider(m[1]):
            return False
        if m[2] is not None:
            self._catalog.service(m[1], m[2])
        self._settings.put("provider", m[1])
        self._settings.put("service", f"{m[1]}.{m[2]}" if m[2] is not None else "")
        return True

    def change(self, statement: Set) -> None:
        """Carry out SET or RESET of a setting of ours, and act on it.

        Raises:
            ProgrammingError: the value is none that the setting takes, or the configuration is locked.
            BindError: no such provider or service.
        """
        before = {name: self._settings[name] for name in SETTINGS}
        if statement.name not in _NAMES and self._duck.execute(_LOCKED).fetchall() == [(True,)]:
            raise ProgrammingError(
                f"{statement.name} cannot be changed: the configuration has been locked",
                place=statement.text.place(*statement.span),
                reason="lock_configuration is on; it holds for the settings of ApiQL, too.",
            )
        self._settings.change(statement)
        try:
            self._apply(statement, before)
        except BaseException:
            self._settings.put(statement.name, before[statement.name])
            raise

    def change_duckdb(self, statement: Set, arguments: Mapping[str, object]) -> tuple[DuckResult, str]:
        """SET or RESET of one of DuckDB's settings.

        Raises:
            BindError: nobody knows the name; what is like it is looked for in both worlds.
        """
        try:
            return self._queries.run(Query(statement.text, None), arguments)
        except BindError:
            rows = self._duck.execute("SELECT name FROM duckdb_settings()").fetchall()
            names = [*SETTINGS, *(name for (name,) in rows)]
            if statement.name in names:
                raise
            raise BindError(
                f'no setting "{statement.name}"',
                place=statement.text.place(*statement.span),
                remedy=did_you_mean(statement.name, names),
            ) from None

    def _apply(self, statement: Set, before: Mapping[str, object]) -> None:
        settings, place = self._settings, statement.text.place(*statement.span)
        match statement.name:
            case "dialect" if settings["dialect"] != before["dialect"]:
                # StackQL's 5 / 2 is 2; DuckDB has a setting of its own for that.
                own = self._integer_division
                (now,) = self._duck.execute("SELECT current_setting('integer_division')").fetchone() or (False,)
                self._integer_division = bool(now)
                wanted = True if settings["dialect"] == "stackql" else own
                self._duck.execute(f"SET integer_division = {str(wanted).lower()}")
            case "max_concurrency" | "timeout" | "retries" | "retry_seconds":
                self._gateway.renew(settings.integer("max_concurrency"))
            case "max_writes":
                guard = replace(self._writer.policy.guard, max_writes=settings.integer("max_writes"))
                self._writer.policy = replace(self._writer.policy, guard=guard)
            case "provider":
                if name := settings.text("provider"):
                    self._catalog.provider(name, place)
                settings.put("service", "")
            case "service":
                path = settings.text("service").split(".")
                if path == [""]:
                    return
                if len(path) == 1:
                    path = [settings.text("provider"), *path]
                self._catalog.service(path[0], ".".join(path[1:]), place)
                settings.put("provider", path[0])
                settings.put("service", ".".join(path))
