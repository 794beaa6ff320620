"""Paging as pure values: every row once, an end once, no circle, and an error for what makes no sense."""

from __future__ import annotations

import itertools
import json
import re
from contextlib import suppress
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st

from provider.errors import BindError, DataError
from provider.rest.pagination import COMPLETE, CUT_OFF, Answer, Listing, Step, pages
from provider.rest.pagination.links import link_target
from provider.rest.pagination.listing import MOST_PAGES
from provider.rest.request import Call
from tests.rest.lists import (
    BASE,
    CURSOR,
    KINDS,
    Row,
    answer,
    both_directions,
    call,
    counting,
    given,
    listing,
    method,
    read,
    rows,
    steps_of,
    windows,
)

few = settings(max_examples=25, deadline=None)
more = settings(max_examples=60, deadline=None)
SIZES = st.lists(st.integers(0, 5), min_size=1, max_size=7)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "next", "more", "total", "pages"]), inner)
    ),
)
CHOICES = st.lists(st.integers(0, 300), max_size=60)


def said(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value)


# -- every kind ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@few
@each(count=st.integers(0, 40), largest=st.integers(1, 9), sizes=SIZES, choices=CHOICES)
def test_every_row_comes_once_and_the_list_ends_once(
    kind: str, count: int, largest: int, sizes: list[int], choices: list[int]
) -> None:
    found = rows(count)
    done = read(listing(KINDS[kind].rule(largest)), KINDS[kind].serve(found, sizes), choices)
    assert sorted(done.ids) == sorted(r["id"] for r in found)
    assert done.ended == [COMPLETE]
    assert done.repeated == 0


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "single"])
@few
@each(most=st.integers(1, 6), count=st.integers(0, 40), choices=CHOICES)
def test_max_pages_cuts_a_list_off_and_says_so(kind: str, most: int, count: int, choices: list[int]) -> None:
    serve = KINDS[kind].serve(rows(count), [4])
    whole = read(listing(KINDS[kind].rule(4)), serve, choices)
    cut = read(listing(KINDS[kind].rule(4) | {"max_pages": most}), serve, choices)
    assert len(cut.calls) == min(most, len(whole.calls))
    assert cut.ended == [COMPLETE if len(whole.calls) <= most else CUT_OFF]
    assert set(cut.ids) <= set(whole.ids)
    assert len(set(cut.ids)) == len(cut.ids)


def test_a_list_without_end_is_cut_off() -> None:
    endless = ({"data": [{"id": str(n)}], "next": str(n)} for n in itertools.count())
    rule = {"kind": "cursor", "param": "after", "next": "$.next"}
    *_, last = steps_of(listing(rule), lambda asked: answer(asked, next(endless)), most=MOST_PAGES + 1)
    assert (last.ended, next(endless)["next"]) == (CUT_OFF, str(MOST_PAGES))


@pytest.mark.parametrize("kind", KINDS)
@few
@each(body=ANYTHING)
def test_an_answer_of_any_shape_ends_the_list_or_is_an_error(kind: str, body: Any) -> None:
    """The same answer to each call: were it not refused, reading would go round in a circle."""
    with suppress(DataError):
        for step in steps_of(listing(KINDS[kind].rule(4)), lambda asked: Answer(asked, json.dumps(body).encode())):
            assert len(step.calls) < 300


def test_what_is_not_paged_is_one_call() -> None:
    assert read(listing(None), lambda asked: answer(asked, {"data": rows(3)})).ids == ["r0", "r1", "r2"]


# -- how many calls, and when -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("cursor", [1, 1, 1, 0]),
        ("offset with a total", [1, 2, 0, 0]),
        ("page_number with total rows", [1, 2, 0, 0]),
        ("page_number with total pages, from 0", [1, 2, 0, 0]),
        ("page_number with total rows in a header", [1, 2, 0, 0]),
        ("page_number to a short page", [1, 1, 1, 0]),
        ("offset to an empty page", [1, 1, 1, 1, 0]),
    ],
)
def test_calls_that_are_known_start_at_once(kind: str, steps: list[int]) -> None:
    assert read(listing(KINDS[kind].rule(10)), KINDS[kind].serve(rows(25), [10])).steps == steps


def test_a_long_list_hands_its_calls_out_bit_by_bit() -> None:
    kind = KINDS["offset with a total"]
    done = read(listing(kind.rule(1)), kind.serve(rows(600), [1]))
    assert done.steps[:4] == [1, 256, 1, 1]
    assert len(done.calls) == 600


def test_a_server_that_gives_smaller_pages_than_asked_is_read_whole() -> None:
    def serve(asked: Call) -> Answer:
        at = int(given(asked, "at"))
        return answer(asked, {"data": rows(25)[at : at + 4], "total": 25})

    assert len(read(listing(KINDS["offset with a total"].rule(10)), serve).ids) == 25


@pytest.mark.parametrize("kind", ["offset with a total", "page_number with total rows", "page_number to a short page"])
def test_the_statement_may_say_where_to_begin(kind: str) -> None:
    place = {"at": "2" if kind.startswith("page") else "10"}
    done = read(listing(KINDS[kind].rule(10), place), KINDS[kind].serve(rows(25), [10]))
    assert done.ids == [f"r{n}" for n in range(10, 25)]


def test_where_to_begin_is_a_number() -> None:
    with pytest.raises(BindError, match='"-1" cannot be the at of GET /rows'):
        read(listing(KINDS["offset with a total"].rule(10), {"at": "-1"}), lambda asked: answer(asked, {}))


# -- windows ------------------------------------------------------------------------------------------

WINDOW: Row = {"kind": "time_window", "from": "begin", "to": "end"}


@more
@each(
    begin=st.integers(-20, 20),
    length=st.integers(0, 50),
    step=st.integers(1, 30),
    inclusive=st.booleans(),
    choices=CHOICES,
)
def test_windows_cover_a_range_once(begin: int, length: int, step: int, inclusive: bool, choices: list[int]) -> None:
    found, end = rows(120, start=-40), begin + length
    of = listing(WINDOW | {"step": step, "inclusive": inclusive}, {"begin": str(begin), "end": str(end)})
    done = read(of, windows(found, inclusive), choices)
    assert sorted(r["n"] for r in done.rows) == list(range(begin, end + inclusive))
    assert done.ended == [COMPLETE]
    assert done.repeated == 0
    assert len(done.calls) == max(1, -(-(length + inclusive) // step))


def test_a_row_on_the_border_of_two_windows_counts_once() -> None:
    of = listing(WINDOW | {"step": 10}, {"begin": "0", "end": "30"})
    done = read(of, windows(rows(100), inclusive=True))
    assert sorted(r["n"] for r in done.rows) == list(range(31))
    assert done.repeated == 2


def test_a_window_that_may_be_cut_is_an_error() -> None:
    of = listing(WINDOW | {"step": 10, "max_rows": 10}, {"begin": "0", "end": "30"})
    with pytest.raises(DataError) as error:
        read(of, windows(rows(100), inclusive=False))
    assert said(error) == (
        "GET /rows: the window begin=0 to end=10 has 10 rows\n"
        "  The API answers 10 at most, so that rows may be missing.\n"
        "  Make step in the manifest's pagination smaller."
    )


@pytest.mark.parametrize("bounds", [{"begin": "0"}, {"begin": "monday", "end": "5"}])
def test_a_window_needs_two_numbers(bounds: dict[str, str]) -> None:
    with pytest.raises(BindError, match=r"GET /rows needs (begin|end), a whole number"):
        read(listing(WINDOW | {"step": 10}, bounds), lambda asked: answer(asked, {}))


# -- both ends ----------------------------------------------------------------------------------------


@more
@each(count=st.integers(0, 120), largest=st.integers(1, 9), sizes=SIZES, choices=CHOICES)
def test_from_both_ends_every_row_comes_once(count: int, largest: int, sizes: list[int], choices: list[int]) -> None:
    found = rows(count)
    serve, rule = both_directions(found, sizes), KINDS["cursor"].rule(largest)
    done = read(listing(rule, alone=True), serve, choices)
    assert sorted(done.ids) == sorted(r["id"] for r in found)
    assert done.ended == [COMPLETE]


@more
@each(pages_=st.integers(1, 30), rest=st.integers(0, 9), choices=CHOICES)
def test_both_ends_ask_for_two_pages_more_at_most(pages_: int, rest: int, choices: list[int]) -> None:
    found = rows(pages_ * 10 - rest)
    serve, rule = both_directions(found, [10]), KINDS["cursor"].rule(10)
    one = read(listing(rule), serve)
    two = read(listing(rule, alone=True), serve, choices)
    assert len(two.calls) <= len(one.calls) + (2 if len(one.calls) > 3 else 0)


@more
@each(
    count=st.integers(0, 80),
    gone=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 79)), max_size=30),
    choices=CHOICES,
)
def test_both_ends_lose_no_row_though_others_go(count: int, gone: list[tuple[int, int]], choices: list[int]) -> None:
    """After so many answers a row is deleted; a cursor stays valid when its object is gone, as positions do."""
    there, answered = rows(count), [0]

    def serve(asked: Call) -> Answer:
        answered[0] += 1
        left = {r["n"] for r in there} - {n for after, n in gone if after <= answered[0]}
        ordered = sorted(left, reverse=given(asked, "order") == "desc")
        after = given(asked, "after")
        if after is not None:
            ordered = [n for n in ordered if (n < int(after) if given(asked, "order") == "desc" else n > int(after))]
        part = ordered[:4]
        body = {"data": [{"id": f"r{n}", "n": n} for n in part], "more": len(ordered) > 4}
        return answer(asked, body | {"next": str(part[-1]) if part else None})

    done = read(listing(KINDS["cursor"].rule(4), alone=True), serve, choices)
    assert len(set(done.ids)) == len(done.ids)
    stayed = {r["n"] for r in there} - {n for _, n in gone}
    assert stayed <= {r["n"] for r in done.rows}


def test_the_second_end_starts_after_eight_pages() -> None:
    done = read(listing(KINDS["cursor"].rule(10), alone=True), both_directions(rows(200), [10]))
    assert done.steps[:9] == [1] * 8 + [2]
    assert [given(c, "order") for c in done.calls[:10]] == [None] * 9 + ["desc"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_second_end_is_opposite_to_the_statement(order: str) -> None:
    done = read(listing(KINDS["cursor"].rule(10), {"order": order}, alone=True), both_directions(rows(200), [10]))
    assert {given(c, "order") for c in done.calls} == {"asc", "desc"}
    assert given(done.calls[0], "order") == order


@more
@each(count=st.integers(0, 60), choices=CHOICES)
def test_an_order_that_the_api_ignores_leaves_one_end(count: int, choices: list[int]) -> None:
    def serve(asked: Call) -> Answer:
        in_order = Call("GET", "/rows", tuple(q for q in asked.query if q[0] != "order"), None, "")
        return Answer(asked, both_directions(rows(count), [10])(in_order).body)

    done = read(listing(KINDS["cursor"].rule(10), alone=True), serve, choices)
    assert done.ids == [r["id"] for r in rows(count)]
    assert len(done.calls) <= max(1, -(-count // 10)) + 1


def test_directions_that_are_not_each_others_reverse_are_an_error() -> None:
    """Two rows of equal rank, in the same order both ways, where the ends meet."""
    forth = rows(150)
    back = forth[::-1]
    back[44:46] = back[45], back[44]

    def serve(asked: Call) -> Answer:
        found = back if given(asked, "order") == "desc" else forth
        after = given(asked, "after")
        start = 0 if after is None else [r["id"] for r in found].index(after) + 1
        part = found[start : start + 7]
        return answer(asked, {"data": part, "next": part[-1]["id"], "more": True})

    with pytest.raises(DataError) as error:
        read(listing(KINDS["cursor"].rule(7), alone=True), serve, repeat(0))
    assert said(error) == (
        "GET /rows: read from both ends, the list has rows of one end between rows of the other where they meet\n"
        "  The manifest says that one direction is the exact reverse of the other.\n"
        "  Leave out reversible in the method's sorted_by."
    )


@pytest.mark.parametrize("change", [{"key": ()}, {"alone": False}])
def test_without_a_key_or_beside_other_lists_there_is_one_end(change: dict[str, Any]) -> None:
    of = listing(KINDS["cursor"].rule(10), alone=True)
    of = Listing(of.method, of.call, change.get("key", of.key), BASE, change.get("alone", True))
    assert set(read(of, both_directions(rows(200), [10])).steps) == {1, 0}


# -- lists that change --------------------------------------------------------------------------------


@more
@each(
    count=st.integers(0, 30),
    coming=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 30)), max_size=6),
    going=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 29)), max_size=6),
    comes=st.booleans(),
    choices=CHOICES,
)
@pytest.mark.parametrize("kind", ["offset", "page_number"])
def test_a_list_with_a_total_that_changes_loses_no_row_in_silence(
    kind: str, count: int, coming: list[tuple[int, int]], going: list[tuple[int, int]], comes: bool, choices: list[int]
) -> None:
    """Objects come, or objects go: both at once can cancel out in a total, and nothing can be proved then."""
    answered = [0]

    def now() -> list[Row]:
        there = rows(count)
        if comes:
            for i, (after, at) in enumerate(coming):
                if after <= answered[0]:
                    there.insert(at, {"id": f"new{i}", "n": -1})
            return there
        gone = {n for after, n in going if after <= answered[0]}
        return [r for r in there if r["n"] not in gone]

    first = None if kind == "offset" else 1
    rule = {"kind": kind, "param": "at", "ends": "total", "total": "$.total", "size": {"param": "limit", "max": 4}}
    serve = counting(now, first, total="$.total")

    def counted(asked: Call) -> Answer:
        answered[0] += 1
        return serve(asked)

    try:
        done = read(listing(rule), counted, choices)
    except DataError:
        return
    assert len(set(done.ids)) == len(done.ids)
    stayed = {f"r{n}" for n in range(count)} - (set() if comes else {f"r{n}" for _, n in going})
    assert stayed <= set(done.ids)


def test_a_list_that_changed_once_is_read_again() -> None:
    answers = chain([rows(30)], repeat(rows(29, start=1)))
    kind = KINDS["offset with a total"]
    done = read(listing(kind.rule(10)), lambda asked: kind.serve(next(answers), [10])(asked))
    assert sorted(done.ids) == sorted(r["id"] for r in rows(30))
    assert len(done.calls) == 6
    assert done.repeated == 28


def test_a_list_without_a_key_is_not_read_again() -> None:
    kind = KINDS["offset with a total"]

    def serve(asked: Call) -> Answer:
        at = int(given(asked, "at"))
        return answer(asked, {"data": rows(30)[at : at + 10], "total": 31})

    with pytest.raises(DataError) as error:
        read(listing(kind.rule(10), key=()), serve)
    assert said(error) == (
        "GET /rows: the API tells of 31 rows, and its pages have 30\n"
        "  The list changes while it is read, or its pages are not cut as the manifest says."
        " The resource has no key by which rows could be read again.\n"
        "  Run the statement again. If it fails again, correct the pagination's total and size in the manifest."
    )


def test_a_total_without_end_is_an_error_and_not_a_million_calls() -> None:
    kind = KINDS["offset with a total"]

    def serve(asked: Call) -> Answer:
        at = int(given(asked, "at"))
        return answer(asked, {"data": rows(30)[at : at + 10], "total": 10**18})

    with pytest.raises(DataError, match=f"tells of {10**18} rows, and its pages have 30"):
        read(listing(kind.rule(10)), serve)


def test_an_inserted_row_repeats_one_that_is_left_out() -> None:
    answers = chain([rows(20)], repeat([{"id": "new", "n": -1}, *rows(20)]))
    kind = KINDS["offset to a short page"]
    done = read(listing(kind.rule(10)), lambda asked: kind.serve(next(answers), [10])(asked))
    assert done.ids == [r["id"] for r in rows(20)]
    assert done.repeated == 1


@pytest.mark.parametrize("key", [("id",), ()])
@pytest.mark.parametrize("kind", ["offset to an empty page", "page_number to a short page", "offset with a total"])
def test_an_offset_that_the_api_ignores_is_an_error(kind: str, key: tuple[str, ...]) -> None:
    def serve(asked: Call) -> Answer:
        return answer(asked, {"data": rows(10), "total": 25})

    with pytest.raises(DataError) as error:
        read(listing(KINDS[kind].rule(10), key=key), serve)
    assert re.fullmatch(
        r"GET /rows: the page at at=\d+ has the same rows as an earlier one\n"
        r"  The API seems to take no notice of the parameter; reading on would never end.\n"
        r"  Correct at in the manifest's pagination.",
        said(error),
    )


@pytest.mark.parametrize("count", [20, 24, 30])
@pytest.mark.parametrize(
    "kind",
    ["offset to an empty page", "offset to a short page", "page_number to a short page", "offset with a total"],
)
def test_pages_of_rows_without_a_key_may_be_alike(kind: str, count: int) -> None:
    alike = [{"id": "same", "n": 1}] * count
    done = read(listing(KINDS[kind].rule(10), key=()), KINDS[kind].serve(alike, [10]))
    assert done.ids == ["same"] * count
    assert done.repeated == 0


def test_rows_that_are_alike_are_not_handed_over_before_the_api_is_known_to_listen() -> None:
    handed: list[int] = []
    unheard = listing(KINDS["offset with a total"].rule(10), key=())
    steps = steps_of(unheard, lambda asked: answer(asked, {"data": rows(10), "total": 30}))
    with pytest.raises(DataError, match="has the same rows as an earlier one"):
        handed.extend(len(json.loads(step.body)["data"]) for step in steps if step.body)
    assert sum(handed) == 10


def test_a_single_page_with_fewer_rows_than_its_total_is_an_error() -> None:
    with pytest.raises(DataError) as error:
        read(listing(KINDS["single"].rule(1)), lambda asked: answer(asked, {"data": rows(20), "total": 33}))
    assert said(error) == (
        "GET /rows: the API tells of 33 rows, and its answer has 20\n"
        "  The manifest says that the list comes whole, in a single page.\n"
        "  Give the method a pagination that goes on."
    )


# -- answers that make no sense -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "body", "problem"),
    [
        (CURSOR, {"data": [], "nxt": 1}, "the answer has no $.more\n  It says whether more pages follow; without it "
         "the list may be cut short.\n  $ has: data, nxt"),
        (CURSOR, {"data": [], "more": 1}, "$.more is neither true nor false"),
        (CURSOR, {"data": [], "more": True}, "$.more is true, but $.next has no cursor"),
        (CURSOR, {"data": [], "more": True, "next": {"id": 1}},
         "the answer is no page of rows\n  It cannot be read: Expected"),
        (CURSOR, [], "the answer is no page of rows\n  It cannot be read: Expected `object`, got `array`"),
        (CURSOR | {"more": None}, {"data": []}, "the answer has no $.next\n"),
        (CURSOR | {"more": None, "next": "$.meta.next"}, {"data": [], "meta": {"following": "x"}},
         "the answer has no $.meta.next\n  It says whether more pages follow; without it the list may be cut short.\n"
         "  $.meta has: following"),
        (CURSOR | {"more": None, "next": "$.meta.next"}, {"data": [], "meta": None},
         "the answer has no $.meta.next\n  It says whether more pages follow; without it the list may be cut short.\n"
         "  $.meta has: a value of the type null"),
        (CURSOR | {"more": None}, {"data": [], "next": True}, "$.next is true, where the next page is to be named"),
        ({"kind": "json_link", "next": "$.next"}, {"data": []}, "the answer has no $.next"),
        ({"kind": "keyset", "param": "after", "field": "n", "ends": "more", "more": "$.more"},
         {"data": [{"id": "x"}], "more": True}, "more follows the page, and its last row has no n"),
        ({"kind": "keyset", "param": "after", "field": "n", "ends": "more", "more": "$.more"},
         {"data": [], "more": True}, "more follows the page, and it has no rows"),
        ({"kind": "offset", "param": "at", "ends": "total", "total": "$.total"}, {"data": [], "count": 3},
         "the answer has no $.total\n  It says how many there are; without it the list may be cut short.\n"
         "  $ has: data, count"),
        ({"kind": "offset", "param": "at", "ends": "total", "total": "$.total"}, {"data": [], "total": -1},
         "$.total is -1, where a number is declared"),
        ({"kind": "offset", "param": "at", "ends": "total", "total_header": "X-Total"}, {"data": []},
         "the header X-Total is None, where a number is declared"),
        ({"kind": "offset", "param": "at", "ends": "total", "total": "$.total"}, {"data": [], "total": "9" * 5000},
         f"$.total is '{'9' * 99}…, where a number is declared"),
        ({"kind": "offset", "param": "at", "ends": "empty_page"}, {"rows": []},
         "the answer has no $.data\n  The rows are declared there.\n  $ has: rows"),
    ],
)  # fmt: skip
def test_a_path_that_the_answer_does_not_have(rule: Row, body: Any, problem: str) -> None:
    with pytest.raises(DataError) as error:
        read(listing(rule), lambda asked: answer(asked, body))
    assert said(error).startswith(f"GET /rows: {problem}"), said(error)


@pytest.mark.parametrize("end", [None, "", False])
def test_null_and_nothing_end_a_list(end: Any) -> None:
    rule = {"kind": "cursor", "param": "after", "next": "$.next"}
    assert read(listing(rule), lambda asked: answer(asked, {"data": [], "next": end})).ended == [COMPLETE]


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (CURSOR, {"data": [], "next": "a", "more": True}),
        ({"kind": "json_link", "next": "$.next"}, {"data": [], "next": "/v1/rows?page=2"}),
        ({"kind": "json_link", "next": "$.next"}, {"data": [], "next": f"{BASE}/rows"}),
        ({"kind": "keyset", "param": "after", "field": "id", "ends": "empty_page"}, {"data": rows(3)}),
    ],
)
def test_a_circle_is_an_error(rule: Row, body: Any) -> None:
    with pytest.raises(DataError, match=r"(?s)which was read already.*go in a circle"):
        read(listing(rule), lambda asked: answer(asked, body))


def test_a_circle_of_several_pages_is_an_error() -> None:
    following = {None: "a", "a": "b", "b": "c", "c": "a"}
    with pytest.raises(DataError, match=r"the next page is said to be /rows.after=a, which was read already"):
        read(
            listing(CURSOR),
            lambda asked: answer(asked, {"data": [], "next": following[given(asked, "after")], "more": True}),
        )


# -- links --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/rows",
        "//evil.example/v1/rows",
        "http://api.example/v1/rows",
        "https://api.example:8443/v1/rows",
        "https://api.example@evil.example/",
        "https://user:secret@api.example/",
        "https:\\\\evil.example\\",
        "javascript:alert(1)",
        "https://api.example.evil.example/",
        "https://[::1/",
        "https://api.example:port/",
    ],
)
@pytest.mark.parametrize("kind", ["json_link", "header_link"])
def test_a_link_to_another_origin_stops_the_reading(kind: str, link: str) -> None:
    rule = {"kind": kind, **({"next": "$.next"} if kind == "json_link" else {})}
    asked: list[Call] = []

    def serve(one: Call) -> Answer:
        asked.append(one)
        return answer(one, {"data": [], "next": link}, Link=f'<{link}>; rel="next"')

    with pytest.raises(DataError, match=r"the next page is said to be at|is no URL"):
        read(listing(rule), serve)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("link", "goes_to"),
    [
        ("https://api.example/v2/other?a=1&b=%20", "https://api.example/v2/other?a=1&b=%20"),
        ("https://API.example:443/rows", "https://api.example/rows"),
        ("?page=2", "https://api.example/v1/rows?page=2"),
        ("/x", "https://api.example/x"),
        ("more?x=ü y#fragment", "https://api.example/v1/more?x=%C3%BC%20y"),
        ("https://api.example", "https://api.example/"),
    ],
)
def test_a_link_is_resolved_against_the_page(link: str, goes_to: str) -> None:
    protocol = pages(listing({"kind": "json_link", "next": "$.next"}))
    (first,) = next(protocol).calls
    (second,) = protocol.send(answer(first, {"data": [], "next": link})).calls
    assert second.url(BASE) == goes_to
    assert second.target == goes_to.removeprefix("https://api.example")


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ("", None),
        ("<b>; rel=next", "b"),
        ('<b>; rel="next"', "b"),
        ('<a>; rel="prev", <b>; rel="next"', "b"),
        ('<a>; rel="prev",<b>;rel="next last"', "b"),
        ('<b,c;d>; title="x, <y>; rel=\\"next\\""; REL=NEXT', "b,c;d"),
        ('<a>; title="<b>; rel=next"; rel="prev"', None),
        ('<a>; rel="prev"; rel="next"', None),
        ('<a>; rel="next"; anchor="#foo"', None),
        ("<a>; rel=nextish", None),
        ("<a>; rel", None),
        ("<a>, <b>; rel=next", "b"),
        (", ,<b> ; rel = next", "b"),
        ("<b>; title*=UTF-8''n%c3%a4chstes; rel=next", "b"),
        ("b; rel=next", None),
        ("<b; rel=next", None),
    ],
)
def test_the_link_header_is_read_as_rfc_8288_says(header: str, target: str | None) -> None:
    assert link_target(header, "next") == target


@each(st.text(max_size=40))
def test_any_link_header_is_read(header: str) -> None:
    link_target(header, "next")


# -- rows ---------------------------------------------------------------------------------------------


def test_rows_that_are_kept_are_kept_byte_for_byte() -> None:
    def serve(asked: Call) -> Answer:
        at = int(given(asked, "at"))
        rows = [b'{"id":"%d","v":1.50,"t":"\\u00e9"}' % n for n in range(at and at - 1, min(at + 2, 3))]
        return Answer(asked, b'{"total":3,"page":{"data":[%b]}}' % b",".join(rows))

    of = method({"kind": "offset", "param": "at", "ends": "empty_page"}, rows=("page", "data"))
    protocol = pages(Listing(of, call(of, {}), ("id",), BASE))
    step = next(protocol)
    bodies: list[Step] = []
    while not step.ended:
        step = protocol.send(serve(step.calls[0]))
        bodies.append(step)
    assert bodies[1].body == b'{"page":{"data":[{"id":"2","v":1.50,"t":"\\u00e9"}]}}'
    assert [b.repeated for b in bodies] == [0, 1, 0]


def test_rows_at_the_root_of_the_body_are_paged_too() -> None:
    of = method({"kind": "header_link"}, rows=())
    assert read(Listing(of, call(of, {}), ("id",), BASE), lambda asked: answer(asked, rows(3))).ids == [
        "r0",
        "r1",
        "r2",
    ]


def test_a_cursor_that_includes_its_row_repeats_none() -> None:
    rule = KINDS["cursor"].rule(4)

    def serve(asked: Call) -> Answer:
        behind = given(asked, rule["param"])
        start = 0 if behind is None else [r["id"] for r in rows(10)].index(behind)
        part = rows(10)[start : start + 4]
        return answer(asked, {"data": part, "next": part[-1]["id"], "more": start + 4 < 10})

    done = read(listing(rule), serve)
    assert (done.ids, done.repeated) == ([r["id"] for r in rows(10)], 2)
