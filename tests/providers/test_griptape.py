"""Griptape Cloud over its bundled manifest: each operation by a statement, the requests on the wire, and the rows."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

import provider
from provider.catalog.loader import Catalog
from provider.errors import ApiError, AuthError, BindError, DataError, PartlyDone
from tests.providers import griptape
from tests.providers.conftest import ORGANIZATION, Neighbours
from tests.providers.griptape import Cloud, uuid

MISSING = uuid(9_999)
NOON = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)


@pytest.fixture
def cloud(neighbours: Neighbours) -> Cloud:
    """The objects of Griptape's server."""
    return neighbours.cloud


@pytest.fixture
def ada(cloud: Cloud) -> str:
    """A user's id."""
    return cloud.user("ada@example.org", ORGANIZATION)


@pytest.fixture
def assistant(cloud: Cloud) -> str:
    """An assistant's id."""
    return cloud.assistant("Helper", ORGANIZATION)


def keys(cloud: Cloud, owner: str, count: int) -> list[str]:
    """The ids of new API keys, named key 0, key 1, ..."""
    return [cloud.api_key(f"key {n}", owner, ORGANIZATION, owner)["api_key_id"] for n in range(count)]


# -- users ---------------------------------------------------------------------------------------


def test_list_users(conn: provider.Connection, neighbours: Neighbours, ada: str) -> None:
    rows = conn.execute("SELECT user_id, email, name, organizations, created_at FROM griptape.users.users").fetchall()
    assert rows == [(ada, "ada@example.org", None, f'["{ORGANIZATION}"]', NOON)]
    assert neighbours.griptape.lines() == ["GET /api/users"]


def test_a_list_that_comes_without_its_array_has_no_rows(conn: provider.Connection, neighbours: Neighbours) -> None:
    assert conn.execute("SELECT count(*) FROM griptape.users.users").fetchall() == [(0,)]
    assert conn.execute("SELECT name FROM griptape.assistants.assistants").fetchall() == []
    assert neighbours.griptape.lines() == ["GET /api/users", "GET /api/assistants?page_size=100&page=1"]


def test_exec_takes_a_list_without_its_array(conn: provider.Connection, cloud: Cloud) -> None:
    assert conn.execute("EXEC griptape.users.users.list_users").fetchall() == []
    user = cloud.user("ada@example.org", ORGANIZATION)
    assert [row[0] for row in conn.execute("EXEC griptape.users.users.list_users").fetchall()] == [user]


def test_a_list_may_come_with_an_empty_array(conn: provider.Connection, cloud: Cloud) -> None:
    cloud.omits_empty = False
    assert conn.execute("SELECT * FROM griptape.users.users").fetchall() == []
    assert conn.execute("SELECT * FROM griptape.assistants.assistants").fetchall() == []


def test_the_key_is_sent_as_a_bearer_token(conn: provider.Connection, neighbours: Neighbours) -> None:
    conn.execute("SELECT email FROM griptape.users.users")
    (request,) = neighbours.griptape.requests
    assert request.headers["authorization"] == f"Bearer {griptape.KEY}"


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_has_api_once(neighbours: Neighbours, slash: str) -> None:
    """The variable holds the address without /api, as for the vendor's clients."""
    environ = {**neighbours.environ, "GT_CLOUD_BASE_URL": neighbours.environ["GT_CLOUD_BASE_URL"] + slash}
    with provider.connect(environ=environ) as conn:
        conn.execute("SELECT email FROM griptape.users.users")
    assert neighbours.griptape.lines() == ["GET /api/users"]
    catalog = Catalog(environ={})
    assert catalog.provider("griptape").base_url.default == "https://cloud.griptape.ai"
    for service in catalog.services("griptape"):
        for resource in catalog.service("griptape", service).resources.values():
            assert all(m.path.startswith("/api/") and m.path.count("/api/") == 1 for m in resource.methods)


def test_a_base_url_with_api_is_told_to_be_wrong(neighbours: Neighbours) -> None:
    base = neighbours.environ["GT_CLOUD_BASE_URL"] + "/api"
    with (
        provider.connect(environ=neighbours.environ, base_urls={"griptape": base}) as conn,
        pytest.raises(ApiError, match=r"GET /api/users answered 404(?s:.)*/api the right base URL\?"),
    ):
        conn.execute("SELECT email FROM griptape.users.users")


# -- API keys ------------------------------------------------------------------------------------


def test_get_api_key(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str) -> None:
    first, second = keys(cloud, ada, 2)
    cur = conn.execute("SELECT api_key_id, name, active, created_by FROM griptape.users.api_keys WHERE api_key_id = ?",
                       [second])  # fmt: skip
    assert cur.fetchall() == [(second, "key 1", True, ada)]
    sql = "SELECT name FROM griptape.users.api_keys WHERE api_key_id IN (?, ?, ?) ORDER BY name"
    assert conn.execute(sql, [first, second, MISSING]).fetchall() == [("key 0",), ("key 1",)]
    asked = neighbours.griptape.lines()
    assert asked[0] == f"GET /api/api-keys/{second}"
    assert sorted(asked[1:]) == sorted(f"GET /api/api-keys/{id_}" for id_ in (first, second, MISSING))


def test_list_api_keys_over_several_pages(
    conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str
) -> None:
    keys(cloud, ada, 250)
    cur = conn.execute("SELECT name, user_id FROM griptape.users.api_keys WHERE user_id = ?", [ada])
    assert sorted(cur.fetchall()) == sorted((f"key {n}", ada) for n in range(250))
    first, *others = neighbours.griptape.lines()
    path = f"GET /api/users/{ada}/api-keys?page_size=100"
    assert (first, sorted(others)) == (f"{path}&page=1", [f"{path}&page=2", f"{path}&page=3"])


def test_totals_may_be_written_with_a_point(conn: provider.Connection, cloud: Cloud, ada: str) -> None:
    cloud.number = float
    keys(cloud, ada, 101)
    cur = conn.execute("SELECT count(*) FROM griptape.users.api_keys WHERE user_id = ?", [ada])
    assert cur.fetchall() == [(101,)]


def test_a_smaller_page_may_be_asked_for(
    conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str
) -> None:
    keys(cloud, ada, 5)
    sql = "SELECT name FROM griptape.users.api_keys WHERE user_id = ? AND page_size = 2"
    assert len(conn.execute(sql, [ada]).fetchall()) == 5
    assert len(neighbours.griptape.lines()) == 3


def test_list_organization_api_keys(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str) -> None:
    keys(cloud, ada, 2)
    sql = "SELECT name, organization_id FROM griptape.users.api_keys WHERE organization_id = ? ORDER BY name LIMIT 1"
    assert conn.execute(sql, [ORGANIZATION]).fetchall() == [("key 0", ORGANIZATION)]
    assert neighbours.griptape.lines() == [f"GET /api/organizations/{ORGANIZATION}/api-keys?page_size=100&page=1"]


def test_api_keys_need_an_owner_or_an_id(conn: provider.Connection, neighbours: Neighbours) -> None:
    with pytest.raises(BindError, match=r"griptape\.users\.api_keys needs"):
        conn.execute("SELECT name FROM griptape.users.api_keys")
    assert neighbours.griptape.lines() == []


def test_create_api_key_tells_its_secret_once(
    conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str
) -> None:
    sql = "INSERT INTO griptape.users.api_keys (user_id, name) VALUES (?, 'laptop')"
    sql += " RETURNING api_key_id, value, created_at"
    ((id_, value, created_at),) = conn.execute(sql, [ada]).fetchall()
    assert (value, created_at) == ("gt-secret-of-laptop", NOON)
    assert cloud.api_keys[id_]["name"] == "laptop"
    assert neighbours.griptape.lines() == [f'POST /api/users/{ada}/api-keys {{"name": "laptop"}}']
    with pytest.raises(BindError, match="value"):
        conn.execute("SELECT value FROM griptape.users.api_keys WHERE api_key_id = ?", [id_])
    told = conn.execute("SELECT * FROM apiql.last_requests").fetchall(), conn.execute("SELECT * FROM apiql.last_writes")
    assert "gt-secret" not in str((told[0], told[1].fetchall()))


def test_create_organization_api_key(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str) -> None:
    sql = "INSERT INTO griptape.users.api_keys (organization_id, data__name) VALUES (?, 'server') RETURNING value"
    assert conn.execute(sql, [ORGANIZATION]).fetchall() == [("gt-secret-of-server",)]
    assert neighbours.griptape.lines() == [f'POST /api/organizations/{ORGANIZATION}/api-keys {{"name": "server"}}']


def test_update_api_keys_with_where_over_a_list(
    conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str
) -> None:
    ids = keys(cloud, ada, 3)
    cur = conn.execute(
        "UPDATE griptape.users.api_keys SET name = name || ' (old)' WHERE user_id = ? AND name <> 'key 1'"
        " RETURNING name", [ada],
    )  # fmt: skip
    assert sorted(cur.fetchall()) == [("key 0 (old)",), ("key 2 (old)",)]
    read, *written = neighbours.griptape.lines()
    assert read == f"GET /api/users/{ada}/api-keys?page_size=100&page=1"
    assert sorted(written) == [
        f'PATCH /api/api-keys/{ids[0]} {{"name": "key 0 (old)"}}',
        f'PATCH /api/api-keys/{ids[2]} {{"name": "key 2 (old)"}}',
    ]


def test_update_by_key_is_one_request(
    conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str
) -> None:
    (id_,) = keys(cloud, ada, 1)
    assert conn.execute("UPDATE griptape.users.api_keys SET name = 'x' WHERE api_key_id = ?", [id_]).rowcount == 1
    assert neighbours.griptape.lines() == [f'PATCH /api/api-keys/{id_} {{"name": "x"}}']
    assert cloud.api_keys[id_]["name"] == "x"


def test_delete_api_keys_with_where_over_a_list(
    conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, ada: str
) -> None:
    ids = keys(cloud, ada, 12)
    cur = conn.execute("DELETE FROM griptape.users.api_keys WHERE user_id = ? AND name LIKE 'key 1%'", [ada])
    assert cur.rowcount == 3
    assert [k["name"] for k in cloud.api_keys.values()] == ["key 0", *(f"key {n}" for n in range(2, 10))]
    read, *written = neighbours.griptape.lines()
    assert read == f"GET /api/users/{ada}/api-keys?page_size=100&page=1"
    assert sorted(written) == sorted(f"DELETE /api/api-keys/{ids[n]}" for n in (1, 10, 11))


def test_deleting_what_is_gone_changes_nothing(conn: provider.Connection, neighbours: Neighbours, ada: str) -> None:
    cur = conn.execute("DELETE FROM griptape.users.api_keys WHERE api_key_id = ?", [MISSING])
    assert cur.rowcount == 0
    assert neighbours.griptape.lines() == [f"DELETE /api/api-keys/{MISSING}"]


# -- assistants and their runs -------------------------------------------------------------------


def test_list_assistants(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud) -> None:
    for n in range(120):
        cloud.assistant(f"Helper {n}", ORGANIZATION)
    cur = conn.execute("SELECT count(*), count(DISTINCT assistant_id) FROM griptape.assistants.assistants")
    assert cur.fetchall() == [(120, 120)]
    assert neighbours.griptape.lines() == [f"GET /api/assistants?page_size=100&page={n}" for n in (1, 2)]


def test_create_assistant_run(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, assistant: str) -> None:
    thread, tool = uuid(2), uuid(3)
    cur = conn.execute(
        "INSERT INTO griptape.assistants.runs (assistant_id, input, thread_id, args, additional_tool_ids, stream)"
        " VALUES (?, 'Hello', ?, ['--fast'], [?], false)"
        " RETURNING assistant_run_id, status, args, tool_ids, completed_at", [assistant, thread, tool],
    )  # fmt: skip
    ((id_, *rest),) = cur.fetchall()
    assert rest == ["QUEUED", '["--fast"]', f'["{tool}"]', None]
    assert cloud.assistant_runs[id_]["thread_id"] == thread
    (line,) = neighbours.griptape.lines()
    target, _, body = line.partition(" {")
    assert target == f"POST /api/assistants/{assistant}/runs"
    assert json.loads("{" + body) == {
        "input": "Hello", "thread_id": thread, "args": ["--fast"], "additional_tool_ids": [tool], "stream": False,
    }  # fmt: skip


def test_a_run_may_be_created_without_a_body(conn: provider.Connection, neighbours: Neighbours, assistant: str) -> None:
    conn.execute("INSERT INTO griptape.assistants.runs (assistant_id) VALUES (?)", [assistant])
    assert neighbours.griptape.lines() == [f"POST /api/assistants/{assistant}/runs {{}}"]


def test_get_assistant_run(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, assistant: str) -> None:
    run = cloud.run(assistant, {"input": "Hi"}, "SUCCEEDED")
    run |= {"output": {"value": [1, "two"]}, "completed_at": "2026-11-20T10:00:07Z"}
    sql = (
        "SELECT input, status, output->'value'->>1, date_diff('second', created_at, completed_at)"
        " FROM griptape.assistants.runs WHERE assistant_run_id = ?"
    )
    assert conn.execute(sql, [run["assistant_run_id"]]).fetchall() == [("Hi", "SUCCEEDED", "two", 7)]
    assert neighbours.griptape.lines() == [f"GET /api/assistant-runs/{run['assistant_run_id']}"]


def test_list_assistant_runs(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, assistant: str) -> None:
    for n in range(7):
        cloud.run(assistant, {"input": str(n)}, "RUNNING" if n % 2 else "FAILED")
    path = f"GET /api/assistants/{assistant}/runs?"
    sql = "SELECT count(*) FROM griptape.assistants.runs WHERE assistant_id = ?"
    assert conn.execute(sql, [assistant]).fetchall() == [(7,)]
    assert neighbours.griptape.lines() == [f"{path}page_size=100&page=1"]
    assert conn.execute(f"{sql} AND status = 'RUNNING'", [assistant]).fetchall() == [(3,)]
    assert neighbours.griptape.lines() == [f"{path}status=RUNNING&page_size=100&page=1"]


def test_several_states_are_sorted_out_here(
    conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, assistant: str
) -> None:
    """The documents do not agree how several stand in one request, so that one list of all is the cheapest."""
    for status in ("QUEUED", "RUNNING", "FAILED", "FAILED"):
        cloud.run(assistant, {}, status)
    sql = "SELECT status FROM griptape.assistants.runs WHERE assistant_id = ? AND status IN ('FAILED', 'QUEUED')"
    assert sorted(conn.execute(sql, [assistant]).fetchall()) == [("FAILED",), ("FAILED",), ("QUEUED",)]
    assert neighbours.griptape.lines() == [f"GET /api/assistants/{assistant}/runs?page_size=100&page=1"]


def test_cancel_assistant_run(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, assistant: str) -> None:
    id_ = cloud.run(assistant, {})["assistant_run_id"]
    cur = conn.execute(f"SELECT status FROM (EXEC griptape.assistants.runs.cancel @assistant_run_id='{id_}')")
    assert cur.fetchall() == [("CANCELLED",)]
    assert neighbours.griptape.lines() == [f"POST /api/assistant-runs/{id_}/cancel"]
    with pytest.raises(provider.Error, match=r"answered 409(?s:.)*the run is CANCELLED"):
        conn.execute(f"EXEC griptape.assistants.runs.cancel_assistant_run @assistant_run_id='{id_}'")


def test_list_assistant_events(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, assistant: str) -> None:
    run = cloud.run(assistant, {})["assistant_run_id"]
    for n in range(105):
        cloud.event("assistant", run, "ASSISTANT", "Chunk", {"n": n}, 1763632800.25 + n)
    sql = (
        "SELECT count(*), max((payload->>'n')::int), min(timestamp), min(assistant_run_id)"
        " FROM griptape.assistants.events WHERE assistant_run_id = ?"
    )
    assert conn.execute(sql, [run]).fetchall() == [(105, 104, 1763632800.25, run)]
    path = f"GET /api/assistant-runs/{run}/events?limit=100&offset="
    assert neighbours.griptape.lines() == [f"{path}0", f"{path}100", f"{path}105"]


def test_events_that_come_while_they_are_read_are_no_fault(
    conn: provider.Connection, cloud: Cloud, assistant: str
) -> None:
    run = cloud.run(assistant, {})["assistant_run_id"]
    cloud.event("assistant", run, "ASSISTANT", "Chunk", 0, 0)

    def grow(run: str) -> None:
        first = len(cloud.events)
        for n in range(first, first + 60 if first < 150 else first):
            cloud.event("assistant", run, "ASSISTANT", "Chunk", n, n)

    cloud.listed = grow
    sql = "SELECT payload FROM griptape.assistants.events WHERE assistant_run_id = ?"
    assert [n for (n,) in conn.execute(sql, [run]).fetchall()] == [str(n) for n in range(181)]


# -- events of structure runs --------------------------------------------------------------------


@pytest.fixture
def structure_run(cloud: Cloud) -> str:
    """The id of a structure's run."""
    cloud.structure_runs.add(uuid(77))
    return uuid(77)


def test_create_and_list_events(
    conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, structure_run: str
) -> None:
    """202 without a body."""
    cur = conn.execute(
        "INSERT INTO griptape.structures.events (structure_run_id, events)"
        " VALUES (?, [{'timestamp': 1.5, 'type': 'Note', 'payload': {'text': 'hello'}}])", [structure_run],
    )  # fmt: skip
    assert cur.rowcount == 1
    (line,) = neighbours.griptape.lines()
    target, _, body = line.partition(" {")
    assert target == f"POST /api/structure-runs/{structure_run}/events"
    assert json.loads("{" + body) == {"events": [{"timestamp": 1.5, "type": "Note", "payload": {"text": "hello"}}]}
    sql = "SELECT type, origin, payload->>'text', timestamp FROM griptape.structures.events WHERE structure_run_id = ?"
    assert conn.execute(sql, [structure_run]).fetchall() == [("Note", "USER", "hello", 1.5)]
    path = f"GET /api/structure-runs/{structure_run}/events?limit=100&offset="
    assert neighbours.griptape.lines() == [f"{path}0", f"{path}1"]


def test_get_event(conn: provider.Connection, neighbours: Neighbours, cloud: Cloud, structure_run: str) -> None:
    id_ = cloud.event("structure", structure_run, "SYSTEM", "StructureRunError", None, 2)
    sql = "SELECT event_id, structure_run_id, payload FROM griptape.structures.events WHERE event_id = ?"
    assert conn.execute(sql, [id_]).fetchall() == [(id_, structure_run, None)]
    assert neighbours.griptape.lines() == [f"GET /api/events/{id_}"]


# -- failures ------------------------------------------------------------------------------------


def test_a_missing_object_is_no_row(conn: provider.Connection) -> None:
    for sql in (
        "SELECT name FROM griptape.users.api_keys WHERE api_key_id = ?",
        "SELECT name FROM griptape.users.api_keys WHERE user_id = ?",
        "SELECT status FROM griptape.assistants.runs WHERE assistant_id = ?",
        "SELECT type FROM griptape.structures.events WHERE structure_run_id = ?",
    ):
        assert conn.execute(sql, [MISSING]).fetchall() == [], sql


def test_a_refusal_is_told_in_the_api_s_words(conn: provider.Connection) -> None:
    with pytest.raises(ApiError) as caught:
        conn.execute("SELECT name FROM griptape.users.api_keys WHERE api_key_id = 'nobody'")
    assert (caught.value.status, caught.value.code) == (422, "ValidationError")
    assert str(caught.value).endswith('  > ["nobody is no UUID"]')


def test_a_wrong_key_is_an_error(neighbours: Neighbours) -> None:
    with (
        provider.connect(environ={**neighbours.environ, "GT_CLOUD_API_KEY": "wrong"}) as conn,
        pytest.raises(AuthError, match="GET /api/users answered 401"),
    ):
        conn.execute("SELECT email FROM griptape.users.users")


def test_a_name_that_is_too_long_is_not_sent(conn: provider.Connection, neighbours: Neighbours, ada: str) -> None:
    with pytest.raises(DataError, match="name cannot be"):
        conn.execute("INSERT INTO griptape.users.api_keys (user_id, name) SELECT ?, repeat('x', 201)", [ada])
    assert neighbours.griptape.lines() == []


def test_a_write_that_fails_half_way_is_accounted_for(conn: provider.Connection, cloud: Cloud, ada: str) -> None:
    sql = "INSERT INTO griptape.users.api_keys (user_id, name) VALUES (?, 'one'), (?, 'two')"
    with pytest.raises(PartlyDone, match=r"Done: 1\. Refused: 1"):
        conn.execute(sql, [ada, MISSING])
    assert [k["name"] for k in cloud.api_keys.values()] == ["one"]


# -- the documents -------------------------------------------------------------------------------


def test_the_manifest_has_the_documented_operations() -> None:
    """Those of the reference page."""
    catalog = Catalog(environ={})
    found = {
        m.name: m.http
        for service in catalog.services("griptape")
        for resource in catalog.service("griptape", service).resources.values()
        for m in resource.methods
    }
    operations = (Path(__file__).parent / "griptape_operations.txt").read_text(encoding="utf-8")
    assert found == dict(line.split(" ", 1) for line in operations.splitlines())
