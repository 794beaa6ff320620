"""The long run: python -m tests.oracle --statements 20000 --seed 7 [--collect]"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.oracle.compare import Case, case_json, opened
from tests.oracle.reduce import shrink
from tests.oracle.server import Server
from tests.oracle.statements import Statements
from tests.oracle.worlds import random_world

#: Statements that share one world and one connection.
PER_WORLD = 25


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle")
    parser.add_argument("--statements", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--collect", type=Path, help="a folder for failing cases; go on after a failure")
    parser.add_argument("--raw", action="store_true", help="do not shrink")
    parser.add_argument("--most", type=int, default=20, help="failures after which to stop")
    parser.add_argument("--alike", type=int, default=3, help="failures of one kind to shrink and show")
    parser.add_argument("--only", default="", help="show failures whose kind begins so")
    parser.add_argument("--twice", action="store_true", help="a request that is sent twice is a failure as well")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    counts: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    failures = 0
    started = time.monotonic()
    with Server() as server:
        for start in range(0, options.statements, PER_WORLD):
            source = random.Random(options.seed * 1_000_003 + start)
            world = random_world(source)
            statements = Statements(source, world)
            world = replace(world, views=statements.views())
            cases = [statements.case() for _ in range(min(PER_WORLD, options.statements - start))]
            failing: list[tuple[Case, str, str]] = []
            with opened(server, world) as oracle:
                for case in cases:
                    verdict = oracle.judge(case)
                    counts[verdict.kind] += 1
                    wanted = verdict.is_failure or (options.twice and verdict.kind == "twice")
                    if wanted and verdict.kind.startswith(options.only):
                        failing.append((case, verdict.kind, verdict.detail))
            for case, kind, detail in failing:
                failures += 1
                shown[kind] += 1
                if shown[kind] > options.alike:
                    continue
                print(f"--- {kind} (statements {start}..)\n{case.sql[:600]}\n{detail[:600]}", flush=True)
                smaller = (world, case) if options.raw or kind == "bind" else shrink(server, world, case, kind)
                with opened(server, smaller[0]) as oracle:
                    again = oracle.judge(smaller[1])
                    requests = list(server.log)
                    try:
                        plan = oracle.connection.explain(smaller[1].sql)
                    except Exception as e:
                        plan = str(e)
                print(f"=> {smaller[1].sql}\n{smaller[1].parameters}\n{again.kind}: {again.detail}\n{plan}\n{requests}")
                for resource in smaller[0].resources:
                    if not options.raw:
                        print(f"   {resource.name}: {list(resource.rows)}")
                for table in smaller[0].tables:
                    if not options.raw:
                        print(f"   {table.name}: {list(table.rows)}")
                if options.collect:
                    options.collect.mkdir(parents=True, exist_ok=True)
                    name = re.sub(r"[^A-Za-z]+", "_", kind)[:40]
                    (options.collect / f"{name}_{options.seed}_{start}_{failures}.json").write_text(
                        case_json(*smaller, note=kind), encoding="utf-8"
                    )
                if not options.collect or failures >= options.most:
                    print(dict(counts))
                    return 1
    print(f"{dict(counts)} in {time.monotonic() - started:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
