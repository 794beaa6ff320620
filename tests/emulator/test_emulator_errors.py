from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest


@pytest.fixture
def thread(api: Any) -> Any:
    return api.post("/threads")["id"]


def test_without_a_key_it_is_401(shared: Any) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic abc"}):
        response = httpx.get(f"{shared.base_url}/threads/thread_x", headers=headers)
        error = response.json()["error"]
        assert response.status_code == 401
        assert error["message"].startswith("You didn't provide an API key.")
        assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, None)


@pytest.mark.parametrize("beta", [None, "", "assistants=v3", "responses=v1"])
def test_without_the_version_header_it_is_400(shared: Any, beta: Any) -> None:
    headers = {"Authorization": "Bearer k"} | ({} if beta is None else {"OpenAI-Beta": beta})
    response = httpx.post(f"{shared.base_url}/threads", headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_beta", None)
    assert "OpenAI-Beta: assistants=v2" in error["message"]


def test_the_version_may_stand_among_other_features(shared: Any) -> None:
    headers = {"Authorization": "Bearer k", "OpenAI-Beta": "responses=v1, assistants=v2"}
    assert httpx.post(f"{shared.base_url}/threads", headers=headers).status_code == 200


def test_files_need_no_version_header(shared: Any) -> None:
    assert httpx.get(f"{shared.base_url}/files", headers={"Authorization": "Bearer k"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/xyz"),
        ("GET", "/threads"),
        ("PATCH", "/threads/thread_x"),
        ("GET", "/threads/thread_x/"),
        ("GET", "/threads/thread_x/messages/msg_x/files"),  # v1 only
        ("GET", "/assistants/asst_x/files"),  # v1 only
        ("GET", "/threads/%7B%7D/%7B%7D/x"),
        ("GET", "/threads/{}/{}/x"),
    ],
)
def test_an_unknown_url_is_404(api: Any, method: Any, path: Any) -> None:
    status, message, param, code = api.error(method, path)
    assert (status, param, code) == (404, None, None)
    assert message.startswith(f"Invalid URL ({method} /v1/")


def test_deleting_a_message_is_an_unknown_url_in_v1(api_v1: Any) -> None:
    status, message, *_ = api_v1.error("DELETE", "/threads/thread_x/messages/msg_x")
    assert (status, message) == (404, "Invalid URL (DELETE /v1/threads/thread_x/messages/msg_x)")


def test_a_path_outside_of_v1_is_an_unknown_url(shared: Any) -> None:
    url = shared.base_url.removesuffix("/v1") + "/threads"
    response = httpx.post(url, headers={"Authorization": "Bearer k"})
    assert response.json()["error"]["message"] == "Invalid URL (POST /threads)"


@pytest.mark.parametrize(
    ("path", "param", "value", "word"),
    [
        ("/threads/undefined", "thread_id", "undefined", "thread"),
        ("/assistants/thread_x", "assistant_id", "thread_x", "asst"),
        ("/threads/thread_x/messages/run_x", "message_id", "run_x", "msg"),
        ("/threads/thread_x/runs/msg_x", "run_id", "msg_x", "run"),
        ("/threads/thread_x/runs/run_x/steps/1", "step_id", "1", "step"),
        ("/files/x", "file_id", "x", "file"),
        ("/threads/..%2F..%2Ffiles", "thread_id", "../../files", "thread"),
    ],
)
def test_an_id_with_a_wrong_prefix_is_400(api: Any, path: Any, param: Any, value: Any, word: Any) -> None:
    message = f"Invalid '{param}': '{value}'. Expected an ID that begins with '{word}'."
    assert api.error("GET", path) == (400, message, param, "invalid_value")


def test_missing_objects_are_404_and_name_the_first_that_is_missing(api: Any, thread: Any) -> None:
    assert api.error("GET", "/threads/thread_x/runs/run_x/steps/step_x")[1] == ("No thread found with id 'thread_x'.")
    assert api.error("GET", f"/threads/{thread}/runs/run_x/steps/step_x")[1] == ("No run found with id 'run_x'.")
    assert api.error("GET", f"/threads/{thread}/messages/msg_x") == (
        404,
        "No message found with id 'msg_x'.",
        None,
        None,
    )
    assert api.error("DELETE", "/assistants/asst_x")[1] == "No assistant found with id 'asst_x'."
    assert api.error("GET", "/files/file-x") == (404, "No such File object: file-x", "id", None)


def test_a_message_belongs_to_its_thread_only(api: Any, thread: Any) -> None:
    message = api.post(f"/threads/{thread}/messages", {"role": "user", "content": "x"})["id"]
    other = api.post("/threads")["id"]
    assert api.error("GET", f"/threads/{other}/messages/{message}")[0] == 404


def test_a_deleted_thread_takes_its_messages_along_and_cannot_be_deleted_twice(api: Any, thread: Any) -> None:
    api.post(f"/threads/{thread}/messages", {"role": "user", "content": "x"})
    assert api.delete(f"/threads/{thread}") == {"id": thread, "object": "thread.deleted", "deleted": True}
    assert api.error("GET", f"/threads/{thread}/messages")[0] == 404
    assert api.error("DELETE", f"/threads/{thread}")[0] == 404


BODIES = [
    ("/assistants", {}, "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
    ("/assistants", {"model": "m", "x": 1}, "Unknown parameter: 'x'.", "x", "unknown_parameter"),
    (
        "/assistants",
        {"model": 5},
        "Invalid type for 'model': expected a string, but got an integer instead.",
        "model",
        "invalid_type",
    ),
    (
        "/assistants",
        {"model": "m", "name": "n" * 257},
        (
            "Invalid 'name': string too long. Expected a string with maximum length 256, "
            "but got a string with length 257 instead."
        ),
        "name",
        "string_above_max_length",
    ),
    (
        "/assistants",
        {"model": "m", "temperature": 2.5},
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        "temperature",
        "decimal_above_max_value",
    ),
    (
        "/assistants",
        {"model": "m", "tools": [{"type": "code_interpreter"}] * 129},
        (
            "Invalid 'tools': array too long. Expected an array with maximum length 128, "
            "but got an array with length 129 instead."
        ),
        "tools",
        "array_above_max_length",
    ),
    (
        "/assistants",
        {"model": "m", "tools": [{"type": "retrieval"}]},
        "Invalid value: 'retrieval'. Supported values are: 'code_interpreter', 'file_search' and 'function'.",
        "tools[0].type",
        "invalid_value",
    ),
    (
        "/assistants",
        {"model": "m", "file_ids": []},
        "Unknown parameter: 'file_ids'.",
        "file_ids",
        "unknown_parameter",
    ),
    (
        "/assistants",
        {"model": "m", "tools": [{"type": "function", "function": {}}]},
        "Missing required parameter: 'tools[0].function.name'.",
        "tools[0].function.name",
        "missing_required_parameter",
    ),
    (
        "/threads",
        {"messages": [{"role": "system", "content": "x"}]},
        "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
        "messages[0].role",
        "invalid_value",
    ),
    (
        "/threads",
        {"messages": [{"role": "user", "content": []}]},
        (
            "Invalid 'messages[0].content': array too short. Expected an array with minimum length 1, "
            "but got an array with length 0 instead."
        ),
        "messages[0].content",
        "array_below_min_length",
    ),
    (
        "/threads",
        {"messages": [{"role": "user", "content": 5}]},
        "Invalid type for 'messages[0].content': expected a string or an array, but got an integer instead.",
        "messages[0].content",
        "invalid_type",
    ),
    (
        "/threads",
        {"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"], "vector_stores": []}}},
        "Invalid 'tool_resources.file_search': give either 'vector_store_ids' or 'vector_stores', not both.",
        "tool_resources.file_search",
        "invalid_value",
    ),
    (
        "/threads/runs",
        {"assistant_id": "asst_x", "max_prompt_tokens": 255},
        ("Invalid 'max_prompt_tokens': integer below minimum value. Expected a value >= 256, but got 255 instead."),
        "max_prompt_tokens",
        "integer_below_min_value",
    ),
    (
        "/threads/runs",
        {"assistant_id": "asst_x", "stream": "yes"},
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
        "stream",
        "invalid_type",
    ),
    (
        "/threads/runs",
        {"assistant_id": "thread_x"},
        "Invalid 'assistant_id': 'thread_x'. Expected an ID that begins with 'asst'.",
        "assistant_id",
        "invalid_value",
    ),
    (
        "/threads",
        [],
        "Invalid type for 'body': expected an object, but got an array instead.",
        None,
        "invalid_type",
    ),
]


@pytest.mark.parametrize(("path", "body", "message", "param", "code"), BODIES)
def test_a_wrong_body_is_refused_with_its_place(
    api: Any, path: Any, body: Any, message: Any, param: Any, code: Any
) -> None:
    assert api.error("POST", path, json=body) == (400, message, param, code)


def test_a_refused_body_changes_nothing(api: Any, thread: Any) -> None:
    body = {"role": "user", "content": "x", "colour": "red"}
    assert api.error("POST", f"/threads/{thread}/messages", json=body)[3] == "unknown_parameter"
    assert api.get(f"/threads/{thread}/messages")["data"] == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"properties": [1]},
        {"properties": {"a": {"type": "integer", "minimum": "low"}}},
        {"$ref": 5},
        {"enum": 3},
    ],
)
def test_a_function_whose_parameters_are_no_schema_is_refused(api: Any, parameters: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    status, _, *place = api.error("POST", "/assistants", json={"model": "m", "tools": [tool]})
    assert (status, *place) == (400, "tools[0].function.parameters", "invalid_value")


METADATA = [
    ({f"k{n}": "v" for n in range(24)}, "metadata", "object_above_max_properties"),
    ({"k" * 65: "v"}, "metadata", "property_name_above_max_length"),
    ({"key": "v" * 513}, "metadata.key", "string_above_max_length"),
    ({"key": 5}, "metadata.key", "invalid_type"),
    ({"key": None}, "metadata.key", "invalid_type"),
    ([], "metadata", "invalid_type"),
]


@pytest.mark.parametrize(("metadata", "param", "code"), METADATA)
def test_metadata_outside_of_its_limits_is_refused(api: Any, thread: Any, metadata: Any, param: Any, code: Any) -> None:
    for path in ("/threads", f"/threads/{thread}"):
        status, _, *place = api.error("POST", path, json={"metadata": metadata})
        assert (status, *place) == (400, param, code)


def test_metadata_at_its_limits_is_kept(api: Any) -> None:
    metadata = {f"{n:064d}": "v" * 512 for n in range(16)}
    made = api.post("/threads", {"metadata": metadata})
    assert api.get(f"/threads/{made['id']}")["metadata"] == metadata


def test_metadata_is_replaced_as_a_whole_and_other_fields_stay(api: Any) -> None:
    body = {"model": "m", "name": "before", "instructions": "stay", "metadata": {"a": "1", "b": "2"}}
    made = api.post("/assistants", body)
    changed = api.post(f"/assistants/{made['id']}", {"name": "after", "metadata": {"c": "3"}})
    assert changed == made | {"name": "after", "metadata": {"c": "3"}}
    assert api.post(f"/assistants/{made['id']}", {"description": None}) == changed
    assert api.post(f"/assistants/{made['id']}", {"metadata": None})["metadata"] == {}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff",
        b'{"metadata": NaN}',
        b'{"metadata": {"a": "\\ud800"}}',
        b"[" * 100_000,
        b'{"metadata": ' + b"1" * 5000 + b"}",
    ],
)
def test_a_body_that_is_not_json_is_400(api: Any, content: Any) -> None:
    status, message, param, code = api.error("POST", "/threads", content=content)
    assert (status, param, code) == (400, None, None)
    assert message.startswith("We could not parse the JSON body of your request")


def test_an_oversized_body_is_refused_before_it_is_read(api: Any) -> None:
    huge = b'{"metadata": {"a": "' + b"x" * (33 * 2**20) + b'"}}'
    assert api.error("POST", "/threads", content=huge)[0] == 413

    def pieces() -> Iterator[Any]:
        for start in range(0, len(huge), 2**20):
            yield huge[start : start + 2**20]

    assert api.error("POST", "/threads", content=pieces())[0] == 413


def test_every_answer_has_the_headers_of_the_api(api: Any) -> None:
    good = api.send("POST", "/threads")
    bad = api.send("GET", "/threads/thread_x")
    for response in (good, bad):
        assert response.headers["openai-version"] == "2020-10-01"
        assert int(response.headers["openai-processing-ms"]) >= 0
        assert response.headers["x-request-id"].startswith("req_")
        assert response.headers["content-type"] == "application/json"
    assert good.headers["x-request-id"] != bad.headers["x-request-id"]


def test_a_text_of_any_characters_comes_back_as_it_was(api: Any, thread: Any) -> None:
    text = 'quote " backslash \\ null \x00 line\u2028separator 😀 ünïcödé'
    made = api.post(f"/threads/{thread}/messages", {"role": "user", "content": text})
    page = json.loads(api.send("GET", f"/threads/{thread}/messages").content)
    assert page["data"] == [made]
    assert made["content"] == [{"type": "text", "text": {"value": text, "annotations": []}}]
