"""The tables as a REST API: paged lists, single objects, and what stands under a parent."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tests.analytics.rows import TABLES, Row, Value
from tests.oracle.server import GONE, NOT_FOUND, Reply, Server

PAGE = 250
_BAD: Reply = (400, b'{"error":{"code":"bad_request","message":"not as documented"}}', ())

#: Amounts that are sent as JSON numbers; the others are strings.
_NUMBERS = frozenset({"o_totalprice", "s_acctbal", "p_retailprice", "l_quantity", "l_discount"})

#: Path of a collection: its table. `GET /orders` lists, `GET /orders/7` answers one object where the table has a key.
_COLLECTIONS = {
    "regions": "region", "nations": "nation", "suppliers": "supplier", "customers": "customer", "parts": "part",
    "offers": "partsupp", "orders": "orders", "lineitems": "lineitem",
}  # fmt: skip
_COMPOSITE = frozenset({"partsupp", "lineitem"})

#: (parent, child) of a path: the column of the child's table that names the parent.
_CHILDREN = {
    ("orders", "lineitems"): "l_orderkey",
    ("parts", "lineitems"): "l_partkey",
    ("parts", "offers"): "ps_partkey",
    ("suppliers", "offers"): "ps_suppkey",
    ("customers", "orders"): "o_custkey",
    ("nations", "customers"): "c_nationkey",
}

#: Query parameter of a collection's lists: the column that it filters. Segments are found in any case of letters.
_FILTERS = {
    "orders": {"status": "o_orderstatus"},
    "customers": {"segment": "c_mktsegment"},
    "lineitems": {"shipmode": "l_shipmode"},
    "parts": {"size": "p_size"},
}


@dataclass(frozen=True, slots=True)
class _Sent:
    """A row with its JSON."""

    values: dict[str, Value]
    body: bytes


class Wholesale(Server):
    """Serves the tables at `url`. Parameters that are not documented are refused."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        super().__init__()
        self._rows: dict[str, list[_Sent]] = {}
        self._index: dict[tuple[str, str], dict[str, list[_Sent]]] = {}
        for collection, table in _COLLECTIONS.items():
            columns = list(TABLES[table])
            self._rows[collection] = [_sent(dict(zip(columns, row, strict=True))) for row in tables[table]]
            indexed = [columns[0], *(column for (_, child), column in _CHILDREN.items() if child == collection)]
            for column in indexed:
                found = self._index[collection, column] = defaultdict(list)
                for row in self._rows[collection]:
                    found[str(row.values[column])].append(row)

    def _answer(self, path: str, query: dict[str, str]) -> Reply:
        match path.split("/")[1:]:
            case [collection] if collection in _COLLECTIONS:
                return _page(collection, self._rows[collection], query)
            case [collection, key] if collection in _COLLECTIONS and _COLLECTIONS[collection] not in _COMPOSITE:
                column = next(iter(TABLES[_COLLECTIONS[collection]]))
                if query or not key.isdigit():
                    return _BAD
                rows = self._index[collection, column].get(key)
                return (200, rows[0].body, ()) if rows else NOT_FOUND
            case [parent, key, child] if (parent, child) in _CHILDREN:
                if not key.isdigit():
                    return _BAD
                return _page(child, self._index[child, _CHILDREN[parent, child]].get(key, []), query)
            case ["parts", part, "offers", supplier]:
                rows = [r for r in self._index["offers", "ps_partkey"][part] if str(r.values["ps_suppkey"]) == supplier]
                return (200, rows[0].body, ()) if rows else NOT_FOUND
        return GONE


def _page(collection: str, rows: list[_Sent], query: dict[str, str]) -> Reply:
    start, size = 0, 20
    if collection == "orders":
        if query.get("order", "asc") not in ("asc", "desc"):
            return _BAD
        rows = sorted(rows, key=lambda r: str(r.values["o_orderdate"]), reverse=query.get("order") == "desc")
    for name, text in query.items():
        if name == "limit":
            size = int(text)
        elif name == "after":
            start = int(text.removeprefix("c"))
        elif column := _FILTERS.get(collection, {}).get(name):
            rows = [r for r in rows if str(r.values[column]).lower() == text.lower()]
        elif not (name == "order" and collection == "orders"):
            return _BAD
    if not 1 <= size <= PAGE:
        return _BAD
    body = {"has_more": start + size < len(rows), "next": f"c{start + size}"}
    page = b",".join(r.body for r in rows[start : start + size])
    return 200, b'{"data":[%b],"paging":%b}' % (page, json.dumps(body).encode()), ()


def _sent(values: dict[str, Value]) -> _Sent:
    return _Sent(values, ("{" + ",".join(f'"{n}":{_json(n, v)}' for n, v in values.items()) + "}").encode())


def _json(name: str, value: Value) -> str:
    if isinstance(value, Decimal) and name in _NUMBERS:
        return str(value)
    return json.dumps(str(value) if isinstance(value, Decimal | date) else value)
