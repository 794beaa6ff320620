"""One request and its answer: signed, sent, followed where it is redirected within its origin, and accounted for."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from provider.catalog.catalog import Method
from provider.errors import ApiError
from provider.rest.auth.credentials import Signed
from provider.rest.auth.redaction import redact
from provider.rest.connections import Sender
from provider.rest.multipart import FormBody
from provider.rest.request import Call, Exchange, Target
from provider.rest.routes import Route
from provider.rest.traffic import Traffic
from provider.rest.transport import Headers, Request, Response
from provider.rest.waits import NOTHING, Waits

if TYPE_CHECKING:
    from provider.rest.tracing import RequestSpan, Tracing

_MAX_REDIRECTS = 5
_NO_SPAN = nullcontext()
_JSON: Headers = (("Content-Type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Errand:
    """A call on its way to an answer: what stays the same however often it is sent.

    `headers` are those of this call alone; `sender` sends it and reads its answer.
    """

    route: Route
    target: Target
    method: Method
    call: Call
    sender: Sender
    headers: Headers


@dataclass(frozen=True, slots=True)
class Before:
    """What came before a request: waits, and the same call, so many times."""

    waits: Waits
    resend: int


class Exchanging:
    """Sends requests, and tells of each.

    Args:
        traffic: counts what is on the way.
        observe: told of each exchange.
        moved: told of bytes of files as they are sent.
        tracing: makes a span of each request.
    """

    def __init__(
        self,
        traffic: Traffic,
        observe: Callable[[Exchange], None],
        moved: Callable[[int], None],
        tracing: Tracing | None,
    ) -> None:
        self._traffic = traffic
        self._observe = observe
        self._moved = moved
        self._tracing = tracing

    async def send(self, errand: Errand, before: Before) -> tuple[Response, Signed]:
        """Send a call once. Redirects are followed within the origin, for calls that may be repeated.

        Raises:
            ApiError: a redirect that leads elsewhere, or one too many.
            TransportError: no usable answer.
            Error: there are no credentials.
        """
        call, own = errand.call, errand.route.headers + errand.headers
        url = call.url(errand.route.base_url)
        for _ in range(_MAX_REDIRECTS):
            with self._span(call.http_method, errand.method.path, url, before.resend) as span:
                headers = own + span.headers if span is not None else own
                if call.form is not None:
                    with FormBody(call.form, self._moved) as form:
                        headers += (("Content-Type", form.content_type),)
                        response, signed = await self._sent(
                            errand, Request(call.http_method, url, headers, form), before
                        )
                else:
                    headers += _JSON if call.body is not None else ()
                    request = Request(call.http_method, url, headers, call.body)
                    response, signed = await self._sent(errand, request, before)
                if span is not None:
                    span.answered(response.status)
            if response.status not in (301, 302, 303, 307, 308):
                return response, signed
            location = response.header("location")
            if location is None:
                return response, signed
            following = urljoin(url, location)
            if _origin(following) != _origin(url) or not call.is_safe:
                raise ApiError(
                    f"{call} was redirected",
                    status=response.status,
                    reason=f"It points to {_origin(following)}, and credentials stay at {_origin(url)}."
                    if _origin(following) != _origin(url)
                    else "A write is not sent twice.",
                    remedy=f"Set the base URL of {errand.target.provider.name} if the API has moved.",
                )
            url = following
        raise ApiError(f"{call} was redirected more than {_MAX_REDIRECTS} times", status=response.status)

    async def authenticate(self, target: Target, request: Request, sender: Sender) -> Response:
        """Send a request of an authentication flow, as it stands; errors as those of the transport."""
        path = urlsplit(request.url).path
        started = time.monotonic()
        status, size = None, 0
        try:
            with self._span(request.method, path, request.url) as span:
                response = await sender.send(request)
                if span is not None:
                    span.answered(response.status)
            status, size = response.status, response.wire_bytes
            return response
        finally:
            shown = Call(request.method, path, (), None, f"{request.method} {path}")
            seconds = time.monotonic() - started
            self._observe(Exchange("authenticate", shown, status, size, seconds, NOTHING, target.provider.name))

    async def _sent(self, errand: Errand, request: Request, before: Before) -> tuple[Response, Signed]:
        """Sign and send one request, and tell of it."""
        method, call, credentials = errand.method, errand.call, errand.route.credentials
        signed = await credentials.sign(request)
        started = time.monotonic()
        status, size = None, 0
        self._traffic.in_flight += 1
        try:
            response = await errand.sender.send(signed.request)
            status, size = response.status, response.wire_bytes
            return response, signed
        finally:
            self._traffic.in_flight -= 1
            seconds = time.monotonic() - started
            if call.link is not None:
                # An API may name the next page with the key that it was asked with.
                call = replace(call, link=redact(call.link, credentials.hidden))
            told = Exchange(method.name, call, status, size, seconds, before.waits, method.resource, before.resend)
            self._observe(told)

    def _span(
        self, http_method: str, template: str, url: str, resend: int = 0
    ) -> AbstractContextManager[RequestSpan | None]:
        if self._tracing is None:
            return _NO_SPAN
        return self._tracing.request(http_method, template, url, resend)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"
