"""The API that all candidates read: lists in OpenAI's shape, made from a few templates, in a process of its own.

The path says everything, so that the server keeps nothing but a count of requests::

    /20ms/v1/threads/thread_100_000017/messages    a thread of 100 messages, each answer after 20 ms
    /0ms/v1/events_1000000                         a list of a million small rows
    /0ms/v1/wide_20000                             rows of 60 fields
    /20ms/v1/vector_stores_500                     stores; each has 10 files at /vector_stores/{id}/files
    /requests                                      how many there were since the last time

A list takes `limit`, `after` and `order` and says `has_more` and `last_id`. It costs the server 0.1 ms a page.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import multiprocessing.connection
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

#: The manifest of this API.
MANIFEST = Path(__file__).with_name("local.yaml")
_REQUEST = re.compile(rb"GET (?:/(\d+)ms/v1/([^?\s]+)|/requests)(?:\?(\S*))? ")
_THREAD = re.compile(rb"threads/(thread_(\d+)_\d+)/messages")
_FILES = re.compile(rb"vector_stores/(vs_\d+)/files")
_WHOLE = re.compile(rb"(events|wide|vector_stores)_(\d+)")
_FILES_EACH = 10


def _message(owner: str) -> dict[str, object]:
    """A message as an assistant leaves it, 340 bytes of JSON; # stands for its number."""
    text = {"value": "Message #: " + "words " * 15, "annotations": []}
    return {
        "id": "msg_#",
        "object": "thread.message",
        "created_at": "@",
        "thread_id": owner,
        "role": "assistant",
        "content": [{"type": "text", "text": text}],
        "metadata": {"batch": "7"},
    }


def _event(_: str) -> dict[str, object]:
    return {"id": "ev_#", "created_at": "@", "kind": "click", "amount": 7, "ok": True, "note": None}


def _wide(_: str) -> dict[str, object]:
    kinds: tuple[object, ...] = ("some text of a usual length", 12345, 3.25, True, None, "2026-11-22T10:00:00Z")
    return {"id": "wide_#", **{f"f{i:02d}": kinds[i % len(kinds)] for i in range(59)}}


def _store(_: str) -> dict[str, object]:
    counts = {"in_progress": 0, "completed": _FILES_EACH, "failed": 0, "cancelled": 0, "total": _FILES_EACH}
    return {"id": "vs_#", "object": "vector_store", "created_at": "@", "name": "Store #", "file_counts": counts}


def _file(owner: str) -> dict[str, object]:
    fixed = {"object": "vector_store.file", "vector_store_id": owner, "status": "completed", "usage_bytes": 1234}
    return {"id": "file_#", "created_at": "@", **fixed}


_ROWS = {b"messages": _message, b"events": _event, b"wide": _wide, b"vector_stores": _store, b"files": _file}


@cache
def _template(kind: bytes, count: int, step: int) -> tuple[bytes, int]:
    """A page of so many rows with a place for each number, and how often a row has its own."""
    row = json.dumps(_ROWS[kind]("OWNER"), separators=(",", ":")).replace("%", "%%")
    times = row.count("#") + row.count('"@"')
    text = ",".join([row.replace("#", "%012d").replace('"@"', "17%08d")] * count)
    return text.encode(), times


def page(kind: bytes, owner: bytes, total: int, query: dict[bytes, bytes]) -> bytes:
    """The body of one page."""
    limit = int(query.get(b"limit", b"1000" if kind == b"events" else b"100"))
    backwards = query.get(b"order") == b"desc"
    step = -1 if backwards else 1
    begin = int(query[b"after"].rpartition(b"_")[2]) + step if b"after" in query else total - 1 if backwards else 0
    numbers = range(begin, max(-1, begin - limit), -1) if backwards else range(begin, min(total, begin + limit))
    if not numbers:
        return b'{"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null}'
    template, times = _template(kind, len(numbers), step)
    rows = template % tuple(n for n in numbers for _ in range(times))
    if owner:
        rows = rows.replace(b"OWNER", owner)
    prefix = json.loads(rows[: rows.index(b",")] + b"}")["id"].rpartition("_")[0].encode()
    more = b"false" if numbers[-1] == (0 if backwards else total - 1) else b"true"
    ends = (prefix, numbers[0], prefix, numbers[-1])
    return b'{"object":"list","data":[%b],"has_more":%b,"first_id":"%b_%012d","last_id":"%b_%012d"}' % (
        rows,
        more,
        *ends,
    )


def body(path: bytes, query: dict[bytes, bytes]) -> bytes | None:
    """What a path answers; None where there is nothing."""
    if found := _THREAD.fullmatch(path):
        return page(b"messages", found[1], int(found[2]), query)
    if found := _FILES.fullmatch(path):
        return page(b"files", found[1], _FILES_EACH, query)
    if found := _WHOLE.fullmatch(path):
        return page(found[1], b"", int(found[2]), query)
    return None


class _Answerer(asyncio.Protocol):
    """One connection: an answer to each request head, after the delay that its path says."""

    requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer.endswith(b"\r\n\r\n"):
            return
        asked, self.buffer = _REQUEST.match(self.buffer), b""
        found: bytes | None = None
        delay = 0
        if asked is not None and asked[1] is None:
            found, _Answerer.requests = b"%d" % _Answerer.requests, 0
        elif asked is not None:
            _Answerer.requests += 1
            delay = int(asked[1])
            pairs = (pair.partition(b"=") for pair in (asked[3] or b"").split(b"&"))
            found = body(asked[2], {name: value for name, _, value in pairs})
        status, content = (b"404 Not Found", b"{}") if found is None else (b"200 OK", found)
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(content))
        if delay:
            asyncio.get_running_loop().call_later(delay / 1000, self.transport.write, head + content)
        else:
            self.transport.write(head + content)


def _serve(told: multiprocessing.connection.Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Answerer, "127.0.0.1", 0, backlog=512)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


@contextmanager
def serving() -> Iterator[str]:
    """The server, as long as the block lasts; its address: `http://127.0.0.1:PORT`."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()
