"""The command `apiql query`: statements from the command line or from a file."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import click

from provider.interfaces import output
from provider.interfaces.connecting import connect, connection_options, parameter_option, write_options
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.printing import Layout, Printer, layout_options


@click.command()
@click.argument("sql", required=False)
@click.option("-f", "--file", "script", type=click.File(encoding="utf-8"), help="Read the SQL from a file; - is stdin.")
@output.format_option
@parameter_option
@click.option("--dry-run", is_flag=True, help="Print the plan and the requests of writes; write nothing.")
@write_options
@click.option(
    "--resume",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep a journal of writes, and leave out what it calls done.",
)
@click.option(
    "--last-writes",
    type=click.File("w", encoding="utf-8", lazy=False),
    metavar="FILE",
    help="Write apiql.last_writes to a CSV file at the end, also after an error: what became of each row.",
)
@connection_options
@layout_options
@click.make_pass_decorator(Diagnostics)
def query(
    diagnostics: Diagnostics,
    /,
    sql: str | None,
    script: Any,
    format_name: str,
    parameters: tuple[tuple[str, str], ...],
    dry_run: bool,
    last_writes: TextIO | None,
    no_header: bool,
    null: str | None,
    max_width: int | None,
    **connecting: Any,
) -> None:
    """Run SQL and print the rows.

    SQL is one statement or several, divided by semicolons and run in order; - reads it from stdin. The first
    statement that fails ends the script.
    """
    if (sql is None) == (script is None):
        raise click.UsageError("give the SQL, or -f FILE")
    try:
        text = script.read() if script is not None else sys.stdin.read() if sql == "-" else str(sql)
    except UnicodeDecodeError as e:
        raise click.UsageError(f"the SQL is not UTF-8: {e}") from None

    import provider
    from provider.sql.scanner import fill, numbered

    values = dict(parameters)
    found = list(numbered(fill(text, values)))
    if not found:
        raise click.UsageError("there is no statement")
    layout = Layout(format_name, not no_header, null, max_width)
    with connect(diagnostics, **connecting) as connection, output.stdout() as write:
        printer = Printer(connection, diagnostics, write, layout, values, keeps=last_writes is None)
        try:
            for number, statement in enumerate(found, 1):
                try:
                    if dry_run:
                        printer.preview(statement)
                    else:
                        printer.run(statement)
                except provider.Error:
                    if len(found) > 1:
                        diagnostics.note(f"statement {number} of {len(found)} failed:")
                    raise
        finally:
            printer.end("the script")
            if last_writes is not None:
                printer.account(last_writes)
