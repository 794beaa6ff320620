"""Rows that DuckDB holds open for a cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import duckdb

from provider.engine.cursor import Description, Row

if TYPE_CHECKING:
    import pyarrow


class DuckResult:
    """The open result of a DuckDB connection.

    A connection holds one result at a time; when another statement needs it, `detach` reads what is left
    into memory first, so that cursors do not disturb one another.

    Args:
        convert: makes our error of one of DuckDB's.
        on_close: called once, when the rows are read or given up.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        convert: Callable[[duckdb.Error], Exception],
        on_close: Callable[[], None],
        rowcount: int = -1,
        has_rows: bool = True,
    ) -> None:
        self._duck: duckdb.DuckDBPyConnection | None = duck if has_rows else None
        self._convert = convert
        self._on_close: Callable[[], None] | None = on_close
        self._rows: list[Row] | None = None if has_rows else []
        self._at = 0
        self.rowcount = rowcount
        self.description: Description | None = None
        if has_rows and duck.description is not None:
            self.description = tuple((d[0], str(d[1]), None, None, None, None, None) for d in duck.description)
        if not has_rows:
            self._finish()

    def fetch(self, size: int | None) -> list[Row]:
        """The next rows: at most `size`, or all."""
        if self._rows is not None:
            end = None if size is None else self._at + size
            found = self._rows[self._at : end]
            self._at += len(found)
            return found
        assert self._duck is not None
        try:
            rows: list[Row] = self._duck.fetchall() if size is None else self._duck.fetchmany(size)
        except duckdb.Error as e:
            raise self._convert(e) from None
        if size is None or len(rows) < size:
            self._rows = []
            self._finish()
        return rows

    def arrow(self) -> pyarrow.Table:
        """All rows that are left."""
        import pyarrow

        if self._rows is None and self._duck is not None:
            try:
                table = self._duck.to_arrow_table()
            except duckdb.Error as e:
                raise self._convert(e) from None
            self._rows = []
            self._finish()
            return table
        names = [d[0] for d in self.description or ()]
        rows = self.fetch(None)
        columns: list[list[Any]] = [list(c) for c in zip(*rows, strict=True)] if rows else [[] for _ in names]
        return pyarrow.table(columns, names=names)

    def detach(self) -> None:
        """Read what is left, so that the connection is free."""
        if self._rows is None:
            rows = self.fetch(None)
            self._rows, self._at = rows, 0

    def close(self) -> None:
        """Give up what is left."""
        if self._rows is None and self._duck is not None:
            self._rows = []
        self._finish()

    def _finish(self) -> None:
        if self._on_close is not None:
            done, self._on_close = self._on_close, None
            done()
