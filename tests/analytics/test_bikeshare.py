"""Queries over a snowflake schema of REST resources answer as plain DuckDB does on the same rows.

Some tables are listed, days and bikes are known by their key only, and a bridge stands under either of its sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import provider
from provider.errors import BindError
from tests.analytics.bikeshare.rows import load, tables
from tests.analytics.bikeshare.server import BikeShare

HERE = Path(__file__).parent / "bikeshare"
QUERIES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((HERE / "queries").glob("*.sql"))}

#: The table that needs a value, and why nothing in the query gives it one.
REFUSED = {"12_all_tickets": ("tickets", "counts the tickets of all bikes, and names no bike")}


#: The requests of each query. 400 trips are 10 pages, 60 days one request each.
REQUESTS = {
    "01_revenue_by_region": "6 districts, 1 regions, 1 stations, 10 trips",
    "02_weekdays": "60 days, 10 trips",
    "03_holidays": "60 days, 10 trips",
    "04_bridge_weighted": "1 campaigns, 3 riders, 10 trips",
    "05_riders_in_two_campaigns": "40 campaigns, 1 riders",
    "06_members_that_are_gone": "1 campaigns, 4 riders",
    "07_referrals": "1 riders",
    "08_who_referred_whom": "2 riders",
    "09_first_trip_of_each_bike": "25 bikes, 1 models, 10 trips",
    "10_cost_of_tickets": "21 bikes, 1 models, 21 tickets, 2 trips",
    "11_days_until_closed": "11 days, 6 tickets",
    "13_riders_without_trips": "1 riders, 10 trips",
    "14_running_total": "60 days, 10 trips",
    "15_free_places": "3 days, 6 occupancy, 2 stations",
    "16_free_places_on_days_of_trips": "11 occupancy, 10 trips",
    "17_bike_of_the_year": "10 trips",
    "18_same_rider_same_day": "10 trips",
    "19_tariffs_compared": "1 riders, 3 tariffs, 10 trips",
    "20_home_and_away": "1 riders, 1 stations, 10 trips",
    "21_tags": "1 riders",
    "22_lines": "6 districts, 1 stations",
    "23_retired": "25 bikes, 5 days, 10 trips",
    "24_pivot": "25 days, 25 tickets, 10 trips",
    "25_busiest_station_by_day": "60 days, 1 stations, 10 trips",
}


@pytest.fixture(scope="module")
def server() -> Iterator[BikeShare]:
    with BikeShare(tables()) as running:
        yield running


@pytest.fixture(scope="module")
def plain() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as duck:
        load(duck, tables())
        yield duck


@pytest.fixture(scope="module")
def api(server: BikeShare) -> Iterator[provider.Connection]:
    manifests = [HERE / "bikes.yaml"]
    with provider.connect(manifests=manifests, base_urls={"bikes": server.url}, environ={}, retries=0) as conn:
        yield conn


@pytest.mark.parametrize("name", [n for n in QUERIES if n not in REFUSED])
def test_query_answers_as_plain_duckdb(
    name: str, api: provider.Connection, plain: duckdb.DuckDBPyConnection, server: BikeShare
) -> None:
    expected = _answer(plain.execute(QUERIES[name]))
    assert expected[1], "an empty answer proves nothing"
    server.log.clear()
    assert _answer(api.execute(QUERIES[name])) == expected
    assert _counted(server.log) == REQUESTS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_query_that_names_no_key_is_refused_before_any_request(
    name: str, api: provider.Connection, server: BikeShare
) -> None:
    server.log.clear()
    with pytest.raises(BindError, match=rf"^bikes\.share\.{REFUSED[name][0]} needs "):
        api.execute(QUERIES[name])
    assert server.log == []


def test_every_order_by_is_total(plain: duckdb.DuckDBPyConnection) -> None:
    with duckdb.connect() as backwards:
        load(backwards, {name: rows[::-1] for name, rows in tables().items()})
        for sql in QUERIES.values():
            assert _answer(backwards.execute(sql)) == _answer(plain.execute(sql))


def _counted(log: list[str]) -> str:
    """The requests by what was asked for: a list, or objects by key."""
    paths = [target.split("?")[0].split("/") for target in log]
    counts = Counter(path[-1 if len(path) == 4 else 1] for path in paths)
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))


def _answer(cursor: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Names, types and rows in their order, which the queries fix."""
    columns = [(column[0], str(column[1])) for column in cursor.description]
    return columns, [repr(row) for row in cursor.fetchall()]
