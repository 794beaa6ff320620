"""SQL out of a bound statement: the user's text with staged tables spliced in, and parts of it over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]  # re-exported without saying so

from provider.catalog.types import FieldType
from provider.plan.binder import Binder
from provider.plan.blocks import Block, Cte, Relation
from provider.plan.resolution import resolve
from provider.plan.syntax import span, star_of
from provider.sql.scanner import Text

#: Gives the staged table of a resource relation.
Table = Callable[[Relation], str]


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


def quoted(name: str) -> str:
    """A name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


_TEXT = "('VARCHAR', 'UUID', 'JSON', '\"NULL\"')"
#: From here on floats no longer tell whole numbers apart, by their type.
_EXACT = {"DOUBLE": 2**53, "FLOAT": 2**24}


def key_cast(sql: str, type_: FieldType) -> str:
    """A key in its parameter's type, NULL where it has none; an error where DuckDB compares in another type.

    `text = number` compares numbers and `integer = double` compares doubles, so that further values are
    equal: asking for this one alone would lose rows.
    """
    value = f"TRY_CAST({sql} AS {type_.duckdb})"
    if type_.base == "string":
        odd = f"typeof({sql}) NOT IN {_TEXT} AND typeof({sql}) NOT LIKE 'ENUM%'"
        message = "a key is text, and it is compared with a value of another type: cast that to VARCHAR"
    elif type_.base == "integer":
        odd = _is_inexact(sql, 0)
        message = "a key is a whole number, and it is compared with a double that is too large to be exact"
    else:
        return value
    return f"CASE WHEN {odd} THEN CAST(error('{message}') AS {type_.duckdb}) ELSE {value} END"


def _is_inexact(sql: str, scale: int) -> str:
    """Whether a value is a float so large that DuckDB takes exact numbers of that scale beside it for equal."""
    size = f"abs(TRY_CAST({sql} AS DOUBLE))"
    return " OR ".join(f"(typeof({sql}) = '{t}' AND {size} >= {limit} / 1e{scale})" for t, limit in _EXACT.items())


def bound_query(sql: str, type_: FieldType, operator: str) -> str:
    """A query for the bound that a parameter of a type may be sent for `field operator value`.

    It answers no row for NULL, which bounds nothing in. It answers NULL where the type has no value as near
    that keeps all rows: 1.5 becomes 2 for `n < 1.5`, and cannot become 2 for `n > 1.5`. It is NULL too where
    DuckDB compares otherwise than the type does.
    """
    bound = f"TRY_CAST({sql} AS {type_.duckdb})"
    if type_.base == "string":
        sound = f"typeof({sql}) = 'VARCHAR'"
    else:
        outside = "<=" if operator.startswith(">") else ">="
        sound = f"isfinite({bound}) AND {bound} {outside} ({sql})"
        if type_.base in ("integer", "decimal"):
            sound += f" AND NOT ({_is_inexact(sql, type_.scale)})"
    return f"SELECT CASE WHEN {sound} THEN {bound} END WHERE ({sql}) IS NOT NULL"


_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
#: What stands behind an expression of a SELECT list.
_ENDS = _CLOSING | {
    TokenType.COMMA, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.QUALIFY,
    TokenType.WINDOW, TokenType.ORDER_BY, TokenType.LIMIT, TokenType.OFFSET, TokenType.UNION, TokenType.EXCEPT,
    TokenType.INTERSECT, TokenType.USING,
}  # fmt: skip


class Splicer:
    """Replaces resources by staged tables in the statement's own text; all else stays as written.

    Args:
        hidden: the staged parameter columns of a relation, which `*` must not show.
        title: what DuckDB calls a column that is an expression without an alias.
    """

    def __init__(
        self,
        binder: Binder,
        text: Text,
        tree: exp.Expr,
        table: Table,
        hidden: Callable[[Relation], Iterable[str]],
        title: Callable[[str], str],
    ) -> None:
        self._binder = binder
        self._sql = text.sql
        self._tree = tree
        self._table = table
        self._hidden = hidden
        self._title = title
        self._tokens: list[Token] | None = None
        self._bodies: dict[int, dict[int, str]] = {}

    def text(self) -> str:
        """The whole statement."""
        return self._apply(0, len(self._sql), None)

    def _apply(self, start: int, end: int, region: Relation | None) -> str:
        parts = []
        at = start
        edits = set(self._edits(region))
        edits |= set(self._titles(region, edits))
        for edit in sorted(edits, key=lambda e: (e.start, e.end)):
            if edit.start < at or edit.end > end:
                continue  # inside a CTE body that was replaced as a whole
            parts += [self._sql[at : edit.start], edit.text]
            at = edit.end
        return "".join([*parts, self._sql[at:end]])

    def _edits(self, region: Relation | None) -> Iterable[_Edit]:
        for block in self._binder.blocks:
            if block.region is not region:
                continue
            for relation in block.relations:
                if relation.resource is not None:
                    yield self._table_edit(relation)
                elif relation.cte is not None and self._is_inlined(relation.cte):
                    yield self._inline(relation)
            yield from self._star_edits(block)
            yield from self._column_edits(block)
        for cte in self._binder.ctes:
            if cte.region is region and (not cte.recursive or not cte.uses):
                start, end = self._body_span(cte)
                if cte.uses:
                    yield _Edit(start, end, self._use_texts(cte)[id(cte.uses[0])])
                elif any(self._names_resource(t) for t in cte.node.this.find_all(exp.Table)):
                    # Nobody reads it, so nothing is fetched for it.
                    width = max(1, len(cte.node.args["alias"].args.get("columns") or ()))
                    yield _Edit(start, end, f"SELECT {', '.join(['NULL'] * width)}")

    def _titles(self, region: Relation | None, edits: set[_Edit]) -> Iterable[_Edit]:
        """Aliases for the columns whose titles would show an edit: they are called as the user's text says."""
        for block in self._binder.blocks:
            for item in block.select.expressions if block.region is region else ():
                if isinstance(item, exp.Alias | exp.Column | exp.Dot) or item.find(exp.Columns) or star_of(item):
                    continue
                first, last = span([item])
                if any(first <= e.start and e.end <= last for e in edits):
                    around = [i for i in self._items() if i[0] <= first and last <= i[1]]
                    start, end = min(around, key=lambda i: i[1] - i[0])
                    yield _Edit(end, end, f" AS {quoted(self._title(self._sql[start:end]))}")

    def _items(self) -> Iterable[tuple[int, int]]:
        """Where the expressions of the SELECT lists stand, those of nested queries too."""
        starts: list[int | None] = [None]
        before = None
        keyed = 0  # how deep the parentheses of DISTINCT ON (...) stand
        for token in self._all_tokens():
            kind, begun = token.token_type, starts[-1]
            distinct = before is not None and before.token_type == TokenType.DISTINCT
            if begun is not None and before is not None and kind in _ENDS and not distinct:
                yield begun, before.end + 1
                starts[-1] = token.end + 1 if kind == TokenType.COMMA else None
            opens = before is not None and before.token_type == TokenType.SELECT
            if kind == TokenType.SELECT or (kind in (TokenType.DISTINCT, TokenType.ALL) and opens):
                starts[-1] = token.end + 1
            elif kind == TokenType.ON and distinct:
                starts[-1], keyed = None, len(starts)
            elif kind in _OPENING:
                starts.append(None)
            elif kind in _CLOSING:
                starts.pop()
                if len(starts) == keyed:
                    starts[-1], keyed = token.end + 1, 0
            before = token
        if before is not None and starts[-1] is not None:
            yield starts[-1], before.end + 1

    def _names_resource(self, table: exp.Table) -> bool:
        return len(table.parts) >= 3

    def _table_edit(self, relation: Relation) -> _Edit:
        node = relation.node
        assert isinstance(node, exp.Table)
        start, end = span(node.parts)
        table = self._table(relation)
        return _Edit(start, end, table if node.alias else f"{table} AS {quoted(relation.alias)}")

    def _star_edits(self, block: Block) -> Iterable[_Edit]:
        for star, qualifier in block.stars():
            names = [
                f"{quoted(r.alias)}.{quoted(n)}"
                for r in block.visible()
                if not qualifier or r.alias.lower() == qualifier
                for n in self._hidden(r)
            ]
            if not names:
                continue
            listed = ", ".join(names)
            if self._sql[star.meta.get("start", 0)] != "*":  # FROM t, without a SELECT
                at = self._from_before(block)
                yield _Edit(at, at, f"SELECT * EXCLUDE ({listed}) ")
            elif star.args.get("except_"):
                at = self._sql.index("(", star.meta["end"]) + 1
                yield _Edit(at, at, f"{listed}, ")
            else:
                at = star.meta["end"] + 1
                yield _Edit(at, at, f" EXCLUDE ({listed})")

    def _column_edits(self, block: Block) -> Iterable[_Edit]:
        """`p.s.r.column` becomes `r.column`; a name that a staged parameter would hide or double is qualified."""
        for column in block.columns:
            if not column.table and "start" in column.this.meta:
                yield from self._qualified(column, block)
            if not column.args.get("db"):
                continue
            found = resolve(column, block)
            if found and found[0].resource and column.text("table").lower() == found[0].alias.lower():
                start, end = span([column.args[k] for k in ("catalog", "db", "table") if column.args.get(k)])
                yield _Edit(start, end, quoted(found[0].alias))

    def _qualified(self, column: exp.Column, block: Block) -> Iterable[_Edit]:
        found = resolve(column, block)
        if found is None:
            return
        here: Block | None = block
        while here is not None:
            for relation in here.relations:
                if relation is not found[0] and column.name.lower() in (n.lower() for n in self._hidden(relation)):
                    at = column.this.meta["start"]
                    yield _Edit(at, at, f"{quoted(found[0].alias)}.")
                    return
            here = here.outer if here is not found[0].block else None

    def _inline(self, use: Relation) -> _Edit:
        assert use.cte is not None
        assert isinstance(use.node, exp.Table)
        start, end = span(use.node.parts)
        body = f"({self._use_texts(use.cte)[id(use)]})"
        if use.renames:
            names = ", ".join(quoted(n) for n in use.renames)
            body = f"(SELECT * FROM {body} AS {quoted(use.cte.name)} ({names}))"
        return _Edit(start, end, body if use.node.alias else f"{body} AS {quoted(use.alias)}")

    def _is_inlined(self, cte: Cte) -> bool:
        """Whether the uses of a CTE read different staged tables, so that each needs its own copy."""
        return not cte.recursive and len(set(self._use_texts(cte).values())) > 1

    def _use_texts(self, cte: Cte) -> dict[int, str]:
        if id(cte) not in self._bodies:
            start, end = self._body_span(cte)
            self._bodies[id(cte)] = {id(use): self._apply(start, end, use) for use in cte.uses}
        return self._bodies[id(cte)]

    def _all_tokens(self) -> list[Token]:
        if self._tokens is None:
            self._tokens = DuckDB().tokenize(self._sql + "\n")
        return self._tokens

    def _body_span(self, cte: Cte) -> tuple[int, int]:
        """The text between the parentheses of `name [(columns)] AS [[NOT] MATERIALIZED] (...)`."""
        tokens = self._all_tokens()
        alias = cte.node.args["alias"].this.meta["start"]
        i = next(i for i, t in enumerate(tokens) if t.start == alias)
        while tokens[i].token_type != TokenType.ALIAS:
            i += 1
        while tokens[i].token_type != TokenType.L_PAREN:
            i += 1
        first, depth = tokens[i], 0
        while True:
            depth += (tokens[i].token_type == TokenType.L_PAREN) - (tokens[i].token_type == TokenType.R_PAREN)
            if depth == 0:
                return first.end + 1, tokens[i].start
            i += 1

    def _from_before(self, block: Block) -> int:
        """Where the FROM of a SELECT-less query stands."""
        first = min(span(list(r.node.find_all(exp.Identifier)))[0] for r in block.relations)
        return max(t.start for t in self._all_tokens() if t.token_type == TokenType.FROM and t.start < first)


class StagedSql:
    """Renders parts of the bound statement over staged tables."""

    def __init__(self, binder: Binder, table: Table) -> None:
        self._binder = binder
        self._table = table
        # One for all: making a generator takes longer than most of what it writes.
        self._generator = DuckDB().generator(comments=False)

    def source(self, relation: Relation, recursive: dict[str, Cte], *, lacking: bool = False) -> str:
        """A relation as it can stand behind FROM on its own. Recursive CTEs that it reads are collected.

        With `lacking` there is one row more, in which all its columns are NULL.
        """
        alias = quoted(relation.alias)
        columns = f"({', '.join(quoted(c) for c in relation.renames)})" if relation.renames else ""
        if relation.resource is not None:
            found = f"{self._table(relation)} AS {alias}{columns}"
        elif relation.query is not None:
            found = f"({self.sql(relation.query, recursive)}) AS {alias}{columns}"
        elif relation.cte is not None:
            self._recursive(relation.cte, recursive)
            found = f"{quoted(relation.cte.name)} AS {alias}"
        else:
            node = relation.node.copy()
            node.set("joins", None)
            if isinstance(node, exp.Values) and not node.alias:
                node.set("alias", exp.TableAlias(this=exp.to_identifier(relation.alias, quoted=True)))
            found = self.sql(node, recursive)
        if not lacking:
            return found
        there = quoted(f"{relation.alias} is there")
        return f"(SELECT unnest([true, false]) AS yes) AS {there} LEFT JOIN {found} ON {there}.yes"

    def sql(self, node: exp.Expr, recursive: dict[str, Cte]) -> str:
        """An expression or query with staged tables in place of resources, and CTE uses opened."""

        clauses: list[exp.With] = []

        def replace(n: exp.Expr) -> exp.Expr:
            if isinstance(n, exp.With):
                clauses.append(n)
            number = n.meta.get("relation")
            if number is None or not isinstance(n, exp.Table):
                return n
            relation = self._binder.relations[number]
            alias = n.args.get("alias") or exp.TableAlias(this=exp.to_identifier(relation.alias, quoted=True))
            if relation.resource is not None:
                n.set("this", exp.to_identifier(self._table(relation).strip('"'), quoted=True))
                n.set("db", None)
                n.set("catalog", None)
                n.set("alias", alias)
            elif relation.cte is not None and relation.cte.recursive:
                self._recursive(relation.cte, recursive)
            elif relation.query is not None:
                body = relation.query.transform(replace)
                if relation.renames and not alias.args.get("columns"):
                    alias.set("columns", [exp.to_identifier(c, quoted=True) for c in relation.renames])
                opened = exp.Subquery(this=body, alias=alias)
                opened.set("joins", n.args.get("joins"))
                return opened
            return n

        copy = node.transform(replace)  # which copies the node
        # CTEs are opened where they are used; the recursive ones stand in front of the whole query.
        for clause in clauses:
            if clause.parent is not None:
                clause.parent.set("with_", None)
        return self._generator.generate(copy, copy=False)

    def _recursive(self, cte: Cte, recursive: dict[str, Cte]) -> None:
        if cte.name not in recursive:
            recursive[cte.name] = cte

    def prefix(self, recursive: dict[str, Cte]) -> str:
        """WITH RECURSIVE for the collected CTEs."""
        parts: dict[str, str] = {}
        while todo := [c for n, c in recursive.items() if n not in parts]:
            for cte in todo:
                parts[cte.name] = ""
                alias = cte.node.args["alias"]
                columns = ", ".join(quoted(c.name) for c in alias.args.get("columns") or ())
                body = self.sql(cte.node.this, recursive)
                parts[cte.name] = f"{quoted(cte.name)}{f'({columns})' if columns else ''} AS ({body})"
        return f"WITH RECURSIVE {', '.join(parts.values())} " if parts else ""
