"""The ApiQL emulator: a local server that speaks the OpenAI Assistants API, v1 and v2.

It exists to practise and to test against, since the vendor's own endpoints are gone. Everything is
loaded on first use, so importing this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provider.emulator.app import create_app
    from provider.emulator.server import Emulator, serve

__all__ = ["Emulator", "create_app", "serve"]


def __getattr__(name: str) -> object:
    if name == "create_app":
        from provider.emulator.app import create_app

        return create_app
    if name in ("Emulator", "serve"):
        from provider.emulator import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
