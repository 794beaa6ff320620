"""Answers that are kept: what is kept of one, and how the API is asked whether it still holds (RFC 9110, section 13).

A page that the API calls unchanged (304) has the very body that is kept, and paging goes on from that body. So a list
is asked for again page by page, along the same chain of cursors, and no page is taken for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from provider.catalog.catalog import Method
from provider.rest.freshness import FRESHNESS
from provider.rest.pagination import Answer

if TYPE_CHECKING:
    from provider.rest.transport import Headers, Response

#: Which header of a request shows what header of an answer said.
_CONDITIONS: Mapping[str, str] = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
UNCHANGED = 304


def essence(method: Method, answer: Answer) -> Answer:
    """An answer with those of its headers that paging, a later revalidation and freshness read."""
    rule = method.pages
    named = {str(value).lower() for name, value in rule or () if name.endswith("header") and value}
    wanted = {*_CONDITIONS, *FRESHNESS, "link", *named}
    return replace(answer, headers=tuple((n.lower(), v) for n, v in answer.headers if n.lower() in wanted))


def conditions(kept: Answer | None) -> Headers:
    """The headers that ask for an answer only if it is no longer the kept one; () where nothing can show that."""
    if kept is None or kept.call.http_method != "GET":
        return ()
    told = ((asks, kept.header(tells)) for tells, asks in _CONDITIONS.items())
    return tuple((asks, value) for asks, value in told if value)


def is_unchanged(sent: Headers, status: int) -> bool:
    """Whether an answer says that the kept one still holds: only what was asked for that may say so."""
    return status == UNCHANGED and any(name in _CONDITIONS.values() for name, _ in sent)


def current(kept: Answer | None, asked: Answer, response: Response) -> Answer:
    """What holds by a response: the kept body, with the headers that are sent anew; or what was answered."""
    if response.status != UNCHANGED or kept is None:
        return asked
    renewed = {name.lower() for name, _ in response.headers}
    stays = tuple((n, v) for n, v in kept.headers if n.lower() not in renewed)
    return replace(kept, headers=(*response.headers, *stays))
