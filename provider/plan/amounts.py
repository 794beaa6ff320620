"""How many keys a source can give at most, where that is known before anything is sent: it decides cost, not rows."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from sqlglot import exp

from provider.plan.binder import Binder
from provider.plan.bindings import AnyOf, Constants, FromQuery, FromRelations, Source
from provider.plan.blocks import Relation
from provider.plan.claims import whole_number
from provider.plan.uses import Uses


class Amounts:
    """Tells the most keys of the sources of one statement, as far as its uses are settled."""

    def __init__(self, binder: Binder, uses: Uses) -> None:
        self._binder = binder
        self._uses = uses

    def most(self, source: Source) -> int | None:
        """The most values that a source has; None where only its rows tell."""
        match source:
            case Constants(values):
                return None if any(v.find(exp.Explode, exp.Unnest) for v in values) else len(values)
            case FromQuery(query):
                return self._rows(query)
            case FromRelations(_, relations):
                return _times(self._of(r) for r in relations)
            case AnyOf(parts):
                return _sum(self.most(p) for p in parts)

    def together(self, sources: Iterable[Source]) -> int | None:
        """The most combinations of the values of several sources; None where only rows tell."""
        return _times(self.most(s) for s in sources)

    def is_local(self, source: Source) -> bool:
        """Whether a source reads no resource, so that all its values are there at once."""
        match source:
            case FromQuery(query):
                return not self._reads(query)
            case FromRelations(_, relations):
                return not any(self._is_fed(r) for r in relations)
            case AnyOf(parts):
                return all(self.is_local(p) for p in parts)
        return True

    def _of(self, relation: Relation) -> int | None:
        """The most rows of a relation."""
        if relation.resource is not None:
            return self._uses.of(relation).most
        if relation.query is not None and not isinstance(relation.node, exp.Lateral):
            return self._rows(relation.query)
        return len(relation.node.expressions) if isinstance(relation.node, exp.Values) else None

    def _rows(self, query: exp.Expr) -> int | None:
        """The most rows of a query."""
        limit = query.args.get("limit")
        cut = whole_number(limit.expression) if isinstance(limit, exp.Limit) else None
        found = self._uncut(query)
        return found if cut is None else cut if found is None else min(cut, found)

    def _uncut(self, query: exp.Expr) -> int | None:
        match query:
            case exp.Subquery():
                return self._rows(query.this)
            case exp.Values():
                return len(query.expressions)
            case exp.SetOperation():
                return _sum((self._rows(query.this), self._rows(query.expression)))
            case exp.Select():
                items = [i.unalias() for i in query.expressions]
                if any(i.find(exp.Explode, exp.Unnest, exp.Anonymous) for i in items):
                    return None
                if query.args.get("group") is None and any(isinstance(i, exp.AggFunc) for i in items):
                    return 1
                if query.args.get("joins") or query.args.get("laterals"):
                    return None
                source = query.args.get("from_")
                number = source.this.meta.get("relation") if source is not None else None
                return 1 if source is None else self._of(self._binder.relations[number]) if number is not None else None
        return None

    def _is_fed(self, relation: Relation) -> bool:
        """Whether a relation's rows depend on a scan."""
        if relation.resource is not None or (relation.cte is not None and relation.cte.recursive):
            return True
        return self._reads(relation.query if relation.query is not None else relation.node)

    def _reads(self, query: exp.Expr) -> bool:
        """Whether a scan feeds what stands in a query, or in another relation than a table by its name."""
        numbers = (t.meta.get("relation") for t in query.find_all(exp.Table) if t is not query)
        return any(self._is_fed(self._binder.relations[n]) for n in numbers if n is not None)


def _times(amounts: Iterable[int | None]) -> int | None:
    found = list(amounts)
    return None if None in found else prod(n for n in found if n is not None)


def _sum(amounts: Iterable[int | None]) -> int | None:
    found = list(amounts)
    return None if None in found else sum(n for n in found if n is not None)
