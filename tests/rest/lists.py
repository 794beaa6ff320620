"""Lists of an API that is no server: pure functions from a call to an answer, one a kind of paging."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from provider.catalog.catalog import Method, Parameter
from provider.catalog.manifest import SortedBy
from provider.catalog.paging import Pages as Rule
from provider.catalog.types import FieldType
from provider.rest.pagination import Answer, Listing, Step, pages
from provider.rest.request import Call

BASE = "https://api.example/v1"
Row = dict[str, Any]
Serve = Callable[[Call], Answer]
_RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


def rows(count: int, start: int = 0) -> list[Row]:
    return [{"id": f"r{n}", "n": n} for n in range(start, start + count)]


def method(rule: Row | None, *, rows: tuple[str, ...] = ("data",), reversible: bool = False) -> Method:
    order = Parameter("order", "order", "query", FieldType("string"), False)
    return Method(
        name="list_rows",
        resource="p.s.rows",
        verb="SELECT",
        http_method="POST" if rule and rule.get("in") == "body" else "GET",
        path="/rows",
        parameters=(order,),
        returns=(),
        rows=rows,
        pages=_RULE.validate_python(rule) if rule else None,
        sorted_by=SortedBy(field="n", param="order", default="asc", reversible=True) if reversible else None,
        is_list=True,
    )


def call(of: Method, query: Mapping[str, str]) -> Call:
    body = b"{}" if of.http_method == "POST" else None
    return Call(of.http_method, of.path, tuple(query.items()), body, of.http)


def listing(
    rule: Row | None, query: Mapping[str, str] | None = None, *, key: tuple[str, ...] = ("id",), alone: bool = False
) -> Listing:
    found = method(rule, reversible=alone)
    return Listing(found, call(found, query or {}), key, BASE, alone)


def given(asked: Call, name: str) -> Any:
    """A parameter of a call, wherever it stands."""
    return asked.value(name, "query" if asked.http_method == "GET" else "body")


def answer(asked: Call, body: Any, **headers: str) -> Answer:
    return Answer(asked, json.dumps(body).encode(), tuple((k.replace("_", "-"), v) for k, v in headers.items()))


@dataclass
class Read:
    """What came of reading a list."""

    rows: list[Row] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    #: Calls that each step had.
    steps: list[int] = field(default_factory=list)
    repeated: int = 0
    ended: list[str] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows]


def steps_of(of: Listing, serve: Serve, choices: Iterable[int] = (), most: int = 2_000) -> Iterator[Step]:
    """Drive a list's protocol to its end; `choices` say which of the open calls is answered next."""
    protocol, turn = pages(of), iter(choices)
    open_: list[Call] = []
    sent = 0
    step = next(protocol)
    while True:
        open_ += step.calls
        sent += len(step.calls)
        yield step
        if step.ended:
            break
        assert open_, "nothing is open, and the list has not ended"
        assert sent < most, "the list does not end"
        step = protocol.send(serve(open_.pop(next(turn, 0) % len(open_))))
    assert list(protocol) == [], "the list went on behind its end"


def read(of: Listing, serve: Serve, choices: Iterable[int] = ()) -> Read:
    """A whole list."""
    done = Read()
    for step in steps_of(of, serve, choices):
        done.steps.append(len(step.calls))
        done.calls += step.calls
        done.repeated += step.repeated
        if step.body is not None:
            found: Any = json.loads(step.body)
            for key in of.method.rows:
                found = found[key]
            done.rows += found
        if step.ended:
            done.ended.append(step.ended)
    return done


# -- kinds --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """How the manifest says it, and how an API of that kind answers for some rows.

    `sizes` are the rows of pages where the API may choose them; elsewhere the first is the largest page.
    """

    rule: Callable[[int], Row]
    serve: Callable[[Sequence[Row], Sequence[int]], Serve]
    chained: bool = False


def _sized(rule: Row) -> Callable[[int], Row]:
    return lambda largest: {**rule, "size": {"param": "limit", "max": largest}}


def _part(found: Sequence[Row], sizes: Sequence[int], asked: Call, start: int) -> tuple[list[Row], int]:
    """The rows behind `start`, as many as the API likes, and where the next page begins."""
    size = min(sizes[start % len(sizes)] if start < len(found) else 0, int(given(asked, "limit")))
    return list(found[start : start + size]), start + size


def _cursor(found: Sequence[Row], sizes: Sequence[int]) -> Serve:
    """Cursors are positions, and an empty page in the middle has another cursor than the page behind it."""

    def serve(asked: Call) -> Answer:
        start, turn = map(int, str(given(asked, "after") or "0.1").split("."))
        part, end = _part(found, sizes, asked, start)
        if turn and end == start and start < len(found):
            return answer(asked, {"data": [], "next": f"{start}.0", "more": True})
        if end == start and start < len(found):
            part, end = list(found[start : start + 1]), start + 1
        more = end < len(found)
        return answer(asked, {"data": part, "next": f"{end}.1" if more else None, "more": more})

    return serve


def _bare_cursor(found: Sequence[Row], sizes: Sequence[int]) -> Serve:
    def serve(asked: Call) -> Answer:
        body = json.loads(_cursor(found, sizes)(asked).body)
        return answer(asked, {"data": body["data"], **({"next": body["next"]} if body["more"] else {})})

    return serve


def _header_cursor(found: Sequence[Row], sizes: Sequence[int]) -> Serve:
    def serve(asked: Call) -> Answer:
        body = json.loads(_cursor(found, sizes)(asked).body)
        return answer(asked, {"data": body["data"]}, **({"X_Next": body["next"]} if body["more"] else {}))

    return serve


def _keyset(found: Sequence[Row], sizes: Sequence[int]) -> Serve:
    def serve(asked: Call) -> Answer:
        after = given(asked, "after")
        start = 0 if after is None else [str(r["n"]) for r in found].index(str(after)) + 1
        size = int(given(asked, "limit"))
        return answer(asked, {"data": found[start : start + size], "more": start + size < len(found)})

    return serve


def _json_link(found: Sequence[Row], sizes: Sequence[int]) -> Serve:
    def serve(asked: Call) -> Answer:
        start = int(asked.target.partition("from=")[2]) if asked.link else 0
        end = start + max(1, sizes[start % len(sizes)])
        links = (f"{BASE}/rows?from={end}", f"?from={end}", f"/v1/rows?from={end}")
        following = links[end % 3] if end < len(found) else ("" if end % 2 else None)
        return answer(asked, {"data": found[start:end], "next": following})

    return serve


def _header_link(found: Sequence[Row], sizes: Sequence[int]) -> Serve:
    def serve(asked: Call) -> Answer:
        body = json.loads(_json_link(found, sizes)(asked).body)
        link = f'<{body["next"]}>; title="a, b; c"; rel="last next"' if body["next"] else '</v1/rows>; rel="first"'
        return answer(asked, {"data": body["data"]}, Link=f'</v1/rows>; rel="prev", {link}')

    return serve


def counting(found: Callable[[], Sequence[Row]], first: int | None, **named: Any) -> Serve:
    """Offsets where `first` is None, page numbers from `first` on otherwise; totals for the names that are given."""

    def serve(asked: Call) -> Answer:
        size, at, everything = int(given(asked, "limit")), int(given(asked, "at")), found()
        start = at if first is None else (at - first) * size
        body = {"data": list(everything[start : start + size])}
        if "total" in named:
            body["total"] = len(everything)  # type: ignore[assignment]
        if "pages" in named:
            body["pages"] = -(-len(everything) // size)  # type: ignore[assignment]
        headers = {"X_Total": str(len(everything))} if "total_header" in named else {}
        return answer(asked, body, **headers)

    return serve


def _counted(kind: str, ends: str, first: int | None, **named: str) -> Kind:
    rule: Row = {"kind": kind, "param": "at", "ends": ends, **named}
    if first is not None:
        rule["first"] = first
    return Kind(_sized(rule), lambda found, _: counting(lambda: found, first, **named))


CURSOR: Row = {"kind": "cursor", "param": "after", "next": "$.next", "more": "$.more"}
KINDS: dict[str, Kind] = {
    "cursor": Kind(_sized(CURSOR), _cursor, chained=True),
    "cursor in the POST body": Kind(_sized({**CURSOR, "in": "body"}), _cursor),
    "cursor alone": Kind(
        _sized({"kind": "cursor", "param": "after", "next": "$.next", "omitted": True}), _bare_cursor, chained=True
    ),
    "header_cursor": Kind(
        _sized({"kind": "header_cursor", "param": "after", "header": "X-Next"}), _header_cursor, chained=True
    ),
    "keyset to a short page": Kind(
        _sized({"kind": "keyset", "param": "after", "field": "n", "ends": "short_page"}), _keyset, chained=True
    ),
    "keyset to an empty page": Kind(
        _sized({"kind": "keyset", "param": "after", "field": "n", "ends": "empty_page", "in": "body"}), _keyset
    ),
    "keyset with more": Kind(
        _sized({"kind": "keyset", "param": "after", "field": "n", "ends": "more", "more": "$.more"}), _keyset
    ),
    "offset to a short page": _counted("offset", "short_page", None),
    "offset to an empty page": _counted("offset", "empty_page", None),
    "offset with a total": _counted("offset", "total", None, total="$.total"),
    "offset in the POST body": Kind(
        _sized({"kind": "offset", "param": "at", "ends": "total", "total": "$.total", "in": "body"}),
        lambda found, _: counting(lambda: found, None, total="$.total"),
    ),
    "page_number to a short page": _counted("page_number", "short_page", 1),
    "page_number to an empty page, from 0": _counted("page_number", "empty_page", 0),
    "page_number with total rows": _counted("page_number", "total", 1, total="$.total"),
    "page_number with total pages, from 0": _counted("page_number", "total", 0, pages="$.pages"),
    "page_number with total rows in a header": _counted("page_number", "total", 1, total_header="X-Total"),
    "json_link": Kind(lambda _: {"kind": "json_link", "next": "$.next"}, _json_link),
    "header_link": Kind(lambda _: {"kind": "header_link"}, _header_link),
    "single": Kind(
        lambda _: {"kind": "single", "total": "$.total"},
        lambda found, _: lambda asked: answer(asked, {"data": list(found), "total": len(found)}),
    ),
}


def windows(found: Sequence[Row], inclusive: bool) -> Serve:
    """Rows by n, between two bounds."""

    def serve(asked: Call) -> Answer:
        begin, end = int(given(asked, "begin")), int(given(asked, "end"))
        return answer(asked, {"data": [r for r in found if begin <= r["n"] < end + inclusive]})

    return serve


def both_directions(found: Sequence[Row], sizes: Sequence[int]) -> Serve:
    """A list by a keyset of its ids, in either order."""

    def serve(asked: Call) -> Answer:
        ordered = found if given(asked, "order") in (None, "asc") else found[::-1]
        after = given(asked, "after")
        start = 0 if after is None else [r["id"] for r in ordered].index(after) + 1
        size = min(int(given(asked, "limit")), max(1, sizes[start % len(sizes)]))
        part = ordered[start : start + size]
        return answer(
            asked, {"data": part, "next": part[-1]["id"] if part else None, "more": start + size < len(found)}
        )

    return serve
