"""One request in twenty fails, and every row is right all the same; `make soak` asks a hundred times more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.soak import World, small_world, soak

REQUESTS = 50


@pytest.fixture(scope="module")
def soaked() -> Iterator[World]:
    with small_world() as world:
        yield world


@pytest.mark.parametrize("seed", range(1, 21))
def test_a_bad_day_changes_no_row(soaked: World, seed: int) -> None:
    run = soak(soaked, seed, REQUESTS)
    assert run.requests >= REQUESTS


def test_the_seeds_bring_faults_of_each_kind(soaked: World) -> None:
    """What is proved above would be nothing if nothing had gone wrong."""
    run = soak(soaked, 0, 10 * REQUESTS)
    assert {name for name in run.faults if name} == {"429 ms", "500", "500 late", "reset", "reset in body"}
    assert 0.03 < run.faulty / run.requests < 0.07
