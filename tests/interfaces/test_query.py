"""`apiql query`: sources of SQL, parameters, what goes to which stream, and exit codes."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provider.emulator import Emulator
from provider.errors import PartlyDone
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.output import FORMATS

from .conftest import ROOT, Api, Ran, Run


def thread(api: Api, **body: Any) -> str:
    made = api.post("/threads", json=body)
    return str(made["id"])


# -- sources of SQL ------------------------------------------------------------------------------


def test_data_goes_to_stdout_and_everything_else_to_stderr(process: Run) -> None:
    ran = process("query", "-", "-o", "csv", stdin="CREATE TABLE t AS SELECT 'é' AS a; SELECT * FROM t; SELEC")
    assert (ran.code, ran.out) == (1, "a\né\n")
    assert ran.err.splitlines()[1:3] == ["(1 row)", "statement 3 of 3 failed:"]


@pytest.mark.parametrize("arguments", [("-",), ("-f", "-")])
def test_sql_comes_from_stdin(apiql: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("SELECT 'é' AS a".encode()), encoding="utf-8"))
    assert apiql("query", *arguments, "-o", "csv").out == "a\né\n"


def test_sql_comes_from_a_file(apiql: Run, tmp_path: Path) -> None:
    file = tmp_path / "q.sql"
    file.write_text("-- a comment; with a semicolon\nSELECT ';' AS a;\n\nSELECT 2 AS b;\n")
    ran = apiql("query", "-f", str(file), "-o", "csv")
    assert (ran.code, ran.out) == (0, "a\n;\nb\n2\n")


def test_tables_of_several_statements_are_divided(apiql: Run) -> None:
    assert apiql("query", "SELECT 1 AS a; SELECT 2 AS b").out == (
        "+---+\n| a |\n+---+\n| 1 |\n+---+\n\n+---+\n| b |\n+---+\n| 2 |\n+---+\n"
    )


def test_sql_that_is_not_utf_8_is_wrong_usage(apiql: Run, tmp_path: Path) -> None:
    file = tmp_path / "latin.sql"
    file.write_bytes("SELECT 'é'".encode("latin-1"))
    ran = apiql("query", "-f", str(file))
    assert (ran.code, ran.out) == (2, "")
    assert "the SQL is not UTF-8" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["SELECT 1", "-f", os.devnull],
        ["SELECT 1", "-o", "xlsx"],
        ["SELECT 1", "-p", "x"],
        ["SELECT 1", "-p", "x=@/nowhere"],
        ["SELECT 1", "--base-url", "openai"],
        ["SELECT 1", "--max-concurrency", "0"],
        ["SELECT 1", "--manifests", "/nowhere"],
        [" ; -- nothing"],
        ["SELECT 1", "SELECT 2"],
    ],
)
def test_wrong_usage_is_exit_code_2(apiql: Run, arguments: list[str]) -> None:
    ran = apiql("query", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: apiql query")


# -- parameters ----------------------------------------------------------------------------------


def test_a_parameter_fills_placeholders_and_dollar_names(apiql: Run) -> None:
    sql = "SELECT '{{ a }}' AS quoted, {{ a }} AS bare, $a AS named, $a::INTEGER + 1 AS number"
    ran = apiql("query", sql, "-p", "a=1", "-o", "jsonl")
    assert json.loads(ran.out) == {"quoted": "1", "bare": "1", "named": "1", "number": 2}


def test_a_parameter_cannot_end_its_string(apiql: Run) -> None:
    value = "it's; DROP TABLE x --"
    ran = apiql("query", "SELECT '{{ a }}' AS a, $a AS b", "-p", f"a={value}", "-o", "jsonl")
    assert json.loads(ran.out) == {"a": value, "b": value}


def test_a_parameter_may_be_a_file_and_an_at_sign_is_doubled(apiql: Run, tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    file.write_text('{"a": "it\'s"}')
    ran = apiql(
        "query", "SELECT $f AS f, $a AS a, $e AS e", "-p", f"f=@{file}", "-p", "a=@@x=y", "-p", "e=", "-o", "jsonl"
    )
    assert json.loads(ran.out) == {"f": '{"a": "it\'s"}', "a": "@x=y", "e": ""}


@pytest.mark.parametrize("sql", ["SELECT '{{ a }}', '{{ b }}'", "SELECT $a, $b"])
def test_missing_parameters_are_named(apiql: Run, sql: str) -> None:
    ran = apiql("query", sql)
    assert (ran.code, ran.out) == (1, "")
    assert "a" in ran.err.splitlines()[0]
    assert "b" in ran.err.splitlines()[0]


# -- errors and exit codes -----------------------------------------------------------------------


def test_an_error_ends_the_script_and_says_where(apiql: Run) -> None:
    ran = apiql("query", "SELECT 1 AS a; SELECT nope FROM range(1); SELECT 3", "-o", "csv")
    assert (ran.code, ran.out) == (1, "a\n1\n")
    assert "statement 2 of 3 failed:\nBindError: " in ran.err
    assert "nope" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELEC 1", "ParseError"),
        ("SELECT * FROM openai.assistants.nothing", "BindError"),
        ("SELECT id FROM openai.assistants.messages", "BindError"),
        ("SELECT 'x'::INTEGER", "DataError"),
    ],
)
def test_errors_are_named_on_stderr(apiql: Run, sql: str, name: str) -> None:
    ran = apiql("query", sql)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"{name}: ")


def test_an_api_error_shows_the_words_of_the_api(query: Run, api: Api) -> None:
    sql = "INSERT INTO openai.assistants.messages (thread_id, role, content) SELECT $t, 'user', '[{\"type\": \"x\"}]'"
    ran = query(sql, "-p", f"t={thread(api)}")
    assert ran.code == 1
    assert ran.err.startswith("ApiError: POST /threads/thread_")
    assert "\n  > Invalid" in ran.err


def test_a_parameter_and_the_empty_string_stand_in_one_statement(query: Run, api: Api) -> None:
    sql = "SELECT metadata, '' AS empty FROM openai.assistants.threads WHERE thread_id = $t AND '' = ''"
    ran = query(sql, "-p", f"t={thread(api)}", "-o", "csv")
    assert (ran.code, ran.out) == (0, 'metadata,empty\n{},""\n')


def test_a_hostile_error_message_cannot_reach_the_terminal() -> None:
    err = io.StringIO()
    Diagnostics(err, {}).error(PartlyDone("x\x1b[2J", detail="a\tb\n\x9b31m\r"))
    assert err.getvalue() == "PartlyDone: x\\x1b[2J\n  > a\tb\n  > \\x9b31m\n"


def test_a_guard_is_exit_code_4(query: Run, api: Api) -> None:
    sql = "UPDATE openai.assistants.assistants SET name = 'x'"
    api.post("/assistants", json={"model": "gpt-4o"})
    stopped = query(sql)
    assert (stopped.code, stopped.out) == (4, "")
    assert "--yes" in stopped.err
    too_many = query(sql, "--yes", "--max-writes", "0")
    assert (too_many.code, too_many.out) == (4, "")
    assert "--max-writes" in too_many.err
    done = query(sql, "--yes")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("UPDATE ")


def test_a_write_that_stops_half_way_is_exit_code_5(query: Run, api: Api) -> None:
    sql = (
        "INSERT INTO openai.assistants.messages (thread_id, role, content) "
        "VALUES ($t, 'user', 'a'), ($t, 'user', '[{\"type\": \"x\"}]')"
    )
    ran = query(sql, "-p", f"t={thread(api)}")
    assert (ran.code, ran.out) == (5, "")
    assert ran.err.startswith("PartlyDone: ")


def test_an_interrupt_is_exit_code_130() -> None:
    with Emulator(latency=30) as slow:
        process = subprocess.Popen(
            [sys.executable, "-m", "provider", "query", "--base-url", f"openai={slow.base_url}",
             "SELECT id FROM openai.assistants.assistants"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        while not len(slow.requests) and process.poll() is None:
            select.select([], [], [], 0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().split() == ["interrupted"]


def test_an_interrupt_in_duckdb_is_exit_code_130() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "provider", "query", "-v",
         "SELECT 'begun'; SELECT count(*) FROM range(10000000) AS a(x), range(100000) AS b(y) WHERE x + y = -1"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == b"(1 row)\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.decode().split("\n")[-2] == "interrupted"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_told_and_no_defect() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "provider", "query", "SELECT * FROM range(100000)"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode() == "OperationalError: stdout cannot be written\n  No space left on device\n"


def test_a_defect_is_reported_without_its_traceback_unless_asked() -> None:
    def fail() -> None:
        raise KeyError("x\x1b")

    for debug in (False, True):
        err = io.StringIO()
        diagnostics = Diagnostics(err, {})
        diagnostics.debug = debug
        assert diagnostics.exit_code(fail) == 1
        assert "internal error: KeyError: 'x\\x1b'" in err.getvalue()
        assert ("Traceback" in err.getvalue()) is debug


def test_a_reader_that_goes_away_ends_it_quietly(process: Run) -> None:
    read, write = os.pipe()
    done = subprocess.Popen(
        [sys.executable, "-m", "provider", "query", "SELECT * FROM range(10000000)", "-o", "csv"],
        cwd=ROOT, stdout=write, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(write)
    assert os.read(read, 6) == b"range\n"
    os.close(read)
    _, err = done.communicate(timeout=30)
    assert (done.returncode, err) == (141, b"")


# -- against an API ------------------------------------------------------------------------------


def test_rows_and_requests_are_counted_on_stderr(query: Run, api: Api) -> None:
    t = thread(api, messages=[{"role": "user", "content": "hi"}])
    ran = query("SELECT role FROM openai.assistants.messages WHERE thread_id = $t", "-p", f"t={t}", "-o", "csv")
    assert ran == Ran(0, "role\nuser\n", "(1 row, 1 request)\n")


def test_a_page_of_a_longer_list_is_told_from_the_whole(query: Run, api: Api) -> None:
    t = thread(api, messages=[{"role": "user", "content": "hi"}] * 2)
    ran = query(f"EXEC openai.assistants.messages.list_messages @thread_id='{t}', @limit=1")
    assert "rows are missing: EXEC gives one page of a list" in ran.err
    assert "missing" not in query(f"EXEC openai.assistants.messages.list_messages @thread_id='{t}'").err


def test_json_columns_are_json_values(query: Run, api: Api) -> None:
    t = thread(api, metadata={"a": 'b"\n'})
    ran = query("SELECT id, metadata FROM openai.assistants.threads WHERE id = '{{ t }}'", "-p", f"t={t}", "-o", "json")
    assert json.loads(ran.out) == [{"id": t, "metadata": {"a": 'b"\n'}}]


def test_verbose_shows_requests_and_no_secret(query: Run, api: Api, emulator: Emulator) -> None:
    t = thread(api)
    ran = query("SELECT role FROM openai.assistants.messages WHERE thread_id = $t", "-p", f"t={t}", "-v")
    assert f"GET /threads/{t}/messages?limit=100 -> 200, " in ran.err
    assert "not-a-real-key" not in ran.err


def test_a_dry_run_prints_the_plan_and_sends_nothing(query: Run, emulator: Emulator) -> None:
    before = len(emulator.requests)
    ran = query("DELETE FROM openai.assistants.threads WHERE thread_id = '{{ t }}'", "-p", "t=thread_1", "--dry-run")
    assert ran.code == 0
    assert "DELETE /threads/{thread_id}" in ran.out
    assert ran.err == ""
    assert len(emulator.requests) == before


def test_a_statement_without_rows_says_what_it_did(query: Run, api: Api) -> None:
    t = thread(api)
    ran = query("UPDATE openai.assistants.threads SET metadata = '{}' WHERE thread_id = $t", "-p", f"t={t}")
    assert ran == Ran(0, "", "UPDATE 1\n")


def test_a_local_write_says_what_it_did(apiql: Run) -> None:
    ran = apiql("query", "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE a = 1")
    assert ran == Ran(0, "", "CREATE\nINSERT 2\nDELETE 1\n")


def test_a_database_keeps_tables(apiql: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "d.duckdb")
    assert apiql("query", "--database", file, "CREATE TABLE t AS SELECT 7 AS a").code == 0
    assert apiql("query", "--database", file, "FROM t", "-o", "csv").out == "a\n7\n"


def test_an_api_version_can_be_chosen(query: Run, api: Api) -> None:
    made = api.post("/assistants", json={"model": "gpt-4o"})
    sql = f"SELECT file_ids FROM openai.assistants.assistants WHERE id = '{made['id']}'"
    assert query(sql).code == 1
    assert query(sql, "--api-version", "openai.assistants=v1", "-o", "csv").out == "file_ids\n[]\n"


def test_manifests_of_ones_own_are_found(apiql: Run, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(
        "provider: shop\nbase_url: {default: http://127.0.0.1:9}\n---\nservice: sales\nresources:\n"
        "  orders:\n    fields: {id: {type: string}}\n    methods:\n      get: {sql: SELECT, http: GET /orders}\n"
    )
    ran = apiql("query", "SHOW RESOURCES IN shop.sales", "--manifests", str(tmp_path), "-o", "csv")
    assert "shop.sales.orders" in ran.out


@pytest.mark.parametrize(
    ("sql", "out"),
    [
        ("SHOW PROVIDERS", 'name,version\naimlapi,""\ngriptape,""\nopenai,""\n'),
        ("SHOW RESOURCES IN openai.assistants LIKE 'thr%'", "name,id\nthreads,openai.assistants.threads\n"),
        ("SHOW METHODS IN openai.assistants.threads", "MethodName,RequiredParams,SQLVerb\n"),
        ("DESCRIBE openai.assistants.threads", "name,type\nid,string\n"),
    ],
)
def test_the_catalog_is_shown(apiql: Run, sql: str, out: str) -> None:
    assert apiql("query", sql, "-o", "csv").out.startswith(out)


# -- on a terminal -------------------------------------------------------------------------------


def test_colour_is_for_terminals_and_can_be_refused(apiql: Run, on_terminal: Run) -> None:
    assert on_terminal("query", "SELEC").err.startswith("\x1b[1;31mParseError:\x1b[0m ")
    assert "\x1b" not in on_terminal("query", "SELEC", env={"NO_COLOR": "1"}).err
    assert "\x1b" not in on_terminal("query", "SELEC", env={"TERM": "dumb"}).err
    assert "\x1b" not in apiql("query", "SELEC").err


@pytest.mark.parametrize("name", FORMATS)
def test_a_terminal_gets_no_control_characters_in_any_format(on_terminal: Run, name: str) -> None:
    ran = on_terminal("query", "SELECT chr(27) || '[31m' || chr(10) AS a", "-o", name)
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "[31m" in ran.out


def test_a_terminal_cuts_long_values_and_says_how_to_see_them(apiql: Run, on_terminal: Run) -> None:
    sql = "SELECT repeat('x', 100) AS a"
    cut = on_terminal("query", sql)
    assert f"| {'x' * 59}… |" in cut.out
    assert "--max-width 0" in cut.err
    for whole in (on_terminal("query", sql, "--max-width", "0"), apiql("query", sql)):
        assert "x" * 100 in whole.out
        assert whole.err == "(1 row)\n"


def test_a_plan_is_whole_on_a_terminal(on_terminal: Run, emulator: Emulator) -> None:
    sql = f"EXPLAIN SELECT id FROM openai.assistants.threads WHERE id = 'thread_{'x' * 80}'"
    ran = on_terminal("query", sql)
    assert f"\n  request    GET /threads/thread_{'x' * 80}\n" in ran.out
    assert ran.out.startswith("scan 1: openai.assistants.threads\n")
    assert ran.err == ""


def test_the_statement_of_show_insert_can_be_run_as_it_is_printed(apiql: Run) -> None:
    ran = apiql("query", "SHOW INSERT /*+ REQUIRED */ INTO openai.assistants.assistants")
    assert ran.out == "INSERT INTO openai.assistants.assistants (\n  model\n)\nSELECT\n  '{{ model }}'\n"


def test_duckdbs_own_plan_is_no_box_in_a_box(apiql: Run) -> None:
    assert apiql("query", "EXPLAIN SELECT 1").out.startswith("┌─")


def test_a_plan_is_rows_for_machines(apiql: Run) -> None:
    ran = apiql("query", "-o", "csv", "EXPLAIN SELECT id FROM openai.assistants.assistants")
    assert ran.out.startswith("plan\nscan 1: openai.assistants.assistants\n")


# -- transactions --------------------------------------------------------------------------------


def message(thread: str) -> str:
    return f"INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES ('{thread}', 'user', 'Hi')"


def test_a_transaction_is_sent_at_its_end(query: Run, api: Api, emulator: Emulator) -> None:
    made = thread(api)
    emulator.requests.clear()
    ran = query(f"BEGIN; {message(made)}; {message(made)}; COMMIT")
    assert (ran.code, ran.out) == (0, "")
    said = ["BEGIN", "INSERT 1 (collected)", "INSERT 1 (collected)", "COMMIT (INSERT 1; INSERT 1)"]
    assert ran.err.splitlines() == said
    assert [r.method for r in emulator.requests] == ["POST", "POST"]


def test_a_commit_that_fails_ends_with_the_way_back(query: Run, api: Api) -> None:
    made = thread(api)
    ran = query(f"BEGIN;\n{message(made)};\n{message('thread_none')};\nCOMMIT")
    assert ran.code == 5
    assert "statement 4 of 4 failed:\nPartlyDone: COMMIT stopped in statement 2 of 2, at row 1: POST" in ran.err
    assert "\n  3 | INSERT INTO openai.assistants.messages" in ran.err
    (undo,) = (line for line in ran.err.splitlines() if line.endswith(";"))
    assert query(undo).err == "DELETE 1\n"


def test_a_commit_that_cannot_be_undone_needs_yes(query: Run, api: Api, emulator: Emulator) -> None:
    made = thread(api)
    script = f"BEGIN; DELETE FROM openai.assistants.threads WHERE thread_id = '{made}'; COMMIT"
    emulator.requests.clear()
    assert query("--dry-run", script).code == 4
    ran = query(script)
    assert ran.code == 4
    assert "Guarded: COMMIT would do what cannot be undone" in ran.err
    assert "Warning: the script ended within a transaction: ROLLBACK (1 request of 1 statement not sent)" in ran.err
    assert list(emulator.requests) == []
    assert query("--yes", script).code == 0
    assert [r.method for r in emulator.requests] == ["DELETE"]


def test_a_script_that_does_not_commit_is_told_so(query: Run, api: Api, emulator: Emulator) -> None:
    made = thread(api)
    emulator.requests.clear()
    ran = query(f"BEGIN; {message(made)}")
    assert ran.code == 0
    assert ran.err.splitlines()[-1] == (
        "Warning: the script ended within a transaction: ROLLBACK (1 request of 1 statement not sent)"
    )
    assert list(emulator.requests) == []
