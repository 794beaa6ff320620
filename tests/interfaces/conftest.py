"""The command line in this process and in one of its own, and an emulator for it to ask."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider.emulator import Emulator
from provider.interfaces.cli import cli
from provider.interfaces.diagnostics import Diagnostics

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own settings stay outside."""
    for name in [n for n in os.environ if n.startswith(("OPENAI_", "APIQL_"))] + ["NO_COLOR"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    monkeypatch.setenv("COLUMNS", "80")


class Terminal(io.StringIO):
    """A stream that says that a person looks at it."""

    def isatty(self) -> bool:
        return True


def run_here(*arguments: str, stream: type[io.StringIO] = io.StringIO, env: dict[str, str] | None = None) -> Ran:
    out, err = stream(), stream()
    diagnostics = Diagnostics(err, env or {})
    with redirect_stdout(out):
        code = diagnostics.exit_code(
            lambda: cli.main(arguments, prog_name="apiql", obj=diagnostics, standalone_mode=False)
        )
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture
def apiql() -> Run:
    """Runs a command in this process: quick, and all that most tests need."""
    return run_here


@pytest.fixture
def on_terminal() -> Run:
    """As `apiql`, with stdout and stderr being terminals."""
    return partial(run_here, stream=Terminal)


@pytest.fixture
def process() -> Run:
    """Runs a command in a process of its own; `stdin` is its input."""

    def run(*arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "provider", *arguments],
            cwd=ROOT,
            input=stdin.encode(),
            capture_output=True,
            env=os.environ | (env or {}),
            timeout=60,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator(step_seconds=0.01) as running:
        yield running


class Api:
    """Plain HTTP to the emulator, to prepare what a statement then finds."""

    def __init__(self, base_url: str, version: str) -> None:
        self.http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": "Bearer not-a-real-key", "OpenAI-Beta": f"assistants={version}"},
        )

    def post(self, path: str, **options: Any) -> Any:
        response = self.http.post(path, **options)
        response.raise_for_status()
        return response.json()

    def get(self, path: str) -> Any:
        response = self.http.get(path)
        response.raise_for_status()
        return response.json()


@pytest.fixture(scope="session")
def connect(emulator: Emulator) -> Iterator[Callable[[str], Api]]:
    """Makes clients of a version of the API."""
    made: list[Api] = []

    def open_api(version: str) -> Api:
        made.append(Api(emulator.base_url, version))
        return made[-1]

    yield open_api
    for api in made:
        api.http.close()


@pytest.fixture(scope="session")
def api(connect: Callable[[str], Api]) -> Api:
    return connect("v2")


@pytest.fixture
def query(emulator: Emulator) -> Run:
    """`apiql query` against the emulator, in this process."""

    def run(*arguments: str) -> Ran:
        return run_here("query", "--base-url", f"openai={emulator.base_url}", *arguments)

    return run
