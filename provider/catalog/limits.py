"""How a manifest says how much a provider takes, where it says how long to wait, and which writes may be repeated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from provider.catalog.model import Model, Name, Path, Pattern

Period = Literal["second", "minute", "hour", "day"]
Unit = Literal["seconds", "milliseconds", "duration", "unix seconds", "unix milliseconds", "date"]


class Budget(Model):
    """Requests in a period of time, and at the same time."""

    requests: int | None = Field(default=None, ge=1, description="requests that any period may see")
    per: Period | None = Field(default=None, description="the period of `requests`")
    in_flight: int | None = Field(default=None, ge=1, description="requests without an answer at the same time")

    @model_validator(mode="after")
    def _is_whole(self) -> Budget:
        if (self.requests is None) != (self.per is None):
            raise ValueError("`requests` and `per` go together")
        if self.requests is None and self.in_flight is None:
            raise ValueError("a budget has `requests` and `per`, or `in_flight`, or all three")
        return self


class Wait(Model):
    """A place where an answer says how long to wait; Retry-After and retry-after-ms are read without being named."""

    header: str | None = None
    path: Path | None = Field(default=None, description="a path in the body")
    pattern: Pattern | None = Field(
        default=None, description="a regular expression; its first group, or all that it finds, is the time"
    )
    unit: Unit = Field(description="what the time is written in; a duration is 6m0s or 20ms")
    when: dict[str, Pattern] = Field(
        default={}, description="header -> a regular expression; the time counts only if each is found"
    )

    @model_validator(mode="after")
    def _has_one_place(self) -> Wait:
        if (self.header is None) == (self.path is None):
            raise ValueError("a wait stands in a `header` or at a `path` of the body")
        return self


class Limits(Model):
    """What an account may ask for."""

    account: Budget | None = Field(default=None, description="the budget of all requests of an account")
    groups: dict[Name, Budget] = Field(default={}, description="budgets of methods that name one with `limit`")
    waits: list[Wait] = Field(default=[], description="where answers say how long to wait; the first that does counts")


class Idempotency(Model):
    """The header whose value lets the API recognise a write that it has seen: it may be sent again."""

    header: str
