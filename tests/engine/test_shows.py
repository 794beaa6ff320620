"""SHOW and DESCRIBE answer from the catalog, in StackQL's columns, and send nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

import provider
from provider.sql.scanner import fill


@pytest.mark.parametrize(
    ("sql", "columns", "rows"),
    [
        ("SHOW PROVIDERS LIKE 'open%'", ["name", "version"], [("openai", "")]),
        ("SHOW SERVICES IN openai", ["id", "name", "title"], None),
        ("SHOW RESOURCES IN openai.assistants LIKE 'm%'", ["name", "id"], [("messages", "openai.assistants.messages")]),
        (
            "SHOW METHODS IN openai.assistants.threads WHERE SQLVerb IN ('INSERT', 'EXEC') ORDER BY 1",
            ["MethodName", "RequiredParams", "SQLVerb"],
            [("create_thread", "", "INSERT"), ("create_thread_and_run", "data__assistant_id", "EXEC")],
        ),
        (
            "SHOW METHODS IN openai.assistants.messages LIKE 'create%'",
            ["MethodName", "RequiredParams", "SQLVerb"],
            [("create_message", "data__content, data__role, thread_id", "INSERT")],
        ),
        ("SHOW METHODS IN openai.assistants.runs LIKE 'nothing'", ["MethodName", "RequiredParams", "SQLVerb"], []),
        (
            "SHOW EXTENDED METHODS IN openai.assistants.runs",
            ["MethodName", "RequiredParams", "SQLVerb", "description"],
            None,
        ),
        (
            "DESCRIBE openai.assistants.threads",
            ["name", "type"],
            [
                ("id", "string"),
                ("object", "string"),
                ("created_at", "integer"),
                ("tool_resources", "object"),
                ("metadata", "object"),
            ],
        ),
        ("DESCRIBE EXTENDED openai.assistants.threads", ["name", "type", "description"], None),
        (
            "DESCRIBE METHOD openai.assistants.threads.delete_thread",
            ["name", "type", "param_type", "shape"],
            [
                ("thread_id", "string", "input_required", ""),
                ("id", "string", "output", ""),
                ("object", "string", "output", ""),
                ("deleted", "boolean", "output", ""),
            ],
        ),
    ],
)
def test_the_catalog_as_rows(over: Any, world: Any, sql: str, columns: list[str], rows: list[Any] | None) -> None:
    cur = over().execute(sql)
    assert [d[0] for d in cur.description] == columns
    found = cur.fetchall()
    assert found == rows if rows is not None else found
    assert world.requests() == []


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SHOW SERVICES IN opnai", "Did you mean openai"),
        ("SHOW RESOURCES IN openai.asistants", "Did you mean assistants"),
        ("SHOW METHODS IN openai.assistants.thread", "Did you mean threads"),
        ("SHOW METHODS", "SHOW METHODS needs IN provider.service.resource"),
        ("SHOW METHODS IN openai.assistants", "SHOW METHODS needs IN provider.service.resource"),
        ("SHOW PROVIDERS IN openai", "takes no IN"),
        ("SHOW INSERT INTO assistants", "needs provider.service.resource"),
        ("SHOW INSERT INTO openai.assistants.run_steps", "no INSERT method"),
        ("SHOW INSERT INTO openai.assistants.threads.delete_thread", "no INSERT method"),
        ("SHOW METHODS IN openai.assistants.runs WHERE Verb = 'x'", "Verb"),
        ("DESCRIBE openai.assistants.thread", "Did you mean threads"),
        ("DESCRIBE METHOD openai.assistants.threads.nothing", "no such method|no method"),
    ],
)
def test_what_does_not_exist_is_named_with_a_place(over: Any, sql: str, words: str) -> None:
    with pytest.raises(provider.ProgrammingError) as refused:
        over().execute(sql)
    assert refused.value.place is not None
    assert re.search(words, str(refused.value))


def test_show_insert_gives_a_statement_that_runs_once_it_is_filled(over: Any, world: Any) -> None:
    conn = over()
    cur = conn.execute("SHOW INSERT INTO openai.assistants.assistants")
    assert [d[0] for d in cur.description] == ["insert_statement"]
    ((template,),) = cur.fetchall()
    assert "  top_p,\n" in template
    assert "  {{ top_p }},\n" in template
    assert "  '{{ metadata }}',\n" in template
    names = re.findall(r"{{ (\w+) }}", template)
    values = dict.fromkeys(names, "x") | {
        "tools": "[]",
        "tool_resources": "{}",
        "metadata": '{"a": "it\'s"}',
        "temperature": "0.5",
        "top_p": "1",
        "reasoning_effort": "low",
        "response_format": "auto",
    }
    assert "POST /assistants" in conn.explain(fill(template, values))
    assert world.requests() == []


def test_show_insert_offers_no_stream_which_insert_refuses(over: Any) -> None:
    ((template,),) = over().execute("SHOW INSERT INTO openai.assistants.runs").fetchall()
    assert "  response_format,\n" in template
    assert "stream" not in template


@pytest.mark.parametrize(
    ("sql", "template"),
    [
        (
            "SHOW EXTENDED INSERT /*+ REQUIRED */ INTO openai.assistants.messages",
            "INSERT INTO openai.assistants.messages (\n  thread_id,\n  role,\n  content\n)\n"
            "SELECT\n  '{{ thread_id }}',\n  '{{ role }}',\n  '{{ content }}'",
        ),
        (
            "SHOW INSERT /*+ REQUIRED */ INTO openai.assistants.threads",
            "INSERT INTO openai.assistants.threads DEFAULT VALUES",
        ),
    ],
)
def test_show_insert_with_the_required_columns_only(over: Any, sql: str, template: str) -> None:
    assert over().execute(sql).fetchall() == [(template,)]


def test_a_query_over_resources_can_be_described_and_summarized(over: Any) -> None:
    conn = over()
    described = conn.execute("DESCRIBE SELECT id, created_at FROM openai.assistants.assistants").fetchall()
    assert [row[:2] for row in described] == [("id", "VARCHAR"), ("created_at", "BIGINT")]
    (count,) = conn.execute("SELECT count(*) FROM openai.assistants.assistants").fetchone()
    conn.execute("CREATE VIEW v AS SELECT id, model FROM openai.assistants.assistants")
    assert [row[0] for row in conn.execute("DESCRIBE v").fetchall()] == ["id", "model"]
    for sql in ("SUMMARIZE v", "SUMMARIZE SELECT id, model FROM openai.assistants.assistants"):
        summary = conn.execute(sql).fetchall()
        assert [(row[0], row[-2]) for row in summary] == [("id", count), ("model", count)]
    whole = conn.execute("SUMMARIZE openai.assistants.assistants").fetchall()
    assert (whole[0][0], whole[0][-2]) == ("id", count)


def test_local_tables_are_duckdbs_to_show(over: Any) -> None:
    conn = over()
    conn.execute("CREATE TABLE kept (i INT)")
    assert conn.execute("SHOW TABLES").fetchall() == [("kept",)]
    assert conn.execute("DESCRIBE kept").fetchone()[:2] == ("i", "INTEGER")
    assert conn.execute("DESCRIBE SELECT 1 AS x").fetchone()[0] == "x"


def test_use_completes_the_names_of_show(over: Any) -> None:
    conn = over()
    conn.execute("USE openai.assistants")
    for short, whole in [
        ("SHOW METHODS IN threads", "SHOW METHODS IN openai.assistants.threads"),
        ("SHOW METHODS IN assistants.threads", "SHOW METHODS IN openai.assistants.threads"),
        ("SHOW RESOURCES", "SHOW RESOURCES IN openai.assistants"),
        ("SHOW SERVICES", "SHOW SERVICES IN openai"),
        ("SHOW INSERT INTO threads", "SHOW INSERT INTO openai.assistants.threads"),
    ]:
        assert conn.execute(short).fetchall() == conn.execute(whole).fetchall()
