"""The kinds of statement, and how text becomes one of them (sqlglot, DuckDB's dialect)."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError as SqlglotParseError
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]  # re-exported without saying so

from provider.errors import ParseError
from provider.sql.scanner import Text, comments, content, number_placeholders, spans

# sqlglot logs that it falls back to an opaque command; such statements go to DuckDB as they are.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Query:
    """A statement for DuckDB that may name resources. `tree` is None where sqlglot cannot read it."""

    text: Text
    tree: exp.Expr | None
    problem: SqlglotError | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """INSERT, UPDATE, REPLACE or DELETE; the target may be a resource or a local table."""

    text: Text
    verb: Literal["INSERT", "UPDATE", "REPLACE", "DELETE"]
    tree: exp.Insert | exp.Update | exp.Delete
    hints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Argument:
    """`@name=value`; `span` is the name's, without the @."""

    name: str
    value: exp.Expr
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Exec:
    """`EXEC p.s.r.method @name=value, ... @@json='{...}'`."""

    text: Text
    path: tuple[str, ...]
    path_span: tuple[int, int]
    arguments: tuple[Argument, ...]
    payload: exp.Expr | None
    hints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Show:
    """`SHOW [EXTENDED] PROVIDERS | SERVICES | RESOURCES | METHODS [IN x] [LIKE 'p' | WHERE ...]`.

    `SHOW INSERT [/*+ REQUIRED */] INTO x` is one too; its scope is the resource, or a method of it.
    """

    text: Text
    what: Literal["PROVIDERS", "SERVICES", "RESOURCES", "METHODS", "INSERT"]
    scope: tuple[str, ...]
    scope_span: tuple[int, int]
    extended: bool
    like: str | None
    where: str | None
    hints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Describe:
    """`DESCRIBE [EXTENDED] p.s.r`, or `DESCRIBE METHOD [EXTENDED] p.s.r.m`."""

    text: Text
    path: tuple[str, ...]
    path_span: tuple[int, int]
    method: bool
    extended: bool


@dataclass(frozen=True, slots=True)
class Explain:
    """`EXPLAIN [ANALYZE] statement`, `EXPLAIN ([ANALYZE,] FORMAT json) statement`."""

    text: Text
    analyze: bool
    as_json: bool
    statement: Statement


Statement = Query | Write | Exec | Show | Describe | Explain

_HINT = re.compile(r"/\*\+\s*([A-Za-z_]+)\s*\*/")
_SUMMARIZE = re.compile(r"(?<=SUMMARIZE)\s+(?:TABLE\s+)?", re.IGNORECASE)
_EXPLAIN = re.compile(r"EXPLAIN\b(?:(?P<analyze>\s+ANALYZE\b)|\s*\((?P<options>[\w\s,]*)\))?", re.IGNORECASE)


def parse(script: str) -> list[Statement]:
    """All statements of a script.

    Raises:
        ParseError: a statement of ours that is malformed. A query that only sqlglot cannot read is
            returned without a tree: DuckDB may know it.
    """
    return [parse_one(number_placeholders(script, start, end)) for start, end in spans(script)]


def parse_one(text: Text) -> Statement:
    """One statement.

    Raises:
        ParseError: as `parse`.
    """
    start, _ = content(text.sql)
    if m := _EXPLAIN.match(text.sql, start):
        options = [o.split() for o in (m["options"] or "").upper().split(",")]
        analyze = bool(m["analyze"]) or ["ANALYZE"] in options
        explained = _blanked(text, m.end())
        start, _ = content(explained.sql)
        if again := _EXPLAIN.match(text.sql, start):
            raise ParseError("syntax error: EXPLAIN takes one statement", place=text.place(start, again.end()))
        return Explain(text, analyze, ["FORMAT", "JSON"] in options, parse_one(explained))
    word = re.match(r"\w*", text.sql[start:])
    match word[0].upper() if word else "":
        case "EXEC":
            return _exec(text)
        case "SHOW":
            return _show(text) or _query(text, text.sql)
        case "DESCRIBE" | "DESC":
            return _describe(text) or _query(text, text.sql)
        case "SUMMARIZE":
            return _summarize(text)
        case "INSERT" | "UPDATE" | "DELETE" | "WITH" | "REPLACE":
            return _write(text, start)
    return _query(text, text.sql)


def _blanked(text: Text, until: int) -> Text:
    """The same text with its first words blanked, so that every offset stays true."""
    return Text(re.sub(r"[^\n]", " ", text.sql[:until]) + text.sql[until:], text.original, text.edits)


def _query(text: Text, sql: str) -> Query:
    try:
        # The line end keeps sqlglot's tokenizer from stumbling over `$name ... ''` at the end of the text.
        tree = sqlglot.parse_one(sql + "\n", read="duckdb")
    except SqlglotError as e:
        return Query(text, None, e)
    except RecursionError:
        # DuckDB's own parser goes deeper.
        return Query(text, None, SqlglotError("expressions are nested too deeply"))
    return Query(text, None if isinstance(tree, exp.Command) else tree)


def _summarize(text: Text) -> Query:
    """SUMMARIZE t as SUMMARIZE FROM t: that is a query like any other, in which t may be a resource."""
    query = _query(text, text.sql)
    m = _SUMMARIZE.search(text.sql)
    if m is None or query.tree is None or not isinstance(query.tree.this, exp.Table):
        return query
    text = text.spliced([(*m.span(), " FROM ")])
    return _query(text, text.sql)


def parse_failure(query: Query) -> ParseError:
    """The error for a query that names resources but cannot be read."""
    problem = query.problem
    if isinstance(problem, SqlglotParseError) and problem.errors:
        first = problem.errors[0]
        lines = query.text.sql.split("\n")
        line, col = first.get("line") or 1, first.get("col") or 1
        end = sum(len(x) + 1 for x in lines[: line - 1]) + col
        width = len(first.get("highlight") or " ")
        description = str(first.get("description") or "not SQL").rstrip(".")
        # sqlglot words some messages with its own class names.
        description = re.sub(r" for <class '[\w.]*'>|<class '[\w.]*\.(\w+)'>", r"\1", description)
        return ParseError(f"syntax error: {description}", place=query.text.place(max(0, end - width), end))
    return ParseError(f"syntax error: {problem}")


def _write(text: Text, start: int) -> Statement:
    sql = text.sql
    replace = sql[start : start + 7].upper() == "REPLACE"
    if replace:
        # Same grammar as UPDATE; the blank keeps every offset.
        sql = sql[:start] + "UPDATE " + sql[start + 7 :]
    query = _query(text, sql)
    if not isinstance(query.tree, exp.Insert | exp.Update | exp.Delete):
        return query
    verb: Literal["INSERT", "UPDATE", "REPLACE", "DELETE"]
    if replace:
        verb = "REPLACE"
    else:
        verb = (
            "INSERT"
            if isinstance(query.tree, exp.Insert)
            else "UPDATE"
            if isinstance(query.tree, exp.Update)
            else "DELETE"
        )
    return Write(text, verb, query.tree, _hints(sql))


def _hints(sql: str) -> frozenset[str]:
    return frozenset(m[1].upper() for comment in comments(sql) if (m := _HINT.fullmatch(comment)))


class _Tokens:
    """A cursor over a statement's tokens, for the grammars that sqlglot does not have."""

    def __init__(self, text: Text, usage: str) -> None:
        self.text = text
        self.usage = usage
        try:
            self._tokens: list[Token] = DuckDB().tokenize(text.sql + "\n")
        except SqlglotError as e:
            raise ParseError(f"syntax error: {e}", place=text.place(0, 1)) from None
        self._at = 0

    @property
    def now(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def word(self) -> str:
        return self.now.text.upper() if self.now else ""

    def skip(self) -> Token:
        token = self.now
        if token is None:
            raise self.error("the statement ends too early")
        self._at += 1
        return token

    def take(self, *words: str) -> str:
        """Consume one of the words, or return ''."""
        if self.now and self.now.token_type != TokenType.STRING and self.word() in words:
            return self.skip().text.upper()
        return ""

    def path(self) -> tuple[tuple[str, ...], tuple[int, int]]:
        """A dotted name, and its span."""
        first = last = self.skip()
        parts = [first.text]
        while self.now and self.now.token_type == TokenType.DOT:
            self.skip()
            last = self.skip()
            parts.append(last.text)
        return tuple(parts), (first.start, last.end + 1)

    def rest(self) -> str:
        """The text from here on; everything is consumed."""
        start = self.now.start if self.now else len(self.text.sql)
        self._at = len(self._tokens)
        return self.text.sql[start:]

    def end(self) -> None:
        if self.now:
            raise self.error(f'unexpected "{self.now.text}"')

    def error(self, message: str) -> ParseError:
        at = self.now
        start, end = (at.start, at.end + 1) if at else (len(self.text.sql) - 1, len(self.text.sql))
        return ParseError(f"syntax error: {message}", place=self.text.place(start, end), remedy=self.usage)


def _exec(text: Text) -> Exec:
    tokens = _Tokens(text, "EXEC provider.service.resource.method @name='value', ... @@json='{...}'")
    tokens.skip()
    path, span = tokens.path()
    arguments: list[Argument] = []
    payload: exp.Expr | None = None
    while tokens.now:
        tokens.take(",")
        if payload is not None:
            raise tokens.error('the payload is one "@@json=..." at the end')
        if not tokens.take("@"):
            raise tokens.error('expected "@name=value"')
        is_payload = bool(tokens.take("@"))
        token = tokens.skip()
        name = token.text
        if not tokens.take("="):
            raise tokens.error(f'expected "=" after "@{name}"')
        value = _value(tokens)
        if not is_payload:
            if any(name == a.name for a in arguments):
                raise tokens.error(f'"@{name}" is given twice')
            arguments.append(Argument(name, value, (token.start, token.end + 1)))
        elif name.lower() != "json":
            raise tokens.error('the payload is one "@@json=..." at the end')
        else:
            payload = value
    return Exec(text, path, span, tuple(arguments), payload, _hints(text.sql))


def _value(tokens: _Tokens) -> exp.Expr:
    """One value: everything up to the next `, @`, `@` or the end, as an expression."""
    first = tokens.skip()
    depth = 1 if first.text in "([{" and first.token_type != TokenType.STRING else 0
    end = first.end + 1
    while (token := tokens.now) and not (
        depth == 0 and token.text in ("@", ",") and token.token_type != TokenType.STRING
    ):
        if token.token_type != TokenType.STRING:
            depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        end = tokens.skip().end + 1
    try:
        return sqlglot.parse_one(tokens.text.sql[first.start : end], read="duckdb")
    except (SqlglotError, RecursionError):
        place = tokens.text.place(first.start, end)
        raise ParseError("syntax error: not a value", place=place, remedy=tokens.usage) from None


def _show(text: Text) -> Show | None:
    tokens = _Tokens(text, "SHOW [EXTENDED] PROVIDERS | SERVICES | RESOURCES | METHODS [IN name] [LIKE 'pattern']")
    tokens.skip()
    extended = bool(tokens.take("EXTENDED"))
    what = tokens.take("PROVIDERS", "SERVICES", "RESOURCES", "METHODS", "INSERT")
    if not what:
        return None
    if what == "INSERT":
        return _show_insert(text, extended)
    scope: tuple[str, ...] = ()
    span = (0, len(text.sql))
    if tokens.take("IN", "FROM"):
        scope, span = tokens.path()
    like = where = None
    if tokens.take("LIKE"):
        like = tokens.skip().text
    elif tokens.take("WHERE"):
        where = tokens.rest()
    tokens.end()
    return Show(text, what, scope, span, extended, like, where, frozenset())  # type: ignore[arg-type]


def _show_insert(text: Text, extended: bool) -> Show:
    tokens = _Tokens(text, "SHOW [EXTENDED] INSERT [/*+ REQUIRED */] INTO provider.service.resource")
    while not tokens.take("INSERT"):
        tokens.skip()
    if not tokens.take("INTO"):
        raise tokens.error('expected "INTO"')
    scope, span = tokens.path()
    tokens.end()
    return Show(text, "INSERT", scope, span, extended, None, None, _hints(text.sql))


def _describe(text: Text) -> Describe | None:
    tokens = _Tokens(text, "DESCRIBE [EXTENDED] provider.service.resource")
    tokens.skip()
    method = bool(tokens.take("METHOD"))
    extended = bool(tokens.take("EXTENDED"))
    if tokens.word() in ("SELECT", "WITH", "FROM", "TABLE", "VALUES") or tokens.now is None:
        return None
    path, span = tokens.path()
    if tokens.now or len(path) < 3:
        return None
    return Describe(text, path, span, method, extended)
