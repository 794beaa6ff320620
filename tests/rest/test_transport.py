"""What `provider.rest.transport` promises, each promise over real sockets on loopback."""

from __future__ import annotations

import asyncio
import functools
import gc
import gzip
import socket
import ssl
import traceback
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from provider import errors
from provider.rest.transport import Limits, Request, Response, Timeouts, Transport
from tests.rest.rawserver import Connection, raw_server

# Put together here, so that the source lines in a traceback do not contain it.
SECRET = "open sesame"[::-1].replace(" ", "-")

UNSENT = {"sent": False, "permanent": False}
REFUSED = {"sent": False, "permanent": True}
MAYBE_DONE = {"sent": True, "permanent": False}
UNUSABLE = {"sent": True, "permanent": True}


def scenario(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on a loop of its own, at most 20 s; what it leaves unclosed fails it."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        complaints: list[dict[str, Any]] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            await asyncio.wait_for(test(*args, **kwargs), 20)
            gc.collect(1)

        asyncio.run(watched())
        assert complaints == []

    return run


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own network settings stay outside."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def transport(**options: Any) -> AsyncIterator[Transport]:
    opened = Transport(**{"max_connections": 8, **options})
    try:
        yield opened
    finally:
        await opened.aclose()


async def hello(connection: Connection, request: bytes) -> None:
    await connection.answer(b"hello")


async def silence(connection: Connection, request: bytes) -> None:
    await connection.request()  # Answers nothing, and notices when the client hangs up.
    raise ConnectionError


@contextmanager
def fails(fate: dict[str, bool], kind: type[errors.TransportError] = errors.TransportError) -> Iterator[Any]:
    """The block raises exactly `kind`, of the given fate, and says the fate in words."""
    with pytest.raises(errors.TransportError) as caught:
        yield caught
    error = caught.value
    assert type(error) is kind
    assert {"sent": error.sent, "permanent": error.permanent} == fate
    words = "the server may have acted on it" if fate["sent"] else "Nothing was sent"
    assert pytest.raises(errors.TransportError, match=words).matches(error)


def line(request: bytes) -> bytes:
    return request.split(b"\r\n")[0]


def names(request: bytes) -> dict[bytes, bytes]:
    """The headers of a raw request, names lowered."""
    pairs = (row.split(b": ", 1) for row in request.split(b"\r\n\r\n")[0].split(b"\r\n")[1:])
    return {key.lower(): value for key, value in pairs}


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


class Pieces:
    """A body that is read while it is sent: `count` pieces, after which it fails if it is to."""

    def __init__(self, count: int, failure: errors.TransportError | None = None) -> None:
        self.size = count * 2**16
        self.failure = failure

    async def chunks(self) -> AsyncIterator[bytes]:
        for number in range(self.size // 2**16):
            if self.failure is not None and number:
                raise self.failure
            yield number.to_bytes(2, "big") * 2**15


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


# --- caps -----------------------------------------------------------------------------------------


@scenario
async def test_a_gzip_bomb_stops_at_the_cap_and_memory_stays_bounded() -> None:
    engine = zlib.compressobj(9, wbits=31)
    megabyte = bytes(2**20)
    bomb = b"".join(engine.compress(megabyte) for _ in range(64)) + engine.flush()
    assert len(bomb) < 2**20

    async def explode(connection: Connection, request: bytes) -> None:
        await connection.answer(bomb, "Content-Encoding: gzip")

    limits = Limits(max_decoded_bytes=4 * 2**20)
    async with raw_server(explode) as server, transport(limits=limits) as client:
        tracemalloc.start()
        try:
            with fails(UNUSABLE) as caught:
                await client.send(Request("GET", server.url()))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert "max_decoded_bytes = 4194304" in str(caught.value)
        assert peak < 16 * 2**20
        await server.until(lambda s: s.open == 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n",
    ],
    ids=["announced", "counted"],
)
@scenario
async def test_a_body_over_the_wire_cap_is_an_error_before_its_end(answer: bytes) -> None:
    async def large(connection: Connection, request: bytes) -> None:
        await connection.say(answer)  # The rest never comes.

    async with raw_server(large) as server, transport(limits=Limits(max_wire_bytes=8)) as client:
        with fails(UNUSABLE) as caught:
            await client.send(Request("GET", server.url()))
        assert "max_wire_bytes = 8" in str(caught.value)


@scenario
async def test_a_body_exactly_at_its_caps_is_accepted() -> None:
    async with (
        raw_server(hello) as server,
        transport(limits=Limits(max_wire_bytes=5, max_decoded_bytes=5)) as client,
    ):
        assert (await client.send(Request("GET", server.url()))).body == b"hello"


@pytest.mark.parametrize(("header", "reason"), [("x" * 5000, "OK"), ("x", "O" + 5000 * "K")])
@scenario
async def test_a_status_line_or_header_over_the_cap_is_an_error(header: str, reason: str) -> None:
    async def wordy(connection: Connection, request: bytes) -> None:
        await connection.answer(b"", f"X: {header}", status=f"200 {reason}")

    async with raw_server(wordy) as server:
        async with transport(limits=Limits(max_header_bytes=4000)) as client:
            with fails(UNUSABLE) as caught:
                await client.send(Request("GET", server.url()))
            assert "max_header_bytes = 4000" in str(caught.value)
        async with transport(limits=Limits(max_header_bytes=6000)) as client:
            assert (await client.send(Request("GET", server.url()))).status == 200


@scenario
async def test_headers_without_end_are_an_error() -> None:
    async def endless(connection: Connection, request: bytes) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\n")
        while True:
            await connection.say(b"X: y\r\n" * 1000)

    async with raw_server(endless) as server, transport() as client:
        with fails(MAYBE_DONE):
            await client.send(Request("GET", server.url()))


# --- failures before anything was sent --------------------------------------------------------------


@scenario
async def test_a_refused_connection_says_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with transport() as client:
        with fails(UNSENT) as caught:
            await client.send(Request("POST", f"http://127.0.0.1:{port}/v1/threads", (), b"{}"))
        assert str(caught.value).startswith(f"POST http://127.0.0.1:{port}/v1/threads: cannot connect")


@scenario
async def test_an_unknown_host_says_that_nothing_was_sent() -> None:
    async with transport() as client:
        with fails(UNSENT):
            await client.send(Request("POST", "https://name.invalid/"))


@scenario
async def test_no_handshake_in_time_says_that_nothing_was_sent() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # Takes TLS's first words and never answers them.
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, transport(timeouts=Timeouts(connect=0.05)) as client:
        with fails(UNSENT, errors.Timeout):
            await client.send(Request("POST", f"https://127.0.0.1:{port}/"))


@scenario
async def test_no_free_connection_in_time_says_that_nothing_was_sent() -> None:
    async with raw_server(silence) as server, transport(max_connections=1) as client:
        first = asyncio.create_task(client.send(Request("GET", server.url("/first"))))
        await server.until(lambda s: len(s.requests) == 1)
        with fails(UNSENT, errors.Timeout):
            await client.send(Request("POST", server.url("/second")), timeouts=Timeouts(connect=0.02, pool=0.02))
        assert len(server.requests) == 1
        first.cancel()


# --- failures after it --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@scenario
async def test_no_answer_in_time_says_that_the_request_was_sent(method: str) -> None:
    async with raw_server(silence) as server, transport(timeouts=Timeouts(read=0.05)) as client:
        with fails(MAYBE_DONE, errors.Timeout):
            await client.send(Request(method, server.url()))
        assert len(server.requests) == 1
        await server.until(lambda s: s.open == 0)


@scenario
async def test_a_body_that_stops_arriving_times_out() -> None:
    async def half(connection: Connection, request: bytes) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    async with raw_server(half) as server, transport(timeouts=Timeouts(read=0.05)) as client:
        with fails(MAYBE_DONE, errors.Timeout):
            await client.send(Request("GET", server.url()))


@scenario
async def test_a_slow_answer_is_no_timeout_while_bytes_keep_coming() -> None:
    async def drip(connection: Connection, request: bytes) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.05)  # The pace is what is tested.
            await connection.say(b".")

    async with raw_server(drip) as server, transport(timeouts=Timeouts(read=0.25)) as client:
        assert (await client.send(Request("GET", server.url()))).body == b"........"


@scenario
async def test_a_server_that_stops_taking_the_body_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # The kernel accepts; nobody ever reads.
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        async with transport(timeouts=Timeouts(write=0.1)) as client:
            with fails(MAYBE_DONE, errors.Timeout) as caught:
                await client.send(Request("POST", url, (), bytes(32 * 2**20)))
            assert "took no more of the body" in str(caught.value)


@scenario
async def test_a_large_body_that_is_taken_slowly_does_not_time_out() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(20):
            await reader.readexactly(2**20)
            await asyncio.sleep(0.02)  # All of it takes longer than the timeout below.
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(slowly, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, transport(timeouts=Timeouts(write=0.2)) as client:
        assert (await client.send(Request("POST", url, (), bytes(20 * 2**20)))).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@scenario
async def test_a_reset_before_the_answer_is_reported_and_not_repeated(method: str) -> None:
    async def reset(connection: Connection, request: bytes) -> None:
        connection.reset()
        raise ConnectionError

    async with raw_server(reset) as server, transport() as client:
        with fails(MAYBE_DONE):
            await client.send(Request(method, server.url()))
        assert len(server.requests) == 1


@scenario
async def test_a_reset_within_the_body_is_an_error() -> None:
    async def half(connection: Connection, request: bytes) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await proceed.wait()
        connection.reset()
        raise ConnectionError

    proceed = asyncio.Event()
    async with raw_server(half) as server, transport() as client:
        with fails(MAYBE_DONE):
            async with client.stream(Request("GET", server.url())) as stream:
                assert await anext(stream.chunks) == b"half"
                proceed.set()
                await anext(stream.chunks)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
    ],
)
@scenario
async def test_an_answer_that_is_cut_off_or_not_http_is_an_error(answer: bytes) -> None:
    async def say(connection: Connection, request: bytes) -> None:
        await connection.say(answer)
        raise ConnectionError

    async with raw_server(say) as server, transport() as client:
        with fails(MAYBE_DONE):
            await client.send(Request("GET", server.url()))
        assert len(server.requests) == 1


@scenario
async def test_no_error_shows_the_query_or_carries_the_clients_own_exception() -> None:
    async def say(connection: Connection, request: bytes) -> None:
        await connection.say(b"nonsense\r\n\r\n")

    async with raw_server(say) as server, transport(timeouts=Timeouts(read=0.05)) as client:
        free = socket.create_server(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{free.getsockname()[1]}/?key={SECRET}"
        free.close()
        for url in (server.url(f"/?key={SECRET}"), refused):
            with pytest.raises(errors.TransportError) as caught:
                await client.send(Request("GET", url, (("Authorization", SECRET),)))
            assert SECRET not in "".join(traceback.format_exception(caught.value))
            assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_request_does_not_print_what_may_be_secret() -> None:
    request = Request("POST", "https://example.test/", (("Authorization", SECRET),), SECRET.encode())
    assert SECRET not in repr(request)


# --- kept-alive connections ---------------------------------------------------------------------------


async def close_at_the_second_request(connection: Connection, request: bytes) -> None:
    """A server whose idle timeout strikes just as the connection is used again."""
    if request.startswith(b"GET /warm"):
        await connection.answer(b"warm")
    elif connection.number == 1:
        raise ConnectionError
    else:
        await connection.answer(b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@scenario
async def test_a_stale_connection_is_replaced_for_a_safe_method(method: str) -> None:
    async with raw_server(close_at_the_second_request) as server, transport() as client:
        await client.send(Request("GET", server.url("/warm")))
        response = await client.send(Request(method, server.url("/")))
        assert response.status == 200
        assert server.accepted == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@scenario
async def test_a_write_on_a_stale_connection_is_unknown_and_sent_once(method: str) -> None:
    async with raw_server(close_at_the_second_request) as server, transport() as client:
        await client.send(Request("GET", server.url("/warm")))
        with fails(MAYBE_DONE):
            await client.send(Request(method, server.url("/"), (), b"{}"))
        assert len(server.requests) == 2


@pytest.mark.parametrize("farewell", ["close", "reset"])
@scenario
async def test_a_connection_that_the_server_closed_while_idle_is_not_used_for_a_write(farewell: str) -> None:
    async def once(connection: Connection, request: bytes) -> None:
        await connection.answer(b"hello")
        await answered.wait()
        if farewell == "reset":
            connection.reset()
        raise ConnectionError

    answered = asyncio.Event()
    async with raw_server(once) as server, transport() as client:
        await client.send(Request("GET", server.url()))
        answered.set()
        # The goodbye is in the client's socket now, and its event loop has not read it yet.
        await server.until(lambda s: s.open == 0)
        assert (await client.send(Request("POST", server.url(), (), b"{}"))).status == 200
        assert [line(r)[:4] for r in server.requests] == [b"GET ", b"POST"]


@scenario
async def test_connections_are_kept_alive_and_shared() -> None:
    async with raw_server(hello) as server, transport() as client:
        for _ in range(10):
            await client.send(Request("GET", server.url()))
        assert server.accepted == 1


@scenario
async def test_the_pool_never_opens_more_than_its_limit() -> None:
    async def together(connection: Connection, request: bytes) -> None:
        # Nobody is answered before the pool is as full as it gets.
        await server.until(lambda s: s.peak >= 64)
        await connection.answer(b"hello")

    async with raw_server(together) as server, transport(max_connections=64) as client:
        answers = await asyncio.gather(*(client.send(Request("GET", server.url())) for _ in range(200)))
        assert [a.body for a in answers] == [b"hello"] * 200
        assert (server.accepted, server.peak) == (64, 64)


# --- cancellation -------------------------------------------------------------------------------------


async def slow_or_fast(connection: Connection, request: bytes) -> None:
    if request.startswith(b"GET /slow"):
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" if b"/body" in line(request) else b"")
        await connection.request()  # Waits for the client to hang up.
        raise ConnectionError
    await connection.answer(b"hello")


@pytest.mark.parametrize("target", ["/slow", "/slow/body"])
@scenario
async def test_cancelling_closes_the_connection_and_frees_its_place(target: str) -> None:
    async with raw_server(slow_or_fast) as server, transport(max_connections=1) as client:
        running = asyncio.create_task(client.send(Request("GET", server.url(target))))
        await server.until(lambda s: len(s.requests) == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await server.until(lambda s: s.open == 0)
        assert (await client.send(Request("GET", server.url()))).body == b"hello"


@scenario
async def test_cancelling_a_request_that_waits_for_a_connection_leaves_the_pool_usable() -> None:
    async with raw_server(slow_or_fast) as server, transport(max_connections=2) as client:
        busy = [asyncio.create_task(client.send(Request("GET", server.url("/slow")))) for _ in range(2)]
        await server.until(lambda s: len(s.requests) == 2)
        waiting = [asyncio.create_task(client.send(Request("GET", server.url()))) for _ in range(20)]
        await asyncio.sleep(0)
        for task in waiting[::2] + busy:
            task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [r.body for r in results if isinstance(r, Response)] == [b"hello"] * 10
        assert len(server.requests) == 12
        assert server.peak <= 2


@scenario
async def test_nothing_is_left_running_after_close() -> None:
    async with raw_server(silence) as server:
        async with transport() as client:
            running = [asyncio.create_task(client.send(Request("GET", server.url()))) for _ in range(5)]
            await server.until(lambda s: len(s.requests) == 5)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        await server.until(lambda s: s.open == 0)


# --- streams ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@scenario
async def test_events_arrive_one_by_one(coding: str) -> None:
    async def events(connection: Connection, request: bytes) -> None:
        if request.startswith(b"GET /plain"):
            await connection.answer(b"")
            return
        engine = zlib.compressobj(wbits=31)

        def encode(event: bytes) -> bytes:
            return engine.compress(event) + engine.flush(zlib.Z_SYNC_FLUSH) if coding == "gzip" else event

        await connection.say(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Encoding: " + coding.encode() + b"\r\n\r\n"
        )
        for number in range(3):
            data = encode(b"data: %d\n\n" % number)
            await connection.say(b"%x\r\n%b\r\n" % (len(data), data))
            await seen[number].wait()
        tail = engine.flush() if coding == "gzip" else b""
        await connection.say((b"%x\r\n%b\r\n" % (len(tail), tail) if tail else b"") + b"0\r\n\r\n")

    seen = [asyncio.Event() for _ in range(3)]
    async with raw_server(events) as server, transport() as client:
        async with client.stream(Request("GET", server.url())) as stream:
            assert (stream.status, stream.header("content-type")) == (200, "text/event-stream")
            for number in range(3):
                assert await anext(stream.chunks) == b"data: %d\n\n" % number
                seen[number].set()
            assert await stream.read() == b""
        await client.send(Request("GET", server.url("/plain")))
        assert server.accepted == 1  # Read to its end, the stream gave its connection back.


@scenario
async def test_leaving_a_stream_early_closes_its_connection() -> None:
    async def endless(connection: Connection, request: bytes) -> None:
        if request.startswith(b"GET /events"):
            await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntick\r\n")
        else:
            await connection.answer(b"hello")

    async with raw_server(endless) as server, transport(max_connections=1) as client:
        async with client.stream(Request("GET", server.url("/events"))) as stream:
            assert await anext(stream.chunks) == b"tick"
        await server.until(lambda s: s.open == 0)
        assert (await client.send(Request("GET", server.url()))).body == b"hello"


@scenario
async def test_a_stream_may_wait_longer_for_its_events_than_other_requests() -> None:
    async def later(connection: Connection, request: bytes) -> None:
        await asyncio.sleep(0.1)  # Longer than the transport's own read timeout.
        await connection.answer(b"late")

    async with (
        raw_server(later) as server,
        transport(timeouts=Timeouts(read=0.02)) as client,
        client.stream(Request("GET", server.url()), timeouts=Timeouts(read=None)) as stream,
    ):
        assert await stream.read() == b"late"


# --- TLS ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@scenario
async def test_an_unknown_certificate_is_refused(server_side: ssl.SSLContext) -> None:
    async with raw_server(hello, server_side) as server, transport() as client:
        with fails(REFUSED) as caught:
            await client.send(Request("GET", server.url(scheme="https")))
        assert "SSL_CERT_FILE" in str(caught.value)
        assert server.requests == []


@scenario
async def test_a_ca_bundle_of_ones_own_is_trusted(
    server_side: ssl.SSLContext, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(hello, server_side) as server:
        request = Request("GET", server.url(scheme="https"))
        async with transport(verify=bundle) as client:
            assert (await client.send(request)).body == b"hello"
        monkeypatch.setenv("SSL_CERT_FILE", bundle)
        async with transport() as client:
            assert (await client.send(request)).body == b"hello"


@scenario
async def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, bundle: str) -> None:
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("example.test").configure_cert(other)
    async with raw_server(hello, other) as server, transport(verify=bundle) as client:
        with fails(REFUSED):
            await client.send(Request("GET", server.url(scheme="https")))


@scenario
async def test_verification_can_be_switched_off(server_side: ssl.SSLContext) -> None:
    async with raw_server(hello, server_side) as server, transport(verify=False) as client:
        assert (await client.send(Request("GET", server.url(scheme="https")))).body == b"hello"


@scenario
async def test_cas_are_loaded_at_the_first_https_request_only(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    async with raw_server(hello) as server, transport(verify=missing) as client:
        assert (await client.send(Request("GET", server.url()))).status == 200
        with pytest.raises(errors.InterfaceError, match=r"missing\.pem"):
            await client.send(Request("GET", server.url(scheme="https")))
