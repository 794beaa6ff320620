"""A loopback HTTP server that answers for worlds as their manifests say: paged lists, objects, documented 404s."""

from __future__ import annotations

import json
import operator
import re
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlencode

import uvicorn

from tests.oracle.pages import PAGINGS, Refused, body
from tests.oracle.world import Filter, Method, Resource, Row, World, comparable

Message = MutableMapping[str, Any]
#: Status, body, and headers besides those of the content.
Reply = tuple[int, bytes, tuple[tuple[str, str], ...]]
NOT_FOUND: Reply = (404, b'{"error":{"code":"not_found","message":"no such object"}}', ())
GONE: Reply = (404, b'{"error":{"code":"unknown_url","message":"no such endpoint"}}', ())

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
#: How a strict API wants days and times written: ISO 8601 with a zone.
_TIMES = {
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
}


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
        """Serve a world in place of earlier ones; the base URL, to which `/` and a provider's name belong."""
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
            status, body, further = self._answer(path, dict(parse_qsl(query, keep_blank_values=True)))
        except Refused as e:
            error = {"error": {"code": "bad_request", "message": str(e)}}
            status, body, further = 400, json.dumps(error).encode(), ()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in further]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, path: str, query: dict[str, str]) -> Reply:
        _, prefix, *rest = path.split("/")
        world = self._worlds.get(prefix)
        if world is None or not rest:
            return GONE
        provider, *segments = rest
        for resource in world.resources:
            for method in resource.methods if resource.provider == provider else ():
                values = _match(method.path.split("/")[1:], segments)
                if values is not None:
                    return self._run(world, resource, method, values, query, path)
        return GONE

    def _run(
        self,
        world: World,
        resource: Resource,
        method: Method,
        values: dict[str, str],
        query: dict[str, str],
        path: str,
    ) -> Reply:
        rows = list(resource.rows)
        for parameter, text in values.items():
            name = resource.column(parameter)
            rows = [r for r in rows if _compared(r, name, "=", text, resource.columns[name])]
        for name in method.required:
            if name not in query:
                raise Refused(f"{name} is required")
        paging = PAGINGS[world.paging]
        sort, direction = method.sort, method.sort.default if method.sort else ""
        kept = []
        for name, text in query.items():
            if method.lists and name in paging.params:
                continue
            kept.append((name, text))
            if name in method.query:
                rule = method.query[name]
                rows = _filtered(rows, rule, text, resource.columns[rule.field])
            elif sort is not None and name == sort.param:
                if text not in ("asc", "desc"):
                    raise Refused(f"{name} is {text}")
                direction = text
            else:
                raise Refused(f"{name} is no parameter")
        if not method.lists:
            return (200, self._row(resource, rows[0]), ()) if rows else NOT_FOUND
        if not rows and values and world.strict:
            return NOT_FOUND
        if sort is not None:
            rows = sort.sorted(rows, resource.columns[sort.field], direction)
        url = f"{self.url}{path}" + (f"?{urlencode(kept)}" if kept else "")
        page = paging.cut(query, len(rows), world.page, url)
        sent = b",".join(self._row(resource, r) for r in rows[page.start : page.end])
        return 200, body(page, sent), page.headers

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


def _compared(row: Row, name: str, sign: str, text: str, type_: str) -> bool:
    """Whether `name sign text` holds for a row, by the field's type; never for NULL."""
    match type_:
        case "integer" if not re.fullmatch(r"-?\d+", text):
            raise Refused(f"{name}={text} is no integer")
        case "boolean" if text not in ("true", "false"):
            raise Refused(f"{name}={text} is no boolean")
        case "date" | "timestamp" if not _TIMES[type_].fullmatch(text):
            raise Refused(f"{name}={text} is no {type_}")
        case "decimal(20,4)" | "number" if not re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text):
            raise Refused(f"{name}={text} is no number")
    value = row.get(name)
    if value is None:
        return False
    if type_ in ("integer", "number"):
        bound: Any = int(text) if type_ == "integer" else float(text)
    else:
        value = json.dumps(value) if isinstance(value, bool) else value
        bound, value = comparable(text, type_), comparable(value, type_)
    return bool(_OPERATORS[sign](value, bound))


def _filtered(rows: list[Row], rule: Filter, text: str, type_: str) -> list[Row]:
    if rule.how == "nocase":
        return [r for r in rows if (v := r.get(rule.field)) is not None and str(v).lower() == text.lower()]
    found = [_compared(r, rule.field, rule.operator, text, type_) for r in rows]
    if rule.how == "wide":
        return [r for i, (r, wanted) in enumerate(zip(rows, found, strict=True)) if wanted or i % 2]
    kept = [r for r, wanted in zip(rows, found, strict=True) if wanted]
    return kept[:1] if rule.how == "lossy" else kept
