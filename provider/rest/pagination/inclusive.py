"""Cursors that include the row they name, so that a page begins with the last row of the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider.rest.pagination.envelope import Reading
from provider.rest.pagination.protocol import Answer, Step

if TYPE_CHECKING:
    from provider.catalog.catalog import Method
    from provider.catalog.paging import CursorPages, KeysetPages


def without_repeat(
    rule: CursorPages | KeysetPages, method: Method, key: tuple[str, ...], answer: Answer, step: Step
) -> Step:
    """A page's step, without its first row where that is the one that the page was asked to begin behind.

    Whether the cursor stands in the body at all is looked up first, which costs next to nothing.

    Args:
        rule: how the list is paged.
        key: the field that tells its rows apart.
    """
    cursor = answer.call.value(rule.param, rule.location)
    if cursor is None or str(cursor).encode() not in answer.body:
        return step
    page = Reading(method.rows, method.rows_omitted, key=key).page(answer)
    if not page.keys or str(page.keys[0]) != str(cursor):
        return step
    return page.only(list(range(1, page.count)), *step.calls, ended=step.ended)
