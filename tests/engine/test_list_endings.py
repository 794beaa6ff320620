"""Several lists in the API's order: each is read until it has enough rows of its own."""

from __future__ import annotations

import pytest

from tests.oracle.compare import Case, Oracle
from tests.oracle.server import Server
from tests.oracle.world import Method, Resource, Sort, World

SORT = Sort("born", "order", "desc", "last")
ROWS = [{"id": f"{o}{i}", "owner": o, "born": i * 10 + k} for k, o in enumerate("abc") for i in range(20)]
#: Lists of ten pages, and one whose rows have no value to sort by.
NOTES = Resource(
    "notes",
    {"id": "string", "owner": "string", "born": "integer"},
    (Method("list_notes", "/owners/{owner}/notes", True, sort=SORT),),
    {},
    (*ROWS, *({"id": f"z{i}", "owner": "z", "born": None} for i in range(6))),
    unsent=("owner",),
)
#: A list in the order of a text, which is not that of the numbers that the text may be.
CODES = Resource(
    "codes",
    {"code": "string"},
    (Method("list_codes", "/codes", True, sort=Sort("code", "order", "desc", "last")),),
    {},
    tuple({"code": str(i)} for i in range(20)),
)


WORLD = World((NOTES, CODES), (), page=2)


@pytest.mark.parametrize(
    ("sql", "requests"),
    [
        ("SELECT id FROM w.s.notes WHERE owner IN ('a', 'b', 'c') ORDER BY born DESC LIMIT 3", 6),
        ("SELECT id FROM w.s.notes WHERE owner IN ('a', 'b', 'c') ORDER BY born LIMIT 2 OFFSET 3", 9),
        ("SELECT id FROM w.s.notes WHERE owner IN ('a', 'b', 'c') AND born > 150", 9),
        # The conditions decide which rows count.
        ("SELECT id FROM w.s.notes WHERE owner IN ('a', 'b') AND born % 40 = 0 ORDER BY born DESC LIMIT 2", 14),
        # A condition that reads other rows is not known for a list by itself.
        ("SELECT n.id FROM w.s.notes n WHERE owner IN (SELECT unnest(['a', 'b'])) ORDER BY born DESC LIMIT 2", 20),
        # A list of NULLs is read to its end, the other is not.
        ("SELECT id FROM w.s.notes WHERE owner IN ('a', 'z') ORDER BY born DESC LIMIT 2", 4),
        # Rows that are equal in the first sort key may come on any page.
        ("SELECT id FROM w.s.notes WHERE owner IN ('a', 'b') ORDER BY born DESC, id LIMIT 2", 20),
        # The rows of one list do not stand for another's.
        ("SELECT owner, max(born) FROM w.s.notes WHERE owner IN ('a', 'b') GROUP BY owner", 20),
    ],
)
def test_list_is_read_until_it_has_enough(oracle: Oracle, server: Server, sql: str, requests: int) -> None:
    verdict = oracle.judge(Case(sql))
    assert (verdict.kind, verdict.detail) == ("same", "")
    assert len(server.log) == requests


def test_explain_and_the_report_say_so(oracle: Oracle) -> None:
    sql = "SELECT id FROM w.s.notes WHERE owner IN ('a', 'b', 'c') ORDER BY born DESC LIMIT 3"
    lines = [line for (line,) in oracle.connection.execute(f"EXPLAIN {sql}").fetchall()]
    assert "  ends       stops when LIMIT has its rows, in desc order, each list by itself" in lines
    report = oracle.connection.execute(sql).report
    assert (report.scans[0].ended, report.truncated) == ("enough rows", False)


@pytest.mark.parametrize(
    ("condition", "parameters", "requests"),
    [
        ("code > '7'", None, 2),
        ("code IN ('8', '9')", None, 2),
        ("code >= ?", ["8"], 2),
        # As numbers, 10 is more than 9, though the list has it behind 2.
        ("code IN (10, 9)", None, 10),
        ("code IN (?, ?)", [10, 9], 10),
    ],
)
def test_bound_that_compares_otherwise_than_the_list_is_sorted_ends_none(
    oracle: Oracle, server: Server, condition: str, parameters: list[object] | None, requests: int
) -> None:
    verdict = oracle.judge(Case(f"SELECT code FROM w.s.codes WHERE {condition}", parameters))
    assert (verdict.kind, verdict.detail) == ("same", "")
    assert len(server.log) == requests
