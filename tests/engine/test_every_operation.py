"""Every operation of the Assistants API and its files, v1 and v2, is reached by a statement."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from provider.catalog.loader import Catalog
from provider.emulator import Emulator
from tests.conftest import Connect

BOTH, V1, V2 = ("v1", "v2"), ("v1",), ("v2",)
OF_MESSAGE = "thread_id = $thread AND message_id = $message"
OF_RUN = "thread_id = $thread AND run_id = $run"

#: The versions that have an operation, a statement that calls it, and what its first column is kept as for later ones.
STATEMENTS = [
    (BOTH, "INSERT INTO openai.files.files (file, filename, purpose) SELECT encode('x'), 'x', 'batch' RETURNING id",
     "file"),
    (BOTH, "SELECT * FROM openai.files.files", ""),
    (BOTH, "SELECT * FROM openai.files.files WHERE file_id = $file", ""),
    (BOTH, "SELECT content FROM openai.files.content WHERE file_id = $file", ""),
    (BOTH, "EXEC openai.files.files.download_file @file_id = $file, @to = $to", ""),
    (BOTH, "INSERT INTO assistants (model, tools) VALUES ('m', $tools) RETURNING id", "assistant"),
    (BOTH, "SELECT * FROM assistants", ""),
    (BOTH, "SELECT * FROM assistants WHERE assistant_id = $assistant", ""),
    (BOTH, "UPDATE assistants SET name = 'n' WHERE assistant_id = $assistant", ""),
    (V1, "INSERT INTO assistant_files (assistant_id, file_id) VALUES ($assistant, $file)", ""),
    (V1, "SELECT * FROM assistant_files WHERE assistant_id = $assistant", ""),
    (V1, "SELECT * FROM assistant_files WHERE assistant_id = $assistant AND file_id = $file", ""),
    (V1, "DELETE FROM assistant_files WHERE assistant_id = $assistant AND file_id = $file", ""),
    (BOTH, "INSERT INTO threads DEFAULT VALUES RETURNING id", "thread"),
    (BOTH, "SELECT * FROM threads WHERE thread_id = $thread", ""),
    (BOTH, "UPDATE threads SET metadata = MAP {'a': 'b'} WHERE thread_id = $thread", ""),
    (V1, "INSERT INTO messages (thread_id, role, content, file_ids) VALUES ($thread, 'user', 'x', [$file]) "
     "RETURNING id", "message"),
    (V2, "INSERT INTO messages (thread_id, role, content) VALUES ($thread, 'user', 'x') RETURNING id", "message"),
    (BOTH, "SELECT * FROM messages WHERE thread_id = $thread", ""),
    (BOTH, f"SELECT * FROM messages WHERE {OF_MESSAGE}", ""),
    (BOTH, f"UPDATE messages SET metadata = MAP {{'a': 'b'}} WHERE {OF_MESSAGE}", ""),
    (V1, f"SELECT * FROM message_files WHERE {OF_MESSAGE}", ""),
    (V1, f"SELECT * FROM message_files WHERE {OF_MESSAGE} AND file_id = $file", ""),
    (V2, f"DELETE FROM messages WHERE {OF_MESSAGE}", ""),
    (BOTH, "INSERT /*+ AWAIT */ INTO runs (thread_id, assistant_id) VALUES ($thread, $assistant) RETURNING id", "run"),
    (BOTH, "SELECT required_action->>'$.submit_tool_outputs.tool_calls[0].id' FROM runs WHERE thread_id = $thread",
     "call"),
    (BOTH, f"SELECT * FROM runs WHERE {OF_RUN}", ""),
    (BOTH, f"UPDATE runs SET metadata = MAP {{'a': 'b'}} WHERE {OF_RUN}", ""),
    (BOTH, "EXEC /*+ AWAIT */ runs.submit_tool_outputs @thread_id = $thread, @run_id = $run, "
     "@tool_outputs = [{'tool_call_id': $call, 'output': 'x'}]", ""),
    (BOTH, f"SELECT id FROM run_steps WHERE {OF_RUN}", "step"),
    (BOTH, f"SELECT * FROM run_steps WHERE {OF_RUN} AND step_id = $step", ""),
    (BOTH, "SELECT thread_id FROM (EXEC openai.assistants.threads.create_thread_and_run @assistant_id = $assistant)",
     "other"),
    (BOTH, "SELECT id FROM runs WHERE thread_id = $other", "waiting"),
    (BOTH, "EXEC runs.cancel_run @thread_id = $other, @run_id = $waiting", ""),
    (BOTH, "DELETE FROM threads WHERE thread_id = $thread", ""),
    (BOTH, "DELETE FROM assistants WHERE assistant_id = $assistant", ""),
    (BOTH, "DELETE FROM openai.files.files WHERE file_id = $file", ""),
]  # fmt: skip

#: The methods of OpenAI-DotNet's ThreadsEndpoint, and the operations behind them.
THREADS_ENDPOINT = {
    "CreateThreadAsync": "threads.create_thread",
    "RetrieveThreadAsync": "threads.get_thread",
    "ModifyThreadAsync": "threads.modify_thread",
    "DeleteThreadAsync": "threads.delete_thread",
    "CreateThreadAndRunAsync": "threads.create_thread_and_run",
    "CreateMessageAsync": "messages.create_message",
    "ListMessagesAsync": "messages.list_messages",
    "RetrieveMessageAsync": "messages.get_message",
    "ModifyMessageAsync": "messages.modify_message",
    "CreateRunAsync": "runs.create_run",
    "ListRunsAsync": "runs.list_runs",
    "RetrieveRunAsync": "runs.get_run",
    "ModifyRunAsync": "runs.modify_run",
    "CancelRunAsync": "runs.cancel_run",
    "SubmitToolOutputsAsync": "runs.submit_tool_ouputs_to_run",
    "ListRunStepsAsync": "run_steps.list_run_steps",
    "RetrieveRunStepAsync": "run_steps.get_run_step",
}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_each_operation_is_called_by_a_statement(
    connection: Connect, emulator: Emulator, tmp_path: Path, version: str
) -> None:
    catalog = Catalog(versions={"openai.assistants": version}, environ={})
    services = [catalog.service("openai", name) for name in ("assistants", "files")]
    operations = {f"{r.name}.{m.name}": m.http for s in services for r in s.resources.values() for m in r.methods}
    assert set(THREADS_ENDPOINT.values()) <= set(operations)
    conn = connection(versions={"openai.assistants": version})
    conn.execute("USE openai.assistants")
    tools = '[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]'
    kept: dict[str, Any] = {"tools": tools, "to": str(tmp_path / "x")}
    for versions, sql, name in STATEMENTS:
        if version in versions:
            cursor = conn.execute(sql, {n: kept[n] for n in re.findall(r"\$(\w+)", sql)})
            if name:
                kept[name] = cursor.fetchone()[0]
    called = {operation(f"{r.method} {r.path.removeprefix('/v1')}", operations.values()) for r in emulator.requests}
    assert sorted(o for o, http in operations.items() if http not in called) == []


def operation(request: str, templates: Collection[str]) -> str:
    """The template of a request: of several that fit, the one with the fewest placeholders."""
    fits = [t for t in templates if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", t), request)]
    return min(fits, key=lambda t: t.count("{"))
