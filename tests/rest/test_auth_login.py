"""How a person logs in: in a browser of this machine, and with a code on another device."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from provider.catalog import credentials as manifest
from provider.catalog.loader import Catalog
from provider.errors import AuthError, InterfaceError
from provider.interfaces import login as commands
from provider.rest.auth import login
from provider.rest.auth.login import Authorization, device
from provider.rest.auth.lookup import Lookup
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Flow, Found, Given, Pause, Prompt, Token
from provider.rest.auth.tokenfile import TokenFile
from provider.rest.transport import Request, Response, Transport
from tests.rest.shop import LIST, connect, orders
from tests.rest.webserver import Reply, Seen, WebServer, web_server

AUTH = (
    "{type: oauth2_refresh_token, token_url: /token, client_id: cli, env: SHOP_REFRESH, scopes: [read, offline],"
    " login: {authorization_url: /authorize, device_url: /device, parameters: {prompt: consent}}}"
)
#: A browser in which a person who agrees to everything follows redirects.
BROWSER = f"{sys.executable} -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' %s"


class Authority:
    """An authorization server with one person, who agrees; it checks what RFC 6749, 7636 and 8628 have it check."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}

    def __call__(self, request: Seen) -> Reply:
        match request.path:
            case "/authorize":
                self.asked = request.query
                back = urlencode({"code": "the-code", "state": request.query["state"]})
                return Reply(302, headers={"Location": f"{request.query['redirect_uri']}?{back}"})
            case "/device":
                codes = {
                    "device_code": "the-device",
                    "user_code": "ABCD-EFGH",
                    "verification_uri": "https://shop.example/d",
                }
                return Reply(body={**codes, "interval": 0, "expires_in": 600})
            case "/token":
                return self._token(request.form)
        return orders(request) if request.bearer == "token" else Reply(401)

    def _token(self, form: dict[str, str]) -> Reply:
        granted = Reply(body={"access_token": "token", "refresh_token": "refresh-1", "expires_in": 3600})
        if form["grant_type"] == "authorization_code":
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            fits = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.asked["code_challenge"]
            fits = fits and form["code"] == "the-code" and form["redirect_uri"] == self.asked["redirect_uri"]
            return granted if fits else Reply(400, {"error": "invalid_grant"})
        return granted if form["device_code"] == "the-device" else Reply(400, {"error": "invalid_grant"})


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(Authority()) as running:
        yield running


def log_in(tmp_path: Path, url: str, browser: Callable[[str], None]) -> None:
    """Log in to the shop in a browser that is told where to go, in a thread of its own."""
    with connect(tmp_path, url, AUTH, {}) as conn:
        shop = conn.catalog.provider("shop")

    def show(prompt: Prompt) -> None:
        threading.Thread(target=browser, args=(prompt.url,), daemon=True).start()

    async def run() -> None:
        transport = Transport(max_connections=1)
        try:
            file = TokenFile(tmp_path / "tokens" / "shop.json")
            await login.log_in(shop, "shop", Lookup({}), file, url, transport.send, show, by_device=False)
        finally:
            await transport.aclose()

    asyncio.run(asyncio.wait_for(run(), 20))


def agree(url: str) -> None:
    """What a person's browser does: it follows redirects."""
    urllib.request.urlopen(url)


def test_a_person_logs_in_once_and_is_let_in_from_then_on(tmp_path: Path, server: WebServer) -> None:
    connect(tmp_path, server.url, AUTH, {}).close()
    environ = {**os.environ, "BROWSER": BROWSER, "APIQL_TOKENS": str(tmp_path / "tokens")}
    command = [sys.executable, "-m", "provider", "login", "shop", "--manifests", str(tmp_path / "shop.yaml")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    file = tmp_path / "tokens" / "shop.json"
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"logged in to shop; the token is in {file}" in done.stderr
    assert "refresh-1" not in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with connect(tmp_path, server.url, AUTH, {}) as conn:
        assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]


def test_one_account_logs_in_with_a_code(tmp_path: Path, server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIQL_TOKENS", str(tmp_path / "tokens"))
    accounts: dict[str, dict[str, dict[str, str]]] = {"shop": {"work": {}}}
    said: list[str] = []
    with connect(tmp_path, server.url, AUTH, {}, accounts=accounts) as conn:
        file = commands.log_in(conn.catalog.provider("shop"), "work", said.append, by_device=True)
        assert file == tmp_path / "tokens" / "shop.work.json"
        assert said == ["Open https://shop.example/d\nand type the code ABCD-EFGH"]
        assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]


def test_the_browser_is_sent_with_a_challenge_and_comes_back_to_this_machine(tmp_path: Path) -> None:
    authority = Authority()
    with web_server(authority) as server:
        log_in(tmp_path, server.url, agree)
    asked = authority.asked
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", "cli", "read offline")
    assert (asked["code_challenge_method"], asked["prompt"]) == ("S256", "consent")
    assert urlsplit(asked["redirect_uri"]).hostname == "127.0.0.1"
    assert len(asked["state"]) > 40


def test_who_does_not_know_the_state_cannot_end_a_login(tmp_path: Path, server: WebServer) -> None:
    refused: list[int] = []

    def browser(url: str) -> None:
        asked = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
        for target in ("?code=mine&state=guessed", "?code=mine", "other?code=mine&state=" + asked["state"]):
            try:
                urllib.request.urlopen(asked["redirect_uri"] + target)
            except urllib.error.HTTPError as e:
                refused.append(e.code)
        agree(url)

    log_in(tmp_path, server.url, browser)
    assert refused == [404, 404, 404]
    assert [r.form["code"] for r in server.requests if r.path == "/token"] == ["the-code"]


def test_a_person_who_refuses_is_told_so(tmp_path: Path) -> None:
    def refuse(request: Seen) -> Reply:
        back = urlencode({"error": "access_denied", "state": request.query["state"]})
        return Reply(302, headers={"Location": f"{request.query['redirect_uri']}?{back}"})

    with web_server(refuse) as server, pytest.raises(AuthError, match="access was not granted: access_denied"):
        log_in(tmp_path, server.url, agree)
    assert not (tmp_path / "tokens" / "shop.json").exists()


def test_a_provider_without_a_login_says_how_it_authenticates(tmp_path: Path) -> None:
    openai = Catalog(environ={}).provider("openai")
    with pytest.raises(InterfaceError, match="openai has no login for people") as caught:
        commands.log_in(openai, "", print, by_device=False)
    assert "bearer" in caught.value.reason


def test_without_a_login_a_statement_says_how_to_get_one(tmp_path: Path, server: WebServer) -> None:
    with connect(tmp_path, server.url, AUTH, {}) as conn, pytest.raises(InterfaceError, match="nobody is") as caught:
        conn.execute(LIST)
    assert caught.value.remedy == "Log in: apiql login shop"


# --- the flows alone ----------------------------------------------------------------------------

MODEL = manifest.RefreshToken(
    type="oauth2_refresh_token",
    token_url="https://shop.example/token",
    client_id="cli",
    env="R",
    login=manifest.Login(authorization_url="https://shop.example/a?tenant=7", device_url="https://shop.example/d"),
)
GIVEN = Given("shop", {}, "https://shop.example/v1", 1000.0)
CODES = {"device_code": "dev", "user_code": "AB", "verification_uri": "https://shop.example/d", "interval": 3}
GRANTED = {"access_token": "t", "refresh_token": "r", "expires_in": 60}


def response(status: int, body: Any) -> Response:
    content = json.dumps(body).encode()
    return Response(status, (("Content-Type", "application/json"),), content, len(content))


def played(flow: Flow, *answers: Response) -> tuple[Token, list[object]]:
    """A flow run to its end with these answers, and what it asked for besides secrets and requests."""
    waiting = list(answers)
    steps: list[object] = []
    answer: Response | None = None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as end:
            return end.value, steps
        answer = waiting.pop(0) if isinstance(step, Request) else None
        if isinstance(step, Pause | Prompt):
            steps.append(step)


def test_a_device_polls_at_the_pace_that_it_is_told() -> None:
    pending, slower = response(400, {"error": "authorization_pending"}), response(400, {"error": "slow_down"})
    answers = (response(200, CODES), pending, slower, pending, response(200, GRANTED))
    token, steps = played(device(MODEL, GIVEN), *answers)
    assert token.secret == Secret("t")
    assert steps == [Prompt("https://shop.example/d", "AB"), Pause(3.0), Pause(3.0), Pause(8.0), Pause(8.0)]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([(200, {})], "handed out no token"),
        ([(200, {**CODES, "verification_uri": "javascript:alert(1)"})], "handed out no token"),
        ([(200, {**CODES, "user_code": 7})], "handed out no token"),
        ([(200, CODES), (400, {"error": "expired_token"})], "expired_token"),
        ([(200, CODES), (400, {"error": "access_denied"})], "access_denied"),
        ([(200, {**CODES, "expires_in": 5}), *[(400, {"error": "authorization_pending"})] * 2], "nobody logged in"),
        ([(200, CODES), (200, {"access_token": "t"})], "cannot be renewed"),
    ],
)
def test_a_device_s_login_that_comes_to_nothing_is_an_error(answers: list[tuple[int, Any]], words: str) -> None:
    with pytest.raises(AuthError, match=words):
        played(device(MODEL, GIVEN), *(response(*a) for a in answers))


@pytest.mark.parametrize("interval", [0, -1, 1e9, "soon", None, True])
def test_a_device_neither_hammers_nor_waits_for_ever(interval: object) -> None:
    _, steps = played(device(MODEL, GIVEN), response(200, {**CODES, "interval": interval}), response(200, GRANTED))
    (pause,) = (s for s in steps if isinstance(s, Pause))
    assert 1.0 <= pause.seconds <= 60.0


def test_an_authorization_s_url_keeps_what_the_page_s_own_has() -> None:
    url = Authorization(MODEL, "http://127.0.0.1:1/", Secret("s")).url(GIVEN)
    assert url.startswith("https://shop.example/a?tenant=7&response_type=code&")


@pytest.mark.parametrize(
    ("ways", "begin"),
    [
        (manifest.Login(device_url="/d"), lambda m: Authorization(m, "http://127.0.0.1:1/", Secret("s")).url(GIVEN)),
        (manifest.Login(authorization_url="/a"), lambda m: played(device(m, GIVEN))),
    ],
)
def test_a_way_that_the_provider_does_not_have_is_an_error(ways: manifest.Login, begin: Callable[[Any], Any]) -> None:
    with pytest.raises(InterfaceError, match="shop has no login"):
        begin(MODEL.model_copy(update={"login": ways}))


def test_a_variable_s_value_is_not_shown_by_what_a_flow_starts_from() -> None:
    assert "s3cret" not in repr(Given("shop", {"A": Found(Secret("s3cret"))}, "https://x", 0.0))
