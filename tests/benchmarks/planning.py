"""What planning costs in CPU time, without parsing and without a request: the least of many runs.

    python -m tests.benchmarks.planning

Exits with 1 where a statement is past its budget, or where twice the predicates cost much more than twice the time.
"""

from __future__ import annotations

import sys
import time

from provider.catalog.loader import Catalog
from provider.plan.names import Names
from provider.plan.planner import plan_query
from provider.sql.statements import Query, parse

FIVE_WAY_JOIN = """
SELECT t.id, m.id, r.id, s.id, a.name FROM openai.assistants.threads t
JOIN openai.assistants.messages m ON m.thread_id = t.id
JOIN openai.assistants.runs r ON r.thread_id = t.id AND r.id = m.run_id
JOIN openai.assistants.run_steps s ON s.thread_id = r.thread_id AND s.run_id = r.id
JOIN openai.assistants.assistants a ON a.id = r.assistant_id
WHERE t.id IN ('thread_1', 'thread_2') AND m.role = 'user' AND r.status = 'completed'
"""
KEYS = ", ".join(f"'asst_{i}'" for i in range(1000))
THOUSAND_KEYS = f"SELECT name FROM openai.assistants.assistants WHERE id IN ({KEYS})"
#: By name: a statement, and the most milliseconds that its plan may take.
BUDGETS = {"a join of five": (FIVE_WAY_JOIN, 10.0), "1,000 keys in IN": (THOUSAND_KEYS, 50.0)}
#: How many times the time ten times the predicates may cost.
GROWTH = 15


def milliseconds(sql: str, names: Names, runs: int) -> float:
    """The least CPU time of a plan."""
    best = float("inf")
    for _ in range(runs):
        (query,) = parse(sql)
        assert isinstance(query, Query)
        assert query.tree is not None
        started = time.process_time()
        plan_query(query.tree, query.text, names)
        best = min(best, time.process_time() - started)
    return best * 1000


def predicates(count: int) -> str:
    """A statement with so many predicates."""
    conditions = " AND ".join(
        f"role <> 'r{i}' AND (created_at > {i} OR created_at < {i + 1})" for i in range(count // 3)
    )
    return f"SELECT id FROM openai.assistants.messages WHERE thread_id = 'thread_1' AND {conditions}"


def main() -> int:
    names = Names(Catalog(environ={}), lambda _: None, lambda query: query)
    failed = False
    for name, (sql, budget) in BUDGETS.items():
        taken = milliseconds(sql, names, 50)
        failed |= taken > budget
        print(f"{name:<20} {taken:7.1f} ms of {budget:.0f}")
    before = None
    for count in (10, 100, 1000):
        taken = milliseconds(predicates(count), names, 2000 // count)
        growth = f", {taken / before:.1f} times that" if before else ""
        failed |= before is not None and taken > GROWTH * before
        print(f"{f'{count:,} predicates':<20} {taken:7.1f} ms{growth}")
        before = taken
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
