"""SQL to a syntax tree by sqlglot, and by parts where it does not know what may stand behind PIVOT and DELETE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]  # re-exported without saying so

from provider.sql.lists import restore, shortened

_PIVOTS = (TokenType.PIVOT, TokenType.UNPIVOT)
_TAIL = (TokenType.ORDER_BY, TokenType.LIMIT, TokenType.OFFSET)


class _Joining(DuckDB):
    """DuckDB's dialect with joins behind VALUES in FROM, which sqlglot does not read."""

    class Parser(DuckDBParser):
        def _parse_table(self, *args: Any, **options: Any) -> exp.Expr | None:
            table = super()._parse_table(*args, **options)
            if options.get("joins") and isinstance(table, exp.Values | exp.Unnest | exp.Lateral):
                for join in self._parse_joins():
                    table.append("joins", join)
            return table


def _dialect() -> type[DuckDB]:
    """Ours, unless sqlglot's parser is compiled, as its extra `c` has it: then it has no subclasses."""
    try:
        _Joining().parser()
    except TypeError:
        return DuckDB
    return _Joining


_DIALECT = _dialect()


def read(sql: str) -> exp.Expr:
    """The syntax tree of a statement.

    Raises:
        SqlglotError: it cannot be read.
    """
    short, lists = shortened(sql)
    tree = _read(short)
    return tree if not lists or restore(tree, lists) else _read(sql)


def _read(sql: str) -> exp.Expr:
    try:
        return _parsed(sql)
    except SqlglotError:
        tails = list(_tails(DuckDB().tokenize(sql + "\n"), len(sql)))
        if all(t.is_empty for t in tails):
            raise
        tree = _parsed(_without(sql, tails))
        if not _attach(sql, tree, tails):
            raise
        return tree


def _parsed(sql: str) -> exp.Expr:
    # The line end keeps sqlglot's tokenizer from stumbling over `$name ... ''` at the end of the text.
    tree = sqlglot.parse_one(sql + "\n", read=_DIALECT)
    return _limited(tree) if "fetch" in sql.lower() else tree


def _limited(tree: exp.Expr) -> exp.Expr:
    """A tree with FETCH FIRST as the LIMIT that it is in DuckDB."""
    for fetch in list(tree.find_all(exp.Fetch)):
        options = fetch.args.get("limit_options")
        if options is None or not (options.args.get("percent") or options.args.get("with_ties")):
            fetch.replace(exp.Limit(expression=fetch.args.get("count") or exp.Literal.number(1)))
    return tree


@dataclass(slots=True)
class _Tail:
    """What stands behind a PIVOT that begins a query, or behind the LIMIT of DELETE; nothing where both are equal."""

    behind: type[exp.Expr]
    depth: int
    start: int
    end: int

    @property
    def is_empty(self) -> bool:
        return self.start == self.end


def _tails(tokens: list[Token], end: int) -> Iterator[_Tail]:
    """The tails of all PIVOTs in the order in which they begin, and that of DELETE."""
    found: list[_Tail] = []
    opened: list[_Tail] = []
    depth, before, limited = 0, None, False
    for token in tokens:
        kind = token.token_type
        if kind == TokenType.R_PAREN:
            while opened and opened[-1].depth == depth:
                _close(opened.pop(), token.start)
        depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
        begins = before in (None, TokenType.L_PAREN, TokenType.R_PAREN)
        # What stands within a tail is found when that is read.
        if kind in _PIVOTS and begins and all(t.is_empty for t in opened):
            opened.append(_Tail(exp.Pivot, depth, end, end))
            found.append(opened[-1])
        elif kind in _TAIL and opened and opened[-1].depth == depth and opened[-1].is_empty:
            opened[-1].start = token.start
        elif kind == TokenType.RETURNING and limited and depth == 0:
            found.append(_Tail(exp.Delete, 0, token.start, end))
        limited |= kind == TokenType.LIMIT and depth == 0
        before = kind
    yield from found


def _close(tail: _Tail, end: int) -> None:
    tail.start, tail.end = min(tail.start, end), end


def _without(sql: str, tails: list[_Tail]) -> str:
    for tail in tails:
        sql = sql[: tail.start] + _blank(sql[tail.start : tail.end]) + sql[tail.end :]
    return sql


def _attach(sql: str, tree: exp.Expr, tails: list[_Tail]) -> bool:
    """Read the tails, and hang them on what they stand behind; False where that is not in the tree."""
    pivots = sorted((p for p in tree.find_all(exp.Pivot, bfs=False) if p.this is not None), key=_begin)
    behind = [t for t in tails if t.behind is exp.Pivot]
    if len(pivots) != len(behind):
        return False
    for pivot, tail in zip(pivots, behind, strict=True):
        _hang(pivot, sql, tail, "SELECT 1", ("order", "limit", "offset"))
    for tail in (t for t in tails if t.behind is exp.Delete):
        if not isinstance(tree, exp.Delete):
            return False
        _hang(tree, sql, tail, "DELETE FROM t", ("returning",))
    return True


def _hang(node: exp.Expr, sql: str, tail: _Tail, head: str, clauses: tuple[str, ...]) -> None:
    """Read a tail behind a statement that is as long as what stands before it, so that its offsets are true."""
    if tail.is_empty:
        return
    read_alone = _read(head + _blank(sql[len(head) : tail.start]) + sql[tail.start : tail.end])
    for name in clauses:
        if clause := read_alone.args.get(name):
            node.set(name, clause)


def _begin(pivot: exp.Expr) -> int:
    """Where the first name in a PIVOT stands; one that stands around another comes first, as in the tree."""
    return min((i.meta["start"] for i in pivot.find_all(exp.Identifier) if "start" in i.meta), default=0)


def _blank(sql: str) -> str:
    return re.sub(r"[^\n]", " ", sql)
