"""The social network as a REST API: each kind of list is cut into pages in a way of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from tests.analytics.social.rows import Row
from tests.oracle.pages import PAGINGS, Refused, body
from tests.oracle.server import NOT_FOUND, Reply, Server

PAGE = 50

#: Path: the table, its way of paging ('' where it answers one object), and the columns that its parameters stand for.
_ENDPOINTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "/places/{}": ("place", "", ("id",)),
    "/places/{}/parts": ("place", "single", ("partof",)),
    "/organisations/{}": ("organisation", "", ("id",)),
    "/tagclasses": ("tagclass", "single", ()),
    "/tags": ("tag", "offset", ()),
    "/tags/{}": ("tag", "", ("id",)),
    "/tags/{}/messages": ("messagetag", "offset", ("tagid",)),
    "/persons": ("person", "link_header", ()),
    "/persons/{}": ("person", "", ("id",)),
    "/persons/{}/friends": ("knows", "cursor", ("p1",)),
    "/persons/{}/messages": ("message", "page", ("creator",)),
    "/persons/{}/likes": ("likes", "cursor", ("personid",)),
    "/persons/{}/forums": ("forumperson", "offset_short", ("personid",)),
    "/persons/{}/interests": ("interest", "single", ("personid",)),
    "/persons/{}/jobs": ("workat", "single", ("personid",)),
    "/forums": ("forum", "absent_cursor", ()),
    "/forums/{}": ("forum", "", ("id",)),
    "/forums/{}/members": ("forumperson", "offset_short", ("forumid",)),
    "/forums/{}/messages": ("message", "page", ("forumid",)),
    "/messages/{}": ("message", "", ("id",)),
    "/messages/{}/replies": ("message", "page", ("replyof",)),
    "/messages/{}/likes": ("likes", "cursor", ("messageid",)),
    "/messages/{}/tags": ("messagetag", "offset", ("messageid",)),
}


class Network(Server):
    """Serves the tables at `url`. Parameters that are not documented are refused."""

    def __init__(self, tables: Mapping[str, list[Row]]) -> None:
        super().__init__()
        self._tables = tables

    def _answer(self, path: str, query: dict[str, str]) -> Reply:
        segments = path.split("/")
        given = segments[2:3]
        template = "/".join([*segments[:2], *("{}" for _ in given), *segments[3:]])
        if template not in _ENDPOINTS:
            raise Refused(f"there is no {path}")
        table, paging, columns = _ENDPOINTS[template]
        rows = [r for r in self._tables[table] if all(str(r[c]) == v for c, v in zip(columns, given, strict=True))]
        if not paging:
            return (200, _json(rows[0]), ()) if rows and not query else NOT_FOUND
        if table == "message" and "lang" in query:
            rows = [r for r in rows if r["lang"] == query["lang"].lower()]
        if unknown := query.keys() - PAGINGS[paging].params - ({"lang"} if table == "message" else set()):
            raise Refused(f"{unknown} are no parameters")
        page = PAGINGS[paging].cut(query, len(rows), PAGE, self.url + path)
        return 200, body(page, b",".join(_json(r) for r in rows[page.start : page.end])), page.headers


def _json(row: Row) -> bytes:
    return json.dumps({n: _plain(v) for n, v in row.items() if v is not None}, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, date | datetime) else value
