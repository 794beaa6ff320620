"""What comes from the cache is what the API answers: cold and warm, a statement has the same rows as plain DuckDB."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.oracle.compare import Case, Oracle, opened
from tests.oracle.server import Server
from tests.oracle.test_oracle import made

WORLDS, PER_WORLD = 3, 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def test_warm_cache_changes_no_answer(server: Server) -> None:
    """Statements in a random order, which fill the cache for each other, and then once more in another order."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    cold = warm = 0
    for number in range(WORLDS):
        world, cases = made(seed * 1_000_003 + number * PER_WORLD, PER_WORLD)
        source = random.Random(seed + number)
        with opened(server, world) as oracle:
            oracle.connection.execute("SET cache = '1h'")
            cold += _judged(oracle, server, cases, seed)
            warm += _judged(oracle, server, source.sample(cases, len(cases)), seed)
    assert warm < cold, f"seed {seed}: {cold} requests, then {warm}"


def _judged(oracle: Oracle, server: Server, cases: list[Case], seed: int) -> int:
    """The requests that statements sent; what goes wrong with the cache goes wrong without it as well."""
    requests = 0
    for case in cases:
        verdict = oracle.judge(case)
        requests += len(server.log)
        if verdict.is_failure:
            oracle.connection.execute("SET cache = 'off'")
            told = f"seed {seed}: {verdict.kind}\n{case.sql}\n{case.parameters}\n{verdict.detail}"
            assert oracle.judge(case).kind == verdict.kind, told
            oracle.connection.execute("SET cache = '1h'")
    return requests
