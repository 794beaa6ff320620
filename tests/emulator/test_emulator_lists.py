from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def thread(api: Any) -> Any:
    """A thread with 25 messages that were all created in very few seconds: ties of created_at."""
    thread = api.post("/threads")["id"]
    path = f"/threads/{thread}/messages"
    ids = [api.post(path, {"role": "user", "content": f"message {n}"})["id"] for n in range(25)]
    return path, ids


def ids(page: Any) -> list[str]:
    return [entry["id"] for entry in page["data"]]


def test_a_list_has_twenty_newest_objects_unless_told_otherwise(api: Any, thread: Any) -> None:
    path, made = thread
    page = api.get(path)
    assert ids(page) == made[::-1][:20]
    assert list(page) == ["object", "data", "first_id", "last_id", "has_more"]
    assert (page["object"], page["first_id"], page["last_id"], page["has_more"]) == (
        "list",
        made[24],
        made[5],
        True,
    )


def test_an_empty_list_has_null_ids(api: Any) -> None:
    thread = api.post("/threads")["id"]
    page = api.get(f"/threads/{thread}/messages")
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 24, 25, 26, 100])
def test_paging_forward_visits_every_object_once_in_order(api: Any, thread: Any, order: Any, limit: Any) -> None:
    path, made = thread
    seen: list[str] = []
    page = api.get(path, order=order, limit=limit)
    seen += ids(page)
    while page["has_more"]:
        page = api.get(path, order=order, limit=limit, after=page["last_id"])
        seen += ids(page)
    assert seen == (made if order == "asc" else made[::-1])


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_before_gives_the_nearest_objects_in_front_of_the_cursor(api: Any, thread: Any, order: Any) -> None:
    path, made = thread
    chosen = made if order == "asc" else made[::-1]
    page = api.get(path, order=order, limit=4, before=chosen[10])
    assert ids(page) == chosen[6:10]
    assert page["has_more"] is True
    page = api.get(path, order=order, limit=10, before=chosen[3])
    assert ids(page) == chosen[:3]
    assert page["has_more"] is False


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_after_with_before_gives_what_lies_between(api: Any, thread: Any, order: Any) -> None:
    path, made = thread
    chosen = made if order == "asc" else made[::-1]
    page = api.get(path, order=order, limit=3, after=chosen[4], before=chosen[9])
    assert (ids(page), page["has_more"]) == (chosen[5:8], True)
    page = api.get(path, order=order, limit=4, after=chosen[4], before=chosen[9])
    assert (ids(page), page["has_more"]) == (chosen[5:9], False)


def test_created_at_orders_before_the_order_of_insertion(timed_api: Any, clock: Any) -> None:
    thread = timed_api.post("/threads")["id"]
    path = f"/threads/{thread}/messages"
    late = timed_api.post(path, {"role": "user", "content": "late"})["id"]
    clock.forward(-10)
    early = timed_api.post(path, {"role": "user", "content": "early"})["id"]
    assert ids(timed_api.get(path, order="asc")) == [early, late]
    assert ids(timed_api.get(path, order="asc", after=early)) == [late]


@pytest.mark.parametrize("cursor", ["after", "before"])
def test_a_cursor_that_is_not_in_the_list_is_not_found(api: Any, thread: Any, cursor: Any) -> None:
    path, made = thread
    other = api.post("/threads")["id"]
    assert api.error("GET", path, params={cursor: "msg_nothing"}) == (
        404,
        "No message found with id 'msg_nothing'.",
        None,
        None,
    )
    status, *_ = api.error("GET", f"/threads/{other}/messages", params={cursor: made[0]})
    assert status == 404


@pytest.mark.parametrize(
    ("query", "message", "param", "code"),
    [
        (
            {"limit": 101},
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
            "limit",
            "integer_above_max_value",
        ),
        (
            {"limit": 0},
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            "limit",
            "integer_below_min_value",
        ),
        (
            {"limit": "ten"},
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            "limit",
            "invalid_type",
        ),
        (
            {"order": "up"},
            "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.",
            "order",
            "invalid_value",
        ),
    ],
)
def test_a_wrong_query_is_refused(api: Any, thread: Any, query: Any, message: Any, param: Any, code: Any) -> None:
    assert api.error("GET", thread[0], params=query) == (400, message, param, code)


def test_messages_of_a_run_are_listed_by_run_id(timed_api: Any, clock: Any) -> None:
    assistant = timed_api.post("/assistants", {"model": "m"})["id"]
    thread = timed_api.post("/threads", {"messages": [{"role": "user", "content": "hello"}]})["id"]
    made = []
    for _ in range(2):
        run = timed_api.post(f"/threads/{thread}/runs", {"assistant_id": assistant})["id"]
        clock.forward(2)
        made.append(run)
    for run in made:
        page = timed_api.get(f"/threads/{thread}/messages", run_id=run)
        assert [(entry["run_id"], entry["role"]) for entry in page["data"]] == [(run, "assistant")]
    assert timed_api.get(f"/threads/{thread}/messages", run_id="run_other")["data"] == []


def test_a_list_of_a_missing_thread_is_not_found(api: Any) -> None:
    assert api.error("GET", "/threads/thread_none/messages") == (
        404,
        "No thread found with id 'thread_none'.",
        None,
        None,
    )


def test_two_hundred_and_fifty_messages_are_made_and_read_back(api: Any) -> None:
    thread = api.post("/threads")["id"]
    path = f"/threads/{thread}/messages"
    made = [api.post(path, {"role": "user", "content": str(n)})["id"] for n in range(250)]
    seen: list[str] = []
    page: Any = {"has_more": True, "last_id": None}
    requests = 0
    while page["has_more"]:
        cursor = {"after": page["last_id"]} if page["last_id"] else {}
        page = api.get(path, order="asc", limit=100, **cursor)
        seen += ids(page)
        requests += 1
    assert (seen, requests) == (made, 3)
