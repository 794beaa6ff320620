"""The command `apiql journal`: what a journal of writes says, and telling it what somebody found out."""

from __future__ import annotations

import re
from typing import Any

import click

from provider.interfaces import output


class _Rows(click.ParamType[tuple[int, ...]]):
    """Row numbers: 7,12-15."""

    name = "rows"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        found: list[int] = []
        for part in str(value).split(","):
            m = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
            if m is None:
                self.fail(f"{part!r} is no row and no range of rows, such as 7 or 12-15", param, ctx)
            found += range(int(m[1]), int(m[2] or m[1]) + 1)
        return tuple(found)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--done", type=_Rows(), metavar="ROWS", help="These rows of unknown outcome are there.")
@click.option("--not-done", type=_Rows(), metavar="ROWS", help="These rows of unknown outcome are not there.")
@click.option("--statement", type=click.IntRange(min=1), metavar="N", help="Whose rows; the writes are counted from 1.")
@output.format_option
def journal(
    file: str,
    done: tuple[int, ...] | None,
    not_done: tuple[int, ...] | None,
    statement: int | None,
    format_name: str,
) -> None:
    """List what a journal of writes knows, or settle rows of unknown outcome.

    A journal is what `apiql query --resume FILE` keeps. ROWS are numbers and ranges: 7,12-15.
    """
    from provider.engine.journal import Journal
    from provider.interfaces.render import FORMATS, Column, Style

    with Journal(file) as kept, output.stdout() as write:
        if done is not None:
            kept.settle("done", done, statement)
        if not_done is not None:
            kept.settle("not done", not_done, statement)
        names = ("statement", "row", "event", "request", "status", "id", "error")
        numbers = ("statement", "row", "status")
        columns = [Column(n, "BIGINT" if n in numbers else "VARCHAR") for n in names]
        rows = [tuple(getattr(e, n) for n in names) for e in kept if statement in (None, e.statement)]
        max_width, width = output.widths()
        FORMATS[format_name](columns, iter([rows]), write, Style(null="", max_width=max_width, width=width))
