"""The schema apiql: the catalog and what happened, as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provider.errors import ApiError, BindError, ManifestError

TABLES = ["fields", "last_requests", "methods", "parameters", "providers", "resources", "services", "settings"]


def test_the_tables_are_listed_when_asked_for(over: Any) -> None:
    conn = over()
    listed = dict(conn.execute("SHOW TABLES FROM apiql").fetchall())
    assert set(TABLES) <= set(listed)
    assert all(listed.values())
    assert conn.execute("SHOW TABLES FROM apiql LIKE 'meth%'").fetchall()[0][0] == "methods"
    assert conn.execute("SHOW TABLES").fetchall() == []


@pytest.mark.parametrize("table", TABLES)
def test_each_can_be_read_and_described_and_sends_nothing(over: Any, world: Any, table: str) -> None:
    conn = over()
    rows = conn.execute(f"SELECT * FROM apiql.{table}")
    names = [d[0] for d in rows.description]
    assert bool(rows.fetchall()) is (table != "last_requests")
    assert [row[0] for row in conn.execute(f"DESCRIBE apiql.{table}").fetchall()] == names
    assert world.requests() == []


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        (
            "SELECT method, sql_verb, http_method, path, required FROM apiql.methods "
            "WHERE provider = 'openai' AND resource = 'messages' AND sql_verb = 'INSERT'",
            [
                (
                    "create_message",
                    "INSERT",
                    "POST",
                    "/threads/{thread_id}/messages",
                    ["thread_id", "data__role", "data__content"],
                )
            ],
        ),
        (
            "SELECT apiql.fields.field, type, key_parameter FROM apiql.fields "
            "WHERE provider = 'openai' AND resource = 'threads' ORDER BY position LIMIT 2",
            [("id", "string", "thread_id"), ("object", "string", None)],
        ),
        (
            "SELECT p.parameter, p.required "
            "FROM apiql.methods AS m JOIN apiql.parameters p USING (provider, resource, method) "
            "WHERE m.http_method = 'DELETE' AND provider = 'openai' AND resource = 'messages' ORDER BY ALL",
            [("message_id", True), ("thread_id", True)],
        ),
        (
            "SELECT version, versions FROM apiql.services WHERE provider = 'openai' AND service = 'assistants'",
            [("v2", ["v1", "v2"])],
        ),
        ("SELECT sql_verbs FROM apiql.resources WHERE id = 'openai.assistants.run_steps'", [(["SELECT"],)]),
        ("SELECT count(*) > 20 FROM apiql.methods WHERE provider = 'openai'", [(True,)]),
        ("SELECT count(*) FROM apiql.methods WHERE provider = 'nobody'", [(0,)]),
        ("WITH m AS (FROM apiql.methods) SELECT max(http_method) FROM m", [("POST",)]),
    ],
)
def test_they_are_queried_and_joined_like_any_table(over: Any, sql: str, rows: list[Any]) -> None:
    assert over().execute(sql).fetchall() == rows


def test_they_join_resources_and_can_bind_them(over: Any, world: Any) -> None:
    conn = over()
    sql = (
        "SELECT DISTINCT m.http_method FROM openai.assistants.threads t "
        "JOIN apiql.methods m ON m.resource = t.object || 's' WHERE t.id = $id ORDER BY 1"
    )
    assert conn.execute(sql, {"id": world.ids["thread_a"]}).fetchall() == [("DELETE",), ("GET",), ("POST",)]
    assert len(world.requests()) == 1


def test_a_local_table_can_be_made_of_one(over: Any) -> None:
    conn = over()
    conn.execute("CREATE TABLE kept AS SELECT * FROM apiql.methods; CREATE VIEW v AS SELECT method FROM apiql.methods")
    wanted = conn.execute("SELECT count(*) FROM apiql.methods").fetchone()
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == wanted
    assert conn.execute("SELECT count(*) FROM v").fetchone() == wanted


def test_a_misspelt_table_is_named_with_a_place(over: Any) -> None:
    with pytest.raises(BindError, match=r"no table apiql\.method\b") as refused:
        over().execute("SELECT *\nFROM apiql.method")
    assert "Did you mean methods" in str(refused.value)
    assert refused.value.place is not None
    assert (refused.value.place.line, refused.value.place.column) == (2, 6)


def test_a_table_of_the_users_own_wins(connection: Any, tmp_path: Path) -> None:
    conn = connection(str(tmp_path / "own.duckdb"))
    conn.execute("CREATE SCHEMA apiql; CREATE TABLE apiql.methods AS SELECT 42 AS answer")
    assert conn.execute("SELECT * FROM apiql.methods").fetchall() == [(42,)]
    assert conn.execute("SELECT count(*) FROM apiql.providers WHERE provider = 'openai'").fetchone() == (1,)
    conn.execute("INSERT INTO apiql.methods VALUES (43); DROP TABLE apiql.methods")
    assert conn.execute("SELECT count(*) > 1 FROM apiql.methods").fetchone() == (True,)


def test_a_broken_manifest_is_an_error_only_where_it_is_read(over: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "provider.yaml").write_text("provider: broken\nbase_url: {default: http://127.0.0.1:1}\n")
    (broken / "things.yaml").write_text("service: things\nresources: {thing: {fields: 5}}\n")
    conn = over(manifests=[tmp_path])
    assert ("broken",) in conn.execute("SELECT provider FROM apiql.providers").fetchall()
    assert conn.execute("SELECT count(*) > 1 FROM apiql.methods WHERE provider = 'openai'").fetchone() == (True,)
    with pytest.raises(ManifestError, match="fields"):
        conn.execute("SELECT * FROM apiql.methods")


def test_last_requests_are_those_of_the_last_statement(over: Any, world: Any) -> None:
    conn = over()
    ids = [world.ids["thread_a"], world.ids["thread_b"]]
    conn.execute("SELECT id FROM openai.assistants.messages WHERE thread_id = ANY($ids)", {"ids": ids}).fetchall()
    conn.execute("SHOW SETTINGS")
    sql = "SELECT resource, method, http_method, path, query, status FROM apiql.last_requests ORDER BY path"
    wanted = sorted(("messages", "list_messages", "GET", f"/threads/{id_}/messages", "limit=100", 200) for id_ in ids)
    assert conn.execute(sql).fetchall() == wanted
    joined = "SELECT m.path FROM apiql.last_requests JOIN apiql.methods m USING (provider, service, resource, method)"
    assert conn.execute(joined).fetchall() == [("/threads/{thread_id}/messages",)] * 2
    assert conn.execute("SELECT number, bytes > 0, seconds > 0, waited FROM apiql.last_requests").fetchall() == [
        (1, True, True, 0.0),
        (2, True, True, 0.0),
    ]
    assert conn.execute("SELECT 1; SELECT count(*) FROM apiql.last_requests").fetchone() == (0,)


def test_the_requests_of_a_statement_that_failed_are_told(over: Any) -> None:
    conn = over()
    with pytest.raises(ApiError):
        conn.execute("SELECT id FROM openai.assistants.threads WHERE thread_id = 'no-thread'")
    assert conn.execute("SELECT path, status FROM apiql.last_requests").fetchall() == [("/threads/no-thread", 400)]


def test_no_table_holds_a_secret(over: Any, world: Any) -> None:
    conn = over()
    conn.execute("SELECT id FROM openai.assistants.assistants").fetchall()
    told = "".join(str(conn.execute(f"SELECT * FROM apiql.{t}").fetchall()) for t in TABLES)
    assert "not-a-real-key" not in told
    assert world.emulator.base_url not in told


def test_explain_reads_them_without_a_request(over: Any, world: Any) -> None:
    assert over().explain("SELECT * FROM apiql.methods")
    assert world.requests() == []
