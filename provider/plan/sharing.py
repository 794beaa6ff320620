"""Which scans of a statement may send the same calls: these keep their rows in one table, each call's once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from provider.plan.physical import Given, Literal, Scan


def sharing(scans: Sequence[Scan]) -> list[tuple[Scan, ...]]:
    """The scans in groups, in their order: two scans of different groups never send the same call."""
    alike: dict[tuple[str, str, frozenset[str]], list[Scan]] = {}
    for scan in scans:
        bound = frozenset(p.name for p in scan.parameters)
        alike.setdefault((scan.resource.id, scan.method.name, bound), []).append(scan)
    groups: list[tuple[Scan, ...]] = []
    for found in alike.values():
        if any(_may_overlap(a, b) for a, b in combinations(found, 2)):
            groups.append(tuple(found))
        else:
            groups += [(scan,) for scan in found]
    return groups


def _may_overlap(one: Scan, other: Scan) -> bool:
    """Whether two scans with the same parameters may have a key in common."""
    known, others = _literals(one), _literals(other)
    return not any(known[name].isdisjoint(others[name]) for name in known.keys() & others.keys())


def _literals(scan: Scan) -> dict[str, set[Literal]]:
    """The values of the parameters that the statement itself gives one by one."""
    found: dict[str, set[Literal]] = {}
    for binding in scan.bindings:
        if isinstance(binding, Given) and len(binding.parameters) == 1:
            values = {row[0] for row in binding.rows}
            literals = {v for v in values if isinstance(v, Literal)}
            if literals == values:
                found[binding.parameters[0].name] = literals
    return found
