"""PEP 249's connection: a DuckDB database, a catalog, and a client for the APIs behind it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb

from provider.catalog.loader import Catalog
from provider.engine.cursor import Cursor, Parameters
from provider.engine.failures import translate
from provider.engine.fetching import Progress
from provider.engine.gateway import Gateway
from provider.engine.report import Report
from provider.engine.results import DuckResult
from provider.engine.session import Session
from provider.engine.writes import Guard
from provider.errors import BindError, InterfaceError, did_you_mean
from provider.rest.request import Exchange
from provider.rest.retry import RetryPolicy
from provider.sql.scanner import Text

if TYPE_CHECKING:
    import httpx

    from provider.rest.client import Client


class Connection:
    """Runs SQL over REST resources and over a DuckDB database.

    Made by `provider.connect`; see there for the arguments. One thread at a time may use it.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] = ":memory:",
        *,
        manifests: Sequence[str | os.PathLike[str]] = (),
        base_urls: Mapping[str, str] | None = None,
        versions: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        max_concurrency: int = 16,
        timeout: float = 60.0,
        retries: int = 4,
        max_writes: int = 100,
        unfiltered_writes: bool = False,
        allow_plain_http: bool = False,
        http_client: httpx.AsyncClient | None = None,
        progress: Progress | None = None,
        trace: Callable[[Exchange], None] | None = None,
    ) -> None:
        if max_concurrency < 1:
            raise InterfaceError(f"max_concurrency is {max_concurrency}; it must be at least 1")
        environ = os.environ if environ is None else environ
        self._closed = True
        self.catalog = Catalog(manifests, versions, environ)
        for name in base_urls or {}:
            if not self.catalog.has_provider(name):
                raise BindError(
                    f'no provider "{name}" for the base URL', remedy=did_you_mean(name, self.catalog.providers)
                )

        def new_client(observe: Callable[[Exchange], None]) -> Client:
            from provider.rest.client import Client

            return Client(
                environ=environ,
                base_urls=dict(base_urls or {}),
                max_concurrency=max_concurrency,
                timeout=timeout,
                retry=RetryPolicy(attempts=retries + 1),
                observe=observe,
                allow_plain_http=allow_plain_http,
                http_client=http_client,
            )

        self._gateway = Gateway(new_client, max_concurrency, trace)
        try:
            self._duck = duckdb.connect(os.fspath(database))
        except duckdb.Error as e:
            raise translate(e, Text("", ""), None) from None
        self._closed = False
        # A name that is no table must be an error, not whatever Python variable happens to have that name.
        self._duck.execute("SET python_enable_replacements = false")
        self._session = Session(self._duck, self.catalog, self._gateway, Guard(max_writes, unfiltered_writes), progress)

    def cursor(self) -> Cursor:
        """A new cursor."""
        self._check_open()
        return Cursor(self)

    def execute(self, sql: str, parameters: Parameters = None) -> Cursor:
        """A new cursor that has run `sql`; see `Cursor.execute`."""
        return self.cursor().execute(sql, parameters)

    def commit(self) -> None:
        """End DuckDB's transaction, if one is open. Requests that were sent are not part of it."""
        self._in_transaction("COMMIT")

    def rollback(self) -> None:
        """Undo DuckDB's open transaction. Requests that were sent cannot be undone."""
        self._in_transaction("ROLLBACK")

    def close(self) -> None:
        """Close the database and all connections to APIs."""
        if self._closed:
            return
        self._closed = True
        self._session.close()
        self._gateway.close()
        self._duck.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn("a provider.Connection was not closed", ResourceWarning, stacklevel=2)

    def explain(self, sql: str) -> str:
        """The plan of each statement of a script as text: methods, requests, and where values come from.

        Nothing is sent, and parameters need no values.

        Raises:
            Error: as `execute`, for what can be known without sending anything.
        """
        self._check_open()
        return self._session.explain(sql)

    def _run(self, sql: str, parameters: Parameters, report: Report) -> tuple[DuckResult, str]:
        """Run a script for a cursor."""
        self._check_open()
        return self._session.run(sql, parameters, report)

    def _in_transaction(self, command: str) -> None:
        self._check_open()
        self._session.detach()
        try:
            self._duck.execute(command)
        except duckdb.TransactionException:
            return  # none was open, which PEP 249 takes as done
        except duckdb.Error as e:
            raise translate(e, Text(command, command), None) from None

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the connection is closed")
