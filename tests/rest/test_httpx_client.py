"""Requests through the caller's own httpx client."""

from __future__ import annotations

import httpx
import pytest

import provider
from provider.emulator import create_app
from provider.errors import ApiError, OutcomeUnknown, TransportError

ENVIRON = {"OPENAI_API_KEY": "sk-secret"}


def test_a_statement_runs_against_an_asgi_app_without_a_socket() -> None:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app()))
    with provider.connect(http_client=client, environ=ENVIRON, base_urls={"openai": "http://emulator/v1"}) as conn:
        sql = 'INSERT INTO openai.assistants.threads (metadata) VALUES (\'{"a": "b"}\') RETURNING id'
        (thread_id,) = conn.execute(sql).fetchall()[0]
        found = conn.execute("SELECT metadata FROM openai.assistants.threads WHERE thread_id = ?", [thread_id])
        assert found.fetchall() == [('{"a":"b"}',)]


def test_redirects_are_not_followed_even_when_the_client_would() -> None:
    def elsewhere(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "https://elsewhere.example/"})

    client = httpx.AsyncClient(transport=httpx.MockTransport(elsewhere), follow_redirects=True)
    with (
        provider.connect(http_client=client, environ=ENVIRON) as conn,
        pytest.raises(ApiError, match="redirected"),
    ):
        conn.execute("SELECT * FROM openai.assistants.threads WHERE thread_id = 'thread_1'")


@pytest.mark.parametrize(
    ("failure", "expected"), [(httpx.ConnectError("no"), TransportError), (httpx.ReadTimeout("late"), OutcomeUnknown)]
)
def test_a_write_is_unknown_only_when_it_may_have_been_sent(failure: Exception, expected: type[Exception]) -> None:
    sent = []

    def fail(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        raise failure

    client = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    with (
        provider.connect(http_client=client, environ=ENVIRON, retries=1) as conn,
        pytest.raises(expected) as caught,
    ):
        conn.execute("INSERT INTO openai.assistants.threads DEFAULT VALUES")
    assert "sk-secret" not in str(caught.value)
    # What was certainly not sent may be tried again; what may have been sent never is.
    assert len(sent) == (2 if expected is TransportError else 1)
