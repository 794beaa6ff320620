"""StackQL's SQL over DuckDB: which functions a statement means, and what is written in their place.

StackQL runs on SQLite. A name that DuckDB does not have, and a call that it would refuse, always get SQLite's
meaning. What DuckDB understands in another way keeps DuckDB's meaning, unless the dialect is 'stackql'.
Calls become calls of macros named `stackql_...`; `provider.engine.macros` defines them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]  # re-exported without saying so

from provider.sql.scanner import Text, content

#: What the macros' names begin with.
PREFIX = "stackql_"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a statement is read.

    `name` says whose meaning wins where both have one; `own` are the user's functions, in lower case, which
    keep their names; `settings` are those that `current_setting` looks up in `apiql.settings`.
    """

    name: Literal["duckdb", "stackql"] = "duckdb"
    own: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()

    @property
    def is_stackql(self) -> bool:
        """Whether SQLite's meaning wins."""
        return self.name == "stackql"


#: DuckDB has none of these, or none that takes arguments in parentheses.
_MISSING = frozenset(
    {
        "aws_policy_equal",
        "char",
        "datetime",
        "iif",
        "json_equal",
        "json_patch",
        "julianday",
        "quote",
        "regexp_like",
        "regexp_substr",
        "string",
        "time",
        "total",
        "unixepoch",
    }
)
#: DuckDB has these with another meaning, which it keeps unless the dialect is 'stackql'.
_OTHER = frozenset({"json_type", "regexp_replace", "split_part", "typeof"})
#: These depend on the arguments.
_DEPENDS = frozenset({"current_setting", "date", "format", "json_each", "json_extract", "max", "min", "strftime"})
NAMES = _MISSING | _OTHER | _DEPENDS
#: Functions of a time and its modifiers.
_TIMES = frozenset({"date", "datetime", "julianday", "strftime", "time", "unixepoch"})
#: Formats of strftime's that are functions of their own here, and letters that DuckDB has others for.
_WHOLE_FORMATS = {"%s": "unixtext", "%J": "juliantext"}
_FORMATS = {"%f": "%S.%g", "%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M"}
_CALL = re.compile(rf"(?<![\w.\"])(?:(?:{'|'.join(sorted(NAMES))})\s*\(|REGEXP\s)", re.IGNORECASE)
_LIKE = re.compile(r"(?<![\w.\"])LIKE\s", re.IGNORECASE)
#: Statements that define something by these names, or have a LIKE of their own.
_LEFT_ALONE = re.compile(r"SHOW\b|CREATE\s+(?:UNIQUE\s+)?INDEX\b|PRAGMA\b|SET\b|RESET\b", re.IGNORECASE)
_DEFINES = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMP(?:ORARY)?\s+)?(?:MACRO|FUNCTION)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:\w+\.)*(\w+)",
    re.IGNORECASE,
)

#: Behind these a name with parentheses is a type, or something that is being defined.
_NO_CALL_BEHIND = {
    TokenType.ALIAS,
    TokenType.DCOLON,
    TokenType.DOT,
    TokenType.IDENTIFIER,
    TokenType.INTO,
    TokenType.REFERENCES,
    TokenType.R_BRACKET,
    TokenType.R_PAREN,
    TokenType.TABLE,
    TokenType.VAR,
    TokenType.VIEW,
    TokenType.WITH,
}
_COMPARISONS = {TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.LTE, TokenType.GT, TokenType.GTE}
_COMPARED = _COMPARISONS | {TokenType.BETWEEN, TokenType.AND}
_ARITHMETIC = {TokenType.PLUS, TokenType.DASH, TokenType.STAR, TokenType.SLASH, TokenType.MOD}
_OPEN = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSE = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}
#: What ends a value, and what a value can begin with.
_ENDS = {
    TokenType.VAR,
    TokenType.IDENTIFIER,
    TokenType.STRING,
    TokenType.NULL,
    TokenType.NUMBER,
    TokenType.R_PAREN,
    TokenType.R_BRACKET,
}
_BEGINS = {TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.L_PAREN, TokenType.PARAMETER}
_LIST_ENDS = {
    None,
    TokenType.EXCEPT,
    TokenType.FROM,
    TokenType.GROUP_BY,
    TokenType.HAVING,
    TokenType.INTERSECT,
    TokenType.INTO,
    TokenType.LIMIT,
    TokenType.ORDER_BY,
    TokenType.QUALIFY,
    TokenType.UNION,
    TokenType.WHERE,
}
#: What stands before a name rather than an operator.
_NO_VALUE_BEFORE = {
    None,
    TokenType.ALIAS,
    TokenType.COMMA,
    TokenType.DISTINCT,
    TokenType.DOT,
    TokenType.FROM,
    TokenType.JOIN,
    TokenType.L_PAREN,
    TokenType.SELECT,
    TokenType.WHERE,
}
#: Operators that bind more closely than REGEXP.
_CLOSER = {TokenType.DPIPE, TokenType.DCOLON, TokenType.ARROW, TokenType.DARROW}


@dataclass(frozen=True, slots=True)
class _Call:
    """`name(arguments)`: indexes of its tokens, and of the first and last token of each argument."""

    name: str
    start: int
    end: int
    arguments: tuple[tuple[int, int], ...]


def names_any(sql: str) -> bool:
    """Whether a text may call one of StackQL's functions: a quick look, which sees into strings too."""
    return _CALL.search(sql) is not None


def defined(sql: str) -> str | None:
    """The function that a statement creates, in lower case."""
    m = _DEFINES.match(sql, content(sql)[0])
    return m[1].lower() if m else None


def rewritten(text: Text, dialect: Dialect) -> Text:
    """The statement with StackQL's functions and operators as DuckDB runs them; places stay the user's own.

    A text without any of them comes back as it is, after one search.
    """
    wanted = names_any(text.sql) or (dialect.is_stackql and _LIKE.search(text.sql))
    if not wanted or _LEFT_ALONE.match(text.sql, content(text.sql)[0]):
        return text
    try:
        tokens = DuckDB().tokenize(text.sql + "\n")
    except SqlglotError:
        return text
    rewriter = _Rewriter(tokens, dialect, defines=defined(text.sql) is not None)
    edits: dict[tuple[int, int], str] = {}
    for start, end, new in rewriter.edits():
        edits[start, end] = edits.get((start, end), "") + new
    for start, end in rewriter.items():
        if any(start <= at < end for at, _ in edits):
            # The column is called what the user wrote, as SQLite has it.
            name = " ".join(text.sql[start:end].split()).replace('"', '""')
            edits[end, end] = edits.get((end, end), "") + f' AS "{name}"'
    return text.spliced((start, end, new) for (start, end), new in edits.items()) if edits else text


class _Rewriter:
    def __init__(self, tokens: Sequence[Token], dialect: Dialect, *, defines: bool) -> None:
        self._tokens = tokens
        self._dialect = dialect
        # CREATE MACRO m(x) AS iif(...): what stands behind AS is no name there.
        self._no_call_behind = _NO_CALL_BEHIND - ({TokenType.ALIAS} if defines else set())
        self._calls = list(self._find_calls())
        self._elements = {self._alias(c) for c in self._calls if c.name == "json_each"}

    def edits(self) -> Iterator[tuple[int, int, str]]:
        """(start, end, replacement) in the text."""
        for call in self._calls:
            new = self._replacement(call)
            if call.name == "current_setting":
                yield from self._setting(call)
            elif new is not None:
                token = self._tokens[call.start]
                yield token.start, token.end + 1, new
                if call.name == "json_each" and not self._has_alias(call):
                    at = self._tokens[call.end].end + 1
                    yield at, at, " AS json_each"
            if new is not None and call.name in _TIMES:
                yield from self._time_edits(call)
        for i, token in enumerate(self._tokens):
            if self._is_regexp(i):
                yield token.start, token.end + 1, f"SIMILAR TO {PREFIX}regexp("
                at = self._tokens[self._operand(i + 1)].end + 1
                yield at, at, ")"
            elif self._dialect.is_stackql and token.token_type == TokenType.LIKE:
                yield token.start, token.end + 1, "ILIKE"
            elif not self._dialect.is_stackql and self._is_element(i) and self._meets_text(i, i + 2):
                at = self._tokens[i + 2].end + 1
                yield token.start, token.start, "("
                yield at, at, "->>'$')"

    def items(self) -> Iterator[tuple[int, int]]:
        """Where the items of SELECT lists stand that have no name of their own."""
        for i, token in enumerate(self._tokens):
            if token.token_type != TokenType.SELECT:
                continue
            first = at = i + 1 + (self._type(i + 1) in (TokenType.DISTINCT, TokenType.ALL))
            if self._type(at) == TokenType.ON:
                first = at = self._closing(at + 1) + 1
            ended = False
            while not ended:
                kind = self._type(at)
                ended = kind in _LIST_ENDS or kind in _CLOSE
                if ended or kind == TokenType.COMMA:
                    if first < at and not self._is_named(first, at - 1):
                        yield self._tokens[first].start, self._tokens[at - 1].end + 1
                    first = at = at + 1
                else:
                    at = self._closing(at) + 1 if kind in _OPEN else at + 1

    def _is_named(self, first: int, last: int) -> bool:
        """Whether an item ends in an alias, which may be a word of SQL's: `x AS a`, `f(x) date`."""
        before = self._type(last - 1)
        if last == first or self._type(last) in _CLOSE or self._type(last) == TokenType.END:
            return False
        return before in (TokenType.ALIAS, TokenType.END) or before in _ENDS

    # -- calls -----------------------------------------------------------------------------------

    def _find_calls(self) -> Iterator[_Call]:
        opened: list[int] = []
        commas: dict[int, list[int]] = {}
        for i, token in enumerate(self._tokens):
            if token.token_type in _OPEN:
                opened.append(i)
                commas[i] = []
            elif token.token_type == TokenType.COMMA and opened:
                commas[opened[-1]].append(i)
            elif token.token_type in _CLOSE and opened:
                at = opened.pop()
                if token.token_type == TokenType.R_PAREN and self._names_function(at - 1, i):
                    bounds = [at, *commas[at], i]
                    parts = tuple((a + 1, b - 1) for a, b in pairwise(bounds) if b - a > 1)
                    yield _Call(self._tokens[at - 1].text.lower(), at - 1, i, parts)

    def _names_function(self, i: int, end: int) -> bool:
        if i < 0 or self._tokens[i].token_type in (TokenType.STRING, TokenType.IDENTIFIER):
            return False
        name = self._tokens[i].text.lower()
        if name not in NAMES or name in self._dialect.own:
            return False
        if self._type(i - 1) in self._no_call_behind:
            return False
        # `WITH a AS (...), total(x) AS (...)` names a query.
        return not (self._type(end + 1) == TokenType.ALIAS and self._type(end + 2) == TokenType.L_PAREN)

    def _replacement(self, call: _Call) -> str | None:
        """The name to write, None for DuckDB's own meaning."""
        if call.name == "regexp_like":
            return "regexp_matches"
        if call.name == "regexp_replace" and len(call.arguments) != 3:
            return None
        if call.name in _MISSING or (call.name in _OTHER and self._dialect.is_stackql):
            return PREFIX + call.name
        choose = _CHOICES.get(call.name)
        return choose(self, call) if choose else None

    def _date(self, call: _Call) -> str | None:
        """DuckDB's takes one argument, and neither 'now' nor a number."""
        only = self._single(call.arguments[0]) if len(call.arguments) == 1 else None
        odd = only and (only.token_type == TokenType.NUMBER or only.text.lower() == "now")
        return f"{PREFIX}date" if self._dialect.is_stackql or len(call.arguments) != 1 or odd else None

    def _strftime(self, call: _Call) -> str | None:
        """The format first. With a time and a format alone, DuckDB's meaning is the macro's too."""
        if not self._has_format(call) and not self._dialect.is_stackql:
            return None
        whole = self._whole_format(call)
        if whole == "unixtext" and self._is_calculated(call):
            return f"{PREFIX}unixepoch"
        if whole == "unixtext" and {self._type(call.start - 1), self._type(call.end + 1)} & _COMPARED:
            return f"{PREFIX}unixjson"
        return PREFIX + (whole or "strftime")

    def _has_format(self, call: _Call) -> bool:
        first = self._single(call.arguments[0]) if call.arguments else None
        return first is not None and first.token_type == TokenType.STRING and "%" in first.text

    def _time_edits(self, call: _Call) -> Iterator[tuple[int, int, str]]:
        """The modifiers of a time as one list, and 'now' where no time is given."""
        times = call.arguments
        if call.name == "strftime":
            times = times[1:]
            yield from self._format_edits(call)
        close = self._tokens[call.end].start
        if len(times) > 1 and self._is_unixepoch(times[1]):
            # By far the most frequent one, and read with the number it costs a fraction.
            at = self._tokens[times[0][0]].start
            yield at, at, f"{PREFIX}epoch("
            yield self._tokens[times[0][1]].end + 1, self._tokens[times[1][1]].end + 1, ")"
            times = (times[0], *times[2:])
        if not times:
            yield close, close, ", 'now'" if call.arguments and not self._whole_format(call) else "'now'"
        elif len(times) > 1:
            at = self._tokens[times[1][0]].start
            yield at, at, "["
            yield close, close, "]"

    def _setting(self, call: _Call) -> Iterator[tuple[int, int, str]]:
        """current_setting of a setting that is not DuckDB's."""
        only = self._single(call.arguments[0]) if len(call.arguments) == 1 else None
        if only is not None and only.token_type == TokenType.STRING and only.text.lower() in self._dialect.settings:
            found = f"(SELECT value FROM apiql.settings WHERE name = '{only.text.lower()}')"
            yield self._tokens[call.start].start, self._tokens[call.end].end + 1, found

    def _is_unixepoch(self, argument: tuple[int, int]) -> bool:
        token = self._single(argument)
        return token is not None and token.token_type == TokenType.STRING and token.text.lower() == "unixepoch"

    def _format_edits(self, call: _Call) -> Iterator[tuple[int, int, str]]:
        """strftime's format in DuckDB's letters: it must be constant there, so that no macro can change it."""
        if not call.arguments or not self._has_format(call):
            return
        first, last = call.arguments[0]
        token = self._tokens[first]
        if self._whole_format(call):
            yield token.start, self._tokens[min(last + 2, call.end)].start, ""
            return
        second = self._single(call.arguments[1]) if len(call.arguments) == 2 else None
        # %f of one of DuckDB's times has a meaning there.
        is_duckdbs = len(call.arguments) == 2 and not (second and second.token_type == TokenType.STRING)
        format_ = token.text
        for theirs, ours in _FORMATS.items():
            if theirs != "%f" or self._dialect.is_stackql or not is_duckdbs:
                format_ = format_.replace(theirs, ours)
        if format_ != token.text:
            yield token.start, token.end + 1, "'" + format_.replace("'", "''") + "'"

    def _whole_format(self, call: _Call) -> str | None:
        """The function that a format amounts to."""
        return _WHOLE_FORMATS.get(self._tokens[call.arguments[0][0]].text) if self._has_format(call) else None

    def _extreme(self, call: _Call) -> str | None:
        """DuckDB's takes a count as its second argument."""
        given = len(call.arguments)
        second = self._single(call.arguments[1]) if given > 1 else None
        refused = given > 2 or (second is not None and second.token_type == TokenType.STRING)
        return PREFIX + call.name if refused or (given > 1 and self._dialect.is_stackql) else None

    def _json_extract(self, call: _Call) -> str | None:
        """DuckDB's is JSON, with which it does not calculate, and which it compares with JSON only."""
        if len(call.arguments) > 2:
            return f"{PREFIX}json_extract"
        if self._is_calculated(call):
            return f"{PREFIX}json_number"
        if self._dialect.is_stackql:
            return f"{PREFIX}json_number" if self._meets_number(call.start, call.end) else f"{PREFIX}json_extract"
        return "json_extract_string" if self._meets_text(call.start, call.end) else None

    def _json_each(self, _: _Call) -> str | None:
        return f"{PREFIX}json_each" if self._dialect.is_stackql else None

    def _format(self, _: _Call) -> str | None:
        return "printf" if self._dialect.is_stackql else None

    # -- surroundings ----------------------------------------------------------------------------

    def _is_calculated(self, call: _Call) -> bool:
        before, after = self._type(call.start - 1), self._type(call.end + 1)
        if after in _ARITHMETIC or (before in _ARITHMETIC and self._type(call.start - 2) in _ENDS):
            return True
        summed = before == TokenType.L_PAREN and after == TokenType.R_PAREN
        return summed and self._word(call.start - 2) in ("SUM", "AVG", "TOTAL")

    def _meets_number(self, start: int, end: int) -> bool:
        return any(t.token_type == TokenType.NUMBER for t in self._compared(start, end))

    def _meets_text(self, start: int, end: int) -> bool:
        """Whether a value is compared with text that is not JSON, which DuckDB refuses."""
        return any(t.token_type == TokenType.STRING and not _is_json(t.text) for t in self._compared(start, end))

    def _compared(self, start: int, end: int) -> Iterator[Token]:
        """The single tokens that the value from `start` to `end` is compared with."""
        if self._type(start - 1) in _COMPARISONS and start > 1 and self._type(start - 3) not in _CLOSER:
            yield self._tokens[start - 2]
        at = end + 1
        if self._type(at) in _COMPARISONS and at + 1 < len(self._tokens) and self._type(at + 2) not in _CLOSER:
            yield self._tokens[at + 1]
        at += self._type(at) == TokenType.NOT
        if self._type(at) == TokenType.BETWEEN:
            yield self._tokens[at + 1]
        elif self._type(at) == TokenType.IN and self._type(at + 1) == TokenType.L_PAREN:
            at += 2
            while self._type(at) not in (None, TokenType.R_PAREN):
                yield self._tokens[at]
                at += 1

    def _alias(self, call: _Call) -> str:
        """The name by which the rest of the statement knows a table function."""
        if not self._has_alias(call):
            return call.name
        at = call.end + 1 + (self._type(call.end + 1) == TokenType.ALIAS)
        return self._tokens[at].text.lower()

    def _has_alias(self, call: _Call) -> bool:
        return self._type(call.end + 1) in (TokenType.ALIAS, TokenType.VAR, TokenType.IDENTIFIER)

    def _is_element(self, i: int) -> bool:
        """Whether `json_each.value` begins here."""
        return (
            bool(self._elements)
            and self._type(i + 1) == TokenType.DOT
            and self._word(i + 2) == "VALUE"
            and self._tokens[i].text.lower() in self._elements
            and self._type(i - 1) != TokenType.DOT
        )

    def _is_regexp(self, i: int) -> bool:
        return (
            self._word(i) == "REGEXP"
            and self._tokens[i].token_type not in (TokenType.STRING, TokenType.IDENTIFIER)
            and self._type(i - 1) not in _NO_VALUE_BEFORE
            and self._type(i + 1) in _BEGINS
        )

    def _operand(self, i: int) -> int:
        """The last token of the value that begins at `i`."""
        while True:
            if self._type(i) == TokenType.PARAMETER:
                i += 1
            i = self._closing(i) if self._type(i) in _OPEN else i
            while self._type(i + 1) == TokenType.DOT:
                i += 2
            while self._type(i + 1) in _OPEN:
                i = self._closing(i + 1)
            if self._type(i + 1) not in _CLOSER or i + 2 >= len(self._tokens):
                return i
            i += 2

    def _closing(self, i: int) -> int:
        depth = 0
        for at in range(i, len(self._tokens)):
            depth += (self._type(at) in _OPEN) - (self._type(at) in _CLOSE)
            if depth == 0:
                return at
        return len(self._tokens) - 1

    def _single(self, argument: tuple[int, int]) -> Token | None:
        """An argument that is one token."""
        return self._tokens[argument[0]] if argument[0] == argument[1] else None

    def _type(self, i: int) -> TokenType | None:
        return self._tokens[i].token_type if 0 <= i < len(self._tokens) else None

    def _word(self, i: int) -> str:
        return self._tokens[i].text.upper() if 0 <= i < len(self._tokens) else ""


_CHOICES: dict[str, Callable[[_Rewriter, _Call], str | None]] = {
    "date": _Rewriter._date,
    "format": _Rewriter._format,
    "json_each": _Rewriter._json_each,
    "json_extract": _Rewriter._json_extract,
    "max": _Rewriter._extreme,
    "min": _Rewriter._extreme,
    "strftime": _Rewriter._strftime,
}


def _is_json(text: str) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)  # NaN, which Python takes and DuckDB does not

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True
