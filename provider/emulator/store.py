"""The stored objects: one SQLite file in WAL mode, or memory. The bytes of files stand in a folder beside it.

A row holds its v2 object as the JSON text that goes out, so that a list is a join of texts. A write is
acknowledged after its commit; with `synchronous=NORMAL` a killed process loses nothing that it
acknowledged (a power cut may lose the last commits).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from provider.emulator.contents import Contents
from provider.emulator.objects import KINDS, Json, Kind, encode, make_id
from provider.errors import InterfaceError

FILE_NAME = "emulator.sqlite3"
_VERSION = 2
_SCHEMA = """
CREATE TABLE objects (
    seq        INTEGER PRIMARY KEY,  -- order of insertion; breaks ties of created_at
    id         TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    parent     TEXT NOT NULL,        -- thread of a message or run, run of a step, '' elsewhere
    label      TEXT,                 -- what its list filters by: run of a message, purpose of a file
    created_at INTEGER NOT NULL,
    active     INTEGER NOT NULL,     -- 1 for a run that is not terminal
    state      TEXT NOT NULL,        -- JSON kept beside the object
    body       TEXT NOT NULL         -- the v2 object
);
CREATE INDEX by_parent ON objects (parent, kind, created_at, seq);
CREATE INDEX by_label ON objects (label, parent, kind, created_at, seq) WHERE label IS NOT NULL;
CREATE INDEX active_runs ON objects (parent) WHERE active = 1;
CREATE TABLE counter (number INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
_COLUMNS = "id, body, state, created_at, seq"


Row = tuple[str, str, str]  # of a page: id, body, state; plain tuples, since pages are what has to be fast


class Record(NamedTuple):
    """A stored object: its v2 JSON text, the JSON kept beside it, and its place in lists."""

    id: str
    body: str
    state: str
    created_at: int
    seq: int

    @property
    def object(self) -> Json:
        """The decoded object."""
        found: Json = json.loads(self.body)
        return found

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in lists; what a `Window` takes."""
        return self.created_at, self.seq

    @property
    def kept(self) -> Json:
        """The decoded state."""
        found: Json = json.loads(self.state)
        return found


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is wanted; `after` and `before` are (created_at, seq) of the cursor objects."""

    limit: int
    ascending: bool
    after: tuple[int, int] | None = None
    before: tuple[int, int] | None = None
    label: str | None = None


class Store:
    """Objects by id and by parent. Every write belongs into a `transaction`.

    `folder` is created when it is absent; None keeps everything in memory, but for the bytes of files, which stand in
    a temporary folder then. `seed` changes the ids.
    """

    def __init__(self, folder: Path | None, seed: int = 0) -> None:
        self._seed = seed
        self._removed: list[str] = []
        place = ":memory:"
        if folder is not None:
            place = str(folder / FILE_NAME)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InterfaceError(
                    f"cannot use {folder} for the emulator's data",
                    reason=error.strerror or str(error),
                    remedy="Choose another directory with --data.",
                ) from error
        try:
            # The server's thread is not always the one that opens the store, but it is the only user.
            self._db = sqlite3.connect(place, isolation_level=None, check_same_thread=False, timeout=30)
        except sqlite3.DatabaseError as error:
            raise InterfaceError(f"cannot open the emulator's data in {place}", detail=str(error)) from error
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            with self.transaction():
                self._create(place)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise InterfaceError(f"cannot open the emulator's data in {place}", detail=str(error)) from error
        self.contents = Contents(folder)

    def _create(self, place: str) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == _VERSION:
            return
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if version or tables:
            raise InterfaceError(
                f"{place} is not a data file of this emulator",
                reason=f"It has layout version {version}, and this emulator writes version {_VERSION}.",
                remedy="Choose another directory with --data, or remove the file.",
            )
        for statement in _SCHEMA.split(";\n"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Closes the file; the store cannot be used afterwards."""
        self._db.close()
        self.contents.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside happen, or none of them; the write lock is held from the start."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._removed = []
            raise
        self._db.execute("COMMIT")
        for identifier in self._removed:
            self.contents.remove(identifier)
        self._removed = []

    def fresh_id(self, prefix: str) -> str:
        """An id that was never given before."""
        (number,) = self._db.execute("UPDATE counter SET number = number + 1 RETURNING number").fetchone()
        return make_id(prefix, self._seed, number)

    def put(
        self, body: Json, *, parent: str = "", label: str | None = None, state: Json, active: bool = False
    ) -> Record:
        """Inserts an object, or replaces the one with its id; answers what is stored now."""
        row = self._db.execute(
            "INSERT INTO objects (id, kind, parent, label, created_at, active, state, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET active = excluded.active, state = excluded.state, "
            f"body = excluded.body RETURNING {_COLUMNS}",
            (
                body["id"],
                KINDS[body["object"]].name,
                parent,
                label,
                body["created_at"],
                int(active),
                encode(state),
                encode(body),
            ),
        ).fetchone()
        return Record(*row)

    def get(self, kind: Kind, identifier: str, parent: str = "") -> Record | None:
        """The object of that kind below `parent`, or None."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM objects WHERE id = ? AND kind = ? AND parent = ?",
            (identifier, kind.name, parent),
        ).fetchone()
        return row and Record(*row)

    def exists(self, kind: Kind, identifier: str) -> bool:
        """Whether a top-level object of that kind is there."""
        found = self._db.execute("SELECT 1 FROM objects WHERE id = ? AND kind = ?", (identifier, kind.name))
        return found.fetchone() is not None

    def active_run(self, thread_id: str) -> Record | None:
        """The run of the thread that is not terminal; there is at most one."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM objects WHERE parent = ? AND active = 1", (thread_id,)
        ).fetchone()
        return row and Record(*row)

    def page(self, kind: Kind, parent: str, window: Window) -> tuple[list[Row], bool]:
        """The wanted part of a list, in the wanted order, and whether there is more in that direction."""
        # Only `before`: the nearest objects in front of the cursor are wanted, so walk backwards from it.
        backwards = window.before is not None and window.after is None
        up = window.ascending != backwards
        where = "kind = ? AND parent = ?"
        values: list[object] = [kind.name, parent]
        if window.label is not None:
            where += " AND label = ?"
            values.append(window.label)
        for cursor, later in ((window.after, window.ascending), (window.before, not window.ascending)):
            if cursor is not None:
                where += f" AND (created_at, seq) {'>' if later else '<'} (?, ?)"
                values.extend(cursor)
        direction = "ASC" if up else "DESC"
        rows: list[Row] = self._db.execute(
            f"SELECT id, body, state FROM objects WHERE {where} "
            f"ORDER BY created_at {direction}, seq {direction} LIMIT ?",
            (*values, window.limit + 1),
        ).fetchall()
        more = len(rows) > window.limit
        del rows[window.limit :]
        if backwards:
            rows.reverse()
        return rows, more

    def delete(self, identifier: str) -> None:
        """Removes an object and everything below it."""
        below = "SELECT id FROM objects WHERE parent = ?"
        self._db.execute(f"DELETE FROM objects WHERE parent IN ({below})", (identifier,))
        self._db.execute("DELETE FROM objects WHERE parent = ? OR id = ?", (identifier, identifier))
        self._removed.append(identifier)  # its bytes go when this is committed
