"""Secrets that are sent as they are: bearer tokens, API keys, names with passwords."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from provider.catalog import credentials as manifest
from provider.errors import InterfaceError
from provider.rest.auth.placing import BEARER, Place
from provider.rest.auth.scheme import Scheme
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Token


@dataclass(frozen=True, slots=True)
class Key(Scheme[manifest.Bearer | manifest.ApiKey]):
    """A secret of one variable, put into one place."""

    @property
    def place(self) -> Place:
        match self.model:
            case manifest.Bearer():
                return BEARER
            case manifest.ApiKey(header=str(name), prefix=prefix):
                return Place("header", name, prefix)
            case manifest.ApiKey(query=str(name), prefix=prefix):
                return Place("query", name, prefix)
            case manifest.ApiKey(cookie=name, prefix=prefix):
                return Place("cookie", name or "", prefix)

    def obtain(self, given: Given) -> Flow:
        yield from ()
        found = given.need(self.model.env)
        return Token(found.secret, found.expires_at)


@dataclass(frozen=True, slots=True)
class UserAndPassword(Scheme[manifest.Basic]):
    """`Authorization: Basic` (RFC 7617)."""

    @property
    def place(self) -> Place:
        return Place("header", "Authorization", "Basic ")

    def obtain(self, given: Given) -> Flow:
        yield from ()
        name, secret = self.model.username_env, self.model.password_env
        user = given.need(name).secret.reveal() if name else self.model.username or ""
        password = given.need(secret).secret.reveal() if secret else ""
        if ":" in user:
            raise InterfaceError(f"the user name of {given.owner} has a colon, which would end it")
        return Token(Secret(basic(user, password)))


def basic(user: str, password: str) -> str:
    """User and password as they stand behind `Basic`, in UTF-8."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()
