"""The keys of a list's rows, as far as it was read."""

from __future__ import annotations

from msgspec import UNSET

from provider.rest.pagination.envelope import Key, Page


class ReadKeys:
    """Which rows were read, and in which reading of the list: a pass over it, or one of its two ends.

    A row is known by its key. A row without one, or of a resource without one, is a new row each time.
    """

    def __init__(self) -> None:
        self._reading_of: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._reading_of)

    def enter(self, page: Page, reading: int) -> tuple[list[int], int]:
        """Note a page's rows: the indices of those that no reading had, and how many this reading had not."""
        if page.keys is None:
            return list(range(page.count)), page.count
        new = dict.fromkeys(page.keys, reading)
        if len(new) == page.count and not any(map(_is_lacking, new)) and self._reading_of.keys().isdisjoint(new):
            self._reading_of.update(new)
            return list(range(page.count)), page.count
        fresh, distinct = [], 0
        for i, key in enumerate(page.keys):
            if _is_lacking(key):
                fresh.append(i)
                distinct += 1
                continue
            earlier = self._reading_of.get(key)
            if earlier is None:
                fresh.append(i)
            if earlier != reading:
                self._reading_of[key] = reading
                distinct += 1
        return fresh, distinct

    def had(self, page: Page, reading: int) -> bool:
        """Whether a reading had one of a page's rows, or more."""
        return not self._reading_of.keys().isdisjoint(page.keys or ()) and any(
            self._reading_of.get(key) == reading for key in page.keys or ()
        )

    def unread(self, page: Page) -> list[int]:
        """The indices of a page's rows that no reading had, which is not noted."""
        return [i for i, key in enumerate(page.keys or ()) if key not in self._reading_of]


def _is_lacking(key: Key) -> bool:
    """Whether a part of a key is null or absent, so that it tells nothing apart."""
    return key is None or key is UNSET or (isinstance(key, tuple) and (None in key or UNSET in key))
