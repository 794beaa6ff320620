"""One search for secrets: a session goes through every way out, and then all bytes that were written are looked at."""

from __future__ import annotations

import io
import json
import shlex
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import provider
from provider.emulator.chaos import FAULTS, Chaos, at
from provider.interfaces.cli import cli
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.output import FORMATS
from provider.rest.auth.redaction import spellings
from provider.rest.auth.secret import Secret
from tests.rest.shop import LIST, connect
from tests.rest.webserver import Reply, Seen, WebServer, web_server

#: Nothing else looks like these; each has characters that URLs, JSON and base64 write in another way.
TOKEN, USER, PASSWORD = "tok/en+S3CR3T=%7e", "ada.lovelace", "pa$$/w0rd+S3CR3T"
CLIENT_SECRET, FETCHED = "cl1ent/S3CR3T+x", "f3tched.S3CR3T-token"
REFRESH, NEXT_REFRESH, SIGNING = "refr/esh+S3CR3T", "n3xt/refresh+S3CR3T", "s1gning/S3CR3T+of-32-bytes-or-more"
SECRETS = (TOKEN, PASSWORD, CLIENT_SECRET, FETCHED, f"{USER}:{PASSWORD}", REFRESH, NEXT_REFRESH, SIGNING)

SCHEMES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "bearer": ("{type: bearer, env: SHOP_KEY}", {"SHOP_KEY": TOKEN}),
    "query": ("{type: api_key, query: k, env: SHOP_KEY}", {"SHOP_KEY": TOKEN}),
    "cookie": ("{type: api_key, cookie: sid, env: SHOP_KEY}", {"SHOP_KEY": TOKEN}),
    "basic": (
        "{type: basic, username_env: SHOP_USER, password_env: SHOP_PASSWORD}",
        {"SHOP_USER": USER, "SHOP_PASSWORD": PASSWORD},
    ),
    "oauth": (
        "{type: oauth2_client_credentials, token_url: /token, client_id: app, client_secret_env: SHOP_SECRET}",
        {"SHOP_SECRET": CLIENT_SECRET},
    ),
    "refresh": (
        "{type: oauth2_refresh_token, token_url: /token, client_id: app, env: SHOP_REFRESH}",
        {"SHOP_REFRESH": REFRESH},
    ),
    "session": (
        "{type: session, http: POST /token, env_body: {name: SHOP_USER, word: SHOP_PASSWORD}, token: $.access_token}",
        {"SHOP_USER": USER, "SHOP_PASSWORD": PASSWORD},
    ),
    "session cookie": (
        "{type: session, http: POST /token, encoding: form, env_body: {password: SHOP_PASSWORD}, cookie: sid}",
        {"SHOP_PASSWORD": PASSWORD},
    ),
    "signed token": (
        "{type: oauth2_jwt_bearer, token_url: /token, assertion: {algorithm: HS256, key_env: SHOP_KEY}}",
        {"SHOP_KEY": SIGNING},
    ),
    "aws": (
        "{type: aws_sigv4, service: execute-api, region: eu-west-1}",
        {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SIGNING, "AWS_SESSION_TOKEN": TOKEN},
    ),
    "command": ("{type: bearer, env: SHOP_KEY}", {"SHOP_KEY_COMMAND": f"printf %s {shlex.quote(TOKEN)}"}),
}
GET = "SELECT state FROM shop.sales.orders WHERE order_id = '{}'"
WRITE = "INSERT INTO shop.sales.orders (state) VALUES ('{}')"


def echo(request: Seen) -> Reply:
    """An API that quotes what it was asked with, in good answers and in errors."""
    if request.path == "/token":
        token = {"access_token": FETCHED, "expires_in": 3600, "refresh_token": NEXT_REFRESH}
        return Reply(body=token, headers={"Set-Cookie": f"sid={quote(FETCHED)}; Path=/"})
    quoted = ("authorization", "cookie", "x-amz-security-token")
    sent = {"target": request.target, **{n: request.headers.get(n, "") for n in quoted}}
    said, headers = json.dumps(sent), {"X-Request-Echo": request.headers.get("authorization", "") or request.target}
    last = request.path.rpartition("/")[2]
    if last.isdigit():
        return Reply(int(last), {"error": said}, headers)
    if request.method == "POST" and b"bad" in request.body:
        return Reply(500, {"error": said}, headers)
    if request.path == "/orders" and request.method == "GET":
        return Reply(body={"data": [{"id": "o1", "state": "open"}]}, headers=headers)
    if last in BENT:
        return Reply(body=BENT[last](said), headers=headers)
    return Reply(body={"id": "o1", "state": "open"}, headers=headers)


#: Answers of another form than the manifest declares, around what the API quotes.
BENT: Mapping[str, Callable[[str], Any]] = {
    "key": lambda said: {said: 1},
    "value": lambda said: {"id": "o1", "state": {"said": json.loads(said)}},
    "list": lambda said: [said],
    "page": lambda said: {"data": json.loads(said)},
    "text": lambda said: f"{said} is no JSON".encode(),
}


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(echo) as running:
        yield running


def leaks(written: bytes) -> list[str]:
    """The spellings of secrets in what was written."""
    return [form for form in spellings(map(Secret, SECRETS)) if form.encode() in written]


def files(folder: Path) -> bytes:
    """Everything below a folder, names included; not the token files, which are there to hold secrets."""
    found = [p for p in folder.rglob("*") if p.is_file() and "tokens" not in p.parts]
    return b"\n".join(bytes(p.relative_to(folder)) + p.read_bytes() for p in found)


def shown(error: BaseException) -> str:
    """An error as a careless program shows it: with the local variables of all frames but the test's own."""
    error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ is not None else None
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format()) + repr(error) + repr(getattr(error, "__dict__", ""))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_secret_is_in_anything_that_a_connection_gives(tmp_path: Path, server: WebServer, scheme: str) -> None:
    auth, environ = SCHEMES[scheme]
    out = io.StringIO()
    spans = TracerProvider()
    spans.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
    told: list[object] = []
    with connect(
        tmp_path,
        server.url,
        auth,
        environ,
        database=tmp_path / "kept.duckdb",
        resume=tmp_path / "journal",
        har=tmp_path / "session.har",
        record=tmp_path / "cassette.har",
        tracing=provider.Tracing(spans, propagate=True),
        trace=told.append,
        wire=told.append,
        progress=told.append,
        retries=0,
    ) as conn:
        conn.execute("SET cache = '1h'")
        cursor = conn.execute(LIST)
        print(cursor.fetchall(), repr(cursor), repr(conn), repr(cursor.report), vars(cursor), file=out)
        conn.execute(f"CREATE TABLE kept AS {LIST}; CREATE VIEW seen AS {LIST}")
        conn.execute(WRITE.format("new"))
        print(conn.explain(LIST), conn.dry_run(WRITE.format("new")), file=out)
        print(conn.execute(f"EXPLAIN ANALYZE {LIST}").fetchall(), file=out)
        for name in ("requests", "writes"):
            print(conn.execute(f"SELECT * FROM apiql.last_{name}").fetchall(), file=out)
        failing = [GET.format(asked) for asked in (401, 403, 404, 409, 429, 500, *BENT)] + [WRITE.format("bad")]
        for sql in failing:
            with pytest.raises(provider.Error) as raised:
                conn.execute(sql)
            print(raised.value, shown(raised.value), file=out)
            print(conn.execute("SELECT * FROM apiql.last_requests").fetchall(), file=out)
        print(conn.execute("FROM apiql.last_writes").fetchall(), conn.execute("SHOW SETTINGS").fetchall(), file=out)
    print(told, file=out)
    assert len(server.requests) > 8
    assert any(leaks(json.dumps([r.target, dict(r.headers)]).encode()) for r in server.requests)  # they were sent
    assert leaks(out.getvalue().encode()) == []
    assert leaks(files(tmp_path)) == []
    for name in ("kept.duckdb", "journal", "session.har", "cassette.har"):
        assert (tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT state FROM shop.sales.orders WHERE order_id = '{}'",
        "SELECT id FROM shop.sales.orders WHERE state = '{}'",
        "CREATE TABLE kept AS SELECT state FROM shop.sales.orders WHERE order_id = '{}'",
        "INSERT INTO kept SELECT state FROM shop.sales.orders WHERE order_id = '{}'",
        "INSERT INTO shop.sales.orders (state) SELECT id FROM shop.sales.orders WHERE state = '{}'",
        "UPDATE shop.sales.orders SET state = '{}' WHERE order_id = 'o1'",
    ],
)
def test_a_secret_that_a_statement_spells_out_is_in_no_plan(tmp_path: Path, server: WebServer, sql: str) -> None:
    token = "tok-S3CR3T-en"
    with connect(tmp_path, server.url, "{type: bearer, env: SHOP_KEY}", {"SHOP_KEY": token}) as conn:
        conn.execute("CREATE TABLE kept (state VARCHAR)")
        said = conn.explain(sql.format(token))
        said += str(conn.execute(f"EXPLAIN (FORMAT JSON) {sql.format(token)}").fetchall())
    assert said.count("***") >= 2
    assert token not in said
    assert server.requests == []


Run = Callable[..., tuple[str, str]]


@pytest.fixture
def apiql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `apiql query` in this process; what it writes to stdout and stderr."""
    monkeypatch.setenv("APIQL_TOKENS", str(tmp_path / "tokens"))

    def run(*arguments: str) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        diagnostics = Diagnostics(err, {})
        given = ("--debug", "query", "--manifests", str(tmp_path / "shop.yaml"), *arguments)
        with redirect_stdout(out):
            diagnostics.exit_code(lambda: cli.main(given, prog_name="apiql", obj=diagnostics, standalone_mode=False))
        return out.getvalue(), err.getvalue()

    return run


@pytest.mark.parametrize("scheme", ["bearer", "query", "basic", "oauth"])
def test_no_secret_is_in_anything_that_the_command_writes(
    tmp_path: Path, server: WebServer, apiql: Run, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth, environ = SCHEMES[scheme]
    connect(tmp_path, server.url, auth, environ).close()  # writes the manifest
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    written = [apiql(LIST, "-o", form, "-vv") for form in FORMATS]
    written += [apiql(f"EXPLAIN {LIST}", "-v"), apiql(WRITE.format("new"), "--dry-run")]
    written += [apiql(GET.format(status), "-vv") for status in (401, 404)]
    written.append(apiql(WRITE.format("bad"), "-vv", "--har", str(tmp_path / "s.har"), "--resume", str(tmp_path / "j")))
    assert "o1" in written[0][0]
    assert "> GET " in written[0][1]
    assert "-> 401" in "".join(err for _, err in written)
    assert leaks(repr(written).encode()) == []
    assert leaks(files(tmp_path)) == []


@pytest.mark.parametrize("fault", ["foreign redirect", "foreign links"])
def test_another_origin_gets_nothing(tmp_path: Path, emulator: Any, fault: str) -> None:
    out = io.StringIO()
    with Chaos(emulator.base_url, at(1, FAULTS[fault])) as chaos:
        with provider.connect(
            base_urls={"openai": chaos.base_url},
            environ={"OPENAI_API_KEY": TOKEN},
            har=tmp_path / "session.har",
            trace=lambda exchange: print(exchange, file=out),
        ) as conn:
            try:
                conn.execute("SELECT id FROM openai.assistants.assistants").fetchall()
            except provider.Error as e:
                print(shown(e), file=out)
        assert chaos.astray == []
        assert len(chaos.received) >= 1
    assert leaks(out.getvalue().encode()) == []
    assert leaks(files(tmp_path)) == []
