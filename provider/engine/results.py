"""What DuckDB answers a statement with: rows that it holds open for a cursor, or a message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import duckdb

from provider.engine.computing import computed
from provider.engine.cursor import Description, Row

if TYPE_CHECKING:
    import pyarrow


def interruption(error: RuntimeError) -> BaseException:
    """KeyboardInterrupt for the RuntimeError that DuckDB's Python client makes of Ctrl-C, else the error itself."""
    return KeyboardInterrupt() if "interrupted" in str(error).lower() else error


class DuckResult:
    """The open result of a DuckDB connection.

    A connection holds one result at a time; when another statement needs it, `detach` reads what is left
    into memory first, so that cursors do not disturb one another.

    Nothing happens at its end (`ending`), and it is no text in pieces (`is_text`); a stream differs in that. Its rows
    may be the lines of a text (`is_lines`).

    Args:
        convert: makes our error of one of DuckDB's.
        on_close: called once, when the rows are read or given up.
    """

    ending = ""
    is_text = False

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        convert: Callable[[duckdb.Error], Exception],
        on_close: Callable[[], None],
        rowcount: int = -1,
        has_rows: bool = True,
    ) -> None:
        self._duck = duck
        self._convert = convert
        self._on_close: Callable[[], None] | None = on_close
        self._rows: list[Row] | None = None if has_rows else []
        self._at = 0
        self._begun = False
        self.rowcount = rowcount
        self.is_lines = False
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
        self._begun = True
        try:
            duck = self._duck
            rows: list[Row] = computed(duck, lambda: duck.fetchall() if size is None else duck.fetchmany(size))
        except duckdb.Error as e:
            raise self._convert(e) from None
        except RuntimeError as e:
            raise interruption(e) from None
        if size is None or len(rows) < size:
            self._rows = []
            self._finish()
        return rows

    def arrow(self, ahead: Sequence[Row] = ()) -> pyarrow.Table:
        """All rows that are left, in the Arrow types that DuckDB gives them.

        `ahead` are rows that were fetched already and belong to them. Once rows were read into Python (by `fetch` or
        `detach`) they come from there, as exact as Python's values: nanoseconds are cut, an interval's months are
        days. What Arrow cannot take from Python is text.
        """
        if self._rows is None and not self._begun:
            try:
                table = computed(self._duck, self._duck.to_arrow_table)
            except duckdb.Error as e:
                raise self._convert(e) from None
            self._rows = []
            self._finish()
            return table
        # DuckDB would leave out what `fetch` has read ahead.
        return self._table([*ahead, *self.fetch(None)])

    def finish(self) -> None:
        """Give up what is left: a query's rows are nothing that has to be waited for."""
        self.close()

    def detach(self) -> None:
        """Read what is left, so that the connection is free."""
        if self._rows is None:
            try:
                rows = self.fetch(None)
            except BaseException:
                self.abandon()
                raise
            self._rows, self._at = rows, 0

    def close(self) -> None:
        """Give up what is left."""
        if self._rows is None:
            self._rows = []
        self._finish()

    def abandon(self) -> None:
        """Give up what is left behind an error, which the cleaning up must not hide."""
        with suppress(duckdb.Error):
            self.close()

    def _table(self, rows: Sequence[Row]) -> pyarrow.Table:
        """Rows that Python holds, as Arrow."""
        import pyarrow

        described = self.description or ()
        columns = zip(*rows, strict=True) if rows else [()] * len(described)
        try:
            # A cursor of DuckDB's has a result of its own: another statement's open rows stay as they are.
            with self._duck.cursor() as duck:
                arrays = [_array(c, _arrow_type(d[1], duck)) for c, d in zip(columns, described, strict=True)]
        except duckdb.Error as e:
            raise self._convert(e) from None
        return pyarrow.Table.from_arrays(arrays, names=[d[0] for d in described])

    def _finish(self) -> None:
        if self._on_close is not None:
            done, self._on_close = self._on_close, None
            done()


def executed(
    duck: duckdb.DuckDBPyConnection,
    sql: str,
    arguments: Mapping[str, object],
    convert: Callable[[duckdb.Error], Exception],
    on_close: Callable[[], None],
) -> tuple[DuckResult, str]:
    """Run a statement; its result and message, such as 'INSERT 3', '' for a query. `convert` and `on_close` as there.

    Raises:
        duckdb.Error: as DuckDB says it.
    """
    statements = duck.extract_statements(sql)
    kind = statements[0].expected_result_type if len(statements) == 1 else [duckdb.ExpectedResultType.QUERY_RESULT]
    computed(duck, lambda: duck.execute(sql, arguments or None))
    if kind == [duckdb.ExpectedResultType.QUERY_RESULT] or (
        # What may change rows has rows of its own only with RETURNING; else DuckDB answers their count.
        duckdb.ExpectedResultType.QUERY_RESULT in kind and [d[0] for d in duck.description or ()] != ["Count"]
    ):
        return DuckResult(duck, convert, on_close), ""
    verb = re.sub(r"^(\s|--[^\n]*\n|/\*.*?\*/)*", "", sql, flags=re.DOTALL).split(None, 1)[0].upper().rstrip(";")
    if duckdb.ExpectedResultType.CHANGED_ROWS in kind:
        row = duck.fetchone()
        count = int(row[0]) if row and isinstance(row[0], int) else -1
        message = f"{verb} {count}" if count >= 0 else verb
        return DuckResult(duck, convert, on_close, count, has_rows=False), message
    return DuckResult(duck, convert, on_close, has_rows=False), verb


def done(duck: duckdb.DuckDBPyConnection, message: str, rowcount: int = -1) -> tuple[DuckResult, str]:
    """The result of a statement that was carried out elsewhere and has no rows, and its message."""
    return DuckResult(duck, lambda error: error, lambda: None, rowcount, has_rows=False), message


def as_lines(result: tuple[DuckResult, str]) -> tuple[DuckResult, str]:
    """The same result, which is to be read as the lines of a text."""
    result[0].is_lines = True
    return result


def _arrow_type(type_code: str, duck: duckdb.DuckDBPyConnection) -> pyarrow.DataType:
    """The Arrow type that DuckDB gives a type of its own; text where it takes no values from Python."""
    import pyarrow

    if type_code in ("BIT", "BIGNUM"):  # text in Python, and bytes of DuckDB's own making in Arrow
        return pyarrow.string()
    try:
        found = duck.sql(f"SELECT NULL::{type_code} LIMIT 0").to_arrow_table().schema.field(0).type
    except duckdb.ParserException:  # the fields of a row() have no names
        return pyarrow.string()
    return pyarrow.string() if pyarrow.types.is_union(found) else found


def _array(column: Sequence[Any], type_: pyarrow.DataType) -> pyarrow.Array:
    """A column of DuckDB's Python values as Arrow's."""
    import pyarrow

    if pyarrow.types.is_timestamp(type_) and type_.tz is not None:
        # The values know the session's time zone, which a DuckDB cursor does not inherit.
        zone = next((str(v.tzinfo) for v in column if v is not None), type_.tz)
        type_ = pyarrow.timestamp(type_.unit, tz=zone)
    with suppress(pyarrow.ArrowException):
        return pyarrow.array(column, type=type_)
    with suppress(pyarrow.ArrowException):
        return pyarrow.array([_fitted(v, type_) for v in column], type=type_)
    # Such as a HUGEINT of 39 digits, where Arrow's decimals have 38.
    return pyarrow.array([_fitted(v, pyarrow.string()) for v in column])


def _fitted(value: Any, type_: pyarrow.DataType) -> Any:
    """A value in the form that Arrow takes for a type: UUIDs as text, maps as pairs."""
    from pyarrow import types

    if value is None:
        return None
    if types.is_map(type_):
        # Keys that Python cannot hash come as two lists.
        pairs = zip(value["key"], value["value"], strict=True) if types.is_nested(type_.key_type) else value.items()
        return [(_fitted(k, type_.key_type), _fitted(v, type_.item_type)) for k, v in pairs]
    if types.is_struct(type_):
        return {field.name: _fitted(value[field.name], field.type) for field in type_}
    if types.is_list(type_) or types.is_fixed_size_list(type_):
        return [_fitted(v, type_.value_type) for v in value]
    return str(value) if types.is_string(type_) else value
