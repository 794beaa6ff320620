"""The kinds of statement, and how text becomes one of them (sqlglot, DuckDB's dialect)."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError as SqlglotParseError
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]  # re-exported without saying so

from provider.errors import NotSupportedError, ParseError, did_you_mean
from provider.sql.dialect import Dialect, defined, rewritten
from provider.sql.misspelt import misspelt, refuse_elsewhere
from provider.sql.reading import read
from provider.sql.scanner import Text, comments, content, number_placeholders, spans

# sqlglot logs that it falls back to an opaque command; such statements go to DuckDB as they are.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Query:
    """A statement for DuckDB that may name resources. `tree` is None where sqlglot cannot read it.

    `execs` are the EXECs that stand in it as relations; in `text` the n-th of them is a query of the table
    `exec_table(n)`, from 0.
    """

    text: Text
    tree: exp.Expr | None
    problem: SqlglotError | None = None
    execs: tuple[Exec, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """INSERT, UPDATE, REPLACE, DELETE or MERGE; the target may be a resource or a local table."""

    text: Text
    verb: Literal["INSERT", "UPDATE", "REPLACE", "DELETE", "MERGE"]
    tree: exp.Insert | exp.Update | exp.Delete | exp.Merge
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

    `SHOW INSERT [/*+ REQUIRED */] INTO x` is one too; its scope is the resource, or a method of it. So are
    `SHOW SETTINGS`, and `SHOW TABLES FROM apiql`; of other schemas the tables are DuckDB's to show.
    """

    text: Text
    what: Literal["PROVIDERS", "SERVICES", "RESOURCES", "METHODS", "INSERT", "SETTINGS", "TABLES"]
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


@dataclass(frozen=True, slots=True)
class Set:
    """`SET name = value` or `RESET name`, of a setting of ours or of DuckDB's.

    `value` is None for RESET, and where it is more than one literal or word.
    """

    text: Text
    name: str
    span: tuple[int, int]
    value: str | None
    reset: bool


@dataclass(frozen=True, slots=True)
class Control:
    """`BEGIN [READ ONLY]`, `COMMIT` and `ROLLBACK`, under all of their names."""

    text: Text
    verb: Literal["BEGIN", "COMMIT", "ROLLBACK"]
    reads_only: bool = False


Statement = Query | Write | Exec | Show | Describe | Explain | Set | Control

_EXEC_WITHIN = re.compile(r"\([^()']*?\bEXEC\b", re.IGNORECASE)
_HINT = re.compile(r"/\*\+(.*)\*/", re.DOTALL)
_OWN_TABLES = re.compile(r"TABLES\s+(?:FROM|IN)\s+apiql\b", re.IGNORECASE)
_PIVOT = re.compile(r"[\s(]*\(\s*(?:UN)?PIVOT\b", re.IGNORECASE)
_SUMMARIZE = re.compile(r"(?<=SUMMARIZE)\s+(?:TABLE\s+)?", re.IGNORECASE)
_EXPLAIN = re.compile(r"EXPLAIN\b(?:(?P<analyze>\s+ANALYZE\b)|\s*\((?P<options>[\w\s,]*)\))?", re.IGNORECASE)


def parse(script: str, dialect: Dialect | None = None) -> list[Statement]:
    """All statements of a script.

    Args:
        dialect: how the first of them is read; SET dialect and CREATE MACRO change it for those behind. None for
            a text that has been read already, and is taken as it is.

    Raises:
        ParseError: a statement of ours that is malformed. A query that only sqlglot cannot read is
            returned without a tree: DuckDB may know it.
    """
    found = []
    for start, end in spans(script):
        text = number_placeholders(script, start, end)
        if dialect is None:
            found.append(parse_one(text))
            continue
        if name := defined(text.sql):
            dialect = replace(dialect, own=dialect.own | {name})
        statement = parse_one(rewritten(text, dialect))
        if isinstance(statement, Set) and statement.name == "dialect":
            dialect = replace(dialect, name="stackql" if statement.value == "stackql" else "duckdb")
        found.append(statement)
    return found


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
    if _EXEC_WITHIN.search(text.sql, start):
        within, execs = _execs(text)
        if execs:
            statement = parse_one(within)
            if isinstance(statement, Write):
                statement = Query(statement.text, statement.tree)
            if not isinstance(statement, Query):
                raise ParseError("syntax error: EXEC is no part of this", place=text.place(*execs[0].path_span))
            return replace(statement, execs=execs)
    refuse_elsewhere(text)
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
        case "SET" | "RESET":
            return _set(text) or _query(text, text.sql)
        case "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE":
            return _control(text)
        case "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "WITH" | "REPLACE":
            return _write(text, start)
    return _query(text, text.sql)


def _blanked(text: Text, until: int) -> Text:
    """The same text with its first words blanked, so that every offset stays true."""
    return Text(re.sub(r"[^\n]", " ", text.sql[:until]) + text.sql[until:], text.original, text.edits)


def _query(text: Text, sql: str) -> Query:
    if sql == text.sql and _PIVOT.match(sql):
        # In parentheses PIVOT is a relation, of which a query may begin.
        text = text.spliced([(0, 0, "FROM ")])
        return _query(text, text.sql)
    try:
        tree = read(sql)
    except SqlglotError as e:
        return Query(text, None, e)
    except RecursionError:
        # DuckDB's own parser goes deeper.
        return Query(text, None, SqlglotError("expressions are nested too deeply"))
    if sql == text.sql and (pivoted := _pivoted_names(tree)):
        text = text.spliced((start, end, f"(FROM {sql[start:end]}){alias}") for start, end, alias in pivoted)
        return _query(text, text.sql)
    return Query(text, None if isinstance(tree, exp.Command) else tree)


def _pivoted_names(tree: exp.Expr) -> list[tuple[int, int, str]]:
    """Where a name stands behind PIVOT, which may be a resource's or a CTE's, and the alias of that as a query."""
    found = []
    for pivot in tree.find_all(exp.Pivot):
        table = pivot.this
        if isinstance(table, exp.Table) and all("end" in p.meta for p in table.parts):
            first, last = table.parts[0].meta, table.parts[-1].meta
            name = table.parts[-1].sql(dialect="duckdb")
            found.append((first["start"], last["end"] + 1, "" if table.alias else f" AS {name}"))
    return found


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
        # sqlglot words some messages with its own classes and tokens.
        description = re.sub(r" for <class '[\w.]*'>|<class '[\w.]*\.(\w+)'>", r"\1", description)
        description = re.sub(r"<Token token_type: .*?, text: (.*?), line: .*>", r"\1", description)
        place = query.text.place(max(0, end - width), end)
        if found := misspelt(query.text, end):
            return found
        return ParseError(f"syntax error: {description}", place=place)
    if problem is None:
        # DuckDB knows such a statement, but not about resources.
        start, stop = content(query.text.sql)
        return ParseError("this statement cannot name resources", place=query.text.place(start, stop))
    return misspelt(query.text) or ParseError(f"syntax error: {problem}")


def _write(text: Text, start: int) -> Statement:
    sql = text.sql
    replace = _replace(sql, start)
    if replace is not None:
        if into := re.compile(r"REPLACE\s+(INTO)\b", re.IGNORECASE).match(sql, replace):
            raise ParseError(
                "syntax error: REPLACE takes no INTO",
                place=text.place(*into.span(1)),
                remedy="REPLACE has UPDATE's grammar: REPLACE provider.service.resource SET column = value WHERE ...",
            )
        # Same grammar as UPDATE; the blank keeps every offset.
        sql = sql[:replace] + "UPDATE " + sql[replace + 7 :]
    query = _query(text, sql)
    match query.tree:
        case exp.Insert():
            return Write(text, "INSERT", query.tree, _hints(sql))
        case exp.Update():
            return Write(text, "REPLACE" if replace is not None else "UPDATE", query.tree, _hints(sql))
        case exp.Delete():
            return Write(text, "DELETE", query.tree, _hints(sql))
        case exp.Merge():
            return Write(text, "MERGE", query.tree, _hints(sql))
    return query


def _replace(sql: str, start: int) -> int | None:
    """Where REPLACE stands as a statement's verb, at its beginning or behind WITH; None where another verb does."""
    if sql[start : start + 7].upper() == "REPLACE":
        return start
    if sql[start : start + 4].upper() != "WITH" or "REPLACE" not in sql.upper():
        return None
    try:
        tokens = DuckDB().tokenize(sql)
    except SqlglotError:
        return None
    depth = 0
    for before, token in pairwise(tokens):
        depth += (before.token_type == TokenType.L_PAREN) - (before.token_type == TokenType.R_PAREN)
        if depth == 0 and before.token_type == TokenType.R_PAREN and token.text.upper() not in ("AS", ",", "USING"):
            return token.start if token.text.upper() == "REPLACE" else None
    return None


def _hints(sql: str) -> frozenset[str]:
    found = (m[1].upper().replace(",", " ").split() for comment in comments(sql) if (m := _HINT.fullmatch(comment)))
    return frozenset(word for words in found for word in words)


def check_hints(text: Text, hints: frozenset[str], known: Sequence[str]) -> None:
    """Refuse a hint that a statement does not have, since ignoring it would change what somebody relies on.

    Raises:
        ParseError: it names the hint, and those that there are.
    """
    for hint in sorted(hints - set(known)):
        raise ParseError(f'unknown hint "{hint}"', place=text.find(hint), remedy=did_you_mean(hint, known))


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

    def ahead(self, count: int) -> str:
        """The text of a token further on, '' behind the last one."""
        return self._tokens[self._at + count].text if self._at + count < len(self._tokens) else ""

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

    def closing(self) -> int:
        """Where the parenthesis closes that was opened before; what stands up to there is consumed."""
        depth = 0
        while depth > 0 or not (self.now and self.now.token_type == TokenType.R_PAREN):
            token = self.skip()
            depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
        return int(self.now.start) if self.now else 0

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


def exec_table(number: int) -> str:
    """The table that stands for the EXEC of that number in a query, from 0."""
    return f"__apiql_exec_{number}"


def _execs(text: Text) -> tuple[Text, tuple[Exec, ...]]:
    """A query with a table in place of each `(EXEC ...)`, and these EXECs."""
    tokens = _Tokens(text, "(EXEC provider.service.resource.method @name='value', ... @@json='{...}')")
    edits: list[tuple[int, int, str]] = []
    execs: list[Exec] = []
    before = None
    while token := tokens.now:
        opened = before is not None and before.token_type == TokenType.L_PAREN
        # A column may be called exec; no expression has a dotted name behind it.
        if opened and tokens.ahead(2) == "." and tokens.take("EXEC"):
            end = tokens.closing()
            blank = re.sub(r"[^\n]", " ", text.sql[: token.start])
            execs.append(_exec(Text(blank + text.sql[token.start : end], text.original, text.edits)))
            edits.append((token.start, end, f"SELECT * FROM {exec_table(len(execs) - 1)}"))
        before = tokens.now
        if before is not None:
            tokens.skip()
    return (text.spliced(edits) if edits else text), tuple(execs)


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
    what = tokens.take("PROVIDERS", "SERVICES", "RESOURCES", "METHODS", "INSERT", "SETTINGS", "TABLES")
    if not what:
        # DuckDB's SHOW has a scope for tables only.
        if extended or tokens.ahead(1).upper() in ("IN", "FROM"):
            words = ("PROVIDERS", "SERVICES", "RESOURCES", "METHODS", "SETTINGS", "TABLES")
            usage = tokens.usage
            tokens.usage = f"{near}\n{usage}" if (near := did_you_mean(tokens.word(), words)) else usage
            raise tokens.error(f'there is no SHOW "{tokens.now.text if tokens.now else ""}"')
        return None
    if what == "TABLES" and not _OWN_TABLES.search(text.sql):
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
    hints = _hints(text.sql)
    check_hints(text, hints, ("REQUIRED",))
    return Show(text, "INSERT", scope, span, extended, None, None, hints)


def _set(text: Text) -> Set | None:
    tokens = _Tokens(text, "SET name = value, RESET name")
    reset = tokens.skip().text.upper() == "RESET"
    tokens.take("SESSION", "GLOBAL", "LOCAL")
    token = tokens.now
    if token is None or not re.fullmatch(r"[A-Za-z_]\w*", token.text) or tokens.take("VARIABLE"):
        return None
    tokens.skip()
    name, span = token.text.lower(), (token.start, token.end + 1)
    if reset:
        return Set(text, name, span, None, True)
    if not tokens.take("=", "TO"):
        return None
    start = tokens.now.start if tokens.now else len(text.sql)
    value = tokens.skip().text if tokens.now else None
    if tokens.now:
        value = text.sql[start:].strip() if value == "-" else None
    return Set(text, name, span, value, False)


#: The first words of transaction control, and what they mean.
_CONTROL: dict[str, Literal["BEGIN", "COMMIT", "ROLLBACK"]] = {
    "BEGIN": "BEGIN",
    "START": "BEGIN",
    "COMMIT": "COMMIT",
    "END": "COMMIT",
    "ROLLBACK": "ROLLBACK",
    "ABORT": "ROLLBACK",
}


def _control(text: Text) -> Control:
    start, end = content(text.sql)
    plain = text.sql[start:end]
    for comment in comments(plain):
        plain = plain.replace(comment, " ")
    verb, *more = plain.upper().split()
    if verb in ("SAVEPOINT", "RELEASE") or more[:1] == ["TO"] or "SAVEPOINT" in more:
        raise NotSupportedError(
            "there are no savepoints: a transaction is rolled back as a whole", place=text.place(start, end)
        )
    reads_only = False
    if _CONTROL[verb] == "BEGIN" and more[-2:] in (["READ", "ONLY"], ["READ", "WRITE"]):
        reads_only = more[-1] == "ONLY"
        more = more[:-2]
    if more not in ([], ["TRANSACTION"], ["WORK"]) or (verb == "START" and more != ["TRANSACTION"]):
        raise ParseError(
            "syntax error: this begins and ends no transaction",
            place=text.place(start, end),
            remedy="BEGIN [TRANSACTION] [READ ONLY], COMMIT, ROLLBACK",
        )
    return Control(text, _CONTROL[verb], reads_only)


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
