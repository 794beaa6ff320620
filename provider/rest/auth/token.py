"""What a flow obtains, and the flow itself: a generator that asks for requests and never sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from provider.errors import InterfaceError
from provider.rest.auth.secret import Secret
from provider.rest.transport import Request, Response


@dataclass(frozen=True, slots=True)
class Token:
    """What authenticates requests.

    `expires_at` is Unix time in seconds by our clock, None where it is used until it is refused. `refresh`
    obtains the next one. `timed` says that what is signed with it holds the time.
    """

    secret: Secret
    expires_at: float | None = None
    refresh: Secret | None = None
    timed: bool = False

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Everything about it that must not be shown."""
        return (self.secret, self.refresh) if self.refresh else (self.secret,)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a token file holds: a refresh token, and the last access token that it gave.

    `seed` is a fingerprint of the environment's refresh token that this one descends from, None where it has
    another origin.
    """

    refresh: Secret
    access: Secret | None = None
    expires_at: float | None = None
    seed: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait that a flow asks for, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a person is asked to do: open `url`, and type `code` there where there is one."""

    url: str
    code: str | None = None


#: Yields a request and receives its response (None behind anything else); returns the token. A secret that it
#: makes on the way, such as a signature, is yielded before it is sent, so that it is known when something quotes it.
Flow = Generator[Request | Pause | Prompt | Secret, Response | None, Token]


async def drive(
    flow: Flow,
    send: Callable[[Request], Awaitable[Response]],
    hide: Callable[[Secret], None],
    show: Callable[[Prompt], None] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Token:
    """Run a flow: the one place where its requests are sent, its prompts shown, and its pauses waited for."""
    answer: Response | None = None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as end:
            token: Token = end.value
            return token
        answer = None
        match step:
            case Request():
                answer = await send(step)
            case Pause():
                await sleep(step.seconds)
            case Secret():
                hide(step)
            case Prompt() if show is not None:
                show(step)


@dataclass(frozen=True, slots=True)
class Found:
    """A variable's value, and when it expires (Unix seconds) if its source said so."""

    secret: Secret
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What a flow starts from.

    Attributes:
        owner: whose credentials these are, for messages: `shop`, or `shop/work` for a named account.
        found: values of environment variables, of those that have one.
        base_url: of the provider; URLs that are only a path are on its host.
        now: Unix time in seconds.
        kept: what the token file holds.
        refused: the token that the API has refused, if that is why a new one is needed.
    """

    owner: str
    found: Mapping[str, Found]
    base_url: str
    now: float
    kept: Kept | None = None
    refused: Token | None = None

    def get(self, name: str | None) -> str | None:
        """The value of a variable, None without one."""
        found = self.found.get(name or "")
        return found.secret.reveal() if found else None

    def need(self, name: str) -> Found:
        """The value of a variable.

        Raises:
            InterfaceError: it has none.
        """
        if name not in self.found:
            raise InterfaceError(
                f"no credentials for {self.owner}: {name} is not set",
                remedy=f"export {name}=... (for the emulator any value will do)\n"
                f"or {name}_FILE=PATH, or {name}_COMMAND='PROGRAM ...'",
            )
        return self.found[name]

    def url(self, url: str) -> str:
        """A URL of the manifest as an absolute one."""
        return urljoin(origin(self.base_url), url)


def origin(url: str) -> str:
    """Scheme, host and port of a URL, spelled in one way."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}"
