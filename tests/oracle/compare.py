"""The judge: one statement over a world's resources and over the same rows as plain tables, and what it sends."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

import provider
from provider.errors import BindError, NotSupportedError
from tests.oracle.server import Server
from tests.oracle.world import World

_REFUSED = r" is text, and .* is not|^a key is text|^a key is a whole number"
_LENIENT = (
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    duckdb.NotImplementedException,
)

#: Random orders of rows in which an answer that differs from plain DuckDB's is looked for.
_SHUFFLES = 12

Parameters = list[Any] | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Case:
    """A statement with its parameters. `bound` says that every required parameter is bound, as its maker knows."""

    sql: str
    parameters: Parameters = None
    bound: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """Names, types and rows as texts and as they came, or an error."""

    columns: tuple[tuple[str, str], ...] = ()
    rows: tuple[str, ...] = ()
    values: tuple[tuple[Any, ...], ...] = ()
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kind` is 'same', or 'unbound', 'lenient', 'vague' where nothing can be said, or the kind of a failure.

    'twice' is the right answer of a statement that sent a request more than once.
    """

    kind: str
    detail: str = ""

    @property
    def is_failure(self) -> bool:
        return self.kind not in ("same", "twice", "unbound", "lenient", "vague", "both")


class Oracle:
    """ApiQL and plain DuckDB over one world."""

    def __init__(self, server: Server, world: World, concurrency: int = 16) -> None:
        self.world = world
        base = server.serve(world)
        self._folder = tempfile.TemporaryDirectory()
        self.connection = provider.connect(
            manifests=[str(p) for p in world.write_manifests(Path(self._folder.name))],
            base_urls={name: f"{base}/{name}" for name in world.providers},
            environ={},
            max_concurrency=concurrency,
            timeout=20,
            retries=0,
        )
        self._log = server.log
        if world.tables:
            self.connection.execute(world.local_sql())
        for sql in world.views_sql():
            self.connection.execute(sql)
        self._plain = self._opened(world)
        self._give(world, self.connection)
        self._others: list[duckdb.DuckDBPyConnection] = []

    def close(self) -> None:
        self.connection.close()
        self._folder.cleanup()
        for duck in (self._plain, *self._others):
            duck.close()

    def _opened(self, world: World) -> duckdb.DuckDBPyConnection:
        """Plain DuckDB with a world, its files and data frames."""
        duck = world.plain()
        self._give(world, duck)
        return duck

    def _give(self, world: World, connection: duckdb.DuckDBPyConnection | provider.Connection) -> None:
        """Let a connection find the files and data frames of a world."""
        folder = tempfile.mkdtemp(dir=self._folder.name)
        world.write_files(Path(folder))
        connection.execute(f"SET file_search_path = '{folder}'")
        for name, frame in world.frames().items():
            connection.register(name, frame)

    def execute(self, sql: str) -> None:
        """Run a statement on both sides, and in the further plain databases."""
        self.connection.execute(sql)
        for duck in (self._plain, *self._variants()):
            duck.execute(sql)

    def judge(self, case: Case) -> Verdict:
        """Run a case on both sides and compare the answers; then look at what was sent."""
        plain = _ask(self._plain, case)
        self._log.clear()
        api = self._api(case)
        verdict = self._compare(case, plain, api)
        return self._sent(api) if verdict.kind == "same" else verdict

    def _api(self, case: Case) -> Answer:
        try:
            cursor = self.connection.execute(case.sql, case.parameters)
            return _answer([(d[0], d[1]) for d in cursor.description or ()], cursor.fetchall())
        except Exception as e:
            return Answer(error=e)

    def _sent(self, api: Answer) -> Verdict:
        """One statement asks for nothing twice."""
        twice = [f"{target} x{n}" for target, n in Counter(self._log).items() if n > 1]
        return Verdict("twice", "\n".join(twice)) if twice else Verdict("same")

    def _compare(self, case: Case, plain: Answer, api: Answer) -> Verdict:
        if plain.error is not None and isinstance(api.error, provider.Error):
            return Verdict("both", f"{plain.error}\n{api.error}")
        if isinstance(api.error, BindError | NotSupportedError) and not case.bound:
            return Verdict("unbound")
        if isinstance(api.error, BindError) and re.search(_REFUSED, str(api.error)):
            return Verdict("unbound")  # no request can ask for what equals a value of another type
        if plain.error is not None and api.error is None:
            # Rows that were not fetched cannot make a cast fail, and an inlined CTE may join where another may not;
            # names and types must fail all the same.
            return Verdict("lenient" if isinstance(plain.error, _LENIENT) else "accepted", str(plain.error))
        if api.error is not None:
            first = str(api.error).split("\n")[0]
            if isinstance(api.error, BindError) and " needs " in first:
                return Verdict("bind", first)
            # Names and numbers differ from one failure to the next of the same kind.
            summary = re.sub(r'"[^"]*"|/\S+|\bt?\d+\b', "_", first)
            return Verdict(f"error {type(api.error).__name__}: {summary}", str(api.error)[:1000])
        if plain.columns != api.columns:
            return Verdict("columns", f"plain {plain.columns}\napi   {api.columns}")
        return self._compare_rows(case, plain, api)

    def _compare_rows(self, case: Case, plain: Answer, api: Answer) -> Verdict:
        ordered, whole, sorted_by = _shape(case.sql)
        detail = _difference(plain.rows, api.rows)
        keys = [[repr([row[i] for i in sorted_by]) for row in answer.values] for answer in (plain, api)]
        if keys[0] != keys[1]:
            # The sort keys come in their order, whichever of the rows that are equal in them was taken.
            kind = "order" if Counter(plain.rows) == Counter(api.rows) else "rows"
            return Verdict("vague" if self._is_vague(case, plain, sorted_by or None) else kind, detail)
        if (plain.rows == api.rows) if ordered else (Counter(plain.rows) == Counter(api.rows)):
            return Verdict("same")
        if whole is not None:
            uncut = Case(whole, _used(whole, case.parameters))
            everything = _ask(self._plain, uncut)
            is_subset = everything.error is None and not Counter(api.rows) - Counter(everything.rows)
            if is_subset and len(api.rows) == len(plain.rows):
                return Verdict("same")
            return Verdict("vague" if self._is_vague(uncut, everything) else "rows", detail)
        if self._is_vague(case, plain):
            return Verdict("vague", detail)
        kind = "order" if Counter(plain.rows) == Counter(api.rows) else "rows"
        return Verdict(kind, detail)

    def _is_vague(self, case: Case, plain: Answer, keys: Sequence[int] | None = None) -> bool:
        """Whether plain DuckDB itself has several answers, or several orders of the columns `keys`."""
        for duck in self._variants():
            other = _ask(duck, case)
            if other.error is not None:
                return True
            if keys is None and Counter(other.rows) != Counter(plain.rows):
                return True
            if keys and [[r[i] for i in keys] for r in other.values] != [[r[i] for i in keys] for r in plain.values]:
                return True
        return False

    def _variants(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Plain databases that must agree if the statement has one answer: other row orders, no optimizer.

        A LIMIT deep inside may take any rows, and what is asked of them then tells few orders apart: many are tried,
        and those in which the API lists.
        """
        if not self._others:
            backwards = self.world.arranged(reversed)
            self._others = [self._opened(w) for w in (backwards, self.world, backwards)]
            for duck in self._others[1:]:
                duck.execute("PRAGMA disable_optimizer")
            self._others += [self._opened(self.world.listed(turned)) for turned in (False, True)]
            for seed in range(_SHUFFLES):
                shuffled = self.world.arranged(partial(_shuffled, Random(seed)))
                self._others.append(self._opened(shuffled))
        yield from self._others


@contextmanager
def opened(server: Server, world: World, concurrency: int = 16) -> Iterator[Oracle]:
    """An oracle that is closed in the end."""
    oracle = Oracle(server, world, concurrency)
    try:
        yield oracle
    finally:
        oracle.close()


def _shuffled(random: Random, rows: Sequence[Any]) -> list[Any]:
    return random.sample(rows, len(rows))


def _ask(duck: duckdb.DuckDBPyConnection, case: Case) -> Answer:
    try:
        found = duck.execute(case.sql, case.parameters) if case.parameters else duck.execute(case.sql)
        return _answer([(d[0], str(d[1])) for d in found.description or ()], found.fetchall())
    except duckdb.Error as e:
        return Answer(error=e)


def _answer(columns: Sequence[tuple[str, str]], rows: Sequence[tuple[Any, ...]]) -> Answer:
    """An answer whose row texts tell 1, 1.0, True and '1' apart, as equality does not."""
    return Answer(tuple(columns), tuple(repr(r) for r in rows), tuple(rows))


def _shape(sql: str) -> tuple[bool, str | None, tuple[int, ...]]:
    """What the end of a statement says of its rows' order.

    Returns:
        Whether ORDER BY names every column; where LIMIT cuts an order that is not total, the statement without it;
        and the positions of the columns by which the rows are sorted, none where a sort key is no column.
    """
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return False, None, ()
    items = tree.selects if isinstance(tree, exp.Query) and not tree.find(exp.Star) else []
    order = tree.args.get("order")
    found = [_position(o.this, items) for o in order.expressions] if order else []
    keys = tuple(i for i in found if i is not None) if None not in found else ()
    ordered = len(set(keys)) == len(items) > 0
    if ordered or not (tree.args.get("limit") or tree.args.get("offset")):
        return ordered, None, keys
    whole = tree.copy()
    whole.set("limit", None)
    whole.set("offset", None)
    return False, whole.sql(dialect="duckdb"), keys


def _used(sql: str, parameters: Parameters) -> Parameters:
    """The parameters that a statement still has without its end."""
    left = list(sqlglot.parse_one(sql, read="duckdb").find_all(exp.Placeholder))
    if isinstance(parameters, dict):
        return {n: v for n, v in parameters.items() if n in {p.name for p in left}} or None
    return parameters[: len(left)] or None if parameters else None


def _position(key: exp.Expr, items: list[exp.Expr]) -> int | None:
    """The column of a select list that a sort key is: by number, by alias, or written alike."""
    if isinstance(key, exp.Literal) and not key.is_string:
        number = int(key.this) - 1
        return number if number < len(items) else None
    for i, item in enumerate(items):
        if key in (item, item.unalias()) or (isinstance(key, exp.Column) and not key.table and key.name == item.alias):
            return i
    return None


def _difference(plain: tuple[str, ...], api: tuple[str, ...]) -> str:
    missing, extra = Counter(plain) - Counter(api), Counter(api) - Counter(plain)
    lines = [f"plain {len(plain)} rows, api {len(api)} rows"]
    lines += [f"  - {r} x{n}" for r, n in list(missing.items())[:8]]
    lines += [f"  + {r} x{n}" for r, n in list(extra.items())[:8]]
    return "\n".join(lines)


def case_json(world: World, case: Case, note: str = "") -> str:
    """A case with its world, as a file of tests/oracle/cases holds it."""
    data = {"note": note, "sql": case.sql, "parameters": case.parameters, "bound": case.bound, "world": world.to_json()}
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def read_case(text: str) -> tuple[World, Case]:
    """What `case_json` wrote."""
    data = json.loads(text)
    return World.from_json(data["world"]), Case(data["sql"], data["parameters"], data["bound"])
