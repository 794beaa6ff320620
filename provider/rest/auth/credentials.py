"""The live credentials of one account: obtained when first needed, and renewed once for all who were refused."""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import os
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from provider.catalog.model import Model
from provider.errors import ApiError, AuthError, TransportError
from provider.rest.auth.lookup import Lookup
from provider.rest.auth.oauth import fingerprint
from provider.rest.auth.placing import with_header
from provider.rest.auth.redaction import spellings
from provider.rest.auth.scheme import Scheme
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Found, Given, Kept, Token, drive, origin
from provider.rest.auth.tokenfile import TokenFile, place
from provider.rest.multipart import FormBody
from provider.rest.transport import Request, Response

#: Seconds before its end at which a token is renewed; a short-lived one after nine tenths of its life.
_MARGIN = 60.0
_ATTEMPTS = 3
#: Nothing that another process has.
_PROCESS = os.urandom(16)
#: A server's clock is believed up to this distance, in seconds; less than the lower one is no difference.
_SKEW = (5.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request with credentials, and which ones: how many times they had been renewed by then."""

    request: Request
    token: Token
    renewals: int


class Credentials:
    """Signs one account's requests.

    Args:
        owner: whose they are, for messages and files: `shop`, or `shop/work`.
        scheme: how.
        environ: where the account's variables are looked up, and after each `look_up_again` once more.
        process: the process's environment, which says where token files are.
        base_url: tells where the provider answers, without a slash at its end. Nothing is signed for any other origin.
        send: sends a request to a token endpoint, once.
        clock: Unix time in seconds.
        patience: seconds that a whole exchange with a token endpoint may take, however slowly it drips.
    """

    def __init__(
        self,
        owner: str,
        scheme: Scheme[Model],
        environ: Mapping[str, str],
        process: Mapping[str, str],
        base_url: Callable[[], str],
        send: Callable[[Request], Awaitable[Response]],
        clock: Callable[[], float] = time.time,
        patience: float = 60.0,
    ) -> None:
        self._owner = owner
        self._scheme = scheme
        self._lookup = Lookup(environ)
        self._process = process
        self._base_url = base_url
        self._send = send
        self._clock = clock
        self._patience = patience
        self._skew = 0.0
        self._token: Token | None = None
        self._stamp = 0
        self._stale_at = 0.0
        self._renewals = 0
        self._failure: Exception | None = None
        self._renewing: asyncio.Task[None] | None = None
        #: Those who wait for it.
        self._waiting = 0
        # Also those of a moment ago: an answer may still quote them.
        self._secrets: deque[tuple[Secret, ...]] = deque(maxlen=8)
        self._hidden: tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        """What a person does when the API refuses these credentials."""
        return self._scheme.remedy

    @property
    def identity(self) -> bytes:
        """What tells these credentials from others, and does not give them away."""
        settings = (s.reveal() if s else None for s in self._lookup.settings(self._scheme.names))
        return hashlib.sha256(repr((self._owner, *settings)).encode()).digest()

    @property
    def fingerprint(self) -> bytes:
        """What tells whose answers are whose: `identity`, and what the files hold that it names.

        What a program prints is not known beforehand, so that it is another one in every process.
        """
        lookup, scheme = self._lookup, self._scheme
        named = [lookup.text(f"{n}_FILE") for n in scheme.names]
        files = [Path(path).expanduser() for path in named if path is not None]
        if scheme.kept is not None:
            files.append(place(self._owner, lookup.text(f"{scheme.kept}_FILE"), self._process))
        held = tuple(_digest(path) for path in files)
        printed = _PROCESS if any(lookup.text(f"{n}_COMMAND") for n in scheme.names) else b""
        return hashlib.sha256(repr((self.identity, held, printed)).encode()).digest()

    @property
    def hidden(self) -> tuple[str, ...]:
        """The spellings of all secrets that were in use, for `redact`."""
        return self._hidden

    @property
    def known(self) -> tuple[str, ...]:
        """The spellings of all secrets that were in use or could be, for `redact`."""
        return (*self._hidden, *spellings(s for s in self._lookup.settings(self._scheme.names) if s is not None))

    def look_up_again(self) -> None:
        """Give up a token that the environment no longer leads to."""
        if self._lookup.stamp(self._scheme.names) != self._stamp:
            self._token = None

    async def sign(self, request: Request) -> Signed:
        """A request with credentials.

        Raises:
            InterfaceError: a variable, a file or an extra is missing.
            ApiError: the token endpoint refused (AuthError) or failed, or the request is for another origin.
            TransportError: the token endpoint could not be reached, or answered nothing usable; or a file of the
                request's form has changed.
        """
        base = self._base_url()
        if not request.url.startswith(f"{base}/") and origin(request.url) != origin(base):
            raise ApiError(
                f"no credentials for {origin(request.url)}",
                status=0,
                reason=f"Those of {self._owner} stay at {origin(base)}.",
            )
        if self._token is None or time.monotonic() >= self._stale_at:
            await self._renewed(self._renewals)
        assert self._token is not None
        token = self._token
        if self._scheme.digest_header is not None and isinstance(request.body, FormBody):
            request = with_header(request, self._scheme.digest_header, await request.body.digest())
        return Signed(self._scheme.sign(token, request, self._now()), token, self._renewals)

    async def renew(self, refused: Signed, response: Response) -> bool:
        """Whether there are other credentials now than those that an API has refused with `response`.

        Whoever comes first obtains them; the others wait for that. Raises as `sign`.
        """
        skewed = self._learn_time(response)
        await self._renewed(refused.renewals, refused.token)
        changed = self._token is not None and self._token.secret != refused.token.secret
        return changed or (skewed and refused.token.timed)

    async def aclose(self) -> None:
        """Wait for a renewal under way: one that nobody waits for any longer goes on only for what must not be lost."""
        if self._renewing is not None:
            await asyncio.wait([self._renewing])

    async def _renewed(self, renewals: int, refused: Token | None = None) -> None:
        """Return when there has been a renewal behind the given number of them; raise if it failed."""
        if self._renewals == renewals:
            if self._renewing is None:
                self._renewing = asyncio.create_task(self._renew(refused))
            await self._wait_for(self._renewing)
        if self._failure is not None:
            raise self._failure.with_traceback(None)

    async def _wait_for(self, renewing: asyncio.Task[None]) -> None:
        """Wait for a renewal. A statement that is cancelled leaves it to the others who wait; the last one ends it.

        Where a refresh token is used up by it, it is not ended: the next token would be lost.
        """
        self._waiting += 1
        try:
            await asyncio.shield(renewing)
        finally:
            self._waiting -= 1
            if not self._waiting and self._scheme.kept is None and not renewing.done():
                self._renewing = None
                renewing.cancel()
                await asyncio.wait([renewing])

    async def _renew(self, refused: Token | None) -> None:
        try:
            await self._obtain(refused)
            self._failure = None
        except Exception as e:
            self._token, self._failure = None, e
        finally:
            self._renewals += 1
            if self._renewing is asyncio.current_task():
                self._renewing = None

    async def _obtain(self, refused: Token | None) -> None:
        scheme = self._scheme
        stamp = self._lookup.stamp(scheme.names)
        found = await self._lookup.find(scheme.names, self._now, kept=scheme.kept)
        self._hide(*(f.secret for f in found.values()))
        if scheme.kept is None:
            token = await self._run(Given(self._owner, found, self._base_url(), self._now(), refused=refused))
        else:
            token = await self._refresh(scheme.kept, found, refused)
        self._token, self._stamp = token, stamp
        left = None if token.expires_at is None else token.expires_at - self._now()
        # What comes expired comes from a wrong clock: it is used until it is refused.
        self._stale_at = time.monotonic() + left - min(_MARGIN, left / 10) if left and left > 0 else float("inf")

    async def _refresh(self, name: str, found: Mapping[str, Found], refused: Token | None) -> Token:
        file = TokenFile(place(self._owner, self._lookup.text(f"{name}_FILE"), self._process))
        async with file.locked():
            kept = file.read()
            if kept is not None:
                self._hide(kept.refresh, *([kept.access] if kept.access else []))
            token = await self._run(Given(self._owner, found, self._base_url(), self._now(), kept, refused))
            seed = found.get(name)
            if token.refresh is not None:
                new = Kept(token.refresh, token.secret, token.expires_at, fingerprint(seed.secret) if seed else None)
                if new != kept:
                    file.write(new)
        return token

    async def _run(self, given: Given) -> Token:
        heard: list[Response] = []

        async def ask(request: Request) -> Response:
            heard.append(await self._ask(request))
            return heard[-1]

        try:
            token = await drive(self._scheme.obtain(given), ask, self._hide)
        except AuthError:
            if not self._scheme.is_timed or not heard or not self._learn_time(heard[-1]):
                raise
            token = await drive(self._scheme.obtain(replace(given, now=self._now())), ask, self._hide)
        self._hide(*token.secrets)
        return token

    async def _ask(self, request: Request) -> Response:
        """Send a request to a token endpoint, again where it certainly did nothing the first time."""
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                async with asyncio.timeout(self._patience):
                    response = await self._send(request)
            except TimeoutError:
                place_ = f"{request.method} {request.url.partition('?')[0]}"
                raise TransportError(f"{place_}: no whole answer within {self._patience:g} s") from None
            except TransportError as e:
                if last or e.sent or e.permanent:
                    raise
            else:
                if last or response.status not in (429, 503):
                    return response
            await asyncio.sleep(0.5 * 2**attempt * random.random())  # noqa: S311 -- jitter
        raise AssertionError("unreachable")

    def _hide(self, *secrets: Secret) -> None:
        if secrets not in self._secrets:
            self._secrets.append(secrets)
            self._hidden = spellings(s for group in self._secrets for s in group)

    def _now(self) -> float:
        return self._clock() + self._skew

    def _learn_time(self, response: Response) -> bool:
        """Take over the clock of a server that refused us; whether it differs from ours."""
        try:
            date = email.utils.parsedate_to_datetime(response.header("date") or "").timestamp()
        except (TypeError, ValueError, OverflowError):
            return False
        skew = date - self._clock()
        if not _SKEW[0] < abs(skew - self._skew) or abs(skew) > _SKEW[1]:
            return False
        self._skew = skew
        return True


def _digest(path: Path) -> bytes:
    """What stands for a file's content; b"" where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""
