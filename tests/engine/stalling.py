"""A server that stops in the middle of whatever it is doing, and knows when its clients give up."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_ENDLESS = 10**6


class Stalling:
    """What its paths do, each under the base URL:

    - `...silent`: nothing is answered.
    - `.../half` and `.../content`: the head and some bytes of the body come.
    - `.../failing`: 500, always; `.../later`: 429, with a minute of Retry-After.
    - `/threads/endless/messages`: pages that follow each other without end.
    - `/pages`: the first of a thousand pages, and then nothing.
    - POST `/threads/ID/runs`: a run that stays as it is; as a stream its first event, and nothing more.
    - other objects are there.

    Attributes:
        waiting: requests, or beginnings of them, that have no whole answer.
        answered: how many have one.
        begun: how many have a part of one.
        calm_at: when the last that was waiting was given up, by `time.monotonic`.
    """

    def __init__(self) -> None:
        self.waiting = self.answered = self.begun = 0
        self.calm_at = 0.0
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=256)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, server: Stalling) -> None:
        self._server = server
        self._received = b""
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._waits:
            self._waits = True
            self._server.waiting += 1
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if blank and len(body) >= (int(lengths[0].split(b":")[1]) if lengths else 0):
            self._received = b""
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            self._answer(method, target, body)

    def connection_lost(self, error: Exception | None) -> None:
        if self._waits:
            self._server.waiting -= 1
            self._server.calm_at = time.monotonic()

    def _answer(self, method: str, target: str, body: bytes) -> None:
        path = target.partition("?")[0].removeprefix("/v1")
        run = {"id": "run_1", "object": "thread.run", "thread_id": "t", "status": "queued", "created_at": 1}
        if path.endswith("silent"):
            return
        if path.endswith(("/half", "/content")):
            self._begin(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
        elif path.endswith("/failing"):
            self._say({}, "500 Oops")
        elif path.endswith("/later"):
            self._say({}, "429 Later", "Retry-After: 60")
        elif path == "/threads/endless/messages":
            after = int(target.rpartition("after=m")[2] or 0) if "after=" in target else 0
            rows = [{"id": f"m{n}", "thread_id": "endless"} for n in range(after + 1, after + 101)]
            self._say({"data": rows, "last_id": rows[-1]["id"], "has_more": True})
        elif path == "/pages":
            if "page=1&" in target or target.endswith("page=1"):
                self._say({"data": [{"id": f"p{n}"} for n in range(100)], "total": _ENDLESS})
        elif method == "POST" and b'"stream":true' in body.replace(b" ", b""):
            event = f"event: thread.run.created\ndata: {json.dumps(run)}\n\n".encode()
            self._begin(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + event)
        elif method == "POST" or path.endswith("/runs/run_1"):
            self._say(run)
        else:
            self._say({"id": path.rpartition("/")[2], "object": "thing"})

    def _begin(self, data: bytes) -> None:
        self._transport.write(data)
        self._server.begun += 1

    def _say(self, body: Any, status: str = "200 OK", *headers: str) -> None:
        content = json.dumps(body).encode()
        fields = ["Content-Type: application/json", f"Content-Length: {len(content)}", *headers]
        self._transport.write("\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode() + content)
        self._waits = False
        self._server.waiting -= 1
        self._server.answered += 1


@contextmanager
def stalling() -> Iterator[Stalling]:
    """Serve on a free port, on a thread, until the block ends."""
    server, ready, stops = Stalling(), threading.Event(), []

    async def main() -> None:
        stops.append((asyncio.get_running_loop(), asyncio.Event()))
        await server.serve(ready, stops[0][1])

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop, stop = stops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def kept_waiting() -> dict[str, float]:
    """By thread of this process the seconds for which it could have run, and the machine had no core for it.

    The kernel counts that, on Linux; elsewhere nothing is known.
    """
    found = {}
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            found[path.parent.name] = int(path.read_text().split()[1]) / 1e9
    return found


def waited_since(before: Mapping[str, float]) -> float:
    """What `kept_waiting` has grown by since it said `before`, in seconds, all threads together."""
    return sum(seconds - before.get(thread, 0.0) for thread, seconds in kept_waiting().items())


def until(holds: Any) -> None:
    """Wait until something holds that another thread brings about."""
    end = time.monotonic() + 20
    for pause in itertools.repeat(0.001):
        if holds():
            return
        assert time.monotonic() < end
        time.sleep(pause)
