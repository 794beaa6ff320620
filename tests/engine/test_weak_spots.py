"""Where comparable tools are known to answer wrongly, and what is answered here: one statement a weak spot.

Each of `SPOTS` names the defect as users met it elsewhere. The answer must be plain DuckDB's on the same rows, and the
requests must be as many as it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import provider
from provider.errors import ApiError, BindError, DataError
from tests.oracle.compare import Case, Oracle
from tests.oracle.server import NOT_FOUND, Reply, Server
from tests.oracle.world import Filter, Method, Resource, Sort, Table, World


def _world() -> World:
    numbers = Resource(
        "numbers",
        {"id": "integer", "a": "integer", "name": "string", "ok": "boolean", "price": "decimal(20,4)"},
        (
            Method(
                "list_numbers", "/numbers", True,
                {"a": Filter("a", "exact"), "name": Filter("name", "nocase"), "ok": Filter("ok", "exact")},
            ),
        ),
        {},
        tuple(
            {"id": i, "a": a, "name": name, "ok": ok, "price": price}
            for i, a, name, ok, price in (
                (1, 1, "abc", True, "1.5000"), (2, 2, "ABC", False, None), (3, 3, "", None, "0.0000"),
                (4, None, None, True, "-1.0000"), (5, 5, "x", None, "12345678901234.5678"),
                (6, 0, "NULL", False, "2.0000"),
            )
        ),
    )  # fmt: skip
    jobs = Resource(
        "jobs",
        {"id": "integer", "created": "integer", "status": "string"},
        (Method("list_jobs", "/jobs", True, sort=Sort("created", None, "desc", "last")),),
        {},
        tuple({"id": i, "created": i, "status": "failed" if i < 8 else "done"} for i in range(60)),
    )
    repos = Resource(
        "repos",
        {"owner": "string", "name": "string", "stars": "integer"},
        (Method("get_repo", "/repos/{owner}/{name}", False),),
        {},
        tuple({"owner": o, "name": n, "stars": len(o + n)} for o in ("ann", "bob", "a/b") for n in ("x", "y z")),
    )
    issues = Resource(
        "issues",
        {"owner": "string", "name": "string", "number": "integer", "author": "string", "big": "integer"},
        (Method("list_issues", "/repos/{owner}/{name}/issues", True),),
        {},
        tuple(
            {"owner": o, "name": n, "number": i, "author": (None, "bob", "eve")[i], "big": 2**53 + i}
            for o, n in (("ann", "x"), ("bob", "x"), ("a/b", "y z"))
            for i in range(3)
        ),
    )
    search = Resource(
        "search",
        {"title": "string"},
        (Method("search", "/search", True, {"q": Filter("q", "exact")}, ("q",)),),
        {},
        tuple({"q": q, "title": f"{q} {i}"} for q in ("cat", "dog") for i in range(2)),
        hidden={"q": "string"},
    )
    wanted = Table(
        "wanted", {"owner": "VARCHAR", "name": "VARCHAR", "n": "INTEGER"},
        (("ann", "x", 1), ("ann", "x", 2), ("bob", None, 3), (None, None, 4), ("zoe", "x", 5), ("a/b", "y z", 6)),
    )  # fmt: skip
    return World((numbers, jobs, repos, issues, search), (wanted,), page=10, strict=True)


@dataclass(frozen=True)
class Spot:
    """A weak spot: whose, the statement, and the requests, as a number or as the only ones."""

    who: str
    sql: str
    sends: int | set[str] | None = None
    parameters: Any = None


ALL = {"/numbers?limit=10"}
SPOTS = (
    # -- predicates
    Spot("Shillelagh: a<>1 AND a<>2 gives no rows", "SELECT id FROM w.s.numbers WHERE a <> 1 AND a <> 2", ALL),
    Spot("Shillelagh: a>1 AND a<>3 drops both", "SELECT id FROM w.s.numbers WHERE a > 1 AND a <> 3", ALL),
    Spot(
        "Shillelagh: a>=2 AND a IS NOT NULL drops both",
        "SELECT id FROM w.s.numbers WHERE a >= 2 AND a IS NOT NULL",
        ALL,
    ),
    Spot("Coral: of two equalities the last one wins", "SELECT id FROM w.s.numbers WHERE a = 1 AND a = 2"),
    Spot("MindsDB: id > 5 is sent as id=5", "SELECT id FROM w.s.numbers WHERE a > 2", ALL),
    Spot("MindsDB: NOT (a = 1) is sent as a=1", "SELECT id FROM w.s.numbers WHERE NOT (a = 1)", ALL),
    Spot("MindsDB: OR is sent as AND", "SELECT id FROM w.s.numbers WHERE a = 1 OR name = 'x'", ALL),
    Spot("Coral: equality under OR on other columns", "SELECT id FROM w.s.numbers WHERE (a = 1 AND ok) OR id = 3", ALL),
    Spot("Steampipe: IS NOT TRUE drops NULL", "SELECT id FROM w.s.numbers WHERE ok IS NOT TRUE", ALL),
    Spot("<> and NOT IN keep NULL where the API does", "SELECT id FROM w.s.numbers WHERE a NOT IN (1)", ALL),
    Spot("NOT IN with NULL is never true", "SELECT id FROM w.s.numbers WHERE a NOT IN (1, NULL)"),
    Spot("IS DISTINCT FROM is sent as <>", "SELECT id FROM w.s.numbers WHERE a IS DISTINCT FROM 1", ALL),
    Spot(
        "a parameter that ignores case is taken as exact",
        "SELECT id FROM w.s.numbers WHERE name = 'abc'",
        {"/numbers?name=abc&limit=10"},
    ),
    Spot("an empty text is sent as no parameter", "SELECT id FROM w.s.numbers WHERE name = ''"),
    Spot("Steampipe: 0 becomes NULL", "SELECT id, a FROM w.s.numbers WHERE a = 0", {"/numbers?a=0&limit=10"}),
    Spot("false becomes no parameter", "SELECT id FROM w.s.numbers WHERE ok = false", {"/numbers?ok=false&limit=10"}),
    Spot("Steampipe: a cast loses the predicate", "SELECT id FROM w.s.numbers WHERE name = 'abc'::TEXT"),
    Spot("StackQL: functions in WHERE are dropped", "SELECT id FROM w.s.numbers WHERE lower(name) = 'abc'", ALL),
    Spot("LIKE is sent as equality", "SELECT id FROM w.s.numbers WHERE name LIKE 'ab%'", ALL),
    Spot("StackQL: residual columns are not fetched", "SELECT id FROM w.s.numbers WHERE price > 1", ALL),
    Spot("decimals become doubles", "SELECT price FROM w.s.numbers WHERE price IS NOT NULL", ALL),
    # -- LIMIT, ORDER BY, aggregates
    Spot(
        "Shillelagh: LIMIT is sent and ORDER BY is not", "SELECT a FROM w.s.numbers ORDER BY a DESC NULLS LAST LIMIT 2"
    ),
    Spot("StackQL: LIMIT looks at the newest page only", "SELECT id FROM w.s.jobs WHERE status = 'failed' LIMIT 5", 6),
    Spot("LIMIT reads on when it has its rows", "SELECT id FROM w.s.jobs WHERE status = 'done' LIMIT 5", 1),
    Spot("the newest rows of a sorted list cost the list", "SELECT id FROM w.s.jobs ORDER BY created DESC LIMIT 5", 1),
    Spot("the oldest rows are taken from the wrong end", "SELECT id FROM w.s.jobs ORDER BY created LIMIT 5", 6),
    Spot("MindsDB: count(*) with LIMIT counts the limit", "SELECT count(*) FROM w.s.jobs LIMIT 1", 6),
    Spot("MindsDB: 20 rows where nobody said LIMIT", "SELECT id FROM w.s.jobs", 6),
    Spot("DISTINCT behind LIMIT", "SELECT DISTINCT status FROM w.s.jobs ORDER BY 1 LIMIT 2", 6),
    Spot(
        "OFFSET is sent beside a local predicate",
        "SELECT id FROM w.s.jobs WHERE status = 'failed' ORDER BY created DESC LIMIT 2 OFFSET 3",
        6,
    ),
    Spot("LIMIT 0 asks", "SELECT id FROM w.s.jobs LIMIT 0", 0),
    Spot("GROUP BY over a page only", "SELECT status, count(*) FROM w.s.jobs GROUP BY ALL", 6),
    # -- required keys
    Spot(
        "a key from an IN list with NULL and duplicates",
        "SELECT stars FROM w.s.repos WHERE owner IN ('ann', NULL, 'ann', 'zoe') AND name = 'x'",
        2,
    ),
    Spot(
        "osquery: keys from VALUES",
        "SELECT r.stars FROM (VALUES ('ann', 'x')) AS v(o, n) JOIN w.s.repos r ON r.owner = v.o AND r.name = v.n",
        1,
    ),
    Spot(
        "fdw: a join's key and a WHERE's key",
        "SELECT r.stars FROM wanted k JOIN w.s.repos r ON r.owner = k.owner WHERE r.name = 'x'",
        4,
    ),
    Spot(
        "fdw: keys of two tables",
        "SELECT r.stars FROM wanted k, (SELECT 'y z' AS n) v, w.s.repos r "
        "WHERE r.owner = k.owner AND r.name = v.n AND k.n = 6",
        1,
    ),
    Spot(
        "osquery: keys from a subquery",
        "SELECT stars FROM w.s.repos WHERE owner IN (SELECT owner FROM wanted) AND name = 'x'",
        4,
    ),
    Spot(
        "keys from a CTE",
        "WITH c AS (SELECT DISTINCT owner FROM wanted WHERE n < 3) "
        "SELECT stars FROM c JOIN w.s.repos USING (owner) WHERE repos.name = 'x'",
        1,
    ),
    Spot(
        "a scalar subquery as key",
        "SELECT stars FROM w.s.repos WHERE owner = (SELECT max(owner) FROM wanted WHERE n < 3) AND name = 'x'",
        1,
    ),
    Spot(
        "osquery: a row of blanks for a key that is not there",
        "SELECT * FROM w.s.repos WHERE owner = 'zoe' AND name = 'x'",
        1,
    ),
    Spot(
        "trino-openapi: path parameters are not encoded",
        "SELECT stars FROM w.s.repos WHERE owner = 'a/b' AND name = 'y z'",
        {"/repos/a%2Fb/y%20z"},
    ),
    # -- dependent joins
    Spot(
        "NULL keys are asked for",
        "SELECT k.n, r.stars FROM wanted k LEFT JOIN w.s.repos r ON r.owner = k.owner AND r.name = k.name",
        3,
    ),
    Spot(
        "Steampipe: a request per outer row",
        "SELECT k.n, i.number FROM wanted k JOIN w.s.issues i ON i.owner = k.owner AND i.name = k.name",
        3,
    ),
    Spot(
        "StackQL: LEFT JOIN was INNER",
        "SELECT k.n, r.stars FROM wanted k LEFT JOIN w.s.repos r ON r.owner = k.owner AND r.name = k.name "
        "WHERE k.n > 2",
        2,
    ),
    Spot(
        "WHERE on the nullable side is sent",
        "SELECT k.n FROM wanted k LEFT JOIN w.s.numbers r ON r.id = k.n AND r.a = 2 WHERE r.id IS NULL",
    ),
    Spot(
        "an anti-join is sent as a filter",
        "SELECT k.n FROM wanted k LEFT JOIN w.s.numbers r ON r.id = k.n WHERE r.a IS NULL",
        ALL,
    ),
    Spot(
        "a predicate in ON of a LEFT JOIN filters the left side",
        "SELECT a.id, b.id FROM w.s.numbers a LEFT JOIN w.s.numbers b ON a.id = b.id AND a.a = 1",
    ),
    Spot("FULL JOIN is planned as INNER", "SELECT k.n, r.id FROM wanted k FULL JOIN w.s.numbers r ON r.id = k.n", ALL),
    Spot(
        "a column of the same name binds",
        "SELECT i.number FROM w.s.repos r JOIN w.s.issues i ON i.owner = r.name AND i.name = r.name "
        "WHERE r.owner = 'ann' AND r.name = 'x'",
        2,
    ),
    Spot(
        "two sides of a self-join share hints",
        "SELECT a.id, b.id FROM w.s.numbers a JOIN w.s.numbers b ON a.a = b.id WHERE a.name = 'x'",
    ),
    Spot("Steampipe: two scans of one table deadlock", "SELECT count(*) FROM w.s.jobs a JOIN w.s.jobs b USING (id)", 6),
    Spot(
        "StackQL: JOIN without ON panics",
        "SELECT count(*) FROM wanted k JOIN w.s.numbers n ON true JOIN w.s.search s ON true WHERE s.q = 'cat'",
    ),
    Spot(
        "a filter-only column is not shown",
        "SELECT q, title FROM w.s.search WHERE q = 'cat'",
        {"/search?q=cat&limit=10"},
    ),
    Spot(
        "a filter-only column shows another value's rows",
        "SELECT q, title FROM w.s.search WHERE q IN ('cat', 'dog')",
        2,
    ),
    # -- SQL
    Spot(
        "StackQL: chained CTEs",
        "WITH a AS (SELECT id, a AS v FROM w.s.numbers), b AS (SELECT max(v) AS m FROM a) "
        "SELECT id FROM a, b WHERE v = m",
        ALL,
    ),
    Spot("StackQL: arithmetic over aggregates", "SELECT max(a) - min(a) + count(*) FROM w.s.numbers", ALL),
    Spot(
        "StackQL: functions over a subquery's columns",
        "SELECT upper(n) FROM (SELECT name AS n FROM w.s.numbers) q WHERE n IS NOT NULL",
        ALL,
    ),
    Spot(
        "StackQL: CASE",
        "SELECT CASE WHEN a IS NULL THEN 'none' WHEN a > 2 THEN 'many' ELSE 'few' END FROM w.s.numbers",
        ALL,
    ),
    Spot("windows", "SELECT id, sum(a) OVER (ORDER BY id) FROM w.s.numbers", ALL),
    Spot("an empty list in IN", "SELECT id FROM w.s.numbers WHERE a = ANY($ids)", None, {"ids": []}),
    Spot("pystackql: a comment swallows the rest", "SELECT id -- the key\nFROM w.s.numbers -- all\nWHERE id > 3", ALL),
    Spot("pystackql: '$.x' is taken for a parameter", "SELECT id FROM w.s.numbers WHERE name <> '$.name'", ALL),
    Spot("a ? in a text is taken for a parameter", "SELECT id FROM w.s.numbers WHERE name <> '?' AND a = ?", None, [5]),
    Spot(
        "integers above 2^53 are rounded",
        "SELECT big FROM w.s.issues WHERE owner = 'ann' AND name = 'x' AND big = 9007199254740993",
        1,
    ),
)


WORLD = _world()


@pytest.mark.parametrize("spot", SPOTS, ids=lambda s: s.who)
def test_answer_is_right_and_costs_no_more_than_it_must(spot: Spot, oracle: Oracle, server: Server) -> None:
    verdict = oracle.judge(Case(spot.sql, spot.parameters))
    assert verdict.kind == "same", verdict.detail
    sent = [re.sub(r"^/w\d+/w", "", target) for target in server.log]
    if isinstance(spot.sends, int):
        assert len(sent) == spot.sends, sent
    elif spot.sends is not None:
        assert set(sent) == spot.sends


def test_no_spot_stands_twice() -> None:
    assert len({s.who for s in SPOTS}) == len(SPOTS)


# -- what cannot be asked


@pytest.mark.parametrize(
    ("where", "missing"),
    [
        ("", "owner and name"),
        ("WHERE owner = 'ann'", "name"),
        ("WHERE owner = 'ann' OR name = 'x'", "owner and name"),
        ("WHERE owner LIKE 'a%' AND name = 'x'", "owner"),
        ("WHERE NOT (owner = 'ann') AND name = 'x'", "owner"),
    ],
)
def test_a_missing_key_is_named_and_nothing_is_sent(where: str, missing: str, oracle: Oracle, server: Server) -> None:
    """StackQL answers "query returns nothing"; Steampipe lists optional keys too."""
    server.log.clear()
    with pytest.raises(BindError, match=rf"^w\.s\.repos needs {missing}\n"):
        oracle.connection.execute(f"SELECT stars FROM w.s.repos {where}")
    assert server.log == []


# -- servers with a mind of their own


class Odd(Server):
    """Answers everything by a function."""

    def __init__(self, answer: Callable[[str, dict[str, str]], Reply]) -> None:
        super().__init__()
        self._odd = answer

    def _answer(self, path: str, query: dict[str, str]) -> Reply:
        return self._odd(path, query)


MANIFEST = """
provider: odd
base_url: {default: 'http://127.0.0.1:1'}
errors: {message: $.error.message, code: $.error.code}
answers:
  - {status: [404], body: {$.error.code: '^not_found$'}, means: no_rows}
pagination:
  pages: {kind: cursor, param: after, next: $.next, more: $.more}
---
service: s
resources:
  users:
    fields: {login: {type: string}, age: {type: integer}, boss: {type: string}}
    methods:
      get_user: {sql: SELECT, http: 'GET /users/{login}'}
  entries:
    fields: {id: {type: integer}}
    methods:
      list_entries: {sql: SELECT, http: GET /entries, rows: $.data, paginate: pages}
"""


Answering = Callable[[str, dict[str, str]], Reply]


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Callable[[Answering], provider.Connection]]:
    """Connects to a server that answers by a function."""
    (tmp_path / "odd.yaml").write_text(MANIFEST, encoding="utf-8")
    with ExitStack() as opened_here:

        def connect(answer: Answering) -> provider.Connection:
            server = opened_here.enter_context(Odd(answer))
            urls = {"odd": server.url}
            conn = provider.connect(manifests=[tmp_path / "odd.yaml"], base_urls=urls, environ={}, retries=0)
            return opened_here.enter_context(conn)

        yield connect


def _user(login: str, boss: str = "null") -> Reply:
    return 200, b'{"login": "%b", "age": 0, "boss": %b}' % (login.encode(), boss.encode()), ()


def _entries(first: int, more: bool, following: str = "null") -> Reply:
    body = b'{"data": [{"id": %d}], "more": %b, "next": %b}' % (first, str(more).lower().encode(), following.encode())
    return 200, body, ()


def test_an_api_that_ignores_case_does_not_answer_for_another_key(odd: Any) -> None:
    """Coral: rows that fail the ON clause came out of the join."""
    conn = odd(lambda path, query: _user(path.rpartition("/")[2].lower()))
    assert conn.execute("SELECT login FROM odd.s.users WHERE login = 'Bob'").fetchall() == []
    sql = "SELECT k, u.login FROM (VALUES ('Bob'), ('eve')) v(k) LEFT JOIN odd.s.users u ON u.login = v.k ORDER BY k"
    assert conn.execute(sql).fetchall() == [("Bob", None), ("eve", "eve")]


def test_a_failure_in_a_left_join_is_no_null(odd: Any) -> None:
    """Only a declared 'not found' keeps the left row; anything else is an error."""

    def answer(path: str, query: dict[str, str]) -> Reply:
        match path.rpartition("/")[2]:
            case "ann":
                return _user("ann")
            case "zoe":
                return NOT_FOUND
        return 403, b'{"error": {"code": "forbidden", "message": "not yours"}}', ()

    conn = odd(answer)
    sql = "SELECT k, u.age FROM (VALUES ('ann'), ('{}')) v(k) LEFT JOIN odd.s.users u ON u.login = v.k ORDER BY k"
    assert conn.execute(sql.format("zoe")).fetchall() == [("ann", 0), ("zoe", None)]
    with pytest.raises(ApiError, match="answered 403"):
        conn.execute(sql.format("eve"))


def test_a_list_is_not_empty_because_its_endpoint_is_gone(odd: Any) -> None:
    """StackQL and trino-openapi take every 404 for an empty table."""
    conn = odd(lambda path, query: (404, b'{"error": {"code": "unknown_url", "message": "gone"}}', ()))
    with pytest.raises(ApiError, match="answered 404"):
        conn.execute("SELECT id FROM odd.s.entries")


def test_many_pages_are_all_read(odd: Any) -> None:
    """StackQL ends after 20 pages, Anyquery after 16 empty ones."""

    def answer(path: str, query: dict[str, str]) -> Reply:
        page = int(query.get("after", "0"))
        if page % 50:
            return 200, b'{"data": [], "more": true, "next": %d}' % (page + 1), ()
        return _entries(page, page < 200, str(page + 1))

    assert odd(answer).execute("SELECT id FROM odd.s.entries").fetchall() == [(0,), (50,), (100,), (150,), (200,)]


def test_a_page_that_fails_is_no_end(odd: Any) -> None:
    """StackQL: an answer >= 300 after the first page ended the scan."""

    def answer(path: str, query: dict[str, str]) -> Reply:
        return (500, b"{}", ()) if query else _entries(1, True, '"2"')

    with pytest.raises(ApiError, match="answered 500"):
        odd(answer).execute("SELECT id FROM odd.s.entries")


@pytest.mark.parametrize(
    "page", [_entries(1, True), _entries(1, True, '"again"'), (200, b'{"data": [{"id": 1}], "next": "2"}', ())]
)
def test_paging_that_makes_no_sense_is_an_error(page: Reply, odd: Any) -> None:
    """dlt read 200 identical pages; Coral stopped at a cursor that was no string; a missing terminator ended scans."""
    with pytest.raises(DataError):
        odd(lambda path, query: page).execute("SELECT id FROM odd.s.entries")


@pytest.mark.parametrize("body", [b'{"data": {"id": 1}, "more": false}', b'{"items": [], "more": false}', b"[]", b""])
def test_an_envelope_without_its_rows_is_an_error(body: bytes, odd: Any) -> None:
    """trino-openapi and StackQL made the envelope a row, or no row."""
    with pytest.raises(DataError):
        odd(lambda path, query: (200, body, ())).execute("SELECT id FROM odd.s.entries")


@pytest.mark.parametrize("value", [b'""', b'"7x"', b"1.5", b"true", b"9223372036854775808"])
def test_a_value_that_is_no_integer_is_an_error_with_its_place(value: bytes, odd: Any) -> None:
    """Steampipe crashed, others gave NULL or 2 for 1.5."""
    conn = odd(lambda path, query: (200, b'{"data": [{"id": %b}], "more": false}' % value, ()))
    with pytest.raises(DataError, match=r"odd\.s\.entries"):
        conn.execute("SELECT id FROM odd.s.entries")


def test_a_terminator_is_read(odd: Any) -> None:
    """StackQL ignores has_more, and asks once too often."""
    asked: list[str] = []

    def answer(path: str, query: dict[str, str]) -> Reply:
        asked.append(path)
        return _entries(1, False, '"2"')

    assert odd(answer).execute("SELECT id FROM odd.s.entries").fetchall() == [(1,)]
    assert len(asked) == 1
