"""Lists over HTTP: each kind of paging end to end, how many requests are open at once, and what the report says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import yaml

import provider
from provider.catalog.loader import bundled
from provider.emulator import Emulator
from provider.rest.request import Call
from tests.conftest import Api, Connect
from tests.rest import lists
from tests.rest.lists import KINDS, Row, Serve, rows
from tests.rest.webserver import Reply, Seen, WebServer, web_server

ROW = {"id": {"type": "string"}, "n": {"type": "integer"}}


def as_reply(serve: Serve) -> Callable[[Seen], Reply]:
    """An API of pure functions as a web server's."""

    def reply(seen: Seen) -> Reply:
        path, _, query = seen.target.partition("?")
        verb = "POST" if seen.body else "GET"
        asked = Call(verb, path, tuple(parse_qsl(query)), seen.body or None, "")
        if "from=" in query:
            asked = replace(asked, link=f"{lists.BASE}/rows?{query}")
        answer = serve(asked)
        base = f"http://{seen.headers['host']}/v1"
        headers = {name: value.replace(lists.BASE, base) for name, value in answer.headers}
        return Reply(body=answer.body.replace(lists.BASE.encode(), base.encode()), headers=headers)

    return reply


def manifest(folder: Path, url: str, rule: Row, **method: Any) -> Path:
    verb = "POST" if rule.get("in") == "body" else "GET"
    declared = {"sql": "SELECT", "http": f"{verb} /rows", "rows": "$.data", "paginate": "pages", **method}
    text = yaml.safe_dump_all(
        [
            {"provider": "p", "base_url": {"default": url}, "pagination": {"pages": rule}},
            {
                "service": "s",
                "resources": {
                    "rows": {
                        "key": {"id": "row_id"},
                        "fields": ROW,
                        "methods": {
                            "get_row": {"sql": "SELECT", "http": "GET /rows/{row_id}"},
                            "list_rows": declared,
                            "delete_row": {"sql": "DELETE", "http": "DELETE /rows/{row_id}"},
                        },
                    }
                },
            },
        ]
    )
    file = folder / "p.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def over_http(tmp_path: Path) -> Iterator[Callable[..., tuple[provider.Connection, WebServer]]]:
    """Serves an API and connects to it; keyword arguments are keys of the list's method."""
    with ExitStack() as opened:

        def connect(
            rule: Row, answer: Callable[[Seen], Reply], max_concurrency: int = 8, **method: Any
        ) -> tuple[provider.Connection, WebServer]:
            server = opened.enter_context(web_server(answer))
            file = manifest(tmp_path, f"{server.url}/v1", rule, **method)
            conn = provider.connect(manifests=[file], environ={}, max_concurrency=max_concurrency)
            return opened.enter_context(conn), server

        yield connect


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_is_read_whole(kind: str, over_http: Any) -> None:
    conn, server = over_http(KINDS[kind].rule(10), as_reply(KINDS[kind].serve(rows(35), [10])))
    cur = conn.execute("SELECT n FROM p.s.rows")
    assert sorted(cur.fetchall()) == [(n,) for n in range(35)]
    (scan,) = cur.report.scans
    assert (scan.rows, scan.repeated, scan.ended) == (35, 0, "complete")
    assert scan.pages == len(server.requests) == cur.report.requests
    assert cur.report.truncated is False


def test_a_list_that_is_cut_off_is_truncated(over_http: Any) -> None:
    conn, server = over_http(
        KINDS["cursor"].rule(10) | {"max_pages": 2}, as_reply(KINDS["cursor"].serve(rows(35), [10]))
    )
    cur = conn.execute("SELECT n FROM p.s.rows")
    assert len(cur.fetchall()) < 35
    assert cur.report.truncated is True
    assert cur.report.scans[0].ended == "max_pages"
    assert len(server.requests) == 2


def test_no_write_rests_on_a_list_that_was_cut_off(over_http: Any) -> None:
    conn, server = over_http(
        KINDS["cursor"].rule(10) | {"max_pages": 2}, as_reply(KINDS["cursor"].serve(rows(35), [10]))
    )
    with pytest.raises(provider.Error, match=r"DELETE on p.s.rows would rest on a list that was cut off"):
        conn.execute("DELETE FROM p.s.rows WHERE n < 5")
    assert {seen.method for seen in server.requests} == {"GET"}


def test_a_limit_that_is_reached_makes_a_cut_off_of_no_matter(over_http: Any) -> None:
    conn, _ = over_http(KINDS["offset with a total"].rule(10) | {"max_pages": 2},
                        as_reply(KINDS["offset with a total"].serve(rows(35), [10])))  # fmt: skip
    cur = conn.execute("SELECT n FROM p.s.rows LIMIT 15")
    assert len(cur.fetchall()) == 15
    assert cur.report.truncated is False


def test_known_pages_are_asked_for_at_once(over_http: Any) -> None:
    """The server holds its answers until three requests are open: one after the other it would never answer."""
    together = threading.Barrier(3)
    reply = as_reply(KINDS["page_number with total rows"].serve(rows(35), [10]))

    def answer(seen: Seen) -> Reply:
        if seen.query["at"] != "1":
            together.wait(timeout=20)
        return reply(seen)

    conn, _ = over_http(KINDS["page_number with total rows"].rule(10), answer)
    assert len(conn.execute("SELECT n FROM p.s.rows").fetchall()) == 35


def test_the_bound_on_requests_in_flight_holds_for_pages(over_http: Any) -> None:
    open_, most, lock = [0], [0], threading.Lock()
    reply = as_reply(KINDS["offset with a total"].serve(rows(400), [10]))

    def answer(seen: Seen) -> Reply:
        with lock:
            open_[0] += 1
            most[0] = max(most[0], open_[0])
        found = reply(seen)
        with lock:
            open_[0] -= 1
        return found

    conn, server = over_http(KINDS["offset with a total"].rule(10), answer, max_concurrency=3)
    assert len(conn.execute("SELECT n FROM p.s.rows").fetchall()) == 400
    assert len(server.requests) == 40
    assert most[0] <= 3


def test_a_list_that_may_end_early_is_read_page_by_page(over_http: Any) -> None:
    kind = KINDS["page_number with total rows"]
    conn, server = over_http(kind.rule(10), as_reply(kind.serve(rows(400), [10])))
    cur = conn.execute("SELECT n FROM p.s.rows WHERE n % 2 = 0 LIMIT 12")
    assert len(cur.fetchall()) == 12
    assert [seen.query["at"] for seen in server.requests] == ["1", "2", "3"]
    assert cur.report.scans[0].ended == "enough rows"


def test_a_long_list_does_not_keep_another_waiting(over_http: Any) -> None:
    """Two lists share one connection: they take turns, page by page."""
    kind = KINDS["offset with a total"]
    reply = as_reply(kind.serve(rows(100), [10]))
    conn, server = over_http(
        kind.rule(10), reply, max_concurrency=1, query={"part": {"type": "string", "required": True}}
    )
    assert len(conn.execute("SELECT n FROM p.s.rows WHERE part IN ('a', 'b')").fetchall()) == 200
    parts = [seen.query["part"] for seen in server.requests]
    assert parts == ["a", "b"] * 10


def test_an_error_on_a_later_page_is_an_error(over_http: Any) -> None:
    kind = KINDS["page_number with total rows"]
    reply = as_reply(kind.serve(rows(400), [10]))
    conn, _ = over_http(kind.rule(10), lambda s: Reply(404, b"{}") if s.query["at"] == "7" else reply(s))
    with pytest.raises(provider.Error, match="at=7 answered 404"):
        conn.execute("SELECT n FROM p.s.rows")


def test_a_list_by_post_is_a_read_and_is_asked_for_again(over_http: Any) -> None:
    kind, failures = KINDS["cursor in the POST body"], iter([True])
    reply = as_reply(kind.serve(rows(5), [10]))
    conn, server = over_http(
        kind.rule(10), lambda s: Reply(503, b"{}", {"Retry-After": "0"}) if next(failures, False) else reply(s)
    )
    assert len(conn.execute("SELECT n FROM p.s.rows").fetchall()) == 5
    assert [(seen.method, json.loads(seen.body)) for seen in server.requests[:1]] == [("POST", {"limit": 10})]
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize("kind", ["json_link", "header_link"])
def test_nothing_is_sent_to_another_origin(kind: str, over_http: Any) -> None:
    with web_server(lambda seen: Reply(body={"data": []})) as other:
        link = f"{other.url}/v1/rows"
        conn, server = over_http(
            KINDS[kind].rule(1),
            lambda s: Reply(body={"data": [], "next": link}, headers={"Link": f"<{link}>; rel=next"}),
        )
        with pytest.raises(provider.Error, match=r"the next page is said to be at http://127\.0\.0\.1"):
            conn.execute("SELECT n FROM p.s.rows")
        assert (len(server.requests), other.requests) == (1, [])


def test_windows_of_a_range(over_http: Any) -> None:
    bound = {"type": "integer", "required": True}
    conn, server = over_http(
        {"kind": "time_window", "from": "begin", "to": "end", "step": 10},
        as_reply(lists.windows(rows(100), inclusive=False)),
        query={"begin": bound, "end": bound},
    )
    found = conn.execute('SELECT n FROM p.s.rows WHERE begin = 5 AND "end" = 42').fetchall()
    assert sorted(found) == [(n,) for n in range(5, 42)]
    assert sorted(seen.target for seen in server.requests) == [
        f"/v1/rows?begin={b}&end={e}" for b, e in ((15, 25), (25, 35), (35, 42), (5, 15))
    ]


# -- both ends ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thread(emulator: Emulator, api: Api) -> str:
    """A thread of 1,250 messages, many of the same second."""
    return api.thread(*map(str, range(1250)))


def test_the_emulators_orders_are_the_exact_reverse_of_each_other(api: Api, thread: str) -> None:
    """What reversible in the bundled manifest rests on; a real API has to keep it too."""
    path = f"/threads/{thread}/messages"
    found: dict[str, list[str]] = {}
    for order in ("asc", "desc"):
        query: dict[str, Any] = {"limit": 100, "order": order}
        found[order] = []
        while True:
            page = api.get(path, **query)
            found[order] += [m["id"] for m in page["data"]]
            if not page["has_more"]:
                break
            query["after"] = page["last_id"]
    assert len(set(found["asc"])) == 1250
    assert found["asc"] == found["desc"][::-1]


def test_a_long_list_is_read_from_both_ends(emulator: Emulator, connection: Connect, thread: str) -> None:
    conn = connection()
    sql = "SELECT count(*), count(DISTINCT id) FROM openai.assistants.messages WHERE thread_id = ?"
    assert foreseen(conn, sql, thread) is True
    cur = conn.execute(sql, [thread])
    assert cur.fetchall() == [(1250, 1250)]
    assert {"order=asc" in r.query for r in emulator.requests} == {True, False}
    assert 13 <= len(emulator.requests) <= 15
    assert cur.report.scans[0].rows == 1250


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM openai.assistants.messages WHERE thread_id = ? LIMIT 900",
        "SELECT id FROM openai.assistants.messages WHERE thread_id IN (?, 'thread_of_nobody')",
    ],
)
def test_a_list_that_ends_early_or_is_not_alone_is_read_from_one_end(
    sql: str, emulator: Emulator, connection: Connect, thread: str
) -> None:
    conn = connection()
    assert foreseen(conn, sql, thread) is False
    conn.execute(sql, [thread]).fetchall()
    assert not any("order=asc" in r.query for r in emulator.requests)


def foreseen(conn: provider.Connection, sql: str, thread: str) -> bool:
    """Whether EXPLAIN says that a list may be read from both ends."""
    plan = json.loads(conn.execute(f"EXPLAIN (FORMAT json) {sql}", [thread]).fetchall()[0][0])
    return bool(plan["scans"][0]["requests"]["both_ends"])


def test_both_ends_are_read_at_the_same_time(tmp_path: Path) -> None:
    one_way = tmp_path / "openai"
    one_way.mkdir()
    for file in (bundled() / "openai").iterdir():
        text = file.read_text(encoding="utf-8").replace(", reversible: true", "")
        (one_way / file.name).write_text(text, encoding="utf-8")
    in_flight = {}
    with Emulator(latency=0.05) as slow:
        options: Any = {"base_urls": {"openai": slow.base_url}, "environ": {"OPENAI_API_KEY": "k"}}
        with provider.connect(**options) as conn:
            messages = json.dumps({"messages": [{"role": "user", "content": str(n)} for n in range(1000)]})
            made = conn.execute(f"EXEC openai.assistants.threads.create_thread @@json='{messages}'")
            thread = made.fetchall()[0][0]
        for name, manifests in (("both", []), ("one", [one_way])):
            with provider.connect(**options, manifests=manifests) as conn:
                conn.execute("SELECT id FROM openai.assistants.threads WHERE thread_id = ?", [thread]).fetchall()
                slow.requests.clear()
                found = conn.execute(
                    "SELECT id FROM openai.assistants.messages WHERE thread_id = ?", [thread]
                ).fetchall()
                in_flight[name] = slow.max_in_flight
                assert len(set(found)) == 1000
    assert in_flight == {"both": 2, "one": 1}
