"""DuckDB's progress bar does not get between the answers on stdout, unless somebody asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: DuckDB draws a bar where Python has no main file, as in `python -c`, when a statement takes more than two seconds.
SCRIPT = """
import provider, sys
with provider.connect() as conn:
    {asked}
    conn.execute("SELECT count(*) FROM range(3000) a, range(3000) b WHERE a.range * b.range % 7 = 3").fetchall()
    print(conn.execute("SELECT current_setting('enable_progress_bar')").fetchone()[0], file=sys.stderr)
"""
#: DuckDB switches the bar on with its time.
ASKED = 'conn.execute("SET progress_bar_time = 1")'


@pytest.mark.parametrize("asked", ["", ASKED], ids=["not asked for", "asked for"])
def test_it_is_drawn_only_where_it_is_asked_for(asked: str) -> None:
    """It is switched off, so that it need not be waited for."""
    command = [sys.executable, "-c", SCRIPT.format(asked=asked)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (bool(done.stdout), done.stderr.strip()) == (bool(asked), str(bool(asked)))
