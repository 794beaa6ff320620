"""Runs as requests change them: begun, cancelled, and given the outputs that they wait for."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from provider.emulator import refusal, runs
from provider.emulator.answers import tokens
from provider.emulator.calls import Call, Reply
from provider.emulator.objects import (
    ASSISTANT,
    MESSAGE,
    RUN,
    THREAD,
    Json,
    as_v1,
    code_files,
    encode,
    given,
    plain_text,
    shape,
    unless_null,
)
from provider.emulator.runs import Change, Event
from provider.emulator.service import Service
from provider.emulator.store import Window
from provider.emulator.threads import new_message, new_thread


def create_run(service: Service, call: Call) -> Reply:
    thread = service.find(call.ids, THREAD)
    active = service.store.active_run(thread.id)
    if active is not None:
        raise refusal.run_active(thread.id, active.id)
    assistant = service.one(ASSISTANT, call.body["assistant_id"]).object
    for message in call.body.get("additional_messages") or ():
        new_message(service, thread.id, message)
    return _new_run(service, call, thread.id, assistant)


def create_thread_and_run(service: Service, call: Call) -> Reply:
    assistant = service.one(ASSISTANT, call.body["assistant_id"]).object
    thread = new_thread(service, call.body.get("thread") or {})
    reply = _new_run(service, call, thread.id, assistant)
    return replace(reply, events=[Event("thread.created", thread.object), *reply.events])


def cancel_run(service: Service, call: Call) -> Reply:
    turn = service.turn(service.find(call.ids, RUN))
    return _answer(service, call, runs.cancel(turn, service.clock()))


def submit_tool_ouputs_to_run(service: Service, call: Call) -> Reply:
    turn = service.turn(service.find(call.ids, RUN))
    return _answer(service, call, runs.submit(turn, call.body["tool_outputs"], service.clock()))


def _new_run(service: Service, call: Call, thread_id: str, assistant: Json) -> Reply:
    body, now = call.body, service.clock()
    instructions = unless_null(body.get("instructions"), assistant["instructions"]) or ""
    if body.get("additional_instructions"):
        instructions = f"{instructions}\n{body['additional_instructions']}".lstrip("\n")
    run = shape(
        RUN,
        id=service.fresh_id(RUN),
        created_at=int(now),
        thread_id=thread_id,
        assistant_id=assistant["id"],
        status="queued",
        expires_at=int(now) + runs.LIFETIME,
        model=unless_null(body.get("model"), assistant["model"]),
        instructions=instructions,
        tools=unless_null(body.get("tools"), assistant["tools"]),
        metadata=body.get("metadata") or {},
        temperature=unless_null(body.get("temperature"), assistant["temperature"]),
        top_p=unless_null(body.get("top_p"), assistant["top_p"]),
        **given(body, "max_prompt_tokens", "max_completion_tokens"),
        truncation_strategy={"type": "auto", "last_messages": None} | (body.get("truncation_strategy") or {}),
        tool_choice=unless_null(body.get("tool_choice"), "auto"),
        parallel_tool_calls=body.get("parallel_tool_calls", True),
        response_format=unless_null(body.get("response_format"), assistant["response_format"]),
    )
    prompt, context = _context(service, run)
    state = {
        "since": now,
        "prompt": prompt,
        "context": context,
        "called": 0,
        "outputs": [],
        "used": [0, 0],
        "file_ids": code_files(assistant),
    }
    return _answer(service, call, runs.start(run, state))


def _context(service: Service, run: Json) -> tuple[str | None, int]:
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
        rows, more = service.store.page(MESSAGE, run["thread_id"], window)
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
        window = replace(window, after=service.one(MESSAGE, rows[-1][0], run["thread_id"]).place)
    return prompt, used - tokens(run["instructions"])


def _answer(service: Service, call: Call, change: Change) -> Reply:
    """Stores a transition that a call caused, and answers the run."""
    turn = service.apply(change)
    body = encode(turn.run if call.version == 2 else as_v1(turn.run, turn.state))
    return Reply(body, turn, change.events)
