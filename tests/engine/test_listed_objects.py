"""Many objects that are wanted by key: the pages of a list that has them are read while they cost less."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.oracle.compare import Case, Oracle
from tests.oracle.server import Server
from tests.oracle.world import Method, Resource, World

#: 400 objects, 20 a page.
PARTS = Resource(
    "parts",
    {"id": "integer", "size": "integer", "next": "integer"},
    (Method("get_part", "/parts/{part_id}", False), Method("list_parts", "/parts", True, whole=True)),
    {"id": "part_id"},
    tuple({"id": i, "size": i % 7, "next": (i * 3) % 400} for i in range(400)),
    twofold=True,
)
#: Objects of a parent, which their bodies do not tell.
NOTES = Resource(
    "notes",
    {"id": "string", "box": "string", "size": "integer"},
    (
        Method("get_note", "/boxes/{box}/notes/{note_id}", False),
        Method("list_notes", "/boxes/{box}/notes", True, whole=True),
    ),
    {"id": "note_id"},
    tuple({"id": f"{box}{i}", "box": box, "size": i} for box in "ab" for i in range(100)),
    unsent=("box",),
)
#: As parts, but nothing says that the list has whole objects.
BRIEF = Resource(
    "brief",
    {"id": "integer", "size": "integer"},
    (Method("get_brief", "/brief/{brief_id}", False), Method("list_brief", "/brief", True)),
    {"id": "brief_id"},
    tuple({"id": i, "size": i} for i in range(100)),
)


WORLD = World((PARTS, NOTES, BRIEF), (), page=20)


def listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids))


@pytest.mark.parametrize(
    ("sql", "lists", "lookups"),
    [
        # The first pages have them all.
        (f"SELECT id, size FROM w.s.parts WHERE id IN ({listed(list(range(60)))})", 3, 0),
        # One is nowhere: the list is read to its end, and the API is asked for that one.
        (f"SELECT id FROM w.s.parts WHERE id IN ({listed([*range(0, 399, 5), 1000])})", 20, 1),
        # They are far behind: as many pages as there are objects would cost more.
        (f"SELECT part_id, size FROM w.s.parts WHERE part_id IN ({listed(list(range(384, 400)))})", 0, 16),
        (f"SELECT id FROM w.s.parts WHERE id IN ({listed([*range(1000, 1040)])})", 20, 40),
        (f"SELECT id FROM w.s.parts WHERE id IN ({listed(list(range(31)))})", 0, 31),
        # What the list has besides is no row of the scan: it feeds no other one.
        (f"SELECT p.id, q.size FROM w.s.parts p JOIN w.s.brief q ON q.id = p.next "
         f"WHERE p.id IN ({listed(list(range(32)))})", None, None),
        # Within a parent.
        ("SELECT id, box, size FROM w.s.notes WHERE box = 'a' AND id IN "
         f"({', '.join(repr(f'a{i}') for i in range(80))})", 4, 0),
        # Two parents are two lists: each object is asked for.
        ("SELECT id, box, size FROM w.s.notes WHERE box IN ('a', 'b') AND id IN "
         f"({', '.join(repr(f'a{i}') for i in range(40))})", 0, 80),
        # A list of less than the objects is not read.
        (f"SELECT id FROM w.s.brief WHERE id IN ({listed(list(range(60)))})", 0, 60),
    ],
)  # fmt: skip
def test_better_way_is_taken(oracle: Oracle, server: Server, sql: str, lists: int | None, lookups: int | None) -> None:
    verdict = oracle.judge(Case(sql))
    assert (verdict.kind, verdict.detail) == ("same", "")
    found = Counter("?" in target for target in server.log)
    if lists is not None:
        assert (found[True], found[False]) == (lists, lookups)


def test_list_that_is_too_long_costs_no_more_than_twice(oracle: Oracle, server: Server) -> None:
    far = [*range(400 - 3), *range(1000, 1010)]
    verdict = oracle.judge(Case(f"SELECT count(*) FROM w.s.parts WHERE id IN ({listed(far[365:])})"))
    assert verdict.kind == "same"
    assert len(server.log) <= 2 * len(far[365:])


def test_explain_says_so(oracle: Oracle) -> None:
    sql = f"SELECT size FROM w.s.parts WHERE id IN ({listed(list(range(60)))})"
    lines = [line for (line,) in oracle.connection.execute(f"EXPLAIN {sql}").fetchall()]
    assert "  requests   at most 60, or the pages of list_parts while these are fewer" in lines
    report = oracle.connection.execute(sql).report
    assert [(s.requests, s.rows, s.ended) for s in report.scans] == [(3, 60, "complete")]
    assert report.rows == 60
