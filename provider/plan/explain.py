"""Plans for people and programs: what would be sent, where each value comes from, and in which order.

One value, two views: `explain_query` and `explain_write` give plain data that JSON can hold, `as_text` prints
it as stable lines, without ids and addresses.
"""

from __future__ import annotations

from typing import Any

from provider.plan.physical import Computed, Given, Plan, Scan
from provider.plan.writes import WritePlan

#: Data that JSON can hold: {"scans": [...], "write": {...} | None}.
Explanation = dict[str, Any]


def explain_query(plan: Plan) -> Explanation:
    """A query's plan as data."""
    order = {s.number: i for i, s in enumerate(plan.scans, 1)}
    return {"scans": [_scan(s, order) for s in plan.scans], "write": None}


def explain_write(plan: WritePlan) -> Explanation:
    """A write's plan as data: the scans that find its rows, and the calls that each row becomes."""
    parameters = [
        {"name": p.name, "location": p.location, "wire": p.wire, "source": origin}
        for p, origin in zip(plan.parameters, plan.origins, strict=True)
    ]
    return explain_query(plan.source) | {
        "write": {
            "verb": plan.verb,
            "resource": plan.resource.id,
            "method": plan.method.name,
            "http": plan.method.http,
            "parameters": parameters,
            "payload": plan.payload,
            "requests": f"one a row {'that is found' if plan.reads_first else 'of the source'}, each sent once",
        }
    }


def as_text(explanation: Explanation) -> list[str]:
    """The lines of EXPLAIN."""
    lines: list[str] = []
    for scan in explanation["scans"]:
        names = "" if scan["aliases"] == [scan["resource"].rsplit(".", 1)[1]] else f" AS {', '.join(scan['aliases'])}"
        lines.append(f"scan {scan['scan']}: {scan['resource']}{names}")
        lines.append(f"  method     {scan['method']}: {scan['http']}")
        for binding in scan["bindings"]:
            after = f", after scan {', '.join(map(str, binding['after']))}" if binding["after"] else ""
            sign = "=" if binding["kind"] == "constants" else "<-"
            lines.append(f"  {', '.join(binding['parameters'])} {sign} {binding['source']}{after}")
        lines.append(f"  fields     {', '.join(scan['fields']) or 'none, rows are counted'}")
        lines += [f"  {key:<10} {scan[key]}" for key in ("pages", "ends", "requests", "actual") if scan.get(key)]
    write = explanation["write"]
    if write is None:
        scans = explanation["scans"]
        lines.append("DuckDB runs the statement over these rows" if scans else "DuckDB runs the statement")
        return lines + ([] if scans else ["Nothing is sent"])
    lines.append(f"{write['verb']} {write['resource']}")
    lines.append(f"  method     {write['method']}: {write['http']}")
    for p in write["parameters"]:
        lines.append(f"  {p['location']:<10} {p['wire']} <- {p['source']}")
    if write["payload"]:
        lines.append("  body       the members of @@json")
    lines.append(f"  requests   {write['requests']}")
    return lines


def _scan(scan: Scan, order: dict[int, int]) -> dict[str, Any]:
    pages = None
    if scan.method.pages is not None:
        size = scan.method.pages.size
        pages = (f"{size.param}={_size(scan, size.max, size.param)}, " if size else "") + (
            f"next by {scan.method.pages.param}"
        )
    return {
        "scan": order[scan.number],
        "resource": scan.resource.id,
        "aliases": list(scan.aliases),
        "method": scan.method.name,
        "http": scan.method.http,
        "bindings": [
            {
                "parameters": [p.name for p in b.parameters],
                "kind": "constants" if isinstance(b, Given) else "keys",
                "source": _rows(b) if isinstance(b, Given) else b.origin,
                "after": [] if isinstance(b, Given) else sorted(order[n] for n in b.scans if n != scan.number),
            }
            for b in scan.bindings
        ],
        "fields": [f.name for f in scan.fields],
        "pages": pages,
        "ends": scan.ending.reason if scan.ending is not None else None,
        "requests": _requests(scan),
    }


def _size(scan: Scan, largest: int, parameter: str) -> str:
    """The page size: the statement's own, or the API's largest."""
    given = [b for b in scan.bindings if isinstance(b, Given) and [p.wire for p in b.parameters] == [parameter]]
    return str(given[0].rows[0][0]).strip("'") if given and len(given[0].rows) == 1 else str(largest)


def _rows(binding: Given) -> str:
    shown = [str(r[0]) if len(r) == 1 else f"({', '.join(map(str, r))})" for r in binding.rows[:5]]
    more = len(binding.rows) - len(shown)
    listed = ", ".join(shown) + (f", ... ({more} more)" if more else "")
    return listed if len(binding.rows) == 1 else f"any of {listed}" if binding.rows else "nothing: no row can match"


def _requests(scan: Scan) -> str:
    """How many requests a scan sends, as far as the plan can tell."""
    paged = scan.method.pages is not None
    per_list = ", each of one page or more"
    keys, exact = 1, True
    for binding in scan.bindings:
        if not isinstance(binding, Given):
            return f"one {'list' if paged else 'request'} a distinct key{per_list if paged else ''}"
        rows = set(binding.rows)
        keys *= len(rows)
        exact = exact and not (len(rows) > 1 and any(isinstance(t, Computed) for row in rows for t in row))
    if keys == 0:
        return "none"
    if paged:
        return f"{'' if exact else 'at most '}{keys} list{'s' if keys > 1 else ''}{per_list}"
    return f"{'exactly' if exact else 'at most'} {keys}"
