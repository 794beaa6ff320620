"""Where a service's calls go, and who asks there: base URL, headers, credentials, and the account's budget."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provider.catalog.credentials import NoAuth
from provider.catalog.limits import Limits as Budgets
from provider.errors import InterfaceError
from provider.rest.auth.credentials import Credentials
from provider.rest.auth.redaction import redact
from provider.rest.auth.schemes import scheme_of
from provider.rest.limits import Gate, Gates
from provider.rest.request import Target
from provider.rest.transport import Headers, Request, Response

if TYPE_CHECKING:
    import httpx

    from provider.rest.cassette import Cassette

#: Budgets are an account's, whichever connection it asks through.
_GATES = Gates()
#: Nothing that another process has.
_PROCESS = os.urandom(16)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a service's calls go, with which headers and credentials, and through which gate.

    `slot` is the account's share of requests at once.
    """

    base_url: str
    headers: Headers
    credentials: Credentials
    gate: Gate
    slot: asyncio.Semaphore


class Routes:
    """The routes of one client, by account and service.

    Args:
        environ: where credentials and base URLs are looked up, once a statement.
        accounts: by provider and account's name, the variables of that account, instead of `environ`.
        base_urls: base URL by provider; wins over the environment and the manifest.
        max_concurrency: requests in flight, per account.
        ask: sends a request that obtains credentials.
        http_client: what requests are sent through, None for the client's own connections.
        replay: what answers instead of the network; it asks for no credentials, and has no budget.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        accounts: Mapping[str, Mapping[str, Mapping[str, str]]],
        base_urls: Mapping[str, str],
        max_concurrency: int,
        ask: Callable[[Target, Request], Awaitable[Response]],
        http_client: httpx.AsyncClient | None,
        replay: Cassette | None,
    ) -> None:
        self._environ = environ
        self._accounts = accounts
        self._base_urls = base_urls
        self._max_concurrency = max_concurrency
        self._ask = ask
        self._http_client = http_client
        self._replay = replay
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self._credentials: dict[str, Credentials] = {}

    def of(self, target: Target) -> Route:
        """What a service's calls to an account share; looked up once a statement.

        Raises:
            InterfaceError: the base URL is none.
        """
        route = self._routes.get((target.pool, target.service.name))
        return route or self._new_route(target)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The spellings of the secrets of all accounts that were asked so far, for `redact`."""
        return tuple(form for credentials in list(self._credentials.values()) for form in credentials.hidden)

    def credentials(self, target: Target) -> Credentials:
        """The credentials of an account."""
        if target.pool not in self._credentials:
            # A recording asks for no credentials.
            auth = target.provider.auth if self._replay is None else NoAuth(type="none")
            self._credentials[target.pool] = Credentials(
                target.pool,
                scheme_of(auth, target.pool),
                self.environ(target),
                self._environ,
                lambda: self.of(target).base_url,
                functools.partial(self._ask, target),
            )
        return self._credentials[target.pool]

    def environ(self, target: Target) -> Mapping[str, str]:
        """Where an account's variables are looked up; one with a name has its own, and nobody else's."""
        return self._accounts[target.provider.name][target.account] if target.account else self._environ

    def look_up_again(self) -> None:
        """Look base URLs, headers, budgets and secrets up again: a statement begins."""
        self._routes.clear()
        for credentials in self._credentials.values():
            credentials.look_up_again()

    def redacted(self, target: Target, text: str) -> str:
        """A text without the account's secrets, whether they were in use yet or not."""
        return redact(text, self.credentials(target).known)

    def gives_away(self, target: Target, data: bytes) -> bool:
        """Whether data has one of the account's secrets in it, in any spelling."""
        return any(form.encode() in data for form in self.credentials(target).known)

    def asker(self, target: Target) -> bytes:
        """What tells who asks, where, and with which headers, and gives nothing away: equal for equal answers."""
        route, own = self.of(target), self.credentials(target).fingerprint
        certificate = target.provider.client_certificate
        files = [self.environ(target).get(certificate.certificate_env, "")] if certificate else []
        # What answers instead of the network may answer anything.
        through = (id(self._http_client), id(self._replay), _PROCESS) if self._http_client or self._replay else None
        return sha256(repr((route.base_url, route.headers, target.pool, own, files, through)).encode()).digest()

    async def aclose(self) -> None:
        """Give up all credentials."""
        for credentials in self._credentials.values():
            await credentials.aclose()

    def _new_route(self, target: Target) -> Route:
        provider, environ = target.provider, self.environ(target)
        environment = tuple((n, v) for n, env in provider.env_headers.items() if (v := environ.get(env)))
        base_url = self._base_url(target)
        credentials = self.credentials(target)
        # Who asks decides which budget counts; a client of the caller's own may lead anywhere, a recording nowhere.
        account = sha256(repr((credentials.identity, environment)).encode()).digest()
        elsewhere = self._replay or self._http_client
        budgets = provider.limits if self._replay is None else Budgets()
        gate = _GATES.gate((base_url, target.pool, account, id(elsewhere)), budgets)
        headers = (*{**provider.headers, **target.service.headers}.items(), *environment)
        slot = self._slots.setdefault(target.pool, asyncio.Semaphore(self._max_concurrency))
        route = self._routes[target.pool, target.service.name] = Route(base_url, headers, credentials, gate, slot)
        return route

    def _base_url(self, target: Target) -> str:
        """Where a provider answers: what its account says, else the argument, the environment, the manifest."""
        provider, env = target.provider, target.provider.base_url.env or ""
        own = self.environ(target).get(env) if target.account else None
        given = own or self._base_urls.get(provider.name) or self._environ.get(env)
        url = (given or provider.base_url.default).rstrip("/")
        if "?" in url or "#" in url or "@" in urlsplit(url).netloc:
            # Not shown: what stands there may be a secret.
            raise InterfaceError(
                f"the base URL of {provider.name} has more than a host and a path",
                remedy="Leave out what follows ? or #, and what stands before @; credentials have their own settings.",
            )
        return url
