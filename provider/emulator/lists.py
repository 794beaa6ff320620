"""Lists of objects: which part of one a request asks for, and how it is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from provider.emulator import refusal
from provider.emulator.calls import Call, Reply
from provider.emulator.objects import FILE, MESSAGE, RUN, STEP, THREAD, Kind, as_v1, encode
from provider.emulator.service import Service
from provider.emulator.store import Window


def page(service: Service, call: Call) -> Reply:
    kind = call.operation.kind
    parent = ""
    if kind is STEP:
        parent = service.find(call.ids, RUN).id
    elif kind in (MESSAGE, RUN):
        parent = service.find(call.ids, THREAD).id
    limits = (10_000, 10_000) if kind is FILE else (20, 100)
    label = call.query.get({MESSAGE: "run_id", FILE: "purpose"}.get(kind, ""))
    after, before = (_cursor(service, call, name, kind, parent) for name in ("after", "before"))
    window = Window(limit_of(call.query, *limits), ascending(call.query), after, before, label)
    rows, more = service.store.page(kind, parent, window)
    if call.version == 2:
        texts = [body for _, body, _ in rows]
    else:
        texts = [encode(as_v1(json.loads(body), json.loads(state))) for _, body, state in rows]
    return Reply(envelope([identifier for identifier, _, _ in rows], texts, more))


def _cursor(service: Service, call: Call, name: str, kind: Kind, parent: str) -> tuple[int, int] | None:
    """Where the object that a cursor names stands in its list."""
    if name not in call.query or (kind is FILE and name == "before"):  # files have no `before`
        return None
    return service.one(kind, call.query[name], parent).place


def limit_of(query: Mapping[str, str], default: int, highest: int) -> int:
    if "limit" not in query:
        return default
    if not re.fullmatch("-?[0-9]{1,18}", query["limit"]):
        raise refusal.invalid(
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            "limit",
            "invalid_type",
        )
    limit = int(query["limit"])
    if limit > highest:
        raise refusal.invalid(
            f"Invalid 'limit': integer above maximum value. Expected a value <= {highest}, but got {limit} instead.",
            "limit",
            "integer_above_max_value",
        )
    if limit < 1:
        raise refusal.invalid(
            f"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {limit} instead.",
            "limit",
            "integer_below_min_value",
        )
    return limit


def ascending(query: Mapping[str, str]) -> bool:
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise refusal.invalid(
            f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.", "order", "invalid_value"
        )
    return order == "asc"


def envelope(ids: list[str], texts: list[str], more: bool) -> str:
    """A list answer, from the ids of its objects and their JSON texts."""
    first, last = (f'"{ids[0]}"', f'"{ids[-1]}"') if ids else ("null", "null")
    rest = f'"first_id":{first},"last_id":{last},"has_more":{"true" if more else "false"}'
    return f'{{"object":"list","data":[{",".join(texts)}],{rest}}}'
