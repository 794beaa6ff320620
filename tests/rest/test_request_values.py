"""How values stand in a path and in a query: as APIs write them, not as Python prints them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from provider.catalog.catalog import Method, Parameter
from provider.catalog.types import parse_type
from provider.rest.request import build

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("type_", "unit", "value", "sent"),
    [
        ("timestamp", None, NOON, "2026-03-01T12:00:00Z"),
        ("timestamp", None, NOON.astimezone(INDIA), "2026-03-01T12:00:00Z"),
        ("timestamp", None, NOON + timedelta(seconds=0.5), "2026-03-01T12:00:00.500000Z"),
        ("timestamp", "unix seconds", NOON, "1772366400"),
        ("timestamp", "unix seconds", NOON.astimezone(INDIA), "1772366400"),
        ("timestamp", "unix seconds", NOON + timedelta(seconds=0.5), "1772366400.5"),
        ("timestamp", "unix milliseconds", NOON + timedelta(seconds=0.5), "1772366400500"),
        ("timestamp", "unix milliseconds", NOON + timedelta(microseconds=1), "1772366400000.001"),
        ("timestamp", "unix seconds", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), "-1"),
        ("date", None, date(2026, 3, 1), "2026-03-01"),
        ("decimal(20,4)", None, Decimal("1234567890123456.7800"), "1234567890123456.7800"),
        ("decimal(20,4)", None, Decimal("1E+3"), "1000"),
        ("boolean", None, True, "true"),
        ("boolean", None, False, "false"),
        ("integer", "unix seconds", 1772366400, "1772366400"),
    ],
)
def test_value_is_sent_as_apis_write_it(type_: str, unit: str | None, value: object, sent: str) -> None:
    declared = parse_type(type_, unit)
    parameters = (
        Parameter("day", "day", "path", declared, required=True),
        Parameter("since", "since", "query", declared, required=False),
    )
    method = Method("list_r", "p.s.r", "SELECT", "GET", "/r/{day}", parameters, ())
    call = build(method, {"day": value, "since": value})  # type: ignore[dict-item]
    assert call.query == (("since", sent),)
    assert call.path.replace("%3A", ":") == f"/r/{sent}"
