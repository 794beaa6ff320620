"""How a request fails, and whether it may have been executed then, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import traceback
import tracemalloc
import zlib

import pytest

from provider import errors
from provider.rest.transport import Limits, Request, Timeouts
from tests.rest.rawserver import Connection, raw_server
from tests.rest.wire import MAYBE_DONE, UNSENT, UNUSABLE, fails, hello, scenario, silence, transport

# Put together here, so that the source lines in a traceback do not contain it.
SECRET = "open sesame"[::-1].replace(" ", "-")


# --- caps -----------------------------------------------------------------------------------------


@scenario
async def test_a_gzip_bomb_stops_at_the_cap_and_memory_stays_bounded() -> None:
    megabyte = bytes(2**20)

    async def explode(connection: Connection, request: bytes) -> None:
        engine = zlib.compressobj(wbits=31)
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while True:  # Until the client hangs up.
            await connection.say(engine.compress(megabyte) + engine.flush(zlib.Z_SYNC_FLUSH))
            await asyncio.sleep(0)  # The client's turn: what is small is written without waiting.

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
        assert caught.value.reason.endswith(f"('127.0.0.1', {port}). Nothing was sent.")
        assert "Errno" not in caught.value.reason
        assert "right base URL?" in caught.value.remedy


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
            await asyncio.sleep(0.15)  # The pace is what is tested.
            await connection.say(b".")

    async with raw_server(drip) as server, transport(timeouts=Timeouts(read=1)) as client:
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
            await asyncio.sleep(0.06)  # All of it takes longer than the timeout below.
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(slowly, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, transport(timeouts=Timeouts(write=1)) as client:
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
