"""What answers mean by the manifest, what is sent again, and how budgets hold across connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import provider
from provider.emulator import Emulator
from provider.errors import ApiError, ConflictError, OutcomeUnknown, RateLimited
from provider.rest.request import Exchange
from tests.rest import shop
from tests.rest.webserver import Reply, Seen, web_server

MANIFEST = """
provider: shop
base_url: {default: https://shop.example/v1, env: SHOP_URL}
errors: {message: $.error.message, code: $.error.code}
answers:
  - {status: [404], body: {$.error.code: '^not_found$'}, means: no_rows}
  - {status: [400], body: {$.error.code: '^throttled$'}, means: rate_limited}
  - {status: [403], headers: {x-remaining: '^0$'}, means: rate_limited}
  - {status: [429], body: {$.error.code: '^insufficient_quota$'}, means: quota}
  - {status: [422], means: retry}
  - {status: [2xx], body: {$.error: '.'}, means: fail}
limits:
  LIMITS
---
service: sales
resources:
  orders:
    key: {id: order_id}
    fields: {id: {type: string}, state: {type: string}}
    methods:
      get_order: {sql: SELECT, http: 'GET /orders/{order_id}'}
      list_orders: {sql: SELECT, http: GET /orders, rows: $.data}
      create_order: {sql: INSERT, http: POST /orders, body: {state: {type: string}}}
      delete_order:
        sql: DELETE
        http: DELETE /orders/{order_id}
        answers: [{status: [409], body: {$.error.code: '^gone$'}, means: ignore}]
      pay: {sql: EXEC, http: 'POST /orders/{order_id}/pay', idempotency: {header: Idempotency-Key}}
"""
ONE = "SELECT state FROM shop.sales.orders WHERE id = 'a'"
INSERT = "INSERT INTO shop.sales.orders (state) VALUES ('open')"
Answer = Callable[[httpx.Request], httpx.Response]


class Shop:
    """A server that gives its answers in turn, the last one again and again; the requests that came."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., provider.Connection]]:
    opened: list[provider.Connection] = []

    def open_(shop: Shop | None, limits: str = "waits: []", **options: Any) -> provider.Connection:
        (tmp_path / "shop.yaml").write_text(MANIFEST.replace("LIMITS", limits), encoding="utf-8")
        client = httpx.AsyncClient(transport=httpx.MockTransport(shop)) if shop else None
        options.setdefault("environ", {})
        opened.append(provider.connect(manifests=[tmp_path / "shop.yaml"], http_client=client, **options))
        return opened[-1]

    yield open_
    for conn in opened:
        conn.close()


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, json={"error": {"code": code, "message": f"It is {code}."}})


GOOD = httpx.Response(200, json={"id": "a", "state": "open"})
QUICK = {"retry_after_ms": "5"}


def test_an_error_in_a_good_answer_is_an_error(connect: Any) -> None:
    shop = Shop(httpx.Response(200, json={"error": {"code": "bad", "message": "No such column."}}))
    with pytest.raises(ApiError, match="answered 200") as caught:
        connect(shop).execute(ONE)
    assert (caught.value.status, caught.value.code, caught.value.detail) == (200, "bad", "No such column.")
    assert len(shop.requests) == 1


def test_a_null_error_in_a_good_answer_is_none(connect: Any) -> None:
    shop = Shop(httpx.Response(200, json={"id": "a", "state": "open", "error": None}))
    assert connect(shop).execute(ONE).fetchall() == [("open",)]


@pytest.mark.parametrize(
    "first", [refusal(400, "throttled", **QUICK), refusal(403, "busy", x_remaining="0", **QUICK), refusal(422, "later")]
)
def test_what_a_rule_calls_passing_is_asked_again(connect: Any, first: httpx.Response) -> None:
    shop = Shop(first, GOOD)
    assert connect(shop).execute(ONE).fetchall() == [("open",)]
    assert len(shop.requests) == 2


@pytest.mark.parametrize("answer", [refusal(400, "broken"), refusal(403, "busy", x_remaining="7")])
def test_what_no_rule_fits_is_judged_by_its_status(connect: Any, answer: httpx.Response) -> None:
    shop = Shop(answer, GOOD)
    with pytest.raises(ApiError):
        connect(shop).execute(ONE)
    assert len(shop.requests) == 1


def test_a_used_up_quota_is_not_asked_again(connect: Any) -> None:
    shop = Shop(refusal(429, "insufficient_quota", **QUICK))
    with pytest.raises(RateLimited, match="waiting does not bring it back"):
        connect(shop).execute(ONE)
    assert len(shop.requests) == 1


def test_openais_used_up_quota_is_not_asked_again() -> None:
    shop = Shop(refusal(429, "insufficient_quota", **QUICK))
    client = httpx.AsyncClient(transport=httpx.MockTransport(shop))
    with (
        provider.connect(environ={"OPENAI_API_KEY": "sk-none"}, http_client=client) as conn,
        pytest.raises(RateLimited),
    ):
        conn.execute("SELECT id FROM openai.assistants.assistants")
    assert len(shop.requests) == 1


def test_a_methods_own_rule_goes_before_the_providers(connect: Any) -> None:
    sql = "DELETE FROM shop.sales.orders WHERE id = 'a'"
    assert connect(Shop(refusal(409, "gone"))).execute(sql).rowcount == 1
    with pytest.raises(ConflictError):
        connect(Shop(refusal(409, "paid"))).execute(sql)


def test_no_such_object_is_no_row(connect: Any) -> None:
    assert connect(Shop(refusal(404, "not_found"))).execute(ONE).fetchall() == []
    with pytest.raises(ApiError, match="answered 404"):
        connect(Shop(refusal(404, "no_route"))).execute(ONE)


def test_a_write_that_was_refused_for_now_is_sent_again(connect: Any) -> None:
    shop = Shop(refusal(429, "busy", **QUICK), refusal(400, "throttled", **QUICK), GOOD)
    assert connect(shop).execute(INSERT).rowcount == 1
    assert len(shop.requests) == 3


@pytest.mark.parametrize("answer", [refusal(500, "oops"), refusal(524, "gateway"), refusal(422, "later")])
def test_a_write_whose_outcome_is_unknown_is_sent_once(connect: Any, answer: httpx.Response) -> None:
    shop = Shop(answer, GOOD)
    with pytest.raises(OutcomeUnknown):
        connect(shop).execute(INSERT)
    assert len(shop.requests) == 1


def test_a_write_with_an_idempotency_key_is_sent_again_with_that_key(connect: Any) -> None:
    shop = Shop(refusal(500, "oops"), refusal(503, "busy", **QUICK), GOOD)
    conn = connect(shop)
    conn.execute("EXEC shop.sales.orders.pay @order_id='a'")
    conn.execute("EXEC shop.sales.orders.pay @order_id='b'")
    keys = [r.headers["idempotency-key"] for r in shop.requests]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


def test_a_keyed_write_that_stays_unanswered_is_unknown(connect: Any) -> None:
    shop = Shop(refusal(500, "oops"), refusal(429, "busy"))
    with pytest.raises(OutcomeUnknown):
        connect(shop, retries=1).execute("EXEC shop.sales.orders.pay @order_id='a'")
    assert len(shop.requests) == 2


def test_a_wait_beyond_the_time_of_a_call_is_an_error_at_once(connect: Any) -> None:
    shop = Shop(refusal(429, "busy", retry_after="360"))
    with pytest.raises(RateLimited, match="asks to wait 360 s, and a call may take 120 s") as caught:
        connect(shop).execute(ONE)
    assert len(shop.requests) == 1
    assert caught.value.code == "busy"


def test_what_was_waited_for_is_told_by_reason(connect: Any) -> None:
    seen: list[Exchange] = []
    shop = Shop(refusal(429, "busy", retry_after_ms="30"), refusal(422, "later"), GOOD)
    cursor = connect(shop, trace=seen.append).execute(ONE)
    waits = cursor.report.waits
    assert waits.retry_after >= 0.03
    assert waits.backoff > 0
    assert cursor.report.waited == pytest.approx(waits.total)
    assert [(e.waits.retry_after > 0, e.waits.backoff > 0) for e in seen] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_an_answer_that_says_nothing_is_left_holds_the_next_request_back(connect: Any) -> None:
    limits = "waits: [{header: x-reset, unit: milliseconds, when: {x-remaining: '^0$'}}]"
    last = httpx.Response(200, headers={"x-remaining": "0", "x-reset": "500"}, json={"id": "a", "state": "open"})
    conn = connect(Shop(last, GOOD), limits)
    conn.execute(ONE)
    assert conn.execute(ONE).report.waits.retry_after > 0


def test_a_budget_in_time_is_kept_and_told(connect: Any) -> None:
    conn = connect(Shop(GOOD), "account: {requests: 3, per: second}")
    cursor = conn.execute("SELECT count(*) FROM shop.sales.orders WHERE id IN ('a', 'b', 'c', 'd')")
    assert cursor.report.requests == 4
    assert cursor.report.waits.limit > 0.5


def test_connections_to_one_account_share_its_budget(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text(
        """
        provider: desk
        base_url: {default: 'https://desk.example', env: DESK_URL}
        auth: {type: bearer, env: DESK_KEY}
        headers: {OpenAI-Beta: assistants=v2}
        answers: [{status: [400, 404], means: no_rows}]
        limits: {account: {in_flight: 3}}
        ---
        service: help
        resources:
          people:
            key: {id: person}
            fields: {id: {type: string}}
            methods: {get: {sql: SELECT, http: 'GET /assistants/{person}'}}
        """.replace("\n        ", "\n"),
        encoding="utf-8",
    )
    sql = "SELECT count(*) FROM desk.help.people WHERE id IN ('a', 'b', 'c', 'd', 'e', 'f')"
    manifests = [tmp_path / "desk.yaml"]
    with Emulator(latency=0.01) as emulator, ExitStack() as stack:
        environ = {"DESK_URL": emulator.base_url, "DESK_KEY": "not-a-real-key"}
        conns = [stack.enter_context(provider.connect(manifests=manifests, environ=environ)) for _ in range(4)]
        threads = [threading.Thread(target=conn.execute, args=(sql,)) for conn in conns]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(emulator.requests) == 24
        assert emulator.max_in_flight == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"errors": [{"detail": "no stock", "code": "E1"}, {"detail": "too late"}]}, "\n  > no stock"),
        ({"errors": []}, '\n  > {"errors": []}'),
        ({"errors": {"detail": "x"}}, '\n  > {"errors": {"detail": "x"}}'),
    ],
)
def test_an_errors_words_may_lie_in_an_array(tmp_path: Path, body: Any, said: str) -> None:
    manifest = MANIFEST.replace("LIMITS", "{}").replace("{message: $.error.message,", "{message: '$.errors[0].detail',")
    manifest = manifest.replace("{$.error: '.'}", "{'$.errors[0].code': '.'}")
    file = tmp_path / "shop.yaml"
    file.write_text(manifest, encoding="utf-8")
    with (
        web_server(lambda _: Reply(200 if "errors" in body and "E1" in str(body) else 400, body)) as server,
        provider.connect(manifests=[file], base_urls={"shop": server.url}) as connection,
        pytest.raises(ApiError) as raised,
    ):
        connection.execute("SELECT id FROM shop.sales.orders WHERE order_id = 'o1'")
    assert said in str(raised.value)


def test_what_an_account_was_refused_counts_for_its_other_connections_and_for_no_other_account(tmp_path: Path) -> None:
    together, refusing = threading.Barrier(8), [True]

    def busy(request: Seen) -> Reply:
        if refusing[0]:
            together.wait(10)
            refusing[0] = False
            return Reply(429, {"error": "not so fast"})
        if request.bearer == "another-key":
            together.wait(10)  # all eight are in flight
        return shop.orders(request)

    auth, ids = "{type: bearer, env: KEY}", ", ".join(f"'o{n}'" for n in range(8))
    sql = f"SELECT count(*) FROM shop.sales.orders WHERE order_id IN ({ids})"
    with ExitStack() as stack:
        server = stack.enter_context(web_server(busy))
        first, second, other = (
            stack.enter_context(shop.connect(tmp_path, server.url, auth, {"KEY": key}, max_concurrency=8))
            for key in ("refused-key", "refused-key", "another-key")
        )
        assert first.execute(sql).report.requests == 16
        assert second.execute(sql).report.waits.limit > 0
        assert other.execute(sql).report.waits.limit == 0
