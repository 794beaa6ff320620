"""Server-sent events: the text frames of a run's events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from provider.emulator.objects import Json, as_v1
from provider.emulator.runs import Event

DONE = "event: done\ndata: [DONE]\n\n"
_WORD = re.compile(r"\S+\s*|\s+")


def frames(event: Event, version: int, state: Json) -> Iterator[str]:
    """The frames of one event as `version` sees it: one, or for a delta one for each word.

    `state` is what is kept beside the run.
    """
    if event.name == "thread.message.delta":
        yield from _message_deltas(event.object)
    elif event.name == "thread.run.step.delta":
        yield from _step_deltas(event.object)
    else:
        seen = as_v1(event.object, state) if version == 1 else event.object
        name = event.name
        if version == 1 and name == "thread.run.incomplete":
            name = "thread.run.completed"
        yield _frame(name, seen)


def _frame(name: str, data: Json) -> str:
    # ASCII only: some readers take U+2028 for the end of a line.
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def _message_deltas(message: Json) -> Iterator[str]:
    text = message["content"][0]["text"]["value"]
    for position, word in enumerate(_WORD.findall(text)):
        piece: Json = {"value": word}
        delta: Json = {"content": [{"index": 0, "type": "text", "text": piece}]}
        if position == 0:
            piece["annotations"] = []
            delta = {"role": "assistant"} | delta
        yield _frame("thread.message.delta", {"id": message["id"], "object": "thread.message.delta", "delta": delta})


def _step_deltas(step: Json) -> Iterator[str]:
    for index, call in enumerate(step["step_details"]["tool_calls"]):
        function = call["function"]
        first = {"name": function["name"], "arguments": "", "output": None}
        yield _step_delta(step, {"index": index, "id": call["id"], "type": "function", "function": first})
        for piece in _WORD.findall(function["arguments"]):
            yield _step_delta(step, {"index": index, "type": "function", "function": {"arguments": piece}})


def _step_delta(step: Json, call: Json) -> str:
    details = {"type": "tool_calls", "tool_calls": [call]}
    data = {"id": step["id"], "object": "thread.run.step.delta", "delta": {"step_details": details}}
    return _frame("thread.run.step.delta", data)
