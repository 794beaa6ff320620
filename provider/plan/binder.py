"""Names to relations: a statement as blocks, with what stands behind each FROM looked up."""

from __future__ import annotations

from functools import cache

from sqlglot import exp

from provider.catalog.catalog import Method, Resource, spelling
from provider.errors import BindError, NotSupportedError, Place, did_you_mean
from provider.plan.blocks import Block, Cte, Join, Relation, Tree, extends, leaves, narrowed
from provider.plan.claims import conjuncts
from provider.plan.grouping import is_of_groups
from provider.plan.names import Names, quoted_path
from provider.plan.outputs import given_names
from provider.plan.presence import about, present
from provider.plan.resolution import aliased, computed, visible_from
from provider.plan.syntax import (
    body_of,
    cuts,
    is_by_name,
    is_grouped_join,
    lift_joins,
    nested_queries,
    outermost_queries,
    own_nodes,
    renames_of,
    sought_in,
    span,
)
from provider.plan.using import common, givers, merged_value, qualify_merged
from provider.sql.scanner import Text


class Binder:
    """Builds the blocks of one statement.

    Args:
        names: where names are looked up.
        text: for positions in errors.
    """

    def __init__(self, names: Names, text: Text) -> None:
        self._names = names
        self.text = text
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

    def bind(self, tree: exp.Expr) -> None:
        """Find all blocks of a statement.

        Raises:
            BindError: an unknown provider, service, resource or method.
        """
        if isinstance(tree, exp.Query):
            self._query(tree, None, None, {})
        else:
            scope = self._with(tree, None, {})
            for query in outermost_queries(tree):
                self._query(query, None, None, scope)
        for block in self.blocks:
            block.meanings = {}

    def knows(self, provider: str) -> bool:
        """Whether a provider of that name exists."""
        return self._names.catalog.has_provider(provider)

    def _query(
        self, query: exp.Expr, outer: Block | None, owner: Relation | None, scope: dict[str, Cte]
    ) -> tuple[Block, ...]:
        scope = self._with(query, outer, scope)
        if isinstance(query, exp.Subquery):
            blocks = self._query(query.this, outer, owner, scope)
            if cuts(query):
                for b in blocks:
                    b.transparent = False
            return blocks
        if isinstance(query, exp.SetOperation):
            blocks = self._query(query.this, outer, owner, scope) + self._query(query.expression, outer, owner, scope)
            by_name = is_by_name(query)
            for b in blocks:
                # Where names and positions alternate, neither tells which column is which.
                mixed = not by_name and (b.by_name or bool(query.args.get("by_name")))
                b.transparent = b.transparent and not mixed and not cuts(query)
                b.by_name = by_name
            return blocks
        if isinstance(query, exp.Select):
            return (self._select(query, outer, owner, scope),)
        for inner in outermost_queries(query):
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
        lift_joins(select)
        block = Block(select, outer, owner, transparent=not cuts(select), region=self._region)
        self.blocks.append(block)
        source = select.args.get("from_")
        if source is not None:
            block.tree = self._tree(source.this, block, scope)
        for join in select.args.get("joins") or ():
            block.tree = self._join(block.tree, join, block, scope)
        for lateral in select.args.get("laterals") or ():
            right = self._tree(lateral, block, scope)
            block.tree = right if block.tree is None else Join("INNER", block.tree, right, ())
        block.columns = [c for c in own_nodes(select) if isinstance(c, exp.Column)]
        block.where = self._conditions("where", block) + tuple(
            c for c in self._conditions("having", block) if is_of_groups(c, block)
        )
        if block.tree is not None:
            block.tree = narrowed(block.tree, present(block.where, block))
            block.about = {id(c): about(c, block) for c in block.where} if extends(block.tree) else {}
        for query in nested_queries(select):
            for nested in self._query(query, block, None, scope):
                nested.sought = sought_in(query)
        return block

    def _conditions(self, clause: str, block: Block) -> tuple[exp.Expr, ...]:
        """The conjuncts of WHERE or HAVING, their names as plain as KeyQueries need them."""
        node = block.select.args.get(clause)
        if node is None:
            return ()
        qualify_merged(node, block.tree)
        for column in [n for n in own_nodes(node) if isinstance(n, exp.Column)]:
            meant = aliased(column, block) or computed(column, block)
            if meant is not None and not any(r.columns() is None or r.has(column.name) for r in visible_from(block)):
                column.replace(meant.copy())
        return conjuncts(node.this)

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
            qualify_merged(join, tree)
        on = conjuncts(join.args.get("on"))
        using: tuple[str, ...] | None = tuple(n.name.lower() for n in join.args.get("using") or ())
        if method == "NATURAL":
            using = common(left, right)
        for i, name in enumerate(using or ()):
            sides = [merged_value(g, name) for g in (givers(left, name), givers(right, name)) if g]
            if len(sides) == 2:
                # The last column of ASOF is compared by >=.
                kind = exp.GTE if method == "ASOF" and i == len(using or ()) - 1 else exp.EQ
                on += (kind(this=sides[0], expression=sides[1]),)
        block.sides[id(join)] = leaves(left) + leaves(right)
        return Join(side or "INNER", left, right, on, using, is_nearest=method == "ASOF")

    def _tree(self, node: exp.Expr, block: Block, scope: dict[str, Cte]) -> Tree:
        if is_grouped_join(node):
            return self._tree(node.this, block, scope)
        tree: Tree = self._relation(node, block, scope)
        for join in node.args.get("joins") or ():
            tree = self._join(tree, join, block, scope)
        return tree

    def _relation(self, node: exp.Expr, block: Block, scope: dict[str, Cte]) -> Relation:
        relation = Relation(node.alias_or_name or self._unnamed(), node, block, renames=renames_of(node))
        body = body_of(node) if isinstance(node, exp.Subquery | exp.Lateral) else None
        if isinstance(body, exp.Query):
            relation.query = body
            # DuckDB lets a derived table see the relations before it, with or without LATERAL; not so a view.
            is_view = self._enclosure(body) != self._enclosure(block.select)
            relation.bodies = self._query(body, None if is_view else block, relation, {} if is_view else scope)
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
            for query in nested_queries(node):
                self._query(query, block, None, scope)
        relation.given = given_names(relation.bodies) if relation.bodies else None
        # A number, since copies of the tree copy what hangs on its nodes.
        node.meta["relation"] = len(self.relations)
        self.relations.append(relation)
        block.relations.append(relation)
        return relation

    def _enclosure(self, query: exp.Expr) -> tuple[int, int] | None:
        """The view that a query stands in, as a stretch of the text; None for the user's own."""
        return self.text.enclosure(*span([query])) if self.text.closed else None

    def _unnamed(self) -> str:
        """A name, as DuckDB's own, for a derived table that has none."""
        self._nameless += 1
        return f"unnamed_subquery{self._nameless if self._nameless > 1 else ''}"

    def _use(self, relation: Relation, cte: Cte) -> None:
        relation.cte = cte
        relation.renames = relation.renames or renames_of(cte.node)
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
        return self.text.place(*at)
