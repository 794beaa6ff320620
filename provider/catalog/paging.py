"""How a manifest says that a list is cut into pages: one model a kind."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from provider.catalog.model import Model, Path

Location = Literal["query", "body"]


class PageSize(Model):
    """The parameter that sets the rows per page, and its largest value."""

    param: str
    max: int = Field(ge=1)


class _Rule(Model):
    """What all kinds share.

    Attributes:
        in_: where the parameters stand, in the query or in a JSON body.
        size: how the rows per page are set.
        max_pages: where reading a list is cut off, and its rows are marked as truncated.
    """

    in_: Location = Field(default="query", alias="in", description="where its parameters stand")
    size: PageSize | None = None
    max_pages: int | None = Field(
        default=None, ge=1, description="pages of one list after which reading is cut off; 100,000 when left out"
    )

    @property
    def location(self) -> Location:
        """Where the parameters stand."""
        return self.in_

    @property
    def positions(self) -> tuple[str, ...]:
        """The parameters that say where in the list a page begins."""
        param = getattr(self, "param", None)
        return (param,) if param else ()

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths that are read in each body."""
        read = (getattr(self, name, None) for name in ("next", "more", "total", "pages"))
        return tuple(path for path in read if path is not None)

    @property
    def told(self) -> str:
        """How the next page is found, for EXPLAIN."""
        return f"next by {', '.join(self.positions)}"


class CursorPages(_Rule):
    """Pages chained by a cursor in the body."""

    kind: Literal["cursor"]
    param: str = Field(description="the parameter that takes the cursor")
    next: Path = Field(description="where the body has the next cursor; null or '' behind the last page")
    more: Path | None = Field(default=None, description="where the body says whether more follows")
    omitted: bool = Field(default=False, description="the last page has no `next` at all")


class HeaderCursorPages(_Rule):
    """Pages chained by a cursor in a response header, which the last page does not have."""

    kind: Literal["header_cursor"]
    param: str = Field(description="the parameter that takes the cursor")
    header: str = Field(description="the header that has the next cursor")


class KeysetPages(_Rule):
    """Pages that begin behind the last record of the page before."""

    kind: Literal["keyset"]
    param: str = Field(description="the parameter that takes the value of the last record")
    field: str = Field(description="the field of the record")
    ends: Literal["more", "short_page", "empty_page"] = Field(description="what the end of the list looks like")
    more: Path | None = Field(default=None, description="where the body says whether more follows")

    @model_validator(mode="after")
    def _end_can_be_seen(self) -> KeysetPages:
        _needs(self, "more", "more")
        _needs(self, "short_page", "size")
        return self


class _Counted(_Rule):
    """A kind that counts: by rows or by pages."""

    param: str
    ends: Literal["total", "short_page", "empty_page"] = Field(description="what the end of the list looks like")
    total: Path | None = Field(default=None, description="where the body has the number of all rows")
    total_header: str | None = Field(default=None, description="the header that has the number of all rows")

    @model_validator(mode="after")
    def _end_can_be_seen(self) -> _Counted:
        _needs(self, "total", "total", "total_header", "pages", "pages_header")
        _needs(self, "short_page", "size")
        return self


class OffsetPages(_Counted):
    """Pages that begin behind a number of rows."""

    kind: Literal["offset"]


class NumberedPages(_Counted):
    """Pages by number."""

    kind: Literal["page_number"]
    first: Literal[0, 1] = Field(default=1, description="the number of the first page")
    pages: Path | None = Field(default=None, description="where the body has the number of all pages")
    pages_header: str | None = Field(default=None, description="the header that has the number of all pages")


class LinkPages(_Rule):
    """Pages chained by a URL in the body."""

    kind: Literal["json_link"]
    next: Path = Field(description="where the body has the next page's URL; null or '' behind the last page")
    omitted: bool = Field(default=False, description="the last page has no `next` at all")

    @property
    def told(self) -> str:
        return f"next by {self.next}"


class HeaderLinkPages(_Rule):
    """Pages chained by the Link header (RFC 8288)."""

    kind: Literal["header_link"]
    rel: str = Field(default="next", description="the relation of the next page")

    @property
    def told(self) -> str:
        return f'next by Link, rel="{self.rel}"'


class WindowPages(_Rule):
    """A range of whole numbers, such as Unix seconds, that is cut into windows of one request each."""

    kind: Literal["time_window"]
    from_: str = Field(alias="from", description="the parameter that takes where a window begins")
    to: str = Field(description="the parameter that takes where a window ends")
    step: int = Field(ge=1, description="the length of a window, in the unit of the parameters")
    inclusive: bool = Field(default=False, description="whether rows at `to` are in the window")
    max_rows: int | None = Field(default=None, ge=1, description="the most rows that the API answers a window with")

    @property
    def told(self) -> str:
        return f"windows of {self.step} between {self.from_} and {self.to}"


class SinglePage(Model):
    """A list that comes whole."""

    kind: Literal["single"]
    total: Path | None = Field(default=None, description="where the body has the number of all rows")
    total_header: str | None = Field(default=None, description="the header that has the number of all rows")

    location: ClassVar[Location] = "query"
    size: ClassVar[None] = None
    max_pages: ClassVar[None] = None
    positions: ClassVar[tuple[str, ...]] = ()
    told: ClassVar[str] = "one page"

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that are read in the body."""
        return (self.total,) if self.total is not None else ()


#: Kinds that count rows or pages.
CountedPages = OffsetPages | NumberedPages
#: Kinds in which each page names the one that follows it.
ChainedPages = CursorPages | HeaderCursorPages | KeysetPages | LinkPages | HeaderLinkPages

Pages = Annotated[
    CursorPages
    | HeaderCursorPages
    | KeysetPages
    | OffsetPages
    | NumberedPages
    | LinkPages
    | HeaderLinkPages
    | WindowPages
    | SinglePage,
    Field(discriminator="kind"),
]


def _needs(rule: Any, end: str, *keys: str) -> None:
    """Raise unless one of the keys, of those that the kind has, is given where the list ends in that way."""
    known = [k for k in keys if k in type(rule).model_fields]
    if rule.ends == end and all(getattr(rule, k) is None for k in known):
        raise ValueError(f"ends: {end} needs {' or '.join(known)}")
