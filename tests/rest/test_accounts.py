"""Several accounts of one provider in one connection."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import provider
from provider.errors import AuthError, BindError, DataError, InterfaceError
from tests.rest.shop import connect
from tests.rest.webserver import Reply, Seen, WebServer, web_server

BEARER = "{type: bearer, env: SHOP_KEY}"
ACCOUNTS = {"work": {"SHOP_KEY": "work-key"}, "home": {"SHOP_KEY": "home-key"}}
#: Orders by the key that may see them. Both accounts have an `o1`, and `account` in an answer means something else.
ORDERS = {
    "work-key": [{"id": "o1", "state": "open", "account": "x"}, {"id": "o2", "state": "paid", "account": "x"}],
    "home-key": [{"id": "o1", "state": "sent", "account": "x"}],
}


def answer(request: Seen) -> Reply:
    orders = ORDERS.get(request.bearer or "")
    if orders is None:
        return Reply(401, {"error": f"who is {request.bearer}"})
    match request.method, request.path.split("/")[1:]:
        case "GET", ["orders"]:
            return Reply(body={"data": orders})
        case "GET", ["orders", key]:
            found = [o for o in orders if o["id"] == key]
            return Reply(body=found[0]) if found else Reply(404, {"error": "no such order"})
        case "POST", ["orders"]:
            return Reply(201, {"id": "o9", "state": "open"})
        case "PATCH", ["orders", key]:
            return Reply(body={"id": key, "state": "changed"})
    return Reply(500)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(answer) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, server: WebServer) -> Iterator[provider.Connection]:
    missing = "answers: [{status: [404], means: no_rows}]"
    with connect(tmp_path, server.url, BEARER, {"SHOP_KEY": "nobody-s"}, missing, accounts={"shop": ACCOUNTS}) as conn:
        yield conn


def asked(server: WebServer) -> list[str]:
    """Who asked for what, sorted."""
    return sorted(f"{(r.bearer or '').removesuffix('-key')} {r.method} {r.path}" for r in server.requests)


def rows(conn: provider.Connection, sql: str, parameters: Any = None) -> list[Any]:
    return conn.execute(sql, parameters).fetchall()


def test_one_query_reads_all_accounts(shop: provider.Connection, server: WebServer) -> None:
    found = rows(shop, "SELECT account, count(*) FROM shop.sales.orders GROUP BY account ORDER BY account")
    assert found == [("home", 1), ("work", 2)]
    assert asked(server) == ["home GET /orders", "work GET /orders"]


def test_the_account_is_the_last_column_of_a_resource(shop: provider.Connection) -> None:
    cursor = shop.execute("SELECT * FROM shop.sales.orders ORDER BY ALL")
    assert [d[0] for d in cursor.description or ()] == ["id", "state", "account"]
    assert cursor.fetchall() == [("o1", "open", "work"), ("o1", "sent", "home"), ("o2", "paid", "work")]
    assert "account" in [row[0] for row in rows(shop, "DESCRIBE shop.sales.orders")]


@pytest.mark.parametrize(
    ("where", "parameters", "expected"),
    [
        ("account = 'work'", None, ["work"]),
        ("account = ?", ["home"], ["home"]),
        ("account IN ('work', 'home')", None, ["home", "work"]),
        ("account = 'nobody'", None, []),
        ("account <> 'work'", None, ["home", "work"]),
        ("account = (SELECT 'work')", None, ["work"]),
        ("state = 'open'", None, ["home", "work"]),
    ],
)
def test_a_condition_on_the_account_narrows_who_asks(
    shop: provider.Connection, server: WebServer, where: str, parameters: Any, expected: list[str]
) -> None:
    found = rows(shop, f"SELECT id, state, account FROM shop.sales.orders WHERE {where} ORDER BY ALL", parameters)
    judged = [
        (o["id"], o["state"], name)
        for name, variables in ACCOUNTS.items()
        for o in ORDERS[variables["SHOP_KEY"]]
        if (where != "state = 'open'" or o["state"] == "open")
        and (where != "account <> 'work'" or name != "work")
        and name in expected
    ]
    assert found == sorted(judged)
    assert asked(server) == [f"{name} GET /orders" for name in expected]


def test_a_key_is_looked_up_in_every_account_that_may_have_it(shop: provider.Connection, server: WebServer) -> None:
    assert rows(shop, "SELECT account, state FROM shop.sales.orders WHERE id = 'o2'") == [("work", "paid")]
    assert asked(server) == ["home GET /orders/o2", "work GET /orders/o2"]


def test_a_join_on_the_account_asks_each_account_for_its_own(shop: provider.Connection, server: WebServer) -> None:
    sql = """
        SELECT a.account, b.state FROM shop.sales.orders a
        JOIN shop.sales.orders.get_order b ON b.order_id = a.id AND b.account = a.account
        ORDER BY ALL
    """
    assert rows(shop, sql) == [("home", "sent"), ("work", "open"), ("work", "paid")]
    assert asked(server) == [
        "home GET /orders",
        "home GET /orders/o1",
        "work GET /orders",
        "work GET /orders/o1",
        "work GET /orders/o2",
    ]


def test_a_new_object_needs_to_know_whose_it_is(shop: provider.Connection, server: WebServer) -> None:
    with pytest.raises(BindError, match=r"shop\.sales\.orders needs account"):
        shop.execute("INSERT INTO shop.sales.orders (state) VALUES ('open')")
    with pytest.raises(DataError, match="account cannot be 'wrok': it takes work, home"):
        shop.execute("INSERT INTO shop.sales.orders (account, state) VALUES ('wrok', 'open')")
    assert server.requests == []
    shop.execute("INSERT INTO shop.sales.orders (account, state) VALUES ('home', 'open'), ('work', 'open')")
    assert asked(server) == ["home POST /orders", "work POST /orders"]


def test_a_change_reaches_the_accounts_whose_rows_fit(shop: provider.Connection, server: WebServer) -> None:
    shop.execute("UPDATE shop.sales.orders SET state = 'x' WHERE account = 'work' AND order_id = 'o1'")
    assert asked(server) == ["work PATCH /orders/o1"]
    server.requests.clear()
    shop.execute("UPDATE shop.sales.orders SET state = 'x' WHERE state IN ('open', 'sent')")
    assert [line for line in asked(server) if "PATCH" in line] == ["home PATCH /orders/o1", "work PATCH /orders/o1"]


def test_a_plan_tells_the_accounts(shop: provider.Connection, server: WebServer) -> None:
    text = shop.explain("SELECT id FROM shop.sales.orders")
    assert "account" in text
    assert "'work'" in text
    assert server.requests == []


def test_each_account_has_its_own_requests_in_flight(tmp_path: Path) -> None:
    """Four requests of each account meet at the server, so that neither waits for the other."""
    together = threading.Barrier(8)

    def meet(request: Seen) -> Reply:
        together.wait(10)
        return Reply(body={"id": request.path.rsplit("/", 1)[1], "state": request.bearer})

    options: dict[str, Any] = {"accounts": {"shop": ACCOUNTS}, "max_concurrency": 4}
    with web_server(meet) as server, connect(tmp_path, server.url, BEARER, {}, **options) as conn:
        sql = "SELECT account, state FROM shop.sales.orders WHERE id IN ('a', 'b', 'c', 'd')"
        found = Counter(conn.execute(sql).fetchall())
    assert found == {("work", "work-key"): 4, ("home", "home-key"): 4}


def test_an_account_never_falls_back_on_the_key_of_the_environment(tmp_path: Path, server: WebServer) -> None:
    accounts = {"shop": {"work": {"SHOP_URL": server.url}}}
    with (
        connect(tmp_path, "http://127.0.0.1:9", BEARER, {"SHOP_KEY": "work-key"}, accounts=accounts) as conn,
        pytest.raises(InterfaceError, match="no credentials for shop/work: SHOP_KEY is not set"),
    ):
        conn.execute("SELECT id FROM shop.sales.orders")
    assert server.requests == []


def test_an_account_may_have_a_base_url_of_its_own(tmp_path: Path, server: WebServer) -> None:
    accounts = {"shop": {"work": {"SHOP_URL": server.url, "SHOP_KEY": "work-key"}}}
    with connect(tmp_path, "http://127.0.0.1:9", BEARER, {}, accounts=accounts) as conn:
        assert len(rows(conn, "SELECT id FROM shop.sales.orders")) == 2


def test_a_refusal_of_one_account_shows_the_key_of_none(tmp_path: Path, server: WebServer) -> None:
    accounts = {"shop": {**ACCOUNTS, "old": {"SHOP_KEY": "old-key-of-mine"}}}
    with (
        connect(tmp_path, server.url, BEARER, {}, accounts=accounts) as conn,
        pytest.raises(AuthError, match="401") as caught,
    ):
        conn.execute("SELECT id FROM shop.sales.orders")
    assert "old-key-of-mine" not in str(caught.value)
    assert str(caught.value).count("It is about the account old of shop.") == 1


def test_an_api_s_own_account_field_keeps_its_name(tmp_path: Path, server: WebServer) -> None:
    connect(tmp_path, server.url, BEARER, {}).close()
    file = tmp_path / "shop.yaml"
    file.write_text(file.read_text().replace("fields: {", "fields: {account: {type: string}, "))
    with provider.connect(manifests=[file], environ={}, accounts={"shop": ACCOUNTS}) as conn:
        found = rows(conn, "SELECT DISTINCT account, _account FROM shop.sales.orders ORDER BY ALL")
    assert found == [("x", "home"), ("x", "work")]


@pytest.mark.parametrize(
    ("accounts", "error", "words"),
    [
        ({"shpo": {}}, BindError, 'no provider "shpo" for accounts'),
        ({"shop": {"a/b": {}}}, InterfaceError, '"a/b" is no name'),
        ({"shop": {"work": {"SHOP_KYE": "x"}}}, InterfaceError, 'shop has no variable "SHOP_KYE"'),
    ],
)
def test_what_could_not_be_meant_is_refused(tmp_path: Path, accounts: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        connect(tmp_path, "http://127.0.0.1:9", BEARER, {}, accounts=accounts)


def test_without_accounts_there_is_no_such_column(tmp_path: Path, server: WebServer) -> None:
    with (
        connect(tmp_path, server.url, BEARER, {"SHOP_KEY": "work-key"}) as conn,
        pytest.raises(BindError, match="account"),
    ):
        conn.execute("SELECT account FROM shop.sales.orders")
