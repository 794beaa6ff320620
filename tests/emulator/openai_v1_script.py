"""Drives the emulator with openai 1.20.0, the last SDK of the Assistants API v1.

Runs in an environment of its own; prints one line for each part that worked.
"""

# mypy: ignore-errors
# The types that mypy sees are those of the newest SDK, which has no v1.

from __future__ import annotations

import time

import openai

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
client = openai.OpenAI(max_retries=0)
threads = client.beta.threads


def wait(run, *statuses):
    while run.status not in statuses:
        assert run.status in ("queued", "in_progress", "cancelling"), run.status
        time.sleep(0.005)
        run = threads.runs.retrieve(run.id, thread_id=run.thread_id)
    return run


assert openai.__version__ == "1.20.0", openai.__version__

file = client.files.create(file=("a.txt", b"bytes"), purpose="assistants")
assistant = client.beta.assistants.create(
    model="m", instructions="Be kind.", tools=[{"type": "retrieval"}], file_ids=[file.id]
)
assert assistant.file_ids == [file.id]
assert assistant.tools[0].type == "retrieval"
assert client.beta.assistants.retrieve(assistant.id) == assistant
assert client.beta.assistants.update(assistant.id, name="Ada").name == "Ada"
assert assistant.id in [entry.id for entry in client.beta.assistants.list()]
doomed = client.beta.assistants.create(model="m")
assert client.beta.assistants.delete(doomed.id).deleted
print("assistant ok")

attached = client.beta.assistants.files.create(assistant.id, file_id="file-b")
assert attached.assistant_id == assistant.id
assert [entry.id for entry in client.beta.assistants.files.list(assistant.id, order="asc")] == [
    file.id,
    "file-b",
]
assert client.beta.assistants.files.retrieve("file-b", assistant_id=assistant.id) == attached
assert client.beta.assistants.files.delete("file-b", assistant_id=assistant.id).deleted
print("assistant files ok")

thread = threads.create(messages=[{"role": "user", "content": "Hello"}], metadata={"a": "1"})
assert threads.retrieve(thread.id) == thread
assert threads.update(thread.id, metadata={"b": "2"}).metadata == {"b": "2"}
print("thread ok")

message = threads.messages.create(thread.id, role="user", content="Hello again", file_ids=[file.id])
assert threads.messages.retrieve(message.id, thread_id=thread.id) == message
assert threads.messages.update(message.id, thread_id=thread.id, metadata={"c": "3"}).metadata == {"c": "3"}
print("message ok")

assert [entry.id for entry in threads.messages.files.list(message.id, thread_id=thread.id)] == [file.id]
found = threads.messages.files.retrieve(file.id, thread_id=thread.id, message_id=message.id)
assert found.message_id == message.id
print("message files ok")

many = threads.create()
made = [threads.messages.create(many.id, role="user", content=str(n)).id for n in range(25)]
assert [entry.id for entry in threads.messages.list(many.id, order="asc", limit=10)] == made
print("paging ok")

run = wait(threads.runs.create(thread.id, assistant_id=assistant.id), "completed")
assert run.file_ids == [file.id]
answer = threads.messages.list(thread.id).data[0]
assert (answer.run_id, answer.status) == (run.id, "completed")
assert answer.content[0].text.value == "You said: Hello again\nMy instructions: Be kind."
(step,) = threads.runs.steps.list(run.id, thread_id=thread.id).data
assert threads.runs.steps.retrieve(step.id, thread_id=thread.id, run_id=run.id) == step
assert threads.runs.update(run.id, thread_id=thread.id, metadata={"d": "4"}).metadata == {"d": "4"}
assert [entry.id for entry in threads.runs.list(thread.id)] == [run.id]
print("run ok")

run = wait(
    threads.create_and_run(
        assistant_id=assistant.id,
        tools=[TOOL],
        thread={"messages": [{"role": "user", "content": "Weather?"}]},
    ),
    "requires_action",
)
(call,) = run.required_action.submit_tool_outputs.tool_calls
run = threads.runs.submit_tool_outputs(
    run.id, thread_id=run.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "12 C"}]
)
run = wait(run, "completed")
assert "12 C" in threads.messages.list(run.thread_id).data[0].content[0].text.value
print("tool outputs ok")

run = wait(threads.create_and_run(assistant_id=assistant.id, tools=[TOOL]), "requires_action")
run = threads.runs.cancel(run.id, thread_id=run.thread_id)
wait(run, "cancelled")
print("cancel ok")

with threads.runs.create_and_stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
    text = "".join(stream.text_deltas)
    assert stream.get_final_run().status == "completed"
    assert stream.get_final_messages()[0].content[0].text.value == text
print("stream ok")

for refused, expected in (
    (lambda: threads.retrieve("thread_x"), openai.NotFoundError),
    (lambda: threads.messages.create(thread.id, role="user", content=""), openai.BadRequestError),
):
    try:
        refused()
    except expected:
        continue
    raise AssertionError(expected)
print("errors ok")
