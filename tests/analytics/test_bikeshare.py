"""Queries over a snowflake schema of REST resources answer as plain DuckDB does on the same rows.

Some tables are listed, days and bikes are known by their key only, and a bridge stands under either of its sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analytics.bikeshare.rows import TABLES, tables
from tests.analytics.bikeshare.server import BikeShare
from tests.analytics.harness import Both, Schema

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


def counted(log: list[str]) -> str:
    """The requests by what was asked for: a list, or objects by key."""
    paths = [target.split("?")[0].split("/") for target in log]
    counts = Counter(path[-1 if len(path) == 4 else 1] for path in paths)
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    folder = Path(__file__).parent / "bikeshare"
    with Both(Schema(folder, "bikes.share", TABLES, tables, BikeShare, counted)) as found:
        yield found


@pytest.mark.parametrize("name", REQUESTS)
def test_query_answers_as_plain_duckdb(both: Both, name: str) -> None:
    both.check(name, REQUESTS[name])


@pytest.mark.parametrize("name", REFUSED)
def test_query_that_names_no_key_is_refused_before_any_request(both: Both, name: str) -> None:
    both.check_refused(name, REFUSED[name][0])


def test_every_query_is_asked_and_every_order_is_total(both: Both) -> None:
    assert sorted(both.queries) == sorted({**REQUESTS, **REFUSED})
    both.check_orders()
