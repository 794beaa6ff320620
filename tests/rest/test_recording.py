"""Recordings: a HAR file of what went over the wire, without credentials, and its replay without a wire."""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import provider
from provider.errors import InterfaceError, OperationalError, OutcomeUnknown, Timeout, TransportError
from provider.rest import har
from provider.rest.auth.redaction import spellings
from provider.rest.auth.secret import Secret
from tests.rest.shop import LIST, connect, orders
from tests.rest.webserver import Reply, Seen, web_server

BEARER = "{type: bearer, env: SHOP_KEY}"
IN_QUERY = "{type: api_key, query: k, env: SHOP_KEY}"
CLIENT = "{type: oauth2_client_credentials, token_url: /token, client_id_env: ID, client_secret_env: SECRET}"
KEY = "open/sesame+1234"
ENVIRON = {"SHOP_KEY": KEY}
GET = "SELECT id, state FROM shop.sales.orders WHERE order_id = 'o1'"


def entries(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_bytes())["log"]["entries"]
    return found


# --- HAR ----------------------------------------------------------------------------------------


def test_a_har_file_has_requests_and_answers_with_times(tmp_path: Path) -> None:
    file = tmp_path / "session.har"
    with web_server(orders) as server, connect(tmp_path, server.url, BEARER, ENVIRON, har=file) as conn:
        conn.execute(LIST).fetchall()
        conn.execute("INSERT INTO shop.sales.orders (state) VALUES ('open')")
    document = json.loads(file.read_bytes())["log"]
    assert (document["version"], document["creator"]["name"]) == ("1.2", "apiql")
    read, written = document["entries"]
    assert (read["request"]["method"], read["request"]["url"]) == ("GET", f"{server.url}/orders")
    assert read["response"]["content"]["mimeType"] == "application/json"
    assert len(json.loads(read["response"]["content"]["text"])["data"]) == 2
    assert json.loads(written["request"]["postData"]["text"]) == {"state": "open"}
    assert (written["response"]["status"], written["response"]["statusText"]) == (201, "Created")
    assert read["time"] == pytest.approx(sum(read["timings"].values()), abs=0.01)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", read["startedDateTime"])
    required = {"startedDateTime", "time", "request", "response", "cache", "timings"}
    assert all(required <= entry.keys() for entry in document["entries"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("auth", [BEARER, IN_QUERY, "{type: api_key, cookie: sid, env: SHOP_KEY}"])
def test_a_recording_has_no_key_wherever_it_stands_or_is_echoed(tmp_path: Path, auth: str) -> None:
    def echo(request: Seen) -> Reply:
        body = {"data": [{"id": KEY, "state": request.target}]}
        return Reply(body=body, headers={"X-Echo": KEY, "Set-Cookie": f"again={KEY}"})

    file = tmp_path / "session.har"
    with web_server(echo) as server, connect(tmp_path, server.url, auth, ENVIRON, har=file) as c:
        c.execute(LIST).fetchall()
    assert not [form for form in spellings([Secret(KEY)]) if form.encode() in file.read_bytes()]
    assert len(entries(file)) == 1


@pytest.mark.parametrize(
    "written", [r"open\/sesame+1234", r"open/sesame\u002B1234", r"open/sesame\u002b1234", "open%2fsesame%2b1234"]
)
def test_a_recording_has_no_key_that_is_echoed_as_other_languages_write_it(tmp_path: Path, written: str) -> None:
    text = f'{{"data": [{{"id": "o1", "state": "{written}"}}]}}'
    file = tmp_path / "session.har"
    shop = lambda _: Reply(body=text.encode())  # noqa: E731
    with web_server(shop) as server, connect(tmp_path, server.url, BEARER, ENVIRON, har=file) as conn:
        conn.execute(LIST).fetchall()
    (entry,) = entries(file)
    assert entry["response"]["content"]["text"] == '{"data": [{"id": "o1", "state": "***"}]}'


def test_links_of_a_recording_have_no_credentials_of_others(tmp_path: Path) -> None:
    said = {
        "Link": "<http://files/a?token=gone&page=2>; rel=next, <http://files/b?jwt=gone>; rel=x",
        "Content-Location": "http://files/a?Signature=gone&AWSAccessKeyId=gone&page_token=stays#id_token=gone",
    }
    file = tmp_path / "session.har"
    shop = lambda _: Reply(body={"data": []}, headers=said)  # noqa: E731
    with web_server(shop) as server, connect(tmp_path, server.url, BEARER, ENVIRON, har=file) as conn:
        conn.execute(LIST).fetchall()
    (entry,) = entries(file)
    told = {h["name"]: h["value"] for h in entry["response"]["headers"]}
    assert told["Link"] == "<http://files/a?token=***&page=2>; rel=next, <http://files/b?jwt=***>; rel=x"
    assert told["Content-Location"] == ("http://files/a?Signature=***&AWSAccessKeyId=***&page_token=stays#id_token=***")


def test_the_bodies_of_an_exchange_for_a_token_are_left_out(tmp_path: Path) -> None:
    def shop(request: Seen) -> Reply:
        return Reply(body={"access_token": "token-abcdef"}) if request.path == "/token" else orders(request)

    file = tmp_path / "session.har"
    environ = {"ID": "my-app", "SECRET": "s3cret-of-app"}
    with web_server(shop) as server, connect(tmp_path, server.url, CLIENT, environ, record=file) as conn:
        conn.execute(LIST).fetchall()
    with connect(tmp_path, server.url, CLIENT, {}, replay=file) as conn:  # asks for no token
        assert conn.execute(LIST).fetchall() == [("o1",), ("o2",)]
    token, _ = entries(file)
    assert token["request"]["url"].endswith("/token")
    assert (token["response"]["content"]["size"] > 0, "text" in token["response"]["content"]) == (True, False)
    assert not re.search(rb"token-abcdef|s3cret-of-app", file.read_bytes())


def test_a_har_file_keeps_the_beginning_of_a_large_body_and_a_cassette_all_of_it(tmp_path: Path) -> None:
    def large(request: Seen) -> Reply:
        return Reply(body={"data": [{"id": "ä" * 1_200_000, "state": "x"}]})

    short, whole = tmp_path / "short.har", tmp_path / "whole.har"
    with web_server(large) as server, connect(tmp_path, server.url, BEARER, ENVIRON, har=short, record=whole) as conn:
        conn.execute(LIST).fetchall()
    (cut,), (all_,) = entries(short), entries(whole)
    assert cut["response"]["content"]["size"] == all_["response"]["content"]["size"] > 2**20
    assert len(cut["response"]["content"]["text"].encode()) <= 2**20
    assert "encoding" not in cut["response"]["content"]
    with (
        connect(tmp_path, server.url, BEARER, {}, replay=short) as conn,
        pytest.raises(TransportError, match="does not hold whole answers"),
    ):
        conn.execute(LIST)
    with connect(tmp_path, server.url, BEARER, {}, replay=whole) as conn:
        assert conn.execute("SELECT length(id) FROM shop.sales.orders").fetchall() == [(1_200_000,)]


def test_the_file_is_whole_json_after_each_entry(tmp_path: Path) -> None:
    file = tmp_path / "session.har"
    seen: list[int] = []

    def shop(request: Seen) -> Reply:
        seen.append(len(entries(file)))
        return orders(request)

    with web_server(shop) as server, connect(tmp_path, server.url, BEARER, ENVIRON, har=file) as conn:
        for _ in range(3):
            conn.execute(GET).fetchall()
    assert seen == [0, 1, 2]


def test_a_killed_process_leaves_whole_json(tmp_path: Path) -> None:
    file = tmp_path / "session.har"
    script = f"""
import os, sys
from pathlib import Path
from tests.rest.shop import connect
conn = connect(Path({str(tmp_path)!r}), sys.argv[1], {BEARER!r}, {ENVIRON!r}, har={str(file)!r})
conn.execute({GET!r}).fetchall()
os.kill(os.getpid(), 9)
"""
    with web_server(orders) as server:
        done = subprocess.run([sys.executable, "-c", script, server.url], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -9
    assert len(entries(file)) == 1


def test_a_recording_that_cannot_be_written_is_refused_at_once_and_told_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match="cannot be written"):
        provider.connect(har=tmp_path)
    if os.path.exists("/dev/full"):
        entry = har.Entry("GET", "http://a/", (), None, 200, (), har.Body.of(b"x", 10), 1, 0.0, 0.0, 0.0)
        with pytest.raises(OperationalError, match="cannot be written"):
            har.HarFile("/dev/full", 10).add(entry)


# --- replay -------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", [BEARER, IN_QUERY])
def test_reads_and_writes_replay_without_server_and_credentials(tmp_path: Path, auth: str) -> None:
    statements = [
        LIST,
        GET,
        "INSERT INTO shop.sales.orders (state) VALUES ('open') RETURNING id",
        "UPDATE shop.sales.orders SET state = 'paid' WHERE order_id = 'o1'",
    ]

    def run(**options: Any) -> list[Any]:
        with connect(tmp_path, url, auth, **options) as conn:
            cursors = [conn.execute(s) for s in statements[:3]]
            return [c.fetchall() for c in cursors]

    file = tmp_path / "session.har"
    with web_server(orders) as server:
        url = server.url
        first = run(environ=ENVIRON, record=file)
    assert run(environ={}, replay=file) == first == [[("o1",), ("o2",)], [("o1", "open")], [("o3",)]]


def test_answers_to_the_same_request_come_in_their_order(tmp_path: Path) -> None:
    states = iter(("new", "open", "paid"))
    file = tmp_path / "session.har"
    shop = lambda request: Reply(body={"id": "o1", "state": next(states)})  # noqa: E731
    with web_server(shop) as server, connect(tmp_path, server.url, BEARER, ENVIRON, record=file) as conn:
        recorded = [conn.execute(GET).fetchall() for _ in range(3)]
    with connect(tmp_path, server.url, BEARER, {}, replay=file) as conn:
        assert (
            [conn.execute(GET).fetchall() for _ in range(3)]
            == recorded
            == [[("o1", s)] for s in ("new", "open", "paid")]
        )
        with pytest.raises(TransportError) as raised:
            conn.execute(GET)
    assert str(raised.value).splitlines() == [
        "GET /orders/o1 is asked for once more than it was recorded",
        f"  {file} has it 3 times, and each answer is given once. Nothing was sent.",
        "  Run the statements of the recording, in their order, on one connection.",
    ]


def test_each_account_replays_its_own_answers(tmp_path: Path) -> None:
    keys = {"home": "key-of-home", "work": "key-of-work"}
    first = threading.Event()

    def shop(request: Seen) -> Reply:
        """The account that asks first is answered last, so that the order of answers is not that of requests."""
        name = (request.bearer or "").removeprefix("key-of-")
        if not first.is_set():
            first.set()
            other.wait(10)
        other.set()
        return Reply(body={"data": [{"id": name, "state": "x"}]})

    other = threading.Event()
    file, sql = tmp_path / "session.har", "SELECT account, id FROM shop.sales.orders ORDER BY account"
    with web_server(shop) as server:
        accounts = {"shop": {name: {"SHOP_KEY": key} for name, key in keys.items()}}
        with connect(tmp_path, server.url, BEARER, {}, accounts=accounts, record=file) as conn:
            conn.execute(sql).fetchall()
    nobody: dict[str, dict[str, str]] = {name: {} for name in keys}
    with connect(tmp_path, server.url, BEARER, {}, accounts={"shop": nobody}, replay=file) as conn:
        assert conn.execute(sql).fetchall() == [("home", "home"), ("work", "work")]
    with connect(tmp_path, server.url, BEARER, {}, accounts={"shop": {"else": {}}}, replay=file) as conn:
        with pytest.raises(TransportError, match="recorded otherwise") as raised:
            conn.execute(sql)
        assert raised.value.remedy == "Replay it with the accounts of the recording."


def test_a_request_that_was_not_recorded_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "session.har"
    with web_server(orders) as server, connect(tmp_path, server.url, BEARER, ENVIRON, record=file) as conn:
        conn.execute(GET).fetchall()
        conn.execute("INSERT INTO shop.sales.orders (state) VALUES ('open')")
    with connect(tmp_path, server.url, BEARER, {}, replay=file) as conn:
        with pytest.raises(TransportError, match="GET /orders/o7 was not recorded") as raised:
            conn.execute("SELECT id FROM shop.sales.orders WHERE order_id = 'o7'")
        assert raised.value.remedy == f"The nearest that it has: GET {server.url}/orders/o1"
        assert not raised.value.sent
        with pytest.raises(TransportError, match="POST /orders was recorded otherwise"):
            conn.execute("INSERT INTO shop.sales.orders (state) VALUES ('closed')")
    with connect(tmp_path, "http://127.0.0.1:9", BEARER, {}, replay=file) as conn:
        with pytest.raises(TransportError) as raised:
            conn.execute(GET)
        assert "is asked for at http://127.0.0.1:9: set the base URL" in raised.value.remedy


def test_repetitions_and_pauses_replay_without_waiting(tmp_path: Path) -> None:
    replies = iter((Reply(429, {}, {"Retry-After": "1"}), Reply(body={"id": "o1", "state": "open"})))
    file = tmp_path / "session.har"
    with (
        web_server(lambda _: next(replies)) as server,
        connect(tmp_path, server.url, BEARER, ENVIRON, record=file) as conn,
    ):
        recorded = conn.execute(GET)
        assert recorded.report.requests == 2
        assert recorded.report.waits.retry_after >= 1
    with connect(tmp_path, server.url, BEARER, {}, replay=file) as conn:
        replayed = conn.execute(GET)
        assert replayed.fetchall() == [("o1", "open")]
        assert (replayed.report.requests, replayed.report.waited) == (2, 0)


def test_a_lost_answer_is_lost_again(tmp_path: Path) -> None:
    def slow(request: Seen) -> Reply:
        gone.wait()
        return Reply()

    gone = threading.Event()
    file, insert = tmp_path / "session.har", "INSERT INTO shop.sales.orders (state) VALUES ('open')"
    with web_server(slow) as server:
        with (
            connect(tmp_path, server.url, BEARER, ENVIRON, record=file, timeout=0.2) as conn,
            pytest.raises(OutcomeUnknown) as recorded,
        ):
            conn.execute(insert)
        gone.set()
    (entry,) = har.read(file)
    assert (entry.status, type(entry.failure)) == (0, Timeout)
    with connect(tmp_path, server.url, BEARER, {}, replay=file) as conn, pytest.raises(OutcomeUnknown) as replayed:
        conn.execute(insert)
    assert str(replayed.value) == str(recorded.value)


def test_compressed_and_binary_answers_survive_byte_for_byte(tmp_path: Path) -> None:
    text = json.dumps({"data": [{"id": "größe 🙂\u2028", "state": "a\nb"}]}).encode()
    file = tmp_path / "session.har"
    shop = lambda _: Reply(body=gzip.compress(text), headers={"Content-Encoding": "gzip"})  # noqa: E731
    with web_server(shop) as server, connect(tmp_path, server.url, BEARER, ENVIRON, record=file) as conn:
        recorded = conn.execute("SELECT * FROM shop.sales.orders").fetchall()
    with connect(tmp_path, server.url, BEARER, {}, replay=file) as conn:
        assert conn.execute("SELECT * FROM shop.sales.orders").fetchall() == recorded
    (entry,) = har.read(file)
    assert (entry.answer.content, entry.wire_bytes) == (text, len(gzip.compress(text)))


@pytest.mark.parametrize(
    "content", [b"", bytes(range(256)) * 3, "größe\r\n\x00🙂".encode(), b"\xff\xfe", b"\xef\xbb\xbfx"]
)
def test_a_file_gives_back_the_bytes_that_it_got(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.har"
    body = har.Body.of(content, 10_000)
    headers = (("Content-Type", "application/x"), ("X", "\udcff"))
    entry = har.Entry("POST", "http://a/b?c=d", headers, body, 200, headers, body, 7, 12.5, 0.25, 0.5)
    file = har.HarFile(path, 10_000)
    file.add(entry)
    file.close()
    (found,) = har.read(path)
    assert (found.body, found.answer, found.wire_bytes, found.wait, found.receive) == (body, body, 7, 0.25, 0.5)
    assert found.headers == (("Content-Type", "application/x"), ("X", "\N{REPLACEMENT CHARACTER}"))


def test_nothing_is_sent_while_replaying(tmp_path: Path) -> None:
    file = tmp_path / "session.har"
    with web_server(orders) as server, connect(tmp_path, server.url, BEARER, ENVIRON, record=file) as conn:
        conn.execute(LIST).fetchall()
    script = f"""
import sys
from pathlib import Path
from tests.rest.shop import LIST, connect
def watch(event, arguments):
    assert event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"), event
sys.addaudithook(watch)
with connect(Path({str(tmp_path)!r}), {server.url!r}, {BEARER!r}, {{}}, replay={str(file)!r}) as conn:
    print(conn.execute(LIST).fetchall())
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[('o1',), ('o2',)]\n", 0), done.stderr


def test_streams_replay(tmp_path: Path, connection: Any, api: Any) -> None:
    file = tmp_path / "session.har"
    ids = [api.thread("Hi"), api.post("/assistants", {"model": "m"})["id"]]
    sql = "EXEC /*+ STREAM */ openai.assistants.runs.create_run @thread_id=?, @assistant_id=?"
    conn = connection(record=file)
    recorded = conn.execute(sql, ids).fetchall()
    conn.close()
    assert connection(replay=file, environ={}).execute(sql, ids).fetchall() == recorded
    assert recorded


@pytest.mark.parametrize("text", ["", "{}", '{"log": {"entries": [{"request": 1}]}}', "[" * 100_000])
def test_what_is_no_har_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.har"
    file.write_text(text)
    with pytest.raises(InterfaceError, match="is no HAR file"):
        provider.connect(replay=file)


def test_a_file_is_not_replayed_and_recorded_at_once(tmp_path: Path) -> None:
    file = tmp_path / "session.har"
    file.write_text('{"log": {"entries": []}}')
    with pytest.raises(InterfaceError, match="would be replayed and recorded at once"):
        provider.connect(replay=file, record=file)
    assert file.read_text() == '{"log": {"entries": []}}'
