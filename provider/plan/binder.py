"""Names to relations: a statement as blocks (one a SELECT), each with its relations, joins and conjuncts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from sqlglot import exp

from provider.catalog.catalog import Method, Resource
from provider.errors import BindError, NotSupportedError, Place, did_you_mean
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
            names = output_names(self.bodies[0])
            if names is None:
                return None
            return (*self.renames, *names[len(self.renames) :])
        return self.renames or self.local_columns

    def has(self, name: str) -> bool:
        """Whether a column of that name exists."""
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
    #: Whether columns of both sides become one: USING, NATURAL.
    merges: bool = False


Tree = Relation | Join


@dataclass(eq=False, slots=True)
class Block:
    """One SELECT."""

    select: exp.Select
    #: Where names are looked up that are not found here, and None at the top or in a plain derived table.
    outer: Block | None
    #: The derived table or CTE use that this block is a body of.
    owner: Relation | None
    #: Whether a predicate on the owner's output may be applied to this block's rows already.
    transparent: bool = True
    relations: list[Relation] = field(default_factory=list)
    tree: Tree | None = None
    where: tuple[exp.Expr, ...] = ()
    #: The use of a CTE in whose copy this block stands.
    region: Relation | None = None
    columns: list[exp.Column] = field(default_factory=list)

    def held(self, relation: Relation) -> tuple[exp.Expr, ...]:
        """The predicates that hold in each row of the result in which `relation` is not null-extended."""
        if self.tree is None:
            return self.where
        if _has_positional(self.tree):
            return ()
        return self.where + (_held(self.tree, relation) or ())

    def is_present(self, relation: Relation, with_: Relation | None) -> bool:
        """Whether `relation` has a row in each row of the result, or in each in which `with_` has one."""
        return self.tree is not None and relation in _present(self.tree, with_)

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


def _has_positional(tree: Tree) -> bool:
    return isinstance(tree, Join) and (
        tree.kind == "POSITIONAL" or _has_positional(tree.left) or _has_positional(tree.right)
    )


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


def conjuncts(condition: exp.Expr | None) -> tuple[exp.Expr, ...]:
    """The parts of an AND, parentheses opened."""
    if condition is None:
        return ()
    if isinstance(condition, exp.Paren):
        return conjuncts(condition.this)
    if isinstance(condition, exp.And):
        # Flattened with a loop: a generated chain of thousands of ANDs must not exhaust the stack.
        found: list[exp.Expr] = []
        stack = [condition.expression, condition.this]
        while stack:
            part = stack.pop().unnest()
            if isinstance(part, exp.And):
                stack += [part.expression, part.this]
            else:
                found.append(part)
        return tuple(found)
    return (condition,)


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

    `item` is the expression in the select list, None for what a star opens into.
    """
    found: list[Output] = []
    for item in block.select.expressions:
        star = star_of(item)
        if star is None:
            if item.find(exp.Columns) is not None:
                return None
            found.append(Output(item.alias_or_name, item))
            continue
        qualifier = item.table if isinstance(item, exp.Column) else ""
        if star.args.get("replace") or star.args.get("rename") or _merges_columns(block.tree):
            return None
        excluded = {e.name.lower() for e in star.args.get("except_") or ()}
        for relation in block.visible():
            if qualifier and relation.alias.lower() != qualifier.lower():
                continue
            columns = relation.columns()
            if columns is None:
                return None
            found += [Output(c, None, (relation, c)) for c in columns if c.lower() not in excluded]
    return found


def _merges_columns(tree: Tree | None) -> bool:
    """Whether `*` shows columns of several relations as one: USING, NATURAL."""
    if not isinstance(tree, Join):
        return False
    return tree.merges or _merges_columns(tree.left) or _merges_columns(tree.right)


def output_names(block: Block) -> tuple[str, ...] | None:
    """Names of the columns that a SELECT puts out, None when they cannot be told without DuckDB."""
    found = outputs(block)
    return None if found is None else tuple(o.name for o in found)


def star_of(item: exp.Expr) -> exp.Star | None:
    """The star of `*` or `t.*`."""
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
        #: Every block, outer before inner.
        self.blocks: list[Block] = []
        #: Every relation; a node's `meta["relation"]` is its place here.
        self.relations: list[Relation] = []
        #: Every relation that is a resource.
        self.resources: list[Relation] = []
        self.ctes: list[Cte] = []
        self._region: Relation | None = None

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

    def knows(self, provider: str) -> bool:
        """Whether a provider of that name exists."""
        return self._names.catalog.has_provider(provider)

    def resolve(self, column: exp.Column, block: Block) -> tuple[Relation, str] | None:
        """The relation and name that a column means; None when that cannot be told for sure."""
        name, qualifier = column.name, column.table
        if qualifier:
            for here in _outwards(block):
                for relation in here.relations:
                    if relation.alias.lower() == qualifier.lower() and self._qualifies(column, relation):
                        return relation, name if relation.has(name) else relation.parameter(name) or name
            return None
        # Real columns come first, through all enclosing blocks: a parameter must not hide an outer column.
        for here in _outwards(block):
            owners = [r for r in here.relations if r.has(name)]
            if len(owners) == 1 or (owners and _is_using(here.tree, name)):
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
            takers = [(r, p) for r in here.relations if (p := r.parameter(name)) is not None]
            if takers:
                return takers[0] if len(takers) == 1 else None
        return None

    @staticmethod
    def _aliased(column: exp.Column, block: Block) -> exp.Column | None:
        """The column behind an alias of the SELECT list, which DuckDB lets WHERE use."""
        for item in block.select.expressions:
            inner = item.this if isinstance(item, exp.Alias) else None
            if isinstance(inner, exp.Column) and item.alias.lower() == column.name.lower() and inner is not column:
                return inner if inner.name.lower() != column.name.lower() else None
        return None

    @staticmethod
    def _qualifies(column: exp.Column, relation: Relation) -> bool:
        if not column.args.get("db"):
            return True
        return isinstance(relation.node, exp.Table) and relation.node.text("db") == column.text("db")

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
            if _cuts(query) or query.args.get("by_name"):
                for b in blocks:
                    b.transparent = False
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
        where = select.args.get("where")
        block.where = conjuncts(where.this if where else None)
        block.columns = [c for c in _own_nodes(select) if isinstance(c, exp.Column)]
        for query in _nested_queries(select):
            self._query(query, block, None, scope)
        return block

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
        on = conjuncts(join.args.get("on"))
        for name in join.args.get("using") or ():
            sides = (_owner_of(left, name.name), _owner_of(right, name.name))
            if sides[0] is not None and sides[1] is not None:
                on += (exp.EQ(this=_column(sides[0], name.name), expression=_column(sides[1], name.name)),)
        merges = bool(join.args.get("using")) or (join.args.get("method") or "").upper() == "NATURAL"
        return Join(side or "INNER", left, right, on, merges)

    def _tree(self, node: exp.Expr, block: Block, scope: dict[str, Cte]) -> Tree:
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table) and not node.alias:
            return self._tree(node.this, block, scope)  # FROM (a JOIN b ON ...)
        tree: Tree = self._relation(node, block, scope)
        for join in node.args.get("joins") or ():
            tree = self._join(tree, join, block, scope)
        return tree

    def _relation(self, node: exp.Expr, block: Block, scope: dict[str, Cte]) -> Relation:
        relation = Relation(node.alias_or_name, node, block, renames=_renames(node))
        body = _body(node) if isinstance(node, exp.Subquery | exp.Lateral) else None
        if isinstance(body, exp.Query):
            relation.query = body
            # DuckDB lets a derived table see the relations before it, with or without LATERAL.
            relation.bodies = self._query(body, block, relation, scope)
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
        found = self._names.catalog.resource(names[0], names[1], names[2], self._place(span(parts[:given])))
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


def _renames(node: exp.Expr) -> tuple[str, ...]:
    alias = node.args.get("alias")
    return tuple(c.name for c in alias.args.get("columns") or ()) if isinstance(alias, exp.TableAlias) else ()


def _cuts(query: exp.Expr) -> bool:
    """Whether narrowing the input could change which of the surviving rows come out."""
    if any(query.args.get(k) for k in ("limit", "offset", "fetch", "sample", "qualify", "pivots")):
        return True
    if not isinstance(query, exp.Select):
        return False
    distinct = query.args.get("distinct")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        return True
    return any(isinstance(n, exp.Window) for n in _own_nodes(query))


def _is_using(tree: Tree | None, name: str) -> bool:
    """Whether a name is joined by USING, so that either side's column may stand for it."""
    if not isinstance(tree, Join):
        return False
    pairs = [e for e in tree.on if isinstance(e, exp.EQ) and e.this.meta.get("using") == name.lower()]
    if pairs and tree.kind in ("INNER", "LEFT", "SEMI", "ANTI"):
        return True
    return _is_using(tree.left, name) or _is_using(tree.right, name)


def _owner_of(tree: Tree, name: str) -> Relation | None:
    """The relation of a subtree that gives a USING column."""
    if isinstance(tree, Join):
        return _owner_of(tree.left, name) or _owner_of(tree.right, name)
    unknown = tree.columns() is None
    return tree if tree.has(name) or tree.parameter(name) or unknown else None


def _column(relation: Relation, name: str) -> exp.Column:
    column = exp.column(name, table=relation.alias, quoted=True)
    column.meta["using"] = name.lower()
    return column


def _own_nodes(select: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of a SELECT that are not inside a nested query."""
    return select.walk(prune=lambda n: n is not select and isinstance(n, exp.Query))


def _nested_queries(node: exp.Expr) -> Iterator[exp.Expr]:
    """Queries in expressions of a SELECT: not its CTEs, and not those behind FROM, which are relations."""
    for n in node.walk(prune=lambda n: n is not node and isinstance(n, exp.Query | exp.CTE)):
        if n is not node and isinstance(n, exp.Query) and not _is_relation(n, node):
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
