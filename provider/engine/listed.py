"""Objects that a scan wants one by one and that a list may have: its pages are read while they cost less.

Nobody knows beforehand how long a list is. Its pages are read one after the other until those that had nothing of what
is wanted are as many as the objects that are still missing; these are then asked for one by one. A page that has one or
more costs no more than asking for them, so that both together never cost more than twice what either way would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import duckdb

from provider.catalog.catalog import Field, Parameter
from provider.engine.fetching import Job
from provider.engine.staging import OnBadValue, Page
from provider.engine.tables import StagedTable, leaving_nothing
from provider.plan.physical import Scan
from provider.plan.rendering import quoted


class Listed:
    """The rows of a list for one scan, of which those with the keys that it wants are its own.

    Args:
        fields, echoes: the columns of the scan's table.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        scan: Scan,
        fields: Sequence[Field],
        echoes: Sequence[Parameter],
        on_bad_value: OnBadValue,
        redact: Callable[[str], str],
    ) -> None:
        assert scan.listing is not None
        self._duck = duck
        self.listing = scan.listing
        self.echoes = [p for p in echoes if p.name != scan.listing.key.name]
        #: The jobs that wait for what the list has, by their keys.
        self.held: dict[Any, Job] = {}
        #: Pages with none of the objects that were still missing.
        self.fruitless = 0
        self.count = 0
        self._key = quoted(self.listing.field.name)
        self._name = quoted(f"{scan.table}_listed")
        self._wanted = quoted(f"{scan.table}_wanted")
        method, type_ = self.listing.method, self.listing.field.type.duckdb
        self._type = type_
        self._missing: set[Any] = set()
        self._hoped_for = 0
        self._table = StagedTable(
            duck,
            f"{scan.table}_listed",
            scan.resource.id,
            fields,
            self.echoes,
            {},
            method.rows,
            on_bad_value,
            rows_omitted=method.rows_omitted,
            known=[f.name for f in scan.resource.fields],
            redact=redact,
        )
        with leaving_nothing(duck, self.drop):
            duck.execute(f"CREATE TEMP TABLE {self._wanted} (key {type_})")

    @property
    def source(self) -> str:
        """The rows that are wanted, as they stand behind FROM; an object that the list has twice is there once."""
        wanted = f"WHERE {self._key} IN (SELECT key FROM {self._wanted})"
        return f"(SELECT DISTINCT ON ({self._key}) * FROM {self._name} {wanted}) AS listed"

    def hold(self, jobs: dict[Any, Job]) -> None:
        """Look for objects in the list before their jobs are begun."""
        self.held = jobs
        self._missing = set(jobs)
        self._hoped_for = len(jobs)
        self._duck.execute(f"INSERT INTO {self._wanted} SELECT unnest($1::{self._type}[])", [list(jobs)])

    @property
    def found(self) -> int:
        """How many of the objects that are wanted were listed."""
        return self._hoped_for - len(self._missing)

    def append(self, pages: Sequence[Page]) -> set[Any]:
        """Stage pages of the list; the keys that are wanted and were not listed so far."""
        before = len(self._missing)
        self.count += self._table.append(pages)
        listed = f"SELECT {self._key} FROM {self._name} WHERE {self._key} IS NOT NULL"
        rows = self._duck.execute(f"SELECT key FROM {self._wanted} WHERE key NOT IN ({listed})").fetchall()
        self._missing = {key for (key,) in rows}
        if len(self._missing) == before:
            self.fruitless += len(pages)
        return self._missing

    def drop(self) -> None:
        """Remove its tables."""
        self._table.drop()
        self._duck.execute(f"DROP TABLE IF EXISTS {self._wanted}")
