"""One schema behind an API and in plain DuckDB: the same queries give the same rows, for a known number of requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pytest

import provider
from provider.errors import BindError
from tests.oracle.server import Server

#: (columns with their types, rows as texts that tell 1, 1.0 and '1' apart)
Answer = tuple[list[tuple[str, str]], list[str]]
#: The rows of each table, each a mapping by column or the values in the order of the columns.
Tables = Mapping[str, Sequence[Mapping[str, Any] | Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables with their queries.

    `folder` has one manifest and the queries, in files in `queries`. The tables stand as `service`, such as
    `bikes.share`, with `columns` of DuckDB's types. `serve` makes the server of some tables; `counted` tells from the
    targets that were asked for how many requests of which kind there were.
    """

    folder: Path
    service: str
    columns: Mapping[str, Mapping[str, str]]
    tables: Callable[[], Tables]
    serve: Callable[[Any], Server]
    counted: Callable[[list[str]], str]


class Both:
    """A schema's API and plain DuckDB with its tables, both at hand."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.queries = queries(schema.folder)
        self._tables = schema.tables()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        schema = self._schema
        self.server = self._open.enter_context(schema.serve(self._tables))
        self.plain = self._open.enter_context(duckdb.connect())
        self._load(self.plain, self._tables)
        self.api = self._open.enter_context(
            provider.connect(
                manifests=list(schema.folder.glob("*.yaml")),
                base_urls={schema.service.split(".")[0]: self.server.url},
                environ={},
                retries=0,
            )
        )
        for connection in (self.plain, self.api):
            connection.execute(f"USE {schema.service}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def check(self, name: str, requests: str) -> None:
        """Check that a query has an answer, the same on both sides, for these requests."""
        expected = answered(self.plain.execute(self.queries[name]))
        assert expected[1], "an empty answer proves nothing"
        self.server.log.clear()
        assert answered(self.api.execute(self.queries[name])) == expected
        assert self._schema.counted(self.server.log) == requests

    def check_refused(self, name: str, table: str) -> None:
        """Check that a query is refused before any request, since nothing gives a table its keys."""
        self.server.log.clear()
        with pytest.raises(BindError, match=rf"^{self._schema.service}\.{table} needs "):
            self.api.execute(self.queries[name])
        assert self.server.log == []

    def check_orders(self) -> None:
        """Check that the order of a table's rows changes no answer: every ORDER BY is total."""
        with duckdb.connect() as backwards:
            self._load(backwards, {name: rows[::-1] for name, rows in self._tables.items()})
            backwards.execute(f"USE {self._schema.service}")
            for sql in self.queries.values():
                assert answered(backwards.execute(sql)) == answered(self.plain.execute(sql)), sql

    def _load(self, duck: duckdb.DuckDBPyConnection, tables: Tables) -> None:
        load(duck, self._schema.service, self._schema.columns, tables)


def queries(folder: Path) -> dict[str, str]:
    """The queries of a schema by their files' names."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "queries").glob("*.sql"))}


def answered(cursor: Any) -> Answer:
    """Names, types and rows in their order, which the queries fix."""
    columns = [(column[0], str(column[1])) for column in cursor.description]
    return columns, [repr(row) for row in cursor.fetchall()]


def load(
    duck: duckdb.DuckDBPyConnection, service: str, columns: Mapping[str, Mapping[str, str]], tables: Tables
) -> None:
    """Make tables in plain DuckDB under the very names under which the resources stand."""
    duck.execute(f"ATTACH ':memory:' AS {service.split('.')[0]}; CREATE SCHEMA {service}")
    for name, types in columns.items():
        duck.execute(f"CREATE TABLE {service}.{name} ({', '.join(f'{c} {t}' for c, t in types.items())})")
        values = ", ".join(f"({', '.join(map(_literal, _values(row)))})" for row in tables[name])
        duck.execute(f"INSERT INTO {service}.{name} VALUES {values}")


def _values(row: Mapping[str, Any] | Sequence[Any]) -> Iterable[Any]:
    return row.values() if isinstance(row, Mapping) else row


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return "'" + str(value).replace("'", "''") + "'"
