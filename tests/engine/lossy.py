"""An HTTP proxy that passes every request on and loses some answers: the server has acted, and nobody is told."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class LossyProxy:
    """A proxy on a free loopback port, as a context manager.

    Args:
        base_url: the server behind it.
        loses: told the number of a write's answer, counted from 1; whether that answer is lost.
        before: called with the number of each write before it is passed on; may block.
    """

    def __init__(
        self, base_url: str, loses: Callable[[int], bool], before: Callable[[int], None] = lambda _: None
    ) -> None:
        parts = urlsplit(base_url)
        upstream = f"{parts.hostname}:{parts.port}"
        lock = threading.Lock()
        counts = {"writes": 0, "lost": 0}
        self._counts = counts

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self._server = http.client.HTTPConnection(upstream)

            def finish(self) -> None:
                self._server.close()
                super().finish()

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                lost = False
                if self.command != "GET":
                    with lock:
                        counts["writes"] += 1
                        number = counts["writes"]
                    before(number)
                    lost = loses(number)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in (*_HOP, "host")}
                self._server.request(self.command, self.path, body, headers)
                answer = self._server.getresponse()
                content = answer.read()
                if lost:
                    with lock:
                        counts["lost"] += 1
                    self.close_connection = True
                    return
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = _pass_on  # noqa: N815 -- the names are http.server's

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self.base_url = f"http://127.0.0.1:{self._http.server_port}{parts.path}"

    @property
    def lost(self) -> int:
        """How many answers were lost."""
        return self._counts["lost"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
