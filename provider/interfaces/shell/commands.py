"""The backslash commands, in psql's words."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider.errors import ProgrammingError, did_you_mean
from provider.interfaces.output import FORMATS

if TYPE_CHECKING:
    from provider.interfaces.shell.loop import Shell

#: What \pset changes.
OPTIONS = ("format", "null", "max_width")


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with `least` to `most` arguments."""

    name: str
    arguments: str
    help: str
    run: Callable[[Shell, Sequence[str]], None]
    least: int = 0
    most: int = 0

    @property
    def usage(self) -> str:
        """The command with its arguments."""
        return f"{self.name} {self.arguments}".rstrip()


def arguments_of(line: str) -> list[str]:
    r"""The name of a command and its arguments; quotes hold one together: `\pset null 'no value'`.

    Raises:
        ProgrammingError: a quote is not closed.
    """
    try:
        # No escapes, as backslashes are parts of names: of commands, and of files on some systems.
        words = shlex.shlex(line, posix=True, punctuation_chars=False)
        words.whitespace_split, words.escape, words.commenters = True, "", ""
        return list(words)
    except ValueError as e:
        raise ProgrammingError(f"{line} cannot be read: {e}") from None


def _quit(shell: Shell, _: Sequence[str]) -> None:
    shell.leave()


def _help(shell: Shell, _: Sequence[str]) -> None:
    width = max(len(c.usage) for c in COMMANDS)
    lines = [f"{c.usage.ljust(width)}  {c.help}" for c in COMMANDS]
    lines.append(f"{'exit, quit, help'.ljust(width)}  The same as \\q and \\?.")
    lines.append(f"The formats are {', '.join(FORMATS)}.")
    shell.write("A statement ends with a semicolon. Besides, there are these commands:\n" + "\n".join(lines) + "\n")


def _describe(shell: Shell, arguments: Sequence[str]) -> None:
    catalog = shell.connection.catalog
    if not arguments:
        shell.run("SHOW PROVIDERS")
        if shell.connection.tables():
            shell.run("SHOW TABLES")
        return
    (name,) = arguments
    path = name.split(".")
    if len(path) > 3 or not catalog.has_provider(path[0]):
        shell.run(f"DESCRIBE {name}")
    elif len(path) == 1:
        shell.run(f"SHOW SERVICES IN {name}")
    elif len(path) == 2:
        shell.run(f"SHOW RESOURCES IN {name}")
    else:
        shell.run(f"DESCRIBE {name}; SHOW METHODS IN {name}")


def _include(shell: Shell, arguments: Sequence[str]) -> None:
    shell.run_file(arguments[0])


def _set(shell: Shell, arguments: Sequence[str]) -> None:
    layout = shell.layout
    match arguments:
        case []:
            pass
        case ["format", *names]:
            name = names[0] if names else FORMATS[0]
            if name not in FORMATS:
                raise ProgrammingError(f'there is no format "{name}"', remedy=did_you_mean(name, FORMATS))
            layout.format_name = name
        case ["null", *text]:
            layout.null = text[0] if text else None
        case ["max_width", *number]:
            if number and not number[0].isdecimal():
                raise ProgrammingError(f'max_width cannot be "{number[0]}"', remedy="It is a number; 0 cuts nothing.")
            layout.max_width = int(number[0]) if number else None
        case [name, *_]:
            raise ProgrammingError(f'\\pset does not set "{name}"', remedy=did_you_mean(name, OPTIONS))
    for name, value in (("format", layout.format_name), ("null", layout.null), ("max_width", layout.max_width)):
        if name in arguments[:1] or not arguments:
            shell.diagnostics.note(f"{name}: {'its default' if value is None else value}")


def _time(shell: Shell, arguments: Sequence[str]) -> None:
    shell.timing = _switched("\\timing", arguments, shell.timing)
    shell.diagnostics.note(f"timing: {'on' if shell.timing else 'off'}")


def _expand(shell: Shell, arguments: Sequence[str]) -> None:
    shell.layout.expanded = _switched("\\x", arguments, shell.layout.expanded)
    shell.diagnostics.note(f"expanded display: {'on' if shell.layout.expanded else 'off'}")


def _switched(name: str, arguments: Sequence[str], now: bool) -> bool:
    """What on, off, or nothing makes of a switch."""
    word = arguments[0].lower() if arguments else ""
    if word not in ("", "on", "off"):
        raise ProgrammingError(f"{name} takes on or off")
    return word == "on" if word else not now


COMMANDS = (
    Command("\\q", "", "Quit; Ctrl-D does, too.", _quit),
    Command("\\?", "", "List the commands.", _help),
    Command("\\d", "[NAME]", "Describe a provider, service, resource or table.", _describe, 0, 1),
    Command("\\i", "FILE", "Run the statements of a file, up to the first that fails.", _include, 1, 1),
    Command("\\pset", "[NAME [VALUE]]", "Set format, null or max_width, or their defaults.", _set, 0, 2),
    Command("\\timing", "[on | off]", "Tell the time that each statement takes.", _time, 0, 1),
    Command("\\x", "[on | off]", "Show rows with a line for each value.", _expand, 0, 1),
)
