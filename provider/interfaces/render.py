"""Rows as text: one function a format.

Each takes the columns, the rows in one batch or more, and a `write`. Rows are written as they come; no format
holds more than one batch.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import ne
from typing import Any

from provider.interfaces.values import Encoder, cell, json_text, visible

Row = tuple[Any, ...]
Write = Callable[[str], object]

#: Rows of a batch; the widths of a table's columns come from its first.
BATCH = 1_000
#: What a column that is cut has left at least, in columns of a terminal.
_LEAST = 10

_SPECIAL = re.compile(r'[",\r\n]')
_NUMERIC = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|UINTEGER|BIGNUM|FLOAT|DOUBLE|DECIMAL\(.*\))$")


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and DuckDB type."""

    name: str
    type: str

    @property
    def is_numeric(self) -> bool:
        """Whether values are aligned to the right."""
        return _NUMERIC.match(self.type) is not None


@dataclass(frozen=True, slots=True)
class Style:
    """What can be chosen about table, markdown and csv.

    `null` stands for NULL; None is the format's own. `max_width` cuts values of a table, in characters; 0 does not.
    `width` is how many columns of a terminal a table may take; 0 stands for any number.
    """

    header: bool = True
    null: str | None = None
    max_width: int = 0
    width: int = 0


@dataclass(slots=True)
class Written:
    """What came of it: rows written, and values that were cut."""

    rows: int = 0
    cut: int = 0


Format = Callable[[Sequence[Column], Iterable[Sequence[Row]], Write, Style], Written]


def csv(columns: Sequence[Column], batches: Iterable[Sequence[Row]], write: Write, style: Style) -> Written:
    """RFC 4180 with line feeds. NULL is nothing, the empty string is `""`."""
    null = style.null or ""

    def quoted(text: str) -> str:
        if text in ("", null) or _SPECIAL.search(text):
            return '"' + text.replace('"', '""') + '"'
        return text

    encoders = [cell(c.type) for c in columns]
    written = Written()
    if style.header:
        write(",".join(quoted(c.name) for c in columns) + "\n")
    for batch in batches:
        lines = []
        for row in batch:
            pairs = zip(row, encoders, strict=True)
            lines.append(",".join(null if v is None else quoted(encode(v)) for v, encode in pairs) + "\n")
        write("".join(lines))
        written.rows += len(batch)
    return written


def json(columns: Sequence[Column], batches: Iterable[Sequence[Row]], write: Write, style: Style) -> Written:
    """One array of objects, a line each."""
    written = Written()
    write("[")
    for objects in _objects(columns, batches):
        write("".join(f"{',' if written.rows + i else ''}\n  {o}" for i, o in enumerate(objects)))
        written.rows += len(objects)
    write("\n]\n" if written.rows else "]\n")
    return written


def jsonl(columns: Sequence[Column], batches: Iterable[Sequence[Row]], write: Write, style: Style) -> Written:
    """One object a line."""
    written = Written()
    for objects in _objects(columns, batches):
        write("".join(f"{o}\n" for o in objects))
        written.rows += len(objects)
    return written


def _objects(columns: Sequence[Column], batches: Iterable[Sequence[Row]]) -> Iterator[list[str]]:
    string = json_text("VARCHAR")
    names = [string(n) + ": " for n in distinct([c.name for c in columns])]
    encoders = [json_text(c.type) for c in columns]
    for batch in batches:
        yield [
            "{"
            + ", ".join(
                f"{n}null" if v is None else n + encode(v) for n, encode, v in zip(names, encoders, row, strict=True)
            )
            + "}"
            for row in batch
        ]


def distinct(names: Sequence[str]) -> list[str]:
    """The names, with `_1`, `_2`, ... behind those that were there before: an object has a key once."""
    taken = set(names)
    found: list[str] = []
    for name in names:
        number, candidate = 0, name
        while candidate in found or (number and candidate in taken):
            number += 1
            candidate = f"{name}_{number}"
        found.append(candidate)
    return found


def markdown(columns: Sequence[Column], batches: Iterable[Sequence[Row]], write: Write, style: Style) -> Written:
    """A table of GitHub's Markdown; it has a header in any case."""
    null = markdown_cell("NULL" if style.null is None else style.null)
    encoders = [cell(c.type) for c in columns]
    written = Written()
    write("| " + " | ".join(markdown_cell(c.name) for c in columns) + " |\n")
    write("| " + " | ".join("---:" if c.is_numeric else "---" for c in columns) + " |\n")
    for batch in batches:
        for row in batch:
            cells = (null if v is None else markdown_cell(encode(v)) for v, encode in zip(row, encoders, strict=True))
            write("| " + " | ".join(cells) + " |\n")
        written.rows += len(batch)
    return written


_MARKUP = re.compile(r"[\\|`*\[\]]|(?<!\w)_|_(?!\w)")


def markdown_cell(text: str) -> str:
    """A text as a cell of a Markdown table shows it: nothing in it is markup."""
    escaped = _MARKUP.sub(r"\\\g<0>", text).replace("&", "&amp;").replace("<", "&lt;")
    lines = escaped.replace("\r\n", "\n").split("\n")
    return "<br>".join(visible(line) for line in lines)


def table(columns: Sequence[Column], batches: Iterable[Sequence[Row]], write: Write, style: Style) -> Written:
    """An aligned box. Its widths come from the first batch; wider values after that move their own line.

    What is wider than `style.width` has its widest columns cut, or is written as records where that leaves too little.
    """
    encoders = _encoders(columns, style)
    written = Written()

    def line(cells: Iterable[str]) -> str:
        parts = []
        for text, column, width in zip(cells, columns, widths, strict=True):
            padding = " " * (width - display_width(text))
            parts.append(padding + text if column.is_numeric else text + padding)
        return "| " + " | ".join(parts) + " |\n"

    names = [visible(c.name) for c in columns]
    widths: list[int] = []
    is_cut = False
    border = ""
    remaining = iter(batches)
    for batch in remaining:
        texts = [[encode(v) for v, encode in zip(row, encoders, strict=True)] for row in batch]
        cells = [[_shortened(text, style.max_width) for text in row] for row in texts] if style.max_width else texts
        if not widths:
            heads = [display_width(n) if style.header else 0 for n in names]
            natural = [max([h, *map(display_width, column)]) for h, *column in zip(heads, *cells, strict=True)]
            fitting = _fitting(columns, natural, style.width) if style.width else natural
            if fitting is None:
                return records(columns, chain([batch], remaining), write, style)
            widths, is_cut = fitting, fitting != natural
            border = "+" + "+".join("-" * (w + 2) for w in widths) + "+\n"
            head = [_clipped(n, w) for n, w in zip(names, widths, strict=True)] if is_cut else names
            write(border + line(head) + border if style.header else border)
        if is_cut:
            cells = [[_clipped(text, w) for text, w in zip(row, widths, strict=True)] for row in cells]
        write("".join(map(line, cells)))
        if cells is not texts:
            written.cut += sum(map(ne, chain.from_iterable(cells), chain.from_iterable(texts)))
        written.rows += len(batch)
    write(border)
    return written


def records(columns: Sequence[Column], batches: Iterable[Sequence[Row]], write: Write, style: Style) -> Written:
    """A line for each value, behind its column's name; for rows that are too wide for a box."""
    encoders = _encoders(columns, style)
    written = Written()
    names = [visible(c.name) for c in columns]
    widest = max(map(display_width, names), default=0)
    heads = [name + " " * (widest - display_width(name)) + " | " for name in names]
    room = max(style.width - widest - 3, _LEAST) if style.width else 0
    for batch in batches:
        lines = []
        for number, row in enumerate(batch, written.rows + 1):
            title = f"-[ row {number:,} ]"
            lines.append(title + "-" * (min(style.width or 40, 79) - len(title)))
            for head, value, encode in zip(heads, row, encoders, strict=True):
                text = encode(value)
                shown = _clipped(text, room) if room else text
                written.cut += shown != text
                lines.append(head + shown)
        write("".join(f"{line.rstrip()}\n" for line in lines))
        written.rows += len(batch)
    return written


def _encoders(columns: Sequence[Column], style: Style) -> list[Encoder]:
    """Functions from values, NULL included, to what a terminal shows."""
    null = "NULL" if style.null is None else style.null

    def encoder(encode: Encoder) -> Encoder:
        return lambda value: visible(null if value is None else encode(value))

    return [encoder(cell(c.type)) for c in columns]


def _fitting(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int] | None:
    """Widths of a box's columns that is no wider than `width`, the widest cut first; None when too little is left.

    Numbers are not cut.
    """
    room = width - 3 * len(natural) - 1
    if sum(natural) <= room:
        return list(natural)
    for cap in range(max(natural), _LEAST - 1, -1):
        widths = [w if c.is_numeric else min(w, cap) for c, w in zip(columns, natural, strict=True)]
        if sum(widths) <= room:
            return widths
    return None


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _clipped(text: str, width: int) -> str:
    """As much of a text as takes `width` columns of a terminal."""
    if display_width(text) <= width:
        return text
    taken = accumulate(map(_character_width, text))
    return text[: sum(1 for w in taken if w < width)] + "…"


def display_width(text: str) -> int:
    """Columns that a text takes on a terminal: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_character_width(c) for c in text)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


FORMATS: dict[str, Format] = {"table": table, "csv": csv, "json": json, "jsonl": jsonl, "markdown": markdown}
