"""What may not get worse: the budgets of ApiQL, each as a ratio within one run, or as a limit."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider.catalog.loader import Catalog
from provider.plan.names import Names
from tests.benchmarks.planning import FIVE_WAY_JOIN, milliseconds
from tests.benchmarks.server import MANIFEST

ROOT = Path(__file__).resolve().parents[2]
#: The lists of each task, in pages: no reading of them can do with fewer requests. Two that read one list towards
#: each other ask for one more each before they know that they have met.
REQUESTS = {"fan-out": 2000, "long scan": 2000, "join": 505, "both ends": 102, "first rows": 1}
#: Rows of 107 bytes in the scan that is larger than its memory: 2.1 GB.
LARGE = 20_000_000


@dataclass(frozen=True)
class Figure:
    """A measurement and the most that it may be."""

    what: str
    value: float
    most: float
    unit: str

    @property
    def is_kept(self) -> bool:
        """Whether the budget is kept."""
        return self.value <= self.most


def figures(root: str, measured: Callable[[str, str], Any], rounds: int, *, large: bool) -> list[Figure]:
    """All figures; `measured` runs a task by a peer, `large` asks for the scan that is larger than its memory."""
    hand, bare, ours = "by hand (aiohttp, orjson)", "bare fetch, DuckDB's parse", "ApiQL"

    def turns(task: str, *peers: str) -> list[list[Any]]:
        return [list(runs) for runs in zip(*([measured(p, task) for p in peers] for _ in range(rounds)), strict=True)]

    by_hand, fan_out = turns("fan-out", hand, ours)
    parsed, scan = turns("long scan", bare, ours)
    (join,) = turns("join", ours)
    chain, ends = turns("both ends", hand, ours)
    (first,) = turns("first rows", ours)
    found = [
        Figure("fan-out, time / by hand", _least(fan_out, "seconds") / _least(by_hand, "seconds"), 1.25, "x"),
        Figure("long scan, CPU / bare fetch and parse", _least(scan, "cpu") / _least(parsed, "cpu"), 1.3, "x"),
        Figure(
            "10,000 rows at 50 ms a page, time / one chain",
            _least(ends, "seconds") / _least(chain, "seconds"),
            0.6,
            "x",
        ),
        Figure("planning a join of five", _planning(), 10, "ms"),
        Figure('apiql query "SELECT 1", time / import duckdb, sqlglot', _start_up(4 * rounds), 1.3, "x"),
    ]
    for name, sql in MILLION.items():
        found.append(Figure(f"1,000,000 rows, {name}: peak memory", _scan(root, 1_000_000, sql)["peak_mb"], 300, "MB"))
    runs_of = {"fan-out": fan_out, "long scan": scan, "join": join, "both ends": ends, "first rows": first}
    for task, runs in runs_of.items():
        found.append(Figure(f"{task}, requests", _least(runs, "requests"), REQUESTS[task], ""))
    if large:
        done = _scan(root, LARGE, MILLION["GROUP BY"], memory_limit="300MB")
        found.append(Figure("2 GB with memory_limit 300 MB: rows that are missing", LARGE - done["rows"], 0, ""))
    return found


MILLION = {
    "count(*)": "SELECT count(*) FROM local.lists.events WHERE events = 'events_{rows}'",
    "GROUP BY": "SELECT sum(n) FROM (SELECT kind, ok, max(id), max(created_at), sum(amount), count(*) AS n"
    " FROM local.lists.events WHERE events = 'events_{rows}' GROUP BY kind, ok)",
}


def _least(runs: list[Any], what: str) -> float:
    return min(float(getattr(run, what)) for run in runs)


def _planning() -> float:
    return milliseconds(FIVE_WAY_JOIN, Names(Catalog(environ={}), lambda _: None, lambda query: query), 20)


def _start_up(rounds: int) -> float:
    """The time of a command that starts and ends, against that of two imports; they take turns."""
    imports = [sys.executable, "-c", "import duckdb, sqlglot"]
    query = [sys.executable, "-m", "provider", "query", "SELECT 1"]
    least = [float("inf"), float("inf")]
    for _ in range(rounds):
        for i, command in enumerate((imports, query)):
            began = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            least[i] = min(least[i], time.perf_counter() - began)
    return least[1] / least[0]


def _scan(root: str, rows: int, sql: str, memory_limit: str = "") -> dict[str, Any]:
    """A statement over so many small rows, in a process of its own: its answer and its peak memory."""
    command = [sys.executable, "-m", "tests.benchmarks.budgets", root, sql.format(rows=rows), memory_limit]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run one statement and tell what it took."""
    # DuckDB imports pandas where it is installed, as it is here for the peers; ApiQL does not bring it.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    import provider

    root, sql, memory_limit = sys.argv[1:]
    settings: dict[str, Any] = {"base_urls": {"local": f"{root}/0ms/v1"}, "environ": {"LOCAL_KEY": "benchmark"}}
    with provider.connect(manifests=[MANIFEST], **settings) as conn:
        if memory_limit:
            conn.execute(f"SET memory_limit = '{memory_limit}'")
        row = conn.execute(sql).fetchone()
    assert row is not None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": int(row[0]), "peak_mb": peak}))


if __name__ == "__main__":
    main()
