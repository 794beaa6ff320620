"""How a manifest says that a provider's requests are authenticated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provider.catalog.model import Model


class Bearer(Model):
    """`Authorization: Bearer <secret>`."""

    type: Literal["bearer"]
    env: str


class ApiKey(Model):
    """A secret in a named header."""

    type: Literal["api_key"]
    env: str
    header: str
    prefix: str = ""


class NoAuth(Model):
    """No credentials."""

    type: Literal["none"]


Auth = Annotated[Bearer | ApiKey | NoAuth, Field(discriminator="type")]
