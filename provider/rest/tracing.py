"""Spans for OpenTelemetry: one for each statement, one beneath it for each request. It needs the extra `otel`.

Nobody imports this module but who makes a `Tracing`, so that without one nothing of OpenTelemetry is loaded.

Attributes have the names of OpenTelemetry's semantic conventions for databases and HTTP. No span has a value of a
statement, a query string, a header, a body or the words of an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provider.rest.auth.extras import library

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider


class Tracing:
    """Makes spans; one may be given to any number of connections.

    Args:
        tracer_provider: where they go; OpenTelemetry's global one by default.
        propagate: send `traceparent` with each request, so that an API can go on with the trace.

    Raises:
        InterfaceError: OpenTelemetry is not installed.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None, *, propagate: bool = False) -> None:
        self._api: Any = library("opentelemetry.trace", "otel", "tracing")
        self._tracer = self._api.get_tracer("apiql", tracer_provider=tracer_provider)
        self._propagator: Any = None
        if propagate:
            format_ = library("opentelemetry.trace.propagation.tracecontext", "otel", "tracing")
            self._propagator = format_.TraceContextTextMapPropagator()
        # Requests are sent on another thread than statements are run on, and a connection runs one at a time.
        self._statement: Span | None = None

    def of_connection(self) -> Tracing:
        """The same for one connection, whose requests belong to the statement that it runs."""
        return copy(self)

    @contextmanager
    def statement(self, operation: str, text: str) -> Iterator[Span]:
        """The span of a statement.

        Args:
            operation: its first word, `SELECT`; '' for what begins with none.
            text: the statement with ? for its values.
        """
        attributes = {"db.system.name": "apiql", "db.operation.name": operation, "db.query.text": text}
        outer = self._statement
        with self._span(operation, self._api.SpanKind.INTERNAL, attributes) as span:
            self._statement = span
            try:
                yield span
            finally:
                self._statement = outer

    @contextmanager
    def request(self, http_method: str, template: str, url: str, resend: int) -> Iterator[RequestSpan]:
        """The span of a request, beneath that of the statement that runs.

        Args:
            template: its path with the names of parameters: `/threads/{thread_id}`.
            url: where it goes; only host and port are kept.
            resend: how many times the same call was sent before.
        """
        parts = urlsplit(url)
        attributes: dict[str, str | int] = {
            "http.request.method": http_method,
            "url.template": template,
            "server.address": parts.hostname or "",
            "server.port": parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0),
        }
        if resend:
            attributes["http.request.resend_count"] = resend
        with self._span(f"{http_method} {template}", self._api.SpanKind.CLIENT, attributes) as span:
            yield RequestSpan(span, self._api.StatusCode.ERROR, self._propagator)

    @contextmanager
    def _span(self, name: str, kind: Any, attributes: dict[str, Any]) -> Iterator[Span]:
        context = self._api.set_span_in_context(self._statement) if self._statement is not None else None
        options = {"record_exception": False, "set_status_on_exception": False}  # their words may quote values
        with self._tracer.start_as_current_span(name, context, kind, attributes, **options) as span:
            try:
                yield span
            except BaseException as e:
                span.set_attribute("error.type", type(e).__name__)
                span.set_status(self._api.StatusCode.ERROR)
                raise


class RequestSpan:
    """The span of a request that is under way."""

    def __init__(self, span: Span, failed: Any, propagator: Any) -> None:
        self._span = span
        self._failed = failed
        self._propagator = propagator

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What tells the API of the trace."""
        if self._propagator is None:
            return ()
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return tuple(carrier.items())

    def answered(self, status: int) -> None:
        """The answer has come."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(self._failed)
