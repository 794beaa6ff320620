"""The emulator as a process (`serve`) and as a neighbour in a thread (`Emulator`)."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from provider.emulator.app import create_app
from provider.errors import InterfaceError

LOOPBACK = "127.0.0.1"
_LOGGED = (
    b"accept",
    b"accept-encoding",
    b"content-type",
    b"if-none-match",
    b"openai-beta",
    b"openai-organization",
    b"openai-project",
    b"user-agent",
    b"x-stainless-retry-count",
)


class LoggedRequest(NamedTuple):
    """A request as it arrived: path and query undecoded, selected headers with lower-case names.

    The Authorization header is never among them.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]


class RequestLog:
    """The requests that an application received, in order; safe to read from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[LoggedRequest] = []
        self._in_flight = 0
        self._max_in_flight = 0

    def __iter__(self) -> Iterator[LoggedRequest]:
        with self._lock:
            return iter(list(self._requests))

    def __len__(self) -> int:
        with self._lock:
            return len(self._requests)

    def __getitem__(self, index: int) -> LoggedRequest:
        with self._lock:
            return self._requests[index]

    def clear(self) -> None:
        """Forgets the requests so far, and restarts the count of the most in flight."""
        with self._lock:
            self._requests.clear()
            self._max_in_flight = self._in_flight

    @property
    def max_in_flight(self) -> int:
        """The most requests that were open at the same time since the last `clear`."""
        with self._lock:
            return self._max_in_flight

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The same application, with its requests logged here."""

        async def logged(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            self._enter(scope)
            try:
                await app(scope, receive, send)
            finally:
                with self._lock:
                    self._in_flight -= 1

        return logged

    def _enter(self, scope: Scope) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in _LOGGED
        }
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        request = LoggedRequest(scope["method"], path, scope["query_string"].decode("latin-1"), headers)
        with self._lock:
            self._requests.append(request)
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, app: ASGIApp, listening: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="on",
                # Long: a client that finds its kept connection closed cannot tell whether a write happened.
                timeout_keep_alive=600,
                timeout_graceful_shutdown=1,
            )
        )
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is: without that,
    # every answer waits 40 ms for an acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        raise InterfaceError(
            f"the emulator cannot listen on {host}:{port}",
            reason=str(error),
            remedy="Choose another port; 0 takes a free one.",
        ) from error
    return bound


def _base_url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def serve(host: str = LOOPBACK, port: int = 0, data: Path | None = None, **options: Any) -> None:
    """Runs the emulator until it is interrupted (Ctrl-C or SIGTERM).

    Args:
        host: address to listen on; only loopback unless another one is named.
        port: 0 takes a free one.
        data: directory of the stored objects, or None for memory.
        options: those of `create_app`.

    Raises:
        InterfaceError: the port is taken, or the data cannot be used.
    """
    bound = _bind(host, port)
    url = _base_url(bound)

    def announce() -> None:
        sys.stderr.write(
            f"apiql emulator listens on {url} (export OPENAI_BASE_URL={url} OPENAI_API_KEY=any; Ctrl-C stops it)\n"
        )

    with bound, suppress(KeyboardInterrupt):
        _Server(create_app(data, **options), announce).run(sockets=[bound])


class Emulator:
    """The emulator on a free loopback port, in a thread of this process, as a context manager.

    ``with Emulator() as emulator: ... emulator.base_url ...``. `data` and `options` are those of
    `create_app`, and so are the errors on entering. `requests` is the log of what arrived.
    """

    def __init__(self, data: Path | None = None, **options: Any) -> None:
        self.requests = RequestLog()
        self.base_url = ""
        self._data = data
        self._options = options

    @property
    def max_in_flight(self) -> int:
        """The most requests that were open at the same time since the last `requests.clear()`."""
        return self.requests.max_in_flight

    def __enter__(self) -> Self:
        app = self.requests.wrap(create_app(self._data, **self._options))
        self._socket = _bind(LOOPBACK, 0)
        self.base_url = _base_url(self._socket)
        ready = threading.Event()
        self._server = _Server(app, ready.set)
        self._thread = threading.Thread(target=self._run, args=(ready,), name="apiql-emulator", daemon=True)
        self._thread.start()
        ready.wait()
        if not self._server.started:
            raise InterfaceError("the emulator could not start")
        return self

    def _run(self, ready: threading.Event) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            ready.set()  # a server that could not start must not keep its user waiting

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
