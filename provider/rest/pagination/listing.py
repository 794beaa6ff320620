"""The protocol of one list: how its pages are found, what is read of them, and where reading is cut off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provider.catalog.catalog import Method, Parameter
from provider.rest.pagination.both_ends import from_both_ends
from provider.rest.pagination.chains import chained
from provider.rest.pagination.counts import counted, number
from provider.rest.pagination.envelope import Chain, Reading
from provider.rest.pagination.inclusive import without_repeat
from provider.rest.pagination.opening import opened
from provider.rest.pagination.protocol import COMPLETE, CUT_OFF, Answer, Pages, Step
from provider.rest.pagination.windows import windowed
from provider.rest.request import Call

if TYPE_CHECKING:  # the models bring pydantic, which is slow to import
    from provider.catalog.paging import Pages as Rule
    from provider.catalog.paging import SinglePage

#: Pages after which a list is cut off where the manifest names no `max_pages`: an API that always has one more page
#: would be read until the disk is full.
MOST_PAGES = 100_000
#: The kinds of pages in which each page names the one that follows it.
_CHAINED = ("cursor", "header_cursor", "keyset", "json_link", "header_link")


@dataclass(frozen=True, slots=True)
class Listing:
    """One list, or one object, that a method answers.

    Attributes:
        call: the first call, as the statement makes it.
        key: the fields that tell the rows of the list apart; () when unknown.
        base_url: the provider's; links to further pages must stay at its origin.
        alone: whether nothing else is read meanwhile, so that two requests at once may serve this list.
    """

    method: Method
    call: Call
    key: tuple[str, ...] = ()
    base_url: str = ""
    alone: bool = False

    @property
    def backwards(self) -> Call | None:
        """The call for the list in the opposite order, where it may be read from both ends at once."""
        parameter = turned_by(self.method, self.key)
        by = self.method.sorted_by
        if not self.alone or parameter is None or by is None:
            return None
        order = self.call.value(parameter.wire, parameter.location) or by.default
        return self.call.with_value(parameter.wire, "asc" if order == "desc" else "desc", parameter.location)


def turned_by(method: Method, key: tuple[str, ...]) -> Parameter | None:
    """The parameter by which a method answers its list the other way round, row by row, None where nothing does.

    Such a list may be read from both ends at once, if its rows have a key and each page names the one that follows.
    """
    by, rule = method.sorted_by, method.pages
    if not key or by is None or not by.reversible or rule is None or rule.kind not in _CHAINED:
        return None
    parameter = method.parameter(by.param or "")
    return parameter if parameter is not None and parameter.location != "path" else None


def pages(listing: Listing) -> Pages:
    """All pages of a list.

    Raises:
        DataError: the API's paging makes no sense: more is promised and not named, a page comes twice, the body
            lacks what the manifest declares, a link leads to another origin. A list never ends by accident.
        BindError: a parameter of paging has a value that it cannot have.
    """
    rule = listing.method.pages
    if rule is None:
        answer = yield Step((listing.call,))
        yield Step(body=answer.body, ended=COMPLETE)
        return
    chain, reading = _chain(rule, listing), _reading(rule, listing)
    asked = _Asked(rule.max_pages or MOST_PAGES)
    step = asked.within(next(chain))
    while not step.ended:
        answer = yield step
        step = asked.after_answer(chain.send(reading.page(answer)))
        # Where keys are read anyway, rows that come again are known by them.
        if (rule.kind == "cursor" or rule.kind == "keyset") and len(listing.key) == 1 and not reading.key:
            step = without_repeat(rule, listing.method, listing.key, answer, step)
    yield step


def is_whole(listing: Listing, answer: Answer) -> bool:
    """Whether the answer to a list's first call, with what paging adds to it, is the whole list; errors as `pages`."""
    protocol = pages(listing)
    next(protocol)
    return protocol.send(answer).ended == COMPLETE


def _chain(rule: Rule, listing: Listing) -> Chain:
    call = opened(rule, listing.call)
    if rule.kind == "single":
        return _single(rule, call)
    if rule.kind == "time_window":
        return windowed(rule, call)
    if rule.kind == "offset" or rule.kind == "page_number":
        return counted(rule, call)
    ahead = chained(rule, call, listing.base_url)
    backwards = listing.backwards
    if backwards is None:
        return ahead
    return from_both_ends(ahead, chained(rule, opened(rule, backwards), listing.base_url))


def _reading(rule: Rule, listing: Listing) -> Reading:
    """What a kind looks at in each page."""
    counts = rule.kind in ("offset", "page_number", "time_window")
    return Reading(
        rows=listing.method.rows,
        omitted=listing.method.rows_omitted,
        paths=rule.paths,
        counts=counts or (rule.kind == "single" and (rule.total or rule.total_header) is not None),
        key=listing.key if counts or listing.backwards is not None else (),
        last=rule.field if rule.kind == "keyset" else "",
    )


def _single(rule: SinglePage, call: Call) -> Chain:
    page = yield Step((call,))
    total = number(page, rule.total, rule.total_header)
    if total is not None and total != page.count:
        raise page.error(
            f"the API tells of {total} rows, and its answer has {page.count}",
            "The manifest says that the list comes whole, in a single page.",
            "Give the method a pagination that goes on.",
        )
    yield page.step(ended=COMPLETE)


@dataclass(slots=True)
class _Asked:
    """The pages of a list that were asked for, of which there are no more than `most`."""

    most: int
    started: int = 0
    waiting: int = 0

    def within(self, step: Step) -> Step:
        """A step without the calls that would be too many; the list is cut off where nothing is left to wait for."""
        calls = step.calls[: self.most - self.started]
        self.started += len(calls)
        self.waiting += len(calls)
        ended = step.ended or ("" if self.waiting else CUT_OFF)
        if len(calls) == len(step.calls) and ended == step.ended:
            return step
        return replace(step, calls=calls, ended=ended)

    def after_answer(self, step: Step) -> Step:
        """The same for what follows from an answer."""
        self.waiting -= 1
        return self.within(step)
