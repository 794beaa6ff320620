"""Credentials: looked up when a request is sent, and kept out of everything that is shown."""

from __future__ import annotations

from collections.abc import Mapping

from provider.catalog.catalog import Provider
from provider.catalog.credentials import ApiKey, Bearer, NoAuth
from provider.errors import InterfaceError


def headers(provider: Provider, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers that authenticate a request.

    Raises:
        InterfaceError: the manifest's environment variable is not set, or cannot stand in a header.
    """
    auth = provider.auth
    if isinstance(auth, NoAuth):
        return ()
    secret = environ.get(auth.env, "").strip()
    if not secret:
        raise InterfaceError(
            f"no credentials for {provider.name}: {auth.env} is not set",
            remedy=f"export {auth.env}=... (for the emulator any value will do)",
        )
    if not secret.isascii() or not secret.isprintable():
        raise InterfaceError(f"{auth.env} has characters that cannot stand in an HTTP header")
    match auth:
        case Bearer():
            return (("Authorization", f"Bearer {secret}"),)
        case ApiKey(header=name, prefix=prefix):
            return ((name, prefix + secret),)


_SHORTEST_SECRET = 6


def secrets(provider: Provider, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The secret values themselves, so that what an API echoes can be redacted.

    A value of a few letters is no secret, and redacting it would garble every message.
    """
    if isinstance(provider.auth, NoAuth):
        return ()
    secret = environ.get(provider.auth.env, "").strip()
    return (secret,) if len(secret) >= _SHORTEST_SECRET else ()


def redact(text: str, hidden: tuple[str, ...]) -> str:
    """A text without the secrets."""
    for secret in hidden:
        text = text.replace(secret, "***")
    return text
