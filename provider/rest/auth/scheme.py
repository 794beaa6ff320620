"""One way to authenticate: what it needs, how it obtains a token, and where that stands in a request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from provider.catalog.credentials import variables
from provider.catalog.model import Model
from provider.rest.auth.placing import BEARER, Place
from provider.rest.auth.token import Flow, Given, Token
from provider.rest.transport import Request

M = TypeVar("M", bound=Model, covariant=True)


@dataclass(frozen=True, slots=True)
class Scheme(ABC, Generic[M]):
    """One way to authenticate, as `model`, a manifest's `auth`, has it. Pure."""

    model: M

    @property
    def names(self) -> tuple[str, ...]:
        """The environment variables whose values it starts from."""
        return tuple(variables(self.model))

    @property
    def kept(self) -> str | None:
        """The one of them, if any, whose value is a refresh token that lives in a file."""
        return None

    @property
    def remedy(self) -> str:
        """What a person does when the API refuses what was obtained, '' for nothing."""
        return f"Check {' and '.join(self.names)}." if self.names else ""

    @property
    def place(self) -> Place:
        """Where the token stands in a request."""
        return BEARER

    @property
    def digest_header(self) -> str | None:
        """The header in which `sign` expects the SHA-256 of a body that streams, None where it takes none."""
        return None

    @property
    def is_timed(self) -> bool:
        """Whether a token is asked for with what holds the time, so that a wrong clock is refused."""
        return False

    @abstractmethod
    def obtain(self, given: Given) -> Flow:
        """Obtain a token."""

    def sign(self, token: Token, request: Request, now: float) -> Request:
        """The request with the token, at a time in Unix seconds."""
        return self.place.put(request, token.secret)
