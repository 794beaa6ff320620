"""Plans for people and programs: what would be sent, where each value comes from, and in which order.

One value, two views: `explain_query` and `explain_write` give plain data that JSON can hold, `as_text` prints
it as stable lines, without ids and addresses. The facts are the plan's; nothing is worked out here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provider.catalog.catalog import Resource
from provider.plan.actions import Action, WritePlan
from provider.plan.inverse import Irreversible, inverse_of
from provider.plan.physical import Binding, Given, Plan, Predicate, Requests, Scan
from provider.plan.sharing import sharing

#: Data that JSON can hold: {"scans": [...], "requests": {...}, "write": {...} | None}.
Explanation = dict[str, Any]

#: The longest condition that is printed whole, in characters.
_WIDTH = 100


def explain_query(plan: Plan, called: Sequence[WritePlan] = ()) -> Explanation:
    """A query's plan as data; `called` are the EXECs that stand in it."""
    order = {s.number: i for i, s in enumerate(plan.scans, 1)}
    conditions = plan.conditions()
    most = [s.requests.at_most for s in plan.scans]
    return {
        "scans": [_scan(s, order, conditions.get(s.number, ())) for s in plan.scans],
        "requests": {
            # Of scans that share calls, one may have all that another one wants.
            "at_least": sum(max(s.requests.at_least for s in group) for group in sharing(plan.scans)),
            "at_most": None if None in most else sum(m for m in most if m is not None),
        },
        "execs": [explain_write(e)["write"] for e in called],
        "write": None,
    }


def explain_write(plan: WritePlan) -> Explanation:
    """A write's plan as data: the scans that find its rows, and the calls that each row becomes."""
    rows = f"one a row {'that is found' if plan.reads_first else 'of the source'}, each sent once"
    requests = "exactly 1, sent once" if plan.verb == "EXEC" else f"{'at most ' if plan.chooses else ''}{rows}"
    readers = [a.method.awaits.method for a in plan.actions if a.method.awaits is not None] if plan.awaits else []
    if readers:
        requests += f"; then {' or '.join(dict.fromkeys(readers))} until the operation has ended"
    return explain_query(plan.source) | {
        "write": {
            "verb": plan.verb,
            "resource": plan.resource.id,
            "actions": [_action(a, plan.resource) for a in plan.actions],
            "requests": requests,
        }
    }


def _action(action: Action, resource: Resource) -> dict[str, Any]:
    return {
        "verb": action.verb,
        "method": action.method.name,
        "http": action.method.http,
        "parameters": [
            {"name": p.name, "location": p.location, "wire": p.wire, "source": origin}
            for p, origin in zip(action.parameters, action.origins, strict=True)
        ],
        "payload": action.payload,
        "order": action.verb == "INSERT" and action.method.ordered,
        "unchanged": any(n is not None for n in action.current),
        "undone": _undone(action, resource),
    }


def _undone(action: Action, resource: Resource) -> dict[str, Any] | None:
    """What undoes an action, and whether it sets what was read before; or why nothing does. None for a read."""
    if action.method.is_safe:
        return None
    found = inverse_of(resource, action.method, {p.name for p in action.parameters})
    if isinstance(found, Irreversible):
        return {"method": None, "reads": False, "reason": found.reason}
    return {"method": found.method.name, "reads": bool(found.before), "reason": found.caveat}


def as_text(explanation: Explanation) -> list[str]:
    """The lines of EXPLAIN."""
    lines = [line for e in explanation["execs"] for line in _write_lines(e)]
    lines += [line for scan in explanation["scans"] for line in _scan_lines(scan)]
    write = explanation["write"]
    if write is None:
        scans = explanation["scans"]
        total = f", after {_bounds(explanation['requests'])}" if len(scans) > 1 else ""
        lines.append(f"DuckDB runs the statement over these rows{total}" if scans else "DuckDB runs the statement")
        return lines + ([] if scans or explanation["execs"] else ["Nothing is sent"])
    return lines + _write_lines(write)


def _write_lines(write: dict[str, Any]) -> list[str]:
    lines = [f"{write['verb']} {write['resource']}"]
    for action in write["actions"]:
        lines += _action_lines(action, alone=len(write["actions"]) == 1)
    lines.append(f"  requests   {write['requests']}")
    return lines


def _action_lines(action: dict[str, Any], *, alone: bool) -> list[str]:
    lines = [] if alone else [f"  {action['verb']}"]
    lines.append(f"  method     {action['method']}: {action['http']}")
    lines += [f"  {p['location']:<10} {p['wire']} <- {p['source']}" for p in action["parameters"]]
    if action["payload"]:
        lines.append("  body       the members of @@json")
    if action["order"]:
        lines.append("  order      rows with the same path are sent in their order")
    if action["unchanged"]:
        lines.append("  unchanged  values that the object has already are not sent")
    if undone := action["undone"]:
        reason = f": {undone['reason']}" if undone["reason"] else ""
        with_ = ", with the values from before" if undone["reads"] else ""
        lines.append(f"  undone by  {undone['method'] or 'nothing'}{with_}{reason}")
    return lines


def _scan(scan: Scan, order: dict[int, int], conditions: Sequence[Predicate]) -> dict[str, Any]:
    return {
        "scan": order[scan.number],
        "resource": scan.resource.id,
        "aliases": list(scan.aliases),
        "method": scan.method.name,
        "why": scan.why,
        "http": scan.method.http,
        "request": scan.request,
        "bindings": [
            _binding(b, scan, order) for b in scan.bindings if set(b.parameters) <= set(scan.method.parameters)
        ],
        "predicates": [_predicate(p) for p in conditions],
        "fields": [f.name for f in scan.fields],
        "pages": scan.method.pages.told if scan.method.pages is not None else None,
        "ends": _ends(scan),
        "requests": _requests(scan.requests),
    }


def _ends(scan: Scan) -> str | None:
    if scan.requests.count == 0:
        return "before it begins: no row can matter"
    if scan.ending is None:
        return None
    return f"{scan.ending.reason}{', each list by itself' if scan.ending.each and scan.requests.several else ''}"


def _binding(binding: Binding, scan: Scan, order: dict[int, int]) -> dict[str, Any]:
    names = [p.name for p in binding.parameters]
    if isinstance(binding, Given):
        return {
            "parameters": names,
            "kind": "constants",
            "values": [[str(t) for t in row] for row in binding.rows],
            "after": [],
        }
    after = sorted(order[n] for n in binding.scans if n != scan.number)
    return {"parameters": names, "kind": "keys", "source": binding.origin, "after": after}


def _predicate(predicate: Predicate) -> dict[str, Any]:
    if not predicate.parameters:
        return {"sql": predicate.sql, "sent": False, "reason": predicate.reason}
    return {"sql": predicate.sql, "sent": True, "parameters": list(predicate.parameters), "match": predicate.match}


def _requests(requests: Requests) -> dict[str, Any]:
    """`count` requests or lists, exactly or at most; `per` distinct key where the rows of other scans tell how many."""
    return {
        "kind": "per_key" if requests.per else "exact" if requests.exact else "at_most",
        "count": requests.count,
        "of": "lists" if requests.lists else "requests",
        "per": list(requests.per),
        "page": requests.page,
        "instead": requests.instead or None,
        "both_ends": requests.both_ends,
        "at_least": requests.at_least,
        "at_most": requests.at_most,
    }


def _scan_lines(scan: dict[str, Any]) -> Iterator[str]:
    aliases = "" if scan["aliases"] == [scan["resource"].rsplit(".", 1)[1]] else f" AS {', '.join(scan['aliases'])}"
    yield f"scan {scan['scan']}: {scan['resource']}{aliases}"
    yield f"  method     {scan['method']}: {scan['why']}"
    yield f"  request    {scan['request']}"
    for binding in scan["bindings"]:
        names = ", ".join(binding["parameters"])
        if binding["kind"] == "keys":
            after = f", after scan {', '.join(map(str, binding['after']))}" if binding["after"] else ""
            yield f"  {names} <- {binding['source']}{after}"
        elif len(binding["values"]) > 1 or (binding["values"] and f"{{{names}}}" in scan["request"]):
            yield f"  {names} = {_values(binding['values'])}"
    sent = [p for p in scan["predicates"] if p["sent"]]
    kept = [p for p in scan["predicates"] if not p["sent"]]
    yield from _listed("sent", [_short(p["sql"]) + _carrier(p) for p in sent])
    yield from _listed("not sent", [f"{_short(p['sql'])}: {p['reason']}" for p in kept])
    yield f"  fields     {', '.join(scan['fields']) or 'none, rows are counted'}"
    if scan["ends"]:
        yield f"  ends       {scan['ends']}"
    yield f"  requests   {_price(scan['requests'])}"
    cache = scan.get("actual") or scan.get("cache") or {}
    if "age" in cache:
        yield f"  cache      {cache['cached']} of {cache['keys']} keys, oldest {cache['age']:.0f} s"
    if "actual" in scan:
        yield f"  actual     {_account(scan['actual'])}"


def _account(actual: Mapping[str, Any]) -> str:
    """What a scan really did: its counts in the order in which they are kept, then why it ended."""
    counts = [f"{actual[name]} {name}" for name in actual if name not in ("cached", "age", "waited", "ended")]
    waited = [f"{actual['waited']:.1f} s waited"] if "waited" in actual else []
    return f"{', '.join(counts + waited)}; {actual['ended']}"


def _bounds(requests: Mapping[str, Any]) -> str:
    least, most = requests["at_least"], requests["at_most"]
    words = f"at least {least}" if most is None else f"{least}" if least == most else f"{least} to {most}"
    return f"{words} request{'' if (least if most is None else most) == 1 else 's'}"


def _listed(label: str, items: Sequence[str]) -> Iterator[str]:
    for i, item in enumerate(items):
        yield f"  {label if i == 0 else '':<10} {item}"


def _carrier(predicate: dict[str, Any]) -> str:
    """By which parameter a condition is sent, where its own text does not say that."""
    named = " and ".join(p for p in predicate["parameters"] if not re.search(rf"\b{p}\b", predicate["sql"]))
    more = "superset" if predicate["match"] == "superset" else ""
    told = ", ".join(t for t in (f"as {named}" if named else "", more) if t)
    return f" ({told})" if told else ""


def _short(sql: str) -> str:
    return sql if len(sql) <= _WIDTH else sql[: _WIDTH - 3] + "..."


def _values(rows: list[list[str]]) -> str:
    shown = [row[0] if len(row) == 1 else f"({', '.join(row)})" for row in rows[:5]]
    more = len(rows) - len(shown)
    listed = ", ".join(shown) + (f", ... ({more} more)" if more else "")
    return listed if len(rows) == 1 else f"any of {listed}"


def _price(requests: dict[str, Any]) -> str:
    """How many requests a scan sends, in words."""
    count, kind = requests["count"], requests["kind"]
    if count == 0:
        return "none"
    how_many = {"exact": "", "at_most": "at most ", "per_key": ""}[kind] + str(count)
    per = f" per distinct {' and '.join(requests['per'])}" if requests["per"] else ""
    if requests["instead"]:
        return f"{how_many}{per}, or the pages of {requests['instead']} while these are fewer"
    if requests["of"] == "requests":
        return f"{'exactly ' if kind == 'exact' else ''}{how_many}{per}"
    page = f"1 per page of {requests['page']}" if requests["page"] else "1 per page"
    single = kind == "exact" and count == 1
    if single:
        return f"{page}, from both ends of a long list" if requests["both_ends"] else page
    return f"{page}, {how_many} list{'s' if count > 1 else ''}{per}"
