"""How a person grants access: in a browser (RFC 6749, section 4.1, with RFC 7636), or with a code (RFC 8628)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode

from provider.catalog import credentials as manifest
from provider.catalog.catalog import Provider
from provider.errors import AuthError, Error, InterfaceError
from provider.rest.auth import answers
from provider.rest.auth.lookup import Lookup
from provider.rest.auth.loopback import listening
from provider.rest.auth.oauth import Endpoint, fingerprint
from provider.rest.auth.redaction import redacted, spellings
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Given, Kept, Pause, Prompt, Token, drive
from provider.rest.auth.tokenfile import TokenFile
from provider.rest.transport import Request, Response

_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
#: Seconds that a person has, whatever the server says.
_LONGEST = 1800.0


async def log_in(
    provider: Provider,
    owner: str,
    lookup: Lookup,
    file: TokenFile,
    base_url: str,
    send: Callable[[Request], Awaitable[Response]],
    show: Callable[[Prompt], None],
    *,
    by_device: bool,
) -> None:
    """Get a person's access, and keep it in a token file.

    Args:
        owner: whose it is: `shop`, or `shop/work`.
        lookup: where the client's own variables have their values.
        send: sends a request to the token endpoint.
        show: tells the person what to do.
        by_device: with a code, and not in a browser of this machine.

    Raises:
        InterfaceError: the provider has no such login, a variable is missing, or the file cannot be written.
        AuthError: access was not granted.
        TransportError: the endpoint could not be reached.
    """
    model = provider.auth
    if not isinstance(model, manifest.RefreshToken) or model.login is None:
        raise InterfaceError(f"{provider.name} has no login for people", reason=f"Its manifest says {model.type}.")
    hidden: list[Secret] = []
    try:
        found = await lookup.find(manifest.variables(model), time.time, kept=model.env)
        hidden += (f.secret for f in found.values())
        given = Given(owner, found, base_url, time.time())
        async with file.locked():
            if by_device:
                token = await drive(device(model, given), send, hidden.append, show)
            else:
                token = await _in_browser(model, given, send, hidden.append, show)
            seed = found.get(model.env)
            assert token.refresh is not None
            origin = fingerprint(seed.secret) if seed else None
            file.write(Kept(token.refresh, token.secret, token.expires_at, origin))
    except Error as e:
        raise redacted(e, spellings(hidden)) from None


async def _in_browser(
    model: manifest.RefreshToken,
    given: Given,
    send: Callable[[Request], Awaitable[Response]],
    hide: Callable[[Secret], None],
    show: Callable[[Prompt], None],
) -> Token:
    assert model.login is not None
    state = Secret(secrets.token_urlsafe(32))
    async with listening(model.login.port, model.login.redirect_path, state) as here:
        authorization = Authorization(model, here.uri, state)
        show(Prompt(authorization.url(given)))
        try:
            query = await asyncio.wait_for(here.query, _LONGEST)
        except TimeoutError:
            raise AuthError(f"nobody logged in to {given.owner} within {_LONGEST:g} s", status=0) from None
        return await drive(authorization.exchange(query, given), send, hide)


@dataclass(frozen=True, slots=True)
class Authorization:
    """A request for an authorization code, and what its answer is checked with."""

    model: manifest.RefreshToken
    redirect_uri: str
    state: Secret
    verifier: Secret = field(default_factory=lambda: Secret(secrets.token_urlsafe(64)))

    def url(self, given: Given) -> str:
        """Where the browser is sent.

        Raises:
            InterfaceError: the manifest knows no such page.
        """
        login = self.model.login
        if login is None or login.authorization_url is None:
            raise InterfaceError(f"{given.owner} has no login in a browser", remedy="Try --device.")
        endpoint = Endpoint.of(self.model, given, "")
        digest = hashlib.sha256(self.verifier.reveal().encode()).digest()
        fields = {
            "response_type": "code",
            "client_id": endpoint.client_id or "",
            "redirect_uri": self.redirect_uri,
            "state": self.state.reveal(),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **({"scope": " ".join(endpoint.scopes)} if endpoint.scopes else {}),
            **login.parameters,
        }
        url = given.url(login.authorization_url)
        return f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}"

    def exchange(self, query: str, given: Given) -> Flow:
        """The token for the query with which the browser came back, whose state has been checked.

        Raises:
            AuthError: access was not granted.
        """
        answer = {name: values[0] for name, values in parse_qs(query).items()}
        if "code" not in answer:
            said = answer.get("error", "no code")
            raise AuthError(
                f"access was not granted: {said}"[:200], status=0, detail=answer.get("error_description", "")[:500]
            )
        yield Secret(answer["code"])
        yield self.verifier
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier.reveal(),
        }
        endpoint = Endpoint.of(self.model, given, "Try again.")
        return _lasting((yield from endpoint.ask(form, given.now)), given)


def device(model: manifest.RefreshToken, given: Given) -> Flow:
    """The token for a code that a person types elsewhere.

    Raises:
        AuthError: access was not granted, or not in time.
        InterfaceError: the manifest knows no such way.
    """
    if model.login is None or model.login.device_url is None:
        raise InterfaceError(f"{given.owner} has no login with a code", remedy="Leave out --device.")
    endpoint = Endpoint.of(model, given, "Try again.")
    request = endpoint.request(model.login.parameters, given.url(model.login.device_url))
    response = yield request
    assert response is not None
    answer = answers.read(request, response, "")
    code = answers.text_at(request, response, answer, "$.device_code")
    yield Secret(code)
    url = answer.get("verification_uri_complete")
    page = url if isinstance(url, str) else answers.text_at(request, response, answer, "$.verification_uri")
    if not page.startswith(("https://", "http://")) or not page.isprintable():
        raise answers.unusable(request, response, "Its verification_uri is no web page.")
    yield Prompt(page, answers.text_at(request, response, answer, "$.user_code"))
    interval, waited = _seconds(answer.get("interval"), 5.0, 60.0), 0.0
    longest = _seconds(answer.get("expires_in"), _LONGEST, _LONGEST)
    while waited < longest:
        yield Pause(interval)
        waited += interval
        try:
            token = yield from endpoint.ask({"grant_type": _DEVICE, "device_code": code}, given.now + waited)
        except AuthError as e:
            if e.code not in ("authorization_pending", "slow_down"):
                raise
            interval += 5.0 if e.code == "slow_down" else 0.0
        else:
            return _lasting(token, given)
    raise AuthError(f"nobody logged in to {given.owner} within {longest:g} s", status=0, remedy="Try again.")


def _lasting(token: Token, given: Given) -> Token:
    if token.refresh is None:
        raise AuthError(
            f"{given.owner} gave a token that cannot be renewed",
            status=0,
            reason="Without a refresh token the login would not last.",
            remedy="Some APIs give one only for a scope such as offline_access; the manifest's `scopes` say it.",
        )
    return token


def _seconds(value: object, default: float, most: float) -> float:
    """A number of seconds that a server says, at least one and within bounds."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return min(max(float(value), 1.0), most) if usable else default  # type: ignore[arg-type]
