"""What statements are made of: relations in scope, columns, literals and parameters, predicates without queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from tests.oracle.world import World
from tests.oracle.worlds import DAYS, DECIMALS, KEYS, NO_KEYS, NUMBERS, NUMERALS, SMALL, TIMES, WHOLE

T = TypeVar("T")
Columns = dict[str, str]
#: What no predicate, key or set operation is built on: sums and the like.
OTHER = "other"
OPAQUE = (OTHER, "object", "array")
_ONES = ("1.0", "1.5", "'1'", "1e0", "9007199254740992e0", "'01'")
#: Bounds that no value of a type can be, though some are less and some are more.
_BETWEEN = {
    "integer": ("1.5", "-0.5", "9223372036854775808", "-9223372036854775809", "2e0"),
    "decimal(20,4)": ("1.50005", "0.00001", "-2.25001"),
    "date": ("TIMESTAMP '2026-02-28 12:00:00'", "TIMESTAMP '2026-03-01 00:00:00'"),
}
_TRUTHS = ("TRUE", "FALSE", "NULL", "NOT TRUE", "NOT FALSE", "NOT NULL")
_PATTERNS = ("'%a%'", "'_'", "'%'", "''", "'%/_'", r"'%\%%' ESCAPE '\'")


@dataclass(eq=False, slots=True)
class Rel:
    """A relation in scope. It can be read where one of `needs` is bound: sets of its columns."""

    alias: str
    columns: Columns
    needs: tuple[frozenset[str], ...] = ()
    #: Columns that only a constant may bind, since they are parameters of an optional filter.
    constant: frozenset[str] = frozenset()
    star: bool = True

    def ref(self, name: str) -> str:
        return f"{self.alias}.{name}"


class Terms:
    """Makes parts of statements over a world; `random` decides everything."""

    def __init__(self, random: Random, world: World) -> None:
        self._random = random
        self._world = world
        values = [v for r in world.resources for row in r.rows for v in row.values()]
        values += [v for t in world.tables for row in t.rows for v in row]
        self._texts = sorted({v for v in values if isinstance(v, str) and v in (*KEYS, *NUMERALS)}) or list(KEYS)
        self._whole = sorted({v for v in values if isinstance(v, int)}) or list(SMALL)
        self._values: dict[str, Any] = {}
        self._parametrised = False

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _one(self, items: Sequence[T]) -> T:
        return self._random.choice(items)

    def _column(self, rels: list[Rel]) -> tuple[str, str]:
        found = [(r.ref(n), t) for r in rels for n, t in r.columns.items() if t not in OPAQUE]
        if not found:
            return "1", "integer"
        rel = self._one([r for r in rels if any(t not in OPAQUE for t in r.columns.values())])
        return self._one([(rel.ref(n), t) for n, t in rel.columns.items() if t not in OPAQUE])

    @staticmethod
    def _columns(rels: list[Rel], type_: str) -> list[str]:
        return [r.ref(n) for r in rels for n, t in r.columns.items() if t == type_]

    def _literal_number(self, choices: Sequence[int]) -> str:
        """A small number, or a parameter with it."""
        value = self._one(choices)
        if not (self._parametrised and self._chance(0.5)):
            return str(value)
        name = f"p{len(self._values) + 1}"
        self._values[name] = value
        return f"${name}"

    def _range(self, rel: Rel, name: str) -> str:
        """A bound on a column, or two."""
        column, type_ = rel.ref(name), rel.columns[name]
        a, b = self._literal(type_), self._literal(type_)
        if type_ in _BETWEEN and self._chance(0.2):
            a = self._one(_BETWEEN[type_])
        return self._disguised(
            (
                f"{column} {self._one(('<', '<=', '>', '>='))} {a}",
                f"{a} {self._one(('<', '<=', '>', '>='))} {column}",
                f"{column} BETWEEN {a} AND {b}",
                f"{column} NOT BETWEEN {a} AND {b}",
                f"{column} >= {a} AND {column} < {b}",
                f"NOT ({column} < {a} OR {column} > {b})",
                f"{column} = {a}",
                f"{column} IN ({a}, {b})",
                f"({column} > {a} OR {column} = {b})",
                f"{column} >= (SELECT min(bounds.v) FROM (VALUES ({a}), ({b})) AS bounds(v))",
                f"{column} > {a} IS NOT FALSE",
                f"{column} = ANY([{a}, {b}])",
                f"{column} IS NOT DISTINCT FROM {a}",
                f"CASE WHEN {column} > {a} THEN {column} > {b} ELSE {column} = {a} END",
            )
        )

    def _disguised(self, predicates: Sequence[str]) -> str:
        """One of some predicates, which now and then is written as another that is true of the same rows."""
        predicate = self._one(predicates)
        if self._chance(0.7):
            return predicate
        return self._one(
            (
                f"NOT (NOT ({predicate}))",
                f"({predicate}) IS TRUE",
                f"({predicate}) = true",
                f"(NOT ({predicate})) IS FALSE",
                f"coalesce({predicate}, false)",
                f"CASE WHEN {predicate} THEN true ELSE false END",
                f"CASE WHEN {predicate} THEN true END",
                f"CASE WHEN {predicate} THEN 1 ELSE 0 END = 1",
                f"if({predicate}, true, NULL)",
                f"NOT CASE WHEN {predicate} THEN false ELSE true END",
            )
        )

    def _simple(self, rels: list[Rel]) -> str:
        """A predicate without subqueries."""
        column, type_ = self._column(rels)
        same = [c for c in self._columns(rels, type_) if c != column]
        other = self._one(same) if same and self._chance(0.3) else self._literal(type_, nullable=self._chance(0.1))
        choices = [
            f"{column} {self._one(('=', '=', '=', '<>', '<', '<=', '>', '>='))} {other}",
            f"{column} {self._one(('=', '<>'))} {other}",
            f"{column} {self._one(('', 'NOT '))}IN ({self._list(type_)})",
            f"{column} IS {self._one(('', 'NOT '))}NULL",
            f"{column} IS {self._one(('', 'NOT '))}DISTINCT FROM {other}",
            f"{column} BETWEEN {self._literal(type_)} AND {self._literal(type_)}",
            f"({column} {self._one(('=', '<>', '<'))} {other}) IS {self._one(_TRUTHS)}",
            f"{column} = {self._one(('ANY', 'SOME'))}([{self._list(type_)}])",
            f"{column} {self._one(('<>', '<'))} ALL([{self._list(type_)}])",
            f"coalesce({column}, {self._literal(type_)}) = {self._literal(type_)}",
            f"nullif({column}, {self._literal(type_)}) IS NULL",
            f"CAST({column} AS VARCHAR) = {self._literal('string')}",
            f"({column} = {self._literal(type_)} OR {column} = {self._literal(type_)})",
            f"CASE WHEN {column} IS NULL THEN {self._one(('true', 'false', 'NULL'))} ELSE {column} <> {other} END",
            f"CASE {column} WHEN {self._literal(type_)} THEN true WHEN {other} THEN false END",
        ]
        if type_ == "string" and self._chance(0.1):
            # Comparisons that are no equality of texts.
            # In parentheses, since sqlglot takes a COLLATE behind an OR for one of the whole OR.
            choices = [f"{column} = ({literal} COLLATE NOCASE)" for literal in (self._literal(type_),)]
            if set(self._texts) <= set(NUMERALS):
                choices += [f"{column} = {self._one((1, 2, 3))}", f"{column} IN (1, 2)"]
        elif type_ == "string":
            choices += [
                f"{column} {self._one(('', 'NOT '))}LIKE {self._one(_PATTERNS)}",
                f"{column} ILIKE 'a%'",
                f"lower({column}) = {self._literal('string')}",
                f"length({column}) > {self._one((0, 1))}",
                f"TRY_CAST({column} AS INTEGER) = {self._one(SMALL)}",
            ]
        if type_ == "boolean":
            choices += [
                column,
                f"NOT {column}",
                f"{column} IS {self._one(('', 'NOT '))}{self._one(('TRUE', 'FALSE'))}",
            ] * 2
        if type_ == "integer":
            choices += [f"{column} = {self._one(_ONES)}", f"{column} % 2 = 0"]
        if self._chance(0.03):
            choices = ["true", "false", "NULL", "1 = 2"]
        return self._one(choices)

    def _list(self, type_: str) -> str:
        """Some literals for IN."""
        return ", ".join(self._literal(type_, nullable=True) for _ in range(self._one((1, 2, 3))))

    def _literal(self, type_: str, nullable: bool = False) -> str:
        """A literal or parameter."""
        value: Any
        if nullable and self._chance(0.15):
            return "NULL"
        match type_:
            case "string":
                value = self._one(self._texts) if self._chance(0.85) else self._one(KEYS + NO_KEYS)
            case "integer":
                value = int(self._one(self._whole) if self._chance(0.85) else self._one(WHOLE))
            case "boolean":
                value = self._chance(0.5)
            case "number":
                return repr(self._one(NUMBERS))
            case "date":
                return f"DATE '{self._one(DAYS)}'"
            case "timestamp":
                return f"TIMESTAMPTZ '{self._one(TIMES)}'"
            case _:
                return f"CAST('{self._one(DECIMALS)}' AS DECIMAL(20,4))"
        if self._parametrised and self._chance(0.6):
            name = f"p{len(self._values) + 1}"
            self._values[name] = value
            return f"${name}"
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        return str(value).lower()
