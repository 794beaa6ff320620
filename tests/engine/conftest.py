"""What tests over rows of their own share: a server for them, and the judge of what is answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.oracle.compare import Oracle, opened
from tests.oracle.server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Serves a world, and writes down what it is asked."""
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def oracle(server: Server, request: pytest.FixtureRequest) -> Iterator[Oracle]:
    """ApiQL and plain DuckDB over the module's WORLD."""
    with opened(server, request.module.WORLD) as judge:
        yield judge
