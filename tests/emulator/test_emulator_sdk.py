"""The vendor's own SDK as a client: what it sends is understood, what it gets it can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from provider.emulator import Emulator

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK marks all of this deprecated
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def sdk(shared: Any) -> Iterator[Any]:
    with openai.OpenAI(base_url=shared.base_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def thread(sdk: Any) -> Any:
    return sdk.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])


@pytest.fixture
def assistant(sdk: Any) -> Any:
    return sdk.beta.assistants.create(model="m", instructions="Be kind.")


def test_assistants_are_created_read_changed_listed_and_deleted(sdk: Any, assistant: Any) -> None:
    assistants = sdk.beta.assistants
    assert assistants.retrieve(assistant.id) == assistant
    changed = assistants.update(assistant.id, name="Ada", metadata={"a": "1"}, tools=[TOOL])
    assert (changed.name, changed.metadata, changed.instructions) == ("Ada", {"a": "1"}, "Be kind.")
    assert changed.tools[0].function.name == "get_weather"
    assert assistants.list(limit=1).data == [changed]
    assert assistants.delete(assistant.id).deleted is True


def test_threads_and_messages_are_created_read_changed_and_deleted(sdk: Any, thread: Any) -> None:
    threads = sdk.beta.threads
    assert threads.retrieve(thread.id) == thread
    assert threads.update(thread.id, metadata={"a": "1"}).metadata == {"a": "1"}
    message = threads.messages.create(
        thread.id,
        role="user",
        content=[{"type": "text", "text": "More"}],
        attachments=[{"file_id": "file-a", "tools": [{"type": "code_interpreter"}]}],
    )
    assert threads.messages.retrieve(message.id, thread_id=thread.id) == message
    assert message.content[0].text.value == "More"
    changed = threads.messages.update(message.id, thread_id=thread.id, metadata={"b": "2"})
    assert changed.metadata == {"b": "2"}
    assert threads.messages.delete(message.id, thread_id=thread.id).deleted is True
    assert threads.delete(thread.id).object == "thread.deleted"


def test_auto_paging_reads_every_message(sdk: Any) -> None:
    thread = sdk.beta.threads.create()
    made = [sdk.beta.threads.messages.create(thread.id, role="user", content=str(n)).id for n in range(45)]
    pages = sdk.beta.threads.messages.list(thread.id, order="asc", limit=10)
    assert [message.id for message in pages] == made
    newest = sdk.beta.threads.messages.list(thread.id)
    assert [message.id for message in newest] == made[::-1]


def test_a_run_is_polled_to_its_end(sdk: Any, thread: Any, assistant: Any) -> None:
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert (run.status, run.usage.completion_tokens > 0) == ("completed", True)
    assert sdk.beta.threads.runs.list(thread.id).data == [run]
    (message,) = sdk.beta.threads.messages.list(thread.id, run_id=run.id).data
    assert message.content[0].text.value == "You said: Hello\nMy instructions: Be kind."
    (step,) = sdk.beta.threads.runs.steps.list(run.id, thread_id=thread.id).data
    assert step.step_details.message_creation.message_id == message.id
    assert sdk.beta.threads.runs.steps.retrieve(step.id, run_id=run.id, thread_id=thread.id) == step


def test_tool_outputs_are_submitted_and_polled(sdk: Any, thread: Any, assistant: Any) -> None:
    run = sdk.beta.threads.create_and_run_poll(
        assistant_id=assistant.id,
        tools=[TOOL],
        thread={"messages": [{"role": "user", "content": "Weather?"}]},
    )
    assert run.status == "requires_action"
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "city"})
    run = sdk.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=run.thread_id,
        tool_outputs=[{"tool_call_id": call.id, "output": "12 C"}],
    )
    assert run.status == "completed"
    answer = sdk.beta.threads.messages.list(run.thread_id).data[0].content[0].text.value
    assert "The tool get_weather answered: 12 C" in answer


def test_a_run_is_cancelled(timed: Any, clock: Any) -> None:
    sdk: Any = openai.OpenAI(base_url=timed.base_url, api_key="any")
    with sdk:
        assistant = sdk.beta.assistants.create(model="m")
        run = sdk.beta.threads.create_and_run(assistant_id=assistant.id)
        assert sdk.beta.threads.runs.cancel(run.id, thread_id=run.thread_id).status == "cancelling"
        clock.forward(1)
        assert sdk.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id).status == "cancelled"


def test_the_stream_helper_collects_the_answer(sdk: Any, thread: Any, assistant: Any) -> None:
    with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        text = "".join(stream.text_deltas)
        (message,) = stream.get_final_messages()
        run = stream.get_final_run()
    assert text == message.content[0].text.value == "You said: Hello\nMy instructions: Be kind."
    assert (run.status, run.usage.completion_tokens) == ("completed", 11)


def test_the_stream_helper_collects_tool_calls_and_goes_on_after_them(sdk: Any, thread: Any, assistant: Any) -> None:
    runs = sdk.beta.threads.runs
    with runs.stream(thread_id=thread.id, assistant_id=assistant.id, tools=[TOOL]) as stream:
        stream.until_done()
        (step,) = stream.get_final_run_steps()
        run = stream.current_run
    (call,) = step.step_details.tool_calls
    assert call.function.arguments == '{"city": "city"}'
    outputs = [{"tool_call_id": call.id, "output": "12 C"}]
    with runs.submit_tool_outputs_stream(thread_id=thread.id, run_id=run.id, tool_outputs=outputs) as stream:
        assert "12 C" in "".join(stream.text_deltas)


def test_files_are_uploaded_and_read_back(sdk: Any) -> None:
    file = sdk.files.create(
        file=("a.txt", b"bytes"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert file.expires_at == file.created_at + 3600
    assert sdk.files.content(file.id).read() == b"bytes"
    assert file.id in [entry.id for entry in sdk.files.list(purpose="user_data")]
    assert sdk.files.delete(file.id).deleted is True


def test_errors_become_the_exceptions_of_the_sdk(sdk: Any, shared: Any, thread: Any) -> None:
    with pytest.raises(openai.NotFoundError, match="No thread found with id 'thread_x'"):
        sdk.beta.threads.retrieve("thread_x")
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.beta.threads.messages.create(thread.id, role="system", content="x")
    assert (refused.value.param, refused.value.code) == ("role", "invalid_value")
    assert str(refused.value.request_id).startswith("req_")
    nobody: Any = openai.OpenAI(base_url=shared.base_url, api_key="x", default_headers={"Authorization": ""})
    with nobody, pytest.raises(openai.AuthenticationError):
        nobody.beta.threads.create()


def test_faults_are_retried_by_the_sdk(clock: Any) -> None:
    with Emulator(rate_limit=1, clock=clock) as emulator:
        with openai.OpenAI(base_url=emulator.base_url, api_key="any", max_retries=0) as sdk:
            sdk.beta.threads.create()
            with pytest.raises(openai.RateLimitError) as refused:
                sdk.beta.threads.create()
        assert refused.value.response.headers["retry-after"] == "60"
    with Emulator(fail_rate=1.0) as emulator:
        sdk = openai.OpenAI(base_url=emulator.base_url, api_key="any", max_retries=1)
        with sdk, pytest.raises(openai.InternalServerError):
            sdk.beta.threads.create()
        retries = [request.headers["x-stainless-retry-count"] for request in emulator.requests]
        assert retries == ["0", "1"]


def python_of_v1() -> str:
    """An interpreter with the last SDK that speaks v1; its environment is made when it is absent."""
    named = os.environ.get("APIQL_OPENAI_V1_PYTHON")
    if named:
        return named
    folder = ROOT / ".venv-openai-v1"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if subprocess.run([python, "-c", "import openai"], check=False).returncode if python.exists() else True:
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "openai==1.20.0", "httpx<0.28"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.fail(
                    f"the environment of the v1 SDK cannot be made: {' '.join(command)}\n{done.stderr}"
                    "\nSet APIQL_OPENAI_V1_PYTHON to an interpreter that has openai 1.20.0."
                )
    return str(python)


def test_the_last_sdk_of_v1_runs_through_its_script(shared: Any) -> None:
    environment = os.environ | {"OPENAI_BASE_URL": shared.base_url, "OPENAI_API_KEY": "any"}
    done = subprocess.run(
        [python_of_v1(), str(Path(__file__).with_name("openai_v1_script.py"))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "assistant ok",
        "assistant files ok",
        "thread ok",
        "message ok",
        "message files ok",
        "paging ok",
        "run ok",
        "tool outputs ok",
        "cancel ok",
        "stream ok",
        "errors ok",
    ]
