"""Secrets that are sent as they are: bearer tokens, API keys, names with passwords."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from provider.catalog import credentials as manifest
from provider.errors import InterfaceError
from provider.rest.auth.placing import BEARER, Place
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Token
from provider.rest.transport import Request


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of one variable, put into one place."""

    env: str
    place: Place
    kept: None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.env,)

    @property
    def remedy(self) -> str:
        return f"Check {self.env}."

    def obtain(self, given: Given) -> Flow:
        yield from ()
        found = given.need(self.env)
        return Token(found.secret, found.expires_at)

    def sign(self, token: Token, request: Request, now: float) -> Request:
        return self.place.put(request, token.secret)


@dataclass(frozen=True, slots=True)
class UserAndPassword:
    """`Authorization: Basic` (RFC 7617)."""

    model: manifest.Basic
    kept: None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(n for n in (self.model.username_env, self.model.password_env) if n)

    @property
    def remedy(self) -> str:
        return f"Check {' and '.join(self.names)}." if self.names else ""

    def obtain(self, given: Given) -> Flow:
        yield from ()
        name, secret = self.model.username_env, self.model.password_env
        user = given.need(name).secret.reveal() if name else self.model.username or ""
        password = given.need(secret).secret.reveal() if secret else ""
        if ":" in user:
            raise InterfaceError(f"the user name of {given.owner} has a colon, which would end it")
        return Token(Secret(basic(user, password)))

    def sign(self, token: Token, request: Request, now: float) -> Request:
        return Place("header", "Authorization", "Basic ").put(request, token.secret)


def basic(user: str, password: str) -> str:
    """User and password as they stand behind `Basic`, in UTF-8."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(model: manifest.Bearer) -> Key:
    """The scheme of a manifest's `bearer`."""
    return Key(model.env, BEARER)


def api_key(model: manifest.ApiKey) -> Key:
    """The scheme of a manifest's `api_key`."""
    if model.header is not None:
        return Key(model.env, Place("header", model.header, model.prefix))
    if model.query is not None:
        return Key(model.env, Place("query", model.query, model.prefix))
    return Key(model.env, Place("cookie", model.cookie or "", model.prefix))
