"""What each scan of a statement cost: the report tells it, and EXPLAIN ANALYZE as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.oracle.compare import Oracle, opened
from tests.oracle.server import Server
from tests.oracle.world import Method, Resource, World

OWNERS = Resource(
    "owners", {"id": "string"}, (Method("list_owners", "/owners", True),), {}, tuple({"id": i} for i in "abc")
)
NOTES = Resource(
    "notes",
    {"id": "string", "owner": "string"},
    (Method("list_notes", "/owners/{owner}/notes", True),),
    {},
    tuple({"id": f"{o}{i}", "owner": o} for o in "abc" for i in range(4)),
)
SQL = "SELECT n.id FROM w.s.owners o JOIN w.s.notes n ON n.owner = o.id"


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Server() as server, opened(server, World((OWNERS, NOTES), (), page=2)) as oracle:
        yield oracle


def test_requests_and_bytes_are_the_scans(oracle: Oracle) -> None:
    report = oracle.connection.execute(SQL).report
    assert [(s.keys, s.requests, s.pages, s.rows) for s in report.scans] == [(1, 2, 2, 3), (3, 6, 6, 12)]
    assert sum(s.bytes for s in report.scans) == report.bytes > 0
    assert min(s.bytes for s in report.scans) > 0


def test_explain_analyze_tells_them(oracle: Oracle) -> None:
    report = oracle.connection.execute(SQL).report
    lines = [line for (line,) in oracle.connection.execute(f"EXPLAIN ANALYZE {SQL}").fetchall()]
    owners, notes = (s.bytes for s in report.scans)
    assert f"  actual     1 keys, 2 requests, {owners} bytes, 2 pages, 3 rows; complete" in lines
    assert f"  actual     3 keys, 6 requests, {notes} bytes, 6 pages, 12 rows; complete" in lines
    rows = oracle.connection.execute(f"EXPLAIN (ANALYZE, FORMAT json) {SQL}").fetchall()
    scans = json.loads("\n".join(line for (line,) in rows))["scans"]
    assert [(s["actual"]["requests"], s["actual"]["bytes"]) for s in scans] == [(2, owners), (6, notes)]


def test_request_that_two_scans_want_is_on_the_account_of_the_one_that_sent_it(oracle: Oracle) -> None:
    sql = "SELECT 1 FROM w.s.notes WHERE owner = 'a' UNION ALL SELECT 2 FROM w.s.notes WHERE owner IN ('a', 'b')"
    one, other = oracle.connection.execute(sql).report.scans
    assert (one.requests, one.rows, one.shared) == (2, 4, 0)
    assert (other.requests, other.rows, other.shared) == (2, 8, 1)
