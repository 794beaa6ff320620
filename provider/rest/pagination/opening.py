"""The first call of a list: where it begins, and how many rows a page is asked to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider.rest.request import Call

if TYPE_CHECKING:
    from provider.catalog.catalog import Method
    from provider.catalog.paging import Pages


def first_call(method: Method, call: Call) -> Call:
    """A call as it is sent first: what the statement gives, and what paging adds to it."""
    return call if method.pages is None else opened(method.pages, call)


def opened(rule: Pages, call: Call) -> Call:
    """The call with the largest page size and the beginning of the list, unless the statement gives its own."""
    if rule.size is not None and call.value(rule.size.param, rule.location) is None:
        call = call.with_value(rule.size.param, rule.size.max, rule.location)
    if (rule.kind == "offset" or rule.kind == "page_number") and call.value(rule.param, rule.location) is None:
        call = call.with_value(rule.param, 0 if rule.kind == "offset" else rule.first, rule.location)
    return call


def asked_size(rule: Pages, call: Call) -> int | None:
    """The page size that a call asks for, None where it does not."""
    given = call.value(rule.size.param, rule.location) if rule.size is not None else None
    return int(str(given)) if given is not None and str(given).isdecimal() else None
