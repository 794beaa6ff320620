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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from provider.engine.connection import Connection
    from provider.engine.cursor import Cursor
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
    from provider.rest.request import Exchange

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
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]

_HOMES = {"Connection": "provider.engine.connection", "Cursor": "provider.engine.cursor"}


def connect(
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
    progress: Callable[[int, int], None] | None = None,
    trace: Callable[[Exchange], None] | None = None,
) -> Connection:
    """Open a connection.

    Args:
        database: a DuckDB file for tables and views, or ':memory:'.
        manifests: folders or files of manifests in addition to the bundled ones.
        base_urls: base URL by provider; wins over the environment and the manifest.
        versions: API version by service: `{"openai.assistants": "v1"}`.
        environ: where credentials and base URLs are looked up; os.environ by default.
        max_concurrency: requests in flight, per provider.
        timeout: seconds to wait for an answer to begin, and between two parts of it.
        retries: how often a read is repeated after a fault that may pass; a write never is.
        max_writes: how many objects one UPDATE, REPLACE or DELETE may change.
        unfiltered_writes: permit UPDATE and DELETE without WHERE.
        allow_plain_http: permit http:// to hosts other than this machine; credentials travel in clear.
        http_client: an `httpx.AsyncClient` to send through, with its own transport, hooks, proxies and timeouts.
        progress: called with (requests sent, rows read) while a statement fetches.
        trace: called with each request that was sent, without secrets; on another thread.

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
        max_concurrency=max_concurrency,
        timeout=timeout,
        retries=retries,
        max_writes=max_writes,
        unfiltered_writes=unfiltered_writes,
        allow_plain_http=allow_plain_http,
        http_client=http_client,
        progress=progress,
        trace=trace,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "provider.errors")), name)
    raise AttributeError(f"module 'provider' has no attribute {name!r}")
