"""A staged table as the plan sees it: fields, echoed parameters, and key parameters under their own names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from provider.catalog.catalog import Field, Parameter
from provider.engine.staging import Column, Page, Stage
from provider.plan.rendering import quoted


class StagedTable:
    """Temporary rows of one method's answers.

    Args:
        name: the table's name, unquoted.
        resource: for messages.
        fields: the fields to keep.
        echoes: parameters whose sent values become columns, or fill gaps of the field of their name.
        synonyms: further names of fields: parameter name -> field name.
        rows: keys to the array of rows in a body, None when the body is one row.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        name: str,
        resource: str,
        fields: Sequence[Field],
        echoes: Sequence[Parameter],
        synonyms: Mapping[str, str],
        rows: tuple[str, ...] | None,
    ) -> None:
        self._duck = duck
        self._name = name
        self._echoes = echoes
        # With synonyms the name is a view's.
        self._rows = f"{name}_rows" if synonyms else name
        self._has_view = bool(synonyms)
        columns = [Column(f.name, f.type) for f in fields]
        self._stage = Stage(duck, quoted(self._rows), resource, columns, [Column(p.name, p.type) for p in echoes], rows)
        if synonyms:
            named = ", ".join(f"{quoted(key)} AS {quoted(parameter)}" for parameter, key in synonyms.items())
            duck.execute(f"CREATE TEMP VIEW {quoted(name)} AS SELECT *, {named} FROM {quoted(self._rows)}")

    def echo(self, values: Mapping[str, object]) -> tuple[object, ...]:
        """The values of the echoes, in order."""
        return tuple(values[p.name] for p in self._echoes)

    def append(self, pages: Sequence[Page]) -> int:
        """Add the rows of pages; returns how many. Errors as `Stage.append`."""
        return self._stage.append(pages)

    def drop(self) -> None:
        """Remove the table."""
        if self._has_view:
            self._duck.execute(f"DROP VIEW IF EXISTS {quoted(self._name)}")
        self._duck.execute(f"DROP TABLE IF EXISTS {quoted(self._rows)}")
