"""What a server's bad days must not do: lose rows in silence, double a write, or call an unknown outcome a refusal."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

import provider
from provider.errors import ApiError, Cancelled, InterfaceError, OutcomeUnknown, PartlyDone

Answer = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]
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
    with connect(lambda _: next(answers), max_concurrency=1) as conn, pytest.raises(PartlyDone) as caught:
        conn.execute("INSERT INTO openai.assistants.assistants (model) VALUES ('a'), ('b'), ('c')")
    assert "Done: 1. Refused: 0. Outcome unknown: 1 (row 2). Not sent: 1." in str(caught.value)


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
    async def answer(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["model"] == "b":
            ident = threading.main_thread().ident
            assert ident is not None
            signal.pthread_kill(ident, signal.SIGINT)
            await asyncio.Event().wait()  # until it is given up
        return httpx.Response(200, json={"id": "asst_1"})

    with connect(answer, max_concurrency=1) as conn, pytest.raises(Cancelled, match="was interrupted") as caught:
        conn.execute("INSERT INTO openai.assistants.assistants (model) VALUES ('a'), ('b'), ('c')")
    assert "Done: 1. Refused: 0. Outcome unknown: 1 (row 2). Not sent: 1." in str(caught.value)


def odd(_: httpx.Request) -> httpx.Response:
    data = [{"id": "m1", "created_at": "soon"}, {"id": "m2", "created_at": 5}]
    return httpx.Response(200, json={"object": "list", "data": data, "last_id": "m2", "has_more": False})


ODD = "SELECT id, created_at FROM openai.assistants.messages WHERE thread_id = 'thread_a' ORDER BY id"


def test_a_value_that_does_not_fit_is_an_error_unless_it_may_be_null() -> None:
    with connect(odd) as conn, pytest.raises(provider.DataError, match="created_at"):
        conn.execute(ODD)
    with connect(odd, on_bad_value="null") as conn:
        cursor = conn.execute(ODD)
        assert cursor.fetchall() == [("m1", None), ("m2", 5)]
        assert cursor.report.scans[0].bad_values == {"created_at": 1}


def test_all_values_may_be_text() -> None:
    with connect(odd, on_bad_value="text") as conn:
        assert conn.execute(ODD).fetchall() == [("m1", "soon"), ("m2", "5")]


def test_what_becomes_of_bad_values_can_be_set() -> None:
    with connect(odd) as conn:
        conn.execute("SET on_bad_value = 'null'")
        assert conn.execute(ODD).fetchall() == [("m1", None), ("m2", 5)]
        conn.execute("RESET on_bad_value")
        with pytest.raises(provider.DataError):
            conn.execute(ODD)


def test_an_unknown_way_with_bad_values_is_an_error() -> None:
    with pytest.raises(InterfaceError, match="on_bad_value"):
        provider.connect(on_bad_value="nul")  # type: ignore[arg-type]
