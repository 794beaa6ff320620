"""The loop of the shell: an input after the other is run, by a person's leave or until one fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from provider import __version__
from provider.errors import Error, OperationalError, ProgrammingError
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.printing import Layout, Printer
from provider.interfaces.shell.commands import COMMANDS, arguments_of
from provider.interfaces.shell.inputs import LineReader, Reader, command_of
from provider.sql.scanner import fill, numbered

if TYPE_CHECKING:
    from provider.engine.connection import Connection
    from provider.interfaces.render import Write


class Shell:
    """Runs inputs on a connection.

    Args:
        layout: the printer's, which commands change.
        write: where help goes.
        values: of `{{ name }}`.

    Attributes:
        timing: whether the time of each statement is told.
    """

    def __init__(
        self,
        connection: Connection,
        diagnostics: Diagnostics,
        printer: Printer,
        layout: Layout,
        write: Write,
        values: Mapping[str, str],
    ) -> None:
        self.connection = connection
        self.diagnostics = diagnostics
        self.layout = layout
        self.write = write
        self.timing = False
        self._printer = printer
        self._values = values
        self._files: list[Path] = []
        self._is_over = False

    def converse(self, reader: Reader) -> None:
        """Run what a person types until they leave; errors and Ctrl-C end a statement, not the shell."""
        self.diagnostics.note(f"apiql {__version__}: SQL for REST APIs. \\? for help, \\q to quit.")
        while not self._is_over:
            try:
                text = reader.read().text
                self.diagnostics.exit_code(partial(self._attempt, text))
            except KeyboardInterrupt:
                continue
            except EOFError:
                return

    def run_script(self, reader: Reader) -> None:
        """Run inputs to their end.

        Raises:
            Error: of the first one that fails; those behind it are not run.
        """
        while not self._is_over:
            try:
                found = reader.read()
            except EOFError:
                return
            except UnicodeDecodeError as e:
                raise ProgrammingError(f"the SQL is not UTF-8: {e}") from None
            # Line ends in front keep the numbers of the script's lines.
            self.run("\n" * (found.line - 1) + found.text)

    def run(self, text: str) -> None:
        """Run statements, or a backslash command.

        Raises:
            Error: of the first that fails.
        """
        command = command_of(text)
        if command is not None:
            self._run_command(command)
            return
        for statement in numbered(fill(text, self._values)):
            began_at = time.perf_counter()
            try:
                self._printer.run(statement)
            finally:
                if self.timing:
                    self.diagnostics.note(f"Time: {(time.perf_counter() - began_at) * 1000:,.1f} ms")

    def run_file(self, name: str) -> None:
        r"""Run the script in a file, to which `\q` in it is an end.

        Raises:
            Error: it cannot be read, or a statement of it failed.
        """
        path = Path(name).expanduser()
        if path.resolve() in self._files:
            raise ProgrammingError(f"{name} runs itself")
        self._files.append(path.resolve())
        try:
            with path.open(encoding="utf-8") as file:
                self.run_script(LineReader(lambda _: file.readline()))
        except OSError as e:
            raise OperationalError(f"{name} cannot be read", reason=e.strerror or str(e)) from None
        except Error:
            self.diagnostics.note(f"{name} ends here, since a statement failed:")
            raise
        finally:
            self._files.pop()
            self._is_over = False

    def leave(self) -> None:
        """Read no further input."""
        self._is_over = True

    def prompt(self, pending: bool) -> str:
        """What stands in front of a line, as psql writes it; `pending` says that a statement has begun."""
        return f"apiql{'-' if pending else '='}{'*' if self.connection.in_transaction else ''}> "

    def ask_for_line(self, pending: bool) -> str:
        """A line from a terminal that can do nothing but print.

        Raises:
            EOFError: Ctrl-D.
            KeyboardInterrupt: Ctrl-C.
        """
        self.diagnostics.ask(self.prompt(pending))
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            self.diagnostics.note("")
            raise
        if not line:
            self.diagnostics.note("")
            raise EOFError
        return line

    def _attempt(self, text: str) -> None:
        """Run what was typed, which may be several inputs, and leave where nobody reads stdout any more."""
        self._printer.begin()
        try:
            self.run_script(LineReader.of(text))
        except BrokenPipeError:
            self.leave()

    def _run_command(self, line: str) -> None:
        name, *arguments = arguments_of(line)
        command = next((c for c in COMMANDS if c.name == name), None)
        if command is None:
            raise ProgrammingError(f"there is no command {name}", remedy="\\? lists those that there are.")
        if not command.least <= len(arguments) <= command.most:
            raise ProgrammingError(f"{name} is not used so", remedy=f"{command.usage}: {command.help}")
        command.run(self, arguments)
