"""Libraries that not every installation has, imported when a manifest first asks for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from provider.errors import InterfaceError


def library(module: str, extra: str, purpose: str) -> Any:
    """Import a module.

    Args:
        extra: the extra of ApiQL that installs it.
        purpose: what it is needed for, for the message.

    Raises:
        InterfaceError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise InterfaceError(f"{purpose} needs the extra '{extra}'", remedy=f"pip install 'apiql[{extra}]'") from None
