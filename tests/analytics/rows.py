"""The eight tables of the TPC-H benchmark, a wholesale supplier's: their columns, and a few deterministic rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

Value = int | str | Decimal | date
Row = tuple[Value, ...]

_MONEY = "DECIMAL(15,2)"

#: The columns of each table with DuckDB's types.
TABLES: dict[str, dict[str, str]] = {
    "region": {"r_regionkey": "BIGINT", "r_name": "VARCHAR", "r_comment": "VARCHAR"},
    "nation": {"n_nationkey": "BIGINT", "n_name": "VARCHAR", "n_regionkey": "BIGINT", "n_comment": "VARCHAR"},
    "supplier": {
        "s_suppkey": "BIGINT", "s_name": "VARCHAR", "s_address": "VARCHAR", "s_nationkey": "BIGINT",
        "s_phone": "VARCHAR", "s_acctbal": _MONEY, "s_comment": "VARCHAR",
    },
    "customer": {
        "c_custkey": "BIGINT", "c_name": "VARCHAR", "c_address": "VARCHAR", "c_nationkey": "BIGINT",
        "c_phone": "VARCHAR", "c_acctbal": _MONEY, "c_mktsegment": "VARCHAR", "c_comment": "VARCHAR",
    },
    "part": {
        "p_partkey": "BIGINT", "p_name": "VARCHAR", "p_mfgr": "VARCHAR", "p_brand": "VARCHAR", "p_type": "VARCHAR",
        "p_size": "BIGINT", "p_container": "VARCHAR", "p_retailprice": _MONEY, "p_comment": "VARCHAR",
    },
    "partsupp": {
        "ps_partkey": "BIGINT", "ps_suppkey": "BIGINT", "ps_availqty": "BIGINT", "ps_supplycost": _MONEY,
        "ps_comment": "VARCHAR",
    },
    "orders": {
        "o_orderkey": "BIGINT", "o_custkey": "BIGINT", "o_orderstatus": "VARCHAR", "o_totalprice": _MONEY,
        "o_orderdate": "DATE", "o_orderpriority": "VARCHAR", "o_clerk": "VARCHAR", "o_shippriority": "BIGINT",
        "o_comment": "VARCHAR",
    },
    "lineitem": {
        "l_orderkey": "BIGINT", "l_partkey": "BIGINT", "l_suppkey": "BIGINT", "l_linenumber": "BIGINT",
        "l_quantity": _MONEY, "l_extendedprice": _MONEY, "l_discount": _MONEY, "l_tax": _MONEY,
        "l_returnflag": "VARCHAR", "l_linestatus": "VARCHAR", "l_shipdate": "DATE", "l_commitdate": "DATE",
        "l_receiptdate": "DATE", "l_shipinstruct": "VARCHAR", "l_shipmode": "VARCHAR", "l_comment": "VARCHAR",
    },
}  # fmt: skip

_REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
_NATIONS = (
    ("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0), ("FRANCE", 3),
    ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4), ("JAPAN", 2), ("JORDAN", 4),
    ("KENYA", 0), ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1), ("CHINA", 2), ("ROMANIA", 3),
    ("SAUDI ARABIA", 4), ("VIETNAM", 2), ("RUSSIA", 3), ("UNITED KINGDOM", 3), ("UNITED STATES", 1),
)  # fmt: skip
_SEGMENTS = ("AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY")
_PRIORITIES = ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW")
_COLOURS = ("almond", "azure", "forest", "green", "ivory", "lemon", "plum", "rose")
_INSTRUCTIONS = ("COLLECT COD", "DELIVER IN PERSON", "NONE", "TAKE BACK RETURN")
_MODES = ("AIR", "AIR REG", "FOB", "MAIL", "RAIL", "SHIP", "TRUCK")
_WORDS = ("bold", "deposits", "even", "foxes", "größte", 'the "final"', "it's", "pending", "requests", "special")
_SUPPLIERS, _CUSTOMERS, _PARTS, _ORDERS = 40, 150, 160, 800
_FIRST, _TODAY = date(1992, 1, 1), date(1995, 6, 17)


def tables(seed: int = 22) -> dict[str, list[Row]]:
    """The rows of every table. Value ranges are narrower than the benchmark's, so that few rows answer every query."""
    source = random.Random(seed)
    parts = list(_parts(source))
    orders, lines = _sales(source, [r[7] for r in parts])
    return {
        "region": [(i, name, _comment(source)) for i, name in enumerate(_REGIONS)],
        "nation": [(i, name, region, _comment(source)) for i, (name, region) in enumerate(_NATIONS)],
        "supplier": list(_suppliers(source)),
        "customer": list(_customers(source)),
        "part": parts,
        "partsupp": [
            (p, s, source.randint(1, 500), _money(source, 100, 100_000), _comment(source))
            for p in range(1, _PARTS + 1)
            for s in _suppliers_of(p)
        ],
        "orders": orders,
        "lineitem": lines,
    }


def _suppliers_of(part: int) -> list[int]:
    """The four suppliers of a part."""
    return [(part + i * (_SUPPLIERS // 4 + (part - 1) // _SUPPLIERS)) % _SUPPLIERS + 1 for i in range(4)]


def _suppliers(source: random.Random) -> Iterator[Row]:
    for key in range(1, _SUPPLIERS + 1):
        nation = key % len(_NATIONS)
        comment = "Customer had Complaints" if key % 10 == 3 else _comment(source)
        yield (
            key, f"Supplier#{key:09}", f"{key} Dock Road", nation, _phone(source, nation),
            _money(source, -99_999, 999_999), comment,
        )  # fmt: skip


def _customers(source: random.Random) -> Iterator[Row]:
    for key in range(1, _CUSTOMERS + 1):
        nation = source.randrange(len(_NATIONS))
        yield (
            key, f"Customer#{key:09}", f"{key} Market Street", nation, _phone(source, nation),
            _money(source, -99_999, 999_999), source.choice(_SEGMENTS), _comment(source),
        )  # fmt: skip


def _parts(source: random.Random) -> Iterator[Row]:
    for key in range(1, _PARTS + 1):
        maker = source.randint(1, 3)
        kind = f"{source.choice(['ECONOMY', 'PROMO', 'MEDIUM'])} {source.choice(['ANODIZED', 'POLISHED'])}"
        yield (
            key, " ".join(source.sample(_COLOURS, 3)), f"Manufacturer#{maker}",
            f"Brand#{maker}{source.randint(1, 3)}", f"{kind} {source.choice(['BRASS', 'STEEL', 'TIN'])}",
            source.randint(1, 15), f"{source.choice(['SM', 'MED', 'LG'])} {source.choice(['BOX', 'CASE', 'PACK'])}",
            Decimal(90_000 + key * 37 % 20_000) / 100, _comment(source),
        )  # fmt: skip


def _sales(source: random.Random, prices: list[Value]) -> tuple[list[Row], list[Row]]:
    """Orders and their lines. A third of the customers never orders; keys have gaps, as the benchmark's have."""
    orders: list[Row] = []
    lines: list[Row] = []
    for number in range(_ORDERS):
        key = number // 8 * 32 + number % 8 + 1
        customer = source.choice([c for c in range(1, _CUSTOMERS + 1) if c % 3])
        ordered = _FIRST + timedelta(days=source.randrange(2405))
        mine = list(_lines(source, key, ordered, prices))
        shipped = {r[9] for r in mine}
        status = shipped.pop() if len(shipped) == 1 else "P"
        total = sum((_decimal(r[5]) * (1 - _decimal(r[6])) * (1 + _decimal(r[7])) for r in mine), Decimal(0))
        orders.append((
            key, customer, status, total.quantize(Decimal("0.01")), ordered, source.choice(_PRIORITIES),
            f"Clerk#{source.randint(1, 10):09}", 0, _comment(source),
        ))  # fmt: skip
        lines += mine
    return orders, lines


def _lines(source: random.Random, order: int, ordered: date, prices: list[Value]) -> Iterator[Row]:
    for number in range(1, source.randint(1, 7) + 1):
        part = source.randint(1, _PARTS)
        quantity = source.randint(1, 50)
        shipped = ordered + timedelta(days=source.randint(1, 121))
        received = shipped + timedelta(days=source.randint(1, 30))
        yield (
            order, part, source.choice(_suppliers_of(part)), number, Decimal(quantity).quantize(Decimal("0.01")),
            quantity * _decimal(prices[part - 1]), _money(source, 0, 10), _money(source, 0, 8),
            source.choice("AR") if received <= _TODAY else "N", "O" if shipped > _TODAY else "F",
            shipped, ordered + timedelta(days=source.randint(30, 90)), received,
            source.choice(_INSTRUCTIONS), source.choice(_MODES), _comment(source),
        )  # fmt: skip


def _decimal(value: Value) -> Decimal:
    assert isinstance(value, Decimal)
    return value


def _money(source: random.Random, least: int, most: int) -> Decimal:
    """An amount between two numbers of cents."""
    return (Decimal(source.randint(least, most)) / 100).quantize(Decimal("0.01"))


def _phone(source: random.Random, nation: int) -> str:
    return f"{nation + 10}-{source.randint(100, 999)}-{source.randint(100, 999)}-{source.randint(1000, 9999)}"


def _comment(source: random.Random) -> str:
    return " ".join(source.sample(_WORDS, 3))
