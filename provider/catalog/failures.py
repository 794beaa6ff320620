"""How a manifest says what a provider's answers mean, and where a failure keeps its parts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from provider.catalog.model import Model, Pattern, ValuePath

Meaning = Literal["retry", "rate_limited", "quota", "refresh_token", "fail", "ignore", "no_rows"]
Status = Annotated[int, Field(ge=100, le=599)] | Literal["2xx", "3xx", "4xx", "5xx"]


class Errors(Model):
    """Where an error body keeps its parts."""

    message: ValuePath | None = None
    code: ValuePath | None = None
    request_id_header: str | None = None


class Answer(Model):
    """A rule about answers: which ones, and what they mean. All that it asks for must be there."""

    means: Meaning
    status: list[Status] | None = Field(
        default=None, description="statuses, such as 404 or 5xx; when left out, all but 2xx"
    )
    headers: dict[str, Pattern] = Field(default={}, description="header -> a regular expression that it must contain")
    body: dict[ValuePath, Pattern] = Field(
        default={}, description="path -> a regular expression that the value there must contain; null has none"
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Answer:
        if not (self.status or self.headers or self.body):
            raise ValueError("a rule names a status, a header or something in the body")
        return self
