"""SET, RESET and SHOW SETTINGS: ApiQL's settings beside DuckDB's."""

from __future__ import annotations

from typing import Any

import pytest

import provider
from provider.emulator import Emulator
from provider.engine.settings import SETTINGS
from provider.errors import BindError, Guarded, ProgrammingError, Timeout


def value(conn: Any, name: str) -> str:
    (row,) = conn.execute(f"SHOW SETTINGS LIKE '{name}'").fetchall()
    return str(row[1])


def test_every_setting_is_listed_with_its_default(over: Any) -> None:
    conn = over()
    cur = conn.execute("SHOW SETTINGS")
    assert [d[0] for d in cur.description] == ["name", "value", "default", "type", "description"]
    rows = cur.fetchall()
    assert [row[0] for row in rows] == sorted(SETTINGS)
    assert all(row[1] == row[2] and row[4] for row in rows)
    assert conn.execute("SELECT * FROM apiql.settings").fetchall() == rows


def test_reset_goes_back_to_what_the_connection_was_made_with(over: Any) -> None:
    conn = over(max_writes=7)
    assert conn.execute("SET max_writes = 3").message == "SET"
    assert value(conn, "max_writes") == "3"
    assert conn.execute("RESET max_writes").message == "RESET"
    assert value(conn, "max_writes") == "7"


def test_provider_and_service_shorten_names_as_use_does(over: Any, world: Any) -> None:
    conn = over()
    conn.execute("SET provider = 'openai'")
    assert conn.execute("SELECT count(*) FROM assistants.assistants").fetchone() == (3,)
    conn.execute("SET service = 'assistants'")
    assert value(conn, "service") == "openai.assistants"
    assert conn.execute("SELECT count(*) FROM assistants").fetchone() == (3,)
    conn.execute("RESET provider")
    with pytest.raises(BindError):
        conn.execute("SELECT count(*) FROM assistants")
    conn.execute("USE openai.assistants")
    assert (value(conn, "provider"), value(conn, "service")) == ("openai", "openai.assistants")
    conn.execute("RESET service")
    conn.execute("SET service TO 'openai.assistants'")
    assert conn.execute("SELECT count(*) FROM assistants").fetchone() == (3,)


def test_current_setting_knows_both_worlds(over: Any) -> None:
    conn = over(max_writes=7)
    sql = "SELECT current_setting('max_writes'), current_setting('dialect'), current_setting('TimeZone') <> ''"
    assert conn.execute(sql).fetchone() == ("7", "duckdb", True)


def test_max_writes_is_the_guard(connection: Any, api: Any) -> None:
    conn = connection()
    made = [api.post("/assistants", {"model": "m", "name": "guarded"})["id"] for _ in range(2)]
    conn.execute("SET max_writes = 1")
    delete = "DELETE FROM openai.assistants.assistants WHERE name = 'guarded'"
    with pytest.raises(Guarded):
        conn.execute(delete)
    assert conn.execute(f"SET max_writes = 2; {delete}").rowcount == len(made)


def test_max_concurrency_holds_for_the_requests_that_follow(over: Any, world: Any) -> None:
    conn = over()
    sql = "SELECT count(*) FROM openai.assistants.threads WHERE thread_id = ANY($ids)"
    ids = {"ids": [world.ids[n] for n in ("thread_a", "thread_b", "thread_empty")]}
    assert conn.execute(sql, ids).fetchone() == (3,)
    conn.execute("SET max_concurrency = 1")
    assert conn.execute(sql, ids).fetchone() == (3,)
    conn.execute("RESET max_concurrency")
    assert conn.execute(sql, ids).fetchone() == (3,)


def test_timeout_holds_for_the_requests_that_follow() -> None:
    sql = "SELECT count(*) FROM openai.assistants.assistants"
    with (
        Emulator(latency=0.4) as slow,
        provider.connect(base_urls={"openai": slow.base_url}, environ={"OPENAI_API_KEY": "any"}, retries=0) as conn,
    ):
        conn.execute("SET timeout = 0.05")
        with pytest.raises(Timeout):
            conn.execute(sql)
        conn.execute("RESET timeout")
        assert conn.execute(sql).fetchone() == (0,)


def test_duckdbs_settings_are_duckdbs(over: Any) -> None:
    conn = over()
    conn.execute("SET threads = 2; SET SESSION TimeZone = 'Asia/Tokyo'; SET VARIABLE threads = 5")
    assert conn.execute("SELECT current_setting('threads'), getvariable('threads')").fetchone() == (2, 5)
    conn.execute("RESET threads; RESET TimeZone")
    conn.execute("SET search_path = 'main'")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SET max_wrtes = 1", "Did you mean max_writes"),
        ("RESET max_concurency", "Did you mean max_concurrency"),
        ("SET memory_limits = '1GB'", "Did you mean memory_limit"),
        ("SET max_writes = 'many'", "whole number from 0"),
        ("SET max_concurrency = 0", "whole number from 1"),
        ("SET max_writes = -1", "whole number from 0"),
        ("SET timeout = 0", "seconds above 0"),
        ("SET dialect = 'stacql'", "Did you mean stackql"),
        ("SET max_writes = 1 + 1", "takes one literal"),
        ("SET provider = 'opnai'", "Did you mean openai"),
        ("SET service = 'openai.asistants'", "Did you mean assistants"),
        ("SET service = 'asistants'", "no provider"),
    ],
)
def test_what_cannot_be_set_says_why_and_changes_nothing(over: Any, sql: str, words: str) -> None:
    conn = over()
    before = conn.execute("SHOW SETTINGS").fetchall()
    with pytest.raises(provider.ProgrammingError, match=words) as refused:
        conn.execute(sql)
    assert refused.value.place is not None
    assert conn.execute("SHOW SETTINGS").fetchall() == before


def test_the_dialect_holds_for_what_follows_it_in_a_script(over: Any) -> None:
    conn = over()
    script = "SELECT min(2, 1); SET dialect = 'stackql'; CREATE TABLE t AS SELECT min(2, 1) AS m, 5 / 2 AS n; "
    assert conn.execute(script + "RESET dialect; SELECT m, n, min(2, 1), 5 / 2 FROM t GROUP BY ALL").fetchall() == [
        (1, 2, [2], 2.5)
    ]
    conn.execute("SET integer_division = true; SET dialect = 'stackql'; SET dialect = 'duckdb'")
    assert conn.execute("SELECT 5 / 2").fetchone() == (2,)


def test_a_plan_is_made_by_the_settings_of_its_script(over: Any, world: Any) -> None:
    conn = over()
    conn.explain("SET service = 'openai.assistants'")
    assert "list_assistants" in conn.explain("SELECT id FROM assistants")
    assert world.requests() == []


@pytest.mark.parametrize(
    "sql", ["SET max_writes = 100000", "SET retries = 99", "RESET statement_timeout", "SET cache = 'on'"]
)
def test_a_locked_configuration_holds_for_our_settings_too(connection: Any, sql: str) -> None:
    conn = connection()
    conn.execute("SET max_writes = 3")
    conn.execute("SET lock_configuration = true")
    with pytest.raises(ProgrammingError, match="the configuration has been locked"):
        conn.execute(sql)
    conn.execute("USE openai.assistants")
    assert value(conn, "max_writes") == "3"
