"""Plans as stable text: what would be sent, where each value comes from, and in which order."""

from __future__ import annotations

from provider.catalog.catalog import Method
from provider.plan.physical import Computed, Given, Keys, Plan, Scan
from provider.plan.writes import WritePlan


def explain_query(plan: Plan) -> list[str]:
    """Lines for a query's plan."""
    lines: list[str] = []
    order = {s.number: i for i, s in enumerate(plan.scans, 1)}
    for scan in plan.scans:
        lines += _scan(scan, order)
    lines.append(
        "DuckDB runs the statement over these rows" if plan.scans else "DuckDB runs the statement; nothing is sent"
    )
    return lines


def explain_write(plan: WritePlan) -> list[str]:
    """Lines for a write's plan."""
    lines = explain_query(plan.source)[:-1]
    lines.append(f"{plan.verb} {plan.resource.id}")
    lines.append(f"  method     {plan.method.name}: {plan.method.http}")
    for parameter in plan.parameters:
        where = "path" if parameter.location == "path" else f"{parameter.location} {parameter.wire}"
        lines.append(f"  {where:<10} <- {parameter.name}")
    if plan.payload:
        lines.append("  body       <- the members of @@json")
    rows = "one a row that is found" if plan.reads_first else "one a row of the source"
    lines.append(f"  requests   {rows}; each is sent once")
    return lines


def _scan(scan: Scan, order: dict[int, int]) -> list[str]:
    names = "" if scan.aliases == (scan.resource.name,) else f" AS {', '.join(scan.aliases)}"
    lines = [
        f"scan {order[scan.number]}: {scan.resource.id}{names}",
        f"  method     {scan.method.name}: {scan.method.http}",
    ]
    for binding in scan.bindings:
        if isinstance(binding, Given):
            lines.append(f"  {', '.join(p.name for p in binding.parameters)} = {_rows(binding)}")
        else:
            named = ", ".join(p.name for p in binding.parameters)
            after = f", after scan {', '.join(str(order[n]) for n in sorted(binding.scans))}" if binding.scans else ""
            lines.append(f"  {named} <- {binding.origin}{after}")
    lines.append(f"  fields     {', '.join(f.name for f in scan.fields) or 'none, rows are counted'}")
    if scan.method.pages is not None and scan.method.pages.size is not None:
        size = scan.method.pages.size
        lines.append(f"  pages      {size.param}={size.max}, next by {scan.method.pages.param}")
    if scan.ending is not None:
        lines.append(f"  ends       {scan.ending.reason}")
    lines.append(f"  requests   {_requests(scan, scan.method)}")
    return lines


def _rows(binding: Given) -> str:
    shown = [str(r[0]) if len(r) == 1 else f"({', '.join(map(str, r))})" for r in binding.rows[:5]]
    more = len(binding.rows) - len(shown)
    listed = ", ".join(shown) + (f", ... ({more} more)" if more else "")
    return listed if len(binding.rows) == 1 else f"any of {listed}" if binding.rows else "nothing: no row can match"


def _requests(scan: Scan, method: Method) -> str:
    """How many requests a scan sends, as far as the plan can tell."""
    keys = 1
    exact = True
    unit = "page" if method.pages is not None else "request"
    for binding in scan.bindings:
        if isinstance(binding, Keys):
            return f"one {unit if unit == 'request' else 'list'} a distinct key" + (
                ", each of one page or more" if method.pages else ""
            )
        rows = set(binding.rows)
        keys *= len(rows)
        exact = exact and not (len(rows) > 1 and any(isinstance(t, Computed) for row in rows for t in row))
    if keys == 0:
        return "none"
    if method.pages is not None:
        return f"{'' if exact else 'at most '}{keys} list{'s' if keys > 1 else ''}, each of one page or more"
    return f"{'exactly' if exact else 'at most'} {keys}"
