"""The bike share as a REST API: tables that are listed, objects that have a key, lists under a parent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from tests.analytics.bikeshare.rows import Row
from tests.oracle.pages import Refused
from tests.oracle.server import NOT_FOUND, Reply, Server

PAGE = 40


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One documented GET: what its path and query parameters say of a table's rows."""

    template: str
    table: str
    lists: bool = True
    columns: dict[str, str] = field(default_factory=dict)
    filters: dict[str, Callable[[Row, str], bool]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    sorted_by: str | None = None


def _equals(column: str) -> Callable[[Row, str], bool]:
    return lambda row, text: str(row[column]) == text


def _since(row: Row, text: str) -> bool:
    """The API compares whole hours: a few trips before the wanted time come along."""
    bound = datetime.fromisoformat(text)
    found: bool = row["started_at"] >= bound.replace(minute=0, second=0, microsecond=0)
    return found


ENDPOINTS = (
    Endpoint("/regions", "regions"),
    Endpoint("/districts/{district_id}", "districts", False, {"district_id": "id"}),
    Endpoint("/stations", "stations", filters={"district": _equals("district_id")}),
    Endpoint("/stations/{station_id}", "stations", False, {"station_id": "id"}),
    Endpoint("/models", "models"),
    Endpoint("/bikes/{bike_id}", "bikes", False, {"bike_id": "id"}),
    Endpoint("/bikes/{bike_id}/tickets", "tickets", columns={"bike_id": "bike_id"}),
    Endpoint("/tariffs/{code}", "tariffs", False, {"code": "code"}),
    Endpoint("/riders", "riders", filters={"tariff": _equals("tariff_code")}),
    Endpoint("/riders/{rider_id}", "riders", False, {"rider_id": "id"}),
    Endpoint("/riders/{rider_id}/campaigns", "memberships", columns={"rider_id": "rider_id"}),
    Endpoint("/campaigns", "campaigns"),
    Endpoint("/campaigns/{campaign_id}/riders", "memberships", columns={"campaign_id": "campaign_id"}),
    Endpoint("/days/{day_key}", "days", False, {"day_key": "day_key"}),
    Endpoint("/trips", "trips", filters={"since": _since, "bike": _equals("bike_id")}, sorted_by="started_at"),
    Endpoint(
        "/occupancy", "occupancy", filters={"station": _equals("station_id"), "day": _equals("day_key")},
        required=("station", "day"),
    ),
)  # fmt: skip


class BikeShare(Server):
    """Serves the tables at `url`. Parameters that are not documented are refused."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        super().__init__()
        self._tables = tables

    def _answer(self, path: str, query: dict[str, str]) -> Reply:
        segments = path.split("/")
        for endpoint in ENDPOINTS:
            wanted = endpoint.template.split("/")
            if len(wanted) == len(segments) and all(
                w == s or w.startswith("{") for w, s in zip(wanted, segments, strict=True)
            ):
                given = {w[1:-1]: unquote(s) for w, s in zip(wanted, segments, strict=True) if w.startswith("{")}
                return self._serve(endpoint, given, query)
        raise Refused(f"there is no {path}")

    def _serve(self, endpoint: Endpoint, given: dict[str, str], query: dict[str, str]) -> Reply:
        rows = self._tables[endpoint.table]
        for name, text in given.items():
            rows = [r for r in rows if str(r[endpoint.columns[name]]) == text]
        if not endpoint.lists:
            return (200, _json(rows[0]), ()) if rows and not query else NOT_FOUND
        if missing := set(endpoint.required) - query.keys():
            raise Refused(f"{missing} must be given")
        direction = query.pop("order", "desc") if endpoint.sorted_by else ""
        start, size = int(query.pop("after", "0")), int(query.pop("limit", "10"))
        for name, text in query.items():
            if name not in endpoint.filters:
                raise Refused(f"{name} is no parameter")
            rows = [r for r in rows if endpoint.filters[name](r, text)]
        if not 1 <= size <= PAGE or direction not in ("", "asc", "desc"):
            raise Refused(f"limit {size}, order {direction}")
        if (column := endpoint.sorted_by) is not None:
            rows = sorted(rows, key=lambda r: r[column], reverse=direction == "desc")
        end = start + size
        page = b",".join(_json(r) for r in rows[start:end])
        return 200, b'{"items":[%b],"next":%b}' % (page, b'"%d"' % end if end < len(rows) else b"null"), ()


def _json(row: Row) -> bytes:
    return json.dumps({n: _plain(v) for n, v in row.items() if v is not None}, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | Decimal():
            return str(value)
    return value
