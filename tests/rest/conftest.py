"""What all tests of REST share."""

from __future__ import annotations

import pytest

from tests.rest.wire import LOOPS, loop_of_scenarios


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own network settings stay outside."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=LOOPS)
def on_each_loop(request: pytest.FixtureRequest) -> None:
    """Scenarios run once on each kind of loop."""
    loop_of_scenarios.set(LOOPS[request.param])
