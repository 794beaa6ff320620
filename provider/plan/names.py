"""What names mean to a statement: resources, local tables, views, and the defaults that USE set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from provider.catalog.catalog import spelling
from provider.catalog.loader import Catalog
from provider.plan.conventions import Conventions
from provider.sql.statements import Query

#: Tells the columns of a local relation, given as SQL that can stand behind FROM; None when it has none.
Columns = Callable[[str], tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a connection knows.

    `default` is the provider, or the provider and service, that USE chose. `opened` replaces the views that
    a query names by their text. `conventions` say what comparing and ordering their values means. `title` tells
    what DuckDB calls a column that is an expression without an alias.
    """

    catalog: Catalog
    columns: Columns
    opened: Callable[[Query], Query]
    default: tuple[str, ...] = ()
    conventions: Conventions = field(default_factory=Conventions)
    title: Callable[[str], str] = str

    def resource_path(self, parts: Sequence[str], *, is_local: Callable[[], bool]) -> tuple[str, ...] | None:
        """`provider.service.resource[.method]` for a table's name, None when it is a local table's.

        A local table is found before a resource that only the defaults complete.
        """
        if len(parts) >= 3 and self.catalog.has_provider(parts[0]):
            return tuple(parts)
        for kept in range(len(self.default), 0, -1):
            path = (*self.default[:kept], *parts)
            if len(path) in (3, 4) and self._exists(path) and not is_local():
                return path
        return None

    def scope(self, parts: Sequence[str], length: int) -> tuple[str, ...]:
        """A provider, service or resource of so many names, the first of which the defaults may give."""
        missing = length - len(parts)
        return (*self.default[:missing], *parts) if 0 < missing <= len(self.default) else tuple(parts)

    def _exists(self, path: tuple[str, ...]) -> bool:
        if spelling(path[1], self.catalog.services(path[0])) is None:
            return False
        service = self.catalog.service(path[0], path[1])
        return spelling(path[2], (*service.resources, *service.elsewhere)) is not None

    def target(self, table: exp.Expr) -> tuple[str, ...] | None:
        """The path of a write's target if that is a resource, None if it is a local table."""
        if not isinstance(table, exp.Table):
            return None
        parts = [p.name for p in table.parts]
        return self.resource_path(parts, is_local=lambda: self.columns(quoted_path(parts)) is not None)


def quoted_path(parts: Sequence[str]) -> str:
    """A dotted name with each part quoted."""
    return ".".join('"' + p.replace('"', '""') + '"' for p in parts)
