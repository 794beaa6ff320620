"""What a manifest's pushdowns bind and narrow: required parameters, several parameters of one field, other types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import provider
from provider.errors import BindError

MANIFEST = """
provider: bikes
base_url: {default: 'http://127.0.0.1:1'}
---
service: s
resources:
  counts:
    fields: {station_id: {type: integer}, day: {type: date}, seen: {type: timestamp}, n: {type: integer}}
    methods:
      list_counts:
        sql: SELECT
        http: GET /counts
        rows: $.data
        query:
          station: {type: integer, required: true}
          since: {type: date}
          until: {type: date}
          on: {type: string}
        pushdown:
          station_id: {param: station, match: exact}
          day:
            - {param: since, match: exact, operator: '>='}
            - {param: until, match: exact, operator: '<'}
          seen: {param: on, match: exact}
  kinds:
    fields: {kind: {type: string}, day: {type: date}, n: {type: integer}}
    methods:
      list_kinds:
        sql: SELECT
        http: GET /kinds
        rows: $.data
        query: {k: {type: string, required: true}, since: {type: date, required: true}}
        pushdown:
          kind: {param: k, match: superset}
          day: {param: since, match: exact, operator: '>='}
  stations:
    fields: {id: {type: integer}}
    methods: {list_stations: {sql: SELECT, http: GET /stations, rows: $.data}}
  texts:
    key: {id: text_id}
    fields: {id: {type: string}}
    methods: {get_text: {sql: SELECT, http: 'GET /texts/{text_id}'}}
"""


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A connection whose API does not answer, since EXPLAIN asks for nothing."""
    file = tmp_path_factory.mktemp("bikes") / "bikes.yaml"
    file.write_text(MANIFEST, encoding="utf-8")
    with provider.connect(manifests=[str(file)], environ={}) as conn:
        yield conn


SENT = {
    "a constant binds a required parameter": (
        "counts WHERE station_id = 7", "GET /counts?station=7"),
    "several constants bind it one after the other": (
        "counts WHERE station_id IN (7, 8)", "GET /counts?station={station}"),
    "a join binds it": (
        "stations s JOIN bikes.s.counts c ON c.station_id = s.id", "GET /counts?station={station}"),
    "two parameters bound one field": (
        "counts WHERE station_id = 7 AND day >= '2026-01-01' AND day < '2026-02-01'",
        "GET /counts?station=7&since={since}&until={until}"),
    "each of them alone": (
        "counts WHERE station_id = 7 AND day < '2026-02-01'", "GET /counts?station=7&until={until}"),
    "what a condition means counts, not how it is written": (
        "counts WHERE station_id = 7 AND NOT (day < '2026-01-01') AND CASE WHEN n > 1 THEN day < '2026-02-01' END",
        "GET /counts?station=7&since={since}&until={until}"),
    "text takes another type as it is written": (
        "counts WHERE station_id = 7 AND seen = '2026-01-01T00:00:00Z'",
        "GET /counts?station=7&on=2026-01-01T00%3A00%3A00Z"),
    "text does not take a value of another type": (
        "counts WHERE station_id = 7 AND seen = now()", "GET /counts?station=7"),
    "a superset and a bound bind by one value": (
        "kinds WHERE kind = 'a' AND day >= '2026-01-01'", "GET /kinds?k=a&since={since}"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "request_"), SENT.values(), ids=SENT)
def test_request_has_what_the_pushdowns_say(conn: Any, source: str, request_: str) -> None:
    assert f"  request    {request_}" in conn.explain(f"SELECT n FROM bikes.s.{source}").splitlines()


REFUSED = {
    "several values of a superset, whose lists have rows in common": (
        "SELECT n FROM bikes.s.kinds WHERE kind IN ('a', 'b') AND day >= '2026-01-01'", "bikes.s.kinds needs k"),
    "a join by a superset": (
        "SELECT n FROM (VALUES ('a')) AS v(k) JOIN bikes.s.kinds ON kind = v.k AND day >= '2026-01-01'",
        "bikes.s.kinds needs k"),
    "a bound from the other side": (
        "SELECT n FROM bikes.s.kinds WHERE kind = 'a' AND day <= '2026-01-01'", "bikes.s.kinds needs since"),
    "a join in which NULL is not distinct from NULL": (
        "SELECT n FROM bikes.s.stations s JOIN bikes.s.counts c ON c.station_id IS NOT DISTINCT FROM s.id",
        "bikes.s.counts needs station"),
    "NULL that may equal NULL": (
        "SELECT n FROM bikes.s.counts WHERE (station_id, n) IN ((7, 1), (8, 2))", "bikes.s.counts needs station"),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "summary"), REFUSED.values(), ids=REFUSED)
def test_required_parameter_stays_unbound(conn: Any, sql: str, summary: str) -> None:
    with pytest.raises(BindError) as caught:
        conn.explain(sql)
    assert caught.value.summary == summary


def test_collation_by_default_refuses_text_keys_and_says_why(conn: Any) -> None:
    conn.execute("SET default_collation = 'NOCASE'")
    try:
        with pytest.raises(BindError) as caught:
            conn.explain("SELECT * FROM bikes.s.texts WHERE id = 'a'")
    finally:
        conn.execute("RESET default_collation")
    assert str(caught.value).splitlines() == [
        "bikes.s.texts needs text_id, and default_collation makes different texts equal",
        "  1 | SELECT * FROM bikes.s.texts WHERE id = 'a'",
        "    |               ^^^^^^^^^^^^^",
        "  DuckDB would find the rows of all of them; no request can ask for that.",
        "  RESET default_collation",
    ]
    assert "GET /texts/a" in conn.explain("SELECT * FROM bikes.s.texts WHERE id = 'a'")
