"""Calls to answers: credentials, retries, redirects, and what a failure means. One client a connection."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit

from provider.catalog.catalog import Method, Provider, path_keys
from provider.catalog.failures import Missing
from provider.errors import (
    ApiError,
    AuthError,
    ConflictError,
    InterfaceError,
    OutcomeUnknown,
    RateLimited,
    TransportError,
)
from provider.rest import auth
from provider.rest.request import Call, Exchange, Target
from provider.rest.retry import RETRIED, RetryPolicy, retry_after
from provider.rest.transport import Request, Response

if TYPE_CHECKING:
    import httpx

_MAX_REDIRECTS = 5
#: Answers that do not say whether a write was executed (RFC 9110, sections 15.5.9 and 15.6).
_UNKNOWN = frozenset({408, 500, 502, 503, 504})
_DETAIL = 2_000


class Sender(Protocol):
    """What a client needs of a transport."""

    async def send(self, request: Request) -> Response: ...
    async def aclose(self) -> None: ...


class Client:
    """Sends calls for one connection.

    Args:
        environ: where credentials and base URLs are looked up, at the time of each call.
        base_urls: base URL by provider; wins over the environment and the manifest.
        max_concurrency: requests in flight, per provider.
        timeout: seconds to wait for an answer to begin, and between two parts of it.
        retry: see `RetryPolicy`.
        observe: told of each exchange; called on the client's event loop.
        allow_plain_http: permit http:// to hosts other than this machine.
        http_client: a client to send through, instead of one's own connections.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        base_urls: Mapping[str, str],
        max_concurrency: int,
        timeout: float,
        retry: RetryPolicy,
        observe: Callable[[Exchange], None],
        allow_plain_http: bool = False,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._environ = environ
        self._base_urls = base_urls
        self._max_concurrency = max_concurrency
        self._timeout = timeout
        self._retry = retry
        self._observe = observe
        self._allow_plain_http = allow_plain_http
        self._http_client = http_client
        self._transports: dict[str, Sender] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._held_until: dict[str, float] = {}

    def base_url(self, provider: Provider) -> str:
        """Where a provider answers: the argument, else the environment, else the manifest's default."""
        given = self._base_urls.get(provider.name) or self._environ.get(provider.base_url.env or "")
        url = (given or provider.base_url.default).rstrip("/")
        if "?" in url or "#" in url or "@" in urlsplit(url).netloc:
            # Not shown: what stands there may be a secret.
            raise InterfaceError(
                f"the base URL of {provider.name} has more than a host and a path",
                remedy="Leave out what follows ? or #, and what stands before @; credentials have their own settings.",
            )
        return url

    async def send(self, target: Target, method: Method, call: Call, *, none_is_fine: bool = True) -> bytes | None:
        """Send a call and return the body of its answer.

        None when the API says 'no such object', unless `none_is_fine` is False: then that is an ApiError.

        A safe call is repeated after a fault that may pass; a write is sent once.

        Raises:
            InterfaceError: no credentials.
            ApiError: the API refused; AuthError, RateLimited or ConflictError where it is one of these.
            TransportError: no usable answer; for a write, OutcomeUnknown when it may have been executed.
        """
        slot = self._slots.setdefault(target.provider.name, asyncio.Semaphore(self._max_concurrency))
        async with slot:
            response = await self._persist(target, method, call)
        if 200 <= response.status < 300:
            return response.body
        if none_is_fine and method.missing is not None and _is_missing(method.missing, response):
            return None
        failure = self._refusal(target, method, call, response)
        if not call.is_safe and response.status in _UNKNOWN:
            raise OutcomeUnknown(
                f"{call.http_method} {call.path} answered {response.status}; it may have been executed",
                reason="A server that fails, or a gateway that gives up, does not say how far it came.",
                remedy="It is not repeated. Look at what is there before you run it again.",
                detail=getattr(failure, "detail", ""),
            )
        raise failure

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()

    async def _persist(self, target: Target, method: Method, call: Call) -> Response:
        """Send until there is an answer that is worth judging."""
        attempt = 0
        waited = held = 0.0
        while True:
            attempt += 1
            waited += await self._respect_hold(target.provider.name)
            failure: TransportError | None = None
            response: Response | None = None
            asked = None
            try:
                response = await self._follow(target, method, call, waited)
            except TransportError as e:
                failure = e
            else:
                if response.status not in RETRIED:
                    return response
                asked = retry_after(response.header("retry-after"), response.header("retry-after-ms"), time.time())
            # A refusal before acting (429, or 503 that names a time) is safe to repeat even for a write.
            refused = response is not None and (
                response.status == 429 or (response.status == 503 and asked is not None)
            )
            unsent = failure is not None and not failure.sent and not failure.permanent
            may_repeat = unsent or refused or (call.is_safe and not (failure is not None and failure.permanent))
            if response is not None and response.status == 429 and asked and held + asked <= self._retry.longest:
                # The API says when it will answer: that holds for the whole account, and is no failed attempt.
                self._held_until[target.provider.name] = time.monotonic() + asked
                held += asked
                attempt -= 1
                continue
            wait = self._retry.wait(attempt, asked, random.random()) if may_repeat else None  # noqa: S311 -- jitter
            if wait is None:
                if failure is None and response is not None:
                    return response
                assert failure is not None
                raise self._lost(call, failure) from failure
            await asyncio.sleep(wait)
            waited = wait

    async def _respect_hold(self, provider: str) -> float:
        """Wait while the API has asked for a pause; the seconds waited. Callers come back one after the other."""
        waited = 0.0
        while (pause := self._held_until.get(provider, 0.0) - time.monotonic()) > 0:
            pause += random.random() * min(1.0, 0.2 * pause)  # noqa: S311 -- jitter
            await asyncio.sleep(pause)
            waited += pause
        return waited

    def _lost(self, call: Call, failure: TransportError) -> Exception:
        if call.is_safe or not failure.sent:
            return failure
        return OutcomeUnknown(
            f"{call.http_method} {call.path}: no answer; it may have been executed",
            reason=failure.summary,
            remedy="It is not repeated. Look at what is there before you run it again.",
        )

    async def _follow(self, target: Target, method: Method, call: Call, waited: float) -> Response:
        """One attempt. Redirects are followed within the origin, for calls that may be repeated."""
        base = self.base_url(target.provider)
        url = base + call.target
        for _ in range(_MAX_REDIRECTS):
            response = await self._exchange(target, method, call, url, waited)
            location = response.header("location")
            if response.status not in (301, 302, 303, 307, 308) or location is None:
                return response
            following = urljoin(url, location)
            if _origin(following) != _origin(url) or not call.is_safe:
                raise ApiError(
                    f"{call} was redirected",
                    status=response.status,
                    reason=f"It points to {_origin(following)}, and credentials stay at {_origin(url)}."
                    if _origin(following) != _origin(url)
                    else "A write is not sent twice.",
                    remedy=f"Set the base URL of {target.provider.name} if the API has moved.",
                )
            url = following
        raise ApiError(f"{call} was redirected more than {_MAX_REDIRECTS} times", status=response.status)

    async def _exchange(self, target: Target, method: Method, call: Call, url: str, waited: float) -> Response:
        headers = [
            *auth.headers(target.provider, self._environ),
            *((n, v) for n, v in {**target.provider.headers, **target.service.headers}.items()),
            *((n, v) for n, env in target.provider.env_headers.items() if (v := self._environ.get(env))),
        ]
        if call.body is not None:
            headers.append(("Content-Type", "application/json"))
        request = Request(call.http_method, url, tuple(headers), call.body)
        started = time.monotonic()
        status, size = None, 0
        try:
            response = await self._transport(target.provider).send(request)
            status, size = response.status, response.wire_bytes
            return response
        finally:
            self._observe(Exchange(method.name, call, status, size, time.monotonic() - started, waited))

    def _transport(self, provider: Provider) -> Sender:
        if provider.name not in self._transports:
            self._transports[provider.name] = self._new_transport()
        return self._transports[provider.name]

    def _new_transport(self) -> Sender:
        if self._http_client is not None:
            from provider.rest.httpx_client import HttpxTransport

            return HttpxTransport(self._http_client)
        from provider.rest.transport import Timeouts, Transport

        return Transport(
            max_connections=self._max_concurrency,
            timeouts=Timeouts(read=self._timeout),
            allow_plain_http=self._allow_plain_http,
        )

    def _refusal(self, target: Target, method: Method, call: Call, response: Response) -> Exception:
        """What a status outside 2xx means, with the API's own words beneath."""
        provider = target.provider
        body = _json(response.body)
        errors = provider.errors
        message = _at(body, errors.message) if errors.message else None
        code = _at(body, errors.code) if errors.code else None
        words = message if isinstance(message, str) else response.body.decode("utf-8", "replace")
        detail = auth.redact(words.strip()[:_DETAIL], auth.secrets(provider, self._environ))
        request_id = response.header(errors.request_id_header) if errors.request_id_header else None
        if request_id:
            detail += f"\nrequest id {request_id}"
        status = response.status
        summary = f"{call} answered {status}"
        known = code if isinstance(code, str) else None
        match status:
            case 401 | 403:
                env = getattr(provider.auth, "env", None)
                return AuthError(
                    summary,
                    status=status,
                    code=known,
                    request_id=request_id,
                    detail=detail,
                    remedy=f"Check {env}." if env else "",
                )
            case 409 | 412:
                return ConflictError(summary, detail=detail)
            case 429:
                return RateLimited(summary, status=status, code=known, request_id=request_id, detail=detail)
        remedy = ""
        is_object = method.missing is not None and _is_missing(method.missing, response)
        if status in (404, 405, 410) and not is_object:
            remedy = (
                f"This is not the API's word for a missing object. Is {self.base_url(provider)} the right base URL?"
            )
        return ApiError(summary, status=status, code=known, request_id=request_id, detail=detail, remedy=remedy)


def _is_missing(rule: Missing, response: Response) -> bool:
    if response.status not in rule.status:
        return False
    if rule.pattern is None:
        return True
    value = _at(_json(response.body), rule.path)
    return isinstance(value, str) and re.search(rule.pattern, value) is not None


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _at(value: object, path: str) -> object:
    for key in path_keys(path):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"
