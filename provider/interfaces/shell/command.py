"""The command `apiql shell`, which `apiql` alone is, too."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from provider.interfaces import output
from provider.interfaces.connecting import connect, connection_options, parameter_option, write_options
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.printing import Layout, Printer, layout_options


@click.command()
@output.format_option
@parameter_option
@write_options
@connection_options
@layout_options
@click.make_pass_decorator(Diagnostics)
def shell(
    diagnostics: Diagnostics,
    /,
    format_name: str,
    parameters: tuple[tuple[str, str], ...],
    no_header: bool,
    null: str | None,
    max_width: int | None,
    **connecting: Any,
) -> None:
    r"""Run statements as they are typed.

    A statement ends with a semicolon; \? lists further commands. Where stdin is no terminal, the statements that come
    from there are run, and the first that fails ends it.
    """
    from provider.interfaces.shell.inputs import LineReader, Reader
    from provider.interfaces.shell.loop import Shell

    values = dict(parameters)
    layout = Layout(format_name, not no_header, null, max_width)
    with connect(diagnostics, **connecting) as connection, output.stdout() as write:
        is_conversing = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        # Who converses can still ask apiql.last_writes for it.
        keeps = not is_conversing
        printer = Printer(connection, diagnostics, write, layout, values, whole="\\pset max_width 0", keeps=keeps)
        one = Shell(connection, diagnostics, printer, layout, write, values)
        try:
            if not is_conversing:
                one.run_script(LineReader(lambda _: sys.stdin.readline() if sys.stdin is not None else ""))
                return
            reader: Reader = LineReader(one.ask_for_line)
            if os.environ.get("TERM") != "dumb":
                from provider.interfaces.shell.prompt import Prompt

                reader = Prompt(connection, one.prompt, os.environ, diagnostics)
            one.converse(reader)
        finally:
            printer.end("the session" if is_conversing else "the script")
