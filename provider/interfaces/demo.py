"""The guided tour of `apiql demo`: an emulator of its own, filled and asked through ApiQL's statements."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import provider
from provider.emulator import Emulator
from provider.errors import Timeout
from provider.interfaces.render import Column, Style, Write, table
from provider.sql.scanner import fill

if TYPE_CHECKING:
    from provider.engine.connection import Connection

_CONVERSATIONS = {
    "billing": ["Why was I charged twice?", "The order is 1142."],
    "delivery": ["Where is my parcel?"],
    "returns": ["Can I send the shoes back?", "They are too small.", "I still have the box."],
}
_AT_WORK = ("queued", "in_progress", "cancelling")
_POLL, _PATIENCE = 0.05, 10.0  # seconds
_WIDTH = 72


def tour(write: Write) -> None:
    """Run the tour; each statement is written with one sentence and its result.

    Raises:
        Error: a statement failed.
    """
    with (
        Emulator(step_seconds=0.1) as emulator,
        provider.connect(base_urls={"openai": emulator.base_url}, environ={"OPENAI_API_KEY": "demo"}) as connection,
    ):
        write(f"An emulator of the Assistants API listens on {emulator.base_url}; nothing leaves this machine.\n")
        guide = _Guide(connection, write)
        guide.furnish()
        guide.walk()
    write(_NEXT)


class _Guide:
    """Runs statements and writes them beside what they give. `known` fills their `{{ name }}` placeholders."""

    def __init__(self, connection: Connection, write: Write) -> None:
        self._connection = connection
        self._write = write
        self._known: dict[str, str] = {}
        self._number = 0

    def furnish(self) -> None:
        """An assistant, and threads with messages."""
        [assistant] = self._run(
            """INSERT INTO openai.assistants.assistants (model, name, instructions)
            SELECT 'gpt-4o', 'Support', 'Answer briefly.' RETURNING id"""
        )
        self._known["assistant"] = assistant["id"]
        for topic, messages in _CONVERSATIONS.items():
            [thread] = self._run(
                f"""INSERT INTO openai.assistants.threads (metadata) SELECT '{{"topic": "{topic}"}}' RETURNING id"""
            )
            self._known[topic] = thread["id"]
            for text in messages:
                self._run(
                    "INSERT INTO openai.assistants.messages (thread_id, role, content) "
                    f"SELECT '{thread['id']}', 'user', '{text}'"
                )

    def walk(self) -> None:
        """The statements of the tour."""
        self._show(
            "A thread by its key is one request, to the method that takes the key.",
            """\
SELECT id, created_at, metadata
FROM openai.assistants.threads
WHERE thread_id = '{{ billing }}'""",
        )
        self._show(
            "A join asks for the messages of each thread, at the same time; DuckDB does the rest.",
            """\
SELECT t.metadata->>'topic' AS topic, m.role, m.content->0->'text'->>'value' AS text
FROM openai.assistants.threads t
JOIN openai.assistants.messages m ON m.thread_id = t.id
WHERE t.id IN ('{{ billing }}', '{{ delivery }}', '{{ returns }}')
ORDER BY topic, text""",
        )
        self._show(
            "EXPLAIN says which requests a statement would send, and sends none.",
            """\
EXPLAIN SELECT role, count(*)
FROM openai.assistants.messages
WHERE thread_id = '{{ returns }}'
GROUP BY role""",
        )
        self._show(
            "INSERT creates an object; RETURNING reads the answer of the API.",
            """\
INSERT INTO openai.assistants.messages (thread_id, role, content)
SELECT '{{ delivery }}', 'user', 'It was due on Monday.'
RETURNING id, role, created_at""",
        )
        [run] = self._show(
            "EXEC calls what is no INSERT, UPDATE or DELETE: here a new thread and a run on it, in one request.",
            """\
EXEC openai.assistants.threads.create_thread_and_run
  @assistant_id = '{{ assistant }}'
  @@json = '{"thread": {"messages": [{"role": "user", "content": "Hello!"}]}}'""",
            ("id", "thread_id", "status"),
        )
        self._known |= {"run": run["id"], "thread": run["thread_id"]}
        self._await_run()
        self._show(
            "The assistant has answered.",
            """\
SELECT role, content->0->'text'->>'value' AS text
FROM openai.assistants.messages
WHERE thread_id = '{{ thread }}'
ORDER BY role DESC""",
        )
        self._show(
            "UPDATE changes what it names; the rest stays as it is.",
            """\
UPDATE openai.assistants.threads
SET metadata = '{"topic": "billing", "state": "refunded"}'
WHERE thread_id = '{{ billing }}'
RETURNING id, metadata""",
        )
        self._show(
            "DELETE takes any WHERE; without one it would stop and ask for --yes.",
            """\
DELETE FROM openai.assistants.threads
WHERE thread_id = '{{ returns }}'
RETURNING id, deleted""",
        )

    def _await_run(self) -> None:
        """Ask for the run until it is at an end; only the last answer is written."""
        sql = """\
SELECT status, completed_at - created_at AS seconds
FROM openai.assistants.runs
WHERE thread_id = '{{ thread }}' AND run_id = '{{ run }}'"""
        deadline = time.monotonic() + _PATIENCE
        while self._run(fill(sql, self._known))[0]["status"] in _AT_WORK:
            if time.monotonic() > deadline:
                raise Timeout(f"the run is still at work after {_PATIENCE:.0f} s")
            time.sleep(_POLL)
        self._show("A run takes its time; the same SELECT was repeated until its status was final.", sql)

    def _show(self, sentence: str, sql: str, columns: Sequence[str] = ()) -> list[dict[str, Any]]:
        self._number += 1
        heading = f"-- {self._number}. {sentence}"
        statement = fill(sql, self._known)
        self._write(f"\n{heading}\n{statement};\n\n")
        return self._run(statement, columns, self._write)

    def _run(self, sql: str, only: Sequence[str] = (), write: Write | None = None) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql)
        if cursor.description is None:
            return []
        rows = cursor.fetchall()
        columns = [Column(d[0], d[1]) for d in cursor.description]
        if write is not None and cursor.is_lines:
            write("".join(f"{row[-1]}\n" for row in rows))
        elif write is not None:
            shown = [i for i, c in enumerate(columns) if not only or c.name in only]
            cells = [tuple(row[i] for i in shown) for row in rows]
            table([columns[i] for i in shown], [cells], write, Style(max_width=_WIDTH))
            if len(shown) < len(columns):
                write(f"({len(shown)} of {len(columns)} columns)\n")
        return [dict(zip((c.name for c in columns), row, strict=True)) for row in rows]


_NEXT = """
That was the tour. To go on by yourself, start an emulator that stays:

  apiql emulator --port 8089 --data ./emulator

and ask it from another terminal:

  export OPENAI_BASE_URL=http://127.0.0.1:8089/v1 OPENAI_API_KEY=any
  apiql query "INSERT INTO openai.assistants.threads (metadata) SELECT '{\\"topic\\": \\"mine\\"}' RETURNING id"
  apiql query "SHOW METHODS IN openai.assistants.threads"
  apiql manifest docs openai.assistants.threads
"""
