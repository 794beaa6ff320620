"""A staged table as the plan sees it: fields, echoed parameters, and key parameters under their own names.

Scans that may send the same calls share one table, in which each row has the number of its call. What such a scan
sees is a view of it, of the calls that the scan wants; so a row is asked for once, kept once, and seen by whom it
concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb

from provider.catalog.catalog import Field, Parameter
from provider.catalog.types import FieldType
from provider.engine.blobs import BlobStage
from provider.engine.staging import Column, OnBadValue, Page, Stage
from provider.plan.rendering import quoted
from provider.plan.uses import CALL, LISTS

#: The number of a row's call, as an echo of a table whose rows have it.
NUMBER = Parameter(CALL, "", "query", FieldType("integer"), required=True)


class StagedTable:
    """Temporary rows of one method's answers.

    Args:
        name: the table's name, unquoted.
        resource: for messages.
        fields: the fields to keep.
        echoes: parameters whose sent values become columns, or fill gaps of the field of their name.
        synonyms: further names of fields: parameter name -> field name.
        rows: keys to the array of rows in a body, or to the only row.
        one_row: whether a body has one row and no array.
        rows_omitted: whether a body without the array has no rows.
        binary: whether a body is a file's bytes, and no JSON.
        on_bad_value, known, redact: see `Stage`.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        name: str,
        resource: str,
        fields: Sequence[Field],
        echoes: Sequence[Parameter],
        synonyms: Mapping[str, str],
        rows: tuple[str, ...],
        on_bad_value: OnBadValue = "error",
        *,
        one_row: bool = False,
        rows_omitted: bool = False,
        binary: bool = False,
        known: Collection[str] = (),
        redact: Callable[[str], str] = str,
    ) -> None:
        self._duck = duck
        self._name = name
        self._echoes = echoes
        # With synonyms the name is a view's.
        self._rows = f"{name}_rows" if synonyms else name
        self._has_view = bool(synonyms)
        columns = [Column(f.name, f.type) for f in fields]
        filled = [Column(p.name, p.type) for p in echoes]
        self._stage: Stage | BlobStage
        with leaving_nothing(duck, self.drop):
            if binary:
                self._stage = BlobStage(duck, quoted(self._rows), columns, filled)
            else:
                self._stage = Stage(
                    duck,
                    quoted(self._rows),
                    resource,
                    columns,
                    filled,
                    rows,
                    on_bad_value,
                    one_row=one_row,
                    rows_omitted=rows_omitted,
                    known=known,
                    redact=redact,
                )
            if synonyms:
                named = ", ".join(f"{quoted(key)} AS {quoted(parameter)}" for parameter, key in synonyms.items())
                duck.execute(f"CREATE TEMP VIEW {quoted(name)} AS SELECT *, {named} FROM {quoted(self._rows)}")

    def echo(self, values: Mapping[str, object]) -> tuple[object, ...]:
        """The values of the echoes, in order."""
        return tuple(values[p.name] for p in self._echoes)

    @property
    def bad_values(self) -> Mapping[str, int]:
        """How many values of a field did not fit and are NULL, of the pages so far."""
        return self._stage.bad_values

    def append(self, pages: Sequence[Page]) -> int:
        """Add the rows of pages; returns how many. Errors as `Stage.append`."""
        return self._stage.append(pages)

    def drop(self) -> None:
        """Remove the table."""
        if self._has_view:
            self._duck.execute(f"DROP VIEW IF EXISTS {quoted(self._name)}")
        self._duck.execute(f"DROP TABLE IF EXISTS {quoted(self._rows)}")


class Share:
    """What one scan sees of a table that it shares: the rows of the calls that it wants.

    Args:
        name: the view's name, unquoted.
        shared: the name of the table, one of whose echoes is `NUMBER`.
        columns: the columns to show.
        synonyms: further names of columns: parameter name -> field name.
        also: further rows with these columns, as they stand behind FROM.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        name: str,
        shared: str,
        columns: Sequence[str],
        synonyms: Mapping[str, str],
        also: str = "",
    ) -> None:
        self._duck = duck
        self._name = name
        self._calls = quoted(f"{name}_calls")
        shown = [quoted(c) for c in columns]
        shown += [f"{quoted(key)} AS {quoted(parameter)}" for parameter, key in synonyms.items()]
        self._lists = quoted(LISTS.format(name))
        own = f"FROM {quoted(shared)} WHERE {CALL} IN (SELECT call FROM {self._calls})"
        columns_ = ", ".join(shown) or "NULL AS nothing"
        more = f" UNION ALL SELECT {columns_} FROM {also}" if also else ""
        with leaving_nothing(duck, self.drop):
            duck.execute(f"CREATE TEMP TABLE {self._calls} (call BIGINT)")
            duck.execute(f"CREATE TEMP VIEW {quoted(name)} AS SELECT {columns_} {own}{more}")
            duck.execute(f"CREATE TEMP VIEW {self._lists} AS SELECT {', '.join((*shown, CALL))} {own}")

    def want(self, calls: Sequence[int]) -> None:
        """Show the rows of further calls, those that are there and those that are still to come."""
        self._duck.execute(f"INSERT INTO {self._calls} SELECT unnest($1::BIGINT[])", [list(calls)])

    def count(self) -> int:
        """How many rows there are by now."""
        row = self._duck.execute(f"SELECT count(*) FROM {quoted(self._name)}").fetchone()
        return int(row[0]) if row is not None else 0

    def drop(self) -> None:
        """Remove the view; the shared table stays."""
        self._duck.execute(f"DROP VIEW IF EXISTS {self._lists}")
        self._duck.execute(f"DROP VIEW IF EXISTS {quoted(self._name)}")
        self._duck.execute(f"DROP TABLE IF EXISTS {self._calls}")


@contextmanager
def leaving_nothing(duck: duckdb.DuckDBPyConnection, drop: Callable[[], None]) -> Iterator[None]:
    """The making of tables which, where somebody stops it, leaves none that nobody knows of."""
    try:
        yield
    except (KeyboardInterrupt, RuntimeError):  # the second is DuckDB's word for it
        quietly(duck, drop)
        raise


def quietly(duck: duckdb.DuckDBPyConnection, cleanup: Callable[[], None]) -> None:
    """Clean up after an error without hiding it: in a broken transaction even DROP fails."""
    try:
        cleanup()
    except duckdb.Error:
        duck.execute("ROLLBACK")
        cleanup()
