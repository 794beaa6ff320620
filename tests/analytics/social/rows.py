"""A social network: persons, whom they know, their forums, messages and what these are about, in classes of topics.

Persons and messages have keys of 64 bits; a friendship stands in both directions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

Row = dict[str, Any]

#: The columns of each table with DuckDB's types.
TABLES: dict[str, dict[str, str]] = {
    "place": {"id": "BIGINT", "name": "VARCHAR", "type": "VARCHAR", "partof": "BIGINT"},
    "organisation": {"id": "BIGINT", "name": "VARCHAR", "type": "VARCHAR", "placeid": "BIGINT"},
    "tagclass": {"id": "BIGINT", "name": "VARCHAR", "subclassof": "BIGINT"},
    "tag": {"id": "BIGINT", "name": "VARCHAR", "typeclass": "BIGINT"},
    "person": {
        "id": "BIGINT", "firstname": "VARCHAR", "lastname": "VARCHAR", "birthday": "DATE", "browser": "VARCHAR",
        "placeid": "BIGINT",
    },
    "knows": {"p1": "BIGINT", "p2": "BIGINT", "creationdate": "TIMESTAMPTZ"},
    "forum": {"id": "BIGINT", "title": "VARCHAR", "creationdate": "TIMESTAMPTZ", "moderator": "BIGINT"},
    "forumperson": {"forumid": "BIGINT", "personid": "BIGINT", "joindate": "TIMESTAMPTZ"},
    "message": {
        "id": "BIGINT", "creationdate": "TIMESTAMPTZ", "content": "VARCHAR", "length": "BIGINT", "lang": "VARCHAR",
        "creator": "BIGINT", "forumid": "BIGINT", "replyof": "BIGINT",
    },
    "messagetag": {"messageid": "BIGINT", "tagid": "BIGINT"},
    "likes": {"personid": "BIGINT", "messageid": "BIGINT", "creationdate": "TIMESTAMPTZ"},
    "interest": {"personid": "BIGINT", "tagid": "BIGINT"},
    "workat": {"personid": "BIGINT", "orgid": "BIGINT", "workfrom": "BIGINT"},
}  # fmt: skip

_PERSONS = range(2**45, 2**45 + 30)
_MESSAGES = range(2**46 + 1, 2**46 + 201)
_FORUMS = range(1, 13)
_TAGS = ("Hamlet", "Bach", "Berlin", "Jazz", "x/y", "", "Ж")
_CLASSES = (("Thing", None), ("Person", 0), ("Artist", 1), ("Musician", 2), ("Place", 0))


def tables(seed: int = 14) -> dict[str, list[Row]]:
    """The rows of every table; equal seeds give equal rows."""
    source = random.Random(seed)
    cities = [(i, f"City{i}", "city", source.choice((2, 3))) for i in range(4, 12)]
    pairs = {tuple(sorted(source.sample(_PERSONS[:27], 2))) for _ in range(55)}
    joined = sorted({(source.choice(_FORUMS), source.choice(_PERSONS)) for _ in range(90)})
    liked = sorted({(source.choice(_PERSONS), source.choice(_MESSAGES)) for _ in range(240)})
    return {
        "place": _rows(
            "place", (1, "Earth", "continent", None), (2, "Germany", "country", 1), (3, "中国", "country", 1), *cities
        ),
        "organisation": _rows("organisation", *((i, f"Org {i}", "company", 2 + i % 2) for i in range(1, 7))),
        "tagclass": _rows("tagclass", *((i, *found) for i, found in enumerate(_CLASSES))),
        "tag": _rows("tag", *((i, name, i % 5) for i, name in enumerate(_TAGS))),
        "person": list(_persons(source)),
        "knows": [
            row
            for a, b in sorted(pairs)
            for when in [_when(source)]
            for row in _rows("knows", (a, b, when), (b, a, when))
        ],
        "forum": _rows("forum", *((i, f"Wall {i}", _when(source), source.choice(_PERSONS)) for i in _FORUMS)),
        "forumperson": _rows("forumperson", *((*found, _when(source)) for found in joined)),
        "message": list(_messages(source)),
        "messagetag": _rows("messagetag", *((source.choice(_MESSAGES), source.randrange(7)) for _ in range(230))),
        "likes": _rows("likes", *((*found, _when(source)) for found in liked)),
        "interest": _rows("interest", *((source.choice(_PERSONS), source.randrange(7)) for _ in range(60))),
        "workat": _rows(
            "workat",
            *((p, source.randint(1, 6), source.randint(2000, 2012)) for p in _PERSONS if source.random() < 0.8),
        ),
    }


def _rows(table: str, *found: tuple[Any, ...]) -> list[Row]:
    return [dict(zip(TABLES[table], values, strict=True)) for values in found]


def _when(source: random.Random) -> datetime:
    return datetime(2011, 1, 1, tzinfo=UTC) + timedelta(minutes=source.randrange(60 * 24 * 700))


def _persons(source: random.Random) -> Iterator[Row]:
    for i, person in enumerate(_PERSONS):
        born = date(1980, 1, 1) + timedelta(days=source.randrange(9000))
        browser = source.choice(("Firefox", "Safari", None))
        values = (person, source.choice(("Ann", "Jörg", "李")), f"L{i}", born, browser, source.randint(4, 11))
        yield from _rows("person", values)


def _messages(source: random.Random) -> Iterator[Row]:
    """Messages of a forum, and replies to earlier ones, which name no forum."""
    for i, message in enumerate(_MESSAGES):
        reply = source.choice((None, None, source.choice(_MESSAGES[:i]))) if i > 40 else None
        yield from _rows("message", (
            message, _when(source), source.choice((None, "", "hello", "Ünïcode ✓")),
            source.choice((0, 20, 50, 120, 300)), source.choice(("de", "en", None)), source.choice(_PERSONS),
            None if reply else source.choice(_FORUMS), reply,
        ))  # fmt: skip
