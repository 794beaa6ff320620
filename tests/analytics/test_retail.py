"""Queries over sales, returns and stock as REST resources answer as plain DuckDB does on the same rows.

Days, stores and sales in shops are listed. All else is known by key: items, customers and towns one by one, returns by
item and receipt or by day, sales of the web by day or by customer, stock by day or by day and item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import provider
from tests.analytics.retail.rows import load, tables
from tests.analytics.retail.server import Retailer

HERE = Path(__file__).parent / "retail"
QUERIES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((HERE / "queries").glob("*.sql"))}

#: The requests of each query. Stock is not asked for by day and item, since nothing says which of them belong together.
REQUESTS = {
    "01_sold_and_returned": "3 days, 5 items/item, 88 shop_returns/item/receipt, 4 shop_sales, 60 web_sales/day",
    "02_items_in_both_channels": "2 days, 15 items/item, 4 shop_sales, 60 web_sales/day",
    "03_stock_before_and_after": "2 days, 15 items/item, 4 shop_sales, 31 stock/day",
    "04_customers_of_a_channel": "4 customers/town, 2 days, 4 shop_sales, 1 stores, 4 towns/town, 31 web_sales/day",
    "05_dearest_of_each_brand": "15 items/item, 4 shop_sales",
    "06_more_than_the_towns_average": "23 customers/customer, 1 days, 4 shop_sales, 7 towns/town",
    "07_weeks_side_by_side": "2 days, 4 shop_sales, 46 web_sales/day",
    "08_buyers_who_never_returned": "24 customers/customer, 2 days, 60 shop_returns/day, 4 shop_sales",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Retailer]:
    with Retailer(tables()) as running:
        yield running


@pytest.fixture(scope="module")
def plain() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as duck:
        load(duck, tables())
        yield duck


@pytest.fixture(scope="module")
def api(server: Retailer) -> Iterator[provider.Connection]:
    manifests = [HERE / "retail.yaml"]
    with provider.connect(manifests=manifests, base_urls={"retail": server.url}, environ={}, retries=0) as conn:
        conn.execute("USE retail.chain")
        yield conn


@pytest.mark.parametrize("name", QUERIES)
def test_query_answers_as_plain_duckdb(
    name: str, api: provider.Connection, plain: duckdb.DuckDBPyConnection, server: Retailer
) -> None:
    expected = _answer(plain.execute(QUERIES[name]))
    assert expected[1], "an empty answer proves nothing"
    server.log.clear()
    assert _answer(api.execute(QUERIES[name])) == expected
    assert _counted(server.log) == REQUESTS[name]


def test_every_order_by_is_total(plain: duckdb.DuckDBPyConnection) -> None:
    with duckdb.connect() as backwards:
        load(backwards, {name: rows[::-1] for name, rows in tables().items()})
        for sql in QUERIES.values():
            assert _answer(backwards.execute(sql)) == _answer(plain.execute(sql))


def _counted(log: list[str]) -> str:
    """The requests by resource and by the keys that it was asked for."""
    paths = [target.split("?")[0].split("/")[1:] for target in log]
    counts = Counter("/".join([path[0], *(key.removesuffix("_key") for key in path[1::2])]) for path in paths)
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))


def _answer(cursor: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Names, types and rows in their order, which the queries fix."""
    columns = [(column[0], str(column[1])) for column in cursor.description]
    return columns, [repr(row) for row in cursor.fetchall()]
