"""A server that says, piece by piece, the stream of events that a test wants, and knows when its reader has gone."""

from __future__ import annotations

import select
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"

#: A provider with streams of all kinds, at a base URL.
JOBS = """
provider: cloud
base_url: {default: '%s'}
errors: {message: $.error.message}
---
service: v1
resources:
  jobs:
    key: {id: job_id}
    fields: {id: {type: string}, state: {type: string}}
    methods:
      get_job: {sql: SELECT, http: 'GET /jobs/{job_id}'}
      create_job:
        sql: INSERT
        http: POST /jobs
        body: {name: {}, live: {type: boolean, streams: true}}
        await: &job
          {method: cloud.v1.jobs.get_job, parameters: {job_id: $.id}, state: $.state, done: [done], failed: [broken],
           error: [$.why]}
        stream: &events
          end: END
          object: '^job$'
          failure: {event: trouble, message: $.words, code: $.number}
          text: {event: piece, path: $.parts.text}
      follow_job:
        sql: EXEC
        http: GET /jobs/{job_id}/events
        stream: {name: $.type, text: {event: piece, path: $.parts.text}}
      resume_job:
        sql: EXEC
        http: GET /jobs/{job_id}/more
        query: {behind: {}}
        stream: {resume: {param: behind, by: count}}
      return_to_job:
        sql: EXEC
        http: GET /jobs/{job_id}/again
        stream: {end: END, resume: {header: Last-Event-ID}}
"""


class Wire:
    """One request, seen from the server: `head` as received, and its `body`."""

    def __init__(self, sock: socket.socket, head: str, body: bytes) -> None:
        self.head = head
        self.body = body
        self._socket = sock

    @property
    def line(self) -> str:
        """Method and target."""
        return self.head.split("\r\n")[0].removesuffix(" HTTP/1.1")

    def header(self, name: str) -> str | None:
        found = [v.strip() for k, _, v in (h.partition(":") for h in self.head.split("\r\n")) if k.lower() == name]
        return found[0] if found else None

    def say(self, text: str | bytes) -> None:
        self._socket.sendall(text if isinstance(text, bytes) else text.encode())

    def answer(self, body: str, status: str = "200 OK", kind: str = "application/json") -> None:
        """A whole answer."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n"
        self.say(f"{head}Connection: close\r\n\r\n{body}")

    def reset(self) -> None:
        """End the connection as a crash would."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def left(self, seconds: float) -> bool:
        """Wait until the reader goes away, at most for so long; whether it did."""
        readable, _, _ = select.select([self._socket], [], [], seconds)
        try:
            return bool(readable) and self._socket.recv(1) == b""
        except ConnectionError:
            return True


class EventServer(socketserver.ThreadingTCPServer):
    """`requests` are the wires that came, in order."""

    daemon_threads = True

    def __init__(self, script: Callable[[Wire], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Wire] = []
        self.script = script
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    server: EventServer

    def handle(self) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            if not (piece := self.request.recv(65536)):
                return
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
        while lengths and len(body) < int(lengths[0].split(b":")[1]):
            body += self.request.recv(65536)
        wire = Wire(self.request, head.decode(), body)
        self.server.requests.append(wire)
        with suppress(OSError):  # the reader has gone, or the script has ended the connection
            self.server.script(wire)


@contextmanager
def event_server(script: Callable[[Wire], None]) -> Iterator[EventServer]:
    """Serve until the block ends; `script` is called with each request, in a thread of its own."""
    with EventServer(script) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
