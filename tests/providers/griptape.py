"""A server that answers as Griptape Cloud documents it: users, API keys, assistants, their runs, and events.

Written from the API's documentation and not from the manifest, so that both can disagree. It is strict: parameters and
members of bodies that are not documented are refused.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from math import ceil
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

KEY = "gt-not-a-real-key"
MOST = 100
FINAL = ("SUCCEEDED", "FAILED", "ERROR", "CANCELLED")
KINDS = ("knowledge_base", "retriever", "ruleset", "structure", "tool")
Object = dict[str, Any]

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89ab][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")


def uuid(number: int) -> str:
    """A UUID v4 that tests can write down."""
    return str(UUID(int=number, version=4))


class Refusal(Exception):
    """An error in the API's own form."""

    def __init__(self, status: int, type_: str, errors: tuple[str, ...]) -> None:
        super().__init__(status, type_, errors)
        self.status = status
        self.type = type_
        self.errors = errors


def _not_found(what: str) -> Refusal:
    return Refusal(404, "NotFound", (f"{what} not found",))


class Cloud:
    """The objects, by id. `now` is the time that new objects get."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew, without objects."""
        self.now = "2026-11-20T10:00:00.000Z"
        self.users: dict[str, Object] = {}
        self.organizations: set[str] = set()
        self.api_keys: dict[str, Object] = {}
        self.owners: dict[str, str] = {}
        self.assistants: dict[str, Object] = {}
        self.assistant_runs: dict[str, Object] = {}
        self.events: dict[str, Object] = {}
        self.structure_runs: set[str] = set()
        #: Whether lists without rows leave their key out, as the documents allow for some.
        self.omits_empty = True
        #: How counts are written: the documents call them numbers, and not whole ones.
        self.number: Callable[[int], float] = int
        #: Runs come one state further each time that they are looked at.
        self.progress = {"QUEUED": "RUNNING", "RUNNING": "SUCCEEDED"}
        #: Called each time that the events of a run are listed, after the page is made.
        self.listed: Callable[[str], object] = lambda run: None
        self._numbers = itertools.count(1_000)

    def new_id(self) -> str:
        return uuid(next(self._numbers))

    def user(self, email: str, organization: str) -> str:
        id_ = self.new_id()
        self.organizations.add(organization)
        times = {"created_at": self.now, "updated_at": self.now}
        self.users[id_] = {"user_id": id_, "email": email, "organizations": [organization], **times}
        return id_

    def api_key(self, name: str, owner: str, organization: str, by: str) -> Object:
        id_ = self.new_id()
        times = {"created_at": self.now, "updated_at": self.now, "last_used": self.now}
        key = {"api_key_id": id_, "name": name, "active": True, "organization_id": organization, "created_by": by}
        self.api_keys[id_] = {**key, **times}
        self.owners[id_] = owner
        return self.api_keys[id_]

    def assistant(self, name: str, organization: str) -> str:
        id_ = self.new_id()
        lists: Object = {f"{kind}_ids": [] for kind in KINDS}
        told = {"assistant_id": id_, "name": name, "description": "", "organization_id": organization}
        times = {"created_by": "ada", "created_at": self.now, "updated_at": self.now}
        self.assistants[id_] = {**told, **lists, **times}
        return id_

    def run(self, assistant: str, body: Object, status: str = "QUEUED") -> Object:
        id_ = self.new_id()
        thread = body.get("thread_id") or (self.new_id() if body.get("new_thread") else None)
        run: Object = {"assistant_run_id": id_, "assistant_id": assistant, "status": status}
        run |= {"thread_id": thread} if thread else {}
        run |= {"input": body["input"]} if "input" in body else {}
        run |= {"args": body.get("args", []), "stream": body.get("stream", False)}
        run |= {f"{k}_ids": body.get(f"{k}_ids", []) + body.get(f"additional_{k}_ids", []) for k in KINDS}
        run |= {"created_by": "ada", "created_at": self.now, "updated_at": self.now, "completed_at": None}
        self.assistant_runs[id_] = run
        return run

    def event(self, parent: str, run: str, origin: str, type_: str, payload: Any, timestamp: float) -> str:
        id_ = self.new_id()
        told = {"event_id": id_, f"{parent}_run_id": run, "origin": origin, "type": type_, "payload": payload}
        self.events[id_] = {**told, "timestamp": timestamp, "created_at": self.now}
        return id_

    def events_of(self, parent: str, run: str) -> list[Object]:
        return [e for e in self.events.values() if e.get(f"{parent}_run_id") == run]


def app(cloud: Cloud) -> Starlette:
    """The API over a cloud's objects."""
    service = _Service(cloud)
    routes = [
        ("GET", "/users", service.list_users),
        ("DELETE", "/api-keys/{id}", service.delete_api_key),
        ("GET", "/api-keys/{id}", service.get_api_key),
        ("PATCH", "/api-keys/{id}", service.update_api_key),
        ("GET", "/organizations/{organization}/api-keys", service.list_api_keys),
        ("POST", "/organizations/{organization}/api-keys", service.create_api_key),
        ("GET", "/users/{user}/api-keys", service.list_api_keys),
        ("POST", "/users/{user}/api-keys", service.create_api_key),
        ("GET", "/assistant-runs/{id}", service.get_run),
        ("POST", "/assistant-runs/{id}/cancel", service.cancel_run),
        ("GET", "/assistants/{id}/runs", service.list_runs),
        ("POST", "/assistants/{id}/runs", service.create_run),
        ("GET", "/assistant-runs/{id}/events", service.list_assistant_events),
        ("GET", "/assistant-runs/{id}/events/stream", service.stream_assistant_events),
        ("GET", "/events/{id}", service.get_event),
        ("GET", "/structure-runs/{id}/events", service.list_events),
        ("POST", "/structure-runs/{id}/events", service.create_events),
        ("GET", "/structure-runs/{id}/events/stream", service.stream_events),
        ("GET", "/assistants", service.list_assistants),
    ]
    return Starlette(
        routes=[Route(f"/api{path}", _guarded(answer), methods=[method]) for method, path, answer in routes],
        exception_handlers={HTTPException: _unknown_address, Refusal: _refused},  # type: ignore[dict-item]
    )


_Answer = Callable[[Request], Awaitable[Response]]


def _guarded(answer: _Answer) -> _Answer:
    async def guarded(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise Refusal(401, "Unauthorized", ("the key is not valid",))
        for value in request.path_params.values():
            if not _UUID.fullmatch(value):
                raise Refusal(422, "ValidationError", (f"{value} is no UUID",))
        return await answer(request)

    return guarded


async def _refused(_: Request, refusal: Refusal) -> Response:
    return JSONResponse({"type": refusal.type, "errors": list(refusal.errors)}, refusal.status)


async def _unknown_address(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"message": error.detail}, error.status_code)


class _Service:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def list_users(self, request: Request) -> Response:
        _query(request)
        return JSONResponse(self._rows("users", list(self._cloud.users.values())))

    async def get_api_key(self, request: Request) -> Response:
        _query(request)
        return JSONResponse(_one(self._cloud.api_keys, request, "API key"))

    async def update_api_key(self, request: Request) -> Response:
        key = _one(self._cloud.api_keys, request, "API key")
        body = await _body(request, {"name"})
        if "name" in body:
            key["name"] = _name(body)
        key["updated_at"] = self._cloud.now
        return JSONResponse(key)

    async def delete_api_key(self, request: Request) -> Response:
        key = _one(self._cloud.api_keys, request, "API key")
        del self._cloud.api_keys[key["api_key_id"]]
        return Response(status_code=204)

    async def list_api_keys(self, request: Request) -> Response:
        owner = self._owner(request)
        keys = [
            k for id_, k in self._cloud.api_keys.items() if owner in (self._cloud.owners[id_], k["organization_id"])
        ]
        return JSONResponse(self._paged("api_keys", keys, _query(request, "page", "page_size")))

    async def create_api_key(self, request: Request) -> Response:
        owner = self._owner(request)
        name = _name(await _body(request, {"name"}))
        user = self._cloud.users.get(owner)
        organization = user["organizations"][0] if user else owner
        key = self._cloud.api_key(name, owner, organization, by=owner)
        return JSONResponse({**key, "value": f"gt-secret-of-{name}"}, 201)

    async def list_assistants(self, request: Request) -> Response:
        query = _query(request, "page", "page_size")
        return JSONResponse(self._paged("assistants", list(self._cloud.assistants.values()), query))

    async def list_runs(self, request: Request) -> Response:
        query = _query(request, "page", "page_size", "status")
        assistant = _one(self._cloud.assistants, request, "assistant")["assistant_id"]
        runs = [r for r in self._cloud.assistant_runs.values() if r["assistant_id"] == assistant]
        if "status" in query:
            runs = [r for r in runs if r["status"] in query["status"].split(",")]
        return JSONResponse(self._paged("assistant_runs", runs, query))

    async def create_run(self, request: Request) -> Response:
        assistant = _one(self._cloud.assistants, request, "assistant")["assistant_id"]
        ids = [f"{more}{kind}_ids" for kind in KINDS for more in ("", "additional_")]
        body = await _body(request, {"input", "args", "thread_id", "new_thread", "stream", "model", *ids})
        return JSONResponse(self._cloud.run(assistant, body), 201)

    async def get_run(self, request: Request) -> Response:
        _query(request)
        run = _one(self._cloud.assistant_runs, request, "assistant run")
        answer, status = dict(run), str(run["status"])
        self._enter(run, self._cloud.progress.get(status, status))
        return JSONResponse(answer)

    async def cancel_run(self, request: Request) -> Response:
        await _body(request, set())
        run = _one(self._cloud.assistant_runs, request, "assistant run")
        if run["status"] in FINAL:
            raise Refusal(409, "Conflict", (f"the run is {run['status']}",))
        self._enter(run, "CANCELLED")
        return JSONResponse(run)

    def _enter(self, run: Object, status: str) -> None:
        run["status"] = status
        if status in FINAL:
            run["completed_at"] = self._cloud.now

    async def list_assistant_events(self, request: Request) -> Response:
        run = _one(self._cloud.assistant_runs, request, "assistant run")["assistant_run_id"]
        page = _counted(self._cloud.events_of("assistant", run), _query(request, "limit", "offset"))
        self._cloud.listed(run)
        return JSONResponse(page)

    async def list_events(self, request: Request) -> Response:
        events = self._cloud.events_of("structure", self._structure_run(request))
        return JSONResponse(_counted(events, _query(request, "limit", "offset")))

    async def create_events(self, request: Request) -> Response:
        run = self._structure_run(request)
        for event in (await _body(request, {"events"})).get("events", ()):
            if not isinstance(event.get("timestamp"), int | float) or not 1 <= len(event.get("type", "")) <= 200:
                raise Refusal(422, "ValidationError", ("an event has a timestamp, and a type of 1 to 200 characters",))
            self._cloud.event("structure", run, "USER", event["type"], event.get("payload"), event["timestamp"])
        return Response(status_code=202)

    async def get_event(self, request: Request) -> Response:
        _query(request)
        structures = {id_: e for id_, e in self._cloud.events.items() if "structure_run_id" in e}
        return JSONResponse(_one(structures, request, "event"))

    async def stream_assistant_events(self, request: Request) -> Response:
        run = _one(self._cloud.assistant_runs, request, "assistant run")["assistant_run_id"]
        return _stream(self._cloud.events_of("assistant", run))

    async def stream_events(self, request: Request) -> Response:
        return _stream(self._cloud.events_of("structure", self._structure_run(request)))

    def _structure_run(self, request: Request) -> str:
        run: str = request.path_params["id"]
        if run not in self._cloud.structure_runs:
            raise _not_found("structure run")
        return run

    def _owner(self, request: Request) -> str:
        """The user or the organization in the path."""
        ((kind, owner),) = request.path_params.items()
        known: Collection[str] = self._cloud.users if kind == "user" else self._cloud.organizations
        if owner not in known:
            raise _not_found(kind)
        return str(owner)

    def _rows(self, name: str, rows: list[Object]) -> Object:
        return {} if not rows and self._cloud.omits_empty else {name: rows}

    def _paged(self, name: str, rows: list[Object], query: dict[str, str]) -> Object:
        number, size = _number(query, "page", 1, 1), _number(query, "page_size", 10, 1)
        if size > MOST:
            raise Refusal(422, "ValidationError", (f"page_size is at most {MOST}",))
        pages = ceil(len(rows) / size)
        told = {"page_number": number, "page_size": size, "total_count": len(rows), "total_pages": pages}
        told |= {"next_page": number + 1} if number < pages else {}
        told |= {"previous_page": number - 1} if number > 1 else {}
        page = rows[(number - 1) * size : number * size]
        omitted = self._rows(name, page) if name == "assistants" else {name: page}
        return {**omitted, "pagination": {name: self._cloud.number(n) for name, n in told.items()}}


def _one(objects: dict[str, Object], request: Request, what: str) -> Object:
    found = objects.get(request.path_params["id"])
    if found is None:
        raise _not_found(what)
    return found


def _query(request: Request, *known: str) -> dict[str, str]:
    """The query, each documented parameter once."""
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    if unknown := [k for k, _ in pairs if k not in known]:
        raise Refusal(400, "BadRequest", tuple(f"unknown parameter {k}" for k in unknown))
    if len(dict(pairs)) < len(pairs):
        raise Refusal(400, "BadRequest", ("a parameter stands twice",))
    return dict(pairs)


def _number(query: dict[str, str], name: str, otherwise: int, least: int) -> int:
    given = query.get(name, str(otherwise))
    if not given.isdecimal() or int(given) < least:
        raise Refusal(422, "ValidationError", (f"{name} cannot be {given}",))
    return int(given)


async def _body(request: Request, known: set[str]) -> Object:
    text = await request.body()
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        raise Refusal(400, "BadRequest", ("the body is no JSON",)) from None
    if unknown := sorted(set(found) - known):
        raise Refusal(422, "ValidationError", tuple(f"unknown member {k}" for k in unknown))
    return dict(found)


def _name(body: Object) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 200:
        raise Refusal(422, "ValidationError", ("name has 1 to 200 characters",))
    return name


def _counted(events: list[Object], query: dict[str, str]) -> Object:
    offset, limit = _number(query, "offset", 0, 0), _number(query, "limit", 10, 1)
    page = events[offset : offset + min(limit, MOST)]
    told = {"count": len(page), "limit": limit, "offset": offset, "next_offset": offset + len(page)}
    return {"events": page, **told, "total_count": len(events)}


def _stream(events: list[Object]) -> Response:
    async def lines() -> AsyncIterator[str]:
        for event in events:
            yield f"data: {json.dumps(event)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")
