"""Every file in sql_examples/ runs against the emulator and shows what its snapshot says.

`pytest tests/docs --update-snapshots` writes the snapshots; read them before you keep them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider.sql.scanner import fill, statements
from tests.docs.world import World, shown, support_desk

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "sql_examples").glob("*.sql"))
SNAPSHOTS = Path(__file__).parent / "snapshots"

#: What fills the placeholders, by the names of the support desk.
PLACEHOLDERS = {
    "thread": "thread_A",
    "other_thread": "thread_B",
    "message": "msg_A1",
    "assistant": "asst_helper",
    "waiting_thread": "thread_C",
    "waiting_run": "run_C1",
    "call": "call_C1",
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[World]:
    """A support desk of its own for each example, since many of them write."""
    with support_desk(tmp_path) as world:
        yield world


def outcome(script: str, desk: World) -> str:
    """What each statement of a script shows, and the requests that it sent."""
    values = {name: desk.ids[target] for name, target in PLACEHOLDERS.items()}
    parts = []
    with desk.connect() as conn:
        for statement in statements(fill(script, {**values, "tickets": str(desk.files / "tickets.csv")})):
            desk.emulator.requests.clear()
            text = shown(conn.execute(statement), desk)
            requests = [f"  {line}" for line in desk.requests()] or ["  nothing"]
            parts.append("\n".join([text, "", "sent", *requests]))
    return "\n\n\n".join(parts) + "\n"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_shows_what_its_snapshot_says(file: Path, desk: World, request: pytest.FixtureRequest) -> None:
    found = outcome(file.read_text(encoding="utf-8"), desk)
    snapshot = SNAPSHOTS / f"{file.stem}.txt"
    if request.config.getoption("--update-snapshots"):
        snapshot.write_text(found, encoding="utf-8")
    assert found == snapshot.read_text(encoding="utf-8")


def test_no_snapshot_is_left_without_its_example() -> None:
    assert [s.stem for s in sorted(SNAPSHOTS.glob("*.txt"))] == [e.stem for e in EXAMPLES]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_numbered_and_begins_by_saying_what_it_shows(file: Path) -> None:
    assert re.fullmatch(r"\d\d_[a-z_]+", file.stem)
    assert file.read_text(encoding="utf-8").startswith("-- ")


def test_numbers_follow_each_other() -> None:
    assert [int(e.stem[:2]) for e in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))
