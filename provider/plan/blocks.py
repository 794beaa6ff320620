"""A statement as blocks, one a SELECT: its relations, the tree of its joins, and the predicates that hold there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sqlglot import exp

from provider.catalog.catalog import Method, Resource
from provider.plan.claims import Claim, claims
from provider.plan.syntax import Sought, own_nodes


@dataclass(eq=False, slots=True)
class Relation:
    """Something behind FROM: a resource, a local table or function, a derived table, or the use of a CTE."""

    alias: str
    node: exp.Expr
    block: Block
    resource: Resource | None = None
    forced: Method | None = None
    #: The SELECT blocks of a derived table or CTE; several for set operations.
    bodies: tuple[Block, ...] = ()
    #: The query of a derived table or CTE, for this use of it alone.
    query: exp.Expr | None = None
    cte: Cte | None = None
    #: Column names given in the alias: `t(a, b)`.
    renames: tuple[str, ...] = ()
    #: The names that the bodies give to the columns, None when unknown.
    given: tuple[str, ...] | None = None
    local_columns: tuple[str, ...] | None = None
    known: bool = True

    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns, None when unknown. A resource's parameters are not among them."""
        if self.resource is not None:
            return tuple(f.name for f in self.resource.fields)
        if self.bodies:
            return None if self.given is None else (*self.renames, *self.given[len(self.renames) :])
        return self.renames or self.local_columns

    @property
    def is_drawn(self) -> bool:
        """Whether so many of its rows are drawn that which they are depends on the others: TABLESAMPLE n ROWS."""
        sample = self.node.args.get("sample")
        return sample is not None and sample.args.get("percent") is None

    def nodes(self) -> Iterator[exp.Expr]:
        """The nodes of the relation itself, without the joins in parentheses that the parser hangs on the first."""
        joins = {id(j) for j in self.node.args.get("joins") or ()}
        return (n for n in self.node.walk(prune=lambda n: id(n) in joins) if id(n) not in joins)

    def has(self, name: str) -> bool:
        """Whether a column of that name exists."""
        if self.resource is not None:
            return self.resource.field(name) is not None
        return any(name.lower() == c.lower() for c in self.columns() or ())

    def parameter(self, name: str) -> str | None:
        """The manifest's spelling of a parameter that can be used like a column, None if there is none."""
        if self.resource is None:
            return None
        found = self.resource.select_parameter(name)
        return found.name if found else None


def column_of(relation: Relation, name: str) -> exp.Column:
    """A column of a relation, wherever it is put; `meta["of"]` tells which of several relations of that alias."""
    column = exp.column(name, table=relation.alias, quoted=True)
    column.meta["of"] = relation.node.meta["relation"]
    return column


@dataclass(eq=False, slots=True)
class Cte:
    """A common table expression and its uses."""

    name: str
    node: exp.CTE
    recursive: bool
    outer: Block | None
    scope: dict[str, Cte]
    #: The use of another CTE in whose copy this one is defined.
    region: Relation | None = None
    uses: list[Relation] = field(default_factory=list)
    #: The blocks of a recursive CTE, which is planned once for all its uses.
    shared: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A join of two subtrees. `kind` is INNER, LEFT, RIGHT, FULL, SEMI, ANTI or POSITIONAL."""

    kind: str
    left: Tree
    right: Tree
    on: tuple[exp.Expr, ...]
    #: The columns of both sides that become one, in lower case: USING, NATURAL. None: DuckDB alone knows.
    using: tuple[str, ...] | None = ()
    #: Whether each row of the left takes the nearest one of the right: ASOF.
    is_nearest: bool = False


Tree = Relation | Join


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a name stands: in the ON of these joins, as ids, inner before outer; in ORDER BY; in a query at all."""

    joins: tuple[int, ...] = ()
    orders: bool = False
    in_query: bool = False


@dataclass(eq=False, slots=True)
class Block:
    """One SELECT."""

    select: exp.Select
    #: Where names are looked up that are not found here, and None at the top or in a view.
    outer: Block | None
    #: The derived table or CTE use that this block is a body of.
    owner: Relation | None
    #: Whether a predicate on the owner's output may be applied to this block's rows already.
    transparent: bool = True
    #: Whether its columns go by their names into a set operation: UNION BY NAME.
    by_name: bool = False
    relations: list[Relation] = field(default_factory=list)
    tree: Tree | None = None
    where: tuple[exp.Expr, ...] = ()
    #: What each of these may be about, by its id: relations, several where USING made one column of theirs. Only told
    #: where an outer join extends rows with NULL.
    about: dict[int, frozenset[frozenset[Relation]]] = field(default_factory=dict)
    #: The use of a CTE in whose copy this block stands.
    region: Relation | None = None
    #: What `outer` looks for among its rows, and nothing else of them counts.
    sought: Sought | None = None
    columns: list[exp.Column] = field(default_factory=list)
    #: What each ON can name, by the id of the join's node: the relations of both sides.
    sides: dict[int, list[Relation]] = field(default_factory=dict)
    #: What names mean here, by name and where they stand; None while the statement is being bound.
    meanings: dict[tuple[str, str, str, Standing], tuple[Relation, str] | None] | None = None
    #: What each column was found to mean, by its id, with the column itself so that its id stays its own.
    resolved: dict[int, tuple[exp.Column, tuple[Relation, str] | None]] = field(default_factory=dict)
    #: Where nodes stand whose names were looked up, by id, with what stands around them.
    standings: dict[int, tuple[exp.Expr, Standing]] = field(default_factory=dict)
    #: What predicates claim that hold together, by their ids.
    claimed: dict[frozenset[int], tuple[Claim, ...]] = field(default_factory=dict)

    def held(self, relation: Relation) -> tuple[exp.Expr, ...]:
        """The predicates that hold in each row of the result in which `relation` is not null-extended.

        Rows of `relation` that fail them can be left out: the null-extended row that may come in their place fails too.
        """
        if self.tree is None:
            return self.where
        if relation.is_drawn or _is_positional(self.tree, relation):
            return ()
        nearest = _nearest(self.tree, relation)
        if nearest is not None:
            # A row that fails another predicate may still be the nearest, and so hide one that does not.
            return tuple(c for c in nearest.on if isinstance(c, exp.EQ)) if nearest.kind in ("INNER", "LEFT") else ()
        extended = _extended(self.tree, relation)
        where = self.where
        if extended:
            where = tuple(c for c in where if not any(relations <= extended for relations in self.about[id(c)]))
        return where + (_held(self.tree, relation) or ())

    def always(self) -> tuple[exp.Expr, ...]:
        """The predicates that hold in each row of the result."""
        return self.where + (_always(self.tree) if self.tree is not None else ())

    def claims(self, relation: Relation | None = None) -> tuple[Claim, ...]:
        """What is claimed by the predicates that are held for a relation, or that hold always; for a bound statement.

        The relations of one SELECT mostly have the same.
        """
        held = self.always() if relation is None else self.held(relation)
        key = frozenset(map(id, held))
        if key not in self.claimed:
            self.claimed[key] = claims(held)
        return self.claimed[key]

    def is_present(self, relation: Relation, with_: Relation | None) -> bool:
        """Whether `relation` has a row in each row of the result, or in each in which `with_` has one."""
        return self.tree is not None and relation in _present(self.tree, with_)

    def joins(self) -> Iterator[exp.Join]:
        """The joins of this SELECT, those in parentheses too."""
        return (n for n in own_nodes(self.select) if isinstance(n, exp.Join))

    def visible(self) -> list[Relation]:
        """The relations whose columns the SELECT list can name: not those that are only looked into."""
        hidden = _looked_into(self.tree) if self.tree is not None else set()
        return [r for r in self.relations if r not in hidden]

    def stars(self) -> Iterator[tuple[exp.Star, str]]:
        """The stars of the select list with their qualifiers in lower case, '' for none; not those of count(*)."""
        for item in self.select.expressions:
            for node in item.walk(prune=lambda n: isinstance(n, exp.Query)):
                if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count | exp.AggFunc):
                    parent = node.parent
                    yield node, parent.table.lower() if isinstance(parent, exp.Column) else ""


def leaves(tree: Tree) -> list[Relation]:
    """The relations of a subtree from left to right, without those that are only looked into."""
    if isinstance(tree, Relation):
        return [tree]
    return leaves(tree.left) + (leaves(tree.right) if tree.kind not in ("SEMI", "ANTI") else [])


def _looked_into(tree: Tree) -> set[Relation]:
    """The relations on the right of SEMI and ANTI joins."""
    if isinstance(tree, Relation):
        return set()
    found = _looked_into(tree.left) | _looked_into(tree.right)
    return found | _all(tree.right) if tree.kind in ("SEMI", "ANTI") else found


def _all(tree: Tree) -> set[Relation]:
    return {tree} if isinstance(tree, Relation) else _all(tree.left) | _all(tree.right)


def _present(tree: Tree, with_: Relation | None) -> set[Relation]:
    """The relations of a subtree that are not null-extended where the subtree's row, or `with_`, is not."""
    if isinstance(tree, Relation):
        return {tree}
    left, right = _present(tree.left, with_), _present(tree.right, with_)
    match tree.kind:
        case "INNER" | "SEMI" | "POSITIONAL":
            return left | right
        case "LEFT" | "ANTI":
            return left | (right if with_ in right else set())
        case "RIGHT":
            return right | (left if with_ in left else set())
    return left if with_ in left else right if with_ in right else set()


def extends(tree: Tree) -> bool:
    """Whether an outer join extends rows with NULL."""
    if isinstance(tree, Relation):
        return False
    return tree.kind in ("LEFT", "RIGHT", "FULL") or extends(tree.left) or extends(tree.right)


def _extended(tree: Tree, relation: Relation) -> set[Relation]:
    """The relations that an outer join extends with NULL where it finds no row of `relation`; mostly none."""
    if isinstance(tree, Relation):
        return set()
    for side, kinds in ((tree.left, ("RIGHT", "FULL")), (tree.right, ("LEFT", "FULL"))):
        if relation in _all(side):
            return _all(side) if tree.kind in kinds else _extended(side, relation)
    return set()


def _is_positional(tree: Tree, relation: Relation) -> bool:
    """Whether the place of a relation's rows among the others matters: POSITIONAL JOIN."""
    if isinstance(tree, Relation):
        return False
    here = tree.kind == "POSITIONAL" and relation in _all(tree)
    return here or _is_positional(tree.left, relation) or _is_positional(tree.right, relation)


def narrowed(tree: Tree, present: set[Relation]) -> Tree:
    """The tree with those outer joins made inner whose null-extended rows cannot be in the result."""
    if isinstance(tree, Relation):
        return tree
    kind = tree.kind
    if kind in ("LEFT", "FULL") and present & _all(tree.right):
        kind = "INNER" if kind == "LEFT" else "RIGHT"
    if kind in ("RIGHT", "FULL") and present & _all(tree.left):
        kind = "INNER" if kind == "RIGHT" else "LEFT"
    return replace(tree, kind=kind, left=narrowed(tree.left, present), right=narrowed(tree.right, present))


def _nearest(tree: Tree, relation: Relation) -> Join | None:
    """The outermost ASOF join that seeks its rows on the side of `relation`."""
    if isinstance(tree, Relation):
        return None
    if tree.is_nearest and relation in _all(tree.right):
        return tree
    return _nearest(tree.left, relation) or _nearest(tree.right, relation)


def _held(tree: Tree, relation: Relation) -> tuple[exp.Expr, ...] | None:
    """ON predicates that hold where `relation` has a row; None when it is not in the tree."""
    if isinstance(tree, Relation):
        return () if tree is relation else None
    left, right = _held(tree.left, relation), _held(tree.right, relation)
    if left is not None:
        return left + (tree.on + _always(tree.right) if tree.kind in ("INNER", "SEMI", "RIGHT") else ())
    if right is not None:
        return right + (tree.on + _always(tree.left) if tree.kind in ("INNER", "SEMI", "LEFT", "ANTI") else ())
    return None


def _always(tree: Tree) -> tuple[exp.Expr, ...]:
    """ON predicates that hold in each row of a subtree that is not null-extended as a whole."""
    if isinstance(tree, Relation):
        return ()
    match tree.kind:
        case "INNER" | "SEMI":
            return tree.on + _always(tree.left) + _always(tree.right)
        case "LEFT" | "ANTI":
            return _always(tree.left)
        case "RIGHT":
            return _always(tree.right)
    return ()
