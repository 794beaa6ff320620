"""What v1 has and v2 has not, and how each version sees the objects of the other."""

from __future__ import annotations

from typing import Any

import pytest


def ids(page: Any) -> Any:
    return [entry["id"] for entry in page["data"]]


@pytest.fixture
def assistant(api_v1: Any) -> Any:
    return api_v1.post("/assistants", {"model": "m", "tools": [{"type": "retrieval"}], "file_ids": ["file-a"]})


def test_objects_have_the_fields_of_v1_in_order(api_v1: Any, assistant: Any) -> None:
    assert " ".join(assistant) == ("id object created_at name description model instructions tools file_ids metadata")
    thread = api_v1.post("/threads")
    assert list(thread) == ["id", "object", "created_at", "metadata"]
    path = f"/threads/{thread['id']}/messages"
    message = api_v1.post(path, {"role": "user", "content": "x", "file_ids": ["file-m"]})
    assert list(message)[-2:] == ["file_ids", "metadata"]
    assert message["file_ids"] == ["file-m"]
    run = api_v1.post(f"/threads/{thread['id']}/runs", {"assistant_id": assistant["id"]})
    assert "parallel_tool_calls" not in run
    assert (run["file_ids"], run["tools"]) == (["file-a"], [{"type": "retrieval"}])


def test_v2_sees_files_and_retrieval_in_its_own_words(api: Any, api_v1: Any, assistant: Any) -> None:
    seen = api.get(f"/assistants/{assistant['id']}")
    assert seen["tools"] == [{"type": "file_search"}]
    assert seen["tool_resources"] == {"code_interpreter": {"file_ids": ["file-a"]}}
    thread = api_v1.post("/threads")["id"]
    body = {"role": "user", "content": "x", "file_ids": ["file-m"]}
    message = api_v1.post(f"/threads/{thread}/messages", body)["id"]
    attachments = api.get(f"/threads/{thread}/messages/{message}")["attachments"]
    assert attachments == [{"file_id": "file-m", "tools": []}]


def test_v1_sees_content_of_v2_as_text(api: Any, api_v1: Any) -> None:
    thread = api.post("/threads")["id"]
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_file", "image_file": {"file_id": "file-i"}},
    ]
    made = api.post(f"/threads/{thread}/messages", {"role": "user", "content": content})
    assert made["content"][1]["image_url"]["detail"] == "low"
    assert made["content"][2]["image_file"] == {"file_id": "file-i", "detail": "auto"}
    seen = api_v1.get(f"/threads/{thread}/messages")["data"][0]["content"]
    assert [part["type"] for part in seen] == ["text", "text", "image_file"]
    assert seen[1]["text"]["value"] == "https://example.com/a.png"
    assert seen[2]["image_file"] == {"file_id": "file-i"}


def test_modifying_the_files_in_v1_keeps_the_vector_store_of_v2(api: Any, api_v1: Any) -> None:
    resources = {"code_interpreter": {"file_ids": ["file-a"]}, "file_search": {"vector_store_ids": ["vs_1"]}}
    made = api.post("/assistants", {"model": "m", "tool_resources": resources})["id"]
    assert api_v1.post(f"/assistants/{made}", {"file_ids": ["file-b"]})["file_ids"] == ["file-b"]
    assert api.get(f"/assistants/{made}")["tool_resources"] == {
        "code_interpreter": {"file_ids": ["file-b"]},
        "file_search": {"vector_store_ids": ["vs_1"]},
    }


def test_files_of_an_assistant_are_attached_listed_and_detached(api_v1: Any, assistant: Any) -> None:
    path = f"/assistants/{assistant['id']}/files"
    for file in ("file-b", "file-c"):
        made = api_v1.post(path, {"file_id": file})
        assert list(made) == ["id", "object", "created_at", "assistant_id"]
        assert (made["id"], made["object"]) == (file, "assistant.file")
    assert api_v1.get(f"/assistants/{assistant['id']}")["file_ids"] == ["file-a", "file-b", "file-c"]
    assert ids(api_v1.get(path, order="asc")) == ["file-a", "file-b", "file-c"]
    page = api_v1.get(path, limit=2)
    assert (ids(page), page["has_more"], page["last_id"]) == (["file-c", "file-b"], True, "file-b")
    assert ids(api_v1.get(path, after="file-b")) == ["file-a"]
    page = api_v1.get(path, before="file-a", limit=1)
    assert (ids(page), page["has_more"]) == (["file-b"], True)
    assert api_v1.get(f"{path}/file-b")["assistant_id"] == assistant["id"]
    assert api_v1.delete(f"{path}/file-b") == {
        "id": "file-b",
        "object": "assistant.file.deleted",
        "deleted": True,
    }
    assert api_v1.error("GET", f"{path}/file-b") == (404, "No such File object: file-b", "id", None)
    assert api_v1.error("DELETE", f"{path}/file-b")[0] == 404
    assert api_v1.error("GET", path, params={"after": "file-b"})[0] == 404


def test_an_assistant_takes_twenty_files(api_v1: Any) -> None:
    files = [f"file-{n}" for n in range(20)]
    made = api_v1.post("/assistants", {"model": "m", "file_ids": files})["id"]
    assert api_v1.error("POST", f"/assistants/{made}/files", json={"file_id": "file-20"})[3] == (
        "array_above_max_length"
    )
    assert api_v1.error("POST", "/assistants", json={"model": "m", "file_ids": [*files, "file-20"]})[3] == (
        "array_above_max_length"
    )


def test_files_of_a_message_are_listed(api_v1: Any) -> None:
    thread = api_v1.post("/threads")["id"]
    body = {"role": "user", "content": "x", "file_ids": ["file-a", "file-b"]}
    message = api_v1.post(f"/threads/{thread}/messages", body)["id"]
    path = f"/threads/{thread}/messages/{message}/files"
    page = api_v1.get(path, order="asc")
    assert ids(page) == ["file-a", "file-b"]
    assert page["data"][0] == {
        "id": "file-a",
        "object": "thread.message.file",
        "created_at": page["data"][0]["created_at"],
        "message_id": message,
    }
    assert api_v1.get(f"{path}/file-b") == page["data"][1]


@pytest.mark.parametrize(
    ("path", "body", "param", "code"),
    [
        ("/assistants", {"model": "m", "tool_resources": {}}, "tool_resources", "unknown_parameter"),
        ("/assistants", {"model": "m", "tools": [{"type": "file_search"}]}, "tools[0].type", "invalid_value"),
        ("/threads", {"tool_resources": {}}, "tool_resources", "unknown_parameter"),
        (
            "/threads",
            {"messages": [{"role": "user", "content": ["x"]}]},
            "messages[0].content",
            "invalid_type",
        ),
        (
            "/threads",
            {"messages": [{"role": "user", "content": ""}]},
            "messages[0].content",
            "string_below_min_length",
        ),
        (
            "/threads/runs",
            {"assistant_id": "asst_x", "tool_choice": "required"},
            "tool_choice",
            "invalid_value",
        ),
        (
            "/threads/runs",
            {"assistant_id": "asst_x", "parallel_tool_calls": True},
            "parallel_tool_calls",
            "unknown_parameter",
        ),
    ],
)
def test_words_of_v2_are_refused_in_v1(api_v1: Any, path: Any, body: Any, param: Any, code: Any) -> None:
    status, _, *place = api_v1.error("POST", path, json=body)
    assert (status, *place) == (400, param, code)
