"""A bike share as a snowflake schema: two fact tables, a snapshot, a bridge, and dimensions that lead to further ones.

Foreign keys may be NULL, or name what is not there any more; days are known by a number such as 20260301.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

Row = dict[str, Any]

#: The columns of each table with DuckDB's types.
TABLES: dict[str, dict[str, str]] = {
    "regions": {"id": "VARCHAR", "name": "VARCHAR", "population": "BIGINT"},
    "districts": {"id": "VARCHAR", "name": "VARCHAR", "region_id": "VARCHAR"},
    "stations": {
        "id": "BIGINT", "name": "VARCHAR", "district_id": "VARCHAR", "docks": "BIGINT", "opened": "DATE",
        "place": "JSON",
    },
    "models": {"code": "VARCHAR", "maker": "VARCHAR", "electric": "BOOLEAN", "weight": "DOUBLE"},
    "bikes": {"id": "VARCHAR", "model_code": "VARCHAR", "bought_day": "BIGINT", "retired_day": "BIGINT"},
    "tariffs": {"code": "VARCHAR", "label": "VARCHAR", "per_minute": "DECIMAL(8,4)", "monthly": "DECIMAL(8,2)"},
    "riders": {
        "id": "BIGINT", "name": "VARCHAR", "tariff_code": "VARCHAR", "home_station": "BIGINT", "referred_by": "BIGINT",
        "tags": "JSON",
    },
    "days": {
        "day_key": "BIGINT", "day": "DATE", "weekday": "VARCHAR", "month": "BIGINT", "quarter": "BIGINT",
        "holiday": "VARCHAR",
    },
    "campaigns": {"id": "VARCHAR", "title": "VARCHAR", "first_day": "BIGINT", "last_day": "BIGINT"},
    "memberships": {"campaign_id": "VARCHAR", "rider_id": "BIGINT", "share": "DECIMAL(5,4)"},
    "trips": {
        "id": "BIGINT", "started_at": "TIMESTAMPTZ", "minutes": "BIGINT", "day_key": "BIGINT", "bike_id": "VARCHAR",
        "rider_id": "BIGINT", "from_station": "BIGINT", "to_station": "BIGINT", "fee": "DECIMAL(8,2)",
    },
    "tickets": {
        "bike_id": "VARCHAR", "number": "BIGINT", "opened_day": "BIGINT", "closed_day": "BIGINT", "kind": "VARCHAR",
        "cost": "DECIMAL(8,2)",
    },
    "occupancy": {"station_id": "BIGINT", "day_key": "BIGINT", "hour": "BIGINT", "free": "BIGINT"},
}  # fmt: skip

_FIRST = date(2026, 1, 1)
_DAYS = 60
_HOLIDAYS = {"2026-01-01": "New Year", "2026-01-06": "Epiphany"}
_MAKERS = (("C1", "Kestrel", False, 17.5), ("C2", "Kestrel", True, 24.0), ("M", "Marten", False, 15.25))
_KINDS = ("brake", "tyre", "lost", "battery")


def _key(day: date) -> int:
    return int(day.strftime("%Y%m%d"))


def tables(seed: int = 5) -> dict[str, list[Row]]:
    """The rows of every table; equal seeds give equal rows."""
    source = random.Random(seed)
    days = [_FIRST + timedelta(days=i) for i in range(_DAYS)]
    found: dict[str, list[Row]] = {
        "regions": [_row("regions", *v) for v in (("N", "Norden", 410_000), ("S", "Süden", 2**40), ("X", "none", 0))],
        "districts": [
            _row("districts", f"d{i}", f"District {i}", ("N", "S", None)[min(i % 4, 2)]) for i in range(1, 8)
        ],
        "models": [_row("models", *v) for v in _MAKERS],
        "tariffs": [
            _row("tariffs", code, label, Decimal(minute), Decimal(month))
            for code, label, minute, month in (
                ("flex", "Pay as you go", "0.1500", "0.00"), ("plus", "Plus", "0.0550", "9.90"),
                ("b/b", "Bring & back", "0.0000", "19.00"),
            )
        ],
        "days": [_day(day) for day in days],
        "campaigns": [
            _row("campaigns", "c-w", "Winter", _key(days[0]), _key(days[20])),
            _row("campaigns", "c-s", "Spring", _key(days[30]), None),
            _row("campaigns", "c-0", "Nobody came", _key(days[5]), _key(days[6])),
        ],
    }  # fmt: skip
    found["stations"] = [_station(source, i) for i in range(1, 15)]
    found["bikes"] = [
        _row(
            "bikes", f"b{i:02}", source.choice(("C1", "C2", "M", None)), _key(source.choice(days[:10])),
            _key(source.choice(days[30:])) if i % 5 == 0 else None,
        )
        for i in range(1, 26)
    ]  # fmt: skip
    found["riders"] = [_rider(source, i) for i in range(1, 41)]
    found["memberships"] = [
        _row("memberships", campaign, rider, Decimal(source.randint(0, 10_000)).scaleb(-4))
        for campaign in ("c-w", "c-s")
        for rider in sorted(source.sample(range(1, 43), 15))
    ]
    found["trips"] = list(_trips(source, days, found))
    found["tickets"] = list(_tickets(source, days))
    found["occupancy"] = [
        _row("occupancy", station, _key(day), hour, source.randint(0, 12))
        for station in range(1, 5)
        for day in days[:12]
        for hour in (8, 18)
        if (station + day.day) % 5
    ]
    return found


def _row(table: str, *values: Any) -> Row:
    return dict(zip(TABLES[table], values, strict=True))


def _day(day: date) -> Row:
    quarter = (day.month + 2) // 3
    return _row("days", _key(day), day, day.strftime("%a"), day.month, quarter, _HOLIDAYS.get(str(day)))


def _station(source: random.Random, number: int) -> Row:
    opened = date(2020, 1, 1) + timedelta(days=source.randrange(2000))
    place = {"lat": round(48 + number / 100, 2), "lines": source.sample(["U1", "U2", "S7"], number % 3)}
    district = f"d{source.randint(1, 8)}" if number % 6 else None  # d8 is not there
    return _row("stations", number, f"Station {number}", district, source.randint(8, 30), opened, place)


def _rider(source: random.Random, number: int) -> Row:
    tariff = source.choice(("flex", "flex", "plus", "b/b", None))
    home = source.choice((*range(1, 15), None, 99))
    referred = source.randint(1, number - 1) if number % 3 == 0 and number > 1 else None
    tags = source.sample(["student", "früh", "weekend"], source.randint(0, 2))
    return _row("riders", number, f"Rider {number}", tariff, home, referred, tags)


def _trips(source: random.Random, days: list[date], found: dict[str, list[Row]]) -> Iterator[Row]:
    for number in range(1, 401):
        day = source.choice(days)
        zone = timedelta(minutes=source.randrange(24 * 60))
        minutes = source.choice((None, *range(1, 90)))
        yield _row(
            "trips", number, datetime(day.year, day.month, day.day, tzinfo=UTC) + zone, minutes, _key(day),
            source.choice(found["bikes"])["id"], source.choice((*range(1, 41), None, None)),
            source.randint(1, 14), source.choice((*range(1, 15), None)),
            None if minutes is None else (Decimal(minutes) * Decimal("0.15")).quantize(Decimal("0.01")),
        )  # fmt: skip


def _tickets(source: random.Random, days: list[date]) -> Iterator[Row]:
    for bike in range(1, 26):
        for number in range(1, source.choice((0, 1, 1, 2, 3)) + 1):
            opened = source.randrange(len(days))
            closed = opened + source.randrange(20)
            yield _row(
                "tickets", f"b{bike:02}", number, _key(days[opened]),
                _key(days[closed]) if closed < len(days) else None, source.choice(_KINDS),
                Decimal(source.randint(0, 9999)).scaleb(-2),
            )  # fmt: skip
