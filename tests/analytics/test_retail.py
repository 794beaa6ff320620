"""Queries over sales, returns and stock as REST resources answer as plain DuckDB does on the same rows.

Days, stores and sales in shops are listed. All else is known by key: items, customers and towns one by one, returns by
item and receipt or by day, sales of the web by day or by customer, stock by day or by day and item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analytics.harness import Both, Schema
from tests.analytics.retail.rows import TABLES, tables
from tests.analytics.retail.server import Retailer

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


def counted(log: list[str]) -> str:
    """The requests by resource and by the keys that it was asked for."""
    paths = [target.split("?")[0].split("/")[1:] for target in log]
    counts = Counter("/".join([path[0], *(key.removesuffix("_key") for key in path[1::2])]) for path in paths)
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    folder = Path(__file__).parent / "retail"
    with Both(Schema(folder, "retail.chain", TABLES, tables, Retailer, counted)) as found:
        yield found


@pytest.mark.parametrize("name", REQUESTS)
def test_query_answers_as_plain_duckdb(both: Both, name: str) -> None:
    both.check(name, REQUESTS[name])


def test_every_query_is_asked_and_every_order_is_total(both: Both) -> None:
    assert sorted(both.queries) == sorted(REQUESTS)
    both.check_orders()
