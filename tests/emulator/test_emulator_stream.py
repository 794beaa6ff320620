from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

PLAIN = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
    "done",
]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["New York"]}}},
    },
}


def events(lines: Any) -> Iterator[Any]:
    """(name, data) of each event, one at a time as the lines come."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield name, data if data == "[DONE]" else json.loads(data)


def stream(api: Any, path: Any, body: Any) -> Any:
    """All events of a streamed request."""
    with api.http.stream("POST", path, json=body | {"stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(events(response.iter_lines()))


def squeezed(names: Any) -> Any:
    """The names with repetitions in a row left out."""
    return [name for name, before in zip(names, [None, *names], strict=False) if name != before]


def names(happened: Any) -> Any:
    return squeezed([name for name, _ in happened])


@pytest.fixture
def assistant(api: Any) -> Any:
    return api.post("/assistants", {"model": "m"})["id"]


@pytest.fixture
def thread(api: Any) -> Any:
    return api.post("/threads", {"messages": [{"role": "user", "content": "Tell me more."}]})["id"]


def test_a_plain_answer_streams_the_documented_events_in_order(api: Any, assistant: Any, thread: Any) -> None:
    happened = stream(api, f"/threads/{thread}/runs", {"assistant_id": assistant})
    assert names(happened) == PLAIN
    assert happened[-1] == ("done", "[DONE]")
    words = [data["delta"] for name, data in happened if name == "thread.message.delta"]
    assert words[0]["role"] == "assistant"
    text = "".join(delta["content"][0]["text"]["value"] for delta in words)
    assert (text, len(words)) == ("You said: Tell me more.", 5)


def test_create_thread_and_run_tells_the_thread_first(api: Any, assistant: Any) -> None:
    body = {"assistant_id": assistant, "thread": {"messages": [{"role": "user", "content": "Hi"}]}}
    happened = stream(api, "/threads/runs", body)
    assert names(happened) == ["thread.created", *PLAIN]
    assert happened[0][1] == api.get(f"/threads/{happened[0][1]['id']}")


def test_a_stream_persists_what_it_tells(api: Any, assistant: Any, thread: Any) -> None:
    last = dict(stream(api, f"/threads/{thread}/runs", {"assistant_id": assistant}))
    run = last["thread.run.completed"]
    assert api.get(f"/threads/{thread}/runs/{run['id']}") == run
    message, step = last["thread.message.completed"], last["thread.run.step.completed"]
    assert api.get(f"/threads/{thread}/messages/{message['id']}") == message
    assert api.get(f"/threads/{thread}/runs/{run['id']}/steps")["data"] == [step]


def test_a_function_call_ends_the_first_stream_and_its_outputs_open_the_second(
    api: Any, assistant: Any, thread: Any
) -> None:
    happened = stream(api, f"/threads/{thread}/runs", {"assistant_id": assistant, "tools": [TOOL]})
    assert names(happened) == [
        *PLAIN[:5],
        "thread.run.step.delta",
        "thread.run.requires_action",
        "done",
    ]
    run = happened[-2][1]
    (call,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    deltas = [
        data["delta"]["step_details"]["tool_calls"][0] for name, data in happened if name == "thread.run.step.delta"
    ]
    assert (deltas[0]["id"], deltas[0]["function"]["name"]) == (call["id"], "get_weather")
    assert len(deltas) == 4  # the call, then its arguments in pieces
    assert "".join(delta["function"]["arguments"] for delta in deltas) == call["function"]["arguments"]
    assert json.loads(call["function"]["arguments"]) == {"city": "New York"}

    outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "12 C"}]}
    path = f"/threads/{thread}/runs/{run['id']}/submit_tool_outputs"
    happened = stream(api, path, outputs)
    assert names(happened) == ["thread.run.step.completed", *PLAIN[1:]]
    assert happened[0][1]["step_details"]["tool_calls"][0]["function"]["output"] == "12 C"


def test_events_arrive_as_they_happen(timed_api: Any, clock: Any) -> None:
    """The clock stands still after two events, so the rest cannot have been waited for."""
    assistant = timed_api.post("/assistants", {"model": "m"})["id"]
    body = {"assistant_id": assistant, "stream": True}
    with timed_api.http.stream("POST", "/threads/runs", json=body) as response:
        coming = events(response.iter_lines())
        assert [next(coming)[0] for _ in range(3)] == ["thread.created", *PLAIN[:2]]
        clock.forward(1)
        assert [next(coming)[0] for _ in range(5)] == PLAIN[2:7]
        clock.forward(1)
        assert squeezed([name for name, _ in coming]) == PLAIN[7:]


def test_a_cancellation_by_someone_else_reaches_the_stream(
    timed: Any, timed_api: Any, connect: Any, clock: Any
) -> None:
    assistant = timed_api.post("/assistants", {"model": "m"})["id"]
    other = connect(timed.base_url)
    body = {"assistant_id": assistant, "stream": True}
    with timed_api.http.stream("POST", "/threads/runs", json=body) as response:
        coming = events(response.iter_lines())
        run = [next(coming) for _ in range(3)][-1][1]
        other.post(f"/threads/{run['thread_id']}/runs/{run['id']}/cancel")
        assert next(coming)[0] == "thread.run.cancelling"
        clock.forward(1)
        assert [name for name, _ in coming] == ["thread.run.cancelled", "done"]


def test_a_poller_beside_the_stream_does_not_take_its_events(
    timed: Any, timed_api: Any, connect: Any, clock: Any
) -> None:
    assistant = timed_api.post("/assistants", {"model": "m"})["id"]
    other = connect(timed.base_url)
    body = {"assistant_id": assistant, "stream": True}
    with timed_api.http.stream("POST", "/threads/runs", json=body) as response:
        coming = events(response.iter_lines())
        run = [next(coming) for _ in range(3)][-1][1]
        clock.forward(2)
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        assert other.get(path)["status"] == "completed"
        assert squeezed([name for name, _ in coming]) == PLAIN[2:]


def test_a_run_goes_on_when_its_stream_is_left(timed_api: Any, clock: Any) -> None:
    assistant = timed_api.post("/assistants", {"model": "m"})["id"]
    body = {"assistant_id": assistant, "stream": True}
    with timed_api.http.stream("POST", "/threads/runs", json=body) as response:
        coming = events(response.iter_lines())
        run = [next(coming) for _ in range(2)][-1][1]
    clock.forward(2)
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    assert timed_api.get(path)["status"] == "completed"


def test_a_stream_ends_when_its_thread_is_deleted(timed: Any, timed_api: Any, connect: Any, clock: Any) -> None:
    assistant = timed_api.post("/assistants", {"model": "m"})["id"]
    other = connect(timed.base_url)
    body = {"assistant_id": assistant, "stream": True}
    with timed_api.http.stream("POST", "/threads/runs", json=body) as response:
        coming = events(response.iter_lines())
        thread = next(coming)[1]["id"]
        assert [next(coming)[0] for _ in range(2)] == PLAIN[:2]
        other.delete(f"/threads/{thread}")
        assert [name for name, _ in coming] == ["done"]


def test_a_cut_answer_streams_an_incomplete_run(api: Any, assistant: Any) -> None:
    thread = api.post("/threads", {"messages": [{"role": "user", "content": "word" * 300}]})["id"]
    body = {"assistant_id": assistant, "max_completion_tokens": 256}
    happened = names(stream(api, f"/threads/{thread}/runs", body))
    assert happened[-4:] == [
        "thread.message.incomplete",
        "thread.run.step.completed",
        "thread.run.incomplete",
        "done",
    ]


def test_v1_has_no_incomplete_event_and_streams_its_own_shapes(api_v1: Any) -> None:
    assistant = api_v1.post("/assistants", {"model": "m", "file_ids": ["file-a"]})["id"]
    thread = api_v1.post("/threads", {"messages": [{"role": "user", "content": "word" * 300}]})["id"]
    body = {"assistant_id": assistant, "max_completion_tokens": 256}
    happened = stream(api_v1, f"/threads/{thread}/runs", body)
    name, run = happened[-2]
    assert (name, run["status"]) == ("thread.run.completed", "completed")
    assert run["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert run["file_ids"] == ["file-a"]
    assert "parallel_tool_calls" not in run


def test_a_refused_streamed_request_is_plain_json(api: Any, assistant: Any) -> None:
    body = {"assistant_id": assistant, "stream": True}
    assert api.error("POST", "/threads/thread_none/runs", json=body)[0] == 404
