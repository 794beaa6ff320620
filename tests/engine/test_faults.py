"""What a server's bad days must not do: lose rows in silence, double a write, or call an unknown outcome a refusal."""

from __future__ import annotations

import _thread
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import provider
from provider.errors import ApiError, Cancelled, InterfaceError, OutcomeUnknown, PartlyDone

Answer = Callable[[httpx.Request], httpx.Response]
ENVIRON = {"OPENAI_API_KEY": "sk-secret"}


def connect(answer: Answer, **options: Any) -> provider.Connection:
    """A connection whose requests a function answers."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    options.setdefault("environ", ENVIRON)
    return provider.connect(http_client=client, **options)


def page(ids: list[str], *, more: bool) -> httpx.Response:
    data = [{"id": i, "object": "thread.message", "created_at": 1, "thread_id": "thread_a"} for i in ids]
    last = ids[-1] if ids else None
    return httpx.Response(200, json={"object": "list", "data": data, "last_id": last, "has_more": more})


def missing(what: str) -> httpx.Response:
    return httpx.Response(404, json={"error": {"message": f"No {what} found with id 'x'.", "type": "t"}})


def test_a_list_whose_cursor_is_gone_is_an_error_and_no_short_answer() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return missing("message") if "after" in request.url.params else page(["m1", "m2"], more=True)

    with connect(answer) as conn, pytest.raises(ApiError, match="answered 404"):
        conn.execute("SELECT id FROM openai.assistants.messages WHERE thread_id = 'thread_a'")


def test_a_cursor_of_the_statements_own_that_is_unknown_is_an_error() -> None:
    sql = "SELECT id FROM openai.assistants.messages WHERE thread_id = 'thread_a' AND after = 'msg_x'"
    with connect(lambda _: missing("message")) as conn, pytest.raises(ApiError, match="answered 404"):
        conn.execute(sql)


def test_a_thread_that_does_not_exist_has_no_messages() -> None:
    with connect(lambda _: missing("thread")) as conn:
        sql = "SELECT id FROM openai.assistants.messages WHERE thread_id = 'thread_x'"
        assert conn.execute(sql).fetchall() == []


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_write_that_a_server_fails_at_is_unknown_and_sent_once(status: int) -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        return httpx.Response(status, json={"error": {"message": "The server had an error"}})

    with connect(answer) as conn, pytest.raises(OutcomeUnknown, match="may have been executed"):
        conn.execute("INSERT INTO openai.assistants.threads DEFAULT VALUES")
    assert len(sent) == 1


def test_a_write_of_several_rows_says_what_was_done_and_what_is_unknown() -> None:
    answers = iter([httpx.Response(200, json={"id": "asst_1"}), httpx.Response(504), httpx.Response(200, json={})])
    with connect(lambda _: next(answers)) as conn, pytest.raises(PartlyDone) as caught:
        conn.execute("INSERT INTO openai.assistants.assistants (model) VALUES ('a'), ('b'), ('c')")
    assert "Done: 1. Row 2 (POST /assistants): its outcome is unknown. Not sent: 1." in str(caught.value)


def test_missing_credentials_are_no_half_done_write() -> None:
    sql = "INSERT INTO openai.assistants.assistants (model) VALUES ('a'), ('b')"
    with connect(lambda _: httpx.Response(500), environ={}) as conn, pytest.raises(InterfaceError, match="not set"):
        conn.execute(sql)


def test_a_pause_that_the_api_asks_for_holds_for_all_requests() -> None:
    refused: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[1]
        if name not in refused and len(refused) < 6:
            refused.append(name)
            return httpx.Response(429, headers={"retry-after-ms": "20"}, json={"error": {"message": "slow down"}})
        return httpx.Response(200, json={"id": name, "object": "thread", "created_at": 1})

    with connect(answer, retries=0) as conn:
        cursor = conn.execute("SELECT id FROM openai.assistants.threads WHERE id IN ('a', 'b', 'c', 'd', 'e', 'f')")
        assert sorted(cursor.fetchall()) == [(n,) for n in "abcdef"]
        assert cursor.report.waited > 0


@pytest.mark.parametrize("text", ["[URGENT] my parcel", "{name} hello", "[1] is the answer"])
def test_text_that_only_begins_like_json_is_sent_as_text(text: str) -> None:
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"id": "msg_1"})

    with connect(answer) as conn:
        conn.execute(
            "INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES ('thread_a', 'user', ?)", [text]
        )
    assert bodies == [{"role": "user", "content": text}]


def test_a_where_that_names_no_column_does_not_count_as_one() -> None:
    with connect(lambda _: page([], more=False)) as conn, pytest.raises(provider.Error, match="without WHERE"):
        conn.execute("DELETE FROM openai.assistants.assistants WHERE true")


def test_a_verb_that_another_version_has_is_said_so() -> None:
    with (
        connect(lambda _: page([], more=False), versions={"openai": "v1"}) as conn,
        pytest.raises(provider.ProgrammingError, match="delete_message for DELETE in v2"),
    ):
        conn.execute("DELETE FROM openai.assistants.messages WHERE thread_id = 'a' AND id = 'b'")


def test_a_base_url_for_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(provider.ProgrammingError, match="Did you mean openai"):
        provider.connect(base_urls={"opneai": "http://127.0.0.1:1"})


@pytest.mark.parametrize("url", ["http://h/v1?key=sk-hidden", "http://user:sk-hidden@h/v1", "http://h/v1#sk-hidden"])
def test_a_secret_in_the_base_url_is_refused_and_not_shown(url: str) -> None:
    with (
        connect(lambda _: httpx.Response(404), base_urls={"openai": url}) as conn,
        pytest.raises(InterfaceError) as caught,
    ):
        conn.execute("SELECT id FROM openai.assistants.assistants")
    assert "sk-hidden" not in str(caught.value)


def test_an_interrupted_write_says_what_is_known_of_it() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["model"] == "b":
            _thread.interrupt_main()
        return httpx.Response(200, json={"id": "asst_1"})

    with connect(answer) as conn, pytest.raises(Cancelled, match="was interrupted") as caught:
        conn.execute("INSERT INTO openai.assistants.assistants (model) VALUES ('a'), ('b'), ('c')")
    assert "Done: 1. Row 2 (POST /assistants): its outcome is unknown. Not sent: 1." in str(caught.value)
