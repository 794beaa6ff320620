"""`apiql query` prints events while they happen, and tells on stderr what it waits for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.eventserver import HEAD, JOBS, Wire, event_server
from tests.interfaces.conftest import ROOT, Api, Run

EXEC = "EXEC cloud.v1.jobs.create_job @live=true"


class Show:
    """A server that sends one piece after the other, each when it is told to."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.turn = threading.Semaphore(0)
        self.left = threading.Event()

    def __call__(self, wire: Wire) -> None:
        wire.say(HEAD)
        for piece in self.pieces:
            assert self.turn.acquire(timeout=30)
            wire.say(piece)
        if wire.left(30):
            self.left.set()

    def go_on(self) -> None:
        self.turn.release()


@contextmanager
def apiql(tmp_path: Path, show: Show, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`apiql query` in a process of its own, on the show's server."""
    with event_server(show) as server:
        (tmp_path / "cloud.yaml").write_text(JOBS % server.url, encoding="utf-8")
        command = [sys.executable, "-m", "provider", "query", "--manifests", str(tmp_path / "cloud.yaml"), *arguments]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    ("format_name", "heads", "row"),
    [
        ("jsonl", 0, '{"event": "e", "data": 1, "position": 1, "id": null}'),
        ("table", 3, "| e     | 1    |        1 | NULL |"),
    ],
)
def test_a_row_is_printed_before_the_next_event_is_sent(tmp_path: Path, format_name: str, heads: int, row: str) -> None:
    show = Show("event: e\ndata: 1\n\n", "event: longer\ndata: [1, 2]\n\n", "data: END\n\n")
    with apiql(tmp_path, show, "-o", format_name, EXEC) as process:
        assert process.stdout is not None
        show.go_on()
        lines = [process.stdout.readline() for _ in range(heads + 1)]
        assert lines[-1] == row + "\n"
        show.go_on()
        assert "longer" in process.stdout.readline()
        show.go_on()
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "(2 rows, 1 request)\n")
        assert out.startswith("+--") == (format_name == "table")


def test_a_text_is_printed_as_it_is_written(tmp_path: Path) -> None:
    show = Show(
        'event: piece\ndata: {"parts": {"text": "Good "}}\n\n',
        'event: piece\ndata: {"parts": {"text": "day"}}\n\n'
        'event: job\ndata: {"id": "j1", "state": "done"}\n\ndata: END\n\n',
    )
    with apiql(tmp_path, show, "EXEC /*+ STREAM */ cloud.v1.jobs.create_job") as process:
        assert process.stdout is not None
        show.go_on()
        assert process.stdout.read(5) == "Good "
        show.go_on()
        assert process.communicate(timeout=30) == ("day\n", "j1: done\n")
        assert process.returncode == 0


def test_ctrl_c_ends_the_reading(tmp_path: Path) -> None:
    show = Show('event: job\ndata: {"id": "j1", "state": "busy"}\n\n')
    with apiql(tmp_path, show, "-o", "jsonl", EXEC) as process:
        assert process.stdout is not None
        show.go_on()
        assert "busy" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert show.left.wait(10)


def test_a_failure_in_the_middle_comes_behind_the_rows_and_is_an_exit_code(tmp_path: Path) -> None:
    show = Show('event: e\ndata: 1\n\ndata: {"error": {"message": "out of order"}}\n\n')
    with apiql(tmp_path, show, "-o", "jsonl", EXEC) as process:
        show.go_on()
        out, err = process.communicate(timeout=30)
        assert (process.returncode, json.loads(out)["data"]) == (1, 1)
        assert err.startswith("ApiError: the stream tells of an error")
        assert "> out of order" in err


@pytest.fixture
def sql(api: Api) -> str:
    assistant = api.post("/assistants", json={"model": "m"})["id"]
    thread = api.post("/threads", json={"messages": [{"role": "user", "content": "Hi"}]})["id"]
    return f"EXEC /*+ AWAIT */ openai.assistants.runs.create_run @thread_id='{thread}', @assistant_id='{assistant}'"


def test_what_is_waited_for_is_told_on_stderr(query: Run, sql: str) -> None:
    ran = query("-o", "jsonl", sql)
    assert json.loads(ran.out)["status"] == "completed"
    run = json.loads(ran.out)["id"]
    lines = ran.err.splitlines()
    assert lines[0] == f"{run}: queued, 0 s elapsed"
    assert lines[-2].startswith(f"{run}: completed, ")
    assert lines[-1].startswith(f"EXEC; {run}: completed (1 row, ")


def test_on_a_terminal_it_is_no_line_of_its_own(on_terminal: Run, sql: str, emulator: object) -> None:
    ran = on_terminal("query", "--base-url", f"openai={emulator.base_url}", sql)  # type: ignore[attr-defined]
    assert "completed" in ran.err
    assert ": queued, 0 s elapsed\n" not in ran.err
