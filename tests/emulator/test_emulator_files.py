from __future__ import annotations

from typing import Any

import pytest


def upload(api: Any, content: Any = b"some bytes", purpose: Any = "assistants", **fields: Any) -> Any:
    return api.send("POST", "/files", files={"file": ("a.txt", content)}, data={"purpose": purpose, **fields})


def test_a_file_is_kept_with_its_bytes(api: Any) -> None:
    content = bytes(range(256)) * 1000
    made = upload(api, content).json()
    assert " ".join(made) == "id object bytes created_at filename purpose status"
    assert (made["bytes"], made["filename"], made["purpose"]) == (256_000, "a.txt", "assistants")
    assert api.get(f"/files/{made['id']}") == made
    assert api.send("GET", f"/files/{made['id']}/content").content == content
    assert api.delete(f"/files/{made['id']}") == {"id": made["id"], "object": "file", "deleted": True}
    assert api.error("GET", f"/files/{made['id']}/content")[0] == 404


def test_files_are_listed_by_purpose(api: Any) -> None:
    vision = [upload(api, purpose="vision").json()["id"] for _ in range(3)]
    batch = upload(api, purpose="batch").json()["id"]
    page = api.get("/files", purpose="vision", order="asc")
    assert [entry["id"] for entry in page["data"]] == vision
    page = api.get("/files", purpose="vision", limit=2)
    assert ([entry["id"] for entry in page["data"]], page["has_more"]) == (vision[:0:-1], True)
    assert batch in [entry["id"] for entry in api.get("/files")["data"]]


def test_a_file_says_when_it_expires(api: Any) -> None:
    expiry = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    made = upload(api, **expiry).json()
    assert made["expires_at"] == made["created_at"] + 3600


@pytest.mark.parametrize(
    ("request_", "param", "code"),
    [
        ({"data": {"purpose": "batch"}}, "file", "missing_required_parameter"),
        ({"files": {"file": ("a", b"x")}}, "purpose", "missing_required_parameter"),
        ({"files": {"file": ("a", b"x")}, "data": {"purpose": "fun"}}, "purpose", "invalid_value"),
        (
            {"files": {"file": ("a", b"x")}, "data": {"purpose": "batch", "x": "1"}},
            "x",
            "unknown_parameter",
        ),
        (
            {
                "files": {"file": ("a", b"x")},
                "data": {"purpose": "batch", "expires_after[seconds]": "5"},
            },
            "expires_after[seconds]",
            "integer_below_min_value",
        ),
        ({"files": {"file": (None, "text"), "purpose": (None, "batch")}}, "file", "invalid_type"),
        ({"json": {"purpose": "batch"}}, "file", "missing_required_parameter"),
    ],
)
def test_a_wrong_form_is_refused(api: Any, request_: Any, param: Any, code: Any) -> None:
    status, _, *place = api.error("POST", "/files", **request_)
    assert (status, *place) == (400, param, code)


def test_a_broken_form_is_refused(api: Any) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    assert api.error("POST", "/files", content=b"--x", headers=headers)[0] == 400


def test_an_attachment_adds_its_file_to_the_thread(api: Any) -> None:
    thread = api.post("/threads")["id"]
    tools = [{"type": "code_interpreter"}, {"type": "file_search"}]
    body = {"role": "user", "content": "x", "attachments": [{"file_id": "file-a", "tools": tools}]}
    for _ in range(2):
        assert api.post(f"/threads/{thread}/messages", body)["attachments"] == body["attachments"]
    resources = api.get(f"/threads/{thread}")["tool_resources"]
    assert resources["code_interpreter"] == {"file_ids": ["file-a"]}
    (store,) = resources["file_search"]["vector_store_ids"]
    assert store.startswith("vs_")


def test_a_new_vector_store_becomes_an_id(api: Any) -> None:
    made = api.post("/threads", {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": []}]}}})
    ((store,),) = made["tool_resources"]["file_search"].values()
    assert store.startswith("vs_")
