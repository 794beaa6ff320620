"""Assistants, and the tool resources that threads have as well."""

from __future__ import annotations

from provider.emulator.calls import Call, Reply
from provider.emulator.objects import ASSISTANT, Json, given, shape, unless_null
from provider.emulator.service import Service


def create_assistant(service: Service, call: Call) -> Reply:
    body = call.body
    assistant = shape(
        ASSISTANT,
        id=service.fresh_id(ASSISTANT),
        created_at=int(service.clock()),
        **given(body, "name", "description", "model", "instructions"),
        tools=body.get("tools") or [],
        tool_resources=tool_resources(service, body),
        metadata=body.get("metadata") or {},
        temperature=unless_null(body.get("temperature"), 1.0),
        top_p=unless_null(body.get("top_p"), 1.0),
        response_format=unless_null(body.get("response_format"), "auto"),
    )
    return Reply(service.show(service.store.put(assistant, state={}), call.version))


def tool_resources(service: Service, body: Json) -> Json:
    """The tool resources of a new object; a `vector_stores` helper becomes the id of a store."""
    resources = dict(body.get("tool_resources") or {})
    search = dict(resources.get("file_search") or {})
    if search.pop("vector_stores", None):
        search["vector_store_ids"] = [service.store.fresh_id("vs_")]
    return resources | ({"file_search": search} if search else {})
