"""The files of v1: they are no rows of their own, but a view on the object that they are attached to."""

from __future__ import annotations

from provider.emulator import refusal
from provider.emulator.calls import Call, Reply
from provider.emulator.lists import ascending, envelope, limit_of
from provider.emulator.objects import ASSISTANT, FILE, Json, code_files, encode, message_files
from provider.emulator.service import Service
from provider.emulator.store import Record


def list_attached(service: Service, call: Call) -> Reply:
    found = _attached(service, call)
    if not ascending(call.query):
        found.reverse()
    limit = limit_of(call.query, 20, 100)
    ids = [file["id"] for file in found]
    for name in ("after", "before"):
        if name in call.query and call.query[name] not in ids:
            raise refusal.no_file(call.query[name])
    start = ids.index(call.query["after"]) + 1 if "after" in call.query else 0
    stop = ids.index(call.query["before"]) if "before" in call.query else len(ids)
    if "before" in call.query and "after" not in call.query:
        start = max(0, stop - limit)
        more = start > 0
    else:
        more = stop - start > limit
        stop = min(stop, start + limit)
    shown = found[start:stop]
    return Reply(envelope([file["id"] for file in shown], [encode(file) for file in shown], more))


def get_attached(service: Service, call: Call) -> Reply:
    for file in _attached(service, call):
        if file["id"] == call.ids[FILE.param]:
            return Reply(encode(file))
    raise refusal.no_file(call.ids[FILE.param])


def create_assistant_file(service: Service, call: Call) -> Reply:
    record = service.find(call.ids, ASSISTANT)
    file, files = call.body["file_id"], code_files(record.object)
    if file not in files:
        if len(files) >= 20:
            raise refusal.invalid(
                f"Assistant {record.id} has 20 files, and takes no more.",
                "file_id",
                "array_above_max_length",
            )
        times = record.kept.get("files", {}) | {file: int(service.clock())}
        _set_code_files(service, record, [*files, file], times)
    ids = {**call.ids, FILE.param: file}
    return get_attached(service, Call(call.operation, call.version, ids, call.query))


def delete_assistant_file(service: Service, call: Call) -> Reply:
    file = call.ids[FILE.param]
    record = service.find(call.ids, ASSISTANT)
    files = code_files(record.object)
    if file not in files:
        raise refusal.no_file(file)
    _set_code_files(service, record, [other for other in files if other != file], record.kept.get("files", {}))
    return Reply(encode({"id": file, "object": "assistant.file.deleted", "deleted": True}))


def _attached(service: Service, call: Call) -> list[Json]:
    """The file objects of an assistant or of a message, oldest first."""
    kind = call.operation.kind
    record = service.find(call.ids, kind)
    owner = record.object
    files = code_files(owner) if kind is ASSISTANT else message_files(owner)
    times = record.kept.get("files", {})
    found = [
        {
            "id": file,
            "object": f"{kind.name}.file",
            "created_at": times.get(file, owner["created_at"]),
            kind.param: owner["id"],
        }
        for file in files
    ]
    return sorted(found, key=lambda file: file["created_at"])


def _set_code_files(service: Service, record: Record, files: list[str], times: Json) -> None:
    assistant = record.object
    resources = (assistant["tool_resources"] or {}) | {"code_interpreter": {"file_ids": files}}
    service.store.put(assistant | {"tool_resources": resources}, state={"files": times})
