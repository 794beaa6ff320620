"""What is typed, or stands in a script, in portions that can be run: whole statements, or one backslash command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from provider.sql.scanner import bare, finished

#: Words that are commands where they stand alone, as in other shells.
WORDS = {"exit": "\\q", "quit": "\\q", "help": "\\?"}


@dataclass(frozen=True, slots=True)
class Input:
    """A text to run, and the number of its first line."""

    text: str
    line: int = 1


class Reader(Protocol):
    """Where inputs come from."""

    def read(self) -> Input:
        """The next input.

        Raises:
            EOFError: there is none.
            KeyboardInterrupt: what was typed so far is dropped.
        """


def command_of(text: str) -> str | None:
    r"""The backslash command that a text is, such as `\d openai`; None when it is none."""
    line = text.strip().rstrip(";").rstrip()
    if "\n" in line:
        return None
    return line if line.startswith("\\") else WORDS.get(line.lower())


def is_complete(text: str) -> bool:
    """Whether a text can be run as it stands: nothing follows its last semicolon or its last command."""
    reader, last = LineReader.of(text), ""
    with suppress(EOFError):
        while True:
            last = reader.read().text
    return command_of(last) is not None or not bare(last[finished(last) :])


class LineReader:
    """Inputs from lines.

    Args:
        read_line: the next line with its line feed, '' at the end. It is told whether a statement has begun.
    """

    def __init__(self, read_line: Callable[[bool], str]) -> None:
        self._read_line = read_line
        self._pending: list[str] = []
        self._line = 1

    @classmethod
    def of(cls, text: str) -> LineReader:
        """The inputs of a text."""
        lines = iter(text.splitlines(keepends=True))
        return cls(lambda _: next(lines, ""))

    def read(self) -> Input:
        """The next input; at the end of the lines that is what is left, without its semicolon."""
        try:
            while line := self._read_line(bool(self._pending)):
                if not self._pending and (not line.strip() or command_of(line) is not None):
                    self._pending.append(line)
                    return self._taken(len(line))
                self._pending.append(line)
                # Only a line with a semicolon can end a statement; a long one is not looked through for each line.
                if ";" in line and (end := finished(text := "".join(self._pending))):
                    return self._taken(end if bare(text[end:]) else len(text))
        except BaseException:
            self._pending.clear()
            raise
        if not self._pending:
            raise EOFError
        return self._taken(sum(map(len, self._pending)))

    def _taken(self, end: int) -> Input:
        """The first characters of what is pending; the others stay so."""
        text = "".join(self._pending)
        found = Input(text[:end], self._line)
        self._line += text.count("\n", 0, end)
        self._pending = [text[end:]] if end < len(text) else []
        return found
