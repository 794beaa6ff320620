"""Lexical work on SQL text that must not look inside strings, quoted names and comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from provider.errors import BindError, Place, did_you_mean

#: `open` opens a text, a name or a comment that nothing closes.
_LEXEMES = re.compile(
    r"""
      (?P<string>[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*')
    | (?P<name>"(?:""|[^"])*")
    | (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
    | (?P<blank>\{\{\s*(?P<blank_name>[A-Za-z_][A-Za-z0-9_]*)\s*\}\})
    | (?P<question>\?)
    | (?P<parameter>(?<!\$)\$(?:[A-Za-z_]\w*|\d+))(?![\w$])
    | (?P<semicolon>;)
    | (?P<open>(?<!\w)[eE]'|['"]|/\*|\$[A-Za-z_]*\$)
    """,
    re.VERBOSE | re.DOTALL,
)
#: What SET gives may be a bare word.
_SETTING = re.compile(r"(SET\s(?:(?:SESSION|LOCAL|GLOBAL)\s)?[\w.]+\s?(?:=|TO\s)).*", re.IGNORECASE)
_NUMBER = re.compile(r'(?P<name>"(?:""|[^"])*"|\$?[A-Za-z_]\w*)|\d[\w.]*')
_WORD = re.compile(r"\w+")
#: Lexemes that are painted alike.
_KINDS = {"dollar": "string", "blank": "parameter", "question": "parameter"}
_BLANK = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Text:
    """One statement: the SQL that is parsed, and how its offsets lead back to what the user wrote.

    `original` is the whole script, so that places count its lines. `edits` holds (offset in sql, how much
    larger offsets in sql are than in the original from there on); an offset without one is the same in both.
    `closed` holds the stretches of sql out of which no name leads, the texts of views: (start, end, how long the name
    is that each stands for).
    """

    sql: str
    original: str
    edits: tuple[tuple[int, int], ...] = ()
    closed: tuple[tuple[int, int, int], ...] = ()

    def place(self, start: int, end: int) -> Place:
        """The user's own text for a stretch of `sql`; within a view that is the view's name."""
        if (view := self.view(start, end)) is not None:
            return view
        return Place(self.original, self._origin(start), max(self._origin(start) + 1, self._origin(end)))

    def view(self, start: int, end: int) -> Place | None:
        """The name of the view that the user wrote, where a stretch of `sql` stands in its text."""
        around = [c for c in self.closed if c[0] <= start and end <= c[1]]
        if not around:
            return None
        outermost = max(around, key=lambda c: c[1] - c[0])
        name = self._origin(outermost[0])
        return Place(self.original, name, name + outermost[2])

    def find(self, name: str) -> Place | None:
        """Where a name first stands as a word in the user's statement, whatever its case; unqualified if it does."""
        for before in (r"(?<![\w.])", r"(?<!\w)"):
            word = re.compile(rf"{before}{re.escape(name)}(?!\w)", re.IGNORECASE)
            if found := word.search(self.original, self._origin(0), self._origin(len(self.sql))):
                return Place(self.original, found.start(), found.end())
        return None

    def spliced(self, pieces: Iterable[tuple[int, int, str]], closed: Iterable[tuple[int, int, str]] = ()) -> Text:
        """The text with stretches of its SQL replaced: (start, end, replacement), without overlaps.

        The `closed` are replaced as well, and no name leads out of them.
        """
        shut = list(closed)
        pieces = sorted([*pieces, *shut])
        grown = [(end, len(new) - (end - start)) for start, end, new in pieces]

        def growth(offset: int) -> int:
            return sum(g for end, g in grown if end <= offset)

        edits = [(at + growth(at), shift + growth(at)) for at, shift in self.edits]
        edits += [(end + growth(end), self._shift(end) + growth(end)) for end, _ in grown]
        sql, at = "", 0
        for start, end, new in pieces:
            sql += self.sql[at:start] + new
            at = end
        stretches = [(start + growth(start), end + growth(end), name) for start, end, name in self.closed]
        stretches += [
            (start + growth(start), start + growth(start) + len(new), end - start) for start, end, new in shut
        ]
        return Text(sql + self.sql[at:], self.original, tuple(sorted(edits)), tuple(sorted(stretches)))

    def enclosure(self, start: int, end: int) -> tuple[int, int] | None:
        """The innermost closed stretch that holds a stretch of `sql`."""
        around = [c for c in self.closed if c[0] <= start and end <= c[1]]
        return min(((c[0], c[1]) for c in around), key=lambda c: c[1] - c[0], default=None)

    def _origin(self, offset: int) -> int:
        return min(max(0, offset - self._shift(offset)), len(self.original))

    def _shift(self, offset: int) -> int:
        return next((shift for at, shift in reversed(self.edits) if at <= offset), 0)


def statements(script: str) -> Iterator[str]:
    """The statements of a script, without their semicolons; empty ones are left out."""
    return (script[start:end] for start, end in spans(script))


def spans(script: str) -> Iterator[tuple[int, int]]:
    """Where the statements of a script begin and end."""
    start = 0
    for m in _LEXEMES.finditer(script):
        if m["semicolon"]:
            yield from _trimmed(script, start, m.start())
            start = m.end()
    yield from _trimmed(script, start, len(script))


def numbered(script: str, line: int = 1) -> Iterator[str]:
    """As `statements`, each behind as many line feeds as it takes for its lines to have their number in the script.

    Args:
        line: the number of the script's first line.
    """
    for start, end in spans(script):
        yield "\n" * (line - 1 + script.count("\n", 0, start)) + script[start:end]


def finished(script: str) -> int:
    """Where the last statement ends that has its semicolon: behind that. 0 when there is none.

    Semicolons in strings, quoted names and comments count for nothing, also where these are still open.
    """
    end = 0
    for m in _LEXEMES.finditer(script):
        if m["open"]:
            break
        if m["semicolon"]:
            end = m.end()
    return end


def is_open(text: str) -> bool:
    """Whether a text ends within a string, a quoted name or a comment."""
    last = None
    for last in _LEXEMES.finditer(text):
        if last["open"]:
            return True
    return last is not None and last.end() == len(text) and last[0].startswith("--")


def words(text: str) -> Iterator[tuple[str, int, int]]:
    """What a text is made of, for whoever paints it: (kind, start, end) of what stands between blanks and signs.

    The kinds are string, name (a quoted one), comment, parameter, number and word. What is still open goes on to the
    end.
    """
    at = 0
    for m in _LEXEMES.finditer(text):
        if m["semicolon"]:
            continue
        yield from _plain(text, at, m.start())
        if m["open"]:
            kind = {"/*": "comment", '"': "name"}.get(m["open"], "string")
            yield kind, m.start(), len(text)
            return
        yield _KINDS.get(m.lastgroup or "", m.lastgroup or ""), m.start(), m.end()
        at = m.end()
    yield from _plain(text, at, len(text))


def _plain(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    for m in _WORD.finditer(text, start, end):
        yield "number" if m[0][0].isdecimal() else "word", m.start(), m.end()


def _trimmed(script: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    part = script[start:end]
    if bare(part):
        yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def content(sql: str) -> tuple[int, int]:
    """Where a statement begins and ends without the blanks and comments around it."""
    blanked = _LEXEMES.sub(lambda m: " " * len(m[0]) if m["comment"] else m[0], sql)
    return len(blanked) - len(blanked.lstrip()), len(blanked.rstrip())


def bare(sql: str) -> str:
    """A statement without the blanks and comments around it; what stands within stays."""
    start, end = content(sql)
    return sql[start:end]


def without_values(sql: str) -> str:
    """A statement in one line with ? for its values, and without its comments: it may be shown to anybody.

    What follows a quote that nothing closes is a value, too: where the statement ends only a parser could guess.
    """
    kept = {"name", "blank", "question", "parameter", "semicolon"}
    parts, at = [], 0
    for m in _LEXEMES.finditer(sql):
        parts += [sql[at : m.start()], m[0] if m.lastgroup in kept else " " if m["comment"] else "?"]
        at = len(sql) if m["open"] else m.end()
        if m["open"]:
            break
    parts.append(sql[at:])
    text = " ".join(_NUMBER.sub(lambda m: m["name"] or "?", "".join(parts)).split())
    return _SETTING.sub(r"\1 ?", text)


def comments(sql: str) -> Iterator[str]:
    """The comments of a text, with the marks around them."""
    return (m[0] for m in _LEXEMES.finditer(sql) if m["comment"])


def number_placeholders(script: str, start: int = 0, end: int | None = None) -> Text:
    """Give each `?` of a statement a name ($p1, $p2, ...), so that parts of it can be run on their own.

    A blank is put behind each parameter: sqlglot takes `$a,$` for the opening of a dollar-quoted string.

    Args:
        start: where the statement begins in its script, and `end` where it ends.
    """
    parts: list[str] = []
    end = len(script) if end is None else end
    edits: list[tuple[int, int]] = [(0, -start)] if start else []
    at, count, size, shift = start, 0, 0, -start
    for m in _LEXEMES.finditer(script, start, end):
        if m["question"]:
            count += 1
        elif not m["parameter"]:
            continue
        # `$1` is the first of a sequence too, and DuckDB does not let numbers stand beside names.
        name = m["parameter"][1:] if m["parameter"] else str(count)
        named = f"$p{name} " if name.isdigit() else f"${name} "
        piece = script[at : m.start()] + named
        parts.append(piece)
        size += len(piece)
        shift += len(named) - (m.end() - m.start())
        edits.append((size, shift))
        at = m.end()
    return Text("".join([*parts, script[at:end]]), script, tuple(edits))


_QUERY = re.compile(r"\s*(?:SELECT|FROM)\b", re.IGNORECASE)
#: What may have a meaning of ours: a name with parts, a call, a value that is to be filled in, a further statement.
_OURS = re.compile(r"[\w\"]\s*(?:\.(?!\d)|\()|[?${};]")


def stands_alone(sql: str) -> bool:
    """Whether a text is one query without any name of which planning knows more than DuckDB does.

    It has no name with parts, as resources have, no call of a function, as StackQL's have a meaning of their own,
    and no parameters.
    """
    read = _LEXEMES.sub(lambda m: "''" if m["string"] else " " if m["comment"] else m[0], sql)
    return _QUERY.match(read) is not None and _OURS.search(read) is None


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
