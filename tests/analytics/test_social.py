"""Queries over a social network, with recursions and paths, answer as plain DuckDB does on the same rows.

Persons, forums, tags and their classes are listed. Places and organisations are known by key, messages by key and under
what they belong to, and all else only under the one or the other thing that it connects. Lists are paged in seven ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analytics.harness import Both, Schema
from tests.analytics.social.rows import TABLES, tables
from tests.analytics.social.server import Network

#: The table that needs a value, and why nothing in the query gives it one.
REFUSED = {
    "01_messages_by_length": ("message", "counts the messages of everybody, and names nobody"),
    "04_members_of_the_largest_forums": ("forumperson", "counts the members of all forums, and names no forum"),
    "08_threads": ("message", "begins with the messages that are no replies, and names none of them"),
    "10_triangles": ("knows", "looks among all friendships, and names nobody"),
    "16_near_a_company": ("knows", "begins with those who work for a company, whom only a person tells"),
    "32_places_by_level": ("place", "begins with the place that is part of none, which no list has"),
}

#: The requests of each query. Lists are in the plural, what has a key is in the singular, `a/b` are the `b` of an `a`.
REQUESTS = {
    "02_tags_before_and_after": "99 message, 1 tagclasses, 1 tags, 4 tags/messages",
    "03_forums_of_a_country": (
        "1 forums, 7 forums/messages, 96 messages/tags, 1 persons, 10 place, 1 tagclasses, 1 tags"
    ),
    "05_posters_of_a_tag": "33 message, 33 messages/likes, 33 messages/replies, 1 tags, 1 tags/messages",
    "06_whose_likers_are_liked": "28 message, 142 messages/likes, 18 persons/messages, 1 tags, 1 tags/messages",
    "07_tags_of_replies": "37 messages/replies, 6 messages/tags, 1 tags, 1 tags/messages",
    "09_persons_two_or_three_steps_away": "1 persons, 20 persons/friends, 30 persons/messages",
    "11_how_many_write_how_much": "1 persons, 30 persons/messages",
    "12_who_writes_little": "1 persons, 18 persons/messages, 10 place",
    "13_friends_abroad": "1 persons, 12 persons/friends, 2 places/parts",
    "14_weighted_paths": "19 message, 12 persons/friends, 12 persons/messages",
    "15_friends_of_friends": "5 persons/friends, 8 persons/interests",
    "17_profile": "1 person, 1 place",
    "18_roots_of_messages": "13 message, 1 persons, 1 persons/messages",
    "19_friends": "1 persons, 1 persons/friends",
    "20_forum_of_a_reply": "1 forums, 1 message, 1 persons",
    "21_replies_by_friends": "1 message, 1 messages/replies, 1 persons, 1 persons/friends",
    "22_namesakes_near_by": "1 persons, 20 persons/friends, 8 place",
    "23_latest_of_friends": "1 persons, 1 persons/friends, 6 persons/messages",
    "24_new_topics": "26 messages/tags, 1 persons/friends, 6 persons/messages, 1 tags",
    "25_forums_that_friends_joined": "1 forums, 12 forums/members, 12 forums/messages, 7 persons/friends",
    "26_tags_beside_a_tag": "117 messages/tags, 7 persons/friends, 16 persons/messages, 1 tags",
    "27_who_liked": "14 messages/likes, 1 persons/friends, 1 persons/messages",
    "28_latest_replies": "14 messages/replies, 1 persons/messages",
    "29_experts_of_a_class": (
        "11 message, 11 messages/tags, 1 persons, 1 persons/friends, 6 persons/messages, 1 tagclasses, 1 tags"
    ),
    "30_shortest_path": "24 persons/friends",
    "31_distances": "20 persons/friends",
}


def counted(log: list[str]) -> str:
    """The requests by what was asked for: a list, an object by key, or a list under one."""
    paths = [target.split("?")[0].split("/")[1:] for target in log]
    kinds = Counter(p[0].removesuffix("s") if len(p) == 2 else "/".join([p[0], *p[2:]]) for p in paths)
    return ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    folder = Path(__file__).parent / "social"
    with Both(Schema(folder, "social.network", TABLES, tables, Network, counted)) as found:
        yield found


@pytest.mark.parametrize("name", REQUESTS)
def test_query_answers_as_plain_duckdb(both: Both, name: str) -> None:
    both.check(name, REQUESTS[name])


@pytest.mark.parametrize("name", REFUSED)
def test_query_that_names_no_key_is_refused_before_any_request(both: Both, name: str) -> None:
    both.check_refused(name, REFUSED[name][0])


def test_every_query_is_asked_and_every_order_is_total(both: Both) -> None:
    assert sorted(both.queries) == sorted({**REQUESTS, **REFUSED})
    both.check_orders()
