"""The ways in which a world's lists are cut into pages: how the manifest says it, and how the server does it.

A new kind of paging is one more entry in `PAGINGS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """What a strict API answers 400 to."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: the rows from `start` to `end`, what stands around them, and further response headers."""

    start: int
    end: int
    envelope: Json
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Paging:
    """`declared` makes the manifest's words of the largest page; `cut` answers a query for a list of some length.

    `cut` takes the query without other parameters, the number of rows, the largest page and the URL that was asked
    for (without the parameters of paging). `params` are the query parameters that belong to paging.
    """

    declared: Callable[[int], Json]
    cut: Callable[[Mapping[str, str], int, int, str], Page]
    params: frozenset[str]


def _size(query: Mapping[str, str], largest: int) -> int:
    text = query.get("limit", str(largest))
    if not text.isdigit() or not 1 <= int(text) <= largest:
        raise Refused(f"limit is {text}")
    return int(text)


def _start(query: Mapping[str, str], total: int) -> int:
    text = query.get("after", "c0")
    if text[:1] != "c" or not text[1:].isdigit() or int(text[1:]) > total:
        raise Refused(f"there is no cursor {text}")
    return int(text[1:])


def _cursor(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    start = _start(query, total)
    end = min(start + _size(query, largest), total)
    return Page(start, end, {"has_more": end < total, "last_id": f"c{end}" if end > start else None})


def _bare_cursor(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    """The cursor alone tells whether more follows: it is null or empty behind the last page."""
    start = _start(query, total)
    end = min(start + _size(query, largest), total)
    return Page(start, end, {"paging": {"next": f"c{end}" if end < total else (None, "")[total % 2]}})


def _uneven_cursor(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    """Pages shorter than asked for, now and then an empty one, and an empty one at the end."""
    position = _start_of_uneven(query)
    start, turn = divmod(position, 4)
    if start > total:
        raise Refused(f"there is no cursor u{position}")
    size = 0 if turn == 1 else max(1, _size(query, largest) - turn % 2)
    end = min(start + size, total)
    more = start < total
    return Page(start, end, {"has_more": more, "last_id": f"u{end * 4 + (turn + 1) % 4}" if more else None})


def _start_of_uneven(query: Mapping[str, str]) -> int:
    text = query.get("after", "u0")
    if text[:1] != "u" or not text[1:].isdigit():
        raise Refused(f"there is no cursor {text}")
    return int(text[1:])


def _header_cursor(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    start = _start(query, total)
    end = min(start + _size(query, largest), total)
    return Page(start, end, {"object": "list"}, (("x-next", f"c{end}"),) if end < total else ())


def _absent_cursor(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    """The last page has no cursor at all."""
    start = _start(query, total)
    end = min(start + _size(query, largest), total)
    return Page(start, end, {"paging": {"next": f"c{end}"}} if end < total else {})


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit():
        raise Refused(f"{name} is {text}")
    return int(text)


def _offset(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    start = min(_number(query, "offset", 0), total)
    return Page(start, min(start + _size(query, largest), total), {"total": total})


def _offset_without_total(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    page = _offset(query, total, largest, url)
    return Page(page.start, page.end, {})


def _numbered(first: int) -> Callable[[Mapping[str, str], int, int, str], Page]:
    def cut(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
        size = _size(query, largest)
        start = min((_number(query, "page", first) - first) * size, total)
        if start < 0:
            raise Refused("there is no page before the first")
        return Page(start, min(start + size, total), {"meta": {"pages": -(-total // size), "count": total}})

    return cut


def _linked(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    """The body has the URL of the next page: whole, or only from the path on."""
    start = _start(query, total)
    end = min(start + _size(query, largest), total)
    link = f"{url}{'&' if '?' in url else '?'}limit={_size(query, largest)}&after=c{end}"
    link = link if end % 2 else "/" + link.split("/", 3)[3]
    return Page(start, end, {"links": {"next": link if end < total else None}})


def _link_header(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    page = _linked(query, total, largest, url)
    link = page.envelope["links"]["next"]
    first = f'<{url}>; rel="first"; title="a, b; c"'
    return Page(page.start, page.end, {}, (("link", f'{first}, <{link}>; rel="next"' if link else first),))


def _whole(query: Mapping[str, str], total: int, largest: int, url: str) -> Page:
    return Page(0, total, {"count": total})


_BY_CURSOR = frozenset({"limit", "after"})


def _sized(**rule: Any) -> Callable[[int], Json]:
    """A rule of the manifest, with the parameter `limit` for the rows per page."""
    return lambda largest: {**rule, "size": {"param": "limit", "max": largest}}


#: By name; the choice is part of a world.
PAGINGS: dict[str, Paging] = {
    "cursor": Paging(
        _sized(kind="cursor", param="after", next="$.last_id", more="$.has_more"),
        _cursor,
        _BY_CURSOR,
    ),
    "bare_cursor": Paging(_sized(kind="cursor", param="after", next="$.paging.next"), _bare_cursor, _BY_CURSOR),
    "absent_cursor": Paging(
        _sized(kind="cursor", param="after", next="$.paging.next", omitted=True), _absent_cursor, _BY_CURSOR
    ),
    "unsized_cursor": Paging(
        lambda largest: {"kind": "cursor", "param": "after", "next": "$.last_id", "more": "$.has_more"},
        _cursor,
        frozenset({"after"}),
    ),
    "uneven_cursor": Paging(
        _sized(kind="cursor", param="after", next="$.last_id", more="$.has_more"), _uneven_cursor, _BY_CURSOR
    ),
    "header_cursor": Paging(_sized(kind="header_cursor", param="after", header="X-Next"), _header_cursor, _BY_CURSOR),
    "offset": Paging(
        _sized(kind="offset", param="offset", ends="total", total="$.total"), _offset, frozenset({"limit", "offset"})
    ),
    "offset_short": Paging(
        _sized(kind="offset", param="offset", ends="short_page"), _offset_without_total, frozenset({"limit", "offset"})
    ),
    "offset_empty": Paging(
        lambda largest: {"kind": "offset", "param": "offset", "ends": "empty_page"},
        _offset_without_total,
        frozenset({"offset"}),
    ),
    "page": Paging(
        _sized(kind="page_number", param="page", ends="total", pages="$.meta.pages"),
        _numbered(1),
        frozenset({"limit", "page"}),
    ),
    "page_from_zero": Paging(
        _sized(kind="page_number", param="page", first=0, ends="total", total="$.meta.count"),
        _numbered(0),
        frozenset({"limit", "page"}),
    ),
    "page_short": Paging(
        _sized(kind="page_number", param="page", ends="short_page"), _numbered(1), frozenset({"limit", "page"})
    ),
    "link": Paging(_sized(kind="json_link", next="$.links.next"), _linked, _BY_CURSOR),
    "link_header": Paging(_sized(kind="header_link"), _link_header, _BY_CURSOR),
    "single": Paging(lambda largest: {"kind": "single", "total": "$.count"}, _whole, frozenset()),
}


def body(page: Page, rows: bytes) -> bytes:
    """The answer: the rows' JSON, separated by commas, within the envelope."""
    around = json.dumps(page.envelope)[1:-1]
    return b'{"data":[%b]%b}' % (rows, f",{around}".encode() if around else b"")
