"""Writes on the command line: dry runs, going on after a failure, and the journal."""

from __future__ import annotations

import json
from pathlib import Path

from provider.emulator import Emulator

from .conftest import Api, Run

THREE = """INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES
           ('{t}', 'user', 'one'), ('thread_none', 'user', 'two'), ('{t}', 'user', 'three')"""


def test_a_dry_run_prints_the_requests_of_a_write(query: Run, emulator: Emulator) -> None:
    before = len(emulator.requests)
    ran = query("INSERT INTO openai.assistants.threads (metadata) VALUES ({'a': 'b'})", "--dry-run")
    assert ran.code == 0
    assert 'would send 1 request\n  row 1      POST /threads {"metadata": {"a": "b"}}\n' in ran.out
    assert len(emulator.requests) == before


def test_on_error_continue_does_the_other_rows(query: Run, api: Api) -> None:
    t = api.post("/threads", json={})["id"]
    ran = query(THREE.replace("{t}", t), "--on-error", "continue")
    assert ran.code == 5
    assert "Done: 2. Refused: 1 (row 2). Outcome unknown: 0. Not sent: 0." in ran.err
    assert len(api.get(f"/threads/{t}/messages")["data"]) == 2


def test_what_became_of_each_row_is_in_a_file_after_a_failure_too(query: Run, api: Api, tmp_path: Path) -> None:
    t, file = api.post("/threads", json={})["id"], tmp_path / "outcomes.csv"
    failed = query(THREE.replace("{t}", t), "--last-writes", str(file), "--max-concurrency", "1")
    assert failed.code == 5
    asked = query(f"SELECT row, request, status, left(id, 4), error, outcome FROM '{file}'", "-o", "csv", "--no-header")
    refused = "POST /threads/thread_none/messages"
    assert asked.out.splitlines() == [
        f"1,POST /threads/{t}/messages,200,msg_,,done",
        f"2,{refused},404,,{refused} answered 404,not done",
        f"3,POST /threads/{t}/messages,,,,not done",
    ]


def test_the_file_of_outcomes_has_the_way_back_of_a_commit(query: Run, api: Api, tmp_path: Path) -> None:
    t, file = api.post("/threads", json={})["id"], tmp_path / "outcomes.csv"
    script = "BEGIN; " + THREE.replace("{t}", t) + "; COMMIT"
    assert query(script, "--last-writes", str(file), "--on-error", "continue").code == 5
    undo = query(f"SELECT inverse FROM '{file}' WHERE inverse IS NOT NULL", "-o", "csv", "--no-header").out
    assert len(undo.splitlines()) == 2
    assert query(undo.replace("\n", ";\n")).code == 0
    assert api.get(f"/threads/{t}/messages")["data"] == []


def test_a_long_way_back_is_shown_in_part_and_kept_whole(query: Run, api: Api, tmp_path: Path) -> None:
    t = api.post("/threads", json={})["id"]
    insert = "INSERT INTO openai.assistants.messages (thread_id, role, content) SELECT '{}', 'user', 'x' FROM range({})"
    script = f"BEGIN; {insert.format(t, 30)}; {insert.format('thread_none', 1)}; COMMIT"
    failed = query(script)
    assert failed.code == 5
    assert failed.err.count("DELETE FROM") == 10
    assert "    ... and 20 more, which apiql.last_writes has in this order" in failed.err
    kept = Path(failed.err.partition("For this command it is kept in ")[2].splitlines()[0])
    undo, order = tmp_path / "undo.sql", "ORDER BY statement DESC, row DESC"
    lines = f"SELECT inverse || ';' FROM '{kept}' WHERE inverse IS NOT NULL {order}"
    assert query(f"COPY ({lines}) TO '{undo}' (HEADER false, QUOTE '')").code == 0
    assert undo.read_text().splitlines()[:10] == [x[4:] for x in failed.err.splitlines() if x.startswith("    DELETE")]
    assert query("-f", str(undo)).code == 0
    assert api.get(f"/threads/{t}/messages")["data"] == []
    kept.unlink()
    asked_for = query(script, "--last-writes", str(tmp_path / "outcomes.csv"))
    assert "is kept in" not in asked_for.err


def test_a_script_that_writes_nothing_leaves_a_file_without_rows(query: Run, tmp_path: Path) -> None:
    file = tmp_path / "outcomes.csv"
    assert query("SELECT no_such_column", "--last-writes", str(file)).code == 1
    assert file.read_text() == "row,request,status,id,error,outcome,statement,inverse\n"
    nowhere = query("SELECT 1", "--last-writes", str(tmp_path / "none" / "outcomes.csv"))
    assert nowhere.code == 2
    assert nowhere.out == "", "known before anything is sent"


def test_a_rerun_leaves_out_what_the_journal_calls_done(query: Run, api: Api, tmp_path: Path) -> None:
    t, file = api.post("/threads", json={})["id"], str(tmp_path / "journal")
    sql = THREE.replace("{t}", t)
    assert query(sql, "--resume", file, "--on-error", "continue").code == 5
    again = query(sql, "--resume", file)
    assert again.code == 5
    assert "Done: 2. Refused: 1 (row 2)." in again.err
    assert len(api.get(f"/threads/{t}/messages")["data"]) == 2


def test_the_journal_is_listed_and_told_what_somebody_found_out(
    query: Run, apiql: Run, api: Api, tmp_path: Path
) -> None:
    t, file = api.post("/threads", json={})["id"], tmp_path / "journal"
    sql = f"INSERT INTO openai.assistants.messages (thread_id, role, content) VALUES ('{t}', 'user', 'one')"
    assert query(sql, "--resume", str(file)).code == 0
    # As a crash leaves it: sent, and no answer written down.
    file.write_text("".join(line for line in file.read_text().splitlines(True) if '"done"' not in line))
    refused = query(sql, "--resume", str(file))
    assert refused.code == 4
    assert f"apiql journal {file} --statement 1 --done ROWS --not-done ROWS" in refused.err
    listed = apiql("journal", str(file))
    assert f"POST /threads/{t}/messages" in listed.out
    assert "sent" in listed.out
    assert json.loads(apiql("journal", str(file), "-o", "jsonl").out) == {
        "statement": 1, "row": 1, "event": "sent", "request": f"POST /threads/{t}/messages",
        "status": None, "id": None, "error": None,
    }  # fmt: skip
    assert apiql("journal", str(file), "-o", "csv").out.splitlines()[1] == f"1,1,sent,POST /threads/{t}/messages,,,"
    assert apiql("journal", str(file), "--done", "2").code == 1
    assert apiql("journal", str(file), "--done", "one").code == 2
    assert "done" in apiql("journal", str(file), "--done", "1").out
    assert query(sql, "--resume", str(file)).err == "INSERT 0 (1 done before)\n"
    assert json.loads(file.read_text().splitlines()[-2])["told"] is True
    assert len(api.get(f"/threads/{t}/messages")["data"]) == 1
