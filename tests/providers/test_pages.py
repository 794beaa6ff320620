"""The documentation pages of these providers: each statement runs as it is printed."""

from __future__ import annotations

import re
from typing import Any

import pytest

import provider
from provider.catalog.loader import Catalog
from provider.interfaces.page import document
from tests.providers.conftest import ORGANIZATION, Neighbours
from tests.providers.griptape import uuid

CATALOG = Catalog(environ={})
#: What stands for a placeholder that is no id.
TEXTS = {
    "name": "it''s a name",
    "input": "Hello",
    "description": "d",
    "model": "m",
    "role": "user",
    "content": "Hi!",
    "instructions": "be brief",
    "additional_instructions": "be kind",
    "temperature": "0.5",
    "top_p": "1",
    "reasoning_effort": "low",
    "response_format": "auto",
    "tool_choice": "auto",
    "max_prompt_tokens": "1000",
    "max_completion_tokens": "1000",
    "include": "step_details.tool_calls[*].file_search.results[*].content",
    "events": '[{"timestamp": 1.5, "type": "Note", "payload": null}]',
    "messages": '[{"role": "user", "content": "Hi!"}]',
    "additional_messages": '[{"role": "user", "content": "And?"}]',
    "truncation_strategy": '{"type": "auto"}',
    "thread": "{}",
    "tool_resources": "{}",
    "metadata": '{"a": "b"}',
    "json": "{}",
    "status": "SUCCEEDED",
}
EMPTY_LISTS = re.compile(r"args|attachments|tools|\w+_ids")
SWITCHES = ("stream", "new_thread", "parallel_tool_calls")


def examples() -> list[Any]:
    return [
        pytest.param(sql, id=f"{resource.id} {number} {sql.split()[0]}")
        for owner in ("griptape", "aimlapi")
        for service in CATALOG.services(owner)
        for resource in CATALOG.service(owner, service).resources.values()
        for number, sql in enumerate(
            re.findall(r"^```sql\n(.*?)^```$", document(CATALOG, resource.id), re.MULTILINE | re.DOTALL)
        )
    ]


def griptape_ids(neighbours: Neighbours) -> dict[str, str]:
    cloud = neighbours.cloud
    user = cloud.user("ada@example.org", ORGANIZATION)
    assistant, structure_run = cloud.assistant("Helper", ORGANIZATION), uuid(77)
    cloud.structure_runs.add(structure_run)
    run = cloud.run(assistant, {}, "RUNNING")["assistant_run_id"]
    cloud.event("assistant", run, "ASSISTANT", "Chunk", {}, 1)
    return {
        "user_id": user,
        "organization_id": ORGANIZATION,
        "api_key_id": cloud.api_key("laptop", user, ORGANIZATION, user)["api_key_id"],
        "assistant_id": assistant,
        "assistant_run_id": run,
        "thread_id": uuid(5),
        "structure_run_id": structure_run,
        "event_id": cloud.event("structure", structure_run, "SYSTEM", "Note", {}, 2),
    }


def aimlapi_ids(conn: provider.Connection) -> dict[str, str]:
    def made(resource: str, columns: str, values: list[str]) -> str:
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO aimlapi.assistants.{resource} ({columns}) VALUES ({marks}) RETURNING id"
        return str(conn.execute(sql, values).fetchall()[0][0])

    assistant, thread = made("assistants", "model", ["m"]), made("threads", "metadata", ["{}"])
    ids = {"assistant_id": assistant, "thread_id": thread}
    ids["message_id"] = made("messages", "thread_id, role, content", [thread, "user", "Hi!"])
    other = made("threads", "metadata", ["{}"])
    ids["run_id"] = made("runs", "thread_id, assistant_id", [other, assistant])
    return ids | {"thread_of_the_run": other}


@pytest.mark.parametrize("sql", examples())
def test_a_statement_runs_as_it_is_printed(conn: provider.Connection, neighbours: Neighbours, sql: str) -> None:
    values = griptape_ids(neighbours) if "griptape" in sql else aimlapi_ids(conn)
    if "{{ run_id }}" in sql or sql.endswith("FROM aimlapi.assistants.runs\nWHERE thread_id = '{{ thread_id }}';\n"):
        values["thread_id"] = values["thread_of_the_run"]

    def value(name: str) -> str:
        if name in values or name in TEXTS:
            return values.get(name) or TEXTS[name]
        assert name in SWITCHES or EMPTY_LISTS.fullmatch(name), name
        return "false" if name in SWITCHES else "[]"

    cur = conn.execute(re.sub(r"\{\{ (\w+) \}\}", lambda m: value(m[1]), sql))
    if sql.startswith(("SELECT", "EXEC")) or "RETURNING" in sql:
        assert cur.fetchall(), "what was prepared is not among the rows"
    else:
        assert cur.rowcount == 1


def test_a_page_tells_what_the_manifest_says() -> None:
    page = document(CATALOG, "griptape.users.api_keys")
    for line in (
        "# API keys",
        "| last_used | timestamp | When it was used last. |",
        "| create_organization_api_key | INSERT | organization_id, data__name | A new API key of an organization. |",
        "| delete_api_key | DELETE | api_key_id | Delete an API key. The answer is empty. |",
    ):
        assert line in page.splitlines()


def test_a_page_of_shared_definitions_reads_like_the_original() -> None:
    ours, theirs = (document(CATALOG, f"{p}.assistants.messages") for p in ("aimlapi", "openai"))
    fields = re.search(r"## Fields\n.*?(?=## )", theirs, re.DOTALL)
    assert fields is not None
    assert fields[0] in ours
