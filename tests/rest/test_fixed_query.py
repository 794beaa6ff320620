"""Query parameters that a provider wants in every request, such as Azure's `api-version`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import provider
from tests.rest.webserver import Reply, Seen, WebServer, web_server

MANIFEST = """
provider: shop
base_url: {{default: '{url}'}}
query: {{api-version: v1, tenant: a&b}}
pagination:
  cursor: {{kind: cursor, param: after, next: $.next, size: {{param: limit, max: 2}}}}
---
service: sales
versions: {{default: v2, all: [v1, v2]}}
query: {{api-version: 'sales-{{version}}'}}
resources:
  orders:
    key: {{id: order_id}}
    fields: {{id: {{type: string}}}}
    methods:
      get_order: {{sql: SELECT, http: 'GET /orders/{{order_id}}'}}
      list_orders: {{sql: SELECT, http: GET /orders, rows: $.data, paginate: cursor}}
      create_order: {{sql: INSERT, http: POST /orders, body: {{id: {{type: string}}}}}}
      old_orders: {{sql: EXEC, http: GET /old, rows: $.data, query: {{api-version: {{type: string}}}}}}
"""
FIXED = {"api-version": "sales-v2", "tenant": "a&b"}


def answer(seen: Seen) -> Reply:
    if seen.path == "/orders" and seen.method == "GET":
        return Reply(body={"data": [{"id": "a"}], "next": None if "after" in seen.query else "a"})
    return Reply(body={"data": []} if seen.path == "/old" else {"id": "a"})


@pytest.fixture
def shop() -> Iterator[WebServer]:
    with web_server(answer) as running:
        yield running


@pytest.fixture
def conn(shop: WebServer, tmp_path: Path) -> Iterator[provider.Connection]:
    file = tmp_path / "shop.yaml"
    file.write_text(MANIFEST.format(url=shop.url), encoding="utf-8")
    with provider.connect(manifests=[file], environ={}) as opened:
        yield opened


@pytest.mark.parametrize(
    ("sql", "further"),
    [
        ("SELECT id FROM shop.sales.orders WHERE id = 'a'", [{}]),
        ("SELECT id FROM shop.sales.orders", [{"limit": "2"}, {"limit": "2", "after": "a"}]),
        ("INSERT INTO shop.sales.orders (id) VALUES ('a')", [{}]),
    ],
)
def test_each_request_has_them(
    conn: provider.Connection, shop: WebServer, sql: str, further: list[dict[str, str]]
) -> None:
    conn.execute(sql)
    assert [request.query for request in shop.requests] == [{**FIXED, **more} for more in further]


def test_a_method_that_has_one_of_that_name_sets_its_own(conn: provider.Connection, shop: WebServer) -> None:
    conn.execute("EXEC shop.sales.orders.old_orders @\"api-version\"='v0'").fetchall()
    conn.execute("EXEC shop.sales.orders.old_orders").fetchall()
    assert [request.query for request in shop.requests] == [{"tenant": "a&b", "api-version": "v0"}, {"tenant": "a&b"}]


def test_explain_shows_them(conn: provider.Connection) -> None:
    assert "GET /orders?api-version=sales-v2&tenant=a%26b&limit=2" in conn.explain("SELECT id FROM shop.sales.orders")
