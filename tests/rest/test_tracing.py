"""OpenTelemetry: a span for each statement and, beneath it, one for each request."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import provider
from tests.rest.shop import LIST, connect, orders
from tests.rest.webserver import Reply, Seen, web_server

BEARER = "{type: bearer, env: SHOP_KEY}"
ENVIRON = {"SHOP_KEY": "open-sesame"}
ROOT = Path(__file__).parents[2]


class Spans:
    """`tracing` for a connection, and what it made."""

    def __init__(self, *, propagate: bool = False) -> None:
        self._memory = InMemorySpanExporter()
        to = TracerProvider()
        to.add_span_processor(SimpleSpanProcessor(self._memory))
        self.tracing = provider.Tracing(to, propagate=propagate)
        self.tracer = to.get_tracer("tests")

    def all(self) -> Sequence[ReadableSpan]:
        return self._memory.get_finished_spans()

    def by_kind(self) -> tuple[list[ReadableSpan], list[ReadableSpan]]:
        """Those of statements, and those of requests."""
        requests = [s for s in self.all() if s.kind.name == "CLIENT"]
        return [s for s in self.all() if s.kind.name == "INTERNAL"], requests


def test_requests_are_children_of_their_statement(tmp_path: Path) -> None:
    spans = Spans()
    with web_server(orders) as server, connect(tmp_path, server.url, BEARER, ENVIRON, tracing=spans.tracing) as conn:
        conn.execute("SELECT id FROM shop.sales.orders WHERE order_id IN ('o1', 'o2') AND state <> 'seçret'").fetchall()
        conn.execute(LIST).fetchall()
    (first, second), requests = spans.by_kind()
    assert first.name == "SELECT"
    assert dict(first.attributes or {}) == {
        "db.system.name": "apiql",
        "db.operation.name": "SELECT",
        "db.query.text": "SELECT id FROM shop.sales.orders WHERE order_id IN (?, ?) AND state <> ?",
        "apiql.requests": 2,
        "apiql.rows": 2,
    }
    assert [r.parent.span_id for r in requests if r.parent] == [s.context.span_id for s in (first, first, second)]
    assert {r.context.trace_id for r in requests[:2]} == {first.context.trace_id}
    assert requests[0].name == "GET /orders/{order_id}"
    assert dict(requests[0].attributes or {}) == {
        "http.request.method": "GET",
        "url.template": "/orders/{order_id}",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.response.status_code": 200,
    }


def test_repetitions_are_numbered_and_failures_are_marked(tmp_path: Path) -> None:
    replies = iter((Reply(503, {}), Reply(400, {"error": "order o1 says: open-sesame"})))
    spans = Spans()
    with (
        web_server(lambda _: next(replies)) as server,
        connect(tmp_path, server.url, BEARER, ENVIRON, tracing=spans.tracing) as conn,
        pytest.raises(provider.OperationalError),
    ):
        conn.execute("SELECT id FROM shop.sales.orders WHERE order_id = 'o1'")
    (statement,), (first, second) = spans.by_kind()
    told = ("http.response.status_code", "error.type", "http.request.resend_count")
    assert [[(r.attributes or {}).get(name) for name in told] for r in (first, second)] == [
        [503, "503", None],
        [400, "400", 1],
    ]
    assert statement.status.status_code.name == "ERROR"
    assert (statement.attributes or {})["error.type"] == "ApiError"
    assert all(not s.events and not s.status.description for s in spans.all())


def test_connections_that_share_it_have_their_own_requests(tmp_path: Path) -> None:
    first, second, over = threading.Event(), threading.Event(), threading.Event()

    def interleaved(request: Seen) -> Reply:
        match request.path:
            case "/orders/o1":  # the next request of its statement comes while the other statement runs
                first.set()
                second.wait(10)
            case "/orders":
                second.set()
                over.wait(10)
        return orders(request)

    spans, objects = Spans(), "SELECT id FROM shop.sales.orders WHERE order_id IN ('o1', 'o2')"
    with (
        web_server(interleaved) as server,
        connect(tmp_path, server.url, BEARER, ENVIRON, tracing=spans.tracing, max_concurrency=1) as one,
        connect(tmp_path, server.url, BEARER, ENVIRON, tracing=spans.tracing) as two,
    ):
        thread = threading.Thread(target=lambda: one.execute(objects).fetchall())
        thread.start()
        first.wait(10)
        other = threading.Thread(target=lambda: two.execute(LIST).fetchall())
        other.start()
        thread.join()
        over.set()
        other.join()
    statements, requests = spans.by_kind()
    texts = {s.context.span_id: str((s.attributes or {})["db.query.text"]) for s in statements}
    assert sorted((r.name, "IN" in texts[r.parent.span_id]) for r in requests if r.parent) == [
        ("GET /orders", False),
        ("GET /orders/{order_id}", True),
        ("GET /orders/{order_id}", True),
    ]


def test_a_statement_is_a_child_of_what_runs_it(tmp_path: Path) -> None:
    spans = Spans()
    with (
        web_server(orders) as server,
        connect(tmp_path, server.url, BEARER, ENVIRON, tracing=spans.tracing) as conn,
        spans.tracer.start_as_current_span("job") as job,
    ):
        conn.execute(LIST).fetchall()
    (statement, _), _ = spans.by_kind()
    assert statement.parent == job.get_span_context()


def test_a_span_has_no_value_of_a_statement_that_is_none(tmp_path: Path) -> None:
    spans = Spans()
    with web_server(orders) as server, connect(tmp_path, server.url, BEARER, ENVIRON, tracing=spans.tracing) as conn:
        for sql in ("SELECT 'seçret", "SELECT $$seçret", "SET cache = seçret", "SELECT /* seçret"):
            with pytest.raises(provider.Error):
                conn.execute(sql)
    assert [(s.name, (s.attributes or {})["db.query.text"]) for s in spans.all()] == [
        ("SELECT", "SELECT ?"),
        ("SELECT", "SELECT ?"),
        ("SET", "SET cache = ?"),
        ("SELECT", "SELECT ?"),
    ]


def test_a_token_endpoint_leaves_no_secret_in_a_span(tmp_path: Path) -> None:
    def shop(request: Seen) -> Reply:
        return Reply(body={"access_token": "token-abcdef"}) if request.path == "/token" else orders(request)

    spans, auth = (
        Spans(propagate=True),
        "{type: oauth2_client_credentials, token_url: '/token?k=in-the-url', client_id: a, client_secret_env: S}",
    )
    with (
        web_server(shop) as server,
        connect(tmp_path, server.url, auth, {"S": "s3cret-of-app"}, tracing=spans.tracing) as c,
    ):
        c.execute(LIST).fetchall()
    told = "".join(s.to_json() for s in spans.all())
    assert "POST /token" in told
    assert not [secret for secret in ("token-abcdef", "s3cret-of-app", "in-the-url") if secret in told]


def test_the_command_makes_spans_where_opentelemetry_is_set_up(tmp_path: Path, emulator: Any) -> None:
    script = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
if sys.argv.pop(1) == "set-up":
    to = TracerProvider()
    to.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    trace.set_tracer_provider(to)
from provider.interfaces.cli import main
main()
"""
    query = ["query", "SELECT id FROM openai.assistants.assistants", "--base-url", f"openai={emulator.base_url}"]
    told = {
        way: subprocess.run(
            [sys.executable, "-c", script, way, *query],
            cwd=ROOT,
            env={**os.environ, "OPENAI_API_KEY": "any"},
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        for way in ("set-up", "not")
    }
    assert '"name": "GET /assistants"' in told["set-up"]
    assert '"name"' not in told["not"]


@pytest.mark.parametrize("propagate", [False, True])
def test_traceparent_is_sent_only_if_asked_for(tmp_path: Path, propagate: bool) -> None:
    spans = Spans(propagate=propagate)
    with web_server(orders) as server, connect(tmp_path, server.url, BEARER, ENVIRON, tracing=spans.tracing) as conn:
        conn.execute(LIST).fetchall()
    _, (request,) = spans.by_kind()
    sent = server.requests[0].headers.get("traceparent")
    expected = f"00-{request.context.trace_id:032x}-{request.context.span_id:016x}-{request.context.trace_flags:02x}"
    assert sent == (expected if propagate else None)


def test_without_tracing_nothing_of_it_is_imported(tmp_path: Path, emulator: Any) -> None:
    script = """
import sys, provider
with provider.connect(base_urls={"openai": sys.argv[1]}, environ={"OPENAI_API_KEY": "any"}) as conn:
    conn.execute("SELECT id FROM openai.assistants.assistants").fetchall()
print([name for name in sys.modules if name.startswith("opentelemetry") or name == "provider.rest.tracing"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, emulator.base_url], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_missing_library_is_told_with_its_extra() -> None:
    script = """
import sys
sys.modules["opentelemetry"] = None
import provider
try:
    provider.Tracing()
except provider.InterfaceError as e:
    print(e)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "tracing needs the extra 'otel'\n  pip install 'apiql[otel]'\n"
