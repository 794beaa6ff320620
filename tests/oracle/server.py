"""A loopback HTTP server that answers for worlds as their manifests say: paged lists, objects, documented 404s."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

import uvicorn

from tests.oracle.world import Method, Resource, Row, World

Message = MutableMapping[str, Any]
_NOT_FOUND = (404, b'{"error":{"code":"not_found","message":"no such object"}}')
_GONE = (404, b'{"error":{"code":"unknown_url","message":"no such endpoint"}}')


class Server:
    """Serves worlds, each under a prefix of its own. `log` has the targets that were asked for, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self._worlds: dict[str, World] = {}
        self._bodies: dict[int, bytes] = {}
        self._count = 0
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._app, log_level="error", lifespan="off", access_log=False, ws="none", interface="asgi3"
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Self:
        # The socket listens before the thread runs: a client that comes early waits in its queue.
        self._socket.listen(512)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._uvicorn.should_exit = True
        self._uvicorn.force_exit = True
        self._thread.join()
        self._socket.close()

    def serve(self, world: World) -> str:
        """Serve a world in place of earlier ones; its base URL."""
        self._count += 1
        self._bodies = {}
        self._worlds = {f"w{self._count}": world}
        self.log.clear()
        return f"{self.url}/w{self._count}"

    async def _app(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        path, query = scope["raw_path"].decode("ascii"), scope["query_string"].decode("ascii")
        self.log.append(f"{path}?{query}" if query else path)
        try:
            status, body = self._answer(path, dict(parse_qsl(query, keep_blank_values=True)))
        except _Refused as e:
            status, body = 400, json.dumps({"error": {"code": "bad_request", "message": str(e)}}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        _, prefix, *segments = path.split("/")
        world = self._worlds.get(prefix)
        if world is None:
            return _GONE
        for resource in world.resources:
            for method in resource.methods:
                values = _match(method.path.split("/")[1:], segments)
                if values is not None:
                    return self._run(world, resource, method, values, query)
        return _GONE

    def _run(
        self, world: World, resource: Resource, method: Method, values: dict[str, str], query: dict[str, str]
    ) -> tuple[int, bytes]:
        rows = list(resource.rows)
        for parameter, text in values.items():
            name = resource.column(parameter)
            rows = [r for r in rows if _equal(r, name, text, resource.columns[name])]
        size, start = world.page, 0
        for name in method.required:
            if name not in query:
                raise _Refused(f"{name} is required")
        for name, text in query.items():
            if name == "limit" and method.lists:
                if not re.fullmatch(r"\d+", text) or not 1 <= int(text) <= world.page:
                    raise _Refused(f"limit is {text}")
                size = int(text)
            elif name == "after" and method.lists:
                start = int(text.removeprefix("c"))
            elif name in method.query:
                rule = method.query[name]
                rows = _filtered(rows, rule.field, rule.how, text, resource.columns[rule.field])
            else:
                raise _Refused(f"{name} is no parameter")
        if not method.lists:
            return (200, self._row(resource, rows[0])) if rows else _NOT_FOUND
        if not rows and values and world.strict:
            return _NOT_FOUND
        page = rows[start : start + size]
        more = start + size < len(rows)
        body = b'{"data":[%b],"has_more":%b,"last_id":%b}' % (
            b",".join(self._row(resource, r) for r in page),
            b"true" if more else b"false",
            json.dumps(f"c{start + size}").encode() if page else b"null",
        )
        return 200, body

    def _row(self, resource: Resource, row: Row) -> bytes:
        body = self._bodies.get(id(row))
        if body is None:
            parts = []
            for i, (name, type_) in enumerate(resource.fields.items()):
                value = row.get(name)
                # NULL is now a null and now an absent key, as APIs do it.
                if name in resource.unsent or (value is None and (len(row) + i + len(str(row))) % 2):
                    continue
                text = value if type_.startswith("decimal") and value is not None and len(value) < 14 else None
                parts.append(f"{json.dumps(name)}:{text or json.dumps(value, ensure_ascii=i % 2 == 0)}")
            body = self._bodies[id(row)] = ("{" + ",".join(parts) + "}").encode()
        return body


class _Refused(Exception):
    """What a strict API answers 400 to."""


def _match(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    values = {}
    for wanted, segment in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            values[wanted[1:-1]] = unquote(segment)
        elif wanted != segment:
            return None
    return values


def _equal(row: Row, name: str, text: str, type_: str) -> bool:
    if type_ == "integer" and not re.fullmatch(r"-?\d+", text):
        raise _Refused(f"{name}={text} is no integer")
    if type_ == "boolean" and text not in ("true", "false"):
        raise _Refused(f"{name}={text} is no boolean")
    value = row.get(name)
    if value is None:
        return False
    if type_ == "integer":
        return int(text) == int(value)
    return text == (json.dumps(value) if isinstance(value, bool) else str(value))


def _filtered(rows: list[Row], name: str, how: str, text: str, type_: str) -> list[Row]:
    if how == "nocase":
        return [r for r in rows if (v := r.get(name)) is not None and str(v).lower() == text.lower()]
    found = [r for r in rows if _equal(r, name, text, type_)]
    return found[:1] if how == "lossy" else found
