"""A retailer's snowflake: sales and returns in two channels, stock, and the tables that describe them."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache

Value = int | str | Decimal | date | datetime | None
Row = tuple[Value, ...]

_MONEY = "DECIMAL(9,2)"

#: The columns of each table with DuckDB's types.
TABLES: dict[str, dict[str, str]] = {
    "days": {"day_key": "BIGINT", "day": "DATE", "year": "BIGINT", "month": "BIGINT", "week": "BIGINT"},
    "items": {"item_key": "BIGINT", "item_name": "VARCHAR", "brand": "VARCHAR", "category": "VARCHAR", "price": _MONEY},
    "customers": {"customer_key": "BIGINT", "customer_name": "VARCHAR", "town_key": "BIGINT", "born": "BIGINT"},
    "towns": {"town_key": "BIGINT", "town": "VARCHAR", "state": "VARCHAR"},
    "stores": {"store_key": "BIGINT", "store": "VARCHAR", "town_key": "BIGINT"},
    "shop_sales": {
        "day_key": "BIGINT", "item_key": "BIGINT", "customer_key": "BIGINT", "store_key": "BIGINT", "receipt": "BIGINT",
        "paid_at": "TIMESTAMP", "quantity": "BIGINT", "amount": _MONEY,
    },
    "shop_returns": {
        "day_key": "BIGINT", "item_key": "BIGINT", "customer_key": "BIGINT", "receipt": "BIGINT", "refund": _MONEY,
    },
    "web_sales": {
        "day_key": "BIGINT", "item_key": "BIGINT", "customer_key": "BIGINT", "order_number": "BIGINT",
        "quantity": "BIGINT", "amount": _MONEY,
    },
    "stock": {"day_key": "BIGINT", "item_key": "BIGINT", "store_key": "BIGINT", "on_hand": "BIGINT"},
}  # fmt: skip

_FIRST = date(2024, 12, 1)


@cache
def tables() -> dict[str, list[Row]]:
    """The rows of each table, the same on each call."""
    drawn = random.Random(24)

    def some(last: int) -> int | None:
        return None if drawn.random() < 0.06 else drawn.randint(1, last)

    def money() -> Value:
        return None if drawn.random() < 0.05 else Decimal(drawn.randint(1, 20000)).scaleb(-2)

    found: dict[str, list[Row]] = {name: [] for name in TABLES}
    for n in range(1, 61):
        day = _FIRST + timedelta(n - 1)
        found["days"].append((n, day, day.year, day.month, (n + 5) // 7))
    for n in range(1, 16):
        name = f"item {n}"
        category = ("books", "music", "sport")[n % 3]
        found["items"].append((n, name, f"brand {n % 4}", category, Decimal(n * 7).scaleb(-1)))
    for n in range(1, 25):
        found["customers"].append((n, f"customer {n}", some(8), 1950 + n))
    for n in range(1, 9):
        found["towns"].append((n, f"town {n}", ("north", "south", None)[n % 3]))
    for n in range(1, 5):
        found["stores"].append((n, f"store {n}", n))
    for n in range(160):
        receipt, item = 1 + n // 3, 1 + (n * 7) % 15
        customer, paid = some(24), datetime(2024, 12, 1, 9) + timedelta(minutes=n * 541)
        row: Row = (some(60), item, customer, some(4), receipt, paid, drawn.randint(1, 9), money())
        found["shop_sales"].append(row)
        if n % 3 == 0:
            found["shop_returns"].append((some(60), item, customer, receipt, money()))
    for n in range(120):
        found["web_sales"].append((some(60), 1 + (n * 4) % 15, some(24), 1 + n // 2, drawn.randint(1, 9), money()))
    for n in range(90):
        found["stock"].append((1 + 7 * (n // 15), 1 + n % 15, 1 + n % 4, drawn.choice((None, 0, 5, 80, 300))))
    return found
