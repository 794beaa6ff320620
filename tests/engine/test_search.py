"""Lists that are read by POST: what is looked for, and where a page begins, stand in a JSON body."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import provider
from provider.errors import BindError, ManifestError
from tests.rest.webserver import Reply, Seen, WebServer, web_server

MANIFEST = """\
provider: shop
base_url: {default: http://127.0.0.1:9}
pagination: {pages: PAGES}
---
service: sales
resources:
  orders:
    fields: {id: {type: string}, n: {type: integer}, state: {type: string}}
    methods:
      search_orders:
        sql: SELECT
        http: POST /orders/search
        rows: $.data
        paginate: pages
        body:
          begin: {type: integer, REQUIRED}
          end: {type: integer, REQUIRED}
          n: {type: integer}
          word: {type: string, name: full_text}
          filter: {type: object}
        pushdown: {n: {param: n, match: exact}}
"""
SIZE = "size: {param: limit, max: 10}"
KINDS = {
    "cursor": f"{{kind: cursor, in: body, param: at, next: $.next, {SIZE}}}",
    "header_cursor": f"{{kind: header_cursor, in: body, param: at, header: X-Next, {SIZE}}}",
    "keyset": f"{{kind: keyset, in: body, param: last, field: id, ends: short_page, {SIZE}}}",
    "offset": f"{{kind: offset, in: body, param: at, ends: total, total: $.total, {SIZE}}}",
    "page_number": f"{{kind: page_number, in: body, param: page, ends: short_page, {SIZE}}}",
    "json_link": f"{{kind: json_link, in: body, next: $.link, {SIZE}}}",
    "header_link": f"{{kind: header_link, in: body, {SIZE}}}",
    "time_window": "{kind: time_window, in: body, from: begin, to: end, step: 10}",
}
ROWS = [{"id": f"r{n:02}", "n": n, "state": "open"} for n in range(25)]


def search(request: Seen) -> Reply:
    """Takes everything from the body, but for where a link begins."""
    body = json.loads(request.body)
    found = [
        r for r in ROWS if body.get("begin", 0) <= r["n"] < body.get("end", 99) and body.get("n", r["n"]) == r["n"]
    ]
    size = body.get("limit", len(ROWS))
    start = int(body.get("at", request.query.get("at", 0))) + (body.get("page", 1) - 1) * size
    if "last" in body:
        start = next(i for i, row in enumerate(found, 1) if row["id"] == body["last"])
    following = str(start + size) if start + size < len(found) else None
    link = f"/orders/search?at={following}" if following else None
    headers = {"X-Next": following, "Link": f'<{link}>; rel="next"'} if following else {}
    data = found[start : start + size]
    return Reply(200, {"data": data, "next": following, "link": link, "total": len(found)}, headers)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(search) as running:
        yield running


Shop = Callable[..., provider.Connection]


@pytest.fixture
def shop(tmp_path: Path, server: WebServer) -> Iterator[Shop]:
    opened: list[provider.Connection] = []

    def connect(kind: str, **options: Any) -> provider.Connection:
        required = "required: true" if kind == "time_window" else "description: a bound"
        manifest = MANIFEST.replace("PAGES", KINDS[kind]).replace("REQUIRED", required)
        (tmp_path / "shop.yaml").write_text(manifest, encoding="utf-8")
        urls = {"shop": server.url}
        opened.append(provider.connect(manifests=[tmp_path / "shop.yaml"], base_urls=urls, environ={}, **options))
        return opened[-1]

    yield connect
    for conn in opened:
        conn.close()


def bodies(server: WebServer) -> list[Any]:
    return [json.loads(r.body) for r in server.requests]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_page_is_asked_for_in_the_body(shop: Shop, server: WebServer, kind: str) -> None:
    where = 'WHERE begin = 0 AND "end" = 25'
    found = shop(kind).execute(f"SELECT count(*), count(DISTINCT id) FROM shop.sales.orders {where}").fetchall()
    assert found == [(25, 25)]
    assert len(server.requests) == 3
    assert all(body["begin"] < body["end"] for body in bodies(server))


@pytest.mark.parametrize(
    ("where", "asked", "count"),
    [
        ("begin = 5 AND \"end\" = '9'", {"begin": 5, "end": 9}, 4),
        ("n = 7", {"n": 7}, 1),
        ("n = 7 AND state = 'shut'", {"n": 7}, 0),
        ("word = 'a \"b\"'", {"full_text": 'a "b"'}, 25),
        ("filter = '{\"a\": [1.50]}'", {"filter": {"a": [1.5]}}, 25),
    ],
)
def test_a_parameter_of_the_body_is_bound_as_any_other(
    shop: Shop, server: WebServer, where: str, asked: dict[str, Any], count: int
) -> None:
    assert shop("cursor").execute(f"SELECT count(*) FROM shop.sales.orders WHERE {where}").fetchall() == [(count,)]
    assert bodies(server)[0] == asked | {"limit": 10}


def test_a_parameter_of_the_body_is_bound_by_a_join_and_is_a_column(shop: Shop, server: WebServer) -> None:
    sql = """
        SELECT k.b, o.begin, o.n FROM (VALUES (3, 5), (8, 9)) k(b, e)
        JOIN shop.sales.orders o ON o.begin = k.b AND o."end" = k.e ORDER BY ALL
    """
    assert shop("time_window").execute(sql).fetchall() == [(3, 3, 3), (3, 3, 4), (8, 8, 8)]
    assert sorted(body["begin"] for body in bodies(server)) == [3, 8]


def test_a_wider_search_in_the_cache_answers_a_narrower_one(shop: Shop, server: WebServer) -> None:
    conn = shop("cursor", cache="5m")
    assert len(conn.execute("SELECT id FROM shop.sales.orders").fetchall()) == 25
    server.requests.clear()
    assert conn.execute("SELECT id FROM shop.sales.orders WHERE n = 7").fetchall() == [("r07",)]
    assert len(conn.execute("SELECT n FROM shop.sales.orders ORDER BY n DESC LIMIT 3").fetchall()) == 3
    assert server.requests == []
    assert conn.execute("SELECT id FROM shop.sales.orders WHERE word = 'x' AND n = 7").fetchall() == [("r07",)]
    assert bodies(server) == [{"full_text": "x", "n": 7, "limit": 10}]


def test_an_object_that_is_none_is_an_error(shop: Shop, server: WebServer) -> None:
    with pytest.raises(BindError, match="cannot be the filter of"):
        shop("cursor").execute("SELECT id FROM shop.sales.orders WHERE filter = '[1]'")
    assert server.requests == []


def test_a_name_stands_for_one_parameter(tmp_path: Path) -> None:
    manifest = MANIFEST.replace("PAGES", KINDS["cursor"]).replace("REQUIRED", "required: true")
    (tmp_path / "shop.yaml").write_text(manifest + "        query: {word: {}}\n", encoding="utf-8")
    with (
        provider.connect(manifests=[tmp_path / "shop.yaml"]) as conn,
        pytest.raises(ManifestError, match='have a parameter "word" too; give one of them another name'),
    ):
        conn.execute("SELECT * FROM shop.sales.orders")


def test_a_bound_that_nothing_binds_is_named_with_what_would_do(shop: Shop, server: WebServer) -> None:
    with pytest.raises(BindError) as raised:
        shop("time_window").execute("SELECT id FROM shop.sales.orders WHERE begin = 3")
    assert raised.value.summary == "shop.sales.orders needs end"
    assert server.requests == []
