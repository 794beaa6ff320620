"""ApiQL: SQL for REST APIs.

    import provider
    conn = provider.connect()
    conn.execute("SELECT id FROM openai.assistants.threads WHERE thread_id = ?", ["thread_1"]).fetchall()

The interface is PEP 249's (DB-API 2.0). Everything is imported on first use, so that the command line
starts fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import httpx

    from provider.engine.connection import Connection
    from provider.engine.cursor import Cursor
    from provider.engine.progress import Progress
    from provider.errors import (
        DatabaseError,
        DataError,
        Error,
        IntegrityError,
        InterfaceError,
        InternalError,
        NotSupportedError,
        OperationalError,
        ProgrammingError,
        Warning,
    )
    from provider.interfaces.progress import progress_display
    from provider.rest.har import Entry
    from provider.rest.request import Exchange
    from provider.rest.tracing import Tracing

__version__ = "0.1.0"

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"

__all__ = [
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Progress",
    "Tracing",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "progress_display",
    "threadsafety",
]

_HOMES = {
    "Connection": "provider.engine.connection",
    "Cursor": "provider.engine.cursor",
    "Progress": "provider.engine.progress",
    "Tracing": "provider.rest.tracing",
    "progress_display": "provider.interfaces.progress",
}


def connect(
    database: str | os.PathLike[str] = ":memory:",
    *,
    manifests: Sequence[str | os.PathLike[str]] = (),
    base_urls: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    accounts: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None,
    max_concurrency: int = 16,
    timeout: float = 60.0,
    statement_timeout: float | None = None,
    retries: int = 4,
    retry_seconds: float = 120.0,
    on_bad_value: Literal["error", "null", "text"] = "error",
    cache: str = "off",
    max_writes: int = 100,
    unfiltered_writes: bool = False,
    on_error: Literal["stop", "continue"] = "stop",
    resume: str | os.PathLike[str] | None = None,
    allow_plain_http: bool = False,
    http_client: httpx.AsyncClient | None = None,
    progress: Callable[[Progress], None] | None = None,
    waiting: Callable[[str], None] | None = None,
    trace: Callable[[Exchange], None] | None = None,
    wire: Callable[[Entry], None] | None = None,
    har: str | os.PathLike[str] | None = None,
    record: str | os.PathLike[str] | None = None,
    replay: str | os.PathLike[str] | None = None,
    tracing: Tracing | None = None,
) -> Connection:
    """Open a connection.

    Args:
        database: a DuckDB file for tables and views, or ':memory:'.
        manifests: folders or files of manifests in addition to the bundled ones.
        base_urls: base URL by provider; wins over the environment and the manifest.
        versions: API version by service: `{"openai.assistants": "v1"}`.
        environ: where credentials and base URLs are looked up; os.environ by default.
        accounts: named accounts of a provider, each with the variables that it sets instead of `environ`:
            `{"openai": {"work": {"OPENAI_API_KEY_FILE": "work.key"}, "home": {...}}}`. Each resource of that
            provider has a column `account` then.
        max_concurrency: requests in flight, per account.
        timeout: seconds to wait for an answer to begin, and between two parts of it.
        statement_timeout: seconds that a statement may take, the reading of its rows included; None for no end.
        retries: how often a read is repeated after a fault that may pass; of the writes only those with an
            idempotency key are.
        retry_seconds: how long a call may take with its repetitions; a wait that would end later is not begun.
        on_bad_value: what becomes of a value that does not fit its field: an error, NULL (counted in the report), or
            'text', with which all fields are text.
        cache: how long answers may be used again: a time such as '5m', 'on' for as long as manifests say, or 'off'.
        max_writes: how many objects one UPDATE, REPLACE or DELETE may change.
        unfiltered_writes: permit UPDATE and DELETE without WHERE.
        on_error: whether a write statement stops at the first row that fails, or goes on with the others.
        resume: a journal of writes; it is made, or continued: rows that it calls done are not sent again.
        allow_plain_http: permit http:// to hosts other than this machine; credentials travel in clear.
        http_client: an `httpx.AsyncClient` to send through, with its own transport, hooks, proxies and timeouts.
        progress: called ten times a second with how far a statement is (requests, rows, waits, writes), and when it has
            ended; on another thread. `provider.progress_display()` makes one that shows it.
        waiting: called with a line on how an operation stands, while AWAIT waits for it; on another thread.
        trace: called with each request that was sent, without secrets; on another thread.
        wire: called with the heads of each request and its answer, without secrets; on another thread.
        har: a HAR file that is written: requests and answers, without credentials and with the first MiB of each body.
        record: a HAR file that is written with whole bodies, so that it can be replayed.
        replay: a recording that answers instead of the APIs. Nothing is sent, and no credentials are needed.
        tracing: makes OpenTelemetry's spans of statements and requests: `provider.Tracing()`; needs the extra `otel`.

    Raises:
        InterfaceError: an argument that cannot be used.
        OperationalError: the database cannot be opened.
    """
    from provider.engine.connection import Connection

    return Connection(
        database,
        manifests=manifests,
        base_urls=base_urls,
        versions=versions,
        environ=environ,
        accounts=accounts,
        max_concurrency=max_concurrency,
        timeout=timeout,
        statement_timeout=statement_timeout,
        retries=retries,
        retry_seconds=retry_seconds,
        on_bad_value=on_bad_value,
        cache=cache,
        max_writes=max_writes,
        unfiltered_writes=unfiltered_writes,
        on_error=on_error,
        resume=resume,
        allow_plain_http=allow_plain_http,
        http_client=http_client,
        progress=progress,
        waiting=waiting,
        trace=trace,
        wire=wire,
        har=har,
        record=record,
        replay=replay,
        tracing=tracing,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "provider.errors")), name)
    raise AttributeError(f"module 'provider' has no attribute {name!r}")
