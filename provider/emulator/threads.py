"""Threads and their messages."""

from __future__ import annotations

from provider.emulator import refusal
from provider.emulator.assistants import tool_resources
from provider.emulator.calls import Call, Reply
from provider.emulator.objects import MESSAGE, THREAD, Json, content_parts, shape
from provider.emulator.service import Service
from provider.emulator.store import Record


def create_thread(service: Service, call: Call) -> Reply:
    return Reply(service.show(new_thread(service, call.body), call.version))


def create_message(service: Service, call: Call) -> Reply:
    thread = service.find(call.ids, THREAD)
    active = service.store.active_run(thread.id)
    if active is not None:
        raise refusal.thread_locked(thread.id, active.id)
    return Reply(service.show(new_message(service, thread.id, call.body), call.version))


def new_thread(service: Service, body: Json) -> Record:
    thread = shape(
        THREAD,
        id=service.fresh_id(THREAD),
        created_at=int(service.clock()),
        tool_resources=tool_resources(service, body),
        metadata=body.get("metadata") or {},
    )
    record = service.store.put(thread, state={})
    for message in body.get("messages") or ():
        new_message(service, record.id, message)
    return service.one(THREAD, record.id)  # its messages may have attached files to it


def new_message(service: Service, thread_id: str, body: Json) -> Record:
    now = int(service.clock())
    message = shape(
        MESSAGE,
        id=service.fresh_id(MESSAGE),
        created_at=now,
        thread_id=thread_id,
        status="completed",
        completed_at=now,
        role=body["role"],
        content=content_parts(body["content"]),
        attachments=body.get("attachments") or [],
        metadata=body.get("metadata") or {},
    )
    if message["attachments"]:
        _attach(service, thread_id, message["attachments"])
    return service.store.put(message, parent=thread_id, state={})


def _attach(service: Service, thread_id: str, attachments: list[Json]) -> None:
    """Adds the files of a message to the tool resources of its thread."""
    record = service.one(THREAD, thread_id)
    thread = record.object
    resources = dict(thread["tool_resources"])
    for attachment in attachments:
        tools = {tool["type"] for tool in attachment.get("tools") or ()}
        file = attachment.get("file_id")
        if "code_interpreter" in tools and file:
            files = [*resources.get("code_interpreter", {}).get("file_ids", ()), file]
            if len(set(files)) > 20:
                raise refusal.invalid(
                    f"Thread {thread_id} has 20 files for the code interpreter, and takes no more.",
                    "attachments",
                    "array_above_max_length",
                )
            resources["code_interpreter"] = {"file_ids": list(dict.fromkeys(files))}
        if "file_search" in tools and not resources.get("file_search", {}).get("vector_store_ids"):
            resources["file_search"] = {"vector_store_ids": [service.store.fresh_id("vs_")]}
    service.store.put(thread | {"tool_resources": resources}, state=record.kept)
