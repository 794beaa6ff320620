"""ApiQL: SQL for REST APIs.

    import provider
    conn = provider.connect()
    conn.execute("SELECT id FROM openai.assistants.threads WHERE thread_id = ?", ["thread_1"]).fetchall()

The interface is PEP 249's (DB-API 2.0). Everything is imported on first use, so that the command line
starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provider.engine.connection import Connection, connect
    from provider.engine.cursor import Cursor
    from provider.engine.guard import Question
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
    "Question",
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
    "Question": "provider.engine.guard",
    "Tracing": "provider.rest.tracing",
    "connect": "provider.engine.connection",
    "progress_display": "provider.interfaces.progress",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "provider.errors")), name)
    raise AttributeError(f"module 'provider' has no attribute {name!r}")
