"""Results as people and programs want them: rows to stdout, and what is to be said about them to stderr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import click

from provider.errors import Error
from provider.interfaces import output
from provider.interfaces.connecting import options
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.words import count

if TYPE_CHECKING:
    from provider.engine.connection import Connection
    from provider.engine.cursor import Cursor
    from provider.interfaces.render import Column, Format, Row, Style, Write

#: How results look beside their format.
layout_options = options(
    click.option("--no-header", is_flag=True, help="No line of names: csv and table."),
    click.option("--null", metavar="TEXT", help="What stands for NULL: csv (nothing), table and markdown (NULL)."),
    click.option(
        "--max-width",
        type=click.IntRange(min=0),
        metavar="N",
        help=f"Cut longer values of a table; 0 does not. Default: {output.TERMINAL_WIDTH} on a terminal, otherwise 0.",
    ),
)


@dataclass(slots=True)
class Layout:
    """How results are to look.

    `format_name` is one of `output.FORMATS`, `header` says whether there is a line of names, and `null` what stands for
    NULL, None for the format's own. `max_width` cuts the values of a table, 0 does not, and None does on a terminal.
    `expanded` is a line for each value in place of a table.
    """

    format_name: str = "table"
    header: bool = True
    null: str | None = None
    max_width: int | None = None
    expanded: bool = False

    @property
    def is_for_people(self) -> bool:
        """Whether a person is to read it."""
        return self.format_name == "table"

    def style(self) -> Style:
        """The same in the terms of a format, for the terminal as wide as it is now."""
        from provider.interfaces.render import Style

        max_width, width = output.widths() if self.max_width is None else (self.max_width, 0)
        return Style(header=self.header, null=self.null, max_width=max_width, width=width)

    def render(self) -> Format:
        """What writes rows so."""
        from provider.interfaces import render

        return render.records if self.expanded and self.is_for_people else render.FORMATS[self.format_name]


class Printer:
    """Runs statements and prints what they give.

    Args:
        layout: how; it may be changed between two statements.
        values: of `$name` in statements.
        whole: how values are shown whole, for the remark that some were cut.
        keeps: whether a way back that is too long for an error is kept in a file, since nothing else keeps it.
    """

    def __init__(
        self,
        connection: Connection,
        diagnostics: Diagnostics,
        write: Write,
        layout: Layout,
        values: Mapping[str, str],
        whole: str = "--max-width 0",
        *,
        keeps: bool,
    ) -> None:
        self._connection = connection
        self._diagnostics = diagnostics
        self._write = write
        self._layout = layout
        self._values = values
        self._whole = whole
        self._keeps = keeps
        self._printed = False

    def begin(self) -> None:
        """What follows stands by itself: nothing divides it from what was printed before."""
        self._printed = False

    def preview(self, statement: str) -> None:
        """Print the plan of a statement, and the requests that its writes would send."""
        self._divide()
        self._write(self._connection.dry_run(statement, self._values).rstrip("\n") + "\n")

    def run(self, statement: str) -> None:
        """Run a statement and print its rows. What is left of them when that fails is given up."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(statement, self._values)
            except Error as error:
                self._keep(error, cursor)
                raise
            if cursor.description is None:
                self._diagnostics.note(cursor.message)
                return
            self._divide()
            if cursor.is_text:
                self._print_text(cursor)
            elif cursor.is_lines and self._layout.is_for_people:
                self._print_lines(cursor)
            else:
                self._print(cursor)

    def end(self, what: str) -> None:
        """Give up a transaction that `what`, such as the script, did not end."""
        if self._connection.in_transaction:
            message = self._connection.execute("ROLLBACK").message
            self._diagnostics.warning(f"{what} ended within a transaction: {message}")

    def account(self, file: IO[str]) -> None:
        """Write down what became of each row of the last write."""
        from provider.interfaces.render import Style, csv

        cursor = self._connection.execute("SELECT * FROM apiql.last_writes")
        csv(_columns(cursor), _batches(cursor), file.write, Style())
        file.flush()

    def _keep(self, error: Error, cursor: Cursor) -> None:
        """Put the way back into a file where the error has only a part of it: the tables end with the command."""
        from tempfile import NamedTemporaryFile

        from provider.engine.undoing import LISTED

        if self._keeps and sum(1 for row in cursor.report.writes if row.inverse is not None) > LISTED:
            with NamedTemporaryFile(
                "w", encoding="utf-8", prefix="apiql-last-writes-", suffix=".csv", delete=False
            ) as file:
                self.account(file)
            error.remedy += f"\nFor this command it is kept in {file.name}"

    def _print_text(self, cursor: Cursor) -> None:
        """A text in pieces, as it comes; and what became of the operation that wrote it."""
        end = ""
        try:
            for rows in _batches(cursor):
                text = "".join(piece for (piece,) in rows)
                self._write(text)
                end = text[-1:] or end
        finally:
            if end not in ("", "\n"):
                self._write("\n")
            output.flush()
        self._diagnostics.note(cursor.message)

    def _print_lines(self, cursor: Cursor) -> None:
        """A plan or a statement, whole: to be read, or copied, without a box."""
        for rows in _batches(cursor):
            self._write("".join(f"{str(row[-1]).rstrip()}\n" for row in rows))

    def _print(self, cursor: Cursor) -> None:
        style = self._layout.style()
        written = self._layout.render()(_columns(cursor), _batches(cursor), self._write, style)
        requests = cursor.report.requests
        sent = f", {count(requests, 'request')}" if requests else ""
        gap = "\n" if "\n" in cursor.message else " "
        done = cursor.message + gap if cursor.message else ""
        self._diagnostics.note(f"{done}({count(written.rows, 'row')}{sent})")
        if written.cut:
            fitted = f" or to fit {style.width} columns" if style.width else ""
            self._diagnostics.note(
                f"{count(written.cut, 'value')} cut at {style.max_width} characters{fitted}; {self._whole} shows all"
            )
        for scan in cursor.report.scans:
            for field, bad in scan.bad_values.items():
                self._diagnostics.warning(f"{count(bad, 'value')} of {scan.resource}.{field} did not fit: NULL")
        if cursor.report.truncated:
            ended = "; ".join(f"{s.resource}: {s.ended}" for s in cursor.report.scans if s.ended != "complete")
            one_page = "EXEC gives one page of a list, and there are more; SELECT reads them all"
            why = f"a limit ended the reading ({ended})" if ended else one_page
            self._diagnostics.warning(f"rows are missing: {why}")

    def _divide(self) -> None:
        # Tables of several statements are divided for the eye; formats for machines have nothing between them.
        if self._printed and self._layout.format_name in ("table", "markdown"):
            self._write("\n")
        self._printed = True


def _columns(cursor: Cursor) -> list[Column]:
    from provider.interfaces.render import Column

    return [Column(d[0], d[1]) for d in cursor.description or ()]


def _batches(cursor: Cursor) -> Iterator[list[Row]]:
    """The rows in batches, of which there is at least one; what is written is seen while the next one is waited for."""
    from provider.interfaces.render import BATCH

    output.flush()
    yield cursor.fetchmany(BATCH)
    output.flush()
    while rows := cursor.fetchmany(BATCH):
        yield rows
        output.flush()
