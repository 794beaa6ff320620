"""Statement files: SQL, its plan, the requests that it sends, and its rows, one block a statement.

A file begins with SQL that prepares the local database. A block is

    ## title
    SQL
    ---- given   parameters as JSON (optional)
    ---- plan    what `Connection.explain` prints
    ---- sends   requests, sorted; writes are not run here and have none
    ---- rows    one JSON array a row, sorted unless the statement has ORDER BY
    ---- error   instead: the whole error; nothing may have been sent

A title that ends in `[fails: reason]` marks a known defect: the block says what should be.
Names like thread_a stand for the ids of the `world` fixture. Where the title does not end in `[api only]`,
the rows must also be those of plain DuckDB with the API's objects loaded as tables.
`pytest tests/plan --update-snapshots` writes down what is; read the difference before you commit it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import provider
from provider.errors import Error
from provider.sql.statements import Exec, Write, parse

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.test"))


@dataclass(frozen=True)
class Block:
    """One statement of a file."""

    file: str
    title: str
    setup: str
    sql: str
    sections: dict[str, str]

    def __str__(self) -> str:
        return f"{self.file}: {self.title}"

    @property
    def given(self) -> Any:
        return json.loads(self.sections["given"]) if "given" in self.sections else None


def blocks(path: Path) -> list[Block]:
    setup, *texts = re.split(r"^## ", path.read_text(), flags=re.MULTILINE)
    found = []
    for text in texts:
        title, _, body = text.partition("\n")
        sql, *parts = re.split(r"^---- (\w+)\n", body, flags=re.MULTILINE)
        sections = {name: content.strip("\n") for name, content in zip(parts[::2], parts[1::2], strict=True)}
        found.append(Block(path.stem, title, setup, sql.strip("\n"), sections))
    return found


BLOCKS = [b for path in FILES for b in blocks(path)]


def marked(block: Block) -> Any:
    known = re.search(r"\[fails: (.*)\]$", block.title)
    marks = [pytest.mark.xfail(strict=True, reason=known[1])] if known else []
    return pytest.param(block, id=str(block), marks=marks)


def rendered(block: Block, world: Any, rows: list[tuple[Any, ...]]) -> str:
    lines = [world.readable(json.dumps(list(row), default=str, ensure_ascii=False)) for row in rows]
    return "\n".join(lines if "ORDER BY" in block.sql else sorted(lines))


def observed(block: Block, world: Any, conn: Any) -> dict[str, str]:
    """What the statement does, as the sections of its block."""
    given = {"given": block.sections["given"]} if "given" in block.sections else {}
    try:
        plan = conn.explain(block.sql)
    except Error as refused:
        return {**given, "error": f"{type(refused).__name__}: {refused}"}
    assert len(world.emulator.requests) == 0, "EXPLAIN sends nothing"
    if isinstance(parse(block.sql)[0], Write | Exec):
        return {**given, "plan": plan}
    parameters = json.loads(world.real(json.dumps(block.given)))
    try:
        rows = conn.execute(world.real(block.sql), parameters).fetchall()
    except Error as refused:
        return {**given, "plan": plan, "error": f"{type(refused).__name__}: {world.readable(str(refused))}"}
    sends = "\n".join(sorted(world.requests()))
    return {**given, "plan": plan, "sends": sends, "rows": rendered(block, world, rows)}


@pytest.fixture(scope="module")
def opened(world: Any) -> Iterator[Any]:
    """One connection for all blocks: each prepares its own tables, and leaves nothing else behind."""
    urls = {"openai": world.emulator.base_url}
    with provider.connect(base_urls=urls, environ={"OPENAI_API_KEY": "any"}) as conn:
        yield conn


@pytest.fixture
def conn(opened: Any, world: Any, request: pytest.FixtureRequest) -> Any:
    opened.execute(world.real(request.node.callspec.params["block"].setup))
    world.emulator.requests.clear()
    return opened


@pytest.mark.parametrize("block", [marked(b) for b in BLOCKS])
def test_a_statement_does_what_its_block_says(block: Block, world: Any, conn: Any, pytestconfig: Any) -> None:
    found = observed(block, world, conn)
    assert world.requests() == [], "requests of a statement that was refused"
    if pytestconfig.getoption("update_snapshots") and "[fails: " not in block.title:
        record(block, found)
        return
    for name in block.sections:
        assert found.get(name) == block.sections[name], (name, found)
    assert set(found) == set(block.sections)


@pytest.mark.parametrize("block", [b for b in BLOCKS if "rows" in b.sections and "[api only]" not in b.title], ids=str)
def test_a_statement_answers_what_plain_duckdb_answers(block: Block, world: Any, judge: Any) -> None:
    with judge.cursor() as plain:
        plain.execute("USE scratch; " + world.real(block.setup))
        given = json.loads(world.real(json.dumps(block.given)))
        rows = plain.execute(world.real(block.sql), given).fetchall()
    assert rendered(block, world, rows) == block.sections["rows"]


def test_titles_are_told_apart() -> None:
    titles = [str(b) for b in BLOCKS]
    assert len(titles) == len(set(titles)) > 0


def record(block: Block, found: dict[str, str]) -> None:
    """Write a block's sections into its file."""
    path = HERE / f"{block.file}.test"
    body = f"## {block.title}\n{block.sql}\n" + "".join(
        f"---- {name}\n{text}\n" if text else f"---- {name}\n" for name, text in found.items()
    )
    old = re.compile(rf"^## {re.escape(block.title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    path.write_text(old.sub(lambda _: body + "\n", path.read_text(), count=1).rstrip("\n") + "\n")
