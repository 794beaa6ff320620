"""JSON Web Tokens that are signed here (RFC 7519)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from provider.catalog import credentials as manifest
from provider.errors import InterfaceError
from provider.rest.auth.extras import library
from provider.rest.auth.placing import BEARER
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Token
from provider.rest.transport import Request

#: Seconds by which a token is dated back, for servers whose clocks are behind ours.
_BACK = 30


def signed(model: manifest.Assertion, given: Given, **implied: str) -> Token:
    """A signed token.

    Args:
        implied: claims that the manifest's own replace.

    Raises:
        InterfaceError: a variable is missing, or the key does not fit the algorithm.
    """
    jwt = library("jwt", "jwt", "a signed token (JWT)")
    claims = {n: given.need(env).secret.reveal() for n, env in model.env_claims.items()}
    header = {n: given.need(env).secret.reveal() for n, env in model.env_header.items()}
    until = int(given.now) + model.lifetime
    times = {"iat": int(given.now) - _BACK, "exp": until, "jti": secrets.token_urlsafe(16)}
    key = given.need(model.key_env).secret
    try:
        # An environment variable often holds a PEM file's line breaks as the two characters \n.
        pem = key.reveal().replace("\\n", "\n") if "-----BEGIN" in key.reveal() else key.reveal()
        text = jwt.encode(
            {**implied, **model.claims, **claims, **times},
            pem,
            algorithm=model.algorithm,
            headers=model.header | header,
        )
    except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError):
        # The library's words may quote the key.
        text = None
    if text is None:
        raise InterfaceError(
            f"the key in {model.key_env} cannot sign with {model.algorithm}",
            remedy="A PEM private key of the algorithm's kind is needed, or a secret for HS256 and its kin.",
        )
    return Token(Secret(text), float(until))


def names(model: manifest.Assertion) -> tuple[str, ...]:
    """The variables of an assertion."""
    return tuple(manifest.variables(model))


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token that is signed here, sent as `Authorization: Bearer`."""

    model: manifest.Jwt
    kept: None = None

    @property
    def names(self) -> tuple[str, ...]:
        return names(self.model.assertion)

    @property
    def remedy(self) -> str:
        return f"Check {', '.join(self.names)}, and this machine's clock."

    def obtain(self, given: Given) -> Flow:
        yield from ()
        return signed(self.model.assertion, given)

    def sign(self, token: Token, request: Request, now: float) -> Request:
        return BEARER.put(request, token.secret)
