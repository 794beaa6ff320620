"""What Cache-Control, Expires, Age and Vary say about an answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.rest.freshness import forbids_keeping, good_for
from provider.rest.pagination import Answer
from provider.rest.request import Call

NOW = 1_700_000_000.0
DATE = ("Date", "Tue, 14 Nov 2023 22:13:20 GMT")  # NOW


def answer(*headers: tuple[str, str]) -> Answer:
    return Answer(Call("GET", "/x", (), None, "GET /x"), b"{}", headers)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], math.inf),
        ([("Cache-Control", "private")], math.inf),
        ([("Cache-Control", "max-age=60")], 60),
        ([("cache-control", "PRIVATE, Max-Age = 60")], 60),
        ([("Cache-Control", 'max-age="60"')], 60),
        ([("Cache-Control", "private"), ("Cache-Control", "max-age=5")], 5),
        ([("Cache-Control", "max-age=5, max-age=60")], 5),
        ([("Cache-Control", "max-age=60"), ("Age", "45")], 15),
        ([("Cache-Control", "max-age=60"), ("Age", "90")], 0),
        ([("Cache-Control", "max-age=60"), ("Age", "old")], 60),
        ([("Cache-Control", "max-age=soon")], 0),
        ([("Cache-Control", "max-age=-1")], 0),
        ([("Cache-Control", "max-age")], 0),
        ([("Cache-Control", "no-cache, max-age=60")], 0),
        ([("Cache-Control", 'no-cache="Set-Cookie"')], 0),
        ([("Cache-Control", "s-maxage=60")], math.inf),
        ([("Cache-Control", 'x="no-cache, max-age=0", max-age=7')], 7),
        ([DATE, ("Expires", "Tue, 14 Nov 2023 22:14:20 GMT")], 60),
        ([("Expires", "Tue, 14 Nov 2023 22:14:20 GMT")], 60),
        ([DATE, ("Expires", "Tue, 14 Nov 2023 22:00:00 GMT")], 0),
        ([DATE, ("Expires", "0")], 0),
        ([DATE, ("Expires", "Tue, 14 Nov 2023 22:14:20 GMT"), ("Cache-Control", "max-age=5")], 5),
        ([("Vary", "*")], 0),
        ([("Vary", "Accept")], math.inf),
    ],
)
def test_time_for_which_an_answer_is_good(headers: list[tuple[str, str]], seconds: float) -> None:
    assert good_for(answer(*headers), NOW) == seconds


def test_no_store_forbids_keeping() -> None:
    assert forbids_keeping(answer(("Cache-Control", "max-age=60, No-Store")))
    assert not forbids_keeping(answer(("Cache-Control", 'x="no-store"')))


@given(st.text(), st.text(), st.text())
def test_whatever_headers_say_is_a_time(control: str, expires: str, age: str) -> None:
    headers = answer(("Cache-Control", control), ("Expires", expires), ("Age", age))
    assert good_for(headers, NOW) >= 0
    assert forbids_keeping(headers) in (True, False)
