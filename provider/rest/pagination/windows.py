"""Lists that are read by windows of a range, such as one request a day."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from provider.errors import BindError
from provider.rest.pagination.envelope import Chain
from provider.rest.pagination.keys import ReadKeys
from provider.rest.pagination.protocol import AHEAD, COMPLETE, Step
from provider.rest.request import Call

if TYPE_CHECKING:
    from provider.catalog.paging import WindowPages


def windowed(rule: WindowPages, call: Call) -> Chain:
    """All windows between the call's own bounds, at once; a row that two of them have counts once.

    Raises:
        BindError: a bound is missing or no whole number.
        DataError: a window may have been cut by the API.
    """
    begin, end = _bound(rule, rule.from_, call), _bound(rule, rule.to, call)
    calls, keys = _calls(rule, call, begin, end), ReadKeys()
    started = tuple(islice(calls, AHEAD))
    waiting = len(started)
    step = Step(started)
    while True:
        page = yield step
        if rule.max_rows is not None and page.count >= rule.max_rows:
            begun, ended = (page.call.value(name, rule.location) for name in (rule.from_, rule.to))
            bounds = f"{rule.from_}={begun} to {rule.to}={ended}"
            raise page.error(
                f"the window {bounds} has {page.count} rows",
                f"The API answers {rule.max_rows} at most, so that rows may be missing.",
                "Make step in the manifest's pagination smaller.",
            )
        fresh, _ = keys.enter(page, 0)
        more = tuple(islice(calls, 1))
        waiting += len(more) - 1
        if waiting == 0:
            yield page.only(fresh, ended=COMPLETE)
            return
        step = page.only(fresh, *more)


def _calls(rule: WindowPages, call: Call, begin: int, end: int) -> Iterator[Call]:
    """The windows, of which there is one at least: what an empty range means is for the API to say."""
    while True:
        upto = min(begin + rule.step - rule.inclusive, end) if begin < end else end
        yield call.with_value(rule.from_, begin, rule.location).with_value(rule.to, upto, rule.location)
        begin = upto + rule.inclusive
        if begin >= end + rule.inclusive:
            return


def _bound(rule: WindowPages, name: str, call: Call) -> int:
    given = call.value(name, rule.location)
    try:
        return int(str(given))
    except ValueError:
        raise BindError(
            f"{call.template} needs {name}, a whole number",
            reason="Its list is read by windows between two bounds.",
            remedy=f"Add WHERE {name} = ...",
        ) from None
