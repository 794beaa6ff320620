"""What a command loads before it needs it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from .conftest import ROOT

HEAVY = {
    "duckdb",
    "sqlglot",
    "pydantic",
    "yaml",
    "httpx",
    "aiohttp",
    "asyncio",
    "uvicorn",
    "starlette",
    "ssl",
    "prompt_toolkit",
}
SCRIPT = """
import json, sys
from provider.interfaces.cli import main
try:
    main(sys.argv[1:])
except SystemExit as done:
    assert not done.code, done.code
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["query", "--help"], ["manifest", "--help"], ["demo", "--help"], ["shell", "--help"]],
)
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"click", "provider"} <= loaded
    assert HEAVY & loaded == set()


def test_a_query_that_needs_no_plan_loads_nothing_that_plans() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "query", "SELECT 1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "duckdb" in loaded
    assert ((HEAVY | {"msgspec"}) - {"duckdb"}) & loaded == set()


def test_a_script_for_the_shell_loads_no_line_editor() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        input="SELECT 1;\nSELECT 2;\n",
        timeout=60,
        check=True,
    )
    assert "prompt_toolkit" not in json.loads(done.stdout.splitlines()[-1])


def test_a_command_does_not_load_pandas_for_a_parameter() -> None:
    assert find_spec("pandas") is not None, "without it there is nothing to show"
    loaded = """
import sys
from provider.interfaces.cli import main
try:
    main(["query", "SELECT $n", "-p", "n=1"])
except SystemExit as done:
    assert not done.code, done.code
assert not any(name.startswith("pandas.") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
