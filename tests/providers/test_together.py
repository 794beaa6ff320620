"""Several providers in one statement, and that the program itself knows none of them."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import provider
from provider.catalog.loader import Catalog
from tests.conftest import Api
from tests.providers.conftest import ORGANIZATION, Neighbours

PACKAGE = Path(provider.__file__).parent
#: What runs the emulator of one API has to name it.
OF_THE_EMULATOR = ("emulator/", "interfaces/demo.py")


def test_rows_of_one_provider_go_to_another(conn: provider.Connection, neighbours: Neighbours, api: Api) -> None:
    """INSERT from a SELECT: the questions of an OpenAI thread become runs of a Griptape assistant."""
    thread = api.thread("What is late?", "And why?")
    assistant = neighbours.cloud.assistant("Helper", ORGANIZATION)
    cur = conn.execute(
        """
        INSERT INTO griptape.assistants.runs (assistant_id, input, new_thread)
        SELECT ?, content->0->'text'->>'value', true
        FROM openai.assistants.messages WHERE thread_id = ? ORDER BY created_at, id DESC
        RETURNING input, status
        """,
        [assistant, thread],
    )
    assert sorted(cur.fetchall()) == [("And why?", "QUEUED"), ("What is late?", "QUEUED")]
    bodies = [json.loads(r.body) for r in neighbours.griptape.requests]
    assert {r.line for r in neighbours.griptape.requests} == {f"POST /api/assistants/{assistant}/runs"}
    assert sorted(b["input"] for b in bodies) == ["And why?", "What is late?"]
    assert all(b["new_thread"] is True for b in bodies)


def test_resources_of_two_providers_are_joined(conn: provider.Connection, neighbours: Neighbours, api: Api) -> None:
    """The key of an OpenAI thread comes out of Griptape's rows."""
    cloud, asked = neighbours.cloud, api.thread("Where is my parcel?", customer="ada")
    assistant = cloud.assistant("Helper", ORGANIZATION)
    cloud.run(assistant, {"input": asked}, "SUCCEEDED")
    cloud.run(assistant, {"input": "thread_none"}, "SUCCEEDED")
    cur = conn.execute(
        """
        SELECT a.name, t.metadata->>'customer', m.content->0->'text'->>'value'
        FROM griptape.assistants.assistants a
        JOIN griptape.assistants.runs r ON r.assistant_id = a.assistant_id
        JOIN openai.assistants.threads t ON t.id = r.input
        JOIN openai.assistants.messages m ON m.thread_id = t.id
        """
    )
    assert cur.fetchall() == [("Helper", "ada", "Where is my parcel?")]
    assert neighbours.griptape.lines() == [
        "GET /api/assistants?page_size=100&page=1",
        f"GET /api/assistants/{assistant}/runs?page_size=100&page=1",
    ]


def test_three_providers_in_one_statement(conn: provider.Connection, neighbours: Neighbours, api: Api) -> None:
    name = api.post("/assistants", {"model": "m", "name": "Everywhere"})["name"]
    neighbours.cloud.assistant(name, ORGANIZATION)
    conn.execute("INSERT INTO aimlapi.assistants.assistants (model, name) VALUES ('m', ?)", [name])
    cur = conn.execute(
        """
        SELECT count(*) FROM openai.assistants.assistants o
        JOIN griptape.assistants.assistants g USING (name)
        JOIN aimlapi.assistants.assistants a USING (name)
        WHERE name = ?
        """,
        [name],
    )
    assert cur.fetchall() == [(1,)]


def test_no_module_names_a_provider() -> None:
    """Everything about an API stands in its manifest; docstrings may give examples."""
    names = [name.lower() for name in Catalog(environ={}).providers]
    assert {"aimlapi", "griptape", "openai"} <= set(names)
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.relative_to(PACKAGE).as_posix().startswith(OF_THE_EMULATOR):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documentation = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        for node in ast.walk(tree):
            said = " ".join(str(v) for _, v in ast.iter_fields(node) if isinstance(v, str)).lower()
            if id(node) not in documentation:
                assert not any(name in said for name in names), f"{file}:{getattr(node, 'lineno', 0)}: {said}"
