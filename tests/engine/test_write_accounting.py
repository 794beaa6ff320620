"""A write's account: each row is done, not done or unknown, and that is what the server says too."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import provider
from provider import errors
from provider.emulator import Emulator
from provider.engine.journal import Journal
from tests.engine.lossy import LossyProxy

IMPORT = """
    INSERT INTO openai.assistants.messages (thread_id, role, content)
    SELECT thread_id, 'user', text FROM read_csv('{file}', all_varchar = true)
"""


@pytest.fixture
def messages(api: Any, tmp_path: Path) -> tuple[Path, list[tuple[str, str]]]:
    """A CSV file with 1,000 messages for 40 new threads, and its rows."""
    threads = [api.thread() for _ in range(40)]
    rows = [(threads[n * 7 % 40], f"message {n:04}") for n in range(1, 1001)]
    file = tmp_path / "messages.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("thread_id", "text"), *rows])
    return file, rows


def written(api: Any, threads: set[str]) -> dict[str, list[str]]:
    """The texts of each thread's messages, oldest first."""
    return {
        thread: [m["content"][0]["text"]["value"] for m in api.every(f"/threads/{thread}/messages")]
        for thread in threads
    }


def test_a_thousand_messages_are_created_once_and_in_order_within_their_thread(
    connection: Any, emulator: Emulator, api: Any, messages: Any
) -> None:
    file, rows = messages
    emulator.requests.clear()
    cur = connection().execute(IMPORT.format(file=file) + " RETURNING content->0->'text'->>'value'")
    assert [text for (text,) in cur.fetchall()] == [text for _, text in rows], "RETURNING has the order of the rows"
    assert (cur.rowcount, len(emulator.requests)) == (1000, 1000)
    found = written(api, {thread for thread, _ in rows})
    for thread, texts in found.items():
        assert texts == [text for t, text in rows if t == thread]


def test_rows_of_different_parents_are_sent_side_by_side_up_to_the_limit() -> None:
    with Emulator(latency=0.02) as slow, provider.connect(
        base_urls={"openai": slow.base_url}, environ={"OPENAI_API_KEY": "any"}, max_concurrency=8
    ) as conn:  # fmt: skip
        made = conn.execute("INSERT INTO openai.assistants.threads (metadata) SELECT '{}' FROM range(20) RETURNING id")
        assert slow.max_in_flight == 8
        threads = [id_ for (id_,) in made.fetchall()]
        slow.requests.clear()
        sql = "INSERT INTO openai.assistants.messages (thread_id, role, content) SELECT unnest($t), 'user', 'x'"
        conn.execute(sql, {"t": threads[:4] * 5})
        assert slow.max_in_flight == 4, "the messages of one thread wait for one another"


def test_lost_answers_are_unknown_and_nothing_is_sent_twice(
    connection: Any, emulator: Emulator, api: Any, messages: Any
) -> None:
    file, rows = messages
    with LossyProxy(emulator.base_url, lambda number: number % 20 == 0) as proxy:
        conn = connection(base_urls={"openai": proxy.base_url}, on_error="continue")
        cur = conn.cursor()
        with pytest.raises(errors.PartlyDone) as stopped:
            cur.execute(IMPORT.format(file=file))
        assert proxy.lost == 50
    outcomes = Counter(w.outcome for w in cur.report.writes)
    assert outcomes == {"done": 950, "unknown": 50}
    assert "Done: 950. Refused: 0. Outcome unknown: 50 (rows " in str(stopped.value)
    assert stopped.value.exit_code == 5
    ids = {
        (m["thread_id"], m["content"][0]["text"]["value"]): m["id"]
        for thread in {thread for thread, _ in rows}
        for m in api.every(f"/threads/{thread}/messages")
    }
    assert len(ids) == 1000, "an answer was lost, and the message is there"
    for row, report in zip(rows, cur.report.writes, strict=True):
        assert report.id == (ids[row] if report.outcome == "done" else None)
        assert report.request == f"POST /threads/{row[0]}/messages"
    assert Counter(t for texts in written(api, {t for t, _ in rows}).values() for t in texts).most_common(1)[0][1] == 1


def test_the_first_failure_stops_new_rows_and_waits_for_those_in_flight(
    connection: Any, emulator: Emulator, api: Any, messages: Any
) -> None:
    file, rows = messages
    with LossyProxy(emulator.base_url, lambda number: number == 100) as proxy:
        cur = connection(base_urls={"openai": proxy.base_url}).cursor()
        with pytest.raises(errors.PartlyDone, match="stopped at row"):
            cur.execute(IMPORT.format(file=file))
    outcomes = Counter(w.outcome for w in cur.report.writes)
    assert outcomes["unknown"] == 1
    assert 99 <= outcomes["done"] < 999
    there = {text for texts in written(api, {t for t, _ in rows}).values() for text in texts}
    assert len(there) == outcomes["done"] + 1
    for (_, text), report in zip(rows, cur.report.writes, strict=True):
        assert (text in there) == (report.outcome != "not done")


CLIENT = """
import sys, provider
url, journal, sql = sys.argv[1:]
with provider.connect(
    base_urls={"openai": url}, environ={"OPENAI_API_KEY": "any"}, resume=journal, on_error="continue"
) as conn:
    conn.execute(sql)
"""


def test_a_killed_client_leaves_a_truthful_journal_and_a_rerun_completes_it(
    connection: Any, emulator: Emulator, api: Any, messages: Any, tmp_path: Path
) -> None:
    file, rows = messages
    journal = tmp_path / "import.journal"
    sql = IMPORT.format(file=file)
    reached, killed = threading.Event(), threading.Event()

    def before(number: int) -> None:
        if number == 400:
            reached.set()
        if number >= 400:  # the client dies with these in flight
            killed.wait(30)

    with LossyProxy(emulator.base_url, lambda number: number % 20 == 0, before) as proxy:
        client = subprocess.Popen([sys.executable, "-c", CLIENT, proxy.base_url, str(journal), sql])
        assert reached.wait(60)
        client.kill()
        client.wait()
        killed.set()
    there = set(messages_there(api, rows))
    with Journal(journal) as account:
        entries = {e.row: e for e in account}
    for row, message in enumerate(rows, 1):
        event = entries[row].event if row in entries else None
        if event == "done":
            assert message in there
        elif event is None:
            assert message not in there
        else:
            assert entries[row].is_unknown
    unknown = [row for row, e in entries.items() if e.is_unknown]
    assert unknown

    conn = connection(resume=journal)
    with pytest.raises(errors.Guarded, match=r"outcome of \d+ rows of an earlier run is unknown"):
        conn.execute(sql)
    conn.close()
    assert set(messages_there(api, rows)) == there, "nothing was sent"

    with Journal(journal) as account:  # somebody looks, and says so
        account.settle("done", [row for row in unknown if rows[row - 1] in there], None)
        account.settle("not done", [row for row in unknown if rows[row - 1] not in there], None)
    cur = connection(resume=journal).execute(sql)
    assert cur.message == f"INSERT {1000 - len(there)} ({len(there)} done before)"
    assert Counter(messages_there(api, rows)) == Counter(rows), "each message once"
    assert {w.outcome for w in cur.report.writes} == {"done"}


FULL_DISK = """
import resource, signal, sys, provider
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
url, journal = sys.argv[1:]
with provider.connect(base_urls={"openai": url}, environ={"OPENAI_API_KEY": "any"}, resume=journal) as conn:
    try:
        conn.execute("INSERT INTO openai.assistants.threads (metadata) SELECT '{}' FROM range(200)")
    except provider.Error as error:
        print(error.exit_code, error)
"""


def test_a_journal_that_cannot_be_written_stops_the_statement(emulator: Emulator, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", FULL_DISK, emulator.base_url, str(tmp_path / "j")]
    emulator.requests.clear()
    said = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert said.startswith("5 INSERT stopped: the journal")
    done = len(emulator.requests)
    assert 0 < done < 200
    assert f"Done: {done}. Refused: 0. Outcome unknown: 0. Not sent: {200 - done}." in said


def messages_there(api: Any, rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(t, text) for t, texts in written(api, {t for t, _ in rows}).items() for text in texts]
