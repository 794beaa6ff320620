"""Names to relations: a statement as blocks (one a SELECT), each with its relations, joins and conjuncts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from sqlglot import exp

from provider.catalog.catalog import Method, Resource, spelling
from provider.errors import BindError, NotSupportedError, Place, did_you_mean
from provider.plan.claims import Among, Equal, claims, conjuncts, is_constant
from provider.plan.names import Names, quoted_path
from provider.sql.scanner import Text


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
    local_columns: tuple[str, ...] | None = None
    known: bool = True

    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns, None when unknown. A resource's parameters are not among them."""
        if self.resource is not None:
            return tuple(f.name for f in self.resource.fields)
        if self.bodies:
            names = self.given_columns()
            return None if names is None else (*self.renames, *names[len(self.renames) :])
        return self.renames or self.local_columns

    def given_columns(self) -> tuple[str, ...] | None:
        """The names that the bodies give to the columns, None when unknown."""
        names: list[str] = []
        for body in self.bodies if self.bodies[0].by_name else self.bodies[:1]:
            given = output_names(body)
            if given is None:
                return None
            seen = {n.lower() for n in names}
            names += [n for n in given if not body.by_name or n.lower() not in seen]
        return tuple(names)

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
    #: The use of a CTE in whose copy this block stands.
    region: Relation | None = None
    columns: list[exp.Column] = field(default_factory=list)

    def held(self, relation: Relation) -> tuple[exp.Expr, ...]:
        """The predicates that hold in each row of the result in which `relation` is not null-extended.

        Rows of `relation` that fail them can be left out.
        """
        if self.tree is None:
            return self.where
        if relation.is_drawn or _is_positional(self.tree, relation):
            return ()
        nearest = _nearest(self.tree, relation)
        if nearest is not None:
            # A row that fails another predicate may still be the nearest, and so hide one that does not.
            return tuple(c for c in nearest.on if isinstance(c, exp.EQ)) if nearest.kind in ("INNER", "LEFT") else ()
        return self.where + (_held(self.tree, relation) or ())

    def always(self) -> tuple[exp.Expr, ...]:
        """The predicates that hold in each row of the result."""
        return self.where + (_always(self.tree) if self.tree is not None else ())

    def is_present(self, relation: Relation, with_: Relation | None) -> bool:
        """Whether `relation` has a row in each row of the result, or in each in which `with_` has one."""
        return self.tree is not None and relation in _present(self.tree, with_)

    def joins(self) -> Iterator[exp.Join]:
        """The joins of this SELECT, those in parentheses too."""
        return (n for n in _own_nodes(self.select) if isinstance(n, exp.Join))

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


def _is_positional(tree: Tree, relation: Relation) -> bool:
    """Whether the place of a relation's rows among the others matters: POSITIONAL JOIN."""
    if isinstance(tree, Relation):
        return False
    here = tree.kind == "POSITIONAL" and relation in _all(tree)
    return here or _is_positional(tree.left, relation) or _is_positional(tree.right, relation)


def _narrowed(tree: Tree, present: set[Relation]) -> Tree:
    """The tree with those outer joins made inner whose null-extended rows cannot be in the result."""
    if isinstance(tree, Relation):
        return tree
    kind = tree.kind
    if kind in ("LEFT", "FULL") and present & _all(tree.right):
        kind = "INNER" if kind == "LEFT" else "RIGHT"
    if kind in ("RIGHT", "FULL") and present & _all(tree.left):
        kind = "INNER" if kind == "RIGHT" else "LEFT"
    return replace(tree, kind=kind, left=_narrowed(tree.left, present), right=_narrowed(tree.right, present))


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


def selects(query: exp.Expr) -> list[exp.Select]:
    """The SELECTs of a query: one, or the branches of a set operation; none for VALUES and the like."""
    if isinstance(query, exp.Subquery):
        return selects(query.this)
    if isinstance(query, exp.SetOperation):
        return selects(query.this) + selects(query.expression)
    return [query] if isinstance(query, exp.Select) else []


@dataclass(frozen=True, slots=True)
class Output:
    """A column that a SELECT puts out: its name, and the relation's column that it is, if it is one."""

    name: str
    item: exp.Expr | None
    source: tuple[Relation, str] | None = None


def outputs(block: Block) -> list[Output] | None:
    """The columns that a SELECT puts out, stars opened; None when they cannot be told without DuckDB.

    `item` is the expression in the select list or of REPLACE, None for what else a star opens into.
    """
    found: list[Output] = []
    for item in block.select.expressions:
        star = star_of(item)
        if star is not None:
            opened = _opened(star, item.table if isinstance(item, exp.Column) else "", block)
            if opened is None:
                return None
            found += opened
        elif item.find(exp.Columns) is not None or (item.find(exp.Star) is not None and not item.find(exp.Count)):
            return None
        else:
            found.append(Output(item.alias_or_name, item))
    return found


def _opened(star: exp.Star, qualifier: str, block: Block) -> list[Output] | None:
    """The columns of a star."""
    replaced = {e.alias.lower(): e for e in star.args.get("replace") or ()}
    renamed = {e.this.name.lower(): e.alias for e in star.args.get("rename") or ()}
    excluded = star.args.get("except_") or ()
    if block.tree is None or (not qualifier and not _is_told(block.tree)) or any(e.args.get("table") for e in excluded):
        return None
    hidden = {e.name.lower() for e in excluded}
    found: list[Output] = []
    shown: set[str] = set()
    for relation in block.visible():
        if qualifier and relation.alias.lower() != qualifier.lower():
            continue
        columns = relation.columns()
        if columns is None:
            return None
        for name in columns:
            low = name.lower()
            item: exp.Expr | None = replaced.get(low)
            source: tuple[Relation, str] | None = (relation, name)
            if not qualifier and relation in _mergers(block.tree, low):
                if low in shown:
                    continue
                shown.add(low)
                givers = _merged(block.tree, low)
                source = (givers[0], name) if len(givers) == 1 else None
                item = item or (_merged_value(givers, name) if source is None else None)
            if low not in hidden:
                found.append(Output(renamed.get(low, name), item, source if item is None else None))
    return found


def _is_told(tree: Tree) -> bool:
    """Whether the columns that joins make one are known."""
    return isinstance(tree, Relation) or (tree.using is not None and _is_told(tree.left) and _is_told(tree.right))


def _mergers(tree: Tree, name: str) -> set[Relation]:
    """The relations whose columns of a name USING makes one."""
    if isinstance(tree, Relation):
        return set()
    found = _mergers(tree.left, name) | _mergers(tree.right, name)
    if name.lower() in (tree.using or ()):
        found |= {r for side in (tree.left, tree.right) if (r := _owner_of(side, name)) is not None}
    return found


def _merged(tree: Tree | None, name: str) -> tuple[Relation, ...]:
    """The relations that give a column which USING merged: the first whose own is not NULL. None: nothing merged it.

    The side that an outer join keeps gives it, and after a FULL JOIN either does.
    """
    if tree is None or isinstance(tree, Relation):
        return ()
    if name.lower() not in (tree.using or ()):
        right = _merged(tree.right, name) if tree.kind not in ("SEMI", "ANTI") else ()
        return _merged(tree.left, name) or right
    match tree.kind:
        case "RIGHT":
            return _givers(tree.right, name)
        case "FULL":
            return _givers(tree.left, name) + _givers(tree.right, name)
    return _givers(tree.left, name)


def _givers(tree: Tree, name: str) -> tuple[Relation, ...]:
    """The relations that give a column which one side of USING names."""
    merged = _merged(tree, name)
    owner = _owner_of(tree, name) if not merged else None
    return (owner,) if owner is not None else merged


def _merged_value(givers: Sequence[Relation], name: str) -> exp.Expr:
    """The value of a column that USING merged; `meta["merged"]` tells a coalesce that stands for it."""
    columns = [exp.column(name, table=r.alias, quoted=True) for r in givers]
    if len(columns) == 1:
        return columns[0]
    value = exp.Coalesce(this=columns[0], expressions=columns[1:])
    value.meta["merged"] = True
    return value


def output_names(block: Block) -> tuple[str, ...] | None:
    """Names of the columns that a SELECT puts out, None when they cannot be told without DuckDB."""
    found = outputs(block)
    return None if found is None else tuple(o.name for o in found)


def star_of(item: exp.Expr) -> exp.Star | None:
    """The star of `*` or `t.*`."""
    if isinstance(item, exp.Columns) and not item.args.get("unpack"):
        item = item.this
    if isinstance(item, exp.Star):
        return item
    return item.this if isinstance(item, exp.Column) and isinstance(item.this, exp.Star) else None


class Binder:
    """Builds the blocks of one statement.

    Args:
        names: where names are looked up.
        text: for positions in errors.
    """

    def __init__(self, names: Names, text: Text) -> None:
        self._names = names
        self._text = text
        self.conventions = names.conventions
        self.title = names.title
        #: Every block, outer before inner.
        self.blocks: list[Block] = []
        #: Every relation; a node's `meta["relation"]` is its place here.
        self.relations: list[Relation] = []
        #: Every relation that is a resource.
        self.resources: list[Relation] = []
        self.ctes: list[Cte] = []
        self._region: Relation | None = None
        self._nameless = 0
        self._resolved: dict[tuple[str, str, str, int, bool], tuple[Relation, str] | None] = {}
        self._is_bound = False

    def bind(self, tree: exp.Expr) -> None:
        """Find all blocks of a statement.

        Raises:
            BindError: an unknown provider, service, resource or method.
        """
        if isinstance(tree, exp.Query):
            self._query(tree, None, None, {})
        else:
            scope = self._with(tree, None, {})
            for query in _outermost_queries(tree):
                self._query(query, None, None, scope)
        self._is_bound = True

    def knows(self, provider: str) -> bool:
        """Whether a provider of that name exists."""
        return self._names.catalog.has_provider(provider)

    def resolve(self, column: exp.Column, block: Block) -> tuple[Relation, str] | None:
        """The relation and name that a column means; None when that cannot be told for sure."""
        if not self._is_bound:
            return self._meaning(column, block)
        key = (column.name, column.table, column.text("db"), id(block), _orders(column))
        if key not in self._resolved:
            self._resolved[key] = self._meaning(column, block)
        return self._resolved[key]

    def _meaning(self, column: exp.Column, block: Block) -> tuple[Relation, str] | None:
        name, qualifier = column.name, column.table
        if qualifier:
            for here in _outwards(block):
                for relation in here.relations:
                    if relation.alias.lower() == qualifier.lower() and self._qualifies(column, relation):
                        return relation, self._spelled(relation, name)
            return None
        # Real columns come first, through all enclosing blocks: a parameter must not hide an outer column.
        # But an outer column has one value for all rows, and orders nothing.
        for here in (block,) if _orders(column) and self._takers(name, block) else _outwards(block):
            givers = _merged(here.tree, name)
            if givers:
                return (givers[0], self._spelled(givers[0], name)) if len(givers) == 1 else None
            owners = [r for r in here.relations if r.has(name)]
            if len(owners) == 1:
                return owners[0], name
            unknown = [r for r in here.relations if r.columns() is None]
            if not owners and unknown == here.relations and len(unknown) == 1:
                return unknown[0], name
            if owners or unknown:
                return None
        for here in _outwards(block):
            aliased = self._aliased(column, here)
            if aliased is not None:
                return self.resolve(aliased, here)
            if takers := self._takers(name, here):
                return takers[0] if len(takers) == 1 else None
        return None

    @staticmethod
    def _takers(name: str, block: Block) -> list[tuple[Relation, str]]:
        """The relations of a block that have a parameter of a name, with their spelling of it."""
        return [(r, p) for r in block.relations if (p := r.parameter(name)) is not None]

    def unknown_column(self) -> BindError | None:
        """The error for the first name of the statement that no relation has as a column or parameter.

        What a misspelt name should have bound is not bound, so that this is the likelier mistake.
        """
        for block in self.blocks:
            for column in block.columns:
                owners = self._could_have(column, block)
                if owners and not any(r.has(column.name) or r.parameter(column.name) for r in owners):
                    return self._unknown(column.this, owners)
            for join in block.joins():
                for name in join.args.get("using") or ():
                    owners = [r for r in block.relations if r.resource is not None]
                    if owners and not any(r.has(name.name) or r.parameter(name.name) for r in owners):
                        return self._unknown(name, owners)
        return None

    @staticmethod
    def _could_have(column: exp.Column, block: Block) -> list[Relation]:
        """The relations that a name can mean, if resources are among them and all columns are known; else none."""
        if column.find_ancestor(exp.Lambda, exp.Columns, exp.Pivot) or not isinstance(column.this, exp.Identifier):
            return []
        reached = [r for here in _outwards(block) for r in here.relations]
        if column.table:
            owners = [r for r in reached if r.alias.lower() == column.table.lower()][:1]
        else:
            named = {i.alias.lower() for here in _outwards(block) for i in here.select.expressions if i.alias}
            owners = reached if column.name.lower() not in named | {r.alias.lower() for r in reached} else []
        told = all(r.columns() is not None for r in owners)
        return owners if told and any(r.resource is not None for r in owners) else []

    def _unknown(self, name: exp.Expr, owners: Sequence[Relation]) -> BindError:
        resources = {r.resource.id: r.resource for r in owners if r.resource is not None}
        place = self._place(span([name]))
        for resource in resources.values():
            if known := spelling(name.name, resource.elsewhere):
                versions = " and ".join(resource.elsewhere[known])
                return BindError(f'{resource.id} has the field "{known}" in {versions} of the API only', place=place)
        known_names = [c for r in owners for c in r.columns() or ()]
        known_names += [p for r in resources.values() for p in r.select_parameters()]
        summary = f'column "{name.name}" not found in {" and ".join(resources)}'
        return BindError(summary, place=place, remedy=did_you_mean(name.name, known_names))

    def owner(self, column: exp.Column, block: Block) -> Relation | None:
        """The relation that a column is read from, as a whole or as `column.field`; None when that cannot be told."""
        found = self.resolve(column, block)
        if found is None and column.table and not column.args.get("db"):
            found = self.resolve(exp.column(column.table), block)
        elif found is None and column.args.get("db"):
            first, second = column.text("db"), column.table
            found = self.resolve(exp.column(second, table=first), block) or self.resolve(exp.column(first), block)
        return found[0] if found is not None else None

    @staticmethod
    def _spelled(relation: Relation, name: str) -> str:
        return name if relation.has(name) else relation.parameter(name) or name

    @staticmethod
    def _aliased(column: exp.Column, block: Block) -> exp.Column | None:
        """The column behind an alias of the SELECT list, which DuckDB lets WHERE use."""
        for item in block.select.expressions:
            inner = item.this if isinstance(item, exp.Alias) else None
            if isinstance(inner, exp.Column) and item.alias.lower() == column.name.lower() and inner is not column:
                return inner if inner.name.lower() != column.name.lower() else None
        return None

    @staticmethod
    def _computed(column: exp.Column, block: Block) -> exp.Expr | None:
        """The constant behind an alias of the SELECT list."""
        if column.table or any(r.parameter(column.name) for r in block.relations):
            return None
        items = [i for i in block.select.expressions if isinstance(i, exp.Alias)]
        return next((i.this for i in items if i.alias.lower() == column.name.lower() and is_constant(i.this)), None)

    @staticmethod
    def _qualifies(column: exp.Column, relation: Relation) -> bool:
        if not column.args.get("db"):
            return True
        return isinstance(relation.node, exp.Table) and relation.node.text("db").lower() == column.text("db").lower()

    def _query(
        self, query: exp.Expr, outer: Block | None, owner: Relation | None, scope: dict[str, Cte]
    ) -> tuple[Block, ...]:
        scope = self._with(query, outer, scope)
        if isinstance(query, exp.Subquery):
            blocks = self._query(query.this, outer, owner, scope)
            if _cuts(query):
                for b in blocks:
                    b.transparent = False
            return blocks
        if isinstance(query, exp.SetOperation):
            blocks = self._query(query.this, outer, owner, scope) + self._query(query.expression, outer, owner, scope)
            by_name = _is_by_name(query)
            for b in blocks:
                # Where names and positions alternate, neither tells which column is which.
                mixed = not by_name and (b.by_name or bool(query.args.get("by_name")))
                b.transparent = b.transparent and not mixed and not _cuts(query)
                b.by_name = by_name
            return blocks
        if isinstance(query, exp.Select):
            return (self._select(query, outer, owner, scope),)
        for inner in _outermost_queries(query):
            self._query(inner, outer, None, scope)
        return ()

    def _with(self, query: exp.Expr, outer: Block | None, scope: dict[str, Cte]) -> dict[str, Cte]:
        clause = query.args.get("with_")
        if clause is None:
            return scope
        scope = dict(scope)
        for node in clause.expressions:
            recursive = bool(clause.args.get("recursive")) and any(
                t.name.lower() == node.alias.lower() and not t.args.get("db") for t in node.this.find_all(exp.Table)
            )
            cte = Cte(node.alias, node, recursive, outer, dict(scope), self._region)
            self.ctes.append(cte)
            scope[node.alias.lower()] = cte
            if recursive:
                cte.scope[node.alias.lower()] = cte
        return scope

    def _select(self, select: exp.Select, outer: Block | None, owner: Relation | None, scope: dict[str, Cte]) -> Block:
        _lift_joins(select)
        block = Block(select, outer, owner, transparent=not _cuts(select), region=self._region)
        self.blocks.append(block)
        source = select.args.get("from_")
        if source is not None:
            block.tree = self._tree(source.this, block, scope)
        for join in select.args.get("joins") or ():
            block.tree = self._join(block.tree, join, block, scope)
        for lateral in select.args.get("laterals") or ():
            right = self._tree(lateral, block, scope)
            block.tree = right if block.tree is None else Join("INNER", block.tree, right, ())
        block.columns = [c for c in _own_nodes(select) if isinstance(c, exp.Column)]
        block.where = self._conditions("where", block) + tuple(
            c for c in self._conditions("having", block) if self._is_of_groups(c, block)
        )
        if block.tree is not None:
            block.tree = _narrowed(block.tree, self._present(block))
        for query in _nested_queries(select):
            self._query(query, block, None, scope)
        return block

    def _conditions(self, clause: str, block: Block) -> tuple[exp.Expr, ...]:
        """The conjuncts of WHERE or HAVING, their names as plain as KeyQueries need them."""
        node = block.select.args.get(clause)
        if node is None:
            return ()
        _qualify_merged(node, block.tree)
        for column in [n for n in _own_nodes(node) if isinstance(n, exp.Column)]:
            meant = self._aliased(column, block) or self._computed(column, block)
            if meant is not None and not any(r.columns() is None or r.has(column.name) for r in _visible_from(block)):
                column.replace(meant.copy())
        return conjuncts(node.this)

    def _present(self, block: Block) -> set[Relation]:
        """The relations that have a row in each row of the result, since WHERE compares a column of theirs."""
        sides: list[exp.Expr] = []
        for claim in claims(block.where):
            if isinstance(claim, Equal):
                sides += [claim.left, claim.right]
            elif isinstance(claim, Among):
                sides.append(claim.item)
        found = [self.resolve(c, block) for s in sides if isinstance(c := s.unnest(), exp.Column)]
        return {f[0] for f in found if f is not None and f[0].block is block}

    def _is_of_groups(self, condition: exp.Expr, block: Block) -> bool:
        """Whether a condition of HAVING is about grouping keys alone, so that it holds for the rows of the groups."""
        nodes = list(_own_nodes(condition))
        if any(isinstance(n, exp.AggFunc | exp.Window | exp.Anonymous) for n in nodes):
            return False
        found = [self.resolve(n, block) for n in nodes if isinstance(n, exp.Column)]
        keys = self.grouping_keys(block)
        asks = bool(found) or any(isinstance(n, exp.Query) for n in nodes)
        return asks and all(f is not None and (f[0], f[1].lower()) in keys for f in found)

    def lets_through(self, block: Block, column: tuple[Relation, str]) -> bool:
        """Whether a predicate on a column that a block puts out may be applied to the block's input already."""
        key = (column[0], column[1].lower())
        if block.select.args.get("group") is not None and key not in self.grouping_keys(block):
            return False
        for partition in _partitions(block.select):
            found = [self.resolve(c, block) for e in partition if isinstance(c := e.unnest(), exp.Column)]
            if key not in [(f[0], f[1].lower()) for f in found if f is not None]:
                return False
        return block.transparent

    def grouping_keys(self, block: Block) -> set[tuple[Relation, str]]:
        """The columns, in lower case, that have one value in each group; not those that grouping sets make NULL."""
        group = block.select.args.get("group")
        if group is None:
            return set()
        items = [i.unalias() for i in block.select.expressions]
        nodes = items if group.args.get("all") else group.expressions
        found = set()
        for node in nodes:
            if isinstance(node, exp.Literal) and not node.is_string and 0 < int(node.this) <= len(items):
                node = items[int(node.this) - 1]
            key = self.resolve(node, block) if isinstance(node, exp.Column) else None
            if key is not None:
                found.add((key[0], key[1].lower()))
        return found

    def _join(self, left: Tree | None, join: exp.Join, block: Block, scope: dict[str, Cte]) -> Tree:
        right = self._tree(join.this, block, scope)
        if left is None:
            return right
        kind = (join.args.get("kind") or "").upper()
        side = (join.args.get("side") or "").upper()
        if (join.args.get("method") or "").upper() == "POSITIONAL" or kind == "POSITIONAL":
            side = "POSITIONAL"
        elif kind in ("SEMI", "ANTI"):
            side = kind
        method = (join.args.get("method") or "").upper()
        for tree in (left, right):
            _qualify_merged(join, tree)
        on = conjuncts(join.args.get("on"))
        using: tuple[str, ...] | None = tuple(n.name.lower() for n in join.args.get("using") or ())
        if method == "NATURAL":
            using = _common(left, right)
        for i, name in enumerate(using or ()):
            sides = [_merged_value(g, name) for g in (_givers(left, name), _givers(right, name)) if g]
            if len(sides) == 2:
                # The last column of ASOF is compared by >=.
                kind = exp.GTE if method == "ASOF" and i == len(using or ()) - 1 else exp.EQ
                on += (kind(this=sides[0], expression=sides[1]),)
        return Join(side or "INNER", left, right, on, using, is_nearest=method == "ASOF")

    def _tree(self, node: exp.Expr, block: Block, scope: dict[str, Cte]) -> Tree:
        if _is_grouped_join(node):
            return self._tree(node.this, block, scope)
        tree: Tree = self._relation(node, block, scope)
        for join in node.args.get("joins") or ():
            tree = self._join(tree, join, block, scope)
        return tree

    def _relation(self, node: exp.Expr, block: Block, scope: dict[str, Cte]) -> Relation:
        relation = Relation(node.alias_or_name or self._unnamed(), node, block, renames=_renames(node))
        body = _body(node) if isinstance(node, exp.Subquery | exp.Lateral) else None
        if isinstance(body, exp.Query):
            relation.query = body
            # DuckDB lets a derived table see the relations before it, with or without LATERAL; not so a view.
            outer = None if self._enclosure(body) != self._enclosure(block.select) else block
            relation.bodies = self._query(body, outer, relation, scope)
        elif isinstance(node, exp.Values):
            relation.local_columns = tuple(f"col{i}" for i in range(len(node.expressions[0].expressions)))
        elif isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier | exp.Dot):
            parts = [p.name for p in node.parts]
            cte = scope.get(parts[0].lower()) if len(parts) == 1 else None
            if cte is not None:
                self._use(relation, cte)
            else:
                self._named(relation, node, parts)
        else:
            if isinstance(node, exp.Table):
                # A table function: DuckDB knows its columns, unless it reads a relation beside it.
                function = node.copy()
                function.set("joins", None)
                function.set("alias", None)
                relation.local_columns = self._names.columns(function.sql(dialect="duckdb", comments=False))
            for query in _nested_queries(node):
                self._query(query, block, None, scope)
        # A number, since copies of the tree copy what hangs on its nodes.
        node.meta["relation"] = len(self.relations)
        self.relations.append(relation)
        block.relations.append(relation)
        return relation

    def _enclosure(self, query: exp.Expr) -> tuple[int, int] | None:
        """The view that a query stands in, as a stretch of the text; None for the user's own."""
        return self._text.enclosure(*span([query])) if self._text.closed else None

    def _unnamed(self) -> str:
        """A name, as DuckDB's own, for a derived table that has none."""
        self._nameless += 1
        return f"unnamed_subquery{self._nameless if self._nameless > 1 else ''}"

    def _use(self, relation: Relation, cte: Cte) -> None:
        relation.cte = cte
        relation.renames = relation.renames or _renames(cte.node)
        cte.uses.append(relation)
        if cte.recursive:
            # Inside its own body, and wherever it is used: one plan, which no predicate narrows.
            if len(cte.uses) == 1:
                outside, self._region = self._region, cte.region
                cte.shared = self._query(cte.node.this, cte.outer, None, cte.scope)
                self._region = outside
                for block in cte.shared:
                    block.transparent = False
            relation.bodies, relation.query = cte.shared, None
            relation.local_columns = relation.renames or None
            return
        # Each use is bound on its own copy, since each may be narrowed by other predicates.
        relation.query = cte.node.this.copy()
        outside, self._region = self._region, relation
        relation.bodies = self._query(relation.query, cte.outer, relation, cte.scope)
        self._region = outside

    def _named(self, relation: Relation, node: exp.Table, parts: list[str]) -> None:
        """A table by name: a resource, or a local table, view or file."""
        local = cache(lambda: self._names.columns(quoted_path(parts)))
        path = self._names.resource_path(parts, is_local=lambda: local() is not None)
        if path is None:
            relation.local_columns = local()
            if relation.local_columns is None and len(parts) >= 3 and isinstance(node.this, exp.Identifier | exp.Dot):
                # Neither a resource nor a table of an attached database: the provider is misspelt.
                self._names.catalog.provider(parts[0], self._place(span(node.parts[:1])))
        else:
            self._resource(relation, node, path)

    def _resource(self, relation: Relation, node: exp.Table, names: tuple[str, ...]) -> None:
        parts = list(node.parts)
        whole = span(parts)
        given = len(parts) - (len(names) - 3)  # how many of the parts name the resource
        if given > 1:
            self._names.catalog.service(names[0], names[1], self._place(span(parts[given - 2 : given - 1])))
        found = self._names.catalog.resource(names[0], names[1], names[2], self._place(span(parts[given - 1 : given])))
        if len(names) > 3:
            relation.forced = self._method(found, names[3], self._place(span(parts[given:])))
            if not node.alias:
                relation.alias = names[2]
        if len(names) > 4:
            raise BindError(f"{'.'.join(names)} has too many parts", place=self._place(whole))
        if not found.methods_for("SELECT"):
            raise BindError(f"{found.id} cannot be read: it has no SELECT method", place=self._place(whole))
        if relation.renames:
            raise NotSupportedError(
                f"{found.id} cannot have its columns renamed in the alias",
                place=self._place(whole),
                remedy=f"Write (SELECT * FROM {found.id}) AS {relation.alias}({', '.join(relation.renames)})",
            )
        relation.resource = found
        self.resources.append(relation)

    @staticmethod
    def _method(resource: Resource, name: str, place: Place) -> Method:
        method = resource.method(name)
        if method is None:
            if known := spelling(name, resource.elsewhere):
                versions = " and ".join(resource.elsewhere[known])
                raise BindError(f"{resource.id}.{known} exists in {versions} of the API only", place=place)
            raise BindError(
                f'{resource.id} has no method "{name}"',
                place=place,
                remedy=did_you_mean(name, [m.name for m in resource.methods_for("SELECT")]),
            )
        if method.verb != "SELECT":
            raise BindError(
                f"{resource.id}.{method.name} serves {method.verb}, not SELECT",
                place=place,
                remedy=did_you_mean("", [m.name for m in resource.methods_for("SELECT")]),
            )
        return method

    def _place(self, at: tuple[int, int]) -> Place:
        return self._text.place(*at)


def _outwards(block: Block) -> Iterator[Block]:
    """A block and those around it, inner before outer."""
    here: Block | None = block
    while here is not None:
        yield here
        here = here.outer


def _orders(column: exp.Column) -> bool:
    """Whether a column stands in ORDER BY, of its query or of a window."""
    return isinstance(column.find_ancestor(exp.Ordered, exp.Query), exp.Ordered)


def span(parts: Sequence[exp.Expr]) -> tuple[int, int]:
    """Start and end offset of identifiers in the statement's text, end exclusive."""
    metas = [i.meta for p in parts for i in p.find_all(exp.Identifier) if "start" in i.meta]
    if not metas:
        return 0, 0
    return min(m["start"] for m in metas), max(m["end"] for m in metas) + 1


def _body(node: exp.Expr) -> exp.Expr:
    """The query inside a derived table or LATERAL."""
    body: exp.Expr = node.this
    while (
        isinstance(body, exp.Subquery)
        and not body.alias
        and isinstance(body.this, exp.Query)
        and not body.args.get("with_")
        and not _cuts(body)
    ):
        body = body.this
    return body


def _lift_joins(select: exp.Select) -> None:
    """Hang the joins of `FROM a JOIN b ... SELECT ...` on the SELECT; the parser hangs them on what stands first."""
    source = select.args.get("from_")
    joins = source.this.args.get("joins") if source is not None else None
    if source is not None and joins:
        source.this.set("joins", None)
        select.set("joins", [*joins, *(select.args.get("joins") or ())])


def _renames(node: exp.Expr) -> tuple[str, ...]:
    alias = node.args.get("alias")
    return tuple(c.name for c in alias.args.get("columns") or ()) if isinstance(alias, exp.TableAlias) else ()


def _cuts(query: exp.Expr) -> bool:
    """Whether narrowing the input could change which of the surviving rows come out."""
    return any(query.args.get(k) for k in ("limit", "offset", "fetch", "sample", "pivots"))


def _partitions(select: exp.Expr) -> Iterator[list[exp.Expr]]:
    """The expressions by which each window, and DISTINCT ON, keeps rows apart: a row meets only its equals there."""
    distinct = select.args.get("distinct")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        on = distinct.args["on"]
        yield on.expressions if isinstance(on, exp.Tuple) else [on]
    named = {w.name.lower(): w for w in select.args.get("windows") or ()}
    for node in _own_nodes(select):
        if isinstance(node, exp.Window) and node.arg_key != "windows":
            yield (named.get(str(node.args.get("alias") or "").lower()) or node).args.get("partition_by") or []


def _is_by_name(query: exp.Expr) -> bool:
    """Whether a set operation, and each in its arms, is BY NAME."""
    if not isinstance(query, exp.SetOperation) or not query.args.get("by_name"):
        return False
    return all(not isinstance(a, exp.SetOperation) or _is_by_name(a) for a in (query.this, query.expression))


def _owner_of(tree: Tree, name: str) -> Relation | None:
    """The relation of a subtree that gives a USING column."""
    leaves = _leaves(tree)
    known = [r for r in leaves if r.has(name)] or [r for r in leaves if r.parameter(name)]
    return next(iter(known or [r for r in leaves if r.columns() is None]), None)


def _leaves(tree: Tree) -> list[Relation]:
    """The relations of a subtree from left to right, without those that are only looked into."""
    if isinstance(tree, Relation):
        return [tree]
    return _leaves(tree.left) + (_leaves(tree.right) if tree.kind not in ("SEMI", "ANTI") else [])


def _common(left: Tree, right: Tree) -> tuple[str, ...] | None:
    """The columns that NATURAL JOIN compares, in lower case; None when a side has columns that only DuckDB knows."""
    sides: list[list[str]] = []
    for tree in (left, right):
        columns = [r.columns() for r in _leaves(tree)]
        if not _is_told(tree) or any(c is None for c in columns):
            return None
        sides.append([n.lower() for c in columns for n in c or ()])
    return tuple(dict.fromkeys(n for n in sides[0] if n in sides[1]))


def _qualify_merged(node: exp.Expr, tree: Tree | None) -> None:
    """Put what USING merged in place of its bare name, in a condition's own columns."""
    for column in [n for n in _own_nodes(node) if isinstance(n, exp.Column) and not n.table]:
        givers = _merged(tree, column.name)
        if givers and column is not node:
            column.replace(_merged_value(givers, column.name))


def _visible_from(block: Block) -> Iterator[Relation]:
    """The relations of a block and of those around it."""
    for here in _outwards(block):
        yield from here.relations


def _own_nodes(select: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of a SELECT that are not inside a nested query."""
    return select.walk(prune=lambda n: n is not select and isinstance(n, exp.Query) and not _is_grouped_join(n))


def _is_grouped_join(node: exp.Expr) -> bool:
    """Whether parentheses stand around joins: FROM (a JOIN b ON ...)."""
    return isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table) and not node.alias


def _nested_queries(node: exp.Expr) -> Iterator[exp.Expr]:
    """Queries in expressions of a SELECT: not its CTEs, and not those behind FROM, which are relations."""
    inner = exp.Query | exp.CTE
    for n in node.walk(prune=lambda n: n is not node and isinstance(n, inner) and not _is_grouped_join(n)):
        if n is not node and isinstance(n, exp.Query) and not _is_grouped_join(n) and not _is_relation(n, node):
            yield n


def _is_relation(query: exp.Expr, select: exp.Expr) -> bool:
    """Whether a query stands behind FROM or JOIN of `select`, rather than in an expression."""
    child, parent = query, query.parent
    while parent is not None and child is not select:
        if isinstance(parent, exp.From | exp.Lateral) or (isinstance(parent, exp.Join) and child.arg_key == "this"):
            return True
        if parent is select or not isinstance(parent, exp.Subquery | exp.Table | exp.Join):
            return False
        child, parent = parent, parent.parent
    return False


def _outermost_queries(tree: exp.Expr) -> Iterator[exp.Expr]:
    for n in tree.walk(prune=lambda n: n is not tree and isinstance(n, exp.Query | exp.With)):
        if n is not tree and isinstance(n, exp.Query):
            yield n
