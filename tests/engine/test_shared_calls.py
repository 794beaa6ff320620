"""One statement asks for nothing twice: scans that want the same call share its rows, and see no others."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.oracle.compare import Case, Oracle
from tests.oracle.server import Server
from tests.oracle.world import Filter, Method, Resource, World

PEOPLE = Resource(
    "people",
    {"id": "string", "boss": "string", "team": "string", "age": "integer"},
    (Method("get_person", "/people/{person_id}", False),),
    {"id": "person_id"},
    (
        {"id": "a", "boss": "a", "team": "x", "age": 50},
        {"id": "b", "boss": "a", "team": "x", "age": 40},
        {"id": "c", "boss": "b", "team": "y", "age": 30},
        {"id": "d", "boss": None, "team": "y", "age": 20},
        {"id": "e", "boss": "nobody", "team": "z", "age": 10},
    ),
    twofold=True,
)
TEAMS = Resource(
    "teams",
    {"team": "string", "rank": "integer"},
    (Method("list_teams", "/teams", True, {"team": Filter("team", "exact")}),),
    {},
    tuple({"team": "xyx"[i % 3], "rank": i} for i in range(6)),
)
#: Lists with a parent, two rows a page.
NOTES = Resource(
    "notes",
    {"id": "string", "owner": "string", "next": "string"},
    (Method("list_notes", "/people/{owner}/notes", True),),
    {},
    tuple({"id": f"{o}{i}", "owner": o, "next": "abcab"[i]} for o in "abc" for i in range(5)),
    unsent=("owner",),
)


WORLD = World((PEOPLE, TEAMS, NOTES), (), page=2)


PEOPLE_AND_BOSSES = "FROM w.s.people p JOIN w.s.people b ON b.id = p.boss WHERE p.id IN ('a', 'b', 'c', 'e')"


@pytest.mark.parametrize(
    ("sql", "requests"),
    [
        (f"SELECT p.id, b.age {PEOPLE_AND_BOSSES}", 5),
        # Each side has columns of its own, and one of them none.
        (f"SELECT p.team, b.person_id, b.boss {PEOPLE_AND_BOSSES}", 5),
        (f"SELECT count(*) {PEOPLE_AND_BOSSES}", 5),
        # The one's keys come first, then the other's; what only the one asked for is not the other's row.
        ("SELECT count(*) FROM w.s.people p WHERE p.id IN ('a', 'b') AND EXISTS "
         "(SELECT 1 FROM w.s.people q WHERE q.id IN ('b', 'c') AND q.age < p.age)", 3),
        ("SELECT id FROM w.s.people WHERE id IN ('a', 'b') UNION ALL "
         "SELECT boss FROM w.s.people WHERE id IN (SELECT boss FROM w.s.people WHERE id = 'c')", 3),
        # Lists of several pages.
        ("SELECT n.*, m.* FROM w.s.notes n JOIN w.s.notes m ON m.owner = n.next WHERE n.owner = 'a'", 9),
        ("SELECT n.id, m.id, o.id FROM w.s.notes n JOIN w.s.notes m ON m.owner = n.next JOIN w.s.notes o "
         "ON o.owner = m.next WHERE n.owner = 'c'", 9),
        # One side stops at its first page, the other reads all of the same list.
        ("SELECT n.id FROM (SELECT id FROM w.s.notes WHERE owner = 'a' ORDER BY id LIMIT 1) n UNION ALL "
         "SELECT count(*)::VARCHAR FROM w.s.notes WHERE owner IN ('a', 'b')", 6),
    ],
)  # fmt: skip
def test_call_is_sent_once_and_the_answer_is_right(oracle: Oracle, server: Server, sql: str, requests: int) -> None:
    verdict = oracle.judge(Case(sql))
    assert (verdict.kind, verdict.detail) == ("same", "")
    assert len(server.log) == requests


def test_scan_that_ends_early_does_not_cut_the_list_of_another(oracle: Oracle, server: Server) -> None:
    sql = (
        "SELECT * FROM (SELECT id FROM w.s.notes WHERE owner = 'a' LIMIT 1) UNION ALL "
        "SELECT count(*)::VARCHAR FROM w.s.notes WHERE owner = 'a'"
    )
    for _ in range(5):
        rows = oracle.connection.execute(sql).fetchall()
        assert rows[1] == ("5",)
        assert rows[0][0] in {"a0", "a1"}


def test_lists_with_different_conditions_are_different_calls(oracle: Oracle, server: Server) -> None:
    sql = "SELECT count(*) FROM w.s.teams a JOIN w.s.teams b ON a.rank > b.rank WHERE a.team = 'x' AND b.team = 'y'"
    assert oracle.judge(Case(sql)).kind == "same"
    assert Counter("team=x" in target for target in server.log) == {True: 2, False: 1}


def test_report_says_what_was_shared(oracle: Oracle) -> None:
    report = oracle.connection.execute(f"SELECT p.id, b.age {PEOPLE_AND_BOSSES}").report
    people, bosses = report.scans
    assert (people.keys, people.shared, people.rows) == (4, 0, 4)
    assert (bosses.keys, bosses.shared, bosses.rows) == (3, 2, 2)
    assert report.rows == 4
