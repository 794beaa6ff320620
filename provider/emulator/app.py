"""The ASGI application: from an HTTP request to a call of the service, and back.

Order of judgement: key (401), URL (404), version header (400), path ids (400), rate limit (429), practice
faults (500), body (400), then the operation.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote
from weakref import WeakValueDictionary

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provider.emulator import refusal, runs
from provider.emulator.bodies import checks, choice, closed, identifier, integer, text
from provider.emulator.calls import PURPOSES, Call, Operation, Reply, Upload
from provider.emulator.contents import Contents
from provider.emulator.objects import KINDS, Json
from provider.emulator.operations import OPERATIONS, answer
from provider.emulator.refusal import Refusal
from provider.emulator.runs import Event, Turn
from provider.emulator.service import Service
from provider.emulator.store import Store
from provider.emulator.stream import DONE, frames

STEP_SECONDS = 0.2
LARGEST_JSON = 32 * 2**20
LARGEST_FILE = 2 * 2**30
LONGEST_PAUSE = 0.02  # seconds between two words of a stream
SHORTEST_WAIT = 0.001
_BASE = "/v1"
_REST = runs.TERMINAL | {"requires_action"}  # the statuses that end a stream
_WORDS = {kind.param: kind.word for kind in KINDS.values()}
_log = logging.getLogger(__name__)


def create_app(
    data: Path | None = None,
    *,
    latency: float = 0.0,
    fail_rate: float = 0.0,
    rate_limit: int | None = None,
    seed: int = 0,
    clock: Callable[[], float] = time.time,
    step_seconds: float = STEP_SECONDS,
) -> ASGIApp:
    """The emulator as an ASGI application.

    Args:
        data: directory of the SQLite file, created when absent; None keeps everything in memory.
        latency: seconds added to each answer.
        fail_rate: share of requests, 0 to 1, that are answered 500 and do nothing.
        rate_limit: requests per minute before 429; None for no limit.
        seed: of the ids and of the choice of the requests that fail.
        clock: answers unix seconds; runs and timestamps follow it.
        step_seconds: how long a run stays queued, in progress, or cancelling.

    Raises:
        InterfaceError: the directory holds a file that is not the emulator's.
    """
    limiter = None if rate_limit is None else Limiter(rate_limit, clock)
    return _App(Store(data, seed), latency, fail_rate, limiter, seed, clock, step_seconds)


@dataclass(slots=True)
class Limiter:
    """A bucket of `per_minute` requests that refills evenly."""

    per_minute: int
    clock: Callable[[], float]
    _left: float = field(init=False)
    _then: float = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.per_minute
        self._then = self.clock()

    def take(self) -> None:
        """Counts one request; raises the documented 429 when the bucket is empty."""
        now = self.clock()
        self._left = min(self.per_minute, self._left + (now - self._then) * self.per_minute / 60)
        self._then = now
        if self._left < 1:
            wait = (1 - self._left) * 60 / self.per_minute
            raise refusal.rate_limited(self.per_minute, max(1, math.ceil(wait)))
        self._left -= 1


class _Routes:
    """The table of operations as a tree of path segments.

    A node is keyed by the segments below it (None for a parameter), and by (method,) for what ends there.
    """

    def __init__(self) -> None:
        self._root: dict[object, Any] = {}
        for operation in OPERATIONS:
            node = self._root
            for segment in operation.path.strip("/").split("/"):
                node = node.setdefault(None if segment.startswith("{") else segment, {})
            node[(operation.method,)] = operation

    def find(self, method: str, segments: list[str]) -> tuple[Operation, dict[str, str]] | None:
        """The operation of a path, and its parameters; None when there is none."""
        node = self._root
        values = []
        for segment in segments:
            if segment in node:
                node = node[segment]
            elif None in node:
                node = node[None]
                values.append(unquote(segment))
            else:
                return None
        operation: Operation | None = node.get((method,))
        if operation is None:
            return None
        names = (part[1:-1] for part in operation.path.split("/") if part.startswith("{"))
        return operation, dict(zip(names, values, strict=True))


class _App:
    def __init__(
        self,
        store: Store,
        latency: float,
        fail_rate: float,
        limiter: Limiter | None,
        seed: int,
        clock: Callable[[], float],
        step_seconds: float,
    ) -> None:
        self._store = store
        self._service = Service(store, clock=clock, step_seconds=step_seconds, publish=self._publish)
        self._latency = latency
        self._fail_rate = fail_rate
        self._limiter = limiter
        # Nothing here guards a secret; what counts is that it can be repeated.
        self._faults = random.Random(seed)  # noqa: S311
        self._names = random.Random(seed)  # noqa: S311
        self._routes = _Routes()
        # Weak: a queue lives as long as the stream that reads it.
        self._watchers: WeakValueDictionary[str, asyncio.Queue[Event]] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        started = time.perf_counter()
        if self._latency:
            await asyncio.sleep(self._latency)
        try:
            response = await self._respond(scope, receive)
        except Refusal as refused:
            response = Response(refused.body, refused.status, dict(refused.headers), media_type="application/json")
        except ClientDisconnect:
            return
        except Exception:  # the last resort: even then a client gets the envelope
            _log.exception("%s %s failed", scope["method"], scope["path"])
            response = Response(refusal.server_error().body, 500, media_type="application/json")
        response.raw_headers += [
            (b"x-request-id", f"req_{self._names.getrandbits(128):032x}".encode()),
            (b"openai-version", b"2020-10-01"),
            (b"openai-processing-ms", str(int((time.perf_counter() - started) * 1000)).encode()),
        ]
        await response(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._store.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not key.strip():
            raise refusal.no_key()
        method = scope["method"]
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        found = None
        if path.startswith(_BASE + "/"):
            found = self._routes.find(method, path[len(_BASE) + 1 :].split("/"))
        if found is None:
            raise refusal.unknown_url(method, scope["path"])
        operation, ids = found
        version = _version(headers) if operation.needs_beta else 2
        if version not in operation.versions:
            raise refusal.unknown_url(method, scope["path"])
        for name, value in ids.items():
            identifier(_WORDS[name])(value, name)
        if self._limiter is not None:
            self._limiter.take()
        if self._fail_rate and self._faults.random() < self._fail_rate:
            raise refusal.server_error()
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if operation.name == "create_file":
            return await self._create_file(operation, scope, _limited(receive, headers, LARGEST_FILE))
        if method == "POST":
            body = _decode(await _read(_limited(receive, headers, LARGEST_JSON)))
            checks(version)[operation.name](body, "")
            call = Call(operation, version, ids, query, operation.lift(body, version))
        else:
            call = Call(operation, version, ids, query)
        try:
            reply = answer(self._service, call)
        except UnicodeEncodeError:  # half of a surrogate pair, which no UTF-8 can hold
            raise refusal.not_json() from None
        return self._response(call, reply)

    async def _create_file(self, operation: Operation, scope: Scope, receive: Receive) -> Response:
        upload = await _upload(scope, receive, self._store.contents)
        try:
            reply = answer(self._service, Call(operation, 2, {}, {}, upload=upload))
        finally:
            upload.arrived.unlink(missing_ok=True)  # unless it was taken
        return Response(reply.body, media_type="application/json")

    def _response(self, call: Call, reply: Reply) -> Response:
        if reply.file is not None:
            return FileResponse(reply.file, media_type="application/octet-stream", filename=reply.body)
        turn = reply.run
        if turn is not None and call.body.get("stream"):
            # Registered before anything is awaited, so that no event falls between.
            watcher = self._watchers[turn.run["id"]] = asyncio.Queue()
            return StreamingResponse(
                self._follow(call.version, reply.events, turn, watcher), media_type="text/event-stream"
            )
        response = Response(reply.body, media_type="application/json")
        if turn is not None and turn.run["status"] not in runs.TERMINAL:
            wait = max(1, int(self._service.step_seconds * 1000))
            response.headers["openai-poll-after-ms"] = str(wait)
        return response

    def _publish(self, run_id: str, event: Event) -> None:
        if (watcher := self._watchers.get(run_id)) is not None:
            watcher.put_nowait(event)

    async def _follow(
        self, version: int, events: list[Event], turn: Turn, watcher: asyncio.Queue[Event]
    ) -> AsyncIterator[str]:
        """The event stream of a run: what its request did, then what happens until it rests."""
        for event in events:
            for frame in frames(event, version, turn.state):
                yield frame
        while (next_event := await self._next(turn, watcher)) is not None:
            pieces = list(frames(next_event, version, turn.state))
            pause = min(LONGEST_PAUSE, self._service.step_seconds / len(pieces)) if pieces[1:] else 0
            for frame in pieces:
                yield frame
                await asyncio.sleep(pause)
            if next_event.name.removeprefix("thread.run.") in _REST:
                break
        yield DONE

    async def _next(self, turn: Turn, watcher: asyncio.Queue[Event]) -> Event | None:
        """The next event of a run; None when the run is gone, or was ended by another process."""
        run = turn.run
        while watcher.empty():
            active = self._service.settle(run["thread_id"])
            if not watcher.empty():
                break
            if active is None or active.run["id"] != run["id"]:
                return None
            wait = runs.due(active, self._service.step_seconds) - self._service.clock()
            try:
                return await asyncio.wait_for(watcher.get(), max(SHORTEST_WAIT, wait))
            except TimeoutError:
                continue
        return watcher.get_nowait()


def _version(headers: Mapping[bytes, bytes]) -> int:
    """1 or 2, from the OpenAI-Beta header; other features may be named beside it."""
    for feature in headers.get(b"openai-beta", b"").decode("latin-1").split(","):
        match feature.strip():
            case "assistants=v1":
                return 1
            case "assistants=v2":
                return 2
    raise refusal.no_beta()


def _limited(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> Receive:
    """The same stream of body chunks; 413 as soon as it is, or says that it will be, over `limit` bytes."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise refusal.too_large(limit)
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise refusal.too_large(limit)
        return message

    return limited


async def _read(receive: Receive) -> bytes:
    """The whole body of a request."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":  # half a body is no body
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _decode(content: bytes) -> Any:
    """A JSON body; an empty one counts as an object without properties."""
    if not content:
        return {}
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise refusal.not_json() from None


def _no_constant(name: str) -> Json:
    raise ValueError(name)  # NaN and the infinities are not JSON


_UPLOAD = closed(
    {
        "file": text(),
        "purpose": choice(*PURPOSES),
        "expires_after[anchor]": choice("created_at"),
        "expires_after[seconds]": integer(3600, 2_592_000),
    },
    ("file", "purpose"),
)


async def _upload(scope: Scope, receive: Receive, contents: Contents) -> Upload:
    """The checked form of create_file; its file goes from the wire to the disk, and to `contents`."""
    try:
        async with Request(scope, receive).form() as form:
            fields: dict[str, Any] = dict(form)
            file = fields.get("file")
            seconds = fields.get("expires_after[seconds]", "")
            if isinstance(seconds, str) and seconds.isdecimal():
                fields["expires_after[seconds]"] = int(seconds)
            if isinstance(file, UploadFile):
                fields["file"] = file.filename
            _UPLOAD(fields, "")
            if not isinstance(file, UploadFile):
                raise refusal.invalid(
                    "Invalid type for 'file': expected a file, but got a string instead.", "file", "invalid_type"
                )
            arrived = await asyncio.to_thread(contents.receive, file.file)
            size = arrived.stat().st_size
    except MultiPartException as error:
        raise refusal.invalid(f"Could not parse multipart form: {error.message}") from None
    return Upload(fields["file"], arrived, size, fields["purpose"], fields.get("expires_after[seconds]"))
