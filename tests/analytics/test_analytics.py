"""The 22 queries of the TPC-H benchmark over REST resources answer as plain DuckDB does on the same rows.

The manifest has a version for each way in which an API may offer the tables. Where none of a table's methods can be
called, the query must be refused, and `REFUSED` says why no request can answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import provider
from provider.errors import BindError
from tests.analytics.harness import answered, load, queries
from tests.analytics.rows import TABLES, Row, tables
from tests.analytics.server import Wholesale

HERE = Path(__file__).parent
QUERIES = queries(HERE)

#: version and query: the table that needs a value, and why nothing in the query gives it one.
REFUSED = {
    "by_order": {
        "q01": ("lineitem", "sums up all lines, and names no order"),
        "q06": ("lineitem", "sums up all lines, and names no order"),
        "q11": ("partsupp", "knows the supplier of an offer, and needs the part"),
        "q13": ("customer", "also counts the customers without orders, whom no order names"),
        "q14": ("lineitem", "knows the part of a line, and needs the order"),
        "q15": ("lineitem", "ranks suppliers by all lines, and names no order"),
        "q17": ("lineitem", "knows the part of a line, and needs the order"),
        "q19": ("lineitem", "knows the part of a line, and needs the order"),
        "q20": ("lineitem", "knows part and supplier of a line, and needs the order"),
        "q22": ("customer", "asks for customers without orders, whom no order names"),
    },
    "by_part": {
        "q01": ("lineitem", "sums up all lines, and names no part"),
        "q03": ("lineitem", "knows the order of a line, and needs the part"),
        "q04": ("lineitem", "knows the order of a line, and needs the part"),
        "q05": ("lineitem", "knows order and supplier of a line, and needs the part"),
        "q06": ("lineitem", "sums up all lines, and names no part"),
        "q07": ("lineitem", "knows order and supplier of a line, and needs the part"),
        "q10": ("lineitem", "knows the order of a line, and needs the part"),
        "q12": ("lineitem", "knows the order of a line, and needs the part"),
        "q15": ("lineitem", "ranks suppliers by all lines, and names no part"),
        "q16": ("partsupp", "knows the part of an offer, and needs the supplier: NOT IN says only which are not meant"),
        "q18": ("lineitem", "knows the order of a line, and needs the part"),
        "q21": ("lineitem", "knows order and supplier of a line, and needs the part"),
    },
}

#: Queries whose subqueries name a field of an outer table that is also a parameter of the inner one:
#: `l_orderkey = o_orderkey`. The outer field is meant, whether it is qualified or not.
OUTER_NAMES = {
    "by_order": ("q02", "q04"),
    "by_part": ("q17", "q22"),
    "both": ("q02", "q04", "q17", "q22"),
}

#: The queries with correlated subqueries: the others read the same lists in `both` as in `listed`.
WITH_SUBQUERIES = ("q02", "q04", "q17", "q20", "q21", "q22")

#: The queries that are asked of a version, where most would only say again what another version says.
ASKED = {
    "by_key": ("q02", "q11", "q15", "q16", "q21"),
    "by_pair": ("q09", "q20"),
    "both": WITH_SUBQUERIES,
}

#: What to write in place of a hidden name.
QUALIFIED = {
    "q02": ("p_partkey = ps_partkey", "part.p_partkey = ps_partkey"),
    "q04": ("= o_orderkey", "= orders.o_orderkey"),
    "q17": ("= p_partkey)", "= part.p_partkey)"),
    "q22": ("= c_custkey", "= customer.c_custkey"),
}


@pytest.fixture(scope="module")
def found() -> dict[str, list[Row]]:
    return tables()


@pytest.fixture(scope="module")
def server(found: dict[str, list[Row]]) -> Iterator[Wholesale]:
    with Wholesale(found) as running:
        yield running


@pytest.fixture(scope="module")
def plain(found: dict[str, list[Row]]) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as duck:
        load(duck, "tpch.sales", TABLES, found)
        yield duck


@pytest.fixture(scope="module")
def api(server: Wholesale) -> Iterator[Callable[[str], provider.Connection]]:
    """Connections to the server, one for each version of the manifest."""
    opened: dict[str, provider.Connection] = {}

    def connection(version: str) -> provider.Connection:
        if version not in opened:
            opened[version] = provider.connect(
                manifests=[HERE / "tpch.yaml"],
                base_urls={"tpch": server.url},
                versions={"tpch.sales": version},
                environ={},
                retries=0,
            )
        return opened[version]

    yield connection
    for conn in opened.values():
        conn.close()


def _agreeing() -> Iterator[Any]:
    for version in ("listed", "by_order", "by_part", "by_key", "by_pair", "both"):
        for name in ASKED.get(version, QUERIES):
            if name in REFUSED.get(version, {}):
                continue
            yield pytest.param(version, name, id=f"{version}-{name}")


@pytest.mark.parametrize(("version", "name"), list(_agreeing()))
def test_query_answers_as_plain_duckdb(
    version: str, name: str, api: Callable[[str], provider.Connection], plain: duckdb.DuckDBPyConnection
) -> None:
    expected = answered(plain.execute(QUERIES[name]))
    assert expected[1], "an empty answer proves nothing"
    assert answered(api(version).execute(QUERIES[name])) == expected


@pytest.mark.parametrize(
    ("version", "name", "table"),
    [(version, name, table) for version, known in REFUSED.items() for name, (table, _) in known.items()],
)
def test_query_that_names_no_key_is_refused_before_any_request(
    version: str, name: str, table: str, api: Callable[[str], provider.Connection], server: Wholesale
) -> None:
    server.log.clear()
    with pytest.raises(BindError, match=rf"^tpch\.sales\.{table} needs "):
        api(version).execute(QUERIES[name])
    assert server.log == []


@pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version, names in OUTER_NAMES.items() for name in names]
)
def test_query_that_names_the_outer_table_answers_as_plain_duckdb(
    version: str, name: str, api: Callable[[str], provider.Connection], plain: duckdb.DuckDBPyConnection
) -> None:
    sql = QUERIES[name].replace(*QUALIFIED[name])
    assert answered(api(version).execute(sql)) == answered(plain.execute(QUERIES[name]))


@pytest.mark.parametrize(
    ("table", "predicate", "query"),
    [
        ("orders", "o_orderstatus = 'F'", "status=F"),
        ("customer", "c_mktsegment = 'BUILDING'", "segment=BUILDING"),
        ("part", "p_size = 8", "size=8"),
        ("lineitem", "l_shipmode = 'MAIL'", "shipmode=MAIL"),
    ],
)
def test_constant_narrows_the_list_as_the_manifest_says(
    table: str, predicate: str, query: str, api: Callable[[str], provider.Connection], server: Wholesale
) -> None:
    server.log.clear()
    api("listed").execute(f"SELECT * FROM tpch.sales.{table} WHERE {predicate}").fetchall()
    assert server.log
    assert all(query in target for target in server.log)


def test_every_order_by_is_total(found: dict[str, list[Row]], plain: duckdb.DuckDBPyConnection) -> None:
    with duckdb.connect() as backwards:
        load(backwards, "tpch.sales", TABLES, {name: rows[::-1] for name, rows in found.items()})
        for sql in QUERIES.values():
            assert answered(backwards.execute(sql)) == answered(plain.execute(sql))


def test_there_are_22_queries() -> None:
    assert list(QUERIES) == [f"q{n:02}" for n in range(1, 23)]
