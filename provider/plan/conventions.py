"""What comparisons and orders mean where a statement does not say it: settings of DuckDB decide that."""

from __future__ import annotations

from dataclasses import dataclass

from provider.catalog.types import FieldType


@dataclass(frozen=True, slots=True)
class Conventions:
    """Which of DuckDB's own conventions hold.

    With `plain_order`, ORDER BY ascends and puts NULLs last. With `plain_text`, a text equals itself alone, and
    texts follow each other by their bytes. An API is asked by these; where they do not hold, less is asked.
    """

    plain_order: bool = True
    plain_text: bool = True

    @staticmethod
    def of(default_order: str, default_null_order: str, default_collation: str) -> Conventions:
        """The conventions under DuckDB's settings of these names, as `current_setting` tells them."""
        ascends = default_order.upper() in ("ASC", "ASCENDING")
        return Conventions(ascends and default_null_order.upper() == "NULLS_LAST", default_collation == "")

    def compares(self, type_: FieldType) -> bool:
        """Whether values of a type are compared as an API compares them."""
        return self.plain_text or type_.base != "string"
