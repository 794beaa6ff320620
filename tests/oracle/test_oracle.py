"""Resources answer as plain DuckDB does on the same rows: in every case ever found, and in fresh random ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.oracle.compare import Case, Oracle, Verdict, case_json, opened, read_case
from tests.oracle.server import Server
from tests.oracle.statements import Statements
from tests.oracle.world import World
from tests.oracle.worlds import random_world

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
WORLDS, PER_WORLD = 12, 25


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_case_once_found_stays_right(server: Server, path: Path) -> None:
    world, case = read_case(path.read_text(encoding="utf-8"))
    with opened(server, world) as oracle:
        verdict = oracle.judge(case)
    assert verdict.kind == ("same" if case.bound else "unbound"), _told(world, case, verdict)


def test_random_statements_equal_plain_duckdb(server: Server) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    unbound = 0
    for number in range(WORLDS):
        source = random.Random(seed * 1_000_003 + number * PER_WORLD)
        world = random_world(source)
        statements = Statements(source, world)
        with opened(server, world) as oracle:
            for _ in range(PER_WORLD):
                case = statements.case()
                verdict = oracle.judge(case)
                unbound += verdict.kind == "unbound"
                assert not verdict.is_failure, f"seed {seed}\n{_told(world, case, verdict)}"
    assert unbound < WORLDS * PER_WORLD / 5


def test_pages_and_concurrency_do_not_change_answers(server: Server) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    for number in range(2):
        source = random.Random(seed + number)
        world = random_world(source)
        statements = Statements(source, world)
        cases = [statements.case() for _ in range(8)]
        for page, concurrency in ((1, 1), (2, 32), (100, 1), (1, 32)):
            with opened(server, replace(world, page=page), concurrency) as oracle:
                for case in cases:
                    verdict = oracle.judge(case)
                    assert not verdict.is_failure, f"seed {seed}\n{_told(world, case, verdict)}"


def test_rows_split_by_a_predicate_add_up(server: Server) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    source = random.Random(seed)
    world = random_world(source)
    with opened(server, world) as oracle:
        for predicate in (
            "s = 'a'",
            "n IN (1, NULL)",
            "owner = s",
            "ok",
            "n = 1 OR s = 'b'",
            "lower(s) = 'a'",
            "n > 1",
        ):
            parts = [
                _rows(oracle, f"SELECT id, owner, s, n FROM w.s.items WHERE {p}")
                for p in (predicate, f"NOT ({predicate})", f"({predicate}) IS NULL")
            ]
            whole = _rows(oracle, "SELECT id, owner, s, n FROM w.s.items")
            assert sorted(str(row) for part in parts for row in part) == sorted(map(str, whole)), (
                f"seed {seed}: {predicate}"
            )


def _rows(oracle: Oracle, sql: str) -> list[tuple[object, ...]]:
    return oracle.connection.execute(sql).fetchall()


def _told(world: World, case: Case, verdict: Verdict) -> str:
    return f"{verdict.kind}\n{case.sql}\n{case.parameters}\n{verdict.detail}\n{case_json(world, case)}"
