"""Staged tables of answers that are files: a row an answer, with its bytes as a BLOB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import duckdb

from provider.engine.staging import Column, Page
from provider.plan.rendering import quoted


class BlobStage:
    """One staged table, created in `duck` as a temporary table; `Stage` for bodies that are no JSON.

    Args:
        table: the table's name, quoted.
        columns: the fields to read; that of type `file` is the whole body, others the answer does not have.
        echoes: the parameters whose sent values are columns.
    """

    def __init__(
        self, duck: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column], echoes: Sequence[Column]
    ) -> None:
        #: Nothing can be wrong with bytes.
        self.bad_values: Counter[str] = Counter()
        self._duck = duck
        self._echoes = echoes
        self._types = {c.name: c.type for c in (*columns, *echoes)}
        defined = ", ".join(f"{quoted(name)} {type_.duckdb}" for name, type_ in self._types.items())
        duck.execute(f"CREATE TEMP TABLE {table} ({defined or 'nothing BOOLEAN'})")
        self._insert = f"INSERT INTO {table} VALUES ({', '.join('?' for _ in self._types) or 'NULL'})"

    def append(self, pages: Sequence[Page]) -> int:
        """Add a row for each page; returns how many."""
        for page in pages:
            sent = dict(zip((e.name for e in self._echoes), page.echo, strict=True))
            row = [page.body if type_.base == "file" else sent.get(name) for name, type_ in self._types.items()]
            self._duck.execute(self._insert, row or None)
        return len(pages)
