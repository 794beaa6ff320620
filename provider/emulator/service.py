"""The operations of the API: one function each where they differ, one for all where they do not.

`OPERATIONS` is the table of routes; a row names the function that serves it. The functions are synchronous
and run one at a time, inside a transaction when they write.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provider.emulator import refusal, runs
from provider.emulator.answers import tokens
from provider.emulator.objects import (
    ASSISTANT,
    FILE,
    MESSAGE,
    RUN,
    STEP,
    THREAD,
    Json,
    Kind,
    as_v1,
    code_files,
    content_parts,
    encode,
    from_v1,
    message_files,
    plain_text,
    shape,
)
from provider.emulator.runs import Change, Event, Turn
from provider.emulator.store import Record, Store, Window

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart request, with its other form fields checked; `arrived` has its bytes."""

    filename: str
    arrived: Path
    size: int
    purpose: str
    lives: int | None = None  # seconds


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its operation, API version (1 or 2), path ids, query and checked body in v2 words."""

    operation: Operation
    version: int
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Json = field(default_factory=dict)
    upload: Upload | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: JSON text, or a file, whose name is `body` then.

    `run` is set where the answer is a run, `events` to what the call did to it.
    """

    body: str
    run: Turn | None = None
    events: list[Event] = field(default_factory=list)
    file: Path | None = None


class Service:
    """The operations over one store.

    Args:
        clock: answers unix seconds.
        step_seconds: how long a run stays queued, in progress, or cancelling.
        publish: told every event of a run after its commit, as (run id, event).
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        step_seconds: float,
        publish: Callable[[str, Event], None],
    ) -> None:
        self.store = store
        self.clock = clock
        self.step_seconds = step_seconds
        self._publish = publish
        self._happened: list[tuple[str, Event]] = []

    def answer(self, call: Call) -> Reply:
        """Serves a call; raises `Refusal`."""
        operation = call.operation
        if (thread_id := call.ids.get("thread_id")) is not None:
            self.settle(thread_id)
        if not operation.writes:
            return operation.serve(self, call)
        with self._writing():
            return operation.serve(self, call)

    def settle(self, thread_id: str) -> Turn | None:
        """Brings the thread's active run up to the present; answers it, or None when there is none."""
        record = self.store.active_run(thread_id)
        if record is None:
            return None
        turn = self.turn(record)
        now = self.clock()
        if runs.due(turn, self.step_seconds) > now:
            return turn
        with self._writing():
            # Once more under the write lock: another process may have been faster.
            record = self.store.active_run(thread_id)
            if record is not None:
                turn = self.turn(record)
                turn = self._apply(runs.advance(turn, now, self.step_seconds, self._fresh_id))
        return None if turn.run["status"] in runs.TERMINAL else turn

    def turn(self, record: Record) -> Turn:
        """A stored run with the step and the message that it has open."""
        run, state = record.object, record.kept
        step = self.store.get(STEP, state["step"], run["id"]) if state.get("step") else None
        message = self.store.get(MESSAGE, state["message"], run["thread_id"]) if state.get("message") else None
        return Turn(run, state, step and step.object, message and message.object)

    def _apply(self, change: Change) -> Turn:
        """Stores what a transition changed; its events are told after the commit."""
        turn, events = change
        last = {event.object["id"]: event.object for event in events}
        for found in last.values():
            match found["object"]:
                case MESSAGE.name:
                    self.store.put(found, parent=found["thread_id"], label=found["run_id"], state={})
                case STEP.name:
                    self.store.put(found, parent=found["run_id"], state={})
        run = turn.run
        active = run["status"] not in runs.TERMINAL
        self.store.put(run, parent=run["thread_id"], state=turn.state, active=active)
        self._happened += [(run["id"], event) for event in events]
        return turn

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction whose events are told once it is committed, and forgotten when it is not."""
        try:
            with self.store.transaction():
                yield
            for run_id, event in self._happened:
                self._publish(run_id, event)
        finally:
            self._happened.clear()

    def _fresh_id(self, kind: Kind) -> str:
        return self.store.fresh_id(kind.prefix)

    # Reading

    def find(self, call: Call, kind: Kind) -> Record:
        """The object that the path names; 404 names the first that is missing on the way there."""
        parent = ""
        if kind in (MESSAGE, RUN, STEP):
            parent = call.ids[THREAD.param]
            if not self.store.exists(THREAD, parent):
                raise refusal.not_found(THREAD.noun, parent)
        if kind is STEP:
            run_id = call.ids[RUN.param]
            if self.store.get(RUN, run_id, parent) is None:
                raise refusal.not_found(RUN.noun, run_id)
            parent = run_id
        return self._one(kind, call.ids[kind.param], parent)

    def _one(self, kind: Kind, identifier: str, parent: str = "") -> Record:
        record = self.store.get(kind, identifier, parent)
        if record is None:
            raise refusal.no_file(identifier) if kind is FILE else refusal.not_found(kind.noun, identifier)
        return record

    def show(self, call: Call, record: Record) -> str:
        """The JSON text of a stored object for the version of the call."""
        return record.body if call.version == 2 else encode(as_v1(record.object, record.kept))

    def read(self, call: Call) -> Reply:
        kind = call.operation.kind
        record = self.find(call, kind)
        return Reply(self.show(call, record), run=self.turn(record) if kind is RUN else None)

    def page(self, call: Call) -> Reply:
        kind = call.operation.kind
        parent = ""
        if kind is STEP:
            parent = self.find(call, RUN).id
        elif kind in (MESSAGE, RUN):
            parent = self.find(call, THREAD).id
        limits = (10_000, 10_000) if kind is FILE else (20, 100)
        label = call.query.get({MESSAGE: "run_id", FILE: "purpose"}.get(kind, ""))
        after, before = (self._cursor(call, name, kind, parent) for name in ("after", "before"))
        window = Window(_limit(call.query, *limits), _ascending(call.query), after, before, label)
        rows, more = self.store.page(kind, parent, window)
        if call.version == 2:
            texts = [body for _, body, _ in rows]
        else:
            texts = [encode(as_v1(json.loads(body), json.loads(state))) for _, body, state in rows]
        return Reply(_envelope([identifier for identifier, _, _ in rows], texts, more))

    def _cursor(self, call: Call, name: str, kind: Kind, parent: str) -> tuple[int, int] | None:
        """Where the object that a cursor names stands in its list."""
        if name not in call.query or (kind is FILE and name == "before"):  # files have no `before`
            return None
        return self._one(kind, call.query[name], parent).place

    # Changing

    def modify(self, call: Call) -> Reply:
        kind = call.operation.kind
        record = self.find(call, kind)
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
        stored = self.store.put(new, state=record.kept, active=active)
        return Reply(self.show(call, stored))

    def delete(self, call: Call) -> Reply:
        kind = call.operation.kind
        record = self.find(call, kind)
        self.store.delete(record.id)
        name = kind.name if kind is FILE else f"{kind.name}.deleted"
        return Reply(encode({"id": record.id, "object": name, "deleted": True}))

    # Creating

    def create_assistant(self, call: Call) -> Reply:
        body = call.body
        assistant = shape(
            ASSISTANT,
            id=self._fresh_id(ASSISTANT),
            created_at=int(self.clock()),
            **_given(body, "name", "description", "model", "instructions"),
            tools=body.get("tools") or [],
            tool_resources=self._resources(body),
            metadata=body.get("metadata") or {},
            temperature=_or(body.get("temperature"), 1.0),
            top_p=_or(body.get("top_p"), 1.0),
            response_format=_or(body.get("response_format"), "auto"),
        )
        return Reply(self.show(call, self.store.put(assistant, state={})))

    def create_thread(self, call: Call) -> Reply:
        return Reply(self.show(call, self._new_thread(call.body)))

    def _new_thread(self, body: Json) -> Record:
        thread = shape(
            THREAD,
            id=self._fresh_id(THREAD),
            created_at=int(self.clock()),
            tool_resources=self._resources(body),
            metadata=body.get("metadata") or {},
        )
        record = self.store.put(thread, state={})
        for message in body.get("messages") or ():
            self._new_message(record.id, message)
        return self._one(THREAD, record.id)  # its messages may have attached files to it

    def _resources(self, body: Json) -> Json:
        """The tool resources of a new object; a `vector_stores` helper becomes the id of a store."""
        resources = dict(body.get("tool_resources") or {})
        search = dict(resources.get("file_search") or {})
        if search.pop("vector_stores", None):
            search["vector_store_ids"] = [self.store.fresh_id("vs_")]
        return resources | ({"file_search": search} if search else {})

    def create_message(self, call: Call) -> Reply:
        thread = self.find(call, THREAD)
        active = self.store.active_run(thread.id)
        if active is not None:
            raise refusal.thread_locked(thread.id, active.id)
        return Reply(self.show(call, self._new_message(thread.id, call.body)))

    def _new_message(self, thread_id: str, body: Json) -> Record:
        now = int(self.clock())
        message = shape(
            MESSAGE,
            id=self._fresh_id(MESSAGE),
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
            self._attach(thread_id, message["attachments"])
        return self.store.put(message, parent=thread_id, state={})

    def _attach(self, thread_id: str, attachments: list[Json]) -> None:
        """Adds the files of a message to the tool resources of its thread."""
        record = self._one(THREAD, thread_id)
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
                resources["file_search"] = {"vector_store_ids": [self.store.fresh_id("vs_")]}
        self.store.put(thread | {"tool_resources": resources}, state=record.kept)

    def create_file(self, call: Call) -> Reply:
        upload = call.upload
        if upload is None:
            raise refusal.invalid("Missing required parameter: 'file'.", "file", "missing_required_parameter")
        now = int(self.clock())
        file = shape(
            FILE,
            id=self._fresh_id(FILE),
            bytes=upload.size,
            created_at=now,
            filename=upload.filename,
            purpose=upload.purpose,
            status="processed",
        )
        if upload.lives is not None:
            file["expires_at"] = now + upload.lives
        record = self.store.put(file, label=upload.purpose, state={})
        self.store.contents.take(upload.arrived, record.id)
        return Reply(record.body)

    def download_file(self, call: Call) -> Reply:
        record = self.find(call, FILE)
        return Reply(record.object["filename"], file=self.store.contents.of(record.id))

    # Runs

    def create_run(self, call: Call) -> Reply:
        thread = self.find(call, THREAD)
        active = self.store.active_run(thread.id)
        if active is not None:
            raise refusal.run_active(thread.id, active.id)
        assistant = self._one(ASSISTANT, call.body["assistant_id"]).object
        for message in call.body.get("additional_messages") or ():
            self._new_message(thread.id, message)
        return self._new_run(call, thread.id, assistant)

    def create_thread_and_run(self, call: Call) -> Reply:
        assistant = self._one(ASSISTANT, call.body["assistant_id"]).object
        thread = self._new_thread(call.body.get("thread") or {})
        reply = self._new_run(call, thread.id, assistant)
        return replace(reply, events=[Event("thread.created", thread.object), *reply.events])

    def _new_run(self, call: Call, thread_id: str, assistant: Json) -> Reply:
        body, now = call.body, self.clock()
        instructions = _or(body.get("instructions"), assistant["instructions"]) or ""
        if body.get("additional_instructions"):
            instructions = f"{instructions}\n{body['additional_instructions']}".lstrip("\n")
        run = shape(
            RUN,
            id=self._fresh_id(RUN),
            created_at=int(now),
            thread_id=thread_id,
            assistant_id=assistant["id"],
            status="queued",
            expires_at=int(now) + runs.LIFETIME,
            model=_or(body.get("model"), assistant["model"]),
            instructions=instructions,
            tools=_or(body.get("tools"), assistant["tools"]),
            metadata=body.get("metadata") or {},
            temperature=_or(body.get("temperature"), assistant["temperature"]),
            top_p=_or(body.get("top_p"), assistant["top_p"]),
            **_given(body, "max_prompt_tokens", "max_completion_tokens"),
            truncation_strategy={"type": "auto", "last_messages": None} | (body.get("truncation_strategy") or {}),
            tool_choice=_or(body.get("tool_choice"), "auto"),
            parallel_tool_calls=body.get("parallel_tool_calls", True),
            response_format=_or(body.get("response_format"), assistant["response_format"]),
        )
        prompt, context = self._context(run)
        state = {
            "since": now,
            "prompt": prompt,
            "context": context,
            "called": 0,
            "outputs": [],
            "used": [0, 0],
            "file_ids": code_files(assistant),
        }
        return self._run_reply(call, runs.start(run, state))

    def _run_reply(self, call: Call, change: Change) -> Reply:
        """Stores a transition that a call caused, and answers the run."""
        turn = self._apply(change)
        body = encode(turn.run if call.version == 2 else as_v1(turn.run, turn.state))
        return Reply(body, turn, change.events)

    def _context(self, run: Json) -> tuple[str | None, int]:
        """The last user message of the run's thread, and the tokens of the messages that the run reads.

        `last_messages` keeps that many of the newest; otherwise the oldest are dropped until the rest fits
        into `max_prompt_tokens`. The newest message always stays.
        """
        window = Window(limit=100, ascending=False)
        last = run["truncation_strategy"]["last_messages"]
        room = run["max_prompt_tokens"] or math.inf
        used, seen, prompt = tokens(run["instructions"]), 0, None
        reading = True
        while reading or prompt is None:
            rows, more = self.store.page(MESSAGE, run["thread_id"], window)
            for _, body, _ in rows:
                message = json.loads(body)
                text = plain_text(message["content"])
                if prompt is None and message["role"] == "user":
                    prompt = text
                fits = seen < last if last is not None else used + tokens(text) <= room
                reading = reading and (fits or seen == 0)
                if reading:
                    used += tokens(text)
                    seen += 1
            if not more:
                break
            window = replace(window, after=self._one(MESSAGE, rows[-1][0], run["thread_id"]).place)
        return prompt, used - tokens(run["instructions"])

    def cancel_run(self, call: Call) -> Reply:
        turn = self.turn(self.find(call, RUN))
        return self._run_reply(call, runs.cancel(turn, self.clock()))

    def submit_tool_ouputs_to_run(self, call: Call) -> Reply:
        turn = self.turn(self.find(call, RUN))
        return self._run_reply(call, runs.submit(turn, call.body["tool_outputs"], self.clock()))

    # Files of v1: they are no rows of their own, but a view on the object that they are attached to

    def list_attached(self, call: Call) -> Reply:
        found = self._attached(call)
        if not _ascending(call.query):
            found.reverse()
        limit = _limit(call.query, 20, 100)
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
        return Reply(_envelope([file["id"] for file in shown], [encode(file) for file in shown], more))

    def get_attached(self, call: Call) -> Reply:
        for file in self._attached(call):
            if file["id"] == call.ids[FILE.param]:
                return Reply(encode(file))
        raise refusal.no_file(call.ids[FILE.param])

    def _attached(self, call: Call) -> list[Json]:
        """The file objects of an assistant or of a message, oldest first."""
        kind = call.operation.kind
        record = self.find(call, kind)
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

    def create_assistant_file(self, call: Call) -> Reply:
        record = self.find(call, ASSISTANT)
        file, files = call.body["file_id"], code_files(record.object)
        if file not in files:
            if len(files) >= 20:
                raise refusal.invalid(
                    f"Assistant {record.id} has 20 files, and takes no more.",
                    "file_id",
                    "array_above_max_length",
                )
            times = record.kept.get("files", {}) | {file: int(self.clock())}
            self._set_code_files(record, [*files, file], times)
        ids = {**call.ids, FILE.param: file}
        return self.get_attached(Call(call.operation, call.version, ids, call.query))

    def delete_assistant_file(self, call: Call) -> Reply:
        file = call.ids[FILE.param]
        record = self.find(call, ASSISTANT)
        files = code_files(record.object)
        if file not in files:
            raise refusal.no_file(file)
        self._set_code_files(record, [other for other in files if other != file], record.kept.get("files", {}))
        return Reply(encode({"id": file, "object": "assistant.file.deleted", "deleted": True}))

    def _set_code_files(self, record: Record, files: list[str], times: Json) -> None:
        assistant = record.object
        resources = (assistant["tool_resources"] or {}) | {"code_interpreter": {"file_ids": files}}
        self.store.put(assistant | {"tool_resources": resources}, state={"files": times})


def _given(body: Json, *names: str) -> Json:
    return {name: body[name] for name in names if name in body}


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value


def _limit(query: Mapping[str, str], default: int, highest: int) -> int:
    if "limit" not in query:
        return default
    if not re.fullmatch("-?[0-9]{1,18}", query["limit"]):
        raise refusal.invalid(
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            "limit",
            "invalid_type",
        )
    limit = int(query["limit"])
    if limit > highest:
        raise refusal.invalid(
            f"Invalid 'limit': integer above maximum value. Expected a value <= {highest}, but got {limit} instead.",
            "limit",
            "integer_above_max_value",
        )
    if limit < 1:
        raise refusal.invalid(
            f"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {limit} instead.",
            "limit",
            "integer_below_min_value",
        )
    return limit


def _ascending(query: Mapping[str, str]) -> bool:
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise refusal.invalid(
            f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'.", "order", "invalid_value"
        )
    return order == "asc"


def _envelope(ids: list[str], texts: list[str], more: bool) -> str:
    """A list answer, from the ids of its objects and their JSON texts."""
    first, last = (f'"{ids[0]}"', f'"{ids[-1]}"') if ids else ("null", "null")
    rest = f'"first_id":{first},"last_id":{last},"has_more":{"true" if more else "false"}'
    return f'{{"object":"list","data":[{",".join(texts)}],{rest}}}'


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its name, HTTP method and path, the kind it is about, and what serves it."""

    name: str
    method: str
    path: str
    kind: Kind
    serve: Callable[[Service, Call], Reply]
    versions: tuple[int, ...] = (1, 2)

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def needs_beta(self) -> bool:
        """Whether the operation is behind the OpenAI-Beta header."""
        return self.kind is not FILE

    def lift(self, body: Json, version: int) -> Json:
        """A checked body in v2 words."""
        return from_v1(self.name, body) if version == 1 else body


_ASSISTANT = "/assistants/{assistant_id}"
_THREAD = "/threads/{thread_id}"
_MESSAGE = _THREAD + "/messages/{message_id}"
_RUN = _THREAD + "/runs/{run_id}"

OPERATIONS: tuple[Operation, ...] = (
    Operation("create_assistant", "POST", "/assistants", ASSISTANT, Service.create_assistant),
    Operation("list_assistants", "GET", "/assistants", ASSISTANT, Service.page),
    Operation("get_assistant", "GET", _ASSISTANT, ASSISTANT, Service.read),
    Operation("modify_assistant", "POST", _ASSISTANT, ASSISTANT, Service.modify),
    Operation("delete_assistant", "DELETE", _ASSISTANT, ASSISTANT, Service.delete),
    Operation("create_assistant_file", "POST", _ASSISTANT + "/files", ASSISTANT, Service.create_assistant_file, (1,)),
    Operation("list_assistant_files", "GET", _ASSISTANT + "/files", ASSISTANT, Service.list_attached, (1,)),
    Operation("get_assistant_file", "GET", _ASSISTANT + "/files/{file_id}", ASSISTANT, Service.get_attached, (1,)),
    Operation(
        "delete_assistant_file",
        "DELETE",
        _ASSISTANT + "/files/{file_id}",
        ASSISTANT,
        Service.delete_assistant_file,
        (1,),
    ),
    Operation("create_thread", "POST", "/threads", THREAD, Service.create_thread),
    Operation("get_thread", "GET", _THREAD, THREAD, Service.read),
    Operation("modify_thread", "POST", _THREAD, THREAD, Service.modify),
    Operation("delete_thread", "DELETE", _THREAD, THREAD, Service.delete),
    Operation("create_thread_and_run", "POST", "/threads/runs", RUN, Service.create_thread_and_run),
    Operation("create_message", "POST", _THREAD + "/messages", MESSAGE, Service.create_message),
    Operation("list_messages", "GET", _THREAD + "/messages", MESSAGE, Service.page),
    Operation("get_message", "GET", _MESSAGE, MESSAGE, Service.read),
    Operation("modify_message", "POST", _MESSAGE, MESSAGE, Service.modify),
    Operation("delete_message", "DELETE", _MESSAGE, MESSAGE, Service.delete, (2,)),
    Operation("list_message_files", "GET", _MESSAGE + "/files", MESSAGE, Service.list_attached, (1,)),
    Operation("get_message_file", "GET", _MESSAGE + "/files/{file_id}", MESSAGE, Service.get_attached, (1,)),
    Operation("create_run", "POST", _THREAD + "/runs", RUN, Service.create_run),
    Operation("list_runs", "GET", _THREAD + "/runs", RUN, Service.page),
    Operation("get_run", "GET", _RUN, RUN, Service.read),
    Operation("modify_run", "POST", _RUN, RUN, Service.modify),
    Operation("cancel_run", "POST", _RUN + "/cancel", RUN, Service.cancel_run),
    Operation(
        "submit_tool_ouputs_to_run",
        "POST",
        _RUN + "/submit_tool_outputs",
        RUN,
        Service.submit_tool_ouputs_to_run,
    ),
    Operation("list_run_steps", "GET", _RUN + "/steps", STEP, Service.page),
    Operation("get_run_step", "GET", _RUN + "/steps/{step_id}", STEP, Service.read),
    Operation("create_file", "POST", "/files", FILE, Service.create_file),
    Operation("list_files", "GET", "/files", FILE, Service.page),
    Operation("retrieve_file", "GET", "/files/{file_id}", FILE, Service.read),
    Operation("delete_file", "DELETE", "/files/{file_id}", FILE, Service.delete),
    Operation("download_file", "GET", "/files/{file_id}/content", FILE, Service.download_file),
)
