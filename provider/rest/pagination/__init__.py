"""Lists cut into pages: one protocol, and a module for each way of going through a list."""

from provider.rest.pagination.envelope import objects
from provider.rest.pagination.listing import Listing, is_whole, pages, turned_by
from provider.rest.pagination.opening import first_call
from provider.rest.pagination.protocol import COMPLETE, CUT_OFF, Answer, Pages, Step

__all__ = [
    "COMPLETE",
    "CUT_OFF",
    "Answer",
    "Listing",
    "Pages",
    "Step",
    "first_call",
    "is_whole",
    "objects",
    "pages",
    "turned_by",
]
