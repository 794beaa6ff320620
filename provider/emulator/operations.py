"""The operations of the API: one function each where they differ, one for all where they do not.

`OPERATIONS` is the table of routes; a row names the function that serves it. The functions are synchronous
and run one at a time, inside a transaction when they write.
"""

from __future__ import annotations

from provider.emulator import assistants, attached, files, lists, running, runs, threads
from provider.emulator.calls import Call, Operation, Reply
from provider.emulator.objects import ASSISTANT, FILE, MESSAGE, RUN, STEP, THREAD, encode
from provider.emulator.service import Service


def answer(service: Service, call: Call) -> Reply:
    """Serves a call; raises `Refusal`."""
    operation = call.operation
    if (thread_id := call.ids.get("thread_id")) is not None:
        service.settle(thread_id)
    if not operation.writes:
        return operation.serve(service, call)
    with service.writing():
        return operation.serve(service, call)


def read(service: Service, call: Call) -> Reply:
    """The object that the path names."""
    kind = call.operation.kind
    record = service.find(call.ids, kind)
    return Reply(service.show(record, call.version), run=service.turn(record) if kind is RUN else None)


def modify(service: Service, call: Call) -> Reply:
    """Replaces those fields of an object that the body names."""
    kind = call.operation.kind
    record = service.find(call.ids, kind)
    old = record.object
    changes = {name: value for name, value in call.body.items() if name in kind.fields}
    for name in ("metadata", "tool_resources"):
        if name in changes and changes[name] is None:
            changes[name] = {}
    if call.version == 1 and "tool_resources" in changes:
        # v1 sees only the code interpreter's files; what it cannot see it does not clear.
        changes["tool_resources"] = (old["tool_resources"] or {}) | changes["tool_resources"]
    new = old | changes
    active = kind is RUN and old["status"] not in runs.TERMINAL
    # Everything but the body stays: parent and label are not touched by a replacement.
    stored = service.store.put(new, state=record.kept, active=active)
    return Reply(service.show(stored, call.version))


def delete(service: Service, call: Call) -> Reply:
    """Deletes the object that the path names."""
    kind = call.operation.kind
    record = service.find(call.ids, kind)
    service.store.delete(record.id)
    name = kind.name if kind is FILE else f"{kind.name}.deleted"
    return Reply(encode({"id": record.id, "object": name, "deleted": True}))


_ASSISTANT = "/assistants/{assistant_id}"
_THREAD = "/threads/{thread_id}"
_MESSAGE = _THREAD + "/messages/{message_id}"
_RUN = _THREAD + "/runs/{run_id}"

OPERATIONS: tuple[Operation, ...] = (
    Operation("create_assistant", "POST", "/assistants", ASSISTANT, assistants.create_assistant),
    Operation("list_assistants", "GET", "/assistants", ASSISTANT, lists.page),
    Operation("get_assistant", "GET", _ASSISTANT, ASSISTANT, read),
    Operation("modify_assistant", "POST", _ASSISTANT, ASSISTANT, modify),
    Operation("delete_assistant", "DELETE", _ASSISTANT, ASSISTANT, delete),
    Operation("create_assistant_file", "POST", _ASSISTANT + "/files", ASSISTANT, attached.create_assistant_file, (1,)),
    Operation("list_assistant_files", "GET", _ASSISTANT + "/files", ASSISTANT, attached.list_attached, (1,)),
    Operation("get_assistant_file", "GET", _ASSISTANT + "/files/{file_id}", ASSISTANT, attached.get_attached, (1,)),
    Operation(
        "delete_assistant_file",
        "DELETE",
        _ASSISTANT + "/files/{file_id}",
        ASSISTANT,
        attached.delete_assistant_file,
        (1,),
    ),
    Operation("create_thread", "POST", "/threads", THREAD, threads.create_thread),
    Operation("get_thread", "GET", _THREAD, THREAD, read),
    Operation("modify_thread", "POST", _THREAD, THREAD, modify),
    Operation("delete_thread", "DELETE", _THREAD, THREAD, delete),
    Operation("create_thread_and_run", "POST", "/threads/runs", RUN, running.create_thread_and_run),
    Operation("create_message", "POST", _THREAD + "/messages", MESSAGE, threads.create_message),
    Operation("list_messages", "GET", _THREAD + "/messages", MESSAGE, lists.page),
    Operation("get_message", "GET", _MESSAGE, MESSAGE, read),
    Operation("modify_message", "POST", _MESSAGE, MESSAGE, modify),
    Operation("delete_message", "DELETE", _MESSAGE, MESSAGE, delete, (2,)),
    Operation("list_message_files", "GET", _MESSAGE + "/files", MESSAGE, attached.list_attached, (1,)),
    Operation("get_message_file", "GET", _MESSAGE + "/files/{file_id}", MESSAGE, attached.get_attached, (1,)),
    Operation("create_run", "POST", _THREAD + "/runs", RUN, running.create_run),
    Operation("list_runs", "GET", _THREAD + "/runs", RUN, lists.page),
    Operation("get_run", "GET", _RUN, RUN, read),
    Operation("modify_run", "POST", _RUN, RUN, modify),
    Operation("cancel_run", "POST", _RUN + "/cancel", RUN, running.cancel_run),
    Operation(
        "submit_tool_ouputs_to_run",
        "POST",
        _RUN + "/submit_tool_outputs",
        RUN,
        running.submit_tool_ouputs_to_run,
    ),
    Operation("list_run_steps", "GET", _RUN + "/steps", STEP, lists.page),
    Operation("get_run_step", "GET", _RUN + "/steps/{step_id}", STEP, read),
    Operation("create_file", "POST", "/files", FILE, files.create_file),
    Operation("list_files", "GET", "/files", FILE, lists.page),
    Operation("retrieve_file", "GET", "/files/{file_id}", FILE, read),
    Operation("delete_file", "DELETE", "/files/{file_id}", FILE, delete),
    Operation("download_file", "GET", "/files/{file_id}/content", FILE, files.download_file),
)
