"""An ASGI application on a free loopback port, and what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Sent:
    """A request as it stood on the wire."""

    line: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Log:
    """The requests that arrived."""

    requests: list[Sent] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Method, target and body of each request, in order; forgets them."""
        found = [f"{r.line} {r.body.decode()}".rstrip() for r in self.requests]
        self.requests.clear()
        return found

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The same application, with its requests kept here before they are answered."""

        async def logged(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            body, more = b"", True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            query = scope["query_string"].decode()
            target = scope["raw_path"].decode() + (f"?{query}" if query else "")
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.requests.append(Sent(f"{scope['method']} {target}", body, headers))
            whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

            async def again() -> Message:
                return whole.pop() if whole else await receive()

            await app(scope, again, send)

        return logged


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, app: ASGIApp, listening: Callable[[], Any]) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve until the block ends; the server's origin."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        ready = threading.Event()
        server = _Server(app, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        assert ready.wait(timeout=20)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
