"""OAuth 2: the messages to a token endpoint, and what is made of its answers (RFC 6749, 7523)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

from provider.catalog import credentials as manifest
from provider.errors import InterfaceError
from provider.rest.auth import answers, assertion
from provider.rest.auth.command import lifetime
from provider.rest.auth.keys import basic
from provider.rest.auth.scheme import Scheme
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Kept, Token
from provider.rest.transport import Request

#: Seconds that a kept access token must still be good for.
_SPARE = 30.0
_Identified = manifest.ClientCredentials | manifest.RefreshToken


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A token endpoint, and the client that asks it."""

    url: str
    client_id: str | None
    client_secret: str | None
    client_auth: str
    parameters: Mapping[str, str]
    scopes: tuple[str, ...]
    remedy: str

    @classmethod
    def of(cls, model: _Identified, given: Given, remedy: str) -> Endpoint:
        """The endpoint of a manifest, with the client's name and secret as they were found."""
        secret = model.client_secret_env
        return cls(
            given.url(model.token_url),
            given.need(model.client_id_env).secret.reveal() if model.client_id_env else model.client_id,
            given.need(secret).secret.reveal() if secret else None,
            model.client_auth,
            model.parameters,
            tuple(model.scopes),
            remedy,
        )

    @property
    def _pair(self) -> str:
        # Section 2.3.1: both are encoded as in a form before they become a pair.
        return basic(quote_plus(self.client_id or ""), quote_plus(self.client_secret or ""))

    def request(self, form: Mapping[str, str], url: str | None = None) -> Request:
        """A request with the client's identification. `url` is another endpoint of the same server."""
        headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        fields = {**self.parameters, **form}
        if self.scopes:
            fields.setdefault("scope", " ".join(self.scopes))
        if self.client_secret is not None and self.client_auth == "basic":
            headers.append(("Authorization", f"Basic {self._pair}"))
        elif self.client_id is not None:
            fields["client_id"] = self.client_id
            if self.client_secret is not None:
                fields["client_secret"] = self.client_secret
        return Request("POST", url or self.url, tuple(headers), urlencode(fields).encode())

    def ask(self, form: Mapping[str, str], now: float) -> Flow:
        """Ask for a token."""
        request = self.request(form)
        yield Secret(self._pair)
        response = yield request
        assert response is not None
        answer = answers.read(request, response, self.remedy)
        access = Secret(answers.text_at(request, response, answer, "$.access_token"))
        refresh = answer.get("refresh_token")
        return Token(
            access,
            lifetime(answer.get("expires_in"), now),
            Secret(refresh) if isinstance(refresh, str) and refresh else None,
        )


@dataclass(frozen=True, slots=True)
class ClientCredentials(Scheme[manifest.ClientCredentials]):
    """A program's own access (section 4.4)."""

    def obtain(self, given: Given) -> Flow:
        endpoint = Endpoint.of(self.model, given, self.remedy)
        return (yield from endpoint.ask({"grant_type": "client_credentials"}, given.now))


@dataclass(frozen=True, slots=True)
class RefreshToken(Scheme[manifest.RefreshToken]):
    """A person's access (section 6). The token file holds the refresh token, as each use may replace it."""

    owner: str

    @property
    def kept(self) -> str:
        return self.model.env

    @property
    def remedy(self) -> str:
        if self.model.login is None:
            return f"Get a new refresh token and set {self.model.env}."
        provider, _, account = self.owner.partition("/")
        return f"Log in again: apiql login {provider}" + (f" --account {account}" if account else "")

    def obtain(self, given: Given) -> Flow:
        kept = self._kept(given)
        if kept is not None and kept.access is not None and _is_good(kept, given):
            return Token(kept.access, kept.expires_at, kept.refresh)
        refresh = kept.refresh if kept is not None else self._seed(given)
        endpoint = Endpoint.of(self.model, given, self.remedy)
        form = {"grant_type": "refresh_token", "refresh_token": refresh.reveal()}
        token = yield from endpoint.ask(form, given.now)
        # Without a new one the old one stays good.
        return token if token.refresh else Token(token.secret, token.expires_at, refresh)

    def _kept(self, given: Given) -> Kept | None:
        """What the token file holds, unless the environment has a refresh token that it does not descend from."""
        seed = given.found.get(self.model.env)
        stands = given.kept is not None and (seed is None or given.kept.seed == fingerprint(seed.secret))
        return given.kept if stands else None

    def _seed(self, given: Given) -> Secret:
        if self.model.login is None or self.model.env in given.found:
            return given.need(self.model.env).secret
        raise InterfaceError(f"nobody is logged in to {given.owner}", remedy=self.remedy.replace("in again", "in"))


def _is_good(kept: Kept, given: Given) -> bool:
    """Whether a kept access token is worth a request: another process may have fetched it since ours was refused."""
    refused = given.refused is not None and given.refused.secret == kept.access
    return not refused and (kept.expires_at is None or kept.expires_at - given.now > _SPARE)


def fingerprint(secret: Secret) -> str:
    """What tells a refresh token from others and does not give it away."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class JwtBearer(Scheme[manifest.JwtBearer]):
    """A token that is signed here, exchanged for an access token (RFC 7523, section 2.1)."""

    @property
    def remedy(self) -> str:
        return assertion.remedy(self.names)

    @property
    def is_timed(self) -> bool:
        return True

    def obtain(self, given: Given) -> Flow:
        url = given.url(self.model.token_url)
        proof = assertion.signed(self.model.assertion, given, aud=url)
        endpoint = Endpoint(url, None, None, "body", self.model.parameters, tuple(self.model.scopes), self.remedy)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": proof.secret.reveal()}
        yield proof.secret
        return (yield from endpoint.ask(form, given.now))
