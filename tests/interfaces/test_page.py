"""The documentation page of a resource, and that its statements run as they are printed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from provider.catalog.loader import Catalog
from provider.emulator import Emulator
from provider.interfaces.page import document
from provider.sql.identifiers import RESERVED, identifier

from .conftest import Api, Run

VERSIONS = {v: Catalog(versions={"openai": v}, environ={}) for v in ("v1", "v2")}
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
TEXTS = {
    "model": "gpt-4o",
    "name": 'it\'s a "name"',
    "description": "d",
    "instructions": "line\nbreak; -- no comment",
    "additional_instructions": "x",
    "role": "user",
    "content": "Hi!",
    "temperature": "0.5",
    "top_p": "1",
    "reasoning_effort": "low",
    "stream": "false",
    "parallel_tool_calls": "true",
    "max_prompt_tokens": "1000",
    "max_completion_tokens": "1000",
    "response_format": "auto",
    "tool_choice": "auto",
    "truncation_strategy": '{"type": "auto"}',
    "include": "step_details.tool_calls[*].file_search.results[*].content",
    "metadata": '{"a": "it\'s"}',
    "tools": '[{"type": "code_interpreter"}]',
    "tool_resources": "{}",
    "messages": '[{"role": "user", "content": "Hi!"}]',
    "additional_messages": '[{"role": "user", "content": "And?"}]',
    "attachments": "[]",
    "file_ids": "[]",
    "json": "{}",
}


def examples() -> list[Any]:
    found = []
    for version, catalog in VERSIONS.items():
        for resource in catalog.service("openai", "assistants").resources.values():
            if version == "v1" and not (resource.name.endswith("_files") or resource.name == "runs"):
                continue
            page = document(catalog, resource.id)
            for number, sql in enumerate(re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)):
                found.append(pytest.param(version, sql, id=f"{version} {resource.name} {number} {sql.split()[0]}"))
    return found


def until(api: Api, path: str, status: str) -> None:
    deadline = time.monotonic() + 10
    while api.get(path)["status"] != status:
        assert time.monotonic() < deadline


def prepared(api: Api, version: str, sql: str) -> dict[str, str]:
    """Fresh objects for the ids that a statement names."""
    needed = set(re.findall(r"\{\{ (\w+) \}\}", sql))
    values: dict[str, str] = {}
    if "file_id" in needed or "_files" in sql:
        values["file_id"] = api.post("/files", files={"file": ("a.txt", b"x")}, data={"purpose": "assistants"})["id"]
    runs = {"run_id", "step_id"} & needed or "FROM openai.assistants.runs" in sql
    if "assistant_id" in needed or runs or "FROM openai.assistants.assistants" in sql:
        tools = [FUNCTION] if "tool_outputs" in needed or "cancel_run" in sql else []
        assistant = api.post("/assistants", json={"model": "gpt-4o", "tools": tools})
        values["assistant_id"] = assistant["id"]
        if "file_id" in values and "INSERT" not in sql:
            api.post(f"/assistants/{assistant['id']}/files", json={"file_id": values["file_id"]})
    if "thread_id" in needed:
        values["thread_id"] = api.post("/threads", json={"messages": [{"role": "user", "content": "Hi!"}]})["id"]
        thread = f"/threads/{values['thread_id']}"
        files = {"file_ids": [values["file_id"]]} if "file_id" in values else {}
        if "message_id" in needed:
            values["message_id"] = api.post(f"{thread}/messages", json={"role": "user", "content": "Hi!"} | files)["id"]
        if runs:
            run = api.post(f"{thread}/runs", json={"assistant_id": values["assistant_id"]})
            values["run_id"] = run["id"]
            waits = "tool_outputs" in needed or "cancel_run" in sql
            until(api, f"{thread}/runs/{run['id']}", "requires_action" if waits else "completed")
            if "tool_outputs" in needed:
                action = api.get(f"{thread}/runs/{run['id']}")["required_action"]
                calls = action["submit_tool_outputs"]["tool_calls"]
                values["tool_outputs"] = json.dumps([{"tool_call_id": c["id"], "output": "sunny"} for c in calls])
            if "step_id" in needed:
                values["step_id"] = api.get(f"{thread}/runs/{run['id']}/steps")["data"][0]["id"]
    return {n: values.get(n) or TEXTS[n] for n in needed}


@pytest.mark.parametrize(("version", "sql"), examples())
def test_an_example_runs_as_printed(query: Run, connect: Callable[[str], Api], version: str, sql: str) -> None:
    values = prepared(connect(version), version, sql)
    parameters = [a for name, value in values.items() for a in ("-p", f"{name}={value}")]
    ran = query(sql, *parameters, "--api-version", f"openai={version}", "-o", "jsonl")
    assert (ran.code, ran.err.splitlines()[:-1]) == (0, [])
    if sql.startswith("SELECT"):
        assert ran.out, "what was prepared is not among the rows"
    if sql.startswith(("INSERT", "EXEC")):
        assert json.loads(ran.out)["id"]
    if sql.startswith(("UPDATE", "DELETE")):
        assert ran.err == f"{sql.split()[0]} 1\n"


def test_every_verb_and_version_is_among_the_examples() -> None:
    shown = {(e.values[0], e.values[1].split()[0]) for e in examples()}
    assert shown >= {("v2", v) for v in ("SELECT", "INSERT", "UPDATE", "DELETE", "EXEC")} | {("v1", "SELECT")}


def test_a_page_has_what_the_catalog_has(apiql: Run) -> None:
    page = apiql("manifest", "docs", "openai.assistants.threads").out
    for line in (
        "# Threads",
        "| Name | threads |",
        "| Type | Resource |",
        "| Id | openai.assistants.threads |",
        "| id | string | Its id: thread\\_... |",
        "| get_thread | SELECT | thread_id | One thread. |",
        "| create_thread | INSERT | none | A new thread, with or without messages. |",
        "| modify_thread | UPDATE | thread_id | Change a thread. What is left out stays as it is. |",
        "| delete_thread | DELETE | thread_id | Delete a thread. |",
        "WHERE thread_id = '{{ thread_id }}';",
        "  data__messages, data__tool_resources, data__metadata",
        "  tool_resources = '{{ tool_resources }}', metadata = '{{ metadata }}'",
        "DELETE FROM openai.assistants.threads",
        "EXEC openai.assistants.threads.create_thread_and_run",
    ):
        assert line in page.splitlines()
    assert "| create_thread_and_run | EXEC | data__assistant_id | " in page


def test_the_stack_template_lists_the_insertable_fields() -> None:
    page = document(VERSIONS["v2"], "openai.assistants.messages")
    [text] = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    [resource] = yaml.safe_load(text)
    assert (resource["name"], resource["resource"]) == ("messages", "openai.assistants.messages")
    assert [p["name"] for p in resource["props"]] == ["thread_id", "role", "content", "attachments", "metadata"]
    assert [p["name"] for p in resource["props"] if p.get("required")] == ["thread_id", "role", "content"]
    role = resource["props"][1]
    assert role["value"] == "{{ role }}"
    assert role["description"] == "Who speaks. One of user, assistant."


def test_a_page_is_about_one_version_and_names_the_other(apiql: Run) -> None:
    assert "`--api-version openai.assistants=v1`" in apiql("manifest", "docs", "openai.assistants.messages").out
    page = apiql("manifest", "docs", "openai.assistants.messages", "--api-version", "openai=v1").out
    assert "| file_ids | array |" in page
    assert "attachments" not in page


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ((), "| openai | OpenAI | "),
        (("openai",), "| openai.assistants | Assistants | "),
        (("openai.assistants",), "| openai.assistants.threads | Threads | "),
    ],
)
def test_a_shorter_name_lists_what_is_in_it(apiql: Run, name: tuple[str, ...], line: str) -> None:
    assert line in apiql("manifest", "docs", *name).out


@pytest.mark.parametrize("name", ["opnai", "openai.asistants", "openai.assistants.thread", "a.b.c.d"])
def test_a_wrong_name_is_an_error(apiql: Run, name: str) -> None:
    ran = apiql("manifest", "docs", name)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("BindError: ")


def test_names_are_quoted_where_duckdb_needs_it() -> None:
    with duckdb.connect() as duck:
        words = duck.execute("SELECT keyword_name, keyword_category FROM duckdb_keywords()").fetchall()
        assert {w for w, category in words if category == "reserved"} <= RESERVED
        for name in {*(w for w, _ in words), "a b", 'a"b', "1a", "a", "_"}:
            written = identifier(name)
            duck.execute(f"SELECT t.{written} FROM (SELECT 1 AS {written}) t WHERE {written} = 1")


def test_manifests_are_checked(apiql: Run, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(
        "provider: shop\nbase_url: {default: http://127.0.0.1:9}\n---\nservice: sales\nresources:\n"
        "  orders:\n    fields: {id: {type: string}}\n    methods:\n      get: {sql: SELECT, http: GET /orders}\n"
    )
    assert apiql("manifest", "check", str(tmp_path)).out == "shop.sales.orders\n"
    broken = tmp_path / "broken.yaml"
    broken.write_text("provider: broken\nbase_url: {defalt: x}\n")
    ran = apiql("manifest", "check", str(broken), str(tmp_path / "shop.yaml"), str(tmp_path / "none"))
    assert (ran.code, ran.out) == (1, "shop.sales.orders\n")
    assert "defalt" in ran.err
    assert "Did you mean default?" in ran.err
    assert "no manifests at" in ran.err


def test_a_resource_with_awkward_names_has_examples_that_run(query: Run, emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(
        f"provider: odd\nbase_url: {{default: '{emulator.base_url}'}}\nauth: {{type: bearer, env: OPENAI_API_KEY}}\n"
        "headers: {OpenAI-Beta: assistants=v2}\n---\nservice: s\nresources:\n  threads:\n    key: {id: order}\n"
        "    fields: {id: {type: string, description: 'a | b'}, metadata: {type: object}}\n"
        "    methods:\n      get: {sql: SELECT, http: 'GET /threads/{order}'}\n"
        "      create: {sql: INSERT, http: POST /threads, body: {metadata: {type: object}}}\n"
    )
    page = document(Catalog([tmp_path]), "odd.s.threads")
    assert "a \\| b" in page
    select, insert = re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert '"order" = ' in select
    made = query(insert, "-p", "metadata={}", "--manifests", str(tmp_path), "-o", "jsonl")
    assert made.code == 0, made.err
    found = query(select, "-p", f"order={json.loads(made.out)['id']}", "--manifests", str(tmp_path), "-o", "jsonl")
    assert json.loads(found.out)["metadata"] == {}


def test_the_schema_is_json_schema(apiql: Run) -> None:
    schema = json.loads(apiql("manifest", "schema").out)
    assert "$defs" in schema
