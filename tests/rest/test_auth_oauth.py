"""Tokens that are fetched: OAuth 2 grants and login calls, against endpoints that behave and endpoints that do not."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provider.catalog import credentials as manifest
from provider.errors import ApiError, AuthError, InterfaceError, OperationalError, TransportError
from provider.rest.auth.credentials import Credentials
from provider.rest.auth.oauth import ClientCredentials
from provider.rest.transport import Request, Response
from tests.rest.shop import LIST, connect, orders
from tests.rest.webserver import Reply, Seen, WebServer, web_server

CLIENT = "{type: oauth2_client_credentials, token_url: /token, client_id_env: ID, client_secret_env: SECRET}"
REFRESH = "{type: oauth2_refresh_token, token_url: /token, client_id: app, env: SHOP_REFRESH}"
ENVIRON = {"ID": "my app", "SECRET": "s3cret/of+app"}


class Guarded:
    """The shop behind tokens: `/token` hands out `token-1`, `token-2`, ...; only those in `good` are let in."""

    def __init__(self, token: Callable[[Seen, int], Reply] | None = None) -> None:
        self.issued = 0
        self.good: set[str] = set()
        self._token = token or (lambda r, n: Reply(body={"access_token": f"token-{n}", "expires_in": 3600}))
        self._lock = threading.Lock()

    def __call__(self, request: Seen) -> Reply:
        with self._lock:
            if request.path == "/token":
                self.issued += 1
                self.good = {f"token-{self.issued}"}
                return self._token(request, self.issued)
            if request.bearer not in self.good:
                return Reply(401, {"error": f"no entry with {request.bearer}"})
            return orders(request)


@pytest.fixture
def shop() -> Guarded:
    return Guarded()


@pytest.fixture
def server(shop: Guarded) -> Iterator[WebServer]:
    with web_server(shop) as running:
        yield running


# --- client credentials -------------------------------------------------------------------------


def test_a_program_s_token_is_fetched_once_and_used_for_all_requests(tmp_path: Path, server: WebServer) -> None:
    with connect(tmp_path, server.url, CLIENT, ENVIRON) as conn:
        assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]
        cursor = conn.execute("SELECT id FROM shop.sales.orders WHERE order_id IN ('a', 'b', 'c')")
        assert len(cursor.fetchall()) == 3
    assert server.paths()[0] == "/token"
    assert server.paths().count("/token") == 1
    asked = server.requests[0]
    # RFC 6749, section 2.3.1: both parts are encoded as in a form.
    assert base64.b64decode(asked.headers["authorization"].split()[1]) == b"my+app:s3cret%2Fof%2Bapp"
    assert asked.form == {"grant_type": "client_credentials"}


def test_a_client_may_identify_itself_in_the_body_and_ask_for_scopes(tmp_path: Path, server: WebServer) -> None:
    more = ", client_auth: body, scopes: [read, write], parameters: {audience: 'https://shop.example'}}"
    with connect(tmp_path, server.url, CLIENT[:-1] + more, ENVIRON) as conn:
        conn.execute(LIST)
    assert "authorization" not in server.requests[0].headers
    assert server.requests[0].form == {
        "grant_type": "client_credentials",
        "client_id": "my app",
        "client_secret": "s3cret/of+app",
        "scope": "read write",
        "audience": "https://shop.example",
    }


def test_requests_to_a_token_endpoint_are_reported_without_their_body(tmp_path: Path, server: WebServer) -> None:
    shown: list[Any] = []
    with connect(tmp_path, server.url, CLIENT, ENVIRON, trace=shown.append) as conn:
        cursor = conn.execute(LIST)
        assert cursor.report.requests == 2
    assert [(e.method, str(e.call)) for e in shown] == [("authenticate", "POST /token"), ("list_orders", "GET /orders")]
    assert "s3cret" not in repr(shown)


def test_sixty_four_refused_requests_fetch_one_new_token(tmp_path: Path) -> None:
    """The first 64 requests with the first token all wait until all of them are there, and are refused."""
    shop = Guarded()
    together = threading.Barrier(64)

    def answer(request: Seen) -> Reply:
        if request.bearer == "token-1" and request.path != "/token":
            together.wait(10)
            return Reply(401, {"error": "expired"})
        return shop(request)

    keys = ", ".join(f"'k{i}'" for i in range(64))
    with web_server(answer) as server, connect(tmp_path, server.url, CLIENT, ENVIRON, max_concurrency=64) as conn:
        cursor = conn.execute(f"SELECT count(*) FROM shop.sales.orders WHERE order_id IN ({keys})")
        assert cursor.fetchone() == (64,)
        assert server.paths().count("/token") == 2
        assert len(server.requests) == 2 + 64 + 64


def test_sixty_four_refused_requests_share_one_failed_renewal(tmp_path: Path) -> None:
    together = threading.Barrier(64)

    def token(request: Seen, n: int) -> Reply:
        if n > 1:
            return Reply(400, {"error": "invalid_client", "error_description": "revoked"})
        return Reply(body={"access_token": "token-1"})

    shop = Guarded(token)

    def answer(request: Seen) -> Reply:
        if request.path != "/token":
            together.wait(10)
            return Reply(401)
        return shop(request)

    keys = ", ".join(f"'k{i}'" for i in range(64))
    with web_server(answer) as server, connect(tmp_path, server.url, CLIENT, ENVIRON, max_concurrency=64) as conn:
        with pytest.raises(AuthError, match="invalid_client"):
            conn.execute(f"SELECT count(*) FROM shop.sales.orders WHERE order_id IN ({keys})")
        assert server.paths().count("/token") == 2


def test_a_refused_write_is_repeated_with_the_new_token(tmp_path: Path, shop: Guarded, server: WebServer) -> None:
    with connect(tmp_path, server.url, CLIENT, ENVIRON) as conn:
        conn.execute(LIST)
        shop.good.clear()
        conn.execute("INSERT INTO shop.sales.orders (state) VALUES ('open')")
    assert server.paths() == ["/token", "/orders", "/orders", "/token", "/orders"]
    assert [r.bearer for r in server.requests if r.method == "POST" and r.path == "/orders"] == ["token-1", "token-2"]


def test_a_second_refusal_is_an_error_with_a_remedy(tmp_path: Path, shop: Guarded) -> None:
    def answer(request: Seen) -> Reply:
        return shop(request) if request.path == "/token" else Reply(401, {"error": f"no {request.bearer}"})

    with web_server(answer) as server, connect(tmp_path, server.url, CLIENT, ENVIRON) as conn:
        with pytest.raises(AuthError) as caught:
            conn.execute(LIST)
        assert server.paths() == ["/token", "/orders", "/token", "/orders"]
    assert caught.value.remedy == "Check ID and SECRET."
    assert "token-2" not in str(caught.value)


@pytest.mark.parametrize("expires_in", [0.1, "0.1"])
def test_a_token_is_renewed_before_it_expires(tmp_path: Path, expires_in: object) -> None:
    shop = Guarded(lambda r, n: Reply(body={"access_token": f"token-{n}", "expires_in": expires_in}))
    with web_server(shop) as server, connect(tmp_path, server.url, CLIENT, ENVIRON) as conn:
        conn.execute(LIST)
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            pass
        conn.execute(LIST)
        assert server.paths() == ["/token", "/orders", "/token", "/orders"]


@pytest.mark.parametrize("expires_in", [0, -5, None, "soon", 1e400, [], True, "nan"])
def test_a_lifetime_that_makes_no_sense_means_until_it_is_refused(tmp_path: Path, expires_in: object) -> None:
    shop = Guarded(lambda r, n: Reply(body={"access_token": f"token-{n}", "expires_in": expires_in}))
    with web_server(shop) as server, connect(tmp_path, server.url, CLIENT, ENVIRON) as conn:
        conn.execute(LIST)
        conn.execute(LIST)
        assert server.paths() == ["/token", "/orders", "/orders"]


# --- endpoints that do not behave ---------------------------------------------------------------

PAGE = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(body=b"<html>Sign in</html>", headers=PAGE), "no JSON object \\(text/html\\)"),
        (Reply(body=b""), "no JSON object"),
        (Reply(body=["access_token"]), "no JSON object"),
        (Reply(body=b"[" * 100_000), "no JSON object"),
        (Reply(body={"token_type": "bearer"}), "no text at \\$.access_token"),
        (Reply(body={"access_token": 7}), "no text at \\$.access_token"),
        (Reply(body={"access_token": {"a": "b"}}), "no text at \\$.access_token"),
        (Reply(body={"access_token": ""}), "no text at \\$.access_token"),
        (Reply(body={"access_token": "a\r\nX-Other: b"}), "cannot stand in an HTTP header"),
        (Reply(body={"access_token": "schlüssel"}), "cannot stand in an HTTP header"),
        (
            Reply(body={"error": "invalid_client", "error_description": "no such app"}),
            "handed out no token: invalid_cl",
        ),
        (Reply(400, {"error": "invalid_client"}), "handed out no token: invalid_client"),
        (Reply(403, b"<html>", PAGE), "handed out no token: 403"),
        (Reply(302, headers={"Location": "http://127.0.0.1:1/token"}), "credentials are not sent on"),
    ],
)
def test_an_endpoint_that_hands_out_no_token_is_an_error(tmp_path: Path, reply: Reply, reason: str) -> None:
    with web_server(lambda r: reply) as server, connect(tmp_path, server.url, CLIENT, ENVIRON) as conn:
        with pytest.raises(AuthError, match=reason) as caught:
            conn.execute(LIST)
        assert server.paths() == ["/token"]
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert "<html>" not in str(caught.value)


def test_what_an_endpoint_says_is_redacted(tmp_path: Path) -> None:
    def answer(request: Seen) -> Reply:
        words = f"{request.headers['authorization']} is wrong, s3cret/of+app too"
        return Reply(401, {"error": "invalid_client", "error_description": words})

    with (
        web_server(answer) as server,
        connect(tmp_path, server.url, CLIENT, ENVIRON) as conn,
        pytest.raises(AuthError, match="is wrong") as caught,
    ):
        conn.execute(LIST)
    assert caught.value.detail == "Basic *** is wrong, *** too"


def test_a_huge_answer_is_not_read_to_its_end(tmp_path: Path) -> None:
    huge = b'{"access_token": "' + b"x" * 2**21 + b'"}'
    with (
        web_server(lambda r: Reply(body=huge)) as server,
        connect(tmp_path, server.url, CLIENT, ENVIRON) as conn,
        pytest.raises(TransportError, match="larger than"),
    ):
        conn.execute(LIST)


def test_an_endpoint_that_drips_is_not_waited_for_ever() -> None:
    async def never(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def sign() -> None:
        model = manifest.ClientCredentials(
            type="oauth2_client_credentials", token_url="/token", client_id="app", client_secret_env="SECRET"
        )
        shop = Credentials(
            "shop", ClientCredentials(model), ENVIRON, {}, lambda: "https://shop.example", never, patience=0.05
        )
        await shop.sign(Request("GET", "https://shop.example/orders"))

    with pytest.raises(TransportError, match=r"POST https://shop.example.*: no whole answer within 0\.05 s"):
        asyncio.run(sign())


def test_who_gives_up_leaves_the_renewal_to_the_others_and_the_last_one_ends_it() -> None:
    under_way: set[str] = set()

    async def never(request: Request) -> Response:
        under_way.add(request.url)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            under_way.remove(request.url)
        raise AssertionError("unreachable")

    async def sign() -> None:
        model = manifest.ClientCredentials(
            type="oauth2_client_credentials", token_url="/token", client_id="app", client_secret_env="SECRET"
        )
        shop = Credentials("shop", ClientCredentials(model), ENVIRON, {}, lambda: "https://shop.example", never)
        request = Request("GET", "https://shop.example/orders")
        first, second = (asyncio.create_task(shop.sign(request)) for _ in range(2))
        while not under_way:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert under_way
        second.cancel()
        await asyncio.wait([second])
        assert not under_way
        assert asyncio.all_tasks() == {asyncio.current_task()}
        # Whoever comes afterwards begins anew.
        third = asyncio.create_task(shop.sign(request))
        while not under_way:
            await asyncio.sleep(0)
        third.cancel()
        await asyncio.wait([third])

    asyncio.run(sign())


def test_an_endpoint_that_fails_is_no_refusal_of_the_credentials(tmp_path: Path) -> None:
    with (
        web_server(lambda r: Reply(500)) as server,
        connect(tmp_path, server.url, CLIENT, ENVIRON) as conn,
        pytest.raises(ApiError, match=r"POST .*/token answered 500") as caught,
    ):
        conn.execute(LIST)
    assert not isinstance(caught.value, AuthError)


def test_an_endpoint_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    shop = Guarded(lambda r, n: Reply(503) if n == 1 else Reply(body={"access_token": f"token-{n}"}))
    with web_server(shop) as server, connect(tmp_path, server.url, CLIENT, ENVIRON) as conn:
        conn.execute(LIST)
        assert server.paths() == ["/token", "/token", "/orders"]


def test_a_client_s_secret_does_not_travel_in_clear_to_another_machine(tmp_path: Path, server: WebServer) -> None:
    auth = CLIENT.replace("/token", "'http://login.example/token'")
    with connect(tmp_path, server.url, auth, ENVIRON) as conn, pytest.raises(TransportError, match="refused"):
        conn.execute(LIST)


# --- refresh tokens -----------------------------------------------------------------------------


class Rotating:
    """A token endpoint whose refresh tokens are good for one use; a used one ends the whole family."""

    def __init__(self) -> None:
        self.current: str | None = "refresh-0"
        self.access = ""
        self.replayed = False
        self._lock = threading.Lock()
        self._count = 0

    def __call__(self, request: Seen) -> Reply:
        with self._lock:
            if request.path != "/token":
                return orders(request) if request.bearer == self.access else Reply(401, {"error": "expired"})
            if request.form["refresh_token"] != self.current:
                self.replayed, self.current = True, None
                return Reply(400, {"error": "invalid_grant"})
            self._count += 1
            self.current, self.access = f"refresh-{self._count}", f"token-{self._count}"
            return Reply(body={"access_token": self.access, "refresh_token": self.current, "expires_in": 3600})


def test_a_new_refresh_token_is_written_back_for_its_owner_only(tmp_path: Path) -> None:
    rotating = Rotating()
    file = tmp_path / "refresh"
    file.write_text("refresh-0\n")
    file.chmod(0o644)
    environ = {"SHOP_REFRESH_FILE": str(file)}
    with web_server(rotating) as server:
        with connect(tmp_path, server.url, REFRESH, environ) as conn:
            conn.execute(LIST)
        assert server.requests[0].form == {
            "grant_type": "refresh_token", "refresh_token": "refresh-0", "client_id": "app",
        }  # fmt: skip
        kept = json.loads(file.read_text())
        assert (kept["refresh_token"], kept["access_token"]) == ("refresh-1", "token-1")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
        with connect(tmp_path, server.url, REFRESH, environ) as conn:
            conn.execute(LIST)
        # The second connection found an access token that is still good.
        assert server.paths().count("/token") == 1


def test_a_refresh_token_of_the_environment_lives_on_in_a_token_file(tmp_path: Path) -> None:
    rotating = Rotating()
    with web_server(rotating) as server:
        for _ in range(3):
            rotating.access = "revoked"
            with connect(tmp_path, server.url, REFRESH, {"SHOP_REFRESH": "refresh-0"}) as conn:
                conn.execute(LIST)
        assert not rotating.replayed
        assert json.loads((tmp_path / "tokens" / "shop.json").read_text())["refresh_token"] == "refresh-3"
        assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o700
        # Another one in the environment wins over what the first one led to.
        rotating.current = "refresh-by-hand"
        rotating.access = "revoked"
        with connect(tmp_path, server.url, REFRESH, {"SHOP_REFRESH": "refresh-by-hand"}) as conn:
            conn.execute(LIST)
        assert not rotating.replayed


_PROCESS = """
import sys, pathlib
sys.path.insert(0, {root!r})
from tests.rest.shop import LIST
import provider
with provider.connect(manifests=[{manifest!r}], environ={environ!r}) as conn:
    print("ready", flush=True)
    for line in sys.stdin:
        print(len(conn.execute(LIST).fetchall()), flush=True)
"""


def test_two_processes_do_not_burn_each_other_s_token(tmp_path: Path) -> None:
    rotating = Rotating()
    file = tmp_path / "refresh"
    file.write_text("refresh-0")
    environ = {"SHOP_REFRESH_FILE": str(file)}
    root = str(Path(__file__).parents[2])
    with web_server(rotating) as server:
        connect(tmp_path, server.url, REFRESH, environ).close()
        code = _PROCESS.format(root=root, manifest=str(tmp_path / "shop.yaml"), environ=environ)
        processes = [
            subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for _ in range(5):
                rotating.access = "revoked"
                for process in processes:
                    assert process.stdin is not None
                    process.stdin.write("go\n")
                    process.stdin.flush()
                assert [p.stdout.readline() for p in processes if p.stdout] == ["2\n", "2\n"]
        finally:
            for process in processes:
                process.communicate(timeout=20)
    assert not rotating.replayed
    assert json.loads(file.read_text())["refresh_token"] == rotating.current


def test_a_refused_refresh_token_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with (
        web_server(Rotating()) as server,
        connect(tmp_path, server.url, REFRESH, {"SHOP_REFRESH": "refresh-gone"}) as conn,
        pytest.raises(AuthError, match="invalid_grant") as caught,
    ):
        conn.execute(LIST)
    assert caught.value.remedy == "Get a new refresh token and set SHOP_REFRESH."
    assert "refresh-gone" not in str(caught.value)


def test_nothing_is_asked_where_the_new_token_could_not_be_saved(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with web_server(Rotating()) as server:
        environ = {"SHOP_REFRESH": "refresh-0", "APIQL_TOKENS": str(blocked / "tokens")}
        with (
            connect(tmp_path, server.url, REFRESH, environ) as conn,
            pytest.raises(InterfaceError, match="cannot be written"),
        ):
            conn.execute(LIST)
        assert server.requests == []


@pytest.mark.parametrize(
    "content", ["{}", '{"refresh_token": 7}', "{broken", '{"refresh_token": "r", "access_token": 1}']
)
def test_a_file_that_is_no_token_file_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "refresh").write_text(content)
    with (
        web_server(Rotating()) as server,
        connect(tmp_path, server.url, REFRESH, {"SHOP_REFRESH_FILE": str(tmp_path / "refresh")}) as conn,
        pytest.raises(InterfaceError, match="is no token file"),
    ):
        conn.execute(LIST)


def test_a_link_to_a_token_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("refresh-0")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with (
        web_server(Rotating()) as server,
        connect(tmp_path, server.url, REFRESH, {"SHOP_REFRESH_FILE": str(tmp_path / "link")}) as conn,
    ):
        conn.execute(LIST)
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "real").read_text())["refresh_token"] == "refresh-1"


# --- sessions -----------------------------------------------------------------------------------

SESSION = "{type: session, http: POST /login, body: {client: apiql}, env_body: {user: U, password: P}, "
LOGIN = {"U": "ada", "P": "pass-word"}


class Sessions:
    """The shop behind a login, which answers with a token and a cookie."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, request: Seen) -> Reply:
        if request.path == "/login":
            if request.body not in (
                b'{"client": "apiql", "user": "ada", "password": "pass-word"}',
                b"client=apiql&user=ada&password=pass-word",
            ):
                return Reply(403, {"error": "wrong password"})
            self.number += 1
            cookie = f"sid=session-{self.number}; Path=/; HttpOnly; Max-Age=3600"
            return Reply(302, {"data": {"key": f"session-{self.number}"}}, {"Set-Cookie": cookie, "Location": "/"})
        wanted = f"session-{self.number}"
        given = (request.headers.get("x-session"), request.headers.get("cookie"))
        return orders(request) if wanted == given[0] or f"sid={wanted}" == given[1] else Reply(401)


def test_a_session_s_token_stands_in_its_header(tmp_path: Path) -> None:
    sessions = Sessions()

    def answer(request: Seen) -> Reply:
        reply = sessions(request)
        return Reply(200, reply.body) if request.path == "/login" else reply

    auth = SESSION + "token: $.data.key, header: X-Session, prefix: ''}"
    with web_server(answer) as server, connect(tmp_path, server.url, auth, LOGIN) as conn:
        conn.execute(LIST)
        conn.execute(LIST)
        assert server.paths() == ["/login", "/orders", "/orders"]
        sessions.number = 7
        conn.execute(LIST)
        assert server.paths()[3:] == ["/orders", "/login", "/orders"]


@pytest.mark.parametrize("encoding", ["json", "form"])
def test_a_session_s_cookie_comes_back(tmp_path: Path, encoding: str) -> None:
    auth = SESSION + f"encoding: {encoding}, cookie: sid}}"
    with web_server(Sessions()) as server, connect(tmp_path, server.url, auth, LOGIN) as conn:
        conn.execute(LIST)
        assert server.requests[1].headers["cookie"] == "sid=session-1"


def test_a_login_that_is_refused_is_an_error_without_the_password(tmp_path: Path) -> None:
    auth = SESSION + "cookie: sid}"
    with (
        web_server(Sessions()) as server,
        connect(tmp_path, server.url, auth, {**LOGIN, "P": "wrong-word"}) as conn,
        pytest.raises(AuthError, match="wrong password") as caught,
    ):
        conn.execute(LIST)
    assert caught.value.remedy == "Check U and P."
    assert "wrong-word" not in str(caught.value)


def test_a_login_that_sets_no_cookie_is_an_error(tmp_path: Path) -> None:
    auth = SESSION + "cookie: other}"
    with (
        web_server(Sessions()) as server,
        connect(tmp_path, server.url, auth, LOGIN) as conn,
        pytest.raises(AuthError, match="sets no cookie other"),
    ):
        conn.execute(LIST)


def test_a_statement_that_fails_to_authenticate_leaves_the_connection_usable(tmp_path: Path) -> None:
    fail = [True]
    shop = Guarded(lambda r, n: Reply(500) if fail[0] else Reply(body={"access_token": f"token-{n}"}))
    with web_server(shop) as server, connect(tmp_path, server.url, CLIENT, ENVIRON) as conn:
        with pytest.raises(OperationalError):
            conn.execute(LIST)
        fail[0] = False
        assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]
