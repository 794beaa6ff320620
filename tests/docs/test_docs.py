"""Every code block of the README and of docs/ does what its page says.

A `sql` block runs on the support desk (tests/docs/world.py), a `python` block is executed, the `apiql` and `make`
commands of a `console` block are run or looked up, `yaml` is loaded. The `text` block right behind a block is what it
prints, and `--update-snapshots` writes it; `sql error` is a block whose statements fail. A `session` block is typed
into the shell, what stands behind its prompts line by line. `<!-- not run: why -->` above a block leaves it out, and
`<!-- emulator: empty -->` at the top of a page gives it a new emulator instead of the support desk; with
`<!-- clock: running -->` time goes on there.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import provider
from provider import errors
from provider.emulator import Emulator
from tests.docs.blocks import ROOT, Runner, blocks
from tests.docs.world import Clock, World, support_desk

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

#: Blocks of a page that another test runs: page, language, and that test.
ELSEWHERE = {
    ("manifest.md", "python"): "tests/catalog/test_manifest_page.py",
    ("cli.md", "sh"): "tests/interfaces/test_cli_page.py",
}


@contextmanager
def world_of(page: Path, files: Path) -> Iterator[World]:
    """What the page's blocks run on."""
    source = page.read_text(encoding="utf-8")
    if not source.startswith("<!-- emulator: empty -->"):
        with support_desk(files) as desk:
            if source.startswith("<!-- clock: running -->"):
                desk.clock.start()
            yield desk
        return
    clock = Clock()
    with Emulator(clock=clock, step_seconds=1) as emulator:
        yield World(emulator, clock, files, keeps_ids=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_do_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    source = said = page.read_text(encoding="utf-8")
    failures = []
    with world_of(page, tmp_path) as world, Runner(world) as runner:
        for name, value in world.environ.items():
            monkeypatch.setenv(name, value)
        longer = 0
        for block in (b for b in blocks(page) if not b.reason and (page.name, b.language) not in ELSEWHERE):
            try:
                found = runner.run(block)
            except Exception:
                failures.append(f"{block}: {traceback.format_exc()}")
                continue
            if block.said is not None:
                start, end = (at + longer for at in block.said)
                said = said[:start] + found + said[end:]
                longer = len(said) - len(source)
    if request.config.getoption("--update-snapshots"):
        page.write_text(said, encoding="utf-8")
        source = said
    assert not failures, "\n\n".join(failures)
    assert source == said


def test_blocks_that_are_run_elsewhere_exist() -> None:
    for (page, language), test in ELSEWHERE.items():
        assert any(b.language == language for b in blocks(ROOT / "docs" / page))
        assert (ROOT / test).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
            slugs = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, target


def test_every_page_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = {target.partition("#")[0] for target in _LINK.findall(index)}
    assert {p.name for p in (ROOT / "docs").glob("*.md")} - {"index.md"} <= linked


def test_the_error_page_lists_every_error_with_its_base_and_exit_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\d+) \|", page, re.M)
    kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, errors.Error)]
    tree = {k.__name__: (k.__base__.__name__ if k.__base__ else "", k.exit_code) for k in kinds}
    assert {name: (base, int(code)) for name, base, code in rows} == tree
    assert len(rows) == len(kinds)


def test_the_changelog_knows_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)\]?", changelog, re.M)
    assert versions
    assert versions[0] == provider.__version__


def test_the_source_tour_names_every_package() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    packages = {p.parent.name for p in (ROOT / "provider").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `provider/(\w+)/` \|", readme, re.M)) == packages
