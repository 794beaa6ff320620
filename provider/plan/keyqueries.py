"""Queries over staged and local tables whose distinct rows are the keys of a scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from provider.catalog.catalog import Parameter
from provider.catalog.types import FieldType
from provider.plan.binder import Binder
from provider.plan.bindings import AnyOf, Constants, FromQuery, FromRelations, Source
from provider.plan.blocks import Block, Cte, Relation
from provider.plan.claims import is_volatile
from provider.plan.physical import Keys
from provider.plan.rendering import StagedSql, key_cast
from provider.plan.resolution import is_independent, is_within, owner_of, resolve
from provider.plan.syntax import cuts
from provider.plan.terms import arguments
from provider.plan.uses import Use, Uses


class KeyQueries:
    """Makes key queries of the sources that bind a use's parameters.

    Args:
        staged: renders parts of the statement over staged tables.
    """

    def __init__(self, binder: Binder, uses: Uses, tree: exp.Expr, staged: StagedSql) -> None:
        self._binder = binder
        self._uses = uses
        self._tree = tree
        self._staged = staged
        #: What was found out about predicates, by id, with the predicate itself so that its id stays its own.
        self._parts: dict[int, _Parts] = {}

    def single(self, use: Use, parameter: Parameter, source: Source) -> Keys:
        """The key query of a source that binds one parameter on its own."""
        recursive: dict[str, Cte] = {}
        needs = self.needs(source) or set()
        rows = self._rows(source, use, recursive, needs)
        cast = f"SELECT {key_cast('k', parameter.type)} FROM ({rows}) AS rows(k)"
        sql = f"SELECT DISTINCT k FROM ({cast}) AS keys(k) WHERE k IS NOT NULL"
        return self._keys((parameter,), sql, needs, recursive, _origin(source), self._is_monotone(source))

    def rows(self, columns: dict[Parameter, FromQuery]) -> Iterable[Keys]:
        """A query for the keys of each row value, `(a, b) IN (SELECT ...)`, so that its columns stay together."""
        queries: dict[int, dict[Parameter, FromQuery]] = {}
        for parameter, source in columns.items():
            queries.setdefault(id(source.query), {})[parameter] = source
        for group in queries.values():
            parameters, sources = tuple(group), tuple(group.values())
            recursive: dict[str, Cte] = {}
            names = ", ".join(f"c{i}" for i in range(sources[0].width))
            casts = ", ".join(key_cast(f"c{s.index}", p.type) for p, s in group.items())
            cast = f"SELECT {casts} FROM ({self._staged.sql(sources[0].query, recursive)}) AS rows({names})"
            keys = [f"k{i}" for i in range(len(group))]
            not_null = " AND ".join(f"{k} IS NOT NULL" for k in keys)
            sql = f"SELECT DISTINCT {', '.join(keys)} FROM ({cast}) AS keys({', '.join(keys)}) WHERE {not_null}"
            needs = self.needs(sources[0]) or set()
            yield self._keys(parameters, sql, needs, recursive, _origin(sources[0]), self._is_monotone(sources[0]))

    def joined(self, use: Use, joined: dict[Parameter, FromRelations]) -> Iterable[Keys]:
        """A query for the keys that come from the same rows, so that they stay together."""
        for group in self._groups(use, joined):
            block = next(iter(group.values())).block
            parameters = tuple(group)
            values = [s.value for s in group.values()]
            relations = frozenset(r for s in group.values() for r in s.relations)
            recursive: dict[str, Cte] = {}
            types = [p.type for p in parameters]
            lacking = frozenset(r for s in group.values() for r in s.may_lack(use.relation))
            needs = {n for s in group.values() for n in self.needs(s) or ()}
            sql = self._select(use, values, types, relations, lacking, block, recursive, needs)
            for condition in self._on_keys(use, parameters, needs):
                sql += f" AND ({self._staged.sql(condition, recursive)})"
            monotone = True
            for source in group.values():
                monotone = monotone and self._is_monotone(source)
            origin = ", ".join(_origin(s) for s in group.values())
            yield self._keys(parameters, sql, needs, recursive, origin, monotone)

    def _groups(self, use: Use, joined: dict[Parameter, FromRelations]) -> list[dict[Parameter, FromRelations]]:
        """The parameters by the rows that give them: of relations of one block that a condition connects."""
        groups: list[dict[Parameter, FromRelations]] = []
        for parameter, source in joined.items():
            group = {parameter: source}
            for other in [g for g in groups if self._are_connected(use, [*g.values(), source])]:
                groups.remove(other)
                group = other | group
            groups.append(group)
        return groups

    def _are_connected(self, use: Use, sources: Sequence[FromRelations]) -> bool:
        """Whether conditions tell which rows of the sources' relations belong together."""
        if len({s.block for s in sources}) > 1:
            return False
        parts = [set(self._closure(s.relations) or s.relations) for s in sources]
        whole = frozenset(r for p in parts for r in p)
        for block in {r.block for r in whole}:
            for condition in self._conditions(use, whole, block):
                owners = [resolve(c, block) for c in condition.find_all(exp.Column)]
                parts.append({o[0] for o in owners if o is not None})
        connected = parts.pop(0)
        while touching := [p for p in parts if p & connected]:
            connected.update(*touching)
            parts = [p for p in parts if not p & connected]
        return connected == whole

    def _select(
        self,
        use: Use,
        values: list[exp.Expr],
        types: Sequence[FieldType | None],
        relations: frozenset[Relation],
        lacking: frozenset[Relation],
        block: Block,
        recursive: dict[str, Cte],
        needs: set[int],
    ) -> str:
        """The distinct keys that expressions have over relations; those `lacking` may be null-extended.

        The scans that it reads beside those of the relations are added to `needs`.
        """
        whole = self._closure(relations) or relations
        whole |= self._narrowing(use, whole) if not lacking else frozenset()
        needs |= {n for r in whole for n in self._scans_of(r)}
        # Outer blocks first, so that what is read laterally stands before its reader.
        blocks = [b for b in self._binder.blocks if any(r.block is b for r in whole)]
        ordered = [r for b in blocks for r in b.relations if r in whole]
        for value in values:
            self._uses.need_all(value, block)
        found = [_qualified(c, b) for b in blocks for c in self._conditions(use, whole, b)] if not lacking else []
        needs |= {n for c in found for n in self._scans_in(c.walk())}
        conditions = [self._staged.sql(c, recursive) for c in found]
        columns = []
        for i, (value, type_) in enumerate(zip(values, types, strict=True)):
            sql = self._staged.sql(_qualified(value, block), recursive)
            as_is = type_ is None or self._is_of_type(value, block, type_)
            columns.append(f"{sql if as_is or type_ is None else key_cast(sql, type_)} AS k{i}")
        sources = ", ".join(self._staged.source(r, recursive, lacking=r in lacking) for r in ordered)
        where = f" WHERE {' AND '.join(f'({c})' for c in conditions)}" if conditions else ""
        keys = ", ".join(f"k{i}" for i in range(len(values)))
        not_null = " AND ".join(f"k{i} IS NOT NULL" for i in range(len(values)))
        return (
            f"SELECT DISTINCT {keys} FROM (SELECT {', '.join(columns)} FROM {sources}{where}) AS keys WHERE {not_null}"
        )

    def _is_of_type(self, value: exp.Expr, block: Block, type_: FieldType) -> bool:
        """Whether a value is a resource's field that has a type already."""
        found = resolve(value, block) if isinstance(value, exp.Column) else None
        field_ = found[0].resource.field(found[1]) if found and found[0].resource else None
        return field_ is not None and field_.type.duckdb == type_.duckdb and field_.type.base == type_.base

    def _narrowing(self, use: Use, whole: frozenset[Relation]) -> frozenset[Relation]:
        """Further relations whose conditions hold for the key rows: read already, and joined to these by equality.

        Such as the days of a year, where keys come from sales and each sale has a day.
        """
        block = next(iter(whole)).block
        if any(r.block is not block for r in whole):
            return frozenset()
        names = {r.alias.lower() for r in whole}
        beside = [*whole, *([use.relation] if use.relation.block is block else [])]
        others = frozenset(
            r
            for r in block.relations
            if r not in beside
            and r.alias.lower() not in names
            and self._is_read(r)
            and any(block.is_present(r, b) for b in beside)
        )
        if not others:
            return others
        conditions = [(c, self._owners(c, block) or frozenset()) for c in self._conditions(use, whole | others, block)]
        asked = [owners for _, owners in conditions]
        equal = [owners for c, owners in conditions if isinstance(c, exp.EQ)]
        paths: dict[Relation, frozenset[Relation]] = {r: frozenset() for r in whole}
        todo = list(whole)
        while todo:
            here = todo.pop(0)
            for other in {o for owners in equal if here in owners for o in owners if o not in paths}:
                paths[other] = paths[here] | {other}
                todo.append(other)
        chosen = [p for r, p in paths.items() if r.resource is None or {r} in asked]
        return frozenset(r for p in chosen for r in p)

    def _is_read(self, relation: Relation) -> bool:
        """Whether a relation is a local table, or a resource whose scan is settled; all of it."""
        if relation.node.args.get("sample") is not None or not isinstance(relation.node, exp.Table):
            return False
        if relation.resource is not None:
            return self._uses.of(relation).method is not None
        return relation.cte is None and isinstance(relation.node.this, exp.Identifier)

    def _conditions(self, use: Use, relations: frozenset[Relation], block: Block) -> list[exp.Expr]:
        """The predicates that hold for the key rows and can be checked on them alone."""
        if _is_told_in_on(use, block):
            return []
        held: list[exp.Expr] = []
        here = [r for r in relations if r.block is block]
        for relation in (*here, *([use.relation] if use.relation.block is block else [])):
            held += [c for c in block.held(relation) if not any(c is h for h in held)]
        found = []
        for condition in held:
            owners = self._owners(condition, block)
            if owners and owners <= relations and self._is_checkable(condition):
                self._uses.need_all(condition, block)
                found.append(condition)
        return found

    def _on_keys(self, use: Use, parameters: Sequence[Parameter], needs: set[int]) -> Iterable[exp.Expr]:
        """The predicates on the fields that are keys, as predicates on the columns of the key query."""
        block = use.relation.block
        columns: dict[str, exp.Expr] = {}
        for i, parameter in enumerate(parameters):
            name = use.resource.key_field(parameter.name) or parameter.name
            field_ = use.resource.field(name)
            if field_ is not None and field_.type == parameter.type and not _serves_others(use, parameter, name):
                columns[name.lower()] = exp.column(f"k{i}", quoted=True)
        for condition in block.held(use.relation):
            own = self._parts_of(condition).columns
            found = [resolve(c, block) for c in own]
            if not own or not self._is_checkable(condition):
                continue
            if all(f is not None and f[0] is use.relation and f[1].lower() in columns for f in found):
                needs |= self._scans_in(condition.walk())
                copy = condition.copy()
                for column, f in zip(_own_columns(copy), found, strict=True):
                    assert f is not None
                    copy = _replaced(copy, column, columns[f[1].lower()].copy())
                yield copy

    def _is_checkable(self, condition: exp.Expr) -> bool:
        """Whether a predicate has one value for each row, and its nested queries can be asked already."""
        parts = self._parts_of(condition)
        if not parts.is_of_one_row or not parts.queries:
            return parts.is_of_one_row
        settled = {u.first.number for u in self._uses if u.method is not None}
        blocks = self._binder.blocks
        return all(is_independent(q, blocks) and self._scans_in(q.walk()) <= settled for q in parts.queries)

    def _parts_of(self, condition: exp.Expr) -> _Parts:
        """What a predicate consists of; a plan asks this many times."""
        if id(condition) not in self._parts:
            self._parts[id(condition)] = _Parts.of(condition)
        return self._parts[id(condition)]

    def _owners(self, condition: exp.Expr, block: Block) -> frozenset[Relation] | None:
        """The relations whose columns a predicate names; None where a column cannot be told."""
        found = [resolve(c, block) for c in self._parts_of(condition).columns]
        owners = frozenset(f[0] for f in found if f is not None)
        return owners if None not in found else None

    def _closure(self, relations: frozenset[Relation]) -> frozenset[Relation] | None:
        """The relations with those that they read, laterally or from outer blocks.

        None when they cannot stand in one FROM: two of them have the same name.
        """
        found = set(relations)
        todo = list(relations)
        while todo:
            for other in self._reads(todo.pop()):
                if other not in found:
                    found.add(other)
                    todo.append(other)
        names = [r.alias.lower() for r in found]
        return frozenset(found) if len(set(names)) == len(names) else None

    def _reads(self, relation: Relation) -> set[Relation]:
        """Relations outside that a derived table or table function refers to."""
        found: set[Relation] = set()
        if relation.resource is not None or relation.cte is not None:
            return found
        nodes = list(relation.nodes())
        inside = {id(s) for s in nodes if isinstance(s, exp.Select)}
        if not inside:
            for column in (n for n in nodes if isinstance(n, exp.Column)):
                owner = owner_of(column, relation.block)
                if owner is not None and owner is not relation:
                    found.add(owner)
            return found
        for block in self._binder.blocks:
            if id(block.select) not in inside:
                continue
            for column in block.columns:
                owner = owner_of(column, block)
                if owner is not None and not is_within(owner, inside):
                    found.add(owner)
        return found

    def _rows(self, source: Source, use: Use, recursive: dict[str, Cte], needs: set[int]) -> str:
        """A query with one column of keys."""
        match source:
            case Constants(values):
                rows = " UNION ALL ".join(f"SELECT {self._staged.sql(v, recursive)}" for v in values)
                return rows or "SELECT NULL WHERE false"
            case FromQuery(query, _, index, width):
                names = ", ".join(f"c{i}" for i in range(width))
                return f"SELECT c{index} FROM ({self._staged.sql(query, recursive)}) AS rows({names})"
            case FromRelations(value, relations, block):
                lacking = source.may_lack(use.relation)
                return self._select(use, [value], [None], relations, lacking, block, recursive, needs)
            case AnyOf(parts):
                return " UNION ALL ".join(f"({self._rows(p, use, recursive, needs)})" for p in parts)

    def needs(self, source: Source) -> set[int] | None:
        """Numbers of the scans whose tables a source reads; None when it cannot be read on its own."""
        match source:
            case Constants():
                return set()
            case FromQuery(query):
                return self._scans_in(query.walk())
            case FromRelations(_, relations, _):
                whole = self._closure(relations)
                if whole is None:
                    return None
                return {n for r in whole for n in self._scans_of(r)}
            case AnyOf(parts):
                found: set[int] = set()
                for part in parts:
                    needs = self.needs(part)
                    if needs is None:
                        return None
                    found |= needs
                return found

    def _scans_of(self, relation: Relation, seen: frozenset[int] = frozenset()) -> set[int]:
        if id(relation) in seen:
            return set()
        seen |= {id(relation)}
        if relation.resource is not None:
            use = self._uses.of(relation)
            return {use.first.number}
        if relation.query is not None:
            return self._scans_in(relation.query.walk(), seen)
        if relation.cte is not None:
            return self._scans_in(relation.cte.node.this.walk(), seen)
        return self._scans_in(relation.nodes(), seen)

    def _scans_in(self, nodes: Iterable[exp.Expr], seen: frozenset[int] = frozenset()) -> set[int]:
        found: set[int] = set()
        for table in (n for n in nodes if isinstance(n, exp.Table)):
            number = table.meta.get("relation")
            if number is not None:
                found |= self._scans_of(self._binder.relations[number], seen)
        return found

    def circle(self, use: Use, source: Source) -> set[int]:
        """The scans of the recursive CTE that a use stands in and its source reads: they may feed one another."""
        relations: Iterable[Relation] = source.relations if isinstance(source, FromRelations) else ()
        found: set[int] = set()
        for cte in (r.cte for r in relations if r.cte is not None and r.cte.recursive):
            scans = self._scans_in(cte.node.this.walk())
            found |= scans if use.number in scans else set()
        return found

    @staticmethod
    def _is_monotone(source: Source) -> bool:
        """Whether more rows below can only add keys: plain relations, no query that could take one back."""
        return isinstance(source, FromRelations) and all(
            r.query is None and (r.cte is None or r.cte.recursive) for r in source.relations
        )

    def _keys(
        self,
        parameters: tuple[Parameter, ...],
        sql: str,
        needs: set[int],
        recursive: dict[str, Cte],
        origin: str,
        monotone: bool,
    ) -> Keys:
        prefix = self._staged.prefix(recursive)
        whole = prefix + sql
        return Keys(parameters, whole, frozenset(needs), arguments(whole, self._tree), origin=origin, monotone=monotone)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a predicate consists of: its own columns and nested queries, and whether it has one value for each row."""

    condition: exp.Expr
    columns: tuple[exp.Column, ...]
    queries: tuple[exp.Query, ...]
    is_of_one_row: bool

    @classmethod
    def of(cls, condition: exp.Expr) -> _Parts:
        nodes = list(_own_nodes(condition))
        queries = tuple(n for n in nodes if isinstance(n, exp.Query))
        nested = [n for query in queries for n in query.walk()]
        is_of_one_row = not (
            any(isinstance(n, exp.AggFunc | exp.Window) for n in nodes)
            or any(isinstance(n, exp.Func) and is_volatile(n) for n in (*nodes, *nested))
            or any(isinstance(n, exp.Query) and cuts(n) for n in nested)
        )
        return cls(condition, tuple(n for n in nodes if isinstance(n, exp.Column)), queries, is_of_one_row)


def _own_nodes(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of a predicate that are not inside its nested queries."""
    return condition.walk(prune=lambda n: isinstance(n, exp.Query))


def _own_columns(condition: exp.Expr) -> list[exp.Column]:
    return [n for n in _own_nodes(condition) if isinstance(n, exp.Column)]


def _qualified(condition: exp.Expr, block: Block) -> exp.Expr:
    """A predicate whose columns say where they belong: a staged table may have further ones of the same name."""
    columns = _own_columns(condition)
    if all(column.table for column in columns):
        return condition
    copy = condition.copy()
    for column, own in zip(columns, _own_columns(copy), strict=True):
        found = resolve(column, block)
        if found is not None and not column.table and found[1].lower() == column.name.lower():
            own.set("table", exp.to_identifier(found[0].alias, quoted=True))
    return copy


def _replaced(tree: exp.Expr, old: exp.Expr, new: exp.Expr) -> exp.Expr:
    """A tree with a node replaced, which may be its root."""
    if tree is old:
        return new
    old.replace(new)
    return tree


def _serves_others(use: Use, parameter: Parameter, name: str) -> bool:
    """Whether a parameter may be bound by what another field than `name` equals."""
    rules = [(n, r) for m in use.resource.methods for n, rules in m.pushdown.items() for r in rules]
    return any(r.param == parameter.name and n.lower() != name.lower() for n, r in rules)


def _is_told_in_on(use: Use, block: Block) -> bool:
    """Whether a use stands in a query nested in ON of a block with outer joins.

    A row that fails there comes back null-extended, so that no later predicate says which rows matter.
    """
    inner: Block | None = use.relation.block
    while inner is not None and inner.outer is not block:
        inner = inner.outer
    node: exp.Expr | None = inner.select if inner is not None else None
    while node is not None and not isinstance(node.parent, exp.Join | exp.Select | exp.Where):
        node = node.parent
    in_on = node is not None and isinstance(node.parent, exp.Join) and node.arg_key == "on"
    return in_on and not all(block.is_present(r, None) for r in block.relations)


def _origin(source: Source) -> str:
    match source:
        case FromRelations(value, _, _):
            return str(value.sql(dialect="duckdb", identify=False)).replace('"', "")
        case FromQuery():
            return "a subquery"
        case AnyOf(parts):
            return " or ".join(dict.fromkeys(_origin(p) for p in parts))
    return "constants"
