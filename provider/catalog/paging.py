"""How a manifest says that a list is cut into pages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from provider.catalog.model import Model, Path


class PageSize(Model):
    """The parameter that sets the rows per page, and its largest value."""

    param: str
    max: int = Field(ge=1)


class CursorPages(Model):
    """Pages chained by a cursor in the body."""

    kind: Literal["cursor"]
    param: str = Field(description="the query parameter that takes the cursor")
    next: Path = Field(description="where the body has the next cursor")
    more: Path | None = Field(default=None, description="where the body says whether more follows")
    size: PageSize | None = None


Pages = CursorPages
