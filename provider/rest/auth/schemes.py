"""From a manifest's `auth` to the scheme that does it. Each is imported when a manifest first names it."""

from __future__ import annotations

from dataclasses import dataclass

from provider.catalog import credentials as manifest
from provider.catalog.model import Model
from provider.rest.auth.scheme import Scheme
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Token
from provider.rest.transport import Request


@dataclass(frozen=True, slots=True)
class Nothing(Scheme[manifest.NoAuth]):
    """No credentials: requests go as they are."""

    def obtain(self, given: Given) -> Flow:
        yield from ()
        return Token(Secret(""))

    def sign(self, token: Token, request: Request, now: float) -> Request:
        return request


def scheme_of(model: manifest.Auth, owner: str) -> Scheme[Model]:
    """The scheme of a manifest's `auth`, for the account that `owner` names."""
    match model:
        case manifest.NoAuth():
            return Nothing(model)
        case manifest.Bearer() | manifest.ApiKey():
            from provider.rest.auth.keys import Key

            return Key(model)
        case manifest.Basic():
            from provider.rest.auth.keys import UserAndPassword

            return UserAndPassword(model)
        case manifest.ClientCredentials():
            from provider.rest.auth.oauth import ClientCredentials

            return ClientCredentials(model)
        case manifest.RefreshToken():
            from provider.rest.auth.oauth import RefreshToken

            return RefreshToken(model, owner)
        case manifest.JwtBearer():
            from provider.rest.auth.oauth import JwtBearer

            return JwtBearer(model)
        case manifest.Jwt():
            from provider.rest.auth.assertion import SignedToken

            return SignedToken(model)
        case manifest.Session():
            from provider.rest.auth.session import Session

            return Session(model)
        case manifest.AwsSigV4():
            from provider.rest.auth.sigv4 import SigV4

            return SigV4(model)
