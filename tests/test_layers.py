"""What may import what, and what is not imported until it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import provider

ROOT = Path(__file__).parents[1]
HEAVY = {"duckdb", "httpx", "aiohttp", "sqlglot", "pyarrow", "pandas", "polars", "starlette", "uvicorn"}


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after running `code`."""
    script = f"{code}\nimport sys\nprint('\\n' + ' '.join({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_imports_keep_to_the_contracts() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "code",
    ["import provider", "import provider; provider.Error; provider.apilevel", "import provider.emulator"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    assert loaded(code) & HEAVY == set()


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_the_command_line_starts_light(argument: str) -> None:
    """The interpreter itself lists what the command imported."""
    command = [sys.executable, "-X", "importtime", "-m", "provider", argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "apiql" in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported & HEAVY == set()


def test_a_statement_without_resources_loads_nothing_that_it_does_not_need() -> None:
    found = loaded("import provider\nwith provider.connect(environ={}) as c: c.execute('SELECT 1').fetchall()")
    assert "duckdb" in found
    assert found & {"sqlglot", "pydantic", "aiohttp", "pyarrow", "pandas", "polars", "starlette", "uvicorn"} == set()


def test_public_names_are_sorted_and_all_there() -> None:
    assert provider.__all__ == sorted(provider.__all__, key=lambda name: (name[0].islower(), name))
    for name in provider.__all__:
        assert getattr(provider, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        provider.nothing  # noqa: B018 -- the access is the test
