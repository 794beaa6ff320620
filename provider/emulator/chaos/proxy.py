"""The proxy: takes requests, asks the server behind it, and delivers what the schedule makes of the answers."""

from __future__ import annotations

import asyncio
import http.client
import random
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from provider.emulator.chaos.faults import WHOLE, Answer, Delivery, Fault

_LOOPBACK = "127.0.0.1"
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}
_SPACES = b" " * 2**16


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived, credentials included: `number` counts from 1."""

    number: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fault: str | None


#: Says what goes wrong with a request: its number (from 1), its method and its target (path and query).
Schedule = Callable[[int, str, str], Fault | None]


def never() -> Schedule:
    """Nothing goes wrong."""
    return lambda number, method, target: None


def at(number: int, fault: Fault) -> Schedule:
    """One request meets a fault."""
    return lambda n, method, target: fault if n == number else None


def until(number: int, fault: Fault) -> Schedule:
    """All requests up to a number meet a fault."""
    return lambda n, method, target: fault if n <= number else None


def at_random(share: float, faults: tuple[Fault, ...], seed: int) -> Schedule:
    """A share of the requests, from 0 to 1, meets one of the faults, drawn by a generator with a seed."""
    dice = random.Random(seed)  # noqa: S311 -- faults, no secrets
    return lambda n, method, target: dice.choice(faults) if dice.random() < share else None


_Handler = Callable[[Received, asyncio.StreamWriter], Awaitable[bool]]


class Chaos:
    """A proxy on a free loopback port, in a thread of this process, as a context manager.

    Args:
        upstream: base URL of the server behind it, http only.
        schedule: what goes wrong when; may be replaced while it runs.

    Attributes:
        base_url: what a client uses instead of `upstream`, with the same path.
        stranger: base URL of a server that is not the API; faults lead there.
        received: the requests so far; `astray` those that reached the stranger.
    """

    def __init__(self, upstream: str, schedule: Schedule | None = None) -> None:
        self.schedule = schedule or never()
        self.received: list[Received] = []
        self.astray: list[Received] = []
        self.base_url = self.stranger = ""
        self._upstream = urlsplit(upstream)
        self._earlier: dict[str, list[Answer]] = defaultdict(list)
        self._loop = asyncio.new_event_loop()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def reset(self, schedule: Schedule | None = None) -> None:
        """Forget what happened, and go by another schedule."""
        self.schedule = schedule or never()
        self.received.clear()
        self.astray.clear()
        self._earlier.clear()

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="apiql-chaos", daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        self._stop = asyncio.Event()
        api = await asyncio.start_server(self._keep(self._answer), _LOOPBACK, 0)
        stranger = await asyncio.start_server(self._keep(self._catch), _LOOPBACK, 0)
        self.base_url = _url(api) + self._upstream.path.rstrip("/")
        self.stranger = _url(stranger)
        ready.set()
        await self._stop.wait()
        api.close()
        stranger.close()
        for _ in range(4):  # turns of the loop until what was just accepted has its task
            await asyncio.sleep(0)
        for task, writer in self._connections.items():
            writer.transport.abort()  # a task that has not begun yet would not do it
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the loop's next turn

    def _keep(self, handle: _Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        """Serves the requests of each connection until it ends, by a task that `_serve` can cancel."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError):
                    while await handle(await _request(reader), writer):
                        pass
                    writer.close()
                    await writer.wait_closed()
            finally:
                writer.transport.abort()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(talk(reader, writer))
            self._connections[task] = writer
            task.add_done_callback(self._connections.pop)

        return begin

    async def _catch(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        """The stranger: takes everything down."""
        self.astray.append(replace(request, number=len(self.astray) + 1))
        return await _deliver(Answer(200, (), b"{}"), WHOLE, writer)

    async def _answer(self, request: Received, writer: asyncio.StreamWriter) -> bool:
        number = len(self.received) + 1
        fault = self.schedule(number, request.method, request.target)
        self.received.append(replace(request, number=number, fault=fault.name if fault else None))
        if fault is None:
            answer, delivery = await asyncio.to_thread(self._ask, request), WHOLE
        else:
            asked = await asyncio.to_thread(self._ask, request) if fault.reaches else Answer(200, (), b"")
            path = request.target.partition("?")[0]
            answer, delivery = fault.change(asked, tuple(self._earlier[path]), self.stranger), fault.delivery
        if fault is None or fault.reaches:
            self._earlier[request.target.partition("?")[0]].append(answer)
        return await _deliver(answer, delivery, writer)

    def _ask(self, request: Received) -> Answer:
        """The answer of the server behind; it is asked without compression, so that faults can change its body."""
        assert self._upstream.hostname is not None
        connection = http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=60)
        try:
            headers = {k: v for k, v in request.headers if k.lower() not in _HOP}
            connection.request(request.method, request.target, request.body or None, headers)
            response = connection.getresponse()
            kept = tuple((k, v) for k, v in response.getheaders() if k.lower() not in _HOP)
            return Answer(response.status, kept, response.read())
        finally:
            connection.close()


async def _request(reader: asyncio.StreamReader) -> Received:
    """The next request of a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:]))
    length = next((int(v) for k, v in headers if k.lower() == "content-length"), 0)
    if any(k.lower() == "transfer-encoding" for k, _ in headers):
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(length)
    return Received(0, method, target, headers, body, None)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """A body in chunks (RFC 9112, section 7.1)."""
    found = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        found.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(found)


async def _deliver(answer: Answer, delivery: Delivery, writer: asyncio.StreamWriter) -> bool:
    """Send an answer as the delivery has it; whether the connection lives on."""
    if delivery.ends == "lost":
        _cut(writer)
        return False
    length = "Transfer-Encoding: chunked" if delivery.ends == "endless" else f"Content-Length: {len(answer.body)}"
    fields = [f"{k}: {v}" for k, v in answer.headers]
    head = "\r\n".join([f"HTTP/1.1 {answer.status} -", *fields, length, "", ""]).encode("latin-1")
    body = answer.body[: int(len(answer.body) * delivery.share)]
    if delivery.ends == "endless":
        writer.write(head + b"%x\r\n%b\r\n" % (len(body), body))
        while True:
            writer.write(b"%x\r\n%b\r\n" % (len(_SPACES), _SPACES))
            await writer.drain()
    writer.write(head)
    step = -(-len(body) // delivery.parts) or 1
    for start in range(0, len(body), step):
        writer.write(body[start : start + step])
        await writer.drain()
        await asyncio.sleep(delivery.pause)
    await writer.drain()
    match delivery.ends:
        case "reset":
            _cut(writer)
        case "stalls":
            await writer.wait_closed()
    return delivery.ends == "whole"


def _cut(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST instead of FIN."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _url(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()
    return f"http://{host}:{port}"
