"""Secrets that are sent as they are: where they come from, where they stand, and where they never show."""

from __future__ import annotations

import asyncio
import base64
import os
import shlex
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

import provider
from provider.errors import ApiError, AuthError, Error, InterfaceError
from provider.rest.auth import command
from provider.rest.auth.redaction import redact, spellings
from provider.rest.auth.secret import Secret
from tests.rest.shop import LIST, connect, orders
from tests.rest.webserver import Reply, Seen, WebServer, web_server

KEY = "k3y/with+odd=signs"
BEARER = "{type: bearer, env: SHOP_KEY}"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(orders) as running:
        yield running


def program(code: str) -> str:
    """A program in Python as a variable names it."""
    return shlex.join([sys.executable, "-c", code])


def request_of(tmp_path: Path, server: WebServer, auth: str, environ: Mapping[str, str]) -> Seen:
    with connect(tmp_path, server.url, auth, environ) as conn:
        assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]
    (request,) = server.requests
    return request


# --- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (BEARER, "authorization", f"Bearer {KEY}"),
        ("{type: api_key, env: SHOP_KEY, header: X-Key, prefix: 'Token '}", "x-key", f"Token {KEY}"),
        ("{type: api_key, env: SHOP_KEY, cookie: sid}", "cookie", f"sid={KEY}"),
    ],
)
def test_a_key_stands_in_its_header(tmp_path: Path, server: WebServer, auth: str, header: str, value: str) -> None:
    assert request_of(tmp_path, server, auth, {"SHOP_KEY": KEY}).headers[header] == value


def test_a_key_in_the_query_is_encoded_and_kept_out_of_the_trace(tmp_path: Path, server: WebServer) -> None:
    shown: list[str] = []
    auth = "{type: api_key, env: SHOP_KEY, query: api key}"
    with connect(tmp_path, server.url, auth, {"SHOP_KEY": KEY}, trace=lambda e: shown.append(repr(e))) as conn:
        conn.execute(LIST)
    (request,) = server.requests
    assert request.target == "/orders?api%20key=k3y%2Fwith%2Bodd%3Dsigns"
    assert request.query == {"api key": KEY}
    assert len(shown) == 1
    assert "k3y" not in shown[0]


@pytest.mark.parametrize(
    ("auth", "pair"),
    [
        ("{type: basic, username_env: SHOP_USER, password_env: SHOP_PASSWORD}", "ada:pässword"),
        ("{type: basic, username: api, password_env: SHOP_PASSWORD}", "api:pässword"),
        ("{type: basic, username_env: SHOP_PASSWORD}", "pässword:"),
    ],
)
def test_basic_sends_user_and_password_in_utf_8(tmp_path: Path, server: WebServer, auth: str, pair: str) -> None:
    sent = request_of(tmp_path, server, auth, {"SHOP_USER": "ada", "SHOP_PASSWORD": "pässword"})
    kind, _, encoded = sent.headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(encoded).decode()) == ("Basic", pair)


def test_a_colon_in_the_user_is_refused_as_it_would_end_it(tmp_path: Path, server: WebServer) -> None:
    with (
        connect(tmp_path, server.url, "{type: basic, username_env: U}", {"U": "ada:x"}) as conn,
        pytest.raises(InterfaceError, match="colon"),
    ):
        conn.execute(LIST)
    assert server.requests == []


@pytest.mark.parametrize(
    "auth", [BEARER, "{type: api_key, env: SHOP_KEY, cookie: sid}", "{type: api_key, env: SHOP_KEY, header: X-Key}"]
)
@pytest.mark.parametrize("secret", ["line\r\nX-Other: 1", "schlüssel", "bell\a"])
def test_what_could_end_a_header_is_refused_and_not_shown(
    tmp_path: Path, server: WebServer, auth: str, secret: str
) -> None:
    with (
        connect(tmp_path, server.url, auth, {"SHOP_KEY": secret}) as conn,
        pytest.raises(InterfaceError, match="cannot stand in") as caught,
    ):
        conn.execute(LIST)
    assert secret not in str(caught.value)
    assert server.requests == []


# --- sources ------------------------------------------------------------------------------------


def test_a_secret_comes_from_a_file(tmp_path: Path, server: WebServer) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert request_of(tmp_path, server, BEARER, {"SHOP_KEY_FILE": str(tmp_path / "key")}).bearer == KEY


def test_a_secret_comes_from_a_program(tmp_path: Path, server: WebServer) -> None:
    assert request_of(tmp_path, server, BEARER, {"SHOP_KEY_COMMAND": program(f"print({KEY!r})")}).bearer == KEY


def test_no_shell_reads_a_program_s_words(tmp_path: Path, server: WebServer) -> None:
    environ = {"SHOP_KEY_COMMAND": program("import sys; print(sys.argv[1])") + " '$HOME;`id`'"}
    assert request_of(tmp_path, server, BEARER, environ).bearer == "$HOME;`id`"


def test_a_program_may_say_when_its_token_expires(tmp_path: Path, server: WebServer) -> None:
    count = tmp_path / "count"
    code = f"""
import json, pathlib
count = pathlib.Path({str(count)!r})
n = len(count.read_text()) if count.exists() else 0
count.write_text("x" * (n + 1))
print(json.dumps({{"token": f"token-{{n}}", "expires_in": 0.05 if n == 0 else 3600}}))
"""
    with connect(tmp_path, server.url, BEARER, {"SHOP_KEY_COMMAND": program(code)}) as conn:
        conn.execute(LIST)
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            pass
        conn.execute(LIST)
        conn.execute(LIST)
    assert [r.bearer for r in server.requests] == ["token-0", "token-1", "token-1"]


def test_two_sources_are_an_error_that_names_both(tmp_path: Path, server: WebServer) -> None:
    environ = {"SHOP_KEY": "a-secret-value", "SHOP_KEY_FILE": "/nowhere"}
    with (
        connect(tmp_path, server.url, BEARER, environ) as conn,
        pytest.raises(InterfaceError, match="SHOP_KEY and SHOP_KEY_FILE are set; which one counts"),
    ):
        conn.execute(LIST)


def test_a_missing_secret_names_its_variable_and_the_ways_to_give_it(tmp_path: Path, server: WebServer) -> None:
    with (
        connect(tmp_path, server.url, BEARER, {"SHOP_KEY": " "}) as conn,
        pytest.raises(InterfaceError, match="no credentials for shop: SHOP_KEY is not set") as caught,
    ):
        conn.execute(LIST)
    assert "SHOP_KEY_FILE" in caught.value.remedy
    assert "SHOP_KEY_COMMAND" in caught.value.remedy


def test_a_variable_that_changes_counts_from_the_next_statement_on(tmp_path: Path, server: WebServer) -> None:
    environ = {"SHOP_KEY": "first-key"}
    with connect(tmp_path, server.url, BEARER, environ) as conn:
        conn.execute(LIST)
    os.environ["SHOP_KEY"] = "second-key"
    try:
        file = tmp_path / "shop.yaml"
        with provider.connect(manifests=[file]) as conn:
            conn.execute(LIST)
            os.environ["SHOP_KEY"] = "third-key"
            conn.execute(LIST)
    finally:
        del os.environ["SHOP_KEY"]
    assert [r.bearer for r in server.requests] == ["first-key", "second-key", "third-key"]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b"x" * 70_000, "is larger"), (b"\xff\xfe", "cannot be read")]
)
def test_a_file_that_holds_no_secret_is_an_error(
    tmp_path: Path, server: WebServer, content: bytes, reason: str
) -> None:
    (tmp_path / "key").write_bytes(content)
    with (
        connect(tmp_path, server.url, BEARER, {"SHOP_KEY_FILE": str(tmp_path / "key")}) as conn,
        pytest.raises(InterfaceError, match=f"the file of SHOP_KEY_FILE {reason}"),
    ):
        conn.execute(LIST)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; print('the-secret', file=sys.stderr); sys.exit(3)", "failed with status 3"),
        ("pass", "printed no text"),
        ("import sys; sys.stdout.buffer.write(bytes([255, 254]))", "printed no text"),
        ("while True: print('x' * 100000)", "printed more than 65,536 bytes"),
    ],
)
def test_a_program_that_prints_no_secret_is_an_error(
    tmp_path: Path, server: WebServer, code: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        connect(tmp_path, server.url, BEARER, {"SHOP_KEY_COMMAND": program(code)}) as conn,
        pytest.raises(InterfaceError, match=reason) as caught,
    ):
        conn.execute(LIST)
    assert "the-secret" not in "".join(traceback.format_exception(caught.value))
    assert "the-secret" not in "".join(capfd.readouterr())


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """Its child holds the pipe open, and would write a file if it lived on."""
    child = f"import time, pathlib; time.sleep(2); pathlib.Path({str(tmp_path / 'alive')!r}).touch()"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    started = time.monotonic()
    with pytest.raises(InterfaceError, match=r"the program of SHOP_KEY_COMMAND was not done within 0\.5 s"):
        asyncio.run(command.run("SHOP_KEY_COMMAND", [sys.executable, "-c", code], time.time, patience=0.5))
    assert time.monotonic() - started < 20
    assert not (tmp_path / "alive").exists()


def test_a_program_that_leaves_a_child_behind_is_not_waited_for_ever(tmp_path: Path) -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    code = f"import subprocess, sys; print('a-secret', flush=True); {child}"
    with pytest.raises(InterfaceError, match="was not done within"):
        asyncio.run(command.run("SHOP_KEY_COMMAND", [sys.executable, "-c", code], time.time, patience=1.0))


def test_a_program_that_does_not_exist_is_an_error(tmp_path: Path, server: WebServer) -> None:
    with (
        connect(tmp_path, server.url, BEARER, {"SHOP_KEY_COMMAND": "/no/such/program now"}) as conn,
        pytest.raises(InterfaceError, match="cannot be started"),
    ):
        conn.execute(LIST)


# --- refusals -----------------------------------------------------------------------------------


def test_a_refused_key_that_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    with web_server(lambda r: Reply(401, {"error": "bad key"})) as server:
        with (
            connect(tmp_path, server.url, BEARER, {"SHOP_KEY": "a-wrong-key"}) as conn,
            pytest.raises(AuthError, match="GET /orders answered 401") as caught,
        ):
            conn.execute(LIST)
        assert caught.value.remedy == "Check SHOP_KEY."
        assert len(server.requests) == 1


def test_a_file_that_was_renewed_is_read_again_after_a_refusal(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old-key-1")

    def answer(request: Seen) -> Reply:
        if request.bearer == "old-key-1":
            file.write_text("new-key-2")
            return Reply(401, {"error": "expired"})
        return orders(request)

    with web_server(answer) as server:
        with connect(tmp_path, server.url, BEARER, {"SHOP_KEY_FILE": str(file)}) as conn:
            assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]
        assert [r.bearer for r in server.requests] == ["old-key-1", "new-key-2"]


# --- secrecy ------------------------------------------------------------------------------------


def test_no_way_of_showing_a_secret_shows_it() -> None:
    secret = Secret(KEY)
    assert KEY not in repr(secret) + str(secret) + f"{secret}" + f"{[secret]!r}"
    assert secret.reveal() == KEY


def test_every_spelling_of_a_secret_is_redacted() -> None:
    pair = base64.b64encode(f"ada:{KEY}".encode()).decode()
    hidden = spellings([Secret(KEY), Secret(pair)])
    for form in (
        KEY,
        "k3y%2Fwith%2Bodd%3Dsigns",
        "k3y/with%2Bodd%3Dsigns",
        "k3y%2fwith%2bodd%3dsigns",
        r"k3y\/with+odd=signs",
        r"k3y/with\u002Bodd=signs",
        base64.b64encode(KEY.encode()).decode(),
        pair,
    ):
        assert redact(f"<{form}>", hidden).replace("=", "") == "<***>", form
    hidden = spellings([Secret("a<b&c'd\"e\\f")])
    for form in (
        r"a\u003cb\u0026c'd\"e\\f",
        r"a\u003Cb\u0026c\u0027d\"e\\f",
        "a&lt;b&amp;c&#x27;d&quot;e\\f",
    ):
        assert redact(form, hidden) == "***", form


@pytest.mark.parametrize(
    ("auth", "echo", "status"),
    [
        *((BEARER, lambda r: r.headers["authorization"], status) for status in (400, 401, 403, 404, 409, 429, 500)),
        ("{type: api_key, env: SHOP_KEY, query: key}", lambda r: r.target, 400),
        ("{type: basic, username: api, password_env: SHOP_KEY}", lambda r: r.headers["authorization"], 400),
    ],
)
def test_what_an_api_echoes_of_the_credentials_is_redacted(
    tmp_path: Path, auth: str, echo: object, status: int
) -> None:
    def answer(request: Seen) -> Reply:
        return Reply(status, {"error": f"bad: {echo(request)}"}, {"X-Echo": echo(request)})  # type: ignore[operator]

    with (
        web_server(answer) as server,
        connect(tmp_path, server.url, auth, {"SHOP_KEY": KEY}, retries=0) as conn,
        pytest.raises(Error) as caught,
    ):
        conn.execute(LIST)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "bad: " in str(caught.value)
    encoded = base64.b64encode(f"api:{KEY}".encode()).decode()
    for form in (KEY, "k3y%2Fwith%2Bodd%3Dsigns", encoded):
        assert form not in str(caught.value)
        assert form not in shown


def test_a_redirect_to_another_origin_gets_no_credentials(tmp_path: Path) -> None:
    with web_server(orders) as elsewhere:
        with (
            web_server(lambda r: Reply(302, headers={"Location": f"{elsewhere.url}/orders"})) as server,
            connect(tmp_path, server.url, BEARER, {"SHOP_KEY": KEY}) as conn,
            pytest.raises(ApiError, match="redirected"),
        ):
            conn.execute(LIST)
        assert elsewhere.requests == []


def test_a_redirect_within_the_origin_carries_the_key_in_the_query_once(tmp_path: Path) -> None:
    def answer(request: Seen) -> Reply:
        if request.path == "/orders":
            return Reply(307, headers={"Location": f"/v2{request.target}"})
        return orders(Seen(request.method, request.target.removeprefix("/v2"), request.headers, request.body))

    auth = "{type: api_key, env: SHOP_KEY, query: key}"
    with web_server(answer) as server, connect(tmp_path, server.url, auth, {"SHOP_KEY": KEY}) as conn:
        conn.execute(LIST)
        assert [r.target.count("key=") for r in server.requests] == [1, 1]


def test_a_next_link_that_echoes_the_key_is_followed_and_not_shown(tmp_path: Path) -> None:
    """The API names the next page with the key in it; the third page is elsewhere, and gets nothing."""

    def answer(request: Seen) -> Reply:
        assert request.query["key"] == KEY
        number = int(request.query.get("page", "1"))
        link = f"/orders?page=2&key={quote(KEY, safe='')}" if number == 1 else f"{elsewhere.url}/orders?key={KEY}"
        return Reply(body={"data": [{"id": f"o{number}"}], "next": link})

    shown: list[str] = []
    auth = "{type: api_key, env: SHOP_KEY, query: key}"
    paging = "pagination: {links: {kind: json_link, next: $.next}}"
    with web_server(orders) as elsewhere, web_server(answer) as server:
        connect(tmp_path, server.url, auth, {}, paging).close()
        file = tmp_path / "shop.yaml"
        file.write_text(file.read_text().replace("rows: $.data}", "rows: $.data, paginate: links}"))
        with provider.connect(
            manifests=[file], environ={"SHOP_KEY": KEY}, trace=lambda e: shown.append(f"{e} {e.call}")
        ) as conn:
            with pytest.raises(Error) as caught:
                conn.execute("SELECT id FROM shop.sales.orders")
            requests = conn.execute("SELECT * FROM apiql.last_requests").fetchall()
        assert [r.target.count("key=") for r in server.requests] == [1, 1]
        assert elsewhere.requests == []
    spoken = "".join(traceback.format_exception(caught.value)) + "".join(shown) + repr(requests)
    assert len(shown) == 2
    assert KEY not in spoken
    assert quote(KEY, safe="") not in spoken
