"""The life of a run, on a clock that the test moves: one second for each transition."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from provider.emulator import Emulator

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
            "required": ["city"],
        },
    },
}
NEWS = {"type": "function", "function": {"name": "get_news"}}


@pytest.fixture
def begin(timed_api: Any) -> Any:
    """Makes an assistant, a thread with one message and a run; answers the run and its path."""

    def begin(text: Any = "What is new?", assistant: Any = None, **run: Any) -> Any:
        body = {"model": "m", "instructions": "Be brief."} | (assistant or {})
        thread = timed_api.post("/threads", {"messages": [{"role": "user", "content": text}]})["id"]
        assistant_id = timed_api.post("/assistants", body)["id"]
        made = timed_api.post(f"/threads/{thread}/runs", {"assistant_id": assistant_id} | run)
        return made, f"/threads/{thread}/runs/{made['id']}"

    return begin


def texts(api: Any, run: Any, order: Any = "asc") -> Any:
    page = api.get(f"/threads/{run['thread_id']}/messages", order=order)
    return [entry["content"][0]["text"]["value"] for entry in page["data"] if entry["content"]]


def steps(api: Any, path: Any) -> Any:
    return api.get(f"{path}/steps", order="asc")["data"]


def test_a_run_is_queued_then_in_progress_then_completed(timed_api: Any, clock: Any, begin: Any) -> None:
    run, path = begin()
    created = run["created_at"]
    assert (run["status"], run["started_at"], run["usage"]) == ("queued", None, None)
    assert run["expires_at"] == created + 600
    clock.forward(0.99)
    assert timed_api.get(path)["status"] == "queued"
    clock.forward(0.01)
    run = timed_api.get(path)
    assert (run["status"], run["started_at"]) == ("in_progress", created + 1)
    clock.forward(1)
    run = timed_api.get(path)
    assert (run["status"], run["completed_at"], run["expires_at"]) == ("completed", created + 2, None)
    assert run["usage"] == {"prompt_tokens": 6, "completion_tokens": 13, "total_tokens": 19}
    assert texts(timed_api, run) == ["What is new?", "You said: What is new?\nMy instructions: Be brief."]


def test_a_run_in_progress_shows_its_open_step_and_message(timed_api: Any, clock: Any, begin: Any) -> None:
    run, path = begin()
    clock.forward(1)
    (step,) = steps(timed_api, path)
    assert (step["status"], step["type"], step["usage"]) == ("in_progress", "message_creation", None)
    message_id = step["step_details"]["message_creation"]["message_id"]
    message_path = f"/threads/{run['thread_id']}/messages/{message_id}"
    message = timed_api.get(message_path)
    assert (message["status"], message["content"], message["completed_at"]) == ("in_progress", [], None)
    clock.forward(1)
    message, step = timed_api.get(message_path), timed_api.get(f"{path}/steps/{step['id']}")
    assert (message["status"], message["role"]) == ("completed", "assistant")
    assert (message["run_id"], message["assistant_id"]) == (run["id"], run["assistant_id"])
    assert (step["status"], step["usage"]["total_tokens"]) == ("completed", 19)


def test_transitions_have_their_own_time_whenever_someone_looks(timed_api: Any, clock: Any, begin: Any) -> None:
    run, path = begin()
    clock.forward(100)
    late = timed_api.get(path)
    assert (late["started_at"], late["completed_at"]) == (run["created_at"] + 1, run["created_at"] + 2)


def test_an_active_run_locks_its_thread(timed_api: Any, clock: Any, begin: Any) -> None:
    run, _ = begin()
    thread = run["thread_id"]
    assert timed_api.error("POST", f"/threads/{thread}/messages", json={"role": "user", "content": "x"}) == (
        400,
        f"Can't add messages to {thread} while a run {run['id']} is active.",
        None,
        None,
    )
    body = {"assistant_id": run["assistant_id"]}
    assert timed_api.error("POST", f"/threads/{thread}/runs", json=body) == (
        400,
        f"Thread {thread} already has an active run {run['id']}.",
        None,
        None,
    )
    clock.forward(2)
    assert timed_api.post(f"/threads/{thread}/messages", {"role": "user", "content": "x"})["role"] == "user"
    assert timed_api.post(f"/threads/{thread}/runs", body)["status"] == "queued"


def test_functions_are_called_and_their_outputs_reach_the_answer(timed_api: Any, clock: Any, begin: Any) -> None:
    run, path = begin(assistant={"tools": [WEATHER, NEWS]})
    clock.forward(2)
    run = timed_api.get(path)
    assert run["status"] == "requires_action"
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_news"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "city", "days": 2}
    assert json.loads(calls[1]["function"]["arguments"]) == {}
    (step,) = steps(timed_api, path)
    assert [call["function"]["output"] for call in step["step_details"]["tool_calls"]] == [None, None]

    outputs = [{"tool_call_id": call["id"], "output": f"out {n}"} for n, call in enumerate(calls)]
    run = timed_api.post(f"{path}/submit_tool_outputs", {"tool_outputs": outputs[::-1]})
    assert (run["status"], run["required_action"]) == ("queued", None)
    clock.forward(2)
    run = timed_api.get(path)
    assert run["status"] == "completed"
    first, second = steps(timed_api, path)
    assert (first["status"], first["type"]) == ("completed", "tool_calls")
    assert [c["function"]["output"] for c in first["step_details"]["tool_calls"]] == ["out 0", "out 1"]
    assert second["type"] == "message_creation"
    total = first["usage"]["total_tokens"] + second["usage"]["total_tokens"]
    assert run["usage"]["total_tokens"] == total
    answer = texts(timed_api, run)[-1]
    assert "The tool get_weather answered: out 0" in answer
    assert "The tool get_news answered: out 1" in answer


def test_without_parallel_calls_the_functions_are_called_one_after_the_other(
    timed_api: Any, clock: Any, begin: Any
) -> None:
    _, path = begin(assistant={"tools": [WEATHER, NEWS]}, parallel_tool_calls=False)
    names = []
    for _ in range(2):
        clock.forward(2)
        (call,) = timed_api.get(path)["required_action"]["submit_tool_outputs"]["tool_calls"]
        names.append(call["function"]["name"])
        output = {"tool_call_id": call["id"], "output": "ok"}
        timed_api.post(f"{path}/submit_tool_outputs", {"tool_outputs": [output]})
    clock.forward(2)
    assert names == ["get_weather", "get_news"]
    assert timed_api.get(path)["status"] == "completed"
    assert [step["type"] for step in steps(timed_api, path)] == [
        "tool_calls",
        "tool_calls",
        "message_creation",
    ]


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("none", None),
        ("auto", ["get_weather", "get_news"]),
        ("required", ["get_weather", "get_news"]),
        ({"type": "function", "function": {"name": "get_news"}}, ["get_news"]),
        ({"type": "code_interpreter"}, None),
    ],
)
def test_the_tool_choice_narrows_the_calls(timed_api: Any, clock: Any, begin: Any, choice: Any, called: Any) -> None:
    run, path = begin(tools=[WEATHER, NEWS, {"type": "code_interpreter"}], tool_choice=choice)
    clock.forward(2)
    run = timed_api.get(path)
    action = run["required_action"]
    calls = action and [call["function"]["name"] for call in action["submit_tool_outputs"]["tool_calls"]]
    assert (calls, run["status"]) == (called, "requires_action" if called else "completed")


def test_every_pending_call_must_be_answered_exactly_once(timed_api: Any, clock: Any, begin: Any) -> None:
    _, path = begin(tools=[WEATHER, NEWS])
    outputs = f"{path}/submit_tool_outputs"
    assert timed_api.error("POST", outputs, json={"tool_outputs": []})[1] == (
        'Runs in status "queued" do not accept tool outputs.'
    )
    clock.forward(2)
    calls = timed_api.get(path)["required_action"]["submit_tool_outputs"]["tool_calls"]
    first, second = (call["id"] for call in calls)
    for given in ([first], [first, first], [first, second, "call_x"], []):
        body = {"tool_outputs": [{"tool_call_id": call, "output": "x"} for call in given]}
        message = f"Expected tool outputs for call_ids ['{first}', '{second}'], got {given}"
        assert timed_api.error("POST", outputs, json=body) == (400, message, None, None)
    assert timed_api.get(path)["status"] == "requires_action"


def test_a_run_that_waits_for_outputs_expires_after_ten_minutes(timed_api: Any, clock: Any, begin: Any) -> None:
    run, path = begin(tools=[WEATHER])
    clock.forward(599)
    assert timed_api.get(path)["status"] == "requires_action"
    clock.forward(1)
    run = timed_api.get(path)
    assert (run["status"], run["required_action"], run["expires_at"]) == ("expired", None, None)
    (step,) = steps(timed_api, path)
    assert (step["status"], step["expired_at"]) == ("expired", run["created_at"] + 600)
    nothing: Any = {"tool_outputs": []}
    assert timed_api.error("POST", f"{path}/submit_tool_outputs", json=nothing)[1] == (
        'Runs in status "expired" do not accept tool outputs.'
    )


@pytest.mark.parametrize(("seconds", "status"), [(0, "queued"), (1, "in_progress"), (2, "requires_action")])
def test_a_run_can_be_cancelled_until_it_ends(
    timed_api: Any, clock: Any, begin: Any, seconds: Any, status: Any
) -> None:
    run, path = begin(tools=[WEATHER])
    clock.forward(seconds)
    assert timed_api.get(path)["status"] == status
    run = timed_api.post(f"{path}/cancel")
    assert (run["status"], run["required_action"]) == ("cancelling", None)
    clock.forward(1)
    run = timed_api.get(path)
    assert (run["status"], run["cancelled_at"]) == ("cancelled", run["created_at"] + seconds + 1)
    assert all(step["status"] == "cancelled" for step in steps(timed_api, path))
    assert timed_api.error("POST", f"{path}/cancel")[1] == "Cannot cancel run with status 'cancelled'."


def test_a_message_in_the_making_is_incomplete_after_a_cancellation(timed_api: Any, clock: Any, begin: Any) -> None:
    run, path = begin()
    clock.forward(1)
    timed_api.post(f"{path}/cancel")
    clock.forward(1)
    message = timed_api.get(f"/threads/{run['thread_id']}/messages")["data"][0]
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_cancelled"})


def test_a_run_completes_though_its_message_was_deleted_while_it_was_made(
    timed_api: Any, clock: Any, begin: Any
) -> None:
    run, path = begin()
    clock.forward(1)
    messages = f"/threads/{run['thread_id']}/messages"
    message = timed_api.get(messages)["data"][0]
    assert message["status"] == "in_progress"
    timed_api.delete(f"{messages}/{message['id']}")
    clock.forward(1)
    assert timed_api.get(path)["status"] == "completed"
    assert texts(timed_api, run) == ["What is new?"]


def test_an_answer_above_max_completion_tokens_is_cut_and_incomplete(timed_api: Any, clock: Any, begin: Any) -> None:
    run, path = begin("word " * 400, max_completion_tokens=256)
    clock.forward(2)
    run = timed_api.get(path)
    assert (run["status"], run["completed_at"]) == ("incomplete", None)
    assert run["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert run["usage"]["completion_tokens"] == 256
    message = timed_api.get(f"/threads/{run['thread_id']}/messages")["data"][0]
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "max_tokens"})
    assert len(message["content"][0]["text"]["value"]) == 1024


def test_a_question_above_max_prompt_tokens_is_not_answered(timed_api: Any, clock: Any, begin: Any) -> None:
    run, path = begin("word " * 400, max_prompt_tokens=256)
    clock.forward(2)
    run = timed_api.get(path)
    assert (run["status"], run["incomplete_details"]) == ("incomplete", {"reason": "max_prompt_tokens"})
    assert steps(timed_api, path) == []


def test_old_messages_are_dropped_to_fit_and_truncation_counts_them(timed_api: Any, clock: Any) -> None:
    old = {"role": "user", "content": "x" * 4000}
    thread = timed_api.post("/threads", {"messages": [old, {"role": "user", "content": "four"}]})["id"]
    assistant = timed_api.post("/assistants", {"model": "m"})["id"]
    used = []
    for options in (
        {},
        {"max_prompt_tokens": 256},
        {"truncation_strategy": {"type": "last_messages", "last_messages": 2}},
        {"truncation_strategy": {"type": "last_messages", "last_messages": 1}},
    ):
        made = timed_api.post(f"/threads/{thread}/runs", {"assistant_id": assistant} | options)
        clock.forward(2)
        run = timed_api.get(f"/threads/{thread}/runs/{made['id']}")
        assert run["status"] == "completed"
        used.append(run["usage"]["prompt_tokens"])
        answer = timed_api.get(f"/threads/{thread}/messages")["data"][0]["id"]
        timed_api.delete(f"/threads/{thread}/messages/{answer}")
    assert used == [1001, 1, 1001, 1]


def test_a_structured_answer_fits_its_schema(timed_api: Any, clock: Any, begin: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": {"type": "string"}, "minItems": 2}},
        "required": ["steps"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "plan", "schema": schema}}
    run, _ = begin(response_format=wanted)
    assert run["response_format"] == wanted
    clock.forward(2)
    assert json.loads(texts(timed_api, run)[-1]) == {"steps": ["steps", "steps"]}


def test_run_options_override_the_assistant_and_the_rest_is_copied(timed_api: Any, begin: Any) -> None:
    more = [{"role": "user", "content": "And this?"}]
    run, _ = begin(
        assistant={"tools": [NEWS], "temperature": 0.5, "metadata": {"of": "assistant"}},
        model="other",
        additional_instructions="In French.",
        additional_messages=more,
        metadata={"of": "run"},
    )
    assert (run["model"], run["instructions"]) == ("other", "Be brief.\nIn French.")
    assert (run["tools"], run["temperature"], run["top_p"]) == ([NEWS], 0.5, 1.0)
    assert run["metadata"] == {"of": "run"}
    assert texts(timed_api, run) == ["What is new?", "And this?"]


def test_the_same_question_gets_the_same_answer(timed_api: Any, clock: Any, begin: Any) -> None:
    answers = []
    for _ in range(2):
        run, _ = begin("Same?")
        clock.forward(2)
        answers.append(texts(timed_api, run)[-1])
    assert answers[0] == answers[1]


def test_a_run_of_a_missing_assistant_makes_no_thread(timed_api: Any) -> None:
    body = {"assistant_id": "asst_none", "thread": {"messages": [{"role": "user", "content": "x"}]}}
    assert timed_api.error("POST", "/threads/runs", json=body) == (
        404,
        "No assistant found with id 'asst_none'.",
        None,
        None,
    )


def test_runs_tell_how_long_to_wait_before_the_next_poll(timed_api: Any, clock: Any, begin: Any) -> None:
    _, path = begin()
    assert timed_api.send("GET", path).headers["openai-poll-after-ms"] == "1000"
    clock.forward(2)
    assert "openai-poll-after-ms" not in timed_api.send("GET", path).headers


def test_metadata_of_an_active_run_can_be_changed_and_the_run_goes_on(timed_api: Any, clock: Any, begin: Any) -> None:
    _, path = begin()
    assert timed_api.post(path, {"metadata": {"a": "1"}})["metadata"] == {"a": "1"}
    clock.forward(2)
    run = timed_api.get(path)
    assert (run["status"], run["metadata"]) == ("completed", {"a": "1"})


def test_concurrent_readers_see_one_answer(timed: Any, timed_api: Any, connect: Any, clock: Any, begin: Any) -> None:
    run, path = begin()
    clock.forward(2)
    with ThreadPoolExecutor(16) as pool:
        api = connect(timed.base_url)
        found = list(pool.map(lambda _: api.get(path)["status"], range(64)))
    assert set(found) == {"completed"}
    assert len(texts(timed_api, run)) == 2
    assert len(steps(timed_api, path)) == 1


def test_two_servers_on_one_file_make_one_answer(tmp_path: Any, clock: Any, connect: Any) -> None:
    options = {"clock": clock, "step_seconds": 1}
    with Emulator(tmp_path, **options) as one, Emulator(tmp_path, **options) as two:
        apis = [connect(one.base_url), connect(two.base_url)]
        assistant = apis[0].post("/assistants", {"model": "m"})["id"]
        for _ in range(10):
            body = {"assistant_id": assistant, "thread": {"messages": [{"role": "user", "content": "x"}]}}
            run = apis[0].post("/threads/runs", body)
            clock.forward(2)
            with ThreadPoolExecutor(8) as pool:
                pages = list(
                    pool.map(
                        lambda n, path=f"/threads/{run['thread_id']}/messages": apis[n % 2].get(path),
                        range(8),
                    )
                )
            assert all(page == pages[0] for page in pages)
            assert len(pages[0]["data"]) == 2


def test_a_run_goes_on_after_a_restart_as_if_nothing_had_happened(tmp_path: Any, clock: Any, connect: Any) -> None:
    with Emulator(tmp_path, clock=clock, step_seconds=1) as emulator:
        api = connect(emulator.base_url)
        assistant = api.post("/assistants", {"model": "m"})["id"]
        run = api.post("/threads/runs", {"assistant_id": assistant, "tools": [WEATHER]})
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        clock.forward(2)
        call = api.get(path)["required_action"]["submit_tool_outputs"]["tool_calls"][0]
    clock.forward(50)
    with Emulator(tmp_path, clock=clock, step_seconds=1) as emulator:
        api = connect(emulator.base_url)
        output = {"tool_call_id": call["id"], "output": "sunny"}
        api.post(f"{path}/submit_tool_outputs", {"tool_outputs": [output]})
        clock.forward(1)
        assert api.get(path)["status"] == "in_progress"
    clock.forward(500)
    with Emulator(tmp_path, clock=clock, step_seconds=1) as emulator:
        api = connect(emulator.base_url)
        done = api.get(path)
        assert (done["status"], done["completed_at"]) == ("completed", run["created_at"] + 54)
        assert "get_weather answered: sunny" in texts(api, run)[-1]
