"""The objects of the API: their kinds, their fields in documented order, and v1 as a view on v2.

What is stored is the v2 object. A v1 request is lifted to v2 words (`from_v1`), a v1 answer is the stored
object seen through `as_v1`; so both versions look at one history.
"""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def _fields(names: str) -> tuple[str, ...]:
    return tuple(names.split())


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object: its `object` literal, id prefix, path parameter, and fields per version."""

    name: str
    prefix: str
    param: str
    noun: str
    fields: tuple[str, ...]
    fields_v1: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """What an id of this kind begins with, as the error message says it."""
        return self.prefix.rstrip("_-")


ASSISTANT = Kind(
    "assistant",
    "asst_",
    "assistant_id",
    "assistant",
    _fields(
        "id object created_at name description model instructions tools tool_resources metadata temperature "
        "top_p response_format"
    ),
    _fields("id object created_at name description model instructions tools file_ids metadata"),
)
THREAD = Kind(
    "thread",
    "thread_",
    "thread_id",
    "thread",
    _fields("id object created_at tool_resources metadata"),
    _fields("id object created_at metadata"),
)
_MESSAGE = _fields(
    "id object created_at thread_id status incomplete_details completed_at incomplete_at role content "
    "assistant_id run_id"
)
MESSAGE = Kind(
    "thread.message",
    "msg_",
    "message_id",
    "message",
    (*_MESSAGE, "attachments", "metadata"),
    (*_MESSAGE, "file_ids", "metadata"),
)
_RUN = _fields(
    "id object created_at thread_id assistant_id status required_action last_error expires_at started_at "
    "cancelled_at failed_at completed_at incomplete_details model instructions tools"
)
_RUN_LIMITS = _fields(
    "metadata usage temperature top_p max_prompt_tokens max_completion_tokens truncation_strategy tool_choice"
)
RUN = Kind(
    "thread.run",
    "run_",
    "run_id",
    "run",
    (*_RUN, *_RUN_LIMITS, "parallel_tool_calls", "response_format"),
    (*_RUN, "file_ids", *_RUN_LIMITS, "response_format"),
)
_STEP = _fields(
    "id object created_at assistant_id thread_id run_id type status step_details last_error expired_at "
    "cancelled_at failed_at completed_at metadata usage"
)
STEP = Kind("thread.run.step", "step_", "step_id", "run step", _STEP, _STEP)
FILE = Kind(
    "file",
    "file-",
    "file_id",
    "file",
    _fields("id object bytes created_at filename purpose status"),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (ASSISTANT, THREAD, MESSAGE, RUN, STEP, FILE)}


def make_id(prefix: str, *parts: object) -> str:
    """`prefix` and 24 letters and digits; the same `parts` give the same id."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=24, person=prefix[:16].encode())
    number = int.from_bytes(digest.digest(), "big")
    letters = []
    for _ in range(24):
        number, digit = divmod(number, 62)
        letters.append(_ALPHABET[digit])
    return prefix + "".join(letters)


def shape(kind: Kind, **values: Any) -> Json:
    """An object with every field of its kind in documented order; null where `values` has none."""
    return {field: values.get(field) for field in kind.fields} | {"object": kind.name}


def given(body: Json, *names: str) -> Json:
    """Those of some fields that a body has."""
    return {name: body[name] for name in names if name in body}


def unless_null(value: Any, other: Any) -> Any:
    """A value, or another one where it is null."""
    return other if value is None else value


def text_part(value: str) -> Json:
    """A text part as answers have it."""
    return {"type": "text", "text": {"value": value, "annotations": []}}


def content_parts(content: str | list[Json]) -> list[Json]:
    """The content of a request, in the shape of an answer."""
    if isinstance(content, str):
        return [text_part(content)]
    parts = []
    for part in content:
        tag = part["type"]
        parts.append(text_part(part["text"]) if tag == "text" else {"type": tag, tag: {**part[tag]}})
        if tag != "text":
            parts[-1][tag].setdefault("detail", "auto")
    return parts


def plain_text(content: list[Json]) -> str:
    """The text parts of a message, one per line."""
    return "\n".join(part["text"]["value"] for part in content if part["type"] == "text")


def code_files(assistant: Json) -> list[str]:
    """The files of an assistant's code interpreter: what v1 calls its `file_ids`."""
    found: list[str] = (assistant["tool_resources"] or {}).get("code_interpreter", {}).get("file_ids", [])
    return found


def message_files(message: Json) -> list[str]:
    """The attached files of a message: what v1 calls its `file_ids`."""
    files = (attachment.get("file_id") for attachment in message["attachments"] or ())
    return list(dict.fromkeys(file for file in files if file))


def from_v1(operation: str, body: Json) -> Json:
    """A v1 request body in v2 words."""
    lifted = dict(body)
    if lifted.get("tools"):
        lifted["tools"] = [{"type": "file_search"} if tool["type"] == "retrieval" else tool for tool in lifted["tools"]]
    if isinstance(choice := lifted.get("tool_choice"), dict) and choice["type"] == "retrieval":
        lifted["tool_choice"] = {"type": "file_search"}
    if lifted.get("response_format") == "none":
        lifted["response_format"] = "auto"
    for field in ("messages", "additional_messages"):
        if lifted.get(field):
            lifted[field] = [from_v1("create_message", message) for message in lifted[field]]
    if "thread" in lifted:
        lifted["thread"] = from_v1("create_thread", lifted["thread"])
    if operation.endswith("_message") and "file_ids" in lifted:
        lifted["attachments"] = [{"file_id": file, "tools": []} for file in lifted.pop("file_ids")]
    if operation.endswith("_assistant") and "file_ids" in lifted:
        lifted["tool_resources"] = {"code_interpreter": {"file_ids": lifted.pop("file_ids")}}
    return lifted


def as_v1(body: Json, state: Json) -> Json:
    """The v1 view of a stored object; `state` is what is kept beside it."""
    kind = KINDS[body["object"]]
    if not kind.fields_v1:
        return body
    seen = body | _VIEWS[kind.name](body, state) if kind.name in _VIEWS else body
    return {field: seen[field] for field in kind.fields_v1}


def _assistant_v1(body: Json, state: Json) -> Json:
    return {"file_ids": code_files(body), "tools": _tools_v1(body["tools"])}


def _message_v1(body: Json, state: Json) -> Json:
    return {"file_ids": message_files(body), "content": [_part_v1(part) for part in body["content"]]}


def _run_v1(body: Json, state: Json) -> Json:
    choice, wanted = body["tool_choice"], body["response_format"]
    if isinstance(choice, dict) and choice["type"] == "file_search":
        choice = {"type": "retrieval"}
    if isinstance(wanted, dict) and wanted["type"] == "json_schema":
        wanted = {"type": "json_object"}
    return {
        "file_ids": state.get("file_ids", []),
        "tools": _tools_v1(body["tools"]),
        "tool_choice": "auto" if choice == "required" else choice,
        "response_format": wanted,
        # v1's enum has no "incomplete": a v1 poller would wait for ever on a word that it does not know.
        "status": "completed" if body["status"] == "incomplete" else body["status"],
    }


def _tools_v1(tools: list[Json]) -> list[Json]:
    return [{"type": "retrieval"} if tool["type"] == "file_search" else tool for tool in tools]


def _part_v1(part: Json) -> Json:
    match part["type"]:
        case "image_url":
            return text_part(part["image_url"]["url"])
        case "image_file":
            return {"type": "image_file", "image_file": {"file_id": part["image_file"]["file_id"]}}
    return part


_VIEWS: Mapping[str, Callable[[Json, Json], Json]] = {
    ASSISTANT.name: _assistant_v1,
    MESSAGE.name: _message_v1,
    RUN.name: _run_v1,
}
