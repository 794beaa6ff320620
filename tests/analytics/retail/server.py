"""The retailer's tables as a REST API: `/name` is a list, `/name/column/value/...` the rows with these values."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

from tests.analytics.retail.rows import TABLES, Row, Value
from tests.oracle.server import GONE, NOT_FOUND, Reply, Server

PAGE = 50

#: Where one row is answered by its key, rather than a list.
_OBJECTS = {("items", "item_key"), ("customers", "customer_key"), ("towns", "town_key")}
#: Tables without a list of all rows.
_BY_KEY_ONLY = {"customers", "towns", "shop_returns", "web_sales", "stock"}


class Retailer(Server):
    """Serves the tables at `url`."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        super().__init__()
        self._rows = {
            name: [dict(zip(TABLES[name], row, strict=True)) for row in rows] for name, rows in tables.items()
        }

    def _answer(self, path: str, query: dict[str, str]) -> Reply:
        name, *pairs = path.split("/")[1:]
        if name not in self._rows or (not pairs and name in _BY_KEY_ONLY):
            return GONE
        given = dict(zip(pairs[::2], pairs[1::2], strict=True)) | {k: v for k, v in query.items() if k in TABLES[name]}
        rows = [r for r in self._rows[name] if all(str(r[c]) == v for c, v in given.items())]
        if len(pairs) == 2 and (name, pairs[0]) in _OBJECTS:
            return (200, json.dumps(rows[0], default=_plain).encode(), ()) if rows else NOT_FOUND
        start = int(query.get("skip", 0))
        body = {"rows": rows[start : start + PAGE], "total": len(rows)}
        return 200, json.dumps(body, default=_plain).encode(), ()


def _plain(value: Value) -> str:
    assert isinstance(value, Decimal | date)
    return value.isoformat() if isinstance(value, date) else str(value)
