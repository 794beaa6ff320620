"""Lists whose pages come one after the other: each says, by a cursor, a link or its last record, which is next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from provider.rest.pagination.envelope import Chain, Page, Scalar
from provider.rest.pagination.links import follow, link_target
from provider.rest.pagination.opening import asked_size
from provider.rest.pagination.protocol import COMPLETE, Step
from provider.rest.request import Call

if TYPE_CHECKING:
    from provider.catalog.paging import ChainedPages, CursorPages, KeysetPages

_FOLLOWS = "It says whether more pages follow; without it the list may be cut short."


def chained(rule: ChainedPages, call: Call, base_url: str) -> Chain:
    """The pages of a list, in order; links must stay at the origin of `base_url`."""
    asked = {call}
    step = Step((call,))
    while True:
        page = yield step
        following = _next(rule, page, base_url)
        if following is None:
            yield page.step(ended=COMPLETE)
            return
        if following in asked:
            raise page.error(
                f"the next page is said to be {following.target}, which was read already",
                "The API's pages go in a circle; reading on would never end.",
            )
        asked.add(following)
        step = page.step(following)


def _next(rule: ChainedPages, page: Page, base_url: str) -> Call | None:
    """The call for the next page; None behind the last one."""
    if rule.kind == "json_link":
        link = _named(page, rule.next, rule.omitted)
        return None if link is None else follow(page, str(link), base_url)
    if rule.kind == "header_link":
        target = link_target(page.answer.header("link") or "", rule.rel)
        return None if target is None else follow(page, target, base_url)
    if rule.kind == "header_cursor":
        value: Scalar = page.answer.header(rule.header) or None
    else:
        value = _cursor(rule, page) if rule.kind == "cursor" else _last_record(rule, page)
    return None if value is None else page.call.with_value(rule.param, value, rule.location)


def _named(page: Page, path: str, omitted: bool) -> Scalar:
    """The value that leads on; null, '' and false mean that nothing follows."""
    value = page.values[path]
    if value is UNSET:
        if omitted:
            return None
        raise page.absent(path, _FOLLOWS)
    if value is True:
        raise page.error(f"{path} is true, where the next page is to be named")
    return None if value is None or value == "" or value is False else value


def _cursor(rule: CursorPages, page: Page) -> Scalar:
    if rule.more is None:
        return _named(page, rule.next, rule.omitted)
    if not _more(page, rule.more):
        return None
    value = _named(page, rule.next, omitted=True)
    if value is None:
        raise page.error(f"{rule.more} is true, but {rule.next} has no cursor", _FOLLOWS)
    return value


def _last_record(rule: KeysetPages, page: Page) -> Scalar:
    if rule.more is not None and rule.ends == "more":
        ended = not _more(page, rule.more)
    else:
        size = asked_size(rule, page.call)
        ended = page.count == 0 or (rule.ends == "short_page" and size is not None and page.count < size)
    if ended:
        return None
    if page.last is None or page.last is UNSET:
        what = f"its last row has no {rule.field}" if page.count else "it has no rows"
        raise page.error(f"more follows the page, and {what}", "The next page begins behind the last row.")
    return page.last


def _more(page: Page, path: str) -> bool:
    value = page.values[path]
    if value is UNSET:
        raise page.absent(path, _FOLLOWS)
    if not isinstance(value, bool):
        raise page.error(f"{path} is neither true nor false", _FOLLOWS)
    return value
