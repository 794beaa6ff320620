"""Field types: what a manifest may declare, and the DuckDB type that each becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from provider.errors import did_you_mean

_DUCKDB = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "object": "JSON",
    "array": "JSON",
    "any": "JSON",
    "timestamp": "TIMESTAMPTZ",
    "datetime": "TIMESTAMP",
    "date": "DATE",
    "file": "BLOB",
}
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
#: Units of a numeric timestamp, with how many of them make a second.
TIME_UNITS = {"unix seconds": 1, "unix milliseconds": 1000}


@dataclass(frozen=True, slots=True)
class FieldType:
    """A declared type.

    `base` is one of string, integer, number, boolean, object, array, any, timestamp, datetime, date, file,
    decimal.
    `unit` says what a number means: 'unix seconds' and 'unix milliseconds' are read as points in time
    when the base is timestamp, and are documentation otherwise. `precision` and `scale` belong to decimal.
    """

    base: str
    unit: str | None = None
    precision: int = 0
    scale: int = 0

    @property
    def duckdb(self) -> str:
        """The DuckDB type of a column of this type."""
        if self.base == "decimal":
            return f"DECIMAL({self.precision},{self.scale})"
        return _DUCKDB[self.base]

    @property
    def is_json(self) -> bool:
        """Whether values are kept as JSON text."""
        return self.base in ("object", "array", "any")

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.base == "decimal" else self.base


def parse_type(text: str, unit: str | None = None) -> FieldType:
    """Read a type as a manifest spells it.

    Raises:
        ValueError: no such type, or a decimal whose precision (1..38) and scale (<= precision) do not fit.
    """
    if decimal := _DECIMAL.fullmatch(text):
        precision, scale = int(decimal[1]), int(decimal[2])
        if not 1 <= precision <= 38 or scale > precision:
            raise ValueError(f"{text}: precision is 1 to 38, scale at most the precision")
        return FieldType("decimal", unit, precision, scale)
    if text not in _DUCKDB:
        raise ValueError(f'no type "{text}". {did_you_mean(text, (*_DUCKDB, "decimal(p,s)"))}')
    return FieldType(text, unit)
