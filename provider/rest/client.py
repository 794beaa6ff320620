"""Calls to answers: credentials, retries, redirects, and what a failure means. One client a connection."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from provider.catalog.catalog import Method
from provider.errors import ApiError, Error, TransportError
from provider.rest.auth.credentials import Signed
from provider.rest.auth.redaction import redact, redacted
from provider.rest.connections import Sender, Transports
from provider.rest.download import Download
from provider.rest.exchanging import Before, Errand, Exchanging
from provider.rest.judging import Kind, is_unclear, kind_of, lost_answer, refusal, unknown_outcome
from provider.rest.opening import ENDLESS, Opening
from provider.rest.request import Call, Exchange, Target
from provider.rest.retry import Outcome, Pause, Refresh, RetryPolicy, Send, Step, attempts
from provider.rest.revalidation import is_unchanged
from provider.rest.routes import Routes
from provider.rest.traffic import Traffic
from provider.rest.transport import Headers, Limits, Request, Response
from provider.rest.waits import NOTHING, Waits, announced, asked

if TYPE_CHECKING:
    import httpx

    from provider.rest.cassette import Cassette, Recorder
    from provider.rest.tracing import Tracing

#: The largest answer of a token endpoint, in bytes.
_TOKEN_BYTES = 2**20
#: Answers that are read whole.
_WHOLE = Limits()


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response to a signed request, what it means, and the seconds that it asks to wait."""

    response: Response
    signed: Signed
    kind: Kind
    wanted: float | None = None


_DONE = Outcome("final")
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
        self._retry = retry
        self._moved = moved
        self._replay = replay
        #: What is on the way at this moment.
        self.traffic = Traffic()
        self._exchanging = Exchanging(self.traffic, observe, moved, tracing)
        #: Where calls go, and who asks.
        self.routes = Routes(
            environ=environ,
            accounts=accounts,
            base_urls=base_urls,
            max_concurrency=max_concurrency,
            ask=self._ask_for_token,
            http_client=http_client,
            replay=replay,
        )
        self._transports = Transports(
            self.routes,
            max_concurrency=max_concurrency,
            timeout=timeout,
            allow_plain_http=allow_plain_http,
            http_client=http_client,
            recorder=recorder,
            replay=replay,
        )

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
        sender: Sender = self._transports.of(target, _WHOLE)
        if method.binary:
            remedy = _saving(target, method)
            sender = Download(self._transports.of(target, ENDLESS), call.saves, str(call), remedy, self._moved)
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
        opening = Opening(self._transports.of(target, ENDLESS))
        try:
            headers += _EVENTS + _idempotency(method, key)
            answer = await self._answer(target, method, call, opening, headers)
            if answer.kind != "success":
                raise self._failure(target, call, answer)
            if opening.stream is None:
                hidden = self.routes.credentials(target).hidden
                kind = answer.response.header("content-type") or "of no type"
                raise ApiError(
                    f"{call} was not answered with a stream of events",
                    status=answer.response.status,
                    reason=f"The answer is {kind}.",
                    detail=redact(answer.response.body.decode("utf-8", "replace")[:2_000], hidden),
                )
        except BaseException:
            await opening.aclose()
            raise
        return opening

    async def aclose(self) -> None:
        """Close all connections."""
        await self.routes.aclose()
        await self._transports.aclose()

    async def _answer(self, target: Target, method: Method, call: Call, sender: Sender, headers: Headers) -> _Answer:
        """The answer that stands, within the account's share of requests; errors are without secrets."""
        route = self.routes.of(target)
        try:
            async with route.slot:
                return await self._persist(Errand(route, target, method, call, sender, headers))
        except Error as e:
            raise _of_account(target, redacted(e, route.credentials.hidden)) from e.__cause__

    async def _persist(self, errand: Errand) -> _Answer:
        """Send until there is an answer that stands; `retry` decides, and this does what it says."""
        method, call, gate = errand.method, errand.call, errand.route.gate
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
                    last, outcome = await self._attempt(errand, Before(waits, sent), passed_at)
                    sent += 1
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
                    if not await errand.route.credentials.renew(last.signed, last.response):
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
            raise unknown_outcome(call, last.response, self._failure(errand.target, call, last).detail)
        return last

    async def _attempt(
        self, errand: Errand, before: Before, passed_at: float
    ) -> tuple[_Answer | TransportError, Outcome]:
        """One request, which has passed the gate; its answer or failure, and what that means for a repetition."""
        refused = False
        method, gate = errand.method, errand.route.gate
        started = time.monotonic()
        try:
            response, signed = await self._exchanging.send(errand, before)
            kind = "success" if is_unchanged(errand.headers, response.status) else kind_of(method.answers, response)
            if kind == "fail" and response.status == 403 and signed.token.timed:
                kind = "refresh_token"  # where requests are signed, a wrong clock is no less than a wrong key
            refused = kind == "rate_limited"
        except TransportError as failure:
            passing = not failure.permanent
            return failure, Outcome("passing" if passing else "final", failure.sent, time.monotonic() - started)
        finally:
            gate.leave(method.limit, passed_at, refused=refused)
        took = time.monotonic() - started
        places = errand.target.provider.limits.waits
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

    async def _ask_for_token(self, target: Target, request: Request) -> Response:
        """Send a request of an authentication flow, on a connection of its own with narrow limits."""
        sender = self._transports.new(target, Limits(_TOKEN_BYTES, _TOKEN_BYTES), private=True)
        try:
            return await self._exchanging.authenticate(target, request, sender)
        finally:
            await sender.aclose()

    def _failure(self, target: Target, call: Call, answer: _Answer) -> Error:
        why = ""
        if answer.wanted:
            why = f"It asks to wait {answer.wanted:.3g} s, and a call may take {self._retry.deadline:g} s altogether."
        credentials = self.routes.credentials(target)
        error = refusal(
            target.provider,
            call,
            answer.response,
            answer.kind,
            base_url=self.routes.of(target).base_url,
            hidden=credentials.hidden,
            check=credentials.remedy,
            why=why,
        )
        return _of_account(target, error)


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
