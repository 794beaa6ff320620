"""Cursors that include the row they name, so that a page begins with the last row of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider.rest.pagination.envelope import Reading
from provider.rest.pagination.protocol import Answer, Step

if TYPE_CHECKING:
    from provider.catalog.paging import CursorPages, KeysetPages


@dataclass(frozen=True, slots=True)
class Inclusive:
    """Leaves out a page's first row where it is the one that the page was asked to begin behind.

    Whether the cursor stands in the body at all is looked up first, which costs next to nothing.

    Args:
        rule: how the list is paged.
        reading: reads the keys of a page's rows.
    """

    rule: CursorPages | KeysetPages
    reading: Reading

    def without_repeat(self, answer: Answer, step: Step) -> Step:
        """A page's step, without the row that the page before had."""
        cursor = answer.call.value(self.rule.param, self.rule.location)
        if cursor is None or str(cursor).encode() not in answer.body:
            return step
        page = self.reading.page(answer)
        if not page.keys or str(page.keys[0]) != str(cursor):
            return step
        return page.only(list(range(1, page.count)), *step.calls, ended=step.ended)
