"""PEP 249's cursor: a statement's rows, its description, and what it cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from provider.engine.report import Report
from provider.errors import Cancelled, Error, InterfaceError, NotSupportedError, PartlyDone

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from provider.engine.connection import Connection
    from provider.engine.watch import Watch

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Sequence[object] | Mapping[str, object] | None
#: name, type_code (a DuckDB type), display_size, internal_size, precision, scale, null_ok
Description = tuple[tuple[str, str, None, None, None, None, None], ...]


class Result(Protocol):
    """Rows that are still to be read."""

    @property
    def description(self) -> Description | None: ...
    @property
    def rowcount(self) -> int: ...
    def fetch(self, size: int | None) -> list[Row]: ...
    def arrow(self, ahead: Sequence[Row] = ()) -> pyarrow.Table: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...
    def detach(self) -> None: ...
    def finish(self) -> None: ...
    @property
    def ending(self) -> str: ...
    @property
    def is_text(self) -> bool: ...
    @property
    def is_lines(self) -> bool: ...


class Cursor:
    """Runs statements on its connection, one at a time.

    Attributes:
        arraysize: rows that `fetchmany` fetches by default.
        report: what the last statement cost; see `Report`.
        message: what the last statement did, for statements without rows ('INSERT 1'). At the end of a stream it says
            how the operation stands that its events tell of.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self.report = Report()
        self.message = ""
        self._result: Result | None = None
        #: Rows that iterating has read, and that nobody has been given yet.
        self._ahead: deque[Row] = deque()
        self._watch: Watch | None = None
        self._rowcount = -1
        self._closed = False

    def __repr__(self) -> str:
        """What there is to fetch; no row is read for it."""
        if self._closed:
            told = "closed"
        elif (described := self.description) is not None:
            told = f"rows of {', '.join(column[0] for column in described)}; fetchall(), df() and pl() give them"
        else:
            told = self.message or "nothing executed"
        return f"<provider.Cursor: {told}>"

    @property
    def description(self) -> Description | None:
        """Seven-tuples of the columns, None when the statement has no rows."""
        return self._result.description if self._result else None

    @property
    def rowcount(self) -> int:
        """Rows written by a write, by all of its runs after `executemany`; -1 for anything else."""
        return self._rowcount

    @property
    def is_text(self) -> bool:
        """Whether the rows are pieces of one text, as with the hint STREAM."""
        return self._result is not None and self._result.is_text

    @property
    def is_lines(self) -> bool:
        """Whether the last column has the lines of one text, as EXPLAIN and SHOW INSERT have them."""
        return self._result is not None and self._result.is_lines

    def execute(self, sql: str, parameters: Parameters = None) -> Self:
        """Run one statement, or several separated by semicolons; the last one's rows stay.

        Args:
            parameters: values of `?` as a sequence, or of `$name` as a mapping.

        Raises:
            Error: see `provider.errors`.
        """
        self.report = Report()
        return self._execute(sql, parameters)

    def _execute(self, sql: str, parameters: Parameters) -> Self:
        """`execute` on account of the report that there is."""
        self._check_open()
        self._drop_result()
        self.connection._prepare(sql, parameters)
        with self.connection._watch(self.report) as self._watch:
            self._result, self.message = self.connection._run(sql, parameters, self.report, self._watch)
        self._rowcount = self._result.rowcount
        return self

    def executemany(self, sql: str, parameters: Sequence[Parameters]) -> Self:
        """Run a statement once for each set of parameters, one after the other; the report is about all of them.

        Raises:
            PartlyDone: it failed for one of them, and earlier ones have written to an API.
            Error: as `execute`.
        """
        self._check_open()
        self._drop_result()
        self.report = Report()
        counts: list[int] = []
        sets = list(parameters)
        for number, values in enumerate(sets, 1):
            written = any(row.outcome == "done" and row.request is not None for row in self.report.writes)
            try:
                self._execute(sql, values)
            except Error as e:
                if not written:
                    raise
                raise _stopped(e, number, len(sets)) from e
            counts.append(self.rowcount)
        self._rowcount = sum(counts) if counts and min(counts) >= 0 else -1
        return self

    def fetchone(self) -> Row | None:
        """The next row, None after the last one."""
        rows = self._fetch(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next `size` rows (default: `arraysize`); fewer at the end, and of a stream those that have come."""
        return self._fetch(self.arraysize if size is None else size)

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        return self._fetch(None)

    def __iter__(self) -> Iterator[Row]:
        ahead = self._ahead
        while True:
            while ahead:
                yield ahead.popleft()
            ahead.extend(self._fetch(1000))
            if not ahead:
                return

    def arrow(self) -> pyarrow.Table:
        """All rows that are left, as an Arrow table (needs pyarrow)."""
        return self._read(lambda result: result.arrow(self._taken(None)))

    def df(self) -> pandas.DataFrame:
        """All rows that are left, as a pandas data frame (needs pandas)."""
        return self.arrow().to_pandas()

    def pl(self) -> polars.DataFrame:
        """All rows that are left, as a polars data frame (needs polars)."""
        import polars

        found = polars.from_arrow(self.arrow())
        assert isinstance(found, polars.DataFrame)
        return found

    def cancel(self) -> None:
        """Stop the statement that this cursor runs, or whose rows it reads; for other threads.

        Requests in flight are given up, and whoever waits for the statement gets Cancelled. Nothing happens when
        nothing runs.
        """
        if self._watch is not None:
            self._watch.cancel()

    def setinputsizes(self, sizes: object) -> None:
        """Nothing to do, as PEP 249 allows."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Nothing to do, as PEP 249 allows."""

    def nextset(self) -> None:
        """There is never a further set of rows."""
        raise NotSupportedError("a statement has one set of rows")

    def close(self) -> None:
        """Give up the rows that are left; the cursor cannot be used afterwards."""
        self._drop_result()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drop_result(self) -> None:
        self._rowcount = -1
        self._ahead.clear()
        if self._result is not None:
            self._result.close()
            self._result = None

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")

    def _fetch(self, size: int | None) -> list[Row]:
        taken = self._taken(size)
        if size is not None and len(taken) == size > 0:
            return taken
        return taken + self._read(lambda result: result.fetch(None if size is None else size - len(taken)))

    def _taken(self, size: int | None) -> list[Row]:
        """The first of the rows that iterating has read ahead."""
        count = len(self._ahead) if size is None else min(size, len(self._ahead))
        return [self._ahead.popleft() for _ in range(count)]

    def _read(self, read: Callable[[Result], T]) -> T:
        result, watch = self._open_result()
        try:
            with watch:
                found = read(result)
        except BaseException:
            # Rows that could not be read once cannot be read on; nor those of a statement that was stopped at its end.
            result.abandon()
            raise
        self.message = result.ending or self.message
        return found

    def _open_result(self) -> tuple[Result, Watch]:
        self._check_open()
        if self._result is None or self._result.description is None or self._watch is None:
            raise InterfaceError("there are no rows: the last statement returned none, or nothing was executed")
        return self._result, self._watch


def _stopped(error: Error, number: int, sets: int) -> Error:
    """The error of `executemany` that stops at a set of parameters, behind others that have written something."""
    left = f" {sets - number:,} behind it were not begun." if sets > number else ""
    reason = "\n".join(filter(None, [error.reason, f"{number - 1:,} before it are done.{left}"]))
    if isinstance(error, Cancelled):
        error.reason = reason
        return error
    return PartlyDone(
        f"set {number:,} of {sets:,} parameters: {error.summary}",
        place=error.place,
        reason=reason,
        remedy=error.remedy,
        detail=error.detail,
    )
