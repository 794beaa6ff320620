"""Fixtures of the tests of the transport."""

from __future__ import annotations

import pytest

from tests.rest.wire import LOOPS, loop_of_scenarios


@pytest.fixture(params=LOOPS)
def on_each_loop(request: pytest.FixtureRequest) -> None:
    loop_of_scenarios.set(LOOPS[request.param])
