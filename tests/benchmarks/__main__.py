"""All benchmarks in one run: `python -m tests.benchmarks [--json FILE] [--budgets]`.

Everything reads the same server on this machine. Each measurement has a process of its own, of which the smallest
time counts; figures are worth comparing within one run only. `--budgets` leaves the peers out, measures what has a
budget, and fails past it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import budgets
from tests.benchmarks.peers import PEERS, SHARE, TASKS
from tests.benchmarks.server import serving

ROOT = Path(__file__).resolve().parents[2]
HAND, OURS = "by hand (aiohttp, orjson)", "ApiQL"
#: Seconds that one peer may take for one task.
PATIENCE = 120


@dataclass(frozen=True)
class Result:
    """What a peer took for a task; `cannot` says why it took nothing."""

    peer: str
    task: str
    seconds: float | None = None
    cpu: float | None = None
    peak_mb: float | None = None
    requests: int | None = None
    rows: int | None = None
    cannot: str = ""


def measured(peer: str, task: str, root: str) -> Result:
    """One run in a process of its own."""
    asked(root)
    command = [sys.executable, "-m", "tests.benchmarks.peers", peer, task, root]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return Result(peer, task, cannot=f"not done within {PATIENCE} s")
    if done.returncode:
        return Result(peer, task, cannot=f"failed: {done.stderr.strip().splitlines()[-1][:100]}")
    found = json.loads(done.stdout.splitlines()[-1])
    if "cannot" in found:
        return Result(peer, task, cannot=found["cannot"])
    share = SHARE.get(peer, 1)
    return Result(
        peer,
        task,
        seconds=found["seconds"] * share,
        cpu=found["cpu"] * share,
        peak_mb=found["peak_mb"],
        requests=asked(root) * share,
        rows=found["rows"] * share,
    )


def asked(root: str) -> int:
    """How many requests the server had since the last time."""
    with urllib.request.urlopen(f"{root}/requests") as answer:
        return int(answer.read())


def best(results: list[Result]) -> Result:
    """The run with the least CPU time, with the least time on the clock."""
    done = [r for r in results if r.seconds is not None]
    if not done:
        return results[0]
    least = min(done, key=lambda r: r.cpu or 0)
    return Result(**{**asdict(least), "seconds": min(r.seconds or 0 for r in done)})


def peers(root: str, rounds: int) -> list[Result]:
    """All tasks by all peers; the two that are compared closely take turns."""
    found = []
    for task in TASKS:
        runs: dict[str, list[Result]] = {peer: [] for peer in PEERS}
        for turn in range(rounds):
            for peer in PEERS:
                if turn == 0 or peer in (HAND, OURS):
                    runs[peer].append(measured(peer, task, root))
        found += [best(r) for r in runs.values()]
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def table(results: list[Result]) -> str:
    """One row a task and peer, with ratios to the reader that is written by hand."""
    hand = {r.task: r for r in results if r.peer == HAND}
    lines = [
        "| task | reader | seconds | CPU s | CPU / by hand | peak MB | requests |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in results:
        if r.seconds is None or r.cpu is None:
            lines.append(f"| {r.task} | {r.peer} | {r.cannot} | | | | |")
            continue
        about = "~" if r.peer in SHARE else ""
        ratio = r.cpu / (hand[r.task].cpu or r.cpu)
        lines.append(
            f"| {r.task} | {r.peer} | {about}{r.seconds:.2f} | {about}{r.cpu:.2f} | {ratio:.2f} "
            f"| {r.peak_mb:.0f} | {about}{r.requests} |"
        )
    return "\n".join(lines)


def budget_table(figures: list[budgets.Figure]) -> str:
    lines = ["| what | measured | budget | |", "| --- | ---: | ---: | --- |"]
    lines += [
        f"| {f.what} | {f.value:.2f} {f.unit} | {f.most:g} {f.unit} | {'' if f.is_kept else 'exceeded'} |"
        for f in figures
    ]
    return "\n".join(lines)


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Benchmarks and budgets.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    parser.add_argument("--budgets", action="store_true", help="only what has a budget; exit 1 past one")
    parser.add_argument("--rounds", type=int, default=3, help="runs of which the best counts")
    options = parser.parse_args()
    date = time.strftime("%Y-%m-%d", time.gmtime())
    with serving() as root:
        results = [] if options.budgets else peers(root, options.rounds)
        figures = budgets.figures(
            root, lambda peer, task: measured(peer, task, root), options.rounds, large=options.budgets
        )
    print(f"{date}, {machine()}\n")
    if results:
        print(table(results), "\n~: worked out from a part of the task\n")
    print(budget_table(figures))
    if options.json is not None:
        kept: dict[str, Any] = {"date": date, "machine": machine()}
        kept |= {"results": [asdict(r) for r in results], "budgets": [asdict(f) for f in figures]}
        options.json.write_text(json.dumps(kept, indent=1) + "\n")
    if options.budgets and not all(f.is_kept for f in figures):
        sys.exit("a budget is exceeded")


if __name__ == "__main__":
    main()
