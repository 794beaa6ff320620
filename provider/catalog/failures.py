"""How a manifest says what a provider's failures mean."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from provider.catalog.model import Model, Path


class Errors(Model):
    """Where an error body keeps its parts."""

    message: Path | None = None
    code: Path | None = None
    request_id_header: str | None = None


class Missing(Model):
    """How the API says 'no such object'; any other failure stays an error."""

    status: list[int] = [404]
    path: Path = Field(default="$", description="where in the body the pattern is looked for")
    pattern: str | None = Field(default=None, description="a regular expression that the value at `path` must contain")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as e:
            raise ValueError(f"not a regular expression: {e}") from None
        return value
