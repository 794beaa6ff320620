"""Lists that are read by counting: by the number of rows before a page, or by the number of the page.

Pages of such a list shift when an object comes or goes while it is read, so that a row may be read twice or not at
all. With a total that can be noticed: a pass over the pages is whole when every page names the same total and the
different rows add up to it. Otherwise, where rows have a key, the list is read again; a row that was read before
counts once. Without a total nothing can be proved: a row that moves to an earlier page in time is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

from msgspec import UNSET

from provider.errors import BindError, DataError
from provider.rest.pagination.envelope import Chain, Page
from provider.rest.pagination.keys import ReadKeys
from provider.rest.pagination.opening import asked_size
from provider.rest.pagination.protocol import AHEAD, COMPLETE, Step
from provider.rest.request import Call

if TYPE_CHECKING:
    from provider.catalog.paging import CountedPages

#: How often a list is read that changes while it is read.
_PASSES = 3
#: Digits of a total; more are no number of rows, and Python reads numbers of thousands of digits no more.
_DIGITS = 100
#: How many pages of rows without a key may be like an earlier one, where nothing but the end of the list explains it.
_ALIKE = 8


@dataclass(slots=True)
class _Doubt:
    """The pages of one reading that have the rows of an earlier page.

    With keys that is a mistake: the API does not listen to where a page is to begin. Without, the rows may be alike;
    such pages are held back until the list ends as only that of an API can that listens.
    """

    rule: CountedPages
    marks: set[int] = field(default_factory=set)
    held: list[Page] = field(default_factory=list)

    def step(self, page: Page, fresh: list[int], *calls: Call) -> Step:
        """What follows from a page that is not the last one.

        Raises:
            DataError: an earlier page had the same keys.
        """
        if page.count == 0 or page.mark not in self.marks:
            self.marks.add(page.mark)
            return page.only(fresh, *calls)
        if page.keys is not None:
            raise self.error(page)
        self.held.append(page)
        return replace(page.only([], *calls), repeated=0)

    def settled(self, page: Page, fresh: list[int]) -> Step:
        """The end of the list, with what was held back."""
        others = [p for p in self.held if p is not page]
        return page.with_rows_of(others, ended=COMPLETE) if self.held else page.only(fresh, ended=COMPLETE)

    def error(self, page: Page) -> DataError:
        """The API does not listen."""
        return page.error(
            f"the page at {self.rule.param}={_position(self.rule, page.call)} has the same rows as an earlier one",
            "The API seems to take no notice of the parameter; reading on would never end.",
            f"Correct {self.rule.param} in the manifest's pagination.",
        )


def counted(rule: CountedPages, call: Call) -> Chain:
    """The pages of a list: with a total all that follow the first at once, in any order; else one after the other."""
    return _by_total(rule, call, _start(rule, call)) if rule.ends == "total" else _one_by_one(rule, call)


def _one_by_one(rule: CountedPages, call: Call) -> Chain:
    keys, doubt = ReadKeys(), _Doubt(rule)
    position, size = _start(rule, call), asked_size(rule, call)
    step = Step((_at(rule, call, position),))
    while True:
        page = yield step
        fresh, _ = keys.enter(page, 0)
        if page.count == 0 or (rule.ends == "short_page" and size is not None and page.count < size):
            yield doubt.settled(page, fresh)
            return
        position += page.count if rule.kind == "offset" else 1
        step = doubt.step(page, fresh, _at(rule, call, position))
        if len(doubt.held) > _ALIKE:
            raise doubt.error(page)


def _by_total(rule: CountedPages, call: Call, start: int) -> Chain:
    keys = ReadKeys()
    step = Step((_at(rule, call, start),))
    for reading in range(_PASSES):
        page = yield step
        first, last, doubt = page, page, _Doubt(rule)
        totals, found, waiting, gap = {_totals(rule, page)}, 0, 0, False
        calls = _following(rule, call, start, page)
        while True:
            last = max(last, page, key=lambda p: _position(rule, p.call))
            totals.add(_totals(rule, page))
            fresh, distinct = keys.enter(page, reading)
            found += distinct
            if page.count == 0 and page is not first:
                calls, gap = iter(()), True  # nothing is behind an empty page, whatever the total says
            more = tuple(islice(calls, AHEAD - waiting))
            waiting += len(more)
            if waiting == 0:
                step = doubt.step(page, fresh)
                break
            page = yield doubt.step(page, fresh, *more)
            waiting -= 1
        rows, _ = _totals(rule, first)
        if len(totals) == 1 and not gap and (rows is None or found >= rows - _skipped(rule, call, start, first)):
            if last in doubt.held:
                behind = _position(rule, last.call) + (last.count if rule.kind == "offset" else 1)
                page = yield replace(step, calls=(_at(rule, call, behind),))
                fresh = []
                if page.count:
                    raise doubt.error(last)
            yield doubt.settled(page, fresh)
            return
        if page.keys is None:
            break
        step = replace(step, calls=(_at(rule, call, start),))
    told = " and ".join(sorted(str(n) for n, _ in totals if n is not None)) or "another number of"
    raise page.error(
        f"the API tells of {told} rows, and its pages have {found}",
        "The list changes while it is read, or its pages are not cut as the manifest says."
        + (" The resource has no key by which rows could be read again." if page.keys is None else ""),
        "Run the statement again. If it fails again, correct the pagination's total and size in the manifest.",
    )


def _start(rule: CountedPages, call: Call) -> int:
    """Where the first call begins."""
    given = call.value(rule.param, rule.location)
    if not str(given).isdecimal():
        raise BindError(f'"{given}" cannot be the {rule.param} of {call.template}', reason="It counts, from 0 on.")
    return _position(rule, call)


def _position(rule: CountedPages, call: Call) -> int:
    """Where a call begins."""
    return int(str(call.value(rule.param, rule.location)))


def _at(rule: CountedPages, call: Call, position: int) -> Call:
    return call.with_value(rule.param, position, rule.location)


def _following(rule: CountedPages, call: Call, start: int, page: Page) -> Iterator[Call]:
    """The calls for what a total tells to be behind the first page."""
    rows, pages = _totals(rule, page)
    positions = range(0)
    if rule.kind == "offset":
        if rows is not None and page.count:
            positions = range(start + page.count, rows, page.count)
    elif pages is not None:
        positions = range(start + 1, rule.first + pages)
    elif rows is not None and page.count:
        left = rows - _skipped(rule, call, start, page) - page.count
        positions = range(start + 1, start + 1 + max(0, ceil(left / page.count)))
    return (_at(rule, call, position) for position in positions)


def _skipped(rule: CountedPages, call: Call, start: int, page: Page) -> int:
    """The rows in front of the first page that was asked for."""
    if rule.kind == "offset":
        return start
    return (start - rule.first) * (asked_size(rule, call) or page.count)


def _totals(rule: CountedPages, page: Page) -> tuple[int | None, int | None]:
    """The number of rows and the number of pages that a page tells of; None where the manifest names no place."""
    rows = number(page, rule.total, rule.total_header)
    return rows, number(page, rule.pages, rule.pages_header) if rule.kind == "page_number" else None


def number(page: Page, path: str | None, header: str | None) -> int | None:
    if path is None and header is None:
        return None
    reason = "It says how many there are; without it the list may be cut short."
    value = page.values[path] if path is not None else page.answer.header(header or "")
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON knows numbers only, and an API may write 3.0
    if value is UNSET and path is not None:
        raise page.absent(path, reason)
    if isinstance(value, bool) or not str(value).isdecimal() or len(str(value)) > _DIGITS:
        said = repr(value)
        said = said if len(said) <= _DIGITS else f"{said[:_DIGITS]}…"
        raise page.error(f"{path or f'the header {header}'} is {said}, where a number is declared", reason)
    return int(str(value))
