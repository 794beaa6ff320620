"""Where answers say how long to wait, in the spellings that APIs use."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.catalog.limits import Unit, Wait
from provider.catalog.loader import Catalog
from provider.rest.transport import Response
from provider.rest.waits import announced, asked, seconds

NOW = 1_795_324_800.0  # 2026-11-22 05:20 UTC


def answer(body: object = None, **headers: str) -> Response:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(429, named, json.dumps(body).encode(), 0)


def wait(**keys: object) -> Wait:
    return Wait.model_validate(keys)


@pytest.mark.parametrize(
    ("text", "unit", "found"),
    [
        ("30", "seconds", 30.0),
        ("1.5", "seconds", 1.5),
        ("250", "milliseconds", 0.25),
        ("6m0s", "duration", 360.0),
        ("1h2m3.5s", "duration", 3723.5),
        ("20ms", "duration", 0.02),
        ("1s", "duration", 1.0),
        (str(int(NOW) + 90), "unix seconds", 90.0),
        (str(int(NOW) - 90), "unix seconds", 0.0),
        (str(int(NOW * 1000) + 500), "unix milliseconds", 0.5),
        (formatdate(NOW + 60, usegmt=True), "date", 60.0),
        ("2026-11-22T06:21:00Z", "date", 60.0),
        ("2026-11-22T06:21:00", "date", 60.0),
        ("soon", "seconds", None),
        ("-5", "seconds", None),
        ("nan", "seconds", None),
        ("6 minutes", "duration", None),
        ("", "duration", None),
        ("yesterday", "date", None),
    ],
)
def test_a_time_in_its_unit(text: str, unit: Unit, found: float | None) -> None:
    now = 1_795_328_400.0 if text.startswith("2026") else NOW
    assert seconds(text, unit, now) == (found if found is None else pytest.approx(found))


@given(st.text(), st.sampled_from(["seconds", "milliseconds", "duration", "unix seconds", "unix milliseconds", "date"]))
def test_no_text_breaks_the_reading_and_no_wait_is_negative(text: str, unit: Unit) -> None:
    found = seconds(text, unit, NOW)
    assert found is None or found >= 0


def test_retry_after_in_seconds_and_milliseconds() -> None:
    assert asked(answer(retry_after="7"), (), NOW) == 7
    assert asked(answer(retry_after="7", retry_after_ms="250"), (), NOW) == 0.25
    assert asked(answer(), (), NOW) is None


def test_a_date_is_compared_with_the_servers_own_clock() -> None:
    ahead = NOW + 3600  # the server's clock is an hour ahead of ours
    response = answer(retry_after=formatdate(ahead + 20, usegmt=True), date=formatdate(ahead, usegmt=True))
    assert asked(response, (), NOW) == 20


def test_a_date_without_the_servers_clock_is_compared_with_ours() -> None:
    assert asked(answer(retry_after=formatdate(NOW + 20, usegmt=True)), (), NOW) == 20


def test_retry_after_goes_before_the_manifests_places() -> None:
    places = [wait(header="x-reset", unit="seconds")]
    assert asked(answer(retry_after="2", x_reset="9"), places, NOW) == 2
    assert asked(answer(x_reset="9"), places, NOW) == 9


def test_the_first_place_that_says_a_time_counts() -> None:
    places = [
        wait(header="x-reset-requests", unit="duration", when={"x-remaining-requests": "^0$"}),
        wait(header="x-reset-tokens", unit="duration", when={"x-remaining-tokens": "^0$"}),
    ]
    headers = {"x_reset_requests": "1s", "x_remaining_requests": "12", "x_reset_tokens": "6m0s"}
    assert asked(answer(**headers, x_remaining_tokens="0"), places, NOW) == 360
    assert asked(answer(**headers, x_remaining_tokens="7"), places, NOW) is None


@pytest.mark.parametrize(
    ("text", "found"), [("20s. Visit ...", 20), ("1m20.5s.", 80.5), ("6ms", 0.006), ("a while", None)]
)
def test_a_time_in_the_words_of_openai(text: str, found: float | None) -> None:
    body = {"error": {"message": f"Rate limit reached for requests. Please try again in {text}"}}
    assert asked(answer(body), Catalog().provider("openai").limits.waits, NOW) == found


def test_the_draft_header_with_parameters() -> None:
    place = wait(header="RateLimit", pattern=r"r=0;\s*t=(\d+)", unit="seconds", when={"ratelimit": "r=0"})
    assert asked(answer(ratelimit='"default";r=0;t=30'), [place], NOW) == 30
    assert asked(answer(ratelimit='"default";r=5;t=30'), [place], NOW) is None


def test_a_good_answer_announces_only_where_nothing_is_left() -> None:
    guarded = wait(header="x-reset", unit="seconds", when={"x-remaining": "^0$"})
    assert announced(answer(x_reset="9", x_remaining="0"), [guarded], NOW) == 9
    assert announced(answer(x_reset="9", x_remaining="1"), [guarded], NOW) is None
    assert announced(answer(x_reset="9", x_remaining="0"), [wait(header="x-reset", unit="seconds")], NOW) is None
