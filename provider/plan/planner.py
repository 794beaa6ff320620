"""Bound statement to plan: which method reads each resource, what binds it, and in which order."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from provider.catalog.catalog import Parameter
from provider.catalog.types import FieldType
from provider.errors import NotSupportedError
from provider.plan.binder import Binder
from provider.plan.choice import Choice
from provider.plan.columns import find_columns
from provider.plan.contradictions import Contradictions
from provider.plan.ending import end_early, is_empty
from provider.plan.keyqueries import KeyQueries
from provider.plan.names import Names
from provider.plan.physical import Binding, Given, Plan, Predicate, Scan
from provider.plan.price import MANY, first_request, listing_of, price
from provider.plan.rendering import Splicer, StagedSql, quoted
from provider.plan.syntax import makes_columns, span
from provider.plan.terms import arguments
from provider.plan.unbound import check_echoes
from provider.plan.unknown import unknown_column
from provider.plan.uses import Use, Uses
from provider.rest.pagination import turned_by
from provider.sql.scanner import Text, bare


def plan_query(tree: exp.Expr, text: Text, names: Names) -> Plan:
    """Plan a statement that DuckDB runs over resources.

    Args:
        tree: the statement's syntax tree.
        text: its text, for positions and splicing.
        names: what names mean.

    Returns:
        The plan; without scans when the statement names no resource.

    Raises:
        BindError: an unknown name, or a required parameter that nothing binds.
    """
    binder = Binder(names, text)
    binder.bind(tree)
    return _Planner(binder, text, tree).plan()


class _Planner:
    def __init__(self, binder: Binder, text: Text, tree: exp.Expr) -> None:
        self._binder = binder
        self._text = text
        self._tree = tree
        self._uses = Uses(binder.resources, text)
        self._staged = StagedSql(binder, lambda r: self._uses.of(r).table)

    def plan(self) -> Plan:
        self._refuse_targets()
        if not len(self._uses):
            return Plan(self._text.sql, (), arguments(self._text.sql, self._tree))
        find_columns(self._binder, self._tree, self._uses)
        choice = Choice(self._binder, self._uses, KeyQueries(self._binder, self._uses, self._tree, self._staged))
        described = _is_described(self._tree)
        if described:
            choice.leave_uncalled()
        else:
            choice.settle()
        sql = Splicer(
            self._binder,
            self._text,
            self._tree,
            lambda r: quoted(self._uses.of(r).table),
            lambda r: sorted(self._uses.echoes(use)) if (use := self._uses.get(r)) else (),
            self._binder.title,
        ).text()
        contradictions = Contradictions(self._binder)
        for use in self._uses:
            if not described:
                check_echoes(use)
            if described or (
                use.same_as is None and all(is_empty(u.relation, contradictions) for u in self._uses.group(use))
            ):
                use.bindings = _nothing(use)
        scans = tuple(self._scan(u) for u in self._uses if u.same_as is None)
        shaped = any(makes_columns(pivot) for pivot in self._tree.find_all(exp.Pivot))
        if shaped and (misspelt := unknown_column(self._binder.blocks, self._text)):
            raise misspelt  # DuckDB could say so only when there are rows
        return Plan(sql, scans, arguments(sql, self._tree), shaped, lambda: self._conditions(choice))

    def _conditions(self, choice: Choice) -> dict[int, tuple[Predicate, ...]]:
        """What becomes of the conditions on each scan's rows, by its number."""
        groups = ((u.number, self._uses.group(u)) for u in self._uses if u.same_as is None)
        return {n: tuple(dict.fromkeys(p for u in group for p in choice.predicates(u))) for n, group in groups}

    def _refuse_targets(self) -> None:
        """A resource is read behind FROM and JOIN; anywhere else DuckDB would take its name for a database's."""
        for table in self._tree.find_all(exp.Table):
            parts = table.parts
            if "relation" in table.meta or len(parts) < 3 or not self._binder.knows(parts[0].name):
                continue
            if table.find_ancestor(exp.CTE) is not None:
                continue  # a CTE's uses are bound on copies
            name = ".".join(p.name for p in parts)
            raise NotSupportedError(
                f"{name} is a resource, and {bare(self._text.sql).split()[0].upper()} does not work on resources",
                place=self._text.place(*span(parts)),
                remedy="SELECT, INSERT, UPDATE, REPLACE, DELETE and EXEC do. As a query: (SELECT * FROM ...).",
            )

    def _scan(self, use: Use) -> Scan:
        assert use.method is not None
        group = self._uses.group(use)
        begins = not any(isinstance(b, Given) and not b.rows for b in use.bindings)
        ending = None
        if begins and len(group) == 1:
            ending = end_early(self._binder, self._uses, use, self._tree, self._staged)
        requests = price(use.method, use.bindings, may_stop=ending is not None and not ending.in_order)
        listing = listing_of(use.resource, use.method, use.bindings) if ending is None else None
        if listing is not None and (requests.per or requests.count >= MANY):
            requests = replace(requests, exact=False, instead=listing.method.name)
            self._uses.need(use.relation, listing.field.name)
        else:
            listing = None
        if ending is None and not requests.several and turned_by(use.method, tuple(use.resource.key)) is not None:
            requests = replace(requests, both_ends=True)
        fields = {f for u in group for f in u.fields}
        parameters = use.resource.select_parameters()
        return Scan(
            number=use.number,
            table=use.table,
            resource=use.resource,
            method=use.method,
            bindings=use.bindings,
            ending=ending,
            listing=listing,
            fields=tuple(f for f in use.resource.fields if f.name in fields),
            echoes=tuple(parameters[p] for p in sorted(self._uses.echoes(use))),
            aliases=tuple(u.relation.alias for u in group),
            place=use.place,
            why=use.why,
            request=first_request(use.method, use.bindings),
            requests=requests,
        )


def _is_described(tree: exp.Expr) -> bool:
    """Whether only the columns of a statement are asked for, and no row decides which they are."""
    return isinstance(tree, exp.Describe) and not any(makes_columns(p) for p in tree.find_all(exp.Pivot))


def _nothing(use: Use) -> tuple[Binding, ...]:
    """Bindings without a key: no row can matter, so nothing is asked for."""
    bound = [p for b in use.bindings for p in b.parameters]
    anything = Parameter("nothing", "nothing", "query", FieldType("string"), required=False)
    return tuple(Given((p,), ()) for p in bound) or (Given((anything,), ()),)
