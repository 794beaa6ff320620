"""A running emulator, a client that speaks plain HTTP to it, and a clock that the tests move."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider.emulator import Emulator

KEY = "not-a-real-key"


class Clock:
    """Unix seconds that move only when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class Api:
    """Plain HTTP with the headers of one API version; answers are decoded, errors are not raised."""

    def __init__(self, base_url: str, version: int = 2) -> None:
        self.http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {KEY}", "OpenAI-Beta": f"assistants=v{version}"},
        )

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.http.request(method, path, **options)

    def get(self, path: str, **query: Any) -> Any:
        return self.send("GET", path, params=query).json()

    def post(self, path: str, body: Any = None) -> Any:
        return self.send("POST", path, json={} if body is None else body).json()

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path).json()

    def error(self, method: str, path: str, **options: Any) -> tuple[int, str, str | None, str | None]:
        """Status, message, param and code of a refused request; the envelope has exactly four keys."""
        response = self.send(method, path, **options)
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return response.status_code, error["message"], error["param"], error["code"]


Connect = Callable[..., Api]


@pytest.fixture(scope="session")
def connect() -> Iterator[Connect]:
    """Makes clients of a base URL and a version, and closes them at the end."""
    made: list[Api] = []

    def open_api(base_url: str, version: int = 2) -> Api:
        made.append(Api(base_url, version))
        return made[-1]

    yield open_api
    for api in made:
        api.http.close()


@pytest.fixture(scope="session")
def shared() -> Iterator[Emulator]:
    """One emulator for the tests that only look at objects of their own; its runs end at once."""
    with Emulator(step_seconds=0.01) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def api(shared: Emulator, connect: Connect) -> Api:
    return connect(shared.base_url)


@pytest.fixture(scope="session")
def api_v1(shared: Emulator, connect: Connect) -> Api:
    return connect(shared.base_url, 1)


@pytest.fixture(scope="session")
def ticking() -> Clock:
    return Clock()


@pytest.fixture
def clock(ticking: Clock) -> Clock:
    """The clock of `timed`, on a whole second that no test before has seen."""
    ticking.now = (ticking.now // 10_000 + 1) * 10_000
    return ticking


@pytest.fixture(scope="session")
def timed(ticking: Clock) -> Iterator[Emulator]:
    """An emulator whose time is the clock of the tests; a transition takes one second."""
    with Emulator(clock=ticking, step_seconds=1) as emulator:
        yield emulator


@pytest.fixture
def timed_api(timed: Emulator, clock: Clock, connect: Connect) -> Api:
    return connect(timed.base_url)


@pytest.fixture
def start() -> Iterator[Callable[[Path], tuple[subprocess.Popen[str], str]]]:
    """Starts server processes on a data directory: the process, and the host:port that it says it has."""
    root = Path(__file__).parents[2]
    started: list[subprocess.Popen[str]] = []

    def start_one(data: Path) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "provider.emulator", "--port", "0", "--data", str(data)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("apiql emulator listens on http://127.0.0.1:"), line
        return process, line.split()[4].split("/")[2]

    yield start_one
    for process in started:
        process.kill()
        process.communicate()
