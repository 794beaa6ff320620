"""Where a database in memory spills."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import provider

#: More rows than fit, so that DuckDB spills.
LARGE = "CREATE TABLE large AS SELECT range AS n, hash(range)::VARCHAR AS noise FROM range(1500000)"
SCRIPT = f"""
import provider
conn = provider.connect(environ={{}})
conn.execute("SET memory_limit = '20MB'")
conn.execute({LARGE!r})
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.chdir(tmp_path)
    return place


def test_what_does_not_fit_into_memory_lies_in_a_folder_of_its_owner_alone_until_the_connection_is_closed(
    place: Path,
) -> None:
    with provider.connect(environ={}) as conn:
        conn.execute("SET memory_limit = '20MB'")
        conn.execute(LARGE)
        (folder,) = place.iterdir()
        assert sum(file.stat().st_size for file in folder.iterdir()) > 2**20
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(place.iterdir()) == []
    assert os.listdir() == [place.name]


def test_a_connection_that_nobody_closes_leaves_nothing_behind(place: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environ, check=True)
    assert list(place.iterdir()) == []
    assert os.listdir() == [place.name]


def test_without_a_place_for_temporary_files_a_connection_opens_all_the_same(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(place / "none"))
    with provider.connect(environ={}) as conn:
        assert conn.execute("SELECT 1").fetchall() == [(1,)]
