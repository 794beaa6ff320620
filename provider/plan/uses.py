"""The resources of a statement while it is being planned: a use of each, filled in step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter, Resource
from provider.errors import Place
from provider.plan.bindings import Source
from provider.plan.blocks import Block, Relation
from provider.plan.physical import Binding
from provider.plan.resolution import resolve
from provider.plan.syntax import span
from provider.sql.scanner import Text

#: How staged tables are called.
TABLE = "__apiql_scan_{}"
#: How the same rows are called with the number of the call that each came from, and the column of that number.
LISTS = "{}_lists"
CALL = "__apiql_call"


@dataclass(frozen=True, slots=True)
class Carried:
    """What a parameter carries to the API: the column that it stands for, where its values come from, how it matches.

    `source` is the other side of the comparison where that is a range.
    """

    parameter: str
    column: str
    source: Source | exp.Expr
    match: Literal["exact", "superset"] = "exact"


@dataclass(eq=False, slots=True)
class Use:
    """One resource in the statement."""

    number: int
    relation: Relation
    resource: Resource
    place: Place
    #: The view in whose text it stands, as the statement names it; '' where it stands in the statement itself.
    view: str = ""
    method: Method | None = None
    bindings: tuple[Binding, ...] = ()
    carried: tuple[Carried, ...] = ()
    #: Why this method.
    why: str = ""
    #: The most objects that it asks for one by one, where that is known; None for lists.
    most: int | None = None
    #: Fields and parameters that the statement needs as columns, by name.
    fields: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    #: The use whose staged table serves this one too.
    same_as: Use | None = None
    #: A parameter, and a constant of another kind that it was compared with.
    misfit: tuple[Parameter, exp.Expr] | None = None
    #: A parameter of text that nothing can bind while a collation decides what equals a text.
    collated: Parameter | None = None

    @property
    def untold(self) -> set[str]:
        """The parameters that the statement uses as columns and no row has: only the request tells their value."""
        return {p for p in self.parameters if not self.resource.field(p) and not self.resource.key_field(p)}

    @property
    def first(self) -> Use:
        """The use that the staged table was made for."""
        return self.same_as or self

    @property
    def table(self) -> str:
        """The staged table's name."""
        return TABLE.format(self.first.number)


class Uses:
    """All uses of one statement, in the order in which they stand there."""

    def __init__(self, resources: Sequence[Relation], text: Text) -> None:
        self._uses: dict[int, Use] = {}
        for number, relation in enumerate(resources, 1):
            assert relation.resource is not None
            assert isinstance(relation.node, exp.Table)
            stretch = span(relation.node.parts)
            place, view = text.place(*stretch), text.view(*stretch)
            name = view.text[view.start : view.end] if view is not None else ""
            self._uses[id(relation)] = Use(number, relation, relation.resource, place, name)

    def __iter__(self) -> Iterator[Use]:
        return iter(self._uses.values())

    def __len__(self) -> int:
        return len(self._uses)

    def get(self, relation: Relation) -> Use | None:
        """The use that a relation is; None for what is no resource."""
        return self._uses.get(id(relation))

    def of(self, relation: Relation) -> Use:
        """The use that a resource's relation is."""
        return self._uses[id(relation)]

    def group(self, use: Use) -> list[Use]:
        """All uses that read the same staged table."""
        return [u for u in self if u.first is use.first]

    def echoes(self, use: Use) -> set[str]:
        """The parameters that the staged table shows as columns of their own."""
        named = {p for u in self.group(use) for p in u.parameters}
        return {p for p in named if use.resource.field(p) is None}

    def need(self, relation: Relation, name: str) -> None:
        """Note that the statement needs a column of a relation; one that is no resource needs no note."""
        use = self.get(relation)
        if use is None:
            return
        if (found := use.resource.field(name)) is not None:
            use.fields.add(found.name)
        elif (parameter := relation.parameter(name)) is not None:
            use.parameters.add(parameter)
            key = use.resource.key_field(parameter)
            if key is not None:
                use.fields.add(key)

    def need_all(self, node: exp.Expr, block: Block) -> None:
        """Note the columns that an expression in a block reads."""
        for column in node.find_all(exp.Column):
            found = resolve(column, block)
            if found is not None:
                self.need(*found)
