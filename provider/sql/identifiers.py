"""Names as people write them in SQL: in quotes only where they must be."""

from __future__ import annotations

import re

_RESERVED = """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case cast check
    collate collation column columns concurrently constraint create cross default deferrable desc describe distinct do
    else end except false fetch for foreign freeze from full generated glob group having ilike in initially inner
    intersect into is isnull join lambda lateral leading left like limit map natural not notnull null offset on only or
    order outer overlaps pivot pivot_longer pivot_wider placing positional primary qualify references returning right
    select semi show similar some struct summarize symmetric table tablesample then to trailing true try_cast union
    unique unpack unpivot using variadic verbose when where window with
"""
#: Names that DuckDB's grammar does not take for a column without quotes.
RESERVED = frozenset(_RESERVED.split())


def identifier(name: str) -> str:
    """A name as SQL takes it: in quotes where it must be."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name, re.IGNORECASE) and name.lower() not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'
