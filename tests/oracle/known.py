"""Defects that are known and open: the random part steers around them, and a test expects each of them to fail.

Who mends one removes its entry, and the oracle goes there again.
"""

from __future__ import annotations

from tests.oracle.world import Method, Resource, Row, World

FIELDS = {"n": "integer", "s": "string", "at": "timestamp"}
ROWS: tuple[Row, ...] = (
    {"n": 1, "s": "a", "at": "2026-03-01T00:00:00Z"},
    {"n": 2, "s": "B", "at": "2026-03-02T00:00:00Z"},
    {"n": None, "s": None, "at": None},
)


def _paged(paging: str, rows: tuple[Row, ...], key: dict[str, str] | None = None) -> World:
    listed = Method("list_r", "/r/{who}" if key else "/r", True)
    return World((Resource("r", FIELDS, (listed,), key or {}, rows),), (), 1, paging=paging)


#: By name: a world and a statement that is answered wrongly over it.
KNOWN: dict[str, tuple[World, str]] = {
    "equal_pages": (_paged("offset", ROWS[:1] * 3), "SELECT n FROM w.s.r"),
    "from_first_values": (
        World((Resource("r", FIELDS, (Method("list_r", "/r", True),), {}, ROWS),), ()),
        "SELECT q.n FROM (FROM (VALUES (1)) AS a(k), w.s.r AS r SELECT r.n WHERE r.n = a.k) AS q",
    ),
}
