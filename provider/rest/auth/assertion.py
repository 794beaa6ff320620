"""JSON Web Tokens that are signed here (RFC 7519)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from provider.catalog import credentials as manifest
from provider.errors import InterfaceError
from provider.rest.auth.extras import library
from provider.rest.auth.scheme import Scheme
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Token

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


def remedy(names: Sequence[str]) -> str:
    """What a person does about a signed token that is refused; `names` are the variables that made it."""
    return f"Check {', '.join(names)}, and this machine's clock."


@dataclass(frozen=True, slots=True)
class SignedToken(Scheme[manifest.Jwt]):
    """A token that is signed here, sent as `Authorization: Bearer`."""

    @property
    def remedy(self) -> str:
        return remedy(self.names)

    def obtain(self, given: Given) -> Flow:
        yield from ()
        return signed(self.model.assertion, given)
