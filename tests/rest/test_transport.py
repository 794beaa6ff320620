"""What `provider.rest.transport` sends and what it answers, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import gzip
import traceback
import zlib
from pathlib import Path

import pytest

from provider import errors
from provider.rest.transport import Limits, Request, Timeouts, Transport
from tests.rest.rawserver import Connection, raw_server
from tests.rest.wire import (
    MAYBE_DONE,
    REFUSED,
    UNSENT,
    UNUSABLE,
    Pieces,
    fails,
    hello,
    line,
    names,
    scenario,
    transport,
)

# Put together here, so that the source lines in a traceback do not contain it.
SECRET = "open sesame"[::-1].replace(" ", "-")


# --- what goes out ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/v1/threads?limit=100&order=asc",
        "/a%2Fb/%2E%2E/%2e%2e%2fetc%3Fx",
        "/a/../b/./c//d",
        "/?k=1&k=2&k=1",
        "/?q=a+b%20c%2B&empty=&bare",
        "/?next=https%3A%2F%2Fexample.test%2F%3Fa%3D1%26b",
        "/%E2%82%AC/%zz/%",
        "/?filter[name]='x'|\"y\"<z>{}^`~",
        "/;v=1/:x@y!$&'()*,=",
    ],
)
@scenario
async def test_path_and_query_reach_the_wire_byte_for_byte(target: str) -> None:
    async with raw_server(hello) as server, transport() as client:
        await client.send(Request("GET", server.url(target)))
        assert line(server.requests[0]) == f"GET {target} HTTP/1.1".encode()


@scenario
async def test_a_url_without_a_path_asks_for_the_root_and_a_fragment_stays_at_home() -> None:
    async with raw_server(hello) as server, transport() as client:
        await client.send(Request("GET", server.url("")))
        await client.send(Request("GET", server.url("/a?b=1#c")))
        assert [line(r) for r in server.requests] == [b"GET / HTTP/1.1", b"GET /a?b=1 HTTP/1.1"]


@pytest.mark.parametrize("size", [7, 3 * 2**20])
@scenario
async def test_headers_and_body_are_sent_as_given(size: int) -> None:
    async with raw_server(hello) as server, transport() as client:
        headers = (("Authorization", "Bearer k"), ("X-Tag", "a"), ("X-Tag", "b"), ("User-Agent", "mine"))
        content = bytes(range(1, 8)) * (size // 7)
        await client.send(Request("POST", server.url(), headers, content))
        head, body = server.requests[0].split(b"\r\n\r\n", 1)
        assert body == content
        assert head.count(b"X-Tag: ") == 2
        sent = names(server.requests[0])
        assert (sent[b"authorization"], sent[b"user-agent"]) == (b"Bearer k", b"mine")
        assert sent[b"content-length"] == str(len(content)).encode()
        added = {b"host", b"accept", b"accept-encoding", b"content-length"}
        assert sent.keys() == {b"authorization", b"x-tag", b"user-agent"} | added


@scenario
async def test_a_body_is_sent_as_it_is_read_and_again_from_its_beginning() -> None:
    async with raw_server(hello) as server, transport() as client:
        body = Pieces(40)
        for _ in range(2):
            await client.send(Request("POST", server.url(), (), body))
        for request in server.requests:
            assert names(request)[b"content-length"] == str(body.size).encode()
            assert b"transfer-encoding" not in names(request)
            assert request.split(b"\r\n\r\n", 1)[1] == b"".join([chunk async for chunk in body.chunks()])


@scenario
async def test_a_body_that_cannot_be_read_on_ends_the_request_with_its_own_error() -> None:
    async with raw_server(hello) as server, transport() as client:
        failure = errors.TransportError("the file changed", sent=True, permanent=True)
        with pytest.raises(errors.TransportError) as caught:
            await client.send(Request("POST", server.url(), (), Pieces(3, failure)))
        assert caught.value is failure
        await server.until(lambda s: s.open == 0)
        assert server.requests == []
        assert (await client.send(Request("GET", server.url()))).body == b"hello"


@scenario
async def test_a_server_that_stops_taking_a_body_that_is_read_times_out() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with transport(timeouts=Timeouts(write=0.2)) as client:
        with fails(MAYBE_DONE, errors.Timeout):
            await client.send(Request("POST", url, (), Pieces(1000)))
    gone.set()
    server.close()


@scenario
async def test_only_codings_that_can_be_undone_are_asked_for() -> None:
    async with raw_server(hello) as server, transport() as client:
        await client.send(Request("GET", server.url()))
        assert names(server.requests[0])[b"accept-encoding"] == b"gzip, deflate"


@pytest.mark.parametrize("body", [None, b""])
@scenario
async def test_a_post_without_a_body_says_so(body: bytes | None) -> None:
    async with raw_server(hello) as server, transport() as client:
        await client.send(Request("POST", server.url(), (), body))
        assert names(server.requests[0])[b"content-length"] == b"0"


# --- what is refused before anything is sent ------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "/v1/threads",
        "ftp://127.0.0.1/",
        "http://",
        f"http://user:{SECRET}@127.0.0.1/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/a\r\nX: y",
        "http://127.0.0.1/\u20ac",
        "http://127.0.0.1\\@example.test/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
    ],
)
@scenario
async def test_a_url_that_is_not_absolute_encoded_http_is_refused(url: str) -> None:
    async with transport() as client:
        with fails(REFUSED) as caught:
            await client.send(Request("GET", url))
        assert SECRET not in str(caught.value)


@scenario
async def test_a_header_with_a_line_break_is_refused_without_quoting_it() -> None:
    async with raw_server(hello) as server, transport() as client:
        with fails(REFUSED) as caught:
            await client.send(Request("GET", server.url(), (("Authorization", f"Bearer {SECRET}\r\nX: y"),)))
        assert server.requests == []
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("host", ["example.test", "192.0.2.1", "127.0.0.1.example.test", "0.0.0.0"])
@scenario
async def test_plain_http_to_another_machine_is_refused(host: str) -> None:
    async with transport() as client:
        with fails(REFUSED) as caught:
            await client.send(Request("GET", f"http://{host}/"))
        assert "https" in str(caught.value)


@scenario
async def test_plain_http_to_this_machine_is_allowed_by_name_too() -> None:
    async with raw_server(hello) as server, transport() as client:
        response = await client.send(Request("GET", f"http://localhost:{server.port}/"))
        assert response.body == b"hello"


@scenario
async def test_a_closed_transport_refuses() -> None:
    client = Transport(max_connections=1)
    await client.aclose()
    with pytest.raises(errors.InterfaceError, match="closed"):
        await client.send(Request("GET", "http://127.0.0.1/"))


# --- proxies and credentials of the environment ---------------------------------------------------


@scenario
async def test_a_proxy_of_the_environment_is_used_and_never_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with raw_server(hello) as proxy, raw_server(hello) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        async with transport(allow_plain_http=True) as client:
            await client.send(Request("GET", "http://example.test/a%2Fb?c=%3F"))
            await client.send(Request("GET", server.url("/local")))
        assert [line(r) for r in proxy.requests] == [b"GET http://example.test/a%2Fb?c=%3F HTTP/1.1"]
        assert [line(r) for r in server.requests] == [b"GET /local HTTP/1.1"]


@scenario
async def test_no_proxy_and_an_explicit_no_are_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(hello) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        url = "http://name.invalid/"
        async with transport(allow_plain_http=True, environment_proxies=False) as client:
            with fails(UNSENT):
                await client.send(Request("GET", url))
        monkeypatch.setenv("NO_PROXY", ".invalid")
        async with transport(allow_plain_http=True) as client:
            with fails(UNSENT):
                await client.send(Request("GET", url))
        assert proxy.requests == []


@scenario
async def test_a_proxy_that_refuses_the_tunnel_means_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(connection: Connection, request: bytes) -> None:
        await connection.answer(b"", status="403 Forbidden")

    async with raw_server(refuse) as proxy, transport() as client:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        with fails(UNSENT) as caught:
            await client.send(Request("POST", "https://example.test/", (), b"x"))
        assert "403" in str(caught.value)
        assert line(proxy.requests[0]) == b"CONNECT example.test:443 HTTP/1.1"


@scenario
async def test_a_netrc_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with raw_server(hello) as server, transport() as client:
        await client.send(Request("GET", server.url()))
        assert b"authorization" not in names(server.requests[0])


# --- what comes back ------------------------------------------------------------------------------


@scenario
async def test_an_answer_is_status_headers_and_decoded_body() -> None:
    async def teapot(connection: Connection, request: bytes) -> None:
        await connection.answer(b"tea", "X-Id: 1", "Link: <a>", "link: <b>", status="418 I'm a teapot")

    async with raw_server(teapot) as server, transport() as client:
        response = await client.send(Request("GET", server.url()))
        assert (response.status, response.body, response.wire_bytes) == (418, b"tea", 3)
        assert response.header("x-id") == "1"
        assert response.header("LINK") == "<a>, <b>"
        assert response.header("x-none") is None


@scenario
async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async def elsewhere(connection: Connection, request: bytes) -> None:
        await connection.answer(b"", "Location: /other", status="307 Temporary Redirect")

    async with raw_server(elsewhere) as server, transport() as client:
        response = await client.send(Request("GET", server.url("/first")))
        assert (response.status, response.header("location")) == (307, "/other")
        assert len(server.requests) == 1


@scenario
async def test_cookies_are_not_kept() -> None:
    async def cookie(connection: Connection, request: bytes) -> None:
        await connection.answer(b"", "Set-Cookie: a=b; Path=/")

    async with raw_server(cookie) as server, transport() as client:
        for _ in range(2):
            await client.send(Request("GET", server.url()))
        assert b"cookie" not in names(server.requests[1])


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@scenario
async def test_an_answer_without_a_body_is_empty_whatever_its_headers_say(status: str) -> None:
    async def empty(connection: Connection, request: bytes) -> None:
        await connection.say(f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\n\r\n".encode())

    async with raw_server(empty) as server, transport() as client:
        for _ in range(2):
            response = await client.send(Request("GET", server.url()))
            assert (response.status, response.body) == (int(status[:3]), b"")
        assert server.accepted == 1


@scenario
async def test_head_has_the_headers_of_a_body_that_does_not_come() -> None:
    async def large(connection: Connection, request: bytes) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\nContent-Encoding: gzip\r\n\r\n")

    async with raw_server(large) as server, transport(limits=Limits(max_wire_bytes=10)) as client:
        response = await client.send(Request("HEAD", server.url()))
        assert (response.header("content-length"), response.body) == ("99999", b"")


def bare_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


TEXT = b"words and more words, " * 5000


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("X-GZip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:999]) + gzip.compress(TEXT[999:])),
        ("gzip", gzip.compress(TEXT) + b"\0\0\0\0"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", bare_deflate(TEXT)),
    ],
    ids=["identity", "gzip", "x-gzip", "two members", "padding", "deflate", "bare deflate"],
)
@pytest.mark.parametrize("step", [7, 10**6])
@scenario
async def test_bodies_are_decoded(coding: str, encoded: bytes, step: int) -> None:
    async def encode(connection: Connection, request: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n\r\n"
        pieces = (encoded[i : i + step] for i in range(0, len(encoded), step))
        await connection.say(head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces))
        await connection.say(b"0\r\n\r\n")

    async with raw_server(encode) as server, transport() as client:
        response = await client.send(Request("GET", server.url()))
        assert response.body == TEXT
        assert response.wire_bytes == len(encoded)


@scenario
async def test_output_that_the_decoder_still_holds_when_its_input_is_used_up_is_not_lost() -> None:
    text = bytes(2**20 + 5)  # The decoder takes all input for the first MiB and keeps five bytes back.

    async def encode(connection: Connection, request: bytes) -> None:
        await connection.answer(bare_deflate(text), "Content-Encoding: deflate")

    async with raw_server(encode) as server, transport() as client:
        assert (await client.send(Request("GET", server.url()))).body == text


@pytest.mark.parametrize(
    ("coding", "encoded", "fate"),
    [
        ("gzip", gzip.compress(TEXT)[:-20], MAYBE_DONE),
        ("gzip", b"\x1f\x8b but no gzip", MAYBE_DONE),
        ("br", b"anything", UNUSABLE),
    ],
    ids=["cut off", "damaged", "unknown coding"],
)
@scenario
async def test_a_body_that_cannot_be_decoded_is_an_error(coding: str, encoded: bytes, fate: dict[str, bool]) -> None:
    async def encode(connection: Connection, request: bytes) -> None:
        await connection.answer(encoded, f"Content-Encoding: {coding}")

    async with raw_server(encode) as server, transport() as client:
        with fails(fate):
            await client.send(Request("GET", server.url()))
