"""Connections: kept, shared, cancelled, read piece by piece, and behind TLS, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from pathlib import Path

import pytest
import trustme

from provider import errors
from provider.rest.transport import Request, Response, Timeouts
from tests.rest.rawserver import Connection, raw_server
from tests.rest.wire import MAYBE_DONE, REFUSED, fails, hello, line, scenario, silence, transport

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
