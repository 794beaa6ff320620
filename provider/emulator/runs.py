"""The life of a run: a pure state machine over stored objects and a time.

Nothing runs in the background. Each transition has a moment that follows from stored timestamps; whoever
looks next (`advance`) computes every transition that has come due, dated with its own moment, not with the
time of looking. So the history is the same for every reader, and across restarts.

A transition is a list of events with the names of the event stream. The same events are stored and
streamed, hence a stream tells exactly what polling would show. A `delta` event carries the object after it
grew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from provider.emulator.answers import answer, arguments, tokens
from provider.emulator.objects import MESSAGE, RUN, STEP, Json, Kind, make_id, shape, text_part
from provider.emulator.refusal import invalid

LIFETIME = 600  # seconds until a run that is not finished expires
TERMINAL = frozenset({"cancelled", "failed", "completed", "incomplete", "expired"})


class Event(NamedTuple):
    """Something that happened to an object: the name of the stream event, and the object afterwards."""

    name: str
    object: Json


@dataclass(frozen=True, slots=True)
class Turn:
    """A run, what is kept beside it, and the step and the message that it has open.

    `state` has `since` (when the present status began), `prompt` and `context` (last user message, tokens of
    the context), `called` (functions called so far), `outputs` ([name, output] so far), `used` ([prompt
    tokens, completion tokens] so far), `file_ids` (for v1) and the ids `step` and `message` when open.
    """

    run: Json
    state: Json
    step: Json | None = None
    message: Json | None = None


class Change(NamedTuple):
    """A turn after a transition, and the events that led there."""

    turn: Turn
    events: list[Event]


FreshId = Callable[[Kind], str]


def start(run: Json, state: Json) -> Change:
    """A run that was just created, in status queued."""
    return Change(Turn(run, state), [Event("thread.run.created", run), Event("thread.run.queued", run)])


def due(turn: Turn, step_seconds: float) -> float:
    """When the next transition of a turn comes, in unix seconds; infinity for a terminal run."""
    status = turn.run["status"]
    if status in TERMINAL:
        return math.inf
    if status == "requires_action":
        return float(turn.run["expires_at"])
    moment: float = turn.state["since"] + step_seconds
    return moment if status == "cancelling" else min(moment, float(turn.run["expires_at"]))


def advance(turn: Turn, now: float, step_seconds: float, fresh_id: FreshId) -> Change:
    """All transitions that are due at `now`."""
    events: list[Event] = []
    while (moment := due(turn, step_seconds)) <= now:
        if turn.run["status"] == "cancelling":
            turn, made = _stop(turn, moment, "cancelled")
        elif moment >= turn.run["expires_at"]:
            turn, made = _stop(turn, moment, "expired")
        elif turn.run["status"] == "queued":
            turn, made = _begin(turn, moment, fresh_id)
        else:
            turn, made = _finish(turn, moment)
        events += made
    return Change(turn, events)


def cancel(turn: Turn, now: float) -> Change:
    """Accepts a cancellation; 400 when there is nothing left to cancel."""
    status = turn.run["status"]
    if status in TERMINAL or status == "cancelling":
        raise invalid(f"Cannot cancel run with status '{status}'.")
    return _change(turn, now, "cancelling", [], required_action=None)


def submit(turn: Turn, outputs: list[Json], now: float) -> Change:
    """Takes the outputs of the pending calls; 400 unless each pending call is named exactly once."""
    status = turn.run["status"]
    if status != "requires_action" or turn.step is None:
        raise invalid(f'Runs in status "{status}" do not accept tool outputs.')
    pending = turn.step["step_details"]["tool_calls"]
    expected = [call["id"] for call in pending]
    given = [output.get("tool_call_id") for output in outputs]
    if sorted(expected) != sorted(map(str, given)):
        raise invalid(f"Expected tool outputs for call_ids {expected}, got {given}")
    said = {output["tool_call_id"]: output.get("output", "") for output in outputs}
    calls = [call | {"function": call["function"] | {"output": said[call["id"]]}} for call in pending]
    text = "".join(call["function"]["arguments"] for call in calls)
    usage = _usage(turn, text)
    step = turn.step | {
        "status": "completed",
        "completed_at": int(now),
        "usage": usage,
        "step_details": {"type": "tool_calls", "tool_calls": calls},
    }
    state = turn.state | {
        "outputs": turn.state["outputs"] + [[call["function"]["name"], said[call["id"]]] for call in calls],
        "called": turn.state["called"] + len(calls),
        "used": _add(turn.state["used"], usage),
        "step": None,
    }
    return _change(
        replace(turn, state=state, step=None),
        now,
        "queued",
        [Event("thread.run.step.completed", step)],
        required_action=None,
    )


def pending_functions(run: Json, called: int) -> list[Json]:
    """The functions that the run calls next: all that are left, or one if they must not be parallel.

    Every function is called once. A tool choice narrows them: none, or the named one.
    """
    choice = run["tool_choice"]
    functions = [tool["function"] for tool in run["tools"] if tool["type"] == "function"]
    if choice == "none":
        return []
    if isinstance(choice, dict):
        wanted = choice.get("function", {}).get("name")
        functions = [function for function in functions if function["name"] == wanted]
    left = functions[called:]
    return left if run["parallel_tool_calls"] else left[:1]


def _begin(turn: Turn, at: float, fresh_id: FreshId) -> Change:
    """queued -> in_progress: opens a step, and its message unless functions are called."""
    run = turn.run | {"status": "in_progress", "started_at": turn.run["started_at"] or int(at)}
    state = turn.state | {"since": at}
    events = [Event("thread.run.in_progress", run)]
    if _too_long(turn):
        return Change(replace(turn, run=run, state=state), events)
    owner = {"thread_id": run["thread_id"], "assistant_id": run["assistant_id"], "run_id": run["id"]}
    message = None
    details: Json = {"type": "tool_calls", "tool_calls": []}
    if not pending_functions(run, state["called"]):
        message = shape(
            MESSAGE,
            id=fresh_id(MESSAGE),
            created_at=int(at),
            status="in_progress",
            role="assistant",
            content=[],
            attachments=[],
            metadata={},
            **owner,
        )
        details = {"type": "message_creation", "message_creation": {"message_id": message["id"]}}
    step = shape(
        STEP,
        id=fresh_id(STEP),
        created_at=int(at),
        type=details["type"],
        status="in_progress",
        step_details=details,
        metadata={},
        **owner,
    )
    events += [Event("thread.run.step.created", step), Event("thread.run.step.in_progress", step)]
    if message is not None:
        events += [Event("thread.message.created", message), Event("thread.message.in_progress", message)]
    state = state | {"step": step["id"], "message": message and message["id"]}
    return Change(Turn(run, state, step, message), events)


def _finish(turn: Turn, at: float) -> Change:
    """in_progress -> requires_action, completed or incomplete."""
    if turn.step is None:
        return _end(turn, at, "incomplete", [], incomplete_details={"reason": "max_prompt_tokens"})
    if turn.step["type"] == "tool_calls":
        return _ask(turn, at)
    run, state = turn.run, turn.state
    text = answer(
        state["prompt"],
        run["instructions"],
        [(name, output) for name, output in state["outputs"]],
        run["response_format"],
    )
    cap = run["max_completion_tokens"]
    room = math.inf if cap is None else max(0, cap - state["used"][1])
    cut = tokens(text) > room
    if cut:
        text = text[: int(room) * 4]
    usage = _usage(turn, text)
    events = []
    if turn.message is not None:  # it may have been deleted in the meantime
        grown = turn.message | {"content": [text_part(text)]}
        if cut:
            ended = {"incomplete_details": {"reason": "max_tokens"}, "incomplete_at": int(at)}
            message = grown | {"status": "incomplete"} | ended
        else:
            message = grown | {"status": "completed", "completed_at": int(at)}
        events = [
            Event("thread.message.delta", grown),
            Event(f"thread.message.{message['status']}", message),
        ]
    step = turn.step | {"status": "completed", "completed_at": int(at), "usage": usage}
    events.append(Event("thread.run.step.completed", step))
    turn = Turn(run, state | {"used": _add(state["used"], usage), "step": None, "message": None})
    if cut:
        return _end(turn, at, "incomplete", events, incomplete_details={"reason": "max_completion_tokens"})
    return _end(turn, at, "completed", events, completed_at=int(at))


def _ask(turn: Turn, at: float) -> Change:
    """in_progress -> requires_action: the open step gets its calls, and the run asks for their outputs."""
    assert turn.step is not None
    functions = pending_functions(turn.run, turn.state["called"])
    asked: list[Json] = [
        {
            "id": make_id("call_", turn.step["id"], index),
            "type": "function",
            "function": {"name": function["name"], "arguments": arguments(function)},
        }
        for index, function in enumerate(functions)
    ]
    calls = [call | {"function": call["function"] | {"output": None}} for call in asked]
    step = turn.step | {"step_details": {"type": "tool_calls", "tool_calls": calls}}
    return _change(
        replace(turn, step=step),
        at,
        "requires_action",
        [Event("thread.run.step.delta", step)],
        required_action={"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": asked}},
    )


def _stop(turn: Turn, at: float, status: str) -> Change:
    """Ends the run as cancelled or expired, and what it has open with it."""
    events = []
    if turn.message is not None:
        ended = {"status": "incomplete", "incomplete_at": int(at)}
        details = {"incomplete_details": {"reason": f"run_{status}"}}
        events.append(Event("thread.message.incomplete", turn.message | ended | details))
    if turn.step is not None:
        usage = _usage(turn, "")
        step = turn.step | {"status": status, f"{status}_at": int(at), "usage": usage}
        events.append(Event(f"thread.run.step.{status}", step))
        turn = replace(turn, state=turn.state | {"used": _add(turn.state["used"], usage)})
    turn = Turn(turn.run, turn.state | {"step": None, "message": None})
    moment = {"cancelled_at": int(at)} if status == "cancelled" else {}
    return _end(turn, at, status, events, required_action=None, **moment)


def _end(turn: Turn, at: float, status: str, events: list[Event], **fields: Any) -> Change:
    prompt, completion = turn.state["used"]
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    return _change(turn, at, status, events, expires_at=None, usage=usage, **fields)


def _change(turn: Turn, at: float, status: str, events: list[Event], **fields: Any) -> Change:
    run = turn.run | {"status": status} | fields
    turn = replace(turn, run=run, state=turn.state | {"since": at})
    return Change(turn, [*events, Event(f"{RUN.name}.{status}", run)])


def _prompt_tokens(turn: Turn) -> int:
    """What one model call reads: instructions, context, and the outputs so far."""
    said = sum(tokens(output) for _, output in turn.state["outputs"])
    return int(tokens(turn.run["instructions"]) + turn.state["context"] + said)


def _too_long(turn: Turn) -> bool:
    cap = turn.run["max_prompt_tokens"]
    return cap is not None and turn.state["used"][0] + _prompt_tokens(turn) > cap


def _usage(turn: Turn, said: str) -> Json:
    prompt, completion = _prompt_tokens(turn), tokens(said)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _add(used: list[int], usage: Json) -> list[int]:
    return [used[0] + usage["prompt_tokens"], used[1] + usage["completion_tokens"]]
