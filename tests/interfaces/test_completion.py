"""What the shell offers at the cursor, which stands where `|` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.catalog.loader import Catalog
from provider.interfaces.shell.completion import Candidate, candidates

TABLES = {"handled": ("thread", "day")}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog()


def offered(text: str, catalog: Catalog) -> list[Candidate]:
    before, _, after = text.partition("|")
    return candidates(before, after, catalog, TABLES)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("sel|", ["select"]),
        ("SELECT * FROM op|", ["openai."]),
        ("SELECT * FROM OPENAI.ass|", ["OPENAI.assistants."]),
        ("SELECT * FROM openai.assistants.run|", ["openai.assistants.runs", "openai.assistants.run_steps"]),
        ("SELECT * FROM hand|", ["handled"]),
        ("INSERT INTO openai.assistants.mes|", ["openai.assistants.messages"]),
        ("SELECT 1; DESCRIBE openai.assistants.mes|", ["openai.assistants.messages"]),
        ("SHOW RESOURCES IN openai.a|", ["openai.assistants."]),
        ("SHOW re|", ["resources in"]),
        ("SET max_c|", ["max_concurrency"]),
        ("SELECT inst| FROM openai.assistants.assistants", ["instructions"]),
        ("SELECT m.con| FROM openai.assistants.messages AS m", ["m.content"]),
        ("SELECT m.thread| FROM openai.assistants.messages m WHERE", ["m.thread_id"]),
        ("SELECT d| FROM handled", ["day", "distinct", "delete", "desc", "describe", "do", "drop"]),
        ("SELECT handled.| FROM handled", ["handled.thread", "handled.day"]),
        ("SELECT * FROM handled WHERE thread IN (SELECT i| FROM openai.assistants.threads)", ["id"]),
        ("EXEC openai.assistants.runs.canc|", ["openai.assistants.runs.cancel_run"]),
        ("EXEC /*+ AWAIT */ openai.assistants.run|", ["openai.assistants.runs.", "openai.assistants.run_steps."]),
        ("EXEC openai.assistants.runs.cancel_run @r|", ["@run_id="]),
        ("EXEC openai.assistants.threads.create_thread @@|", ["@@json="]),
        ("\\t|", ["\\timing"]),
        ("\\d openai.a|", ["openai.assistants."]),
        ("\\pset format m|", ["markdown"]),
        ("\\x o|", ["on", "off"]),
    ],
)
def test_what_is_offered(catalog: Catalog, text: str, first: list[str]) -> None:
    found = sorted({c.text for c in offered(text, catalog)})
    assert set(first) <= set(found)
    assert len(found) == len(first) or not text.startswith(("\\", "SHOW", "EXEC", "SELECT * FROM op", "sel"))


@pytest.mark.parametrize(
    "text", ["SELECT 'op|", "SELECT 1 -- fr|", "SELECT /* fr|", "SELECT * FROM nobody.no|", "SELECT $$ fr|", "\\q x|"]
)
def test_where_nothing_is_offered(catalog: Catalog, text: str) -> None:
    assert offered(text, catalog) == []


def test_a_candidate_says_what_it_is_and_what_it_replaces(catalog: Catalog) -> None:
    (found,) = offered("SELECT meta| FROM openai.assistants.threads", catalog)
    assert found == Candidate("metadata", 4, "metadata", "object")
    assert Candidate("openai.assistants.threads", 20, "threads", "resource") in offered(
        "SELECT id FROM openai.assistants.th|", catalog
    )


def test_files_are_offered_by_folder(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text("")
    (tmp_path / "old").mkdir()
    assert [c.text for c in offered(f"\\i {tmp_path}/o|", catalog)] == [f"{tmp_path}/old/", f"{tmp_path}/one.sql"]
