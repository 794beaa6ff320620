"""Resources answer as plain DuckDB does on the same rows: in every case ever found, and in fresh random ones."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.oracle.compare import Case, Oracle, Verdict, case_json, opened, read_case
from tests.oracle.pages import PAGINGS
from tests.oracle.server import Server
from tests.oracle.statements import Statements
from tests.oracle.world import Filter, Method, Resource, Sort, World
from tests.oracle.worlds import random_world

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
WORLDS, PER_WORLD = 6, 25


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_case_once_found_stays_right(server: Server, path: Path) -> None:
    world, case = read_case(path.read_text(encoding="utf-8"))
    with opened(server, world) as oracle:
        verdict = oracle.judge(case)
    assert verdict.kind in (("same", "twice") if case.bound else ("unbound",)), _told(world, case, verdict)


def test_random_statements_equal_plain_duckdb(server: Server) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    unbound = 0
    for number in range(WORLDS):
        world, cases = made(seed * 1_000_003 + number * PER_WORLD, PER_WORLD)
        with opened(server, world) as oracle:
            for case in cases:
                verdict = oracle.judge(case)
                unbound += verdict.kind == "unbound"
                assert not verdict.is_failure, f"seed {seed}\n{_told(world, case, verdict)}"
    assert unbound < WORLDS * PER_WORLD / 5


def test_pages_concurrency_and_pushdown_do_not_change_answers(server: Server) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    for number in range(2):
        world, cases = made(seed + number, 6)
        kinds = random.Random(seed + number).sample(tuple(PAGINGS), 2)
        worlds = [
            (replace(world, page=1), 1),
            (replace(world, page=2, paging=kinds[0]), 32),
            (replace(world, page=100, paging=kinds[1]), 1),
            (world.undeclared(), 16),
        ]
        for other, concurrency in worlds:
            with opened(server, other, concurrency) as oracle:
                for case in cases:
                    verdict = oracle.judge(case)
                    assert not verdict.is_failure, f"seed {seed}\n{_told(other, case, verdict)}"


@pytest.mark.parametrize("resource", ["items", "tags", "events"])
def test_rows_split_by_a_predicate_add_up(server: Server, resource: str) -> None:
    """All rows are those where a predicate holds, those where it does not, and those where nobody knows."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    source = random.Random(seed)
    world = random_world(source)
    found = world.resource(resource)
    statements = Statements(source, world)
    columns = ", ".join(f'r."{n}"' for n in found.fields)
    with opened(server, world) as oracle:
        whole = _rows(oracle, f"SELECT {columns} FROM {found.id} r")
        for _ in range(10):
            predicate = statements.predicate(found, "r")
            parts = [
                _rows(oracle, f"SELECT {columns} FROM {found.id} r WHERE {p}")
                for p in (predicate, f"NOT ({predicate})", f"({predicate}) IS NULL")
            ]
            assert sorted(row for part in parts for row in part) == sorted(whole), f"seed {seed}: {predicate}"


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("param", ["order", None])
def test_limit_reads_no_page_too_many_of_a_sorted_list(server: Server, param: str | None, direction: str) -> None:
    rows = tuple({"id": i, "n": i // 2} for i in range(12))
    for page, limit, offset in itertools.product((1, 5, 100), (1, 6), (0, 2)):
        listed = Method("list_r", "/r", True, sort=Sort("id", param, direction, "last"))
        world = World((Resource("r", {"id": "integer", "n": "integer"}, (listed,), {}, rows),), (), page)
        with opened(server, world) as oracle:
            verdict = oracle.judge(Case(f"SELECT id FROM w.s.r ORDER BY id {direction} LIMIT {limit} OFFSET {offset}"))
            assert verdict.kind == "same", verdict.detail
            assert len(server.log) == -(-min(limit + offset, 12) // page), server.log


@pytest.mark.parametrize(
    "where",
    [
        "false",
        "id IN ('a') AND false",
        "id = 'a' AND id = 'b'",
        "id = 'a' AND id IN ('b', 'c')",
        "id = NULL",
        "n = 1 AND n = 2",
        "1 = 2 OR NULL",
        "n > 2 AND n < 1",
        "n IS NULL AND n = 1",
        "n = 1 AND (n = 2 OR n > 3)",
        "NOT (n <= 2 OR n >= 3) AND n = 3",
        "id = 'a' AND 1 = 2",
    ],
)
def test_contradiction_sends_nothing(server: Server, where: str) -> None:
    world = random_world(random.Random(1))
    with opened(server, world) as oracle:
        verdict = oracle.judge(Case(f"SELECT id FROM w.s.items WHERE {where}"))
    assert (verdict.kind, server.log) == ("same", [])


@pytest.mark.parametrize(
    ("sql", "sends"),
    [
        ("SELECT k FROM keys WHERE 1 = 2 AND k IN (SELECT id FROM w.s.items)", False),
        ("SELECT k FROM keys WHERE false AND EXISTS (SELECT 1 FROM w.s.items WHERE id = k)", False),
        ("SELECT k, (SELECT max(n) FROM w.s.items) FROM keys WHERE false", False),
        (
            "SELECT k FROM keys WHERE k IN (SELECT id FROM w.s.items WHERE n IN (SELECT n FROM w.s.items)) AND false",
            False,
        ),
        ("SELECT * FROM (SELECT count(*) FROM keys WHERE k IN (SELECT id FROM w.s.items)) AS q WHERE 1 = 2", False),
        ("SELECT k FROM keys, LATERAL (SELECT max(n) FROM w.s.items WHERE id = k) AS q WHERE 1 = 2", False),
        # An aggregate has a row where its input has none.
        ("SELECT count(*), (SELECT max(n) FROM w.s.items) FROM keys WHERE false", True),
        ("SELECT count(*) FROM keys WHERE 1 = 2 HAVING count(*) < (SELECT count(*) FROM w.s.items)", True),
        ("SELECT k FROM keys LEFT JOIN (SELECT 1 AS n FROM w.s.items) AS q ON false", False),
        ("SELECT k FROM keys WHERE 1 = 2 UNION ALL SELECT id FROM w.s.items", True),
    ],
)
def test_query_nested_where_no_row_is_sends_nothing(server: Server, sql: str, sends: bool) -> None:
    with opened(server, random_world(random.Random(1))) as oracle:
        verdict = oracle.judge(Case(sql))
    assert (verdict.kind, bool(server.log)) == ("same", sends)


@pytest.mark.parametrize(
    ("setting", "sql"),
    [
        ("default_order = 'DESC'", "SELECT n FROM w.s.r ORDER BY n LIMIT 1"),
        ("default_null_order = 'nulls_first'", "SELECT n FROM w.s.r ORDER BY n LIMIT 1"),
        ("default_collation = 'NOCASE'", "SELECT n FROM w.s.r WHERE s = 'a'"),
        ("default_collation = 'NOCASE'", "SELECT n FROM w.s.r WHERE id = 'a'"),
    ],
)
def test_settings_that_change_orders_and_comparisons_are_obeyed(server: Server, setting: str, sql: str) -> None:
    rows = ({"id": "a", "n": 1, "s": "A"}, {"id": "A", "n": 2, "s": "a"}, {"id": "b", "n": None, "s": "b"})
    methods = (
        Method("get_r", "/r/{id}", False),
        Method("list_r", "/r", True, {"s": Filter("s", "exact")}, sort=Sort("n", None, "asc", "last")),
    )
    world = World((Resource("r", {"id": "string", "n": "integer", "s": "string"}, methods, {}, rows),), (), 1)
    with opened(server, world) as oracle:
        oracle.execute(f"SET {setting}")
        assert oracle.judge(Case(sql)).kind == "same"


@pytest.mark.parametrize("end", ["WHERE q.n = 3", "WHERE q.n = 3 LIMIT 1", "WHERE q.n = 3 ORDER BY q.n"])
def test_rows_that_a_nested_limit_took_are_not_judged(server: Server, end: str) -> None:
    rows = tuple({"n": i} for i in range(6))
    listed = Method("list_r", "/r", True, sort=Sort("n", None, "desc", "last"))
    with opened(server, World((Resource("r", {"n": "integer"}, (listed,), {}, rows),), ())) as oracle:
        assert oracle.judge(Case(f"SELECT q.n FROM (SELECT n FROM w.s.r LIMIT 3) AS q {end}")).kind == "vague"


def test_a_join_filters_nothing_below_the_limit_of_one_side(server: Server) -> None:
    """DuckDB does, now and then, where it may: see what the connection sets."""
    rows = ({"id": 0, "n": -2}, {"id": 2, "n": 1})
    listed = Resource("r", {"id": "integer", "n": "integer"}, (Method("list_r", "/r", True),), {}, rows)
    sql = (
        "SELECT * FROM (SELECT id FROM w.s.r ORDER BY id LIMIT 1) AS a"
        " JOIN (SELECT id, n FROM w.s.r ORDER BY n DESC LIMIT 1) AS b ON a.id = b.id"
    )
    with opened(server, World((listed,), ())) as oracle:
        oracle.execute("SET threads = 4")
        assert [oracle.connection.execute(sql).fetchall() for _ in range(15)] == [[]] * 15


def test_statement_asks_for_nothing_twice(server: Server) -> None:
    fields = {"id": "string", "boss": "string"}
    got = Method("get_person", "/people/{person_id}", False)
    people = Resource("people", fields, (got,), {"id": "person_id"}, ({"id": "a", "boss": "a"},))
    with opened(server, World((people,), ())) as oracle:
        sql = "SELECT p.id, b.id FROM w.s.people p JOIN w.s.people b ON b.id = p.boss WHERE p.id = 'a'"
        assert oracle.judge(Case(sql)).kind == "same"


def made(seed: int, count: int) -> tuple[World, list[Case]]:
    """A random world with views, and statements over it."""
    source = random.Random(seed)
    world = random_world(source)
    statements = Statements(source, world)
    world = replace(world, views=statements.views())
    return world, [statements.case() for _ in range(count)]


def _rows(oracle: Oracle, sql: str) -> list[str]:
    return [repr(row) for row in oracle.connection.execute(sql).fetchall()]


def _told(world: World, case: Case, verdict: Verdict) -> str:
    return f"{verdict.kind}\n{case.sql}\n{case.parameters}\n{verdict.detail}\n{case_json(world, case)}"
