"""The cache: complete answers of calls, kept in DuckDB for a time.

A unit is everything that an API answered to one call: its pages as bytes, in their order. Whatever fields a later
statement reads, it reads from the same bytes. Units of a connection to a file are in that file, in the schema
`apiql_cache`; otherwise they are in memory. Which credentials asked is part of a unit's key, as a hash under a key of
the file's own; the credentials are not in it, and an answer that quotes them is not kept.

Each change is one transaction, so that a process that dies leaves whole units. A statement reads one snapshot from its
beginning to its end; what it keeps is refused when somebody has dropped anything since that snapshot.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from hashlib import blake2b

import duckdb
import msgspec

from provider.catalog.catalog import Method
from provider.engine.staging import BATCH_BYTES
from provider.rest.pagination import Answer
from provider.rest.request import Call

#: Bytes that units may have together; beyond it those go first that were not used for longest.
ROOM = 256 * 2**20
_TABLES = """
    CREATE SCHEMA IF NOT EXISTS apiql_cache;
    CREATE TABLE IF NOT EXISTS apiql_cache.state AS SELECT $1::BLOB AS salt, 0::BIGINT AS drops, $2::VARCHAR AS layout;
    CREATE TABLE IF NOT EXISTS apiql_cache.units (
        id BIGINT, key VARCHAR, provider VARCHAR, resource VARCHAR, path VARCHAR,
        read_at DOUBLE, good_for DOUBLE, used_at DOUBLE, bytes BIGINT, shows_changes BOOLEAN);
    CREATE TABLE IF NOT EXISTS apiql_cache.pages (unit BIGINT, number BIGINT, answer VARCHAR, body BLOB);
"""
#: What the tables are and what stands in them, which another version of ApiQL may have otherwise.
_LAYOUT = blake2b(
    repr((_TABLES, *([(f.name, f.type) for f in fields(kept)] for kept in (Answer, Call)))).encode(), digest_size=8
).hexdigest()
#: Bytes of units that are gone after which their place is given back.
_SPILT = 16 * 2**20
#: Changes wait for each other: DuckDB would refuse the second of two at a time, and one process has the file.
_CHANGING = threading.Lock()
_answer = msgspec.json.Decoder(Answer).decode


@dataclass(frozen=True, slots=True)
class Unit:
    """The whole answer to a call.

    `read_at` is when its first request was about to be sent, in Unix seconds; for `good_for` seconds from then on the
    API calls it good, infinity where it does not say. `pages` are what the API said, with the rows in their bodies that
    were new. `shows_changes` says that the API can be asked whether a page still holds.
    """

    key: str
    provider: str
    resource: str
    path: str
    read_at: float
    good_for: float
    pages: tuple[Answer, ...]
    shows_changes: bool

    @property
    def size(self) -> int:
        """Its bytes, about."""
        return sum(len(page.body) + 256 for page in self.pages)


@dataclass(frozen=True, slots=True)
class Held:
    """A unit that is in the cache."""

    id: int
    key: str
    read_at: float
    good_for: float
    size: int
    shows_changes: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """What a write may have changed: a resource, and what is at, below and above a path of its provider."""

    provider: str
    resource: str
    path: str

    @classmethod
    def of(cls, provider: str, method: Method, call: Call) -> Scope:
        """The scope of a write: its path up to the first object in it, with what belongs to that."""
        template, path = method.path.split("/"), call.path.split("/")
        first = next((i for i, part in enumerate(template) if "{" in part), len(template))
        # A segment that is not the object's name alone, as in {id}:cancel, is no prefix of the object's path.
        alone = first < len(template) and template[first].startswith("{") and template[first].endswith("}")
        return cls(provider, method.resource, "/".join(path[: first + alone]))


class Cache:
    """The units of one connection's database.

    Args:
        duck: the connection's; a cursor of it is used, so that no transaction of the user's holds or undoes a change.
        clock: Unix time in seconds.
        room: the bytes that units may have together.
    """

    def __init__(
        self, duck: duckdb.DuckDBPyConnection, clock: Callable[[], float] = time.time, room: int = ROOM
    ) -> None:
        told = "SELECT path IS NOT NULL AND NOT readonly FROM duckdb_databases() WHERE database_name = "
        self.clock = clock
        self._main = duck
        self._in_file = duck.execute(f"{told} current_database()").fetchall() == [(True,)]
        self._room = room
        self._duck: duckdb.DuckDBPyConnection | None = None
        self._gone = 0

    def snapshot(self) -> Snapshot:
        """The cache as it is now, for one statement."""
        duck = self._opened()
        with _CHANGING:
            duck.execute(_TABLES.split(";", 1)[0])
            for sql in _TABLES.split(";")[1:-1]:
                duck.execute(sql, [os.urandom(16), _LAYOUT] if "$1" in sql else None)
        return Snapshot(duck.cursor(), self.clock())

    def keep(self, units: Sequence[Unit], drops: int) -> None:
        """Keep units in place of those with their keys, unless anything was dropped since `drops` was read."""
        with self._change() as duck:
            if duck.execute("SELECT drops FROM apiql_cache.state").fetchone() != (drops,):
                return
            self._remove(duck, "key IN (SELECT unnest($1::VARCHAR[]))", [[u.key for u in units]])
            row = duck.execute("SELECT coalesce(max(id), 0) + 1 FROM apiql_cache.units").fetchone()
            first = int(row[0]) if row is not None else 1
            numbered = [
                (i, u.key, u.provider, u.resource, u.path, u.read_at, u.good_for, u.read_at, u.size, u.shows_changes)
                for i, u in enumerate(units, first)
            ]
            pages = [(i, n, told(p), p.body) for i, u in enumerate(units, first) for n, p in enumerate(u.pages)]
            _insert(duck, "units", ("BIGINT", *["VARCHAR"] * 4, *["DOUBLE"] * 3, "BIGINT", "BOOLEAN"), numbered)
            _insert(duck, "pages", ("BIGINT", "BIGINT", "VARCHAR", "BLOB"), pages)
            self._evict(duck)

    def used(self, ids: Sequence[int], now: float) -> None:
        """Note that units were of use."""
        with self._change() as duck:
            sql = "UPDATE apiql_cache.units SET used_at = $2 WHERE id IN (SELECT unnest($1::BIGINT[]))"
            duck.execute(sql, [list(ids), now])

    def drop(self, scopes: Sequence[Scope]) -> None:
        """Drop what writes may have changed: the units of their resources, and of their paths."""
        touched = list(dict.fromkeys(scopes))
        if not touched:
            return
        self._drop(
            "EXISTS (SELECT 1 FROM (SELECT unnest($1::VARCHAR[]) AS provider, unnest($2::VARCHAR[]) AS resource, "
            "unnest($3::VARCHAR[]) AS path) AS w WHERE w.provider = units.provider AND (w.resource = units.resource "
            "OR w.path = units.path OR starts_with(units.path, w.path || '/') "
            "OR starts_with(w.path, units.path || '/')))",
            [[s.provider for s in touched], [s.resource for s in touched], [s.path for s in touched]],
        )

    def refresh(self, resource: str | None = None) -> None:
        """Drop the units of a resource (`provider.service.resource`), or all of them."""
        self._drop("$1 IS NULL OR resource = $1", [resource])

    def tidy(self) -> None:
        """Give back the place of units that are gone, which DuckDB does at a checkpoint, if it is worth one.

        A transaction that still sees them may forbid that; then the next one does it.
        """
        if self._gone > _SPILT:
            duck = self._opened()
            with _CHANGING, suppress(duckdb.Error):
                duck.execute("CHECKPOINT")
                self._gone = 0

    def close(self) -> None:
        """Close the cache's own connection."""
        if self._duck is not None:
            self._duck.close()
            self._duck = None

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._duck is None:
            self._duck = self._main.cursor() if self._in_file else duckdb.connect(":memory:")
            with _CHANGING:
                _drop_other_layout(self._duck)
        return self._duck

    def _drop(self, condition: str, values: list[object]) -> None:
        """Drop units, also of a cache that is off now; where there never was one there is nothing to do."""
        if self._duck is None and not self._in_file:
            return
        if not _is_there(self._opened()):
            return
        with self._change() as duck:
            duck.execute("UPDATE apiql_cache.state SET drops = drops + 1")
            self._remove(duck, condition, values)
        self.tidy()

    def _evict(self, duck: duckdb.DuckDBPyConnection) -> None:
        """Make room, from the unit on that was not used for longest."""
        row = duck.execute("SELECT sum(bytes) FROM apiql_cache.units").fetchone()
        if row is not None and (row[0] or 0) > self._room:
            newest = "sum(bytes) OVER (ORDER BY used_at DESC, id DESC)"
            source = f"SELECT id, {newest} AS so_far FROM apiql_cache.units"
            self._remove(duck, f"id IN (SELECT id FROM ({source}) AS ranked WHERE so_far > $1)", [self._room])

    def _remove(self, duck: duckdb.DuckDBPyConnection, condition: str, values: list[object]) -> None:
        gone = duck.execute(f"DELETE FROM apiql_cache.units WHERE {condition} RETURNING id, bytes", values).fetchall()
        if gone:
            ids = [id_ for id_, _ in gone]
            duck.execute("DELETE FROM apiql_cache.pages WHERE unit IN (SELECT unnest($1::BIGINT[]))", [ids])
            self._gone += sum(size for _, size in gone)

    @contextmanager
    def _change(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction; nobody else changes a cache of this process meanwhile."""
        duck = self._opened()
        with _CHANGING:
            duck.execute("BEGIN")
            try:
                yield duck
                duck.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):
                    duck.execute("ROLLBACK")
                raise


class Snapshot:
    """The cache as it was when a statement began.

    Attributes:
        now: the time by which units are old, in Unix seconds.
        drops: how often something had been dropped.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection, now: float) -> None:
        self.now = now
        self._duck = duck
        duck.execute("BEGIN")
        row = duck.execute("SELECT salt, drops FROM apiql_cache.state").fetchone()
        assert row is not None
        self._salt, self.drops = bytes(row[0]), int(row[1])

    def key(self, *parts: object) -> str:
        """The key of a unit: what tells its call from all others, as a hash that only this cache can make."""
        return blake2b(repr(parts).encode(), key=self._salt, digest_size=16).hexdigest()

    def find(self, keys: Sequence[str]) -> dict[str, Held]:
        """The units that there are of some keys."""
        columns = "id, key, read_at, good_for, bytes, shows_changes"
        sql = f"SELECT {columns} FROM apiql_cache.units WHERE key IN (SELECT unnest($1::VARCHAR[]))"
        return {row[1]: Held(*row) for row in self._duck.execute(sql, [list(dict.fromkeys(keys))]).fetchall()}

    def pages(self, units: Sequence[Held]) -> Iterator[list[tuple[Held, Answer]]]:
        """The pages of units, in their order, about as many at a time as are staged together."""
        batch: list[Held] = []
        size = 0
        for unit in units:
            batch.append(unit)
            size += unit.size
            if size >= BATCH_BYTES:
                yield self._read(batch)
                batch, size = [], 0
        if batch:
            yield self._read(batch)

    def _read(self, units: Sequence[Held]) -> list[tuple[Held, Answer]]:
        sql = (
            "SELECT unit, answer, body FROM apiql_cache.pages WHERE unit IN (SELECT unnest($1::BIGINT[])) "
            "ORDER BY unit, number"
        )
        by_id = {u.id: u for u in units}
        rows = self._duck.execute(sql, [list(by_id)]).fetchall()
        return [(by_id[id_], replace(_answer(text), body=bytes(body))) for id_, text, body in rows]

    def close(self) -> None:
        """Give it up."""
        self._duck.close()


def _is_there(duck: duckdb.DuckDBPyConnection) -> bool:
    """Whether the database has tables of a cache."""
    sql = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'apiql_cache' AND database_name = current_database()"
    return duck.execute(sql).fetchone() is not None


def _drop_other_layout(duck: duckdb.DuckDBPyConnection) -> None:
    """Drop the tables of another version of ApiQL with what is in them, which can be read anew."""
    if not _is_there(duck):
        return
    try:
        found = duck.execute("SELECT layout FROM apiql_cache.state").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        found = []
    if found != [(_LAYOUT,)]:
        duck.execute("DROP SCHEMA apiql_cache CASCADE")


def told(answer: Answer) -> str:
    """The call and the headers of an answer, as text."""
    return msgspec.json.encode(replace(answer, body=b"")).decode()


def _insert(
    duck: duckdb.DuckDBPyConnection, table: str, types: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Insert rows in one statement, a parameter a column."""
    columns = ", ".join(f"unnest(${n}::{type_}[])" for n, type_ in enumerate(types, 1))
    duck.execute(f"INSERT INTO apiql_cache.{table} SELECT {columns}", [list(c) for c in zip(*rows, strict=True)])
