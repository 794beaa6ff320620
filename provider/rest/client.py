"""Calls to answers: credentials, retries, redirects, and what a failure means. One client a connection."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

from provider.catalog.catalog import Method
from provider.catalog.credentials import NoAuth
from provider.catalog.limits import Limits as Budgets
from provider.errors import ApiError, Error, InterfaceError, TransportError
from provider.rest.auth.certificate import certificate_of
from provider.rest.auth.credentials import Credentials, Signed
from provider.rest.auth.redaction import redact, redacted
from provider.rest.auth.schemes import scheme_of
from provider.rest.download import Download
from provider.rest.judging import Kind, is_unclear, kind_of, lost_answer, refusal, unknown_outcome
from provider.rest.limits import Gate, Gates
from provider.rest.multipart import FormBody
from provider.rest.opening import ENDLESS, Opening, Streaming
from provider.rest.request import Call, Exchange, Target
from provider.rest.retry import Outcome, Pause, Refresh, RetryPolicy, Send, Step, attempts
from provider.rest.revalidation import is_unchanged
from provider.rest.traffic import Traffic
from provider.rest.transport import Headers, Limits, Request, Response, Source
from provider.rest.waits import NOTHING, Waits, announced, asked

if TYPE_CHECKING:
    import httpx

    from provider.rest.cassette import Cassette, Recorder
    from provider.rest.tracing import RequestSpan, Tracing

_MAX_REDIRECTS = 5
#: The largest answer of a token endpoint, in bytes.
_TOKEN_BYTES = 2**20
#: Answers that are read whole.
_WHOLE = Limits()
#: Budgets are an account's, whichever connection it asks through.
_GATES = Gates()


class Sender(Protocol):
    """What sends a request and reads its answer."""

    async def send(self, request: Request) -> Response: ...


class Connections(Sender, Streaming, Protocol):
    """What a client needs of a transport."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Route:
    """Where a service's calls go, with which headers and credentials, and through which gate.

    `slot` is the account's share of requests at once.
    """

    base_url: str
    headers: Headers
    credentials: Credentials
    gate: Gate
    slot: asyncio.Semaphore


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response to a signed request, what it means, and the seconds that it asks to wait."""

    response: Response
    signed: Signed
    kind: Kind
    wanted: float | None = None


#: Nothing that another process has.
_PROCESS = os.urandom(16)


@dataclass(frozen=True, slots=True)
class _Before:
    """What came before a request: waits, and the same call, so many times."""

    waits: Waits
    resend: int


_DONE = Outcome("final")
_NO_SPAN = nullcontext()
_JSON: Headers = (("Content-Type", "application/json"),)
_EVENTS: Headers = (("Accept", "text/event-stream"),)
#: Of a file that is not compressed on the way, the length is known.
_IDENTITY: Headers = (("Accept-Encoding", "identity"),)


class Client:
    """Sends calls for one connection.

    Args:
        environ: where credentials and base URLs are looked up, once a statement.
        accounts: by provider and account's name, the variables of that account, instead of `environ`.
        base_urls: base URL by provider; wins over the environment and the manifest.
        max_concurrency: requests in flight, per account.
        timeout: seconds to wait for an answer to begin, and between two parts of it.
        retry: see `RetryPolicy`.
        observe: told of each exchange; called on the client's event loop.
        moved: told of bytes of files as they are sent or arrive; called there too.
        allow_plain_http: permit http:// to hosts other than this machine.
        http_client: a client to send through, instead of one's own connections.
        recorder: is told of all that goes over the wire, without secrets.
        tracing: makes a span of each request.
        replay: answers instead of the network; then no credentials are needed, and nothing is waited for.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        accounts: Mapping[str, Mapping[str, Mapping[str, str]]],
        base_urls: Mapping[str, str],
        max_concurrency: int,
        timeout: float,
        retry: RetryPolicy,
        observe: Callable[[Exchange], None],
        moved: Callable[[int], None] = lambda _: None,
        allow_plain_http: bool = False,
        http_client: httpx.AsyncClient | None = None,
        recorder: Recorder | None = None,
        replay: Cassette | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._environ = environ
        self._accounts = accounts
        self._base_urls = base_urls
        self._max_concurrency = max_concurrency
        self._timeout = timeout
        self._retry = retry
        self._observe = observe
        self._moved = moved
        self._allow_plain_http = allow_plain_http
        self._http_client = http_client
        self._recorder = recorder
        self._replay = replay
        self._tracing = tracing
        #: What is on the way at this moment.
        self.traffic = Traffic()
        self._transports: dict[tuple[str, Limits], Connections] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._routes: dict[tuple[str, str], _Route] = {}
        self._credentials: dict[str, Credentials] = {}

    def base_url(self, target: Target) -> str:
        """Where a provider answers; looked up once a statement."""
        return self._route(target).base_url

    def _base_url_of(self, target: Target) -> str:
        """Where a provider answers: what its account says, else the argument, the environment, the manifest."""
        provider, env = target.provider, target.provider.base_url.env or ""
        own = self._environ_of(target).get(env) if target.account else None
        given = own or self._base_urls.get(provider.name) or self._environ.get(env)
        url = (given or provider.base_url.default).rstrip("/")
        if "?" in url or "#" in url or "@" in urlsplit(url).netloc:
            # Not shown: what stands there may be a secret.
            raise InterfaceError(
                f"the base URL of {provider.name} has more than a host and a path",
                remedy="Leave out what follows ? or #, and what stands before @; credentials have their own settings.",
            )
        return url

    async def send(
        self,
        target: Target,
        method: Method,
        call: Call,
        *,
        none_is_fine: bool = True,
        key: str | None = None,
        conditions: Headers = (),
    ) -> Response | None:
        """Send a call and return its answer.

        None when the API says 'no such object', unless `none_is_fine` is False: then that is an ApiError.
        `key` is a write's idempotency key, where the caller has to know it; else it is a new one. `conditions` are
        the headers of a conditional request: then the answer may be 304, without a body.

        A safe call is repeated after a fault that may pass, and so is a write with an idempotency key; any other
        write is sent once.

        Raises:
            InterfaceError: no credentials.
            ApiError: the API refused; AuthError, RateLimited or ConflictError where it is one of these.
            TransportError: no usable answer; for a write, OutcomeUnknown when it may have been executed.
            DataError: a file that is answered is too large for a BLOB, or cannot be kept where it was to go.
        """
        sender: Sender = self._transport(target, _WHOLE)
        if method.binary:
            remedy = _saving(target, method)
            sender = Download(self._transport(target, ENDLESS), call.saves, str(call), remedy, self._moved)
            conditions += _IDENTITY
        answer = await self._answer(target, method, call, sender, _idempotency(method, key) + conditions)
        if answer.kind == "success":
            return answer.response
        if answer.kind == "no_rows" and none_is_fine:
            return None
        raise self._failure(target, call, answer)

    async def open(
        self, target: Target, method: Method, call: Call, *, headers: Headers = (), key: str | None = None
    ) -> Opening:
        """Send a call that is answered with events; their stream is open, and the caller's to close.

        It has a connection of its own, so that other calls need not wait for its end. `headers` are further ones,
        such as that which takes a stream up again; `key` is as in `send`.

        Raises:
            Error: as `send`; ApiError too where the answer is no stream.
        """
        opening = Opening(self._transport(target, ENDLESS))
        try:
            headers += _EVENTS + _idempotency(method, key)
            answer = await self._answer(target, method, call, opening, headers)
            if answer.kind != "success":
                raise self._failure(target, call, answer)
            if opening.stream is None:
                kind = answer.response.header("content-type") or "of no type"
                raise ApiError(
                    f"{call} was not answered with a stream of events",
                    status=answer.response.status,
                    reason=f"The answer is {kind}.",
                    detail=redact(answer.response.body.decode("utf-8", "replace")[:2_000], self._hidden(target)),
                )
        except BaseException:
            await opening.aclose()
            raise
        return opening

    def look_up_again(self) -> None:
        """Look base URLs, headers, budgets and secrets up again: a statement begins."""
        self._routes.clear()
        for credentials in self._credentials.values():
            credentials.look_up_again()

    def redacted(self, target: Target, text: str) -> str:
        """A text without the account's secrets, whether they were in use yet or not."""
        return redact(text, self._credentials_of(target).known)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The spellings of the secrets of all accounts that were asked so far, for `redact`."""
        return tuple(form for credentials in list(self._credentials.values()) for form in credentials.hidden)

    def gives_away(self, target: Target, data: bytes) -> bool:
        """Whether data has one of the account's secrets in it, in any spelling."""
        return any(form.encode() in data for form in self._credentials_of(target).known)

    def asker(self, target: Target) -> bytes:
        """What tells who asks, where, and with which headers, and gives nothing away: equal for equal answers."""
        route, own = self._route(target), self._credentials_of(target).fingerprint
        certificate = target.provider.client_certificate
        files = [self._environ_of(target).get(certificate.certificate_env, "")] if certificate else []
        # What answers instead of the network may answer anything.
        through = (id(self._http_client), id(self._replay), _PROCESS) if self._http_client or self._replay else None
        return sha256(repr((route.base_url, route.headers, target.pool, own, files, through)).encode()).digest()

    async def aclose(self) -> None:
        """Close all connections."""
        for credentials in self._credentials.values():
            await credentials.aclose()
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()

    def _hidden(self, target: Target) -> tuple[str, ...]:
        """The account's secrets that are in use."""
        return self._credentials_of(target).hidden

    async def _answer(self, target: Target, method: Method, call: Call, sender: Sender, headers: Headers) -> _Answer:
        """The answer that stands, within the account's share of requests; errors are without secrets."""
        route = self._route(target)
        try:
            async with route.slot:
                return await self._persist(route, target, method, call, sender, headers)
        except Error as e:
            raise _of_account(target, redacted(e, route.credentials.hidden)) from e.__cause__

    async def _persist(
        self, route: _Route, target: Target, method: Method, call: Call, sender: Sender, headers: Headers
    ) -> _Answer:
        """Send until there is an answer that stands; `retry` decides, and this does what it says."""
        gate = route.gate
        steps = attempts(self._retry, call.is_safe or method.idempotency is not None, random.random)
        step: Step = next(steps)
        last: _Answer | TransportError | None = None
        waits, unclear, sent = NOTHING, False, 0
        while True:
            outcome = None
            match step:
                case Send():
                    passed_at = gate.pass_now(method.limit)
                    if passed_at is None:
                        held = gate.held(method.limit)
                        with self.traffic.wait("retry_after" if held else "limit", held):
                            passed_at, stood = await gate.line_up(method.limit)
                        waits += stood
                    before = _Before(waits, sent)
                    sent += 1
                    last, outcome = await self._attempt(route, target, method, call, sender, headers, before, passed_at)
                    # Behind an idempotency key, a later answer is about the first request too; a refusal is about none.
                    unclear = outcome.executed or (unclear and outcome.kind != "final")
                    waits = NOTHING
                case Pause() if self._replay is not None:
                    pass  # what comes next is there already
                case Pause(seconds=seconds, shared=True):
                    gate.hold(method.limit, seconds)
                case Pause(seconds=seconds, asked=was_asked):
                    with self.traffic.wait("retry_after" if was_asked else "backoff", seconds):
                        await asyncio.sleep(seconds)
                    waits = Waits(retry_after=seconds) if was_asked else Waits(backoff=seconds)
                case Refresh():
                    assert isinstance(last, _Answer)
                    if not await route.credentials.renew(last.signed, last.response):
                        break
            try:
                step = steps.send(outcome)
            except StopIteration:
                break
        assert last is not None
        unclear = unclear and not call.is_safe
        if isinstance(last, TransportError):
            raise lost_answer(call, last) if unclear else last
        if unclear:
            raise unknown_outcome(call, last.response, self._failure(target, call, last).detail)
        return last

    async def _attempt(
        self,
        route: _Route,
        target: Target,
        method: Method,
        call: Call,
        sender: Sender,
        headers: Headers,
        before: _Before,
        passed_at: float,
    ) -> tuple[_Answer | TransportError, Outcome]:
        """One request, which has passed the gate; its answer or failure, and what that means for a repetition."""
        refused = False
        gate = route.gate
        started = time.monotonic()
        try:
            response, signed = await self._follow(route, target, method, call, sender, headers, before)
            kind = "success" if is_unchanged(headers, response.status) else kind_of(method.answers, response)
            if kind == "fail" and response.status == 403 and signed.token.timed:
                kind = "refresh_token"  # where requests are signed, a wrong clock is no less than a wrong key
            refused = kind == "rate_limited"
        except TransportError as failure:
            passing = not failure.permanent
            return failure, Outcome("passing" if passing else "final", failure.sent, time.monotonic() - started)
        finally:
            gate.leave(method.limit, passed_at, refused=refused)
        took = time.monotonic() - started
        places = target.provider.limits.waits
        match kind:
            case "success":
                if places:
                    empty_for = announced(response, places, time.time())
                    if empty_for and empty_for <= self._retry.deadline:
                        gate.hold(method.limit, empty_for)
                return _Answer(response, signed, kind), _DONE
            case "rate_limited" | "retry":
                wanted = asked(response, places, time.time())
                outcome = Outcome("refused" if refused else "passing", not refused, took, wanted)
                return _Answer(response, signed, kind, wanted), outcome
            case "refresh_token":
                return _Answer(response, signed, kind), Outcome("stale", seconds=took)
        return _Answer(response, signed, kind), Outcome("final", executed=kind == "fail" and is_unclear(response))

    def _failure(self, target: Target, call: Call, answer: _Answer) -> Error:
        why = ""
        if answer.wanted:
            why = f"It asks to wait {answer.wanted:.3g} s, and a call may take {self._retry.deadline:g} s altogether."
        credentials = self._credentials_of(target)
        error = refusal(
            target.provider,
            call,
            answer.response,
            answer.kind,
            base_url=self.base_url(target),
            hidden=credentials.hidden,
            check=credentials.remedy,
            why=why,
        )
        return _of_account(target, error)

    async def _follow(
        self,
        route: _Route,
        target: Target,
        method: Method,
        call: Call,
        sender: Sender,
        headers: Headers,
        before: _Before,
    ) -> tuple[Response, Signed]:
        """One attempt. Redirects are followed within the origin, for calls that may be repeated."""
        url = call.url(route.base_url)
        for _ in range(_MAX_REDIRECTS):
            with self._span(call.http_method, method.path, url, before.resend) as span:
                more = headers + span.headers if span is not None else headers
                response, signed = await self._exchange(route, method, call, url, sender, more, before)
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
                    remedy=f"Set the base URL of {target.provider.name} if the API has moved.",
                )
            url = following
        raise ApiError(f"{call} was redirected more than {_MAX_REDIRECTS} times", status=response.status)

    async def _exchange(
        self, route: _Route, method: Method, call: Call, url: str, sender: Sender, headers: Headers, before: _Before
    ) -> tuple[Response, Signed]:
        headers = route.headers + headers
        if call.form is not None:
            with FormBody(call.form, self._moved) as form:
                headers += (("Content-Type", form.content_type),)
                return await self._sent(route, method, call, url, sender, headers, form, before)
        if call.body is not None:
            headers += _JSON
        return await self._sent(route, method, call, url, sender, headers, call.body, before)

    async def _sent(
        self,
        route: _Route,
        method: Method,
        call: Call,
        url: str,
        sender: Sender,
        headers: Headers,
        body: bytes | Source | None,
        before: _Before,
    ) -> tuple[Response, Signed]:
        signed = await route.credentials.sign(Request(call.http_method, url, headers, body))
        started = time.monotonic()
        status, size = None, 0
        self.traffic.in_flight += 1
        try:
            response = await sender.send(signed.request)
            status, size = response.status, response.wire_bytes
            return response, signed
        finally:
            self.traffic.in_flight -= 1
            seconds = time.monotonic() - started
            if call.link is not None:
                # An API may name the next page with the key that it was asked with.
                call = replace(call, link=redact(call.link, route.credentials.hidden))
            told = Exchange(method.name, call, status, size, seconds, before.waits, method.resource, before.resend)
            self._observe(told)

    def _route(self, target: Target) -> _Route:
        """What a service's calls to an account share; looked up once a statement."""
        route = self._routes.get((target.pool, target.service.name))
        return route or self._new_route(target)

    def _new_route(self, target: Target) -> _Route:
        provider, environ = target.provider, self._environ_of(target)
        environment = tuple((n, v) for n, env in provider.env_headers.items() if (v := environ.get(env)))
        base_url = self._base_url_of(target)
        credentials = self._credentials_of(target)
        # Who asks decides which budget counts; a client of the caller's own may lead anywhere, a recording nowhere.
        account = sha256(repr((credentials.identity, environment)).encode()).digest()
        elsewhere = self._replay or self._http_client
        budgets = provider.limits if self._replay is None else Budgets()
        gate = _GATES.gate((base_url, target.pool, account, id(elsewhere)), budgets)
        headers = (*{**provider.headers, **target.service.headers}.items(), *environment)
        slot = self._slots.setdefault(target.pool, asyncio.Semaphore(self._max_concurrency))
        route = self._routes[target.pool, target.service.name] = _Route(base_url, headers, credentials, gate, slot)
        return route

    def _credentials_of(self, target: Target) -> Credentials:
        if target.pool not in self._credentials:
            # A recording asks for no credentials.
            auth = target.provider.auth if self._replay is None else NoAuth(type="none")
            self._credentials[target.pool] = Credentials(
                target.pool,
                scheme_of(auth, target.pool),
                self._environ_of(target),
                self._environ,
                lambda: self._route(target).base_url,
                functools.partial(self._ask_for_token, target),
            )
        return self._credentials[target.pool]

    async def _ask_for_token(self, target: Target, request: Request) -> Response:
        """Send a request of an authentication flow, on a connection of its own with narrow limits."""
        started = time.monotonic()
        status, size = None, 0
        sender = self._new_transport(target, Limits(_TOKEN_BYTES, _TOKEN_BYTES), private=True)
        try:
            with self._span(request.method, urlsplit(request.url).path, request.url) as span:
                response = await sender.send(request)
                if span is not None:
                    span.answered(response.status)
            status, size = response.status, response.wire_bytes
            return response
        finally:
            await sender.aclose()
            path = urlsplit(request.url).path
            shown = Call(request.method, path, (), None, f"{request.method} {path}")
            seconds = time.monotonic() - started
            self._observe(Exchange("authenticate", shown, status, size, seconds, NOTHING, target.provider.name))

    def _span(
        self, http_method: str, template: str, url: str, resend: int = 0
    ) -> AbstractContextManager[RequestSpan | None]:
        if self._tracing is None:
            return _NO_SPAN
        return self._tracing.request(http_method, template, url, resend)

    def _transport(self, target: Target, limits: Limits) -> Connections:
        transport = self._transports.get((target.pool, limits))
        if transport is None:
            transport = self._transports[target.pool, limits] = self._new_transport(target, limits)
        return transport

    def _environ_of(self, target: Target) -> Mapping[str, str]:
        """Where an account's variables are looked up; one with a name has its own, and nobody else's."""
        return self._accounts[target.provider.name][target.account] if target.account else self._environ

    def _new_transport(self, target: Target, limits: Limits, *, private: bool = False) -> Connections:
        """A transport for an account; `private` where it serves an exchange that obtains credentials."""
        wire = self._wire(target, limits)
        if self._recorder is None:
            return wire
        from provider.rest.cassette import Recording

        return Recording(wire, self._recorder, lambda: self._hidden(target), private=private)

    def _wire(self, target: Target, limits: Limits) -> Connections:
        if self._replay is not None:
            from provider.rest.cassette import Replaying

            return Replaying(self._replay)
        if self._http_client is not None:
            from provider.rest.httpx_client import HttpxTransport

            return HttpxTransport(self._http_client, limits)
        from provider.rest.transport import Timeouts, Transport

        return Transport(
            max_connections=self._max_concurrency,
            timeouts=Timeouts(read=self._timeout),
            limits=limits,
            certificate=certificate_of(target.provider.client_certificate, target.pool, self._environ_of(target)),
            allow_plain_http=self._allow_plain_http,
        )


def _idempotency(method: Method, key: str | None) -> Headers:
    """The header that makes a write repeatable, with a new key where there is none."""
    return () if method.idempotency is None else ((method.idempotency.header, key or str(uuid4())),)


def _of_account(target: Target, error: Error) -> Error:
    """An error that says which of several accounts it is about."""
    if target.account:
        error.reason = f"{error.reason}\nIt is about the account {target.account} of {target.provider.name}.".lstrip()
    return error


def _saving(target: Target, method: Method) -> str:
    """How the answer of a method goes to a path, '' if it cannot."""
    for resource in target.service.resources.values():
        for other in resource.methods:
            if other.binary and other.verb == "EXEC" and other.path == method.path:
                given = ", ".join(f"@{p.name} = '...'" for p in other.required)
                return f"Keep it in a file: EXEC {resource.id}.{other.name} {given}"
    return ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"
