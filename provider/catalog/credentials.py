"""How a manifest says that a provider's requests are authenticated.

A manifest names environment variables and never holds a secret. `docs/credentials.md` tells where a
variable's value may come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from provider.catalog.model import Http, Model, Path, Url, UrlPath


def _one_of(model: Model, *names: str) -> None:
    """Raise unless exactly one of the keys is given."""
    given = [n for n in names if getattr(model, n) is not None]
    if len(given) != 1:
        raise ValueError(f"give one of {', '.join(names)}" + (f", not {' and '.join(given)}" if given else ""))


class Bearer(Model):
    """`Authorization: Bearer <secret>`."""

    type: Literal["bearer"]
    env: str


class ApiKey(Model):
    """A secret in a named header, query parameter or cookie."""

    type: Literal["api_key"]
    env: str
    header: str | None = None
    query: str | None = None
    cookie: str | None = None
    prefix: str = ""

    @model_validator(mode="after")
    def _has_a_place(self) -> ApiKey:
        _one_of(self, "header", "query", "cookie")
        return self


class Basic(Model):
    """A user's name and password (RFC 7617)."""

    type: Literal["basic"]
    username: str | None = None
    username_env: str | None = None
    password_env: str | None = None

    @model_validator(mode="after")
    def _has_a_user(self) -> Basic:
        _one_of(self, "username", "username_env")
        return self


class _TokenEndpoint(Model):
    """Where OAuth 2 tokens come from, and what is asked for (RFC 6749, section 3.2)."""

    token_url: Url
    scopes: list[str] = []
    parameters: dict[str, str] = {}


class _OAuthClient(_TokenEndpoint):
    """An OAuth 2 client that identifies itself (RFC 6749, section 2.3)."""

    client_id: str | None = None
    client_id_env: str | None = None
    client_secret_env: str | None = None
    client_auth: Literal["basic", "body"] = "basic"

    @model_validator(mode="after")
    def _has_a_client(self) -> _OAuthClient:
        _one_of(self, "client_id", "client_id_env")
        return self


class ClientCredentials(_OAuthClient):
    """A program's own access (RFC 6749, section 4.4)."""

    type: Literal["oauth2_client_credentials"]
    client_secret_env: str


class Login(Model):
    """How a person grants access: in a browser (RFC 6749, 7636), or with a code on another device (RFC 8628)."""

    authorization_url: Url | None = None
    device_url: Url | None = None
    port: int = Field(default=0, ge=0, le=65535)
    redirect_path: UrlPath = "/"
    parameters: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_a_way(self) -> Login:
        if self.authorization_url is None and self.device_url is None:
            raise ValueError("give authorization_url, device_url, or both")
        return self


class RefreshToken(_OAuthClient):
    """A person's access, kept alive by a refresh token (RFC 6749, section 6)."""

    type: Literal["oauth2_refresh_token"]
    env: str
    login: Login | None = None


class Assertion(Model):
    """A signed JSON Web Token (RFC 7519)."""

    algorithm: Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512"]
    key_env: str
    claims: dict[str, str] = {}
    env_claims: dict[str, str] = {}
    header: dict[str, str] = {}
    env_header: dict[str, str] = {}
    lifetime: int = Field(default=300, ge=10, le=86_400)


class Jwt(Model):
    """A token that is signed here, as `Authorization: Bearer`."""

    type: Literal["jwt"]
    assertion: Assertion


class JwtBearer(_TokenEndpoint):
    """A token that is signed here, exchanged for an access token (RFC 7523)."""

    type: Literal["oauth2_jwt_bearer"]
    assertion: Assertion


class Session(Model):
    """A login call whose answer has a token or sets a cookie, used until it is refused or expires."""

    type: Literal["session"]
    http: Http
    body: dict[str, str] = {}
    env_body: dict[str, str] = {}
    encoding: Literal["json", "form"] = "json"
    token: Path | None = None
    cookie: str | None = None
    header: str = "Authorization"
    prefix: str = "Bearer "
    expires_in: Path | None = None
    lifetime: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _has_a_token(self) -> Session:
        _one_of(self, "token", "cookie")
        return self


class AwsSigV4(Model):
    """Each request signed with an AWS key (Signature Version 4)."""

    type: Literal["aws_sigv4"]
    service: str
    region: str | None = None
    region_env: str = "AWS_REGION"
    access_key_env: str = "AWS_ACCESS_KEY_ID"
    secret_key_env: str = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 -- the name of a variable
    session_token_env: str = "AWS_SESSION_TOKEN"  # noqa: S105 -- the name of a variable
    env: str = "AWS_CREDENTIALS"


class NoAuth(Model):
    """No credentials."""

    type: Literal["none"]


class ClientCertificate(Model):
    """A certificate by which the provider knows its caller (mutual TLS). The variables name PEM files."""

    certificate_env: str
    key_env: str | None = None
    password_env: str | None = None


Auth = Annotated[
    Bearer | ApiKey | Basic | ClientCredentials | RefreshToken | JwtBearer | Jwt | Session | AwsSigV4 | NoAuth,
    Field(discriminator="type"),
]


def variables(model: Model) -> Iterator[str]:
    """The environment variables that a part of a manifest names: the values of `env`, `..._env` and `env_...`."""
    for name, value in model:
        if isinstance(value, Model):
            yield from variables(value)
        elif name == "env" or name.endswith("_env"):
            if value is not None:
                yield value
        elif name.startswith("env_"):
            yield from value.values()
