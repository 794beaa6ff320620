"""The interactive shell on a real terminal: what is typed, what is shown, and what becomes of it."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provider.emulator import Emulator
from tests.engine.eventserver import JOBS, event_server
from tests.terminal import Terminal

from .conftest import Api
from .test_live import Show

Open = Callable[..., Terminal]


@pytest.fixture
def shell(emulator: Emulator, tmp_path: Path) -> Iterator[Open]:
    """Opens a shell that asks the emulator, and waits for its first prompt."""
    opened: list[Terminal] = []

    def start(*arguments: str, **environ: str) -> Terminal:
        found = {"XDG_STATE_HOME": str(tmp_path), "OPENAI_BASE_URL": emulator.base_url} | environ
        opened.append(Terminal(*arguments, environ=found))
        opened[-1].until(r"apiql=>")
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.__exit__()


@pytest.fixture
def threads(api: Api) -> list[str]:
    """The threads with three messages and with none."""
    said = [{"role": "user", "content": text} for text in ("one", "two", "three")]
    return [api.post("/threads", json={"messages": said})["id"], api.post("/threads", json={})["id"]]


def sent(emulator: Emulator, *methods: str) -> list[str]:
    return [r.path for r in emulator.requests if r.method in methods]


def test_statements_are_edited_run_and_remembered(shell: Open, tmp_path: Path) -> None:
    terminal = shell()
    assert "| 42 |" in terminal.run("SELECT 6 * 7 AS n;")
    assert "| x\\n;y | 2 |" in terminal.run("SELECT 'x\n;y' AS a, -- no end;\n2 AS b\n;")
    assert terminal.run("SELECT 11 AS a; SELECT 12 AS b;").count("(1 row)") == 2
    assert "$$;$$" not in terminal.run("SELECT length($$;$$) AS n;").rpartition("| n |")[2]
    told = terminal.run("SELECT nope; SELECT 13 AS c;")
    assert "BindError: Referenced column" in told
    assert "^^^^" in told
    assert "| 13 |" not in told  # what stands behind an error in the same input is not run
    assert "| 14 |" in terminal.run("SELECT 14 AS d;")
    terminal.run(" SELECT 'a secret';")
    terminal.run("CREATE OR REPLACE SECRET s (TYPE http, BEARER_TOKEN 'a secret');")
    terminal.type("\x04")
    assert terminal.end() == 0
    kept = tmp_path / "apiql" / "history"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    text = kept.read_text()
    assert "+SELECT 'x\n+;y' AS a, -- no end;\n+2 AS b\n+;\n" in text
    assert "secret" not in text
    again = shell()
    again.type("\x1b[A\x1b[A")  # Up, twice
    again.until("SELECT nope; SELECT 13 AS c;")


def test_names_are_completed_and_nothing_is_sent_for_it(shell: Open, emulator: Emulator) -> None:
    emulator.requests.clear()
    terminal = shell()
    # A completion comes after the keys behind it, so each is waited for.
    for keys, completed in (
        ("sel\t", "ect"),
        (" id FROM openai.assist\t", "ants\\."),
        ("mes\t", "sages"),
        (" WHERE thr\t", "ead_id"),
        ("\x03EXEC openai.assistants.messages.cr\t", "eate_message"),
        (" @con\t", "tent="),
        ("\x03\\pset format mark\t", "down"),
    ):
        terminal.type(keys)
        terminal.until(completed)
    assert "format: markdown" in terminal.run("")
    assert list(emulator.requests) == []


def test_a_transaction_is_in_the_prompt_and_given_up_at_the_end(
    shell: Open, emulator: Emulator, threads: list[str]
) -> None:
    terminal = shell()
    terminal.type("BEGIN;\n")
    terminal.until(r"\napiql=\*>")
    terminal.type("INSERT INTO openai.assistants.messages (thread_id, role, content)\n")
    terminal.until(r"apiql-\*>")
    emulator.requests.clear()
    assert "INSERT 1 (collected)" in terminal.run(f"VALUES ('{threads[0]}', 'user', 'Hello?');")
    terminal.type("\x04")
    terminal.until(r"Warning: the session ended within a transaction: ROLLBACK \(1 request of 1 statement not sent\)")
    assert terminal.end() == 0
    assert sent(emulator, "POST") == []


def test_ctrl_c_drops_a_line_and_cancels_a_statement_alone(shell: Open) -> None:
    with Emulator(latency=0.5) as slow:
        terminal = shell("--base-url", f"openai={slow.base_url}")
        terminal.type("SELECT 'drop this\n")
        terminal.until("apiql->")
        terminal.type("\x03")
        terminal.until(r"\napiql=>")
        assert "| 1 |" in terminal.run("SELECT 1;")
        ids = "SELECT 'thread_' || i FROM range(500) r(i)"
        terminal.type(f"SELECT count(*) FROM openai.assistants.threads WHERE id IN ({ids});\n")
        terminal.until("in flight")  # the progress line
        began_at = time.monotonic()
        terminal.type("\x03")
        terminal.until("interrupted\napiql=>")
        assert time.monotonic() - began_at < 1
        asked = len(slow.requests)
        assert "| 2 |" in terminal.run("SELECT 2;")
        assert len(slow.requests) == asked < 500
        # Nor is one lost that comes while the line editor leaves, just behind the Enter.
        terminal.type("SELECT count(*) FROM range(10000000) a(x), range(100000) b(y) WHERE x + y = -1;\n")
        terminal.until_it_runs()
        terminal.type("\x03")
        terminal.until(r"\napiql=>")
        assert "| 3 |" in terminal.run("SELECT 3;")


def test_a_person_is_asked_before_all_is_changed(shell: Open, emulator: Emulator, threads: list[str]) -> None:
    terminal = shell("--max-writes", "2")
    delete = f"DELETE FROM openai.assistants.messages WHERE thread_id = '{threads[0]}'"
    emulator.requests.clear()
    terminal.type(f"{delete};\n")
    told = terminal.until(r"Go on\? \[y/N\] ")
    assert "DELETE would change 3 objects of openai.assistants.messages; the guard is 2\n" in told
    assert f"  {threads[0]}/msg_" in told
    assert "Guarded: DELETE was not confirmed" in terminal.run("")
    terminal.type(f"{delete};\n")
    terminal.until(r"\[y/N\] ")
    terminal.type("\x03")
    terminal.until("interrupted\napiql=>")
    assert sent(emulator, "DELETE") == []
    terminal.type(f"{delete};\n")
    terminal.until(r"\[y/N\] ")
    assert "DELETE 3" in terminal.run("y")
    assert len(sent(emulator, "DELETE")) == 3
    assert len(sent(emulator, "GET")) == 3  # once a statement


def test_query_asks_on_a_terminal_and_not_in_ci(emulator: Emulator, threads: list[str]) -> None:
    delete = f"DELETE FROM openai.assistants.messages WHERE thread_id = '{threads[0]}'"
    query = ("query", "--max-writes", "0", "--base-url", f"openai={emulator.base_url}", delete)
    with Terminal(*query, environ={"CI": "true"}) as terminal:
        assert terminal.end() == 4
        assert "Guarded: DELETE would change 3 objects" in terminal.text
        assert "[y/N]" not in terminal.text
    with Terminal(*query, environ={}) as terminal:
        terminal.until(r"\[y/N\] ")
        terminal.type("yes\n")
        assert terminal.end() == 0
        assert "DELETE 3" in terminal.text


def test_rows_of_a_stream_are_shown_as_they_come(shell: Open, tmp_path: Path) -> None:
    show = Show("event: e\ndata: 1\n\n", "event: longer\ndata: [1, 2]\n\n")
    with event_server(show) as server:
        (tmp_path / "cloud.yaml").write_text(JOBS % server.url, encoding="utf-8")
        terminal = shell("--manifests", str(tmp_path / "cloud.yaml"))
        terminal.type("EXEC cloud.v1.jobs.create_job @live=true;\n")
        show.go_on()
        terminal.until(r"\| e +\| 1 ")
        show.go_on()
        terminal.until("longer")
        terminal.type("\x03")
        terminal.until(r"\^C(interrupted|Cancelled: the reading of the stream was stopped)\n(.*\n)*apiql=>")
        assert show.left.wait(10)
        assert "| 1 |" in terminal.run("SELECT 1;")


def test_a_dumb_terminal_gets_plain_lines(shell: Open, tmp_path: Path) -> None:
    terminal = shell(TERM="dumb")
    assert "| 1 |" in terminal.run("SELECT 1 AS\na;")
    terminal.type("SELECT 'x\n")
    terminal.until("apiql->")
    terminal.type("\x03")
    terminal.until("apiql=>")
    assert "| 2 |" in terminal.run("SELECT 2;")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert not (tmp_path / "apiql").exists()


def test_results_fit_the_terminal_and_commands_change_how_they_look(shell: Open, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 7 AS seven;\n\\q\nSELECT 8 AS eight;\n")
    terminal = shell()
    wide = terminal.run("SELECT repeat('x', 300) AS a, repeat('y', 300) AS b;").rpartition("+--")[0]
    assert max(map(len, wide.splitlines()[1:])) <= 100
    assert "\\pset max_width 0 shows all" in terminal.text
    terminal.run("\\x")
    assert "a | 1\nb | 2\n" in terminal.run("SELECT 1 AS a, 2 AS b;")
    # As it is pasted: lines that are commands among statements.
    assert "csv\na\n5\n" in terminal.run("\x1b[200~\\pset format csv\nSELECT 5 AS a;\n\\timing on\x1b[201~").replace(
        "format: ", ""
    )
    told = terminal.run("SELECT 1 AS a, 2 AS b;")
    assert "a,b\n1,2\n" in told
    assert re.search(r"Time: [\d,]+\.\d ms", told)
    told = terminal.run(f"\\i {tmp_path / 'a.sql'}")
    assert "seven\n7\n" in told
    assert "eight" not in told
    assert "messages,openai.assistants.messages" in terminal.run("\\d openai.assistants")
    assert "there is no command \\nope" in terminal.run("\\nope")
    terminal.type("exit\n")
    assert terminal.end() == 0


def test_a_history_that_cannot_be_kept_is_no_hindrance(shell: Open, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    terminal = shell(APIQL_HISTORY=str(tmp_path / "taken" / "history"))
    assert "Warning: the history cannot be kept in" in terminal.text
    assert "| 1 |" in terminal.run("SELECT 1;")
    assert not (tmp_path / "apiql").exists()
