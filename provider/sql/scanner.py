"""Lexical work on SQL text that must not look inside strings, quoted names and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from provider.errors import BindError, Place, did_you_mean

_LEXEMES = re.compile(
    r"""
      (?P<string>[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*')
    | (?P<name>"(?:""|[^"])*")
    | (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
    | (?P<blank>\{\{\s*(?P<blank_name>[A-Za-z_][A-Za-z0-9_]*)\s*\}\})
    | (?P<question>\?)
    | (?P<parameter>\$(?:[A-Za-z_]\w*|\d+))(?![\w$])
    | (?P<semicolon>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Text:
    """One statement: the SQL that is parsed, and how its offsets lead back to what the user wrote.

    `edits` holds (offset in sql, how much longer the sql is than the original from there on).
    """

    sql: str
    original: str
    edits: tuple[tuple[int, int], ...] = ()

    def place(self, start: int, end: int) -> Place:
        """The user's own text for a stretch of `sql`."""
        return Place(self.original, self._origin(start), max(self._origin(start) + 1, self._origin(end)))

    def _origin(self, offset: int) -> int:
        shift = 0
        for at, delta in self.edits:
            if at > offset:
                break
            shift = delta
        return min(max(0, offset - shift), len(self.original))


def statements(script: str) -> Iterator[str]:
    """The statements of a script, without their semicolons; empty ones are left out."""
    start = 0
    for m in _LEXEMES.finditer(script):
        if m["semicolon"]:
            if _has_content(script[start : m.start()]):
                yield script[start : m.start()].strip()
            start = m.end()
    if _has_content(script[start:]):
        yield script[start:].strip()


def _has_content(text: str) -> bool:
    return bool(_LEXEMES.sub(lambda m: "" if m["comment"] else m[0], text).strip())


def number_placeholders(original: str) -> Text:
    """Give each `?` a name ($p1, $p2, ...), so that parts of a statement can be run on their own.

    A blank is put behind each parameter: sqlglot takes `$a,$` for the opening of a dollar-quoted string.
    """
    parts: list[str] = []
    edits: list[tuple[int, int]] = []
    at = count = size = shift = 0
    for m in _LEXEMES.finditer(original):
        if m["question"]:
            count += 1
        elif not m["parameter"]:
            continue
        # `$1` is the first of a sequence too, and DuckDB does not let numbers stand beside names.
        name = m["parameter"][1:] if m["parameter"] else str(count)
        named = f"$p{name} " if name.isdigit() else f"${name} "
        piece = original[at : m.start()] + named
        parts.append(piece)
        size += len(piece)
        shift += len(named) - (m.end() - m.start())
        edits.append((size, shift))
        at = m.end()
    return Text("".join([*parts, original[at:]]), original, tuple(edits))


def fill(script: str, values: Mapping[str, str]) -> str:
    """Fill `{{ name }}` placeholders: inside a string the value is escaped, elsewhere it becomes a string.

    Raises:
        BindError: a placeholder without a value; it names all that are missing.
    """
    missing: dict[str, Place] = {}

    def value(name: str, start: int, end: int) -> str:
        if name not in values:
            missing.setdefault(name, Place(script, start, end))
        return values.get(name, "").replace("'", "''")

    def replace(m: re.Match[str]) -> str:
        if m["blank"]:
            return "'" + value(m["blank_name"], m.start(), m.end()) + "'"
        if m["string"]:
            return _BLANK.sub(lambda b: value(b[1], m.start() + b.start(), m.start() + b.end()), m[0])
        return m[0]

    filled = _LEXEMES.sub(replace, script)
    if missing:
        names = list(missing)
        raise BindError(
            f"no value for the placeholder{'s' if len(names) > 1 else ''} {', '.join(names)}",
            place=missing[names[0]],
            reason=did_you_mean(names[0], values) if values else "",
            remedy="Give " + " ".join(f"-p {n}=VALUE" for n in names),
        )
    return filled
