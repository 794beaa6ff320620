"""aimlapi over its bundled manifest: camel case in paths, OpenAI's fields, and no more than is documented."""

from __future__ import annotations

import json
import re

import pytest

import provider
from provider.catalog.catalog import Service
from provider.catalog.loader import Catalog
from provider.errors import AuthError, BindError
from tests.providers.conftest import Neighbours

OPERATIONS = """
POST /threads
GET /threads/{threadId}
POST /threads/{threadId}
DELETE /threads/{threadId}
POST /threads/{threadId}/messages
GET /threads/{threadId}/messages
GET /threads/{threadId}/messages/{messageId}
POST /threads/{threadId}/messages/{messageId}
DELETE /threads/{threadId}/messages/{messageId}
POST /threads/{threadId}/runs
GET /threads/{threadId}/runs
GET /threads/{threadId}/runs/{runId}
POST /threads/{threadId}/runs/{runId}
GET /assistants
POST /assistants
GET /assistants/{assistantId}
POST /assistants/{assistantId}
DELETE /assistants/{assistantId}
"""


def service(name: str) -> Service:
    return Catalog(versions={"openai": "v2"}, environ={}).service(name, "assistants")


def test_the_operations_are_the_documented_ones() -> None:
    found = [m.http for r in service("aimlapi").resources.values() for m in r.methods]
    assert sorted(found) == sorted(OPERATIONS.split("\n")[1:-1])


def test_fields_and_parameters_are_openai_s_of_v2() -> None:
    ours, theirs = service("aimlapi"), service("openai")
    for resource in ours.resources.values():
        other = theirs.resources[resource.name]
        assert resource.fields == other.fields
        assert resource.key == other.key
        for method in resource.methods:
            same = other.method(method.name)
            assert same is not None
            assert method.verb == same.verb
            assert method.returns == same.returns
            # The names in SQL are the same, in the path too; the manifest's own words describe those.
            assert [p.name for p in method.parameters] == [p.name for p in same.parameters]
            assert [p for p in method.parameters if p.location != "path"] == [
                p for p in same.parameters if p.location != "path"
            ]
            camel = re.sub(r"_(\w)(?=\w*\})", lambda m: m[1].upper(), same.path)
            assert method.path == camel


def test_the_version_of_openai_does_not_matter() -> None:
    v1 = Catalog(versions={"openai": "v1"}, environ={})
    assert v1.service("aimlapi", "assistants").resources == service("aimlapi").resources


def test_threads(conn: provider.Connection, neighbours: Neighbours) -> None:
    log = neighbours.aimlapi
    sql = """INSERT INTO aimlapi.assistants.threads (metadata) VALUES ('{"a": "1"}') RETURNING id"""
    ((thread,),) = conn.execute(sql).fetchall()
    assert log.lines() == ['POST /threads {"metadata": {"a": "1"}}']
    for name in ("id", "thread_id"):
        sql = f"SELECT metadata->>'a' FROM aimlapi.assistants.threads WHERE {name} = ?"
        assert conn.execute(sql, [thread]).fetchall() == [("1",)]
        assert log.lines() == [f"GET /threads/{thread}"]
    sql = """UPDATE aimlapi.assistants.threads SET metadata = '{"a": "2"}' WHERE thread_id = ? RETURNING metadata"""
    assert json.loads(conn.execute(sql, [thread]).fetchall()[0][0]) == {"a": "2"}
    assert log.lines() == [f'POST /threads/{thread} {{"metadata": {{"a": "2"}}}}']
    sql = "DELETE FROM aimlapi.assistants.threads WHERE id = ? RETURNING id, deleted"
    assert conn.execute(sql, [thread]).fetchall() == [(thread, True)]
    assert log.lines() == [f"DELETE /threads/{thread}"]
    assert conn.execute("SELECT id FROM aimlapi.assistants.threads WHERE id = ?", [thread]).fetchall() == []


def test_messages(conn: provider.Connection, neighbours: Neighbours) -> None:
    log = neighbours.aimlapi
    ((thread,),) = conn.execute("INSERT INTO aimlapi.assistants.threads DEFAULT VALUES RETURNING id").fetchall()
    conn.execute(
        "INSERT INTO aimlapi.assistants.messages (thread_id, role, content)"
        " SELECT ?, 'user', 'text ' || n FROM range(103) r(n)", [thread],
    )  # fmt: skip
    posted = log.lines()
    assert posted[1] == f'POST /threads/{thread}/messages {{"role": "user", "content": "text 0"}}'
    assert len(posted) == 104
    sql = "SELECT id, content->0->'text'->>'value' FROM aimlapi.assistants.messages WHERE thread_id = ?"
    rows = conn.execute(sql, [thread]).fetchall()
    assert [text for _, text in rows] == [f"text {n}" for n in range(102, -1, -1)]
    path = f"GET /threads/{thread}/messages?limit=100"
    assert log.lines() == [path, f"{path}&after={rows[99][0]}"]
    first, second = rows[0][0], rows[1][0]
    assert conn.execute(f"{sql} AND message_id = ?", [thread, second]).fetchall() == [(second, "text 101")]
    conn.execute(
        """UPDATE aimlapi.assistants.messages SET metadata = '{"seen": "yes"}' WHERE thread_id = ? AND id = ?""",
        [thread, first],
    )
    conn.execute("DELETE FROM aimlapi.assistants.messages WHERE thread_id = ? AND id = ?", [thread, second])
    assert log.lines() == [
        f"GET /threads/{thread}/messages/{second}",
        f'POST /threads/{thread}/messages/{first} {{"metadata": {{"seen": "yes"}}}}',
        f"DELETE /threads/{thread}/messages/{second}",
    ]


def test_runs(conn: provider.Connection, neighbours: Neighbours) -> None:
    log = neighbours.aimlapi
    sql = "INSERT INTO aimlapi.assistants.assistants (model, name) VALUES ('m', 'Helper') RETURNING id"
    ((assistant,),) = conn.execute(sql).fetchall()
    ((thread,),) = conn.execute("INSERT INTO aimlapi.assistants.threads DEFAULT VALUES RETURNING id").fetchall()
    log.lines()
    sql = "INSERT INTO aimlapi.assistants.runs (thread_id, assistant_id) VALUES (?, ?) RETURNING id"
    ((run,),) = conn.execute(sql, [thread, assistant]).fetchall()
    sql = "SELECT assistant_id FROM aimlapi.assistants.runs WHERE thread_id = ?"
    assert conn.execute(sql, [thread]).fetchall() == [(assistant,)]
    assert conn.execute(f"{sql} AND run_id = ?", [thread, run]).fetchall() == [(assistant,)]
    conn.execute(
        "UPDATE aimlapi.assistants.runs SET metadata = MAP {'k': 'v'} WHERE thread_id = ? AND run_id = ?", [thread, run]
    )
    assert log.lines() == [
        f'POST /threads/{thread}/runs {{"assistant_id": "{assistant}"}}',
        f"GET /threads/{thread}/runs?limit=100",
        f"GET /threads/{thread}/runs/{run}",
        f'POST /threads/{thread}/runs/{run} {{"metadata": {{"k": "v"}}}}',
    ]


def test_assistants(conn: provider.Connection, neighbours: Neighbours) -> None:
    log = neighbours.aimlapi
    conn.execute("INSERT INTO aimlapi.assistants.assistants (model, name) VALUES ('m', 'One'), ('m', 'Two')")
    log.lines()
    sql = "SELECT id FROM aimlapi.assistants.assistants WHERE name = 'Two'"
    ((id_,),) = conn.execute(sql).fetchall()
    assert conn.execute("SELECT name FROM aimlapi.assistants.assistants WHERE id = ?", [id_]).fetchall() == [("Two",)]
    conn.execute("UPDATE aimlapi.assistants.assistants SET name = 'Three' WHERE assistant_id = ?", [id_])
    conn.execute("DELETE FROM aimlapi.assistants.assistants WHERE assistant_id = ?", [id_])
    assert log.lines() == [
        "GET /assistants?limit=100",
        f"GET /assistants/{id_}",
        f'POST /assistants/{id_} {{"name": "Three"}}',
        f"DELETE /assistants/{id_}",
    ]


def test_threads_cannot_be_listed(conn: provider.Connection, neighbours: Neighbours) -> None:
    with pytest.raises(BindError, match=r"aimlapi\.assistants\.threads needs thread_id"):
        conn.execute("SELECT id FROM aimlapi.assistants.threads")
    assert neighbours.aimlapi.lines() == []


def test_a_failure_in_an_unknown_format_is_shown_as_it_is(neighbours: Neighbours) -> None:
    with (
        provider.connect(environ={**neighbours.environ, "AIMLAPI_API_KEY": "wrong"}) as conn,
        pytest.raises(AuthError, match=r'answered 401(?s:.)*> \{"statusCode":401\}'),
    ):
        conn.execute("SELECT id FROM aimlapi.assistants.assistants")
