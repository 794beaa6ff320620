"""The cache: what it answers, what it never answers, and what drops it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from provider.engine.cache import Cache, Scope, Unit
from provider.engine.connection import Connection
from provider.errors import ApiError, BindError, CoercionError, DataError, Error, InterfaceError, ProgrammingError
from provider.rest.pagination import Answer
from provider.rest.request import Call
from tests.rest.webserver import Reply, Seen, WebServer, web_server

MANIFEST = """
provider: shop
base_url: {default: 'http://127.0.0.1:1', env: SHOP_URL}
auth: {type: bearer, env: SHOP_KEY}
errors: {message: $.error}
answers: [{status: [404], means: no_rows}]
pagination:
  cursor: {kind: cursor, param: after, next: $.next, size: {param: limit, max: 100}}
  offset: {kind: offset, param: offset, ends: total, total: $.total, size: {param: limit, max: 2}}
  link: {kind: header_link}
---
service: s
resources:
  items:
    key: {id: item_id}
    fields: {id: {type: string}, n: {type: integer}, kind: {type: string}, state: {type: string}}
    methods:
      get_item: {sql: SELECT, http: 'GET /items/{item_id}'}
      list_items:
        sql: SELECT
        http: GET /items
        rows: $.data
        paginate: cursor
        query:
          kind: {type: string}
          n: {type: integer}
          state: {type: string, default: open}
          word: {type: string}
        pushdown:
          kind: {param: kind, match: exact}
          n: {param: n, match: superset}
          state: {param: state, match: exact}
      add_item: {sql: INSERT, http: POST /items, body: {n: {type: integer}, kind: {type: string}}}
      change_item: {sql: UPDATE, http: 'PATCH /items/{item_id}', body: {n: {type: integer}}}
      drop_item: {sql: DELETE, http: 'DELETE /items/{item_id}'}
      stir: {sql: EXEC, http: 'POST /items/{item_id}/stir', returns: {}}
      look: {sql: EXEC, http: 'GET /items/{item_id}/look', returns: {}}
  wholes:
    key: {id: whole_id}
    fields: {id: {type: string}, n: {type: integer}, kind: {type: string}}
    methods:
      get_whole: {sql: SELECT, http: 'GET /items/{whole_id}'}
      list_wholes: {sql: SELECT, http: GET /items, rows: $.data, paginate: cursor, whole_objects: true}
      change_whole: {sql: UPDATE, http: 'PATCH /items/{whole_id}', body: {n: {type: integer}}}
  fresh_wholes:
    key: {id: whole_id}
    fields: {id: {type: string}}
    methods:
      get_fresh_whole: {sql: SELECT, http: 'GET /items/{whole_id}', cache: 0s}
      list_fresh_wholes: {sql: SELECT, http: GET /items, rows: $.data, paginate: cursor, whole_objects: true}
  numbered:
    key: {n: number}
    fields: {n: {type: integer}, id: {type: string}}
    methods:
      get_numbered: {sql: SELECT, http: 'GET /items/{number}', path: {number: {type: integer}}}
      list_numbered: {sql: SELECT, http: GET /items, rows: $.data, paginate: cursor, whole_objects: true}
  parts:
    fields: {id: {type: string}, item_id: {type: string}}
    methods:
      list_parts: {sql: SELECT, http: 'GET /items/{item_id}/parts', rows: $.data, paginate: cursor}
  others:
    cache: 10s
    fields: {id: {type: string}}
    methods:
      list_others: {sql: SELECT, http: GET /others, rows: $.data, paginate: link}
      get_other: {sql: SELECT, http: 'GET /others/{id}', cache: 0s}
  counted:
    key: {id: id}
    fields: {id: {type: string}}
    methods:
      list_counted: {sql: SELECT, http: GET /counted, rows: $.data, paginate: offset}
"""


@dataclass
class Shop:
    """The API: items of which the list has two a page, and what a test makes go wrong."""

    items: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {f"i{n}": {"id": f"i{n}", "n": n, "kind": "ab"[n % 2]} for n in range(6)}
    )
    tags: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    fails: Callable[[Seen], Reply | None] = lambda _: None

    def __call__(self, seen: Seen) -> Reply:
        failure = self.fails(seen)
        if failure is not None:
            return failure
        _, name, *rest = seen.path.split("/")
        if seen.method != "GET":
            return self._change(seen, rest)
        reply = self._read(seen, name, rest)
        reply = Reply(reply.status, reply.body, {**reply.headers, **self.headers})
        if self.tags and reply.status == 200:
            tag = f'"{abs(hash(repr((reply.body, sorted(reply.headers.items())))))}"'
            if seen.headers.get("if-none-match") == tag:
                return Reply(304, b"", {"ETag": tag})
            return Reply(200, reply.body, {**reply.headers, "ETag": tag})
        return reply

    def _change(self, seen: Seen, rest: list[str]) -> Reply:
        if seen.method == "POST" and not rest:
            self.items["new"] = {"id": "new", "n": 9, "kind": "a"}
            return Reply(201, self.items["new"])
        if seen.method == "DELETE":
            self.items.pop(rest[0], None)
            return Reply(204, b"")
        self.items[rest[0]]["n"] += 100
        return Reply(200, self.items[rest[0]])

    def _read(self, seen: Seen, name: str, rest: list[str]) -> Reply:
        if name == "items" and len(rest) == 1:
            return Reply(200, self.items[rest[0]]) if rest[0] in self.items else Reply(404, {"error": "none"})
        if name == "others":
            if rest:
                return Reply(200, {"id": rest[0]})
            link = {"Link": '</others?page=2>; rel="next"'} if seen.query.get("page") != "2" else {}
            return Reply(200, {"data": [{"id": seen.query.get("page", "1")}]}, link)
        if name == "counted":
            start = int(seen.query["offset"])
            return Reply(200, {"data": [{"id": str(i)} for i in range(start, min(start + 2, 5))], "total": 5})
        found = [{"id": f"p{rest[0]}", "item_id": rest[0]}] if rest else list(self.items.values())
        for wire in ("kind", "n", "state"):
            if wire in seen.query:
                found = [i for i in found if str(i.get(wire)) == seen.query[wire]]
        start = int(seen.query.get("after", 0))
        more = start + 2 < len(found)
        return Reply(200, {"data": found[start : start + 2], "next": str(start + 2) if more else None})


@dataclass
class World:
    """An API, its server, and connections to it under one clock."""

    shop: Shop
    server: WebServer
    folder: Path
    opened: list[Connection] = field(default_factory=list)
    now: float = 1_000_000.0

    def connect(self, database: str = ":memory:", *, key: str = "key-of-somebody", **options: Any) -> Connection:
        given: dict[str, Any] = {
            "cache": "5m",
            "retries": 0,
            "environ": {"SHOP_URL": self.server.url, "SHOP_KEY": key},
        } | options
        manifests = [self.folder / "shop.yaml"]
        self.opened.append(Connection(database, manifests=manifests, clock=lambda: self.now, **given))
        return self.opened[-1]

    def sent(self) -> list[str]:
        """What arrived since the last look."""
        found = [f"{r.method} {r.target}" for r in self.server.requests]
        self.server.requests.clear()
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "shop.yaml").write_text(MANIFEST, encoding="utf-8")
    shop = Shop()
    with web_server(shop) as server:
        world = World(shop, server, tmp_path)
        yield world
        for conn in world.opened:
            conn.close()


ALL = "SELECT id, n FROM shop.s.items ORDER BY id"


def test_is_off_unless_somebody_says_so(world: World) -> None:
    conn = world.connect(cache="off")
    first = conn.execute(ALL).fetchall()
    assert conn.execute(ALL).fetchall() == first
    assert len(world.sent()) == 6


def test_second_reading_sends_nothing_until_the_time_is_over(world: World) -> None:
    conn = world.connect()
    first = conn.execute(ALL).fetchall()
    assert len(world.sent()) == 3
    world.now += 299
    cur = conn.execute(ALL)
    assert (cur.fetchall(), world.sent()) == (first, [])
    (scan,) = cur.report.scans
    assert (scan.cached, scan.age, scan.requests, cur.report.cached) == (1, 299, 0, 1)
    world.now += 1
    cur = conn.execute(ALL)
    assert (cur.fetchall(), cur.report.cached, len(world.sent())) == (first, 0, 3)


def test_clock_that_was_set_back_makes_nothing_fresh(world: World) -> None:
    conn = world.connect()
    conn.execute(ALL)
    world.now -= 3_600
    world.sent()
    assert conn.execute(ALL).report.cached == 0
    assert len(world.sent()) == 3


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT kind, state FROM shop.s.items",  # other fields
        "SELECT count(*) FROM shop.s.items",  # none
        "SELECT id FROM shop.s.items LIMIT 1",  # another page size
        "SELECT id FROM shop.s.items WHERE kind = 'a'",
        "SELECT id FROM shop.s.items WHERE kind IN ('a', 'b', 'c') AND n > 1",
        "SELECT i.id FROM shop.s.items i JOIN (VALUES ('a'), ('b'), ('a')) k(kind) USING (kind)",
        "SELECT a.id FROM shop.s.items a JOIN shop.s.items b ON b.kind = a.kind WHERE a.kind = 'b'",
    ],
)
def test_whole_list_serves_what_is_narrower(world: World, sql: str) -> None:
    cold, warm = world.connect(cache="off"), world.connect()
    expected = sorted(map(repr, cold.execute(sql).fetchall()))
    warm.execute(ALL)
    world.sent()
    assert sorted(map(repr, warm.execute(sql).fetchall())) in ([expected] if "LIMIT" not in sql else [["('i0',)"]])
    assert world.sent() == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM shop.s.items WHERE n = 3",  # a superset: nobody says that the list without it has its rows
        "SELECT id FROM shop.s.items WHERE state = 'closed'",  # without it, the API means 'open'
        "SELECT id FROM shop.s.items WHERE word = 'x'",  # no field can tell
        "SELECT id FROM shop.s.items WHERE kind = 'a' AND word = 'x'",
        "SELECT id FROM shop.s.items WHERE item_id = 'i1'",  # another method
    ],
)
def test_whole_list_does_not_serve_what_is_something_else(world: World, sql: str) -> None:
    conn = world.connect()
    conn.execute(ALL)
    world.sent()
    assert conn.execute(sql).report.cached == 0
    assert world.sent() != []


WHOLES = "SELECT id FROM shop.s.wholes"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT id, n, kind FROM shop.s.wholes WHERE id = 'i3'", [("i3", 3, "b")]),
        ("SELECT n FROM shop.s.wholes WHERE whole_id = 'i0' AND kind = 'b'", []),
        (
            "SELECT w.id, w.n FROM (VALUES ('i1'), ('i4'), ('i1')) k(id) JOIN shop.s.wholes w ON w.id = k.id",
            [("i1", 1), ("i1", 1), ("i4", 4)],
        ),
        ("SELECT id FROM shop.s.numbered WHERE n IN (1, 5)", [("i1",), ("i5",)]),
    ],
)
def test_list_of_whole_objects_serves_each_of_them(world: World, sql: str, expected: list[Any]) -> None:
    conn = world.connect()
    conn.execute(WHOLES)
    conn.execute("SELECT id FROM shop.s.numbered")
    world.now += 7
    world.sent()
    cur = conn.execute(sql)
    assert (sorted(cur.fetchall()), world.sent()) == (expected, [])
    assert cur.report.scans[0].age == 7
    assert any("cache" in line for (line,) in conn.execute(f"EXPLAIN ANALYZE {sql}").fetchall())


@pytest.mark.parametrize(
    ("first", "sql", "why"),
    [
        (WHOLES, "SELECT id FROM shop.s.wholes WHERE id = 'i9'", "the list need not have every object"),
        (f"{WHOLES} LIMIT 1", "SELECT id FROM shop.s.wholes WHERE id = 'i0'", "the list was cut short"),
        (ALL, "SELECT id FROM shop.s.items WHERE id = 'i0'", "its rows are not said to be whole objects"),
        ("SELECT id FROM shop.s.fresh_wholes", "SELECT id FROM shop.s.fresh_wholes WHERE id = 'i0'", "cache: 0s"),
    ],
)
def test_object_is_asked_for_where_no_list_may_serve_it(world: World, first: str, sql: str, why: str) -> None:
    conn = world.connect()
    conn.execute(first).fetchall()
    world.sent()
    assert conn.execute(sql).report.cached == 0, why
    assert len(world.sent()) == 1


def test_some_objects_come_from_the_list_and_one_is_asked_for(world: World) -> None:
    conn = world.connect()
    conn.execute(WHOLES)
    world.shop.items["late"] = {"id": "late", "n": 7, "kind": "a"}
    world.sent()
    cur = conn.execute("SELECT id FROM shop.s.wholes WHERE id IN ('i1', 'late', 'i2') ORDER BY id")
    assert (cur.fetchall(), cur.report.cached) == ([("i1",), ("i2",), ("late",)], 2)
    assert world.sent() == ["GET /items/late"]


def test_object_and_list_do_not_go_back_in_time(world: World) -> None:
    conn, one = world.connect(), "SELECT n FROM shop.s.wholes WHERE id = 'i1'"
    conn.execute(one)
    world.shop.items["i1"]["n"] = 2  # by somebody else
    world.now += 10
    assert (2,) in conn.execute("SELECT n FROM shop.s.wholes").fetchall()
    assert conn.execute(one).fetchall() == [(2,)]
    world.now += 280  # too old for what was read first
    cur = conn.execute(one)
    assert (cur.fetchall(), cur.report.cached) == ([(2,)], 1)
    world.now += 20
    world.sent()
    assert (conn.execute(one).report.cached, len(world.sent())) == (0, 1)


def test_object_of_a_list_goes_with_it_when_we_write(world: World) -> None:
    conn = world.connect()
    conn.execute(WHOLES)
    conn.execute("UPDATE shop.s.wholes SET n = 1 WHERE whole_id = 'i1'")
    world.sent()
    assert conn.execute("SELECT n FROM shop.s.wholes WHERE id = 'i1'").fetchall() == [(101,)]
    assert len(world.sent()) == 1


def test_narrow_list_does_not_serve_a_wide_one(world: World) -> None:
    conn = world.connect()
    conn.execute("SELECT id FROM shop.s.items WHERE kind = 'a'")
    world.sent()
    assert len(conn.execute(ALL).fetchall()) == 6
    assert len(world.sent()) == 3
    assert len(conn.execute("SELECT id FROM shop.s.items WHERE kind = 'a'").fetchall()) == 3


def test_many_keys_and_one_of_them_new(world: World) -> None:
    conn = world.connect(max_concurrency=32)
    sql = "SELECT p.id FROM (SELECT 'i' || range AS id FROM range({})) k JOIN shop.s.parts p ON p.item_id = k.id"
    conn.execute(sql.format(40))
    assert len(world.sent()) == 40
    world.now += 12
    cur = conn.execute(sql.format(41))
    assert len(cur.fetchall()) == 41
    assert world.sent() == ["GET /items/i40/parts?limit=100"]
    (scan,) = cur.report.scans
    assert (scan.cached, scan.keys, scan.age) == (40, 41, 12)
    lines = [line for (line,) in conn.execute("EXPLAIN ANALYZE " + sql.format(40)).fetchall()]
    assert "  cache      40 of 40 keys, oldest 12 s" in lines


def test_explain_says_what_would_come_from_the_cache(world: World) -> None:
    conn = world.connect()
    conn.execute(ALL)
    world.sent()
    world.now += 7
    plan = conn.explain("SELECT id FROM shop.s.items WHERE kind = 'a'").split("\n")
    assert "  cache      1 of 1 keys, oldest 7 s" in plan
    assert "cache" not in conn.explain("SELECT id FROM shop.s.items WHERE n = 1")
    conn.execute("SET cache = 'off'")
    assert "cache" not in conn.explain(ALL)
    assert world.sent() == []


def test_view_is_served_and_a_materialized_one_is_read_anew(world: World) -> None:
    conn = world.connect()
    conn.execute("CREATE VIEW v AS SELECT id FROM shop.s.items WHERE kind = 'a'")
    conn.execute("CREATE MATERIALIZED VIEW m AS SELECT id FROM shop.s.items")
    conn.execute("SELECT * FROM v")
    world.sent()
    assert len(conn.execute("SELECT * FROM v").fetchall()) == 3
    assert world.sent() == []
    conn.execute(ALL)
    world.shop.items["more"] = {"id": "more", "n": 1, "kind": "c"}
    conn.execute("REFRESH MATERIALIZED VIEW m")
    assert conn.execute("SELECT count(*) FROM m").fetchone() == (7,)


def test_change_elsewhere_shows_when_the_time_is_over(world: World) -> None:
    conn = world.connect()
    conn.execute(ALL)
    del world.shop.items["i0"]
    assert len(conn.execute(ALL).fetchall()) == 6
    world.now += 300
    assert len(conn.execute(ALL).fetchall()) == 5


@pytest.mark.parametrize("resource", ["others", "counted"])
def test_every_kind_of_page_comes_back(world: World, resource: str) -> None:
    conn = world.connect()
    sql = f"SELECT id FROM shop.s.{resource} ORDER BY id"
    first = conn.execute(sql).fetchall()
    assert world.sent() != []
    assert (conn.execute(sql).fetchall(), world.sent()) == (first, [])


# Times.


def test_manifest_shortens_the_time_and_on_leaves_it_to_the_manifest(world: World) -> None:
    conn = world.connect()
    for setting, lists in (("5m", 1), ("on", 0), ("3s", 1), ("off", 1)):
        conn.execute(f"SET cache = '{setting}'")
        conn.execute("SELECT * FROM shop.s.others")
        assert bool(world.sent()) == bool(lists), setting
        conn.execute("SELECT * FROM shop.s.others WHERE id = 'x'")
        world.sent()
        conn.execute("SELECT * FROM shop.s.others WHERE id = 'x'")
        assert world.sent(), "its manifest says 0s"
        world.now += 5
    conn.execute("SET cache = 'on'")
    conn.execute(ALL)
    world.sent()
    conn.execute(ALL)
    assert len(world.sent()) == 3  # its manifest says nothing


@pytest.mark.parametrize("value", ["5", "m", "-5m", "5 m", "never", ""])
def test_time_that_is_none_is_refused(world: World, value: str) -> None:
    conn = world.connect()
    with pytest.raises(ProgrammingError, match="cache cannot be"):
        conn.execute(f"SET cache = '{value}'")
    with pytest.raises(InterfaceError, match="cache is"):
        world.connect(cache=value)


@pytest.mark.parametrize(
    ("says", "after", "sends"),
    [
        ("max-age=30", 29, 0),
        ("max-age=30", 30, 3),
        ("max-age=999", 299, 0),
        ("max-age=999", 300, 3),
        ("no-cache", 0, 3),
        ("no-store", 0, 3),
        ("private", 299, 0),
    ],
)
def test_what_the_api_says_shortens_the_time(world: World, says: str, after: float, sends: int) -> None:
    world.shop.headers["Cache-Control"] = says
    conn = world.connect()
    conn.execute(ALL)
    world.now += after
    world.sent()
    conn.execute(ALL)
    assert len(world.sent()) == sends


def test_answer_that_must_not_be_kept_leaves_no_trace_in_the_file(world: World) -> None:
    world.shop.headers["Cache-Control"] = "no-store"
    world.shop.items["i0"]["kind"] = "kind-that-nobody-keeps"
    file = world.folder / "data.duckdb"
    with world.connect(str(file)) as conn:
        conn.execute(ALL)
        assert conn.execute("SELECT count(*) FROM apiql_cache.units").fetchall() == [(0,)]
    assert b"kind-that-nobody-keeps" not in file.read_bytes()


def test_answer_that_has_to_be_asked_for_again_is_asked_for_with_its_tag(world: World) -> None:
    world.shop.headers["Cache-Control"] = "no-cache"
    world.shop.tags = True
    conn = world.connect()
    first = conn.execute(ALL).fetchall()
    world.server.requests.clear()
    cur = conn.execute(ALL)
    assert (cur.fetchall(), cur.report.cached) == (first, 0)
    assert all("if-none-match" in r.headers for r in world.server.requests)


def test_refresh_reads_anew(world: World) -> None:
    conn = world.connect()
    others = "SELECT * FROM shop.s.others"
    for refresh, anew in (("REFRESH shop.s.items", 3), ("REFRESH CACHE", 5), ("REFRESH shop.s.parts", 0)):
        conn.execute(ALL)
        conn.execute(others)
        world.sent()
        assert conn.execute(refresh).message == "REFRESH"
        conn.execute(ALL)
        conn.execute(others)
        assert len(world.sent()) == anew, refresh
    conn.execute("USE shop.s")
    conn.execute("refresh items")
    conn.execute(ALL)
    assert len(world.sent()) == 3
    with pytest.raises(BindError, match='no resource "item"'):
        conn.execute("REFRESH shop.s.item")


# What is not whole is not kept.


def test_list_that_was_not_read_to_its_end_is_not_kept(world: World) -> None:
    conn = world.connect()
    conn.execute("SELECT id FROM shop.s.items LIMIT 1")
    world.sent()
    assert len(conn.execute(ALL).fetchall()) == 6
    assert len(world.sent()) == 3


@pytest.mark.parametrize("status", [500, 403, 404, 200])
def test_list_that_fails_on_its_way_is_not_kept(world: World, status: int) -> None:
    conn = world.connect()
    body = b"{" if status == 200 else {"error": "no"}
    world.shop.fails = lambda seen: Reply(status, body) if seen.query.get("after") == "2" else None
    with pytest.raises(Error):
        conn.execute(ALL)
    world.shop.fails = lambda _: None
    world.sent()
    assert len(conn.execute(ALL).fetchall()) == 6
    assert len(world.sent()) == 3


def test_statement_that_fails_keeps_nothing_of_the_failing_list(world: World) -> None:
    conn = world.connect()
    world.shop.items["i5"]["n"] = "five"
    for _ in range(2):
        with pytest.raises(CoercionError):
            conn.execute(ALL)
        assert len(world.sent()) == 3
    world.shop.items["i5"]["n"] = 5
    assert conn.execute(ALL).fetchall()[-1] == ("i5", 5)


def test_missing_object_is_asked_for_again(world: World) -> None:
    conn = world.connect()
    sql = "SELECT n FROM shop.s.items WHERE item_id = 'new'"
    assert conn.execute(sql).fetchall() == []
    world.shop.items["new"] = {"id": "new", "n": 1}
    assert conn.execute(sql).fetchall() == [(1,)]


def test_list_that_changes_while_it_is_read_is_not_kept(world: World) -> None:
    conn = world.connect()
    rows = [[0, 1], [1, 2], [3, 4]]  # an object came, and the second page begins with the last row of the first

    def shifted(seen: Seen) -> Reply | None:
        if seen.path != "/counted" or not rows:
            return None
        return Reply(200, {"data": [{"id": str(i)} for i in rows[int(seen.query["offset"]) // 2]], "total": 6})

    world.shop.fails = shifted
    with pytest.raises(DataError, match="rows"):
        conn.execute("SELECT id FROM shop.s.counted")
    rows.clear()
    assert len(conn.execute("SELECT id FROM shop.s.counted").fetchall()) == 5


# Our own writes.


@pytest.mark.parametrize(
    "write",
    [
        "INSERT INTO shop.s.items (n, kind) VALUES (9, 'a')",
        "UPDATE shop.s.items SET n = 1 WHERE item_id = 'i1'",
        "DELETE FROM shop.s.items WHERE item_id = 'i1'",
        "EXEC shop.s.items.stir @item_id = 'i1'",
    ],
)
def test_write_drops_its_resource_and_what_belongs_to_its_object(world: World, write: str) -> None:
    conn = world.connect()
    parts = "SELECT * FROM shop.s.parts WHERE item_id = 'i1'"
    one = "SELECT * FROM shop.s.items WHERE item_id = 'i2'"
    for sql in (ALL, parts, one, "SELECT * FROM shop.s.others"):
        conn.execute(sql)
    conn.execute(write)
    world.sent()
    assert conn.execute(ALL).fetchall() == world.connect(cache="off").execute(ALL).fetchall()
    world.sent()
    for sql in (parts, one):
        assert conn.execute(sql).report.cached == 0
    assert conn.execute("SELECT * FROM shop.s.others").report.cached == 1


def test_parts_of_other_objects_stay(world: World) -> None:
    conn = world.connect()
    conn.execute("SELECT * FROM shop.s.parts WHERE item_id IN ('i1', 'i11')")
    conn.execute("DELETE FROM shop.s.items WHERE item_id = 'i1'")
    world.sent()
    conn.execute("SELECT * FROM shop.s.parts WHERE item_id IN ('i1', 'i11')")
    assert world.sent() == ["GET /items/i1/parts?limit=100"]


def test_call_that_only_reads_drops_nothing(world: World) -> None:
    conn = world.connect()
    conn.execute(ALL)
    conn.execute("EXEC shop.s.items.look @item_id = 'i1'")
    assert conn.execute(ALL).report.cached == 1


@pytest.mark.parametrize("status", [400, 500, 0])
def test_write_that_fails_or_may_have_failed_drops_as_well(world: World, status: int) -> None:
    conn = world.connect()
    conn.execute(ALL)
    # A page for people says nothing about what was done.
    reply = Reply(status, {"error": "no"}) if status else Reply(200, b"<html>", {"Content-Type": "text/html"})
    world.shop.fails = lambda seen: reply if seen.method != "GET" else None
    with pytest.raises(Error):
        conn.execute("UPDATE shop.s.items SET n = 1 WHERE item_id = 'i1'")
    assert conn.execute(ALL).report.cached == 0


def test_write_counts_while_the_cache_is_off_and_in_a_transaction(world: World) -> None:
    conn = world.connect(str(world.folder / "kept.duckdb"))
    conn.execute(ALL)
    conn.execute("SET cache = 'off'")
    conn.execute("BEGIN")
    conn.execute("UPDATE shop.s.items SET n = 1 WHERE item_id = 'i1'")
    conn.execute("COMMIT")
    conn.execute("SET cache = '5m'")
    assert conn.execute("SELECT n FROM shop.s.items WHERE id = 'i1'").fetchall() == [(101,)]


def test_rows_to_be_written_are_read_anew(world: World) -> None:
    conn = world.connect()
    conn.execute("SELECT * FROM shop.s.items WHERE kind = 'a'")
    world.shop.items["i0"]["kind"] = "b"
    conn.execute("DELETE FROM shop.s.items WHERE kind = 'a'")
    assert sorted(world.shop.items) == ["i0", "i1", "i3", "i5"]


def test_what_was_read_before_another_connections_write_is_not_kept(world: World) -> None:
    path = str(world.folder / "kept.duckdb")
    one, other = world.connect(path), world.connect(path)
    written: list[object] = []

    def meanwhile(seen: Seen) -> Reply | None:
        if seen.query.get("after") == "4" and not written:
            written.append(other.execute("DELETE FROM shop.s.items WHERE item_id = 'i0'"))
        return None

    world.shop.fails = meanwhile
    assert one.execute(ALL).fetchall()[0] == ("i0", 0)
    assert one.execute(ALL).fetchall()[0] == ("i1", 1)


# Who asks.


def test_another_account_never_gets_the_rows(world: World) -> None:
    path = str(world.folder / "kept.duckdb")
    for key in ("key-of-one", "key-of-two", "key-of-one"):
        with closing(world.connect(path, key=key)) as conn:
            conn.execute(ALL)
    assert [r.bearer for r in world.server.requests] == ["key-of-one"] * 3 + ["key-of-two"] * 3


def test_another_key_in_the_same_file_is_another_account(world: World) -> None:
    secret = world.folder / "key"
    environ = {"SHOP_URL": world.server.url, "SHOP_KEY_FILE": str(secret)}
    for key in ("key-of-one", "key-of-two"):
        secret.write_text(key)
        with closing(world.connect(str(world.folder / "kept.duckdb"), environ=environ)) as conn:
            conn.execute(ALL)
    assert {r.bearer for r in world.server.requests} == {"key-of-one", "key-of-two"}


def test_named_accounts_have_their_own_rows(world: World) -> None:
    url = world.server.url
    accounts = {"shop": {name: {"SHOP_URL": url, "SHOP_KEY": f"key-of-{name}"} for name in ("one", "two")}}
    conn = world.connect(accounts=accounts, environ={})
    conn.execute("SELECT id FROM shop.s.items WHERE account = 'one'")
    world.sent()
    cur = conn.execute("SELECT account, count(*) FROM shop.s.items GROUP BY ALL ORDER BY 1")
    assert cur.fetchall() == [("one", 6), ("two", 6)]
    assert len(world.sent()) == 3


def test_secret_is_nowhere_in_the_file(world: World) -> None:
    path, key = world.folder / "kept.duckdb", "a-very-secret-key-0123456789"
    world.shop.items["echo"] = {"id": "echo", "n": 1, "kind": f"it is {key}"}
    with closing(world.connect(str(path), key=key)) as conn:
        conn.execute("SELECT * FROM shop.s.parts WHERE item_id = 'i1'")
        conn.execute(ALL)  # quotes the key: not kept
        assert conn.execute("SELECT count(*) FROM apiql_cache.units").fetchone() == (1,)
    held = b"".join(p.read_bytes() for p in world.folder.iterdir() if p.name.startswith("kept"))
    assert b"i1/parts" in held
    assert key.encode() not in held


# Asking whether it still holds.


def test_old_pages_are_asked_for_only_if_they_changed(world: World) -> None:
    world.shop.tags = True
    conn = world.connect()
    first = conn.execute(ALL).fetchall()
    world.now += 1_000
    world.server.requests.clear()
    cur = conn.execute(ALL)
    assert cur.fetchall() == first
    assert (cur.report.cached, cur.report.requests) == (0, 3)
    assert all("if-none-match" in r.headers for r in world.server.requests)
    assert {row[0] for row in conn.execute("SELECT status FROM apiql.last_requests").fetchall()} == {304}
    assert conn.execute(ALL).report.cached == 1  # it holds anew
    world.now += 1_000
    world.shop.items["i3"]["n"] = 33
    world.shop.items["i6"] = {"id": "i6", "n": 6, "kind": "a"}
    assert [n for _, n in conn.execute(ALL).fetchall()] == [0, 1, 2, 33, 4, 5, 6]


def test_links_between_pages_are_kept_with_them(world: World) -> None:
    world.shop.tags = True
    conn = world.connect()
    for _ in range(3):
        assert len(conn.execute("SELECT id FROM shop.s.others").fetchall()) == 2
        world.now += 1_000
    assert len(world.sent()) == 6


def test_answer_304_to_a_plain_request_is_an_error(world: World) -> None:
    world.shop.fails = lambda _: Reply(304, b"")
    with pytest.raises(ApiError, match="304"):
        world.connect().execute(ALL)


# The database.


def test_file_keeps_it_for_the_next_process(world: World) -> None:
    path = str(world.folder / "kept.duckdb")
    with closing(world.connect(path)) as conn:
        first = conn.execute(ALL).fetchall()
        assert conn.execute("SHOW TABLES").fetchall() == []
    world.sent()
    with closing(world.connect(path)) as conn:
        assert conn.execute(ALL).fetchall() == first
    assert world.sent() == []


def test_database_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    path = str(tmp_path / "kept.duckdb")
    duckdb.connect(path).close()
    with duckdb.connect(path, read_only=True) as duck:
        cache = Cache(duck)
        cache.keep([unit("k")], cache.snapshot().drops)
        assert list(cache.snapshot().find(["k"])) == ["k"]
        cache.close()
    with duckdb.connect(path) as duck:
        assert duck.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_tables_that_somebody_dropped_are_made_again(world: World) -> None:
    conn = world.connect(str(world.folder / "kept.duckdb"))
    conn.execute(ALL)
    conn.execute("DROP SCHEMA apiql_cache CASCADE")
    conn.execute("DELETE FROM shop.s.items WHERE item_id = 'i0'")
    assert len(conn.execute(ALL).fetchall()) == 5
    assert conn.execute(ALL).report.cached == 1


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE apiql_cache.units DROP COLUMN good_for",
        "ALTER TABLE apiql_cache.state DROP COLUMN layout",
        "UPDATE apiql_cache.state SET layout = 'of another version'",
        "DELETE FROM apiql_cache.state",
        "DROP TABLE apiql_cache.state",
    ],
)
@pytest.mark.parametrize("first", [ALL, "DELETE FROM shop.s.items WHERE item_id = 'i0'"])
def test_tables_of_another_version_are_made_anew(world: World, change: str, first: str) -> None:
    file = str(world.folder / "kept.duckdb")
    with world.connect(file) as conn:
        conn.execute(ALL)
    with duckdb.connect(file) as duck:
        if "good_for" in change:  # a version before there was a mark
            duck.execute("ALTER TABLE apiql_cache.state DROP COLUMN layout")
        duck.execute(change)
    world.sent()
    conn = world.connect(file)
    conn.execute(first)
    rows = conn.execute(ALL).fetchall()
    assert len(world.sent()) >= 3
    assert (conn.execute(ALL).fetchall(), world.sent()) == (rows, [])


def unit(key: str, size: int = 10, path: str = "/items", read_at: float = 0.0) -> Unit:
    answer = Answer(Call("GET", path, (), None, f"GET {path}"), b"x" * size)
    return Unit(key, "shop", "shop.s.items", path, read_at, math.inf, (answer,), shows_changes=False)


def test_room_is_kept_by_dropping_what_was_not_used_for_longest() -> None:
    now = [0.0]
    with duckdb.connect() as duck:
        cache = Cache(duck, lambda: now[0], room=10_000)
        for i in range(4):
            cache.keep([unit(f"k{i}", 3_000, read_at=float(i))], cache.snapshot().drops)
            if i == 2:
                cache.used([held.id for held in cache.snapshot().find(["k0"]).values()], 10.0)
        assert sorted(cache.snapshot().find(["k0", "k1", "k2", "k3"])) == ["k0", "k2", "k3"]
        cache.close()


def test_place_of_what_is_gone_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "kept.duckdb"
    with duckdb.connect(str(path)) as duck:
        cache = Cache(duck, room=2**22)
        for i in range(50):
            snapshot = cache.snapshot()
            cache.keep([unit(f"k{i}", 2**20)], snapshot.drops)
            snapshot.close()
            cache.tidy()
        cache.close()
    assert path.stat().st_size < 40 * 2**20


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("/items", []),
        ("/items/i1", ["/items/i10", "/items/i2/parts"]),
        ("/items/i2/parts", ["/items/i1", "/items/i10", "/items/i1/parts"]),
        ("/", ["/items", "/items/i1", "/items/i10", "/items/i1/parts", "/items/i2/parts"]),
    ],
)
def test_path_drops_what_is_below_and_above_it(written: str, kept: list[str]) -> None:
    paths = ["/items", "/items/i1", "/items/i10", "/items/i1/parts", "/items/i2/parts"]
    with duckdb.connect() as duck:
        cache = Cache(duck)
        cache.keep([unit(p, path=p) for p in paths], cache.snapshot().drops)
        cache.drop([Scope("shop", "shop.s.elsewhere", written)])
        assert [p for p in paths if p in cache.snapshot().find(paths)] == kept
        cache.drop([Scope("another", "shop.s.items", "/items")])
        assert [p for p in paths if p in cache.snapshot().find(paths)] == kept
        cache.close()


def test_thirty_two_connections_fill_and_drop_one_file(world: World) -> None:
    path = str(world.folder / "kept.duckdb")
    conns = [world.connect(path) for _ in range(32)]

    def work(number: int) -> int:
        conn = conns[number]
        for i in range(3):
            assert len(conn.execute(ALL).fetchall()) == 6
            assert conn.execute(f"SELECT id FROM shop.s.parts WHERE item_id = 'i{number % 4}'").fetchall()
            if i == 1 and number % 8 == 0:
                conn.execute("EXEC shop.s.items.stir @item_id = 'i1'")
        return number

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(work, range(32))) == list(range(32))
    assert conns[0].execute(ALL).fetchall()[1] == ("i1", world.shop.items["i1"]["n"])


KILLED = """
import duckdb, sys
from provider.engine.cache import Cache
from tests.engine.test_cache import unit
with duckdb.connect(sys.argv[1]) as duck:
    cache = Cache(duck)
    for i in range(100_000):
        units = [unit(f"k{(i * 7 + n) % 50}", 20_000) for n in range(7)]
        cache.keep(units, cache.snapshot().drops)
        if i == 3:
            print("on its way", flush=True)
"""


def test_process_that_is_killed_leaves_whole_units(tmp_path: Path) -> None:
    path = tmp_path / "kept.duckdb"
    for number in range(2):
        root = Path(__file__).parents[2]
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], cwd=root, stdout=subprocess.PIPE, env={**os.environ}
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"on its way\n"
        time.sleep(0.01 * number)  # any moment will do
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        with duckdb.connect(str(path)) as duck:
            counts = duck.execute(
                "SELECT count(*), count(DISTINCT key), (SELECT count(*) FROM apiql_cache.pages), "
                "(SELECT count(*) FROM apiql_cache.pages WHERE unit NOT IN (SELECT id FROM apiql_cache.units)) "
                "FROM apiql_cache.units"
            ).fetchone()
            assert counts is not None
            assert counts[0] == counts[1] == counts[2] > 0
            assert counts[3] == 0
