"""DuckDB's progress bar does not get between the answers on stdout, unless somebody asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: DuckDB draws a bar where Python has no main file, as in `python -c`, when a statement takes more than two seconds.
SCRIPT = """
import provider
with provider.connect() as conn:
    {asked}
    conn.execute("SELECT count(*) FROM range({size}) a, range({size}) b WHERE a.range * b.range % 7 = 3").fetchall()
"""
#: DuckDB switches the bar on with its time.
ASKED = 'conn.execute("SET progress_bar_time = 1")'


@pytest.mark.parametrize(("asked", "size"), [("", 20_000), (ASKED, 3_000)], ids=["a long statement", "asked for"])
def test_it_is_drawn_only_where_it_is_asked_for(asked: str, size: int) -> None:
    command = [sys.executable, "-c", SCRIPT.format(asked=asked, size=size)]
    done = subprocess.run(command, check=True, capture_output=True)
    assert bool(done.stdout) == bool(asked)
