"""docs/cli.md has the help of every command, word for word, and its examples do what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from provider.emulator import Emulator
from provider.interfaces.cli import cli

from .conftest import ROOT, run_here

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for sub in sorted(command.commands):
            yield from commands(command.commands[sub], f"{name} {sub}")


@pytest.mark.parametrize(("name", "command"), list(commands(cli, "apiql")))
def test_the_help_of_every_command_is_on_the_page(name: str, command: click.Command) -> None:
    shown = run_here(*name.split()[1:], "--help").out
    found = re.search(rf"^##+ {name}\n.*?^```text\n(Usage: .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no section {name!r}"
    assert found[1] == shown
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{name} {parameter.name} has no help"


def test_the_page_has_no_command_that_is_gone() -> None:
    known = {name for name, _ in commands(cli, "apiql")}
    assert set(re.findall(r"^##+ (apiql.*)$", PAGE, re.MULTILINE)) == known


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_an_example_prints_what_the_page_says(
    command: str, output: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", emulator.base_url)
    name, *arguments = shlex.split(command.replace("\\\n", ""))
    assert name == "apiql"
    assert run_here(*arguments).out == output


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3
