"""Every answer against the vendor's OpenAPI documents, which are optional and never part of the project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

FOLDER = Path(os.environ.get("APIQL_OPENAPI_DIR", Path(__file__).parents[2] / "../shared/openapi"))
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
EVENTS = {
    "thread.created": "ThreadObject",
    "thread.run.step": "RunStepObject",
    "thread.run": "RunObject",
    "thread.message": "MessageObject",
}


def openapi(name: str) -> Any:
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{path} is absent; set APIQL_OPENAPI_DIR to run this test")
    return json.loads(path.read_text(encoding="utf-8"))


def with_null(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable: true` in the words of JSON Schema."""
    if isinstance(schema, list):
        return [with_null(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: with_null(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [rest, {"type": "null"}]} if schema.get("nullable") is True else rest


class Contract:
    """Calls operations by name, and validates each answer against the document."""

    def __init__(self, api: Any, document: Any) -> None:
        self.api = api
        self.components = document["components"]
        self.operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if method in ("get", "post", "delete")
        }
        self.called: set[str] = set()

    def validate(self, schema: Any, value: Any) -> None:
        Draft202012Validator({**schema, "components": self.components}).validate(value)

    def __call__(self, name: str, body: Any = None, query: Any = None, **ids: str) -> Any:
        method, path, operation = self.operations[name]
        response = self.api.send(
            method, path.format(**ids), params=query, json={} if method == "POST" and body is None else body
        )
        assert response.status_code == 200, response.text
        self.validate(operation["responses"]["200"]["content"]["application/json"]["schema"], response.json())
        self.called.add(name)
        return response.json()

    def refused(self, method: str, path: str, status: int, **options: Any) -> None:
        response = self.api.send(method, path, **options)
        assert response.status_code == status
        self.validate({"$ref": "#/components/schemas/ErrorResponse"}, response.json())

    def stream(self, path: str, body: Any) -> None:
        """Validates each event that the document has a schema for."""
        content = self.api.send("POST", path, json=body | {"stream": True}).text
        seen = set()
        for block in content.split("\n\n")[:-2]:  # the last one is `done`
            name, data = (line.split(": ", 1)[1] for line in block.split("\n"))
            if name.endswith(".delta"):
                continue
            schema = next(schema for prefix, schema in EVENTS.items() if name.startswith(prefix))
            self.validate({"$ref": f"#/components/schemas/{schema}"}, json.loads(data))
            seen.add(schema)
        assert seen >= {"RunObject", "RunStepObject", "MessageObject"}


def walk(call: Contract, clock: Any, ids: Any) -> None:
    """Every operation that both versions have, with runs in every status that can be reached."""
    assistant = call("createAssistant", {"model": "m", "name": "n", "instructions": "i", "tools": TOOLS})["id"]
    ids["assistant_id"] = assistant
    call("modifyAssistant", {"metadata": {"a": "b"}, "temperature": 0.3}, assistant_id=assistant)
    call("getAssistant", assistant_id=assistant)
    call("listAssistants", query={"limit": 2})
    thread = call("createThread", {"messages": [{"role": "user", "content": "hello"}], "metadata": {}})["id"]
    ids["thread_id"] = thread
    call("modifyThread", {"metadata": {"a": "b"}}, thread_id=thread)
    call("getThread", thread_id=thread)
    message = call("createMessage", {"role": "user", "content": "more"}, thread_id=thread)["id"]
    ids["message_id"] = message
    call("modifyMessage", {"metadata": {"a": "b"}}, thread_id=thread, message_id=message)
    call("getMessage", thread_id=thread, message_id=message)
    call("listMessages", thread_id=thread)

    def look(run: str) -> Any:
        steps = call("listRunSteps", thread_id=thread, run_id=run)
        for step in steps["data"]:
            call("getRunStep", thread_id=thread, run_id=run, step_id=step["id"])
        call("listMessages", thread_id=thread)
        call("listRuns", thread_id=thread)
        return call("getRun", thread_id=thread, run_id=run)

    statuses = []
    run = call("createRun", {"assistant_id": assistant}, thread_id=thread)["id"]
    for _ in range(3):
        statuses.append(look(run)["status"])
        clock.forward(1)
    found = look(run)
    outputs = [
        {"tool_call_id": asked["id"], "output": "o"}
        for asked in found["required_action"]["submit_tool_outputs"]["tool_calls"]
    ]
    call("submitToolOuputsToRun", {"tool_outputs": outputs}, thread_id=thread, run_id=run)
    for _ in range(2):
        clock.forward(1)
        statuses.append(look(run)["status"])
    call("modifyRun", {"metadata": {"a": "b"}}, thread_id=thread, run_id=run)

    run = call("createRun", {"assistant_id": assistant, "tool_choice": "none"}, thread_id=thread)["id"]
    clock.forward(1)
    statuses.append(call("cancelRun", thread_id=thread, run_id=run)["status"])
    clock.forward(1)
    statuses.append(look(run)["status"])
    run = call("createRun", {"assistant_id": assistant}, thread_id=thread)["id"]
    clock.forward(600)
    statuses.append(look(run)["status"])
    long = {"role": "user", "content": "word" * 400}
    body = {"assistant_id": assistant, "tool_choice": "none", "additional_messages": [long]}
    run = call("createRun", body | {"max_completion_tokens": 256}, thread_id=thread)["id"]
    clock.forward(2)
    assert look(run)["incomplete_details"] == {"reason": "max_completion_tokens"}
    call("createThreadAndRun", {"assistant_id": assistant, "thread": {"messages": [long]}})
    assert statuses == [
        "queued",
        "in_progress",
        "requires_action",
        "in_progress",
        "completed",
        "cancelling",
        "cancelled",
        "expired",
    ]
    call.refused("GET", "/threads/thread_x", 404)
    call.refused("POST", "/threads", 400, json={"x": 1})


def test_every_operation_of_v2_answers_what_the_document_says(timed_api: Any, api: Any, clock: Any) -> None:
    document = openapi("openai-core.json")
    ids: dict[str, str] = {}
    call = Contract(timed_api, document)
    walk(call, clock, ids)
    for kind in ("text", "image_url", "image_file"):
        value = {
            "text": "t",
            "image_url": {"url": "https://example.com"},
            "image_file": {"file_id": "file-1"},
        }
        content = [{"type": kind, kind: value[kind]}]
        call("createMessage", {"role": "user", "content": content}, thread_id=ids["thread_id"])
    call("listMessages", thread_id=ids["thread_id"])
    call("deleteMessage", thread_id=ids["thread_id"], message_id=ids["message_id"])
    call("deleteThread", thread_id=ids["thread_id"])
    call("deleteAssistant", assistant_id=ids["assistant_id"])
    form = {"files": {"file": ("a.txt", b"x")}, "data": {"purpose": "assistants"}}
    file = timed_api.send("POST", "/files", **form).json()
    call.validate({"$ref": "#/components/schemas/OpenAIFile"}, file)
    call("listFiles")
    call("retrieveFile", file_id=file["id"])
    call("deleteFile", file_id=file["id"])
    wanted = {
        name for name, (_, path, operation) in call.operations.items() if path.startswith(("/assistants", "/threads"))
    }
    assert (len(wanted), wanted - call.called) == (23, set())

    streamed = Contract(api, document)
    assistant = api.post("/assistants", {"model": "m"})["id"]
    streamed.stream("/threads/runs", {"assistant_id": assistant})


def test_every_operation_of_v1_answers_what_the_document_says(
    timed: Any, connect: Any, api_v1: Any, clock: Any
) -> None:
    document = with_null(openapi("openai-assistants-v1.json"))
    schemas = document["components"]["schemas"]
    for name in ("ListAssistantFilesResponse", "ListMessageFilesResponse"):
        schemas[name]["required"].remove("items")  # a defect of the document: it defines no such field
    for schema in schemas.values():
        if {"data", "has_more"} <= schema.get("properties", {}).keys():
            for end in ("first_id", "last_id"):  # another: they are null in an empty list
                schema["properties"][end] = {"type": ["string", "null"]}
    ids: dict[str, str] = {}
    call = Contract(connect(timed.base_url, 1), document)
    walk(call, clock, ids)
    assistant, thread = ids["assistant_id"], ids["thread_id"]
    call("createAssistantFile", {"file_id": "file-a"}, assistant_id=assistant)
    call("getAssistantFile", assistant_id=assistant, file_id="file-a")
    call("listAssistantFiles", assistant_id=assistant)
    call("deleteAssistantFile", assistant_id=assistant, file_id="file-a")
    body = {"role": "user", "content": "x", "file_ids": ["file-a"]}
    message = call("createMessage", body, thread_id=thread)["id"]
    call("listMessageFiles", thread_id=thread, message_id=message)
    call("getMessageFile", thread_id=thread, message_id=message, file_id="file-a")
    call("deleteThread", thread_id=thread)
    call("deleteAssistant", assistant_id=assistant)
    wanted = {
        name for name, (_, path, operation) in call.operations.items() if path.startswith(("/assistants", "/threads"))
    }
    assert (len(wanted), wanted - call.called) == (28, set())

    streamed = Contract(api_v1, document)
    assistant = api_v1.post("/assistants", {"model": "m"})["id"]
    streamed.stream("/threads/runs", {"assistant_id": assistant})
