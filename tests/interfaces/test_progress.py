"""Progress: what it says, where it is shown, and that nothing of it stays."""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import nbformat
import pytest
from nbclient import NotebookClient

import provider
from provider.emulator import Emulator
from provider.engine.progress import Progress
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.words import amount, cut, request_line, words
from provider.rest.request import Call, Exchange
from provider.rest.waits import NOTHING, Waits

from .conftest import ROOT, Terminal

BUSY = Progress(2.0, requests=1200, per_second=600.0, in_flight=16, rows=34_000)
OVER = Progress(3.0, over=True)
IDS = "('thread_1', 'thread_2', 'thread_3', 'thread_4', 'thread_5')"
_CLEAR = "\r\x1b[K"


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(9.0), ""),
        (Progress(1.0, in_flight=1), "0 requests, 0 rows, 0 requests/s, 1 in flight"),
        (BUSY, "1,200 requests, 34,000 rows, 600 requests/s, 16 in flight"),
        (
            Progress(9.0, requests=1, rows=1, waiting={"limit": 3, "retry_after": 1}, resumes_in=27.4),
            "1 request, 1 row, 0 requests/s, 0 in flight; 3 waiting for the rate limit; "
            "1 waiting as the API asks, 27 s left",
        ),
        (
            Progress(4.0, requests=20, per_second=5.0, written=20, to_write=2_000, moved=8_000_000),
            "20 of 2,000 written; 8.0 MB, 2.0 MB/s; 20 requests, 0 rows, 5 requests/s, 0 in flight",
        ),
        (Progress(4.0, operations="run_1: queued, 4 s elapsed"), "run_1: queued, 4 s elapsed"),
    ],
)
def test_progress_in_words(progress: Progress, text: str) -> None:
    assert words(progress) == text


@pytest.mark.parametrize(
    ("exchange", "line"),
    [
        (
            Exchange("list", Call("GET", "/t", (("limit", "100"),), None, ""), 200, 12_340, 0.0482, NOTHING),
            "GET /t?limit=100 -> 200, 12.3 kB, 48 ms",
        ),
        (
            Exchange("list", Call("GET", "/t", (), None, ""), None, 0, 1.5, Waits(0.1, 2.0, 0.5), resend=2),
            "GET /t -> no answer, 1,500 ms, repetition 2, waited 0.1 s for the rate limit, "
            "waited 2.0 s as the API asks, waited 0.5 s before a repetition",
        ),
    ],
)
def test_a_request_in_words(exchange: Exchange, line: str) -> None:
    assert request_line(exchange) == line


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (5e12, "5,000.0 GB")]
)
def test_amounts_have_a_readable_unit(size: float, text: str) -> None:
    assert amount(size) == text


def test_a_line_fits_its_terminal() -> None:
    assert [cut("abcdef", n) for n in (6, 5, 1, 0, -1)] == ["abcdef", "abcd…", "…", "", ""]


@pytest.mark.parametrize(
    ("stream", "environ", "quiet", "shown"),
    [
        (Terminal(), {}, False, True),
        (Terminal(), {"NO_COLOR": "1"}, False, True),
        (Terminal(), {"TERM": "dumb"}, False, False),
        (Terminal(), {"CI": "true"}, False, False),
        (Terminal(), {}, True, False),
        (io.StringIO(), {}, False, False),
    ],
)
def test_progress_is_for_people_at_a_terminal(
    stream: io.StringIO, environ: Mapping[str, str], quiet: bool, shown: bool
) -> None:
    diagnostics = Diagnostics(stream, environ)
    diagnostics.quiet = quiet
    for progress in (Progress(0.4, requests=1), BUSY, BUSY, OVER):
        diagnostics.progress(progress)
    # Not before half a second, the same only once, and cleared at the end.
    assert stream.getvalue() == (_CLEAR + words(BUSY) + _CLEAR if shown else "")


def test_a_remark_takes_the_line_away_first() -> None:
    stream = Terminal()
    diagnostics = Diagnostics(stream, {})
    diagnostics.progress(BUSY)
    diagnostics.warning("careful")
    assert re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue()) == _CLEAR + words(BUSY) + _CLEAR + "Warning: careful\n"


def test_writes_and_waits_are_told_while_they_happen() -> None:
    seen: list[Progress] = []
    with (
        Emulator(latency=0.1) as slow,
        provider.connect(
            base_urls={"openai": slow.base_url},
            environ={"OPENAI_API_KEY": "any"},
            max_concurrency=2,
            progress=seen.append,
        ) as conn,
    ):
        conn.execute("INSERT INTO openai.assistants.assistants (model) SELECT 'm' FROM range(8)")
    running = [p for p in seen if p.to_write]
    assert {p.to_write for p in running} == {8}
    assert [p.written for p in running] == sorted(p.written for p in running)
    assert max(p.in_flight for p in seen) == 2
    assert [p.over for p in seen] == [False] * (len(seen) - 1) + [True]
    assert (seen[-1].requests, seen[-1].in_flight) == (8, 0)


def test_a_pause_that_the_api_asks_for_is_told_with_its_end() -> None:
    seen: list[Progress] = []
    cursors: list[provider.Cursor] = []

    def look(progress: Progress) -> None:
        seen.append(progress)
        if progress.waiting:
            cursors[0].cancel()

    with (
        Emulator(rate_limit=3) as strict,
        provider.connect(
            base_urls={"openai": strict.base_url},
            environ={"OPENAI_API_KEY": "any"},
            max_concurrency=1,
            progress=look,
        ) as conn,
    ):
        cursors.append(conn.cursor())
        with pytest.raises(provider.OperationalError, match="cancelled"):
            cursors[0].execute("SELECT id FROM openai.assistants.threads WHERE thread_id IN " + IDS)
    assert {tuple(p.waiting.items()) for p in seen if p.waiting} == {(("retry_after", 1),)}
    assert max(p.resumes_in for p in seen) > 1


def in_terminal(columns: int, *arguments: str, stdout: IO[bytes] | None = None) -> str:
    """What a command writes to a real terminal of that width; its stdout may be a file instead."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR")} | {"TERM": "xterm"}
    command = [sys.executable, "-m", "provider", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout or slave, stderr=slave, env=environ
    ):
        os.close(slave)
        parts = []
        with suppress(OSError):  # that is how a terminal says that nobody writes any more
            while part := os.read(master, 4096):
                parts.append(part)
        os.close(master)
    return b"".join(parts).decode().replace("\r\n", "\n")


def one_after_the_other(emulator: Emulator) -> tuple[str, ...]:
    """A command that counts four threads, of which each is a request."""
    ids = ", ".join(f"'thread_{i}'" for i in range(4))
    sql = f"SELECT count(*) AS n FROM openai.assistants.threads WHERE thread_id IN ({ids})"
    return ("query", sql, "--base-url", f"openai={emulator.base_url}", "--max-concurrency", "1", "-o", "csv")


def test_progress_is_shown_on_a_terminal_and_cleared_before_output() -> None:
    with Emulator(latency=0.4) as slow:
        text = in_terminal(80, *one_after_the_other(slow))
    assert "requests, 0 rows, " in text
    assert text.endswith("\r\x1b[Kn\n0\n(1 row, 4 requests)\n")


@pytest.mark.parametrize("columns", [60, 250])
def test_an_error_shows_as_much_of_a_long_line_as_the_terminal_takes(columns: int) -> None:
    sql = f"SELECT '{'x' * 400}' AS a, no_such_column AS b, '{'y' * 400}' AS c"
    _, line, carets, *_ = in_terminal(columns, "query", sql).splitlines()
    assert len(line) == columns
    assert line[carets.index("^") :].startswith("no_such_column")


def test_the_bytes_on_a_narrow_terminal(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    with Emulator(latency=0.3) as slow, file.open("wb") as out:
        err = in_terminal(24, *one_after_the_other(slow), stdout=out)
    assert file.read_bytes() == b"n\n0\n"
    frames = err.split(_CLEAR)
    assert frames[0] == ""  # nothing before the first
    assert frames[-1] == "(1 row, 4 requests)\n"  # and the line is gone before the last
    assert len(frames) > 2
    assert all(re.fullmatch(r"\d requests?, 0 rows.*…", frame) and len(frame) == 23 for frame in frames[1:-1])
    assert all(a != b for a, b in itertools.pairwise(frames))


def test_in_a_notebook_one_display_is_updated_and_nothing_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shown: list[str] = []

    class Client(NotebookClient):
        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            if msg["msg_type"] in ("display_data", "update_display_data"):
                shown.append(msg["content"]["data"].get("text/plain", ""))
            return super().process_message(msg, cell, cell_index)

    with Emulator(latency=0.3) as slow:
        cell = f"""
import provider
with provider.connect(base_urls={{"openai": {slow.base_url!r}}}, environ={{"OPENAI_API_KEY": "any"}}, max_concurrency=1,
                      progress=provider.progress_display()) as conn:
    print(conn.execute("SELECT count(*) FROM openai.assistants.threads WHERE thread_id IN " + {IDS!r}).fetchall())
"""
        source: dict[str, Any] = {
            "cell_type": "code",
            "source": cell,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        document = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [source]}
        notebook = nbformat.from_dict(document)  # type: ignore[no-untyped-call]
        Client(notebook, timeout=120).execute()
    assert any("in flight" in text for text in shown)
    assert shown[-1] == ""
    outputs = notebook.cells[0].outputs
    assert "".join(o.get("text", "") for o in outputs) == "[(0,)]\n"
    assert [o.data for o in outputs if o.output_type == "display_data"] == [{}]
