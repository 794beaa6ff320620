"""Bound statement to plan: which method reads each resource, what binds it, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter, Resource
from provider.catalog.types import FieldType
from provider.errors import BindError, NotSupportedError, Place
from provider.plan.binder import Binder, Block, Cte, Relation, span
from provider.plan.bindings import AnyOf, Bindings, Constants, FromQuery, FromRelations, Source, is_volatile
from provider.plan.names import Names
from provider.plan.physical import Binding, Computed, Ending, Given, Keys, Literal, Plan, Scan, Term
from provider.plan.pushdown import bounds, early, is_empty, order_parameter
from provider.plan.rendering import KeyQueries, Splicer, key_cast, quoted
from provider.sql.scanner import Text

#: How staged tables are called.
TABLE = "__apiql_scan_{}"


@dataclass(eq=False, slots=True)
class _Use:
    """One resource in the statement, while it is being planned."""

    number: int
    relation: Relation
    resource: Resource
    method: Method | None = None
    bindings: tuple[Binding, ...] = ()
    fields: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    #: The use whose staged table serves this one too.
    same_as: _Use | None = None
    #: A parameter, and a constant of another kind that it was compared with.
    misfit: tuple[Parameter, exp.Expr] | None = None

    @property
    def table(self) -> str:
        return TABLE.format(self.same_as.number if self.same_as else self.number)


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
        self._bindings = Bindings(binder)
        self._uses = {id(r): _Use(i, r, r.resource) for i, r in enumerate(binder.resources, 1) if r.resource}
        self._queries = KeyQueries(binder, lambda r: self._uses[id(r)].table)

    def plan(self) -> Plan:
        self._refuse_targets()
        if not self._uses:
            return Plan(self._text.sql, (), _arguments(self._text.sql, self._tree))
        self._find_columns()
        self._choose_methods()
        sql = Splicer(
            self._binder,
            self._text,
            self._tree,
            lambda r: quoted(self._uses[id(r)].table),
            lambda r: sorted(self._echoes(self._uses[id(r)])) if id(r) in self._uses else (),
        ).text()
        for use in self._uses.values():
            self._check_echoes(use)
            if is_empty(use.relation, self._tree) and len(self._group(use)) == 1:
                use.bindings = _nothing(use)
        scans = tuple(self._scan(u) for u in self._uses.values() if u.same_as is None)
        return Plan(sql, scans, _arguments(sql, self._tree))

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
                f"{name} is a resource, and {self._tree.key.upper()} does not work on resources",
                place=self._text.place(*span(parts)),
                remedy="SELECT, INSERT, UPDATE, REPLACE, DELETE and EXEC do. As a query: (SELECT * FROM ...).",
            )

    # -- columns ---------------------------------------------------------------------------------

    def _find_columns(self) -> None:
        """Fields by name, generously; parameters only where a name can mean nothing else."""
        names: set[str] = set()
        rows: set[str] = set()  # a bare name may be a whole row: SELECT t FROM r t
        everything: set[str] = set()
        for block in self._binder.blocks:
            for column in block.columns:
                # `t.metadata.key` is read as table.column or as column.key: every part may be the field.
                names |= {part.name.lower() for part in column.parts}
                rows |= {column.name.lower()} if not column.table else set()
                found = self._binder.resolve(column, block)
                if found is not None:
                    self._note(found[0], found[1], column)
            for join in block.select.args.get("joins") or ():
                for using in join.args.get("using") or ():
                    names.add(using.name.lower())
                    for relation in block.relations:
                        if relation.resource is not None and not relation.has(using.name):
                            self._note(relation, using.name, None)
                if (join.args.get("method") or "").upper() == "NATURAL":
                    everything |= {r.alias.lower() for r in block.relations}
            for _, qualifier in block.stars():
                everything |= {qualifier} if qualifier else {r.alias.lower() for r in block.relations}
            if any(isinstance(n, exp.Columns | exp.Pivot) for n in block.select.find_all(exp.Columns, exp.Pivot)):
                everything |= {r.alias.lower() for r in block.relations}
        if self._tree.find(exp.Pivot, exp.Summarize, exp.Describe) is not None:
            everything |= {r.alias.lower() for r in self._binder.resources}
        for use in self._uses.values():
            alias = use.relation.alias.lower()
            if alias in everything or (alias in rows and not use.relation.has(alias)):
                use.fields |= {f.name for f in use.resource.fields}
                continue
            use.fields |= {f.name for f in use.resource.fields if f.name.lower() in names}

    def _note(self, relation: Relation, name: str, column: exp.Column | None) -> None:
        """A column of a resource that the statement needs."""
        use = self._uses.get(id(relation))
        if use is None:
            return
        if (found := use.resource.field(name)) is not None:
            use.fields.add(found.name)
        elif (parameter := relation.parameter(name)) is not None:
            use.parameters.add(parameter)
            key = use.resource.key_field(parameter)
            if key is not None:
                use.fields.add(key)

    def _echoes(self, use: _Use) -> set[str]:
        """The parameters that the staged table shows as columns of their own."""
        named = {p for u in self._group(use) for p in u.parameters}
        return {p for p in named if use.resource.field(p) is None}

    # -- methods ---------------------------------------------------------------------------------

    def _choose_methods(self) -> None:
        """Constants first, since such scans can all start at once; then what they feed, in turn."""
        open_uses = list(self._uses.values())
        for use in list(open_uses):
            if self._choose(use, resolved=None):
                open_uses.remove(use)
        while open_uses:
            resolved = {u.number for u in self._uses.values() if u.method is not None}
            chosen = next((u for u in open_uses if self._choose(u, resolved)), None)
            if chosen is None:
                raise self._unbound(open_uses[0])
            open_uses.remove(chosen)

    def _choose(self, use: _Use, resolved: set[int] | None) -> bool:
        """Settle on the most specific method whose requirements are bound; `resolved` None: by constants alone."""
        for method in self._candidates(use):
            bindings = self._bind(use, method, resolved)
            if bindings is not None:
                use.method = method
                use.bindings = bindings
                self._share(use)
                return True
        return False

    @staticmethod
    def _candidates(use: _Use) -> list[Method]:
        if use.relation.forced is not None:
            return [use.relation.forced]
        methods = use.resource.methods_for("SELECT")
        return sorted(methods, key=lambda m: -len(m.required))

    def _bind(self, use: _Use, method: Method, resolved: set[int] | None) -> tuple[Binding, ...] | None:
        """Bindings for all required parameters and for the optional ones that narrow; None if one is missing."""
        found: list[Binding] = []
        joined: dict[Parameter, FromRelations] = {}
        constant: dict[Parameter, Constants] = {}
        for parameter in method.required:
            binding = self._source_of(use, parameter, resolved)
            match binding:
                case None:
                    return None
                case FromRelations():
                    joined[parameter] = binding
                case Constants():
                    constant[parameter] = binding
                case _:
                    found.append(binding)
        if joined:
            self._keep_together(use, joined, constant)
        found += _given(constant)
        found += self._joined(use, joined)
        return (*found, *self._optional(use, method))

    def _keep_together(
        self, use: _Use, joined: dict[Parameter, FromRelations], constant: dict[Parameter, Constants]
    ) -> None:
        """Bind by the joined rows what constants would multiply: (thread, run) pairs, not threads times runs."""
        relations = {r for s in joined.values() for r in s.relations}
        for parameter, source in list(constant.items()):
            if len(source.values) < 2:
                continue
            for other in self._sources(use, parameter):
                if isinstance(other, FromRelations) and other.relations <= relations:
                    joined[parameter] = other
                    del constant[parameter]
                    break

    def _source_of(
        self, use: _Use, parameter: Parameter, resolved: set[int] | None
    ) -> Keys | Constants | FromRelations | None:
        for source in self._sources(use, parameter):
            if isinstance(source, Constants):
                other = next((v for v in source.values if not _fits(v, parameter)), None)
                if other is None:
                    return source
                use.misfit = (parameter, other)
                continue
            if resolved is None:
                continue
            needs = self._needs(source)
            if needs is None or not needs <= resolved | ({use.number} if self._recurses(source) else set()):
                continue
            if isinstance(source, FromRelations):
                return source
            recursive: dict[str, Cte] = {}
            rows = self._rows(source, use, recursive)
            cast = f"SELECT {key_cast('k', parameter.type)} FROM ({rows}) AS rows(k)"
            sql = f"SELECT DISTINCT k FROM ({cast}) AS keys(k) WHERE k IS NOT NULL"
            return self._keys((parameter,), sql, needs, recursive, _origin(source), self._is_monotone(source))
        return None

    def _sources(self, use: _Use, parameter: Parameter) -> tuple[Source, ...]:
        """A path parameter that carries the key is bound through the key field, any other by its own name."""
        return self._bindings.sources(use.relation, use.resource.key_field(parameter.name) or parameter.name)

    def _optional(self, use: _Use, method: Method) -> list[Binding]:
        """Parameters that narrow what is fetched: named in the statement, or declared to serve a field."""
        found: list[Binding] = []
        for parameter in method.parameters:
            if parameter.required or parameter.location != "query":
                continue
            values = self._narrowing(use, method, parameter)
            if values is not None and all(_fits(v, parameter) for v in values):
                found.append(Given.one(parameter, [_term(v, parameter) for v in values]))
        return found

    def _narrowing(self, use: _Use, method: Method, parameter: Parameter) -> Sequence[exp.Expr] | None:
        """The values of an optional parameter, None where nothing gives it one."""
        if use.resource.field(parameter.name) is None:
            named = self._constants(use, parameter.name)
            if named is not None:
                # It is no field, so that only the API can tell the rows of several values apart.
                return named
        for column, rule in method.pushdown.items():
            if rule.param != parameter.name or rule.match == "unsafe":
                continue
            if rule.operator != "=":
                bound = next(bounds(self._binder, use.relation, column, rule.operator), None)
                if bound is not None:
                    return [bound]
            elif (values := self._constants(use, column)) is not None and len(values) <= 1:
                # Several values would mean several lists; one list and DuckDB's filter is cheaper.
                return values
        return None

    def _constants(self, use: _Use, column: str) -> Sequence[exp.Expr] | None:
        sources = self._bindings.sources(use.relation, column)
        return next((s.values for s in sources if isinstance(s, Constants)), None)

    # -- keys from relations ---------------------------------------------------------------------

    def _joined(self, use: _Use, joined: dict[Parameter, FromRelations]) -> Iterable[Keys]:
        """One query a block, so that keys which come from the same rows stay together."""
        for block in dict.fromkeys(s.block for s in joined.values()):
            group = {p: s for p, s in joined.items() if s.block is block}
            parameters = tuple(group)
            values = [s.value for s in group.values()]
            relations = frozenset(r for s in group.values() for r in s.relations)
            recursive: dict[str, Cte] = {}
            types = [p.type for p in parameters]
            lacking = frozenset(r for s in group.values() for r in s.may_lack(use.relation))
            sql = self._select(use, values, types, relations, lacking, block, recursive)
            needs = set()
            monotone = True
            for source in group.values():
                needs |= self._needs(source) or set()
                monotone = monotone and self._is_monotone(source)
            origin = ", ".join(_origin(s) for s in group.values())
            yield self._keys(parameters, sql, needs, recursive, origin, monotone)

    def _select(
        self,
        use: _Use,
        values: list[exp.Expr],
        types: Sequence[FieldType | None],
        relations: frozenset[Relation],
        lacking: frozenset[Relation],
        block: Block,
        recursive: dict[str, Cte],
    ) -> str:
        """The distinct keys that expressions have over relations; those `lacking` may be null-extended."""
        whole = self._closure(relations) or relations
        # Outer blocks first, so that what is read laterally stands before its reader.
        blocks = [b for b in self._binder.blocks if any(r.block is b for r in whole)]
        ordered = [r for b in blocks for r in b.relations if r in whole]
        for value in values:
            self._note_all(value, block)
        found = [c for b in blocks for c in self._conditions(use, whole, b)] if not lacking else []
        conditions = [self._queries.sql(c, recursive) for c in found]
        columns = []
        for i, (value, type_) in enumerate(zip(values, types, strict=True)):
            sql = self._queries.sql(value, recursive)
            as_is = type_ is None or self._is_of_type(value, block, type_)
            columns.append(f"{sql if as_is or type_ is None else key_cast(sql, type_)} AS k{i}")
        sources = ", ".join(self._queries.source(r, recursive, lacking=r in lacking) for r in ordered)
        where = f" WHERE {' AND '.join(f'({c})' for c in conditions)}" if conditions else ""
        keys = ", ".join(f"k{i}" for i in range(len(values)))
        not_null = " AND ".join(f"k{i} IS NOT NULL" for i in range(len(values)))
        return (
            f"SELECT DISTINCT {keys} FROM (SELECT {', '.join(columns)} FROM {sources}{where}) AS keys WHERE {not_null}"
        )

    def _is_of_type(self, value: exp.Expr, block: Block, type_: FieldType) -> bool:
        """Whether a value is a resource's field that has a type already."""
        found = self._binder.resolve(value, block) if isinstance(value, exp.Column) else None
        field_ = found[0].resource.field(found[1]) if found and found[0].resource else None
        return field_ is not None and field_.type.duckdb == type_.duckdb and field_.type.base == type_.base

    def _conditions(self, use: _Use, relations: frozenset[Relation], block: Block) -> list[exp.Expr]:
        """The predicates that hold for the key rows and can be checked on them alone."""
        held: list[exp.Expr] = []
        here = [r for r in relations if r.block is block]
        for relation in (*here, *([use.relation] if use.relation.block is block else [])):
            held += [c for c in block.held(relation) if not any(c is h for h in held)]
        found = []
        for condition in held:
            if condition.find(exp.Query) is not None:
                continue
            if condition.find(exp.AggFunc, exp.Window) or any(is_volatile(f) for f in condition.find_all(exp.Func)):
                continue
            owners = [self._binder.resolve(c, block) for c in condition.find_all(exp.Column)]
            if owners and all(o is not None and o[0] in relations for o in owners):
                self._note_all(condition, block)
                found.append(condition)
        return found

    def _note_all(self, node: exp.Expr, block: Block) -> None:
        for column in node.find_all(exp.Column):
            found = self._binder.resolve(column, block)
            if found is not None:
                self._note(found[0], found[1], None)

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
        inside = {id(s) for s in relation.node.find_all(exp.Select)}
        if not inside:
            for column in relation.node.find_all(exp.Column):
                owner = self._binder.resolve(column, relation.block)
                if owner is not None and owner[0] is not relation:
                    found.add(owner[0])
            return found
        for block in self._binder.blocks:
            if id(block.select) not in inside:
                continue
            for column in block.columns:
                owner = self._binder.resolve(column, block)
                if owner is not None and id(owner[0].block.select) not in inside and not self._within(owner[0], inside):
                    found.add(owner[0])
        return found

    def _within(self, relation: Relation, inside: set[int]) -> bool:
        owner = relation.block.owner
        return owner is not None and (id(owner.block.select) in inside or self._within(owner, inside))

    def _rows(self, source: Source, use: _Use, recursive: dict[str, Cte]) -> str:
        """A query with one column of keys."""
        match source:
            case Constants(values):
                rows = " UNION ALL ".join(f"SELECT {self._queries.sql(v, recursive)}" for v in values)
                return rows or "SELECT NULL WHERE false"
            case FromQuery(query, _, index, width):
                names = ", ".join(f"c{i}" for i in range(width))
                return f"SELECT c{index} FROM ({self._queries.sql(query, recursive)}) AS rows({names})"
            case FromRelations(value, relations, block):
                lacking = source.may_lack(use.relation)
                return self._select(use, [value], [None], relations, lacking, block, recursive)
            case AnyOf(parts):
                return " UNION ALL ".join(f"({self._rows(p, use, recursive)})" for p in parts)

    def _needs(self, source: Source) -> set[int] | None:
        """Numbers of the scans whose tables a source reads; None when it cannot be read on its own."""
        match source:
            case Constants():
                return set()
            case FromQuery(query):
                return self._scans_in(query)
            case FromRelations(_, relations, _):
                whole = self._closure(relations)
                if whole is None:
                    return None
                return {n for r in whole for n in self._scans_of(r)}
            case AnyOf(parts):
                found: set[int] = set()
                for part in parts:
                    needs = self._needs(part)
                    if needs is None:
                        return None
                    found |= needs
                return found

    def _scans_of(self, relation: Relation, seen: frozenset[int] = frozenset()) -> set[int]:
        if id(relation) in seen:
            return set()
        seen |= {id(relation)}
        if relation.resource is not None:
            use = self._uses[id(relation)]
            return {(use.same_as or use).number}
        if relation.query is not None:
            return self._scans_in(relation.query, seen)
        if relation.cte is not None:
            return self._scans_in(relation.cte.node.this, seen)
        return self._scans_in(relation.node, seen)

    def _scans_in(self, node: exp.Expr, seen: frozenset[int] = frozenset()) -> set[int]:
        found: set[int] = set()
        for table in node.find_all(exp.Table):
            number = table.meta.get("relation")
            if number is not None:
                found |= self._scans_of(self._binder.relations[number], seen)
        return found

    def _recurses(self, source: Source) -> bool:
        """Whether a source reads a recursive CTE: it may feed the scan that it is fed by."""
        relations: Iterable[Relation] = ()
        if isinstance(source, FromRelations):
            relations = source.relations
        return any(r.cte is not None and r.cte.recursive for r in relations)

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
        prefix = self._queries.prefix(recursive)
        whole = prefix + sql
        return Keys(
            parameters, whole, frozenset(needs), _arguments(whole, self._tree), origin=origin, monotone=monotone
        )

    # -- the plan's values -----------------------------------------------------------------------

    def _share(self, use: _Use) -> None:
        """A use with the method and bindings of an earlier one reads its table: the requests are the same."""
        for other in self._uses.values():
            if other is use or other.same_as is not None or other.method is not use.method:
                continue
            recursive = any(isinstance(b, Keys) and other.number in b.scans for b in other.bindings)
            if other.resource.id == use.resource.id and other.bindings == use.bindings and not recursive:
                use.same_as = other
                return

    def _group(self, use: _Use) -> list[_Use]:
        """All uses that read the same staged table."""
        first = use.same_as or use
        return [u for u in self._uses.values() if u is first or u.same_as is first]

    def _scan(self, use: _Use) -> Scan:
        assert use.method is not None
        group = self._group(use)
        ending = self._ending(use) if len(group) == 1 else None
        fields = {f for u in group for f in u.fields}
        parameters = use.resource.select_parameters()
        return Scan(
            number=use.number,
            table=use.table,
            resource=use.resource,
            method=use.method,
            bindings=use.bindings,
            ending=ending,
            fields=tuple(f for f in use.resource.fields if f.name in fields),
            echoes=tuple(parameters[p] for p in sorted(self._echoes(use))),
            aliases=tuple(u.relation.alias for u in group),
            place=self._place(use),
        )

    def _ending(self, use: _Use) -> Ending | None:
        """How the scan may end early; what the API must be told for that becomes a binding."""
        method, relation = use.method, use.relation
        assert method is not None
        bound = {p.name for b in use.bindings for p in b.parameters}
        sorted_by = method.sorted_by
        if sorted_by is not None and sorted_by.param in bound:
            return None  # the statement itself says in which order the API answers
        recursive: dict[str, Cte] = {}
        found = early(self._binder, relation, method, self._tree, lambda e: self._queries.sql(e, recursive))
        if found is None or recursive:
            return None
        order = order_parameter(method, found)
        if order is not None:
            use.bindings += (Given.one(order[0], [Literal(order[1])]),)
        size = method.pages.size if method.pages is not None else None
        if size is not None and found.rows is not None and found.rows < size.max:
            parameter = next((p for p in method.parameters if p.name == size.param), None)
            if parameter is not None and size.param not in bound:
                use.bindings += (Given.one(parameter, [Literal(found.rows)]),)
        self._note(relation, sorted_by.field if found.order and sorted_by else "", None)
        sql = "SELECT " + found.enough.replace("{source}", self._queries.source(relation, recursive))
        return Ending(sql, _arguments(sql, self._tree), found.order is not None, found.reason)

    def _place(self, use: _Use) -> Place:
        assert isinstance(use.relation.node, exp.Table)
        return self._text.place(*span(use.relation.node.parts))

    # -- errors ----------------------------------------------------------------------------------

    def _unbound(self, use: _Use) -> BindError:
        """The error for a resource none of whose methods can be called."""
        if use.misfit is not None:
            parameter, value = use.misfit
            return BindError(
                f"{use.resource.id}: {parameter.name} is text, and {value.sql(dialect='duckdb')} is not",
                place=self._place(use),
                reason="DuckDB would compare them as numbers, and so find '01' by 1; no request can ask for that.",
                remedy=f"Write {parameter.name} = '{value.name}'",
            )
        methods = self._candidates(use)
        method = min(methods, key=lambda m: (len(self._missing(use, m)), len(m.required)))
        missing = self._missing(use, method) or [p.name for p in method.required]
        names = " and ".join(missing)
        example = " AND ".join(f"{n} = '...'" for n in missing)
        others = [u for u in self._uses.values() if u is not use]
        join = ""
        if others and len(missing) == 1:
            alias = use.relation.alias
            join = f", or join it: ... JOIN {use.resource.id} {alias} ON {alias}.{missing[0]} = ..."
        it = "it" if len(missing) == 1 else "them"
        return BindError(
            f"{use.resource.id} needs {names}",
            place=self._place(use),
            reason=f"{method.name} ({method.http}) cannot be called without {it}.",
            remedy=f"Add WHERE {example}{join}"
            + (
                f"\n{method.name} answers one object: there is no list of {use.resource.name}."
                if _only_keyed(methods)
                else ""
            ),
        )

    def _check_echoes(self, use: _Use) -> None:
        """A parameter that is used as a column has a value only where something binds it."""
        bound = {p.name for b in use.bindings for p in b.parameters}
        for name in sorted(use.parameters - bound):
            if use.resource.field(name) is None and use.resource.key_field(name) is None:
                raise self._unbound_column(use, name)

    def _missing(self, use: _Use, method: Method) -> list[str]:
        return [p.name for p in method.required if not self._sources(use, p)]

    def _unbound_column(self, use: _Use, name: str) -> BindError:
        return BindError(
            f'"{name}" of {use.resource.id} is a parameter, not a field: it needs a value',
            place=self._place(use),
            reason="Its rows do not have it; it only tells the API what to answer.",
            remedy=f'Add WHERE "{name}" = ...',
        )


def _only_keyed(methods: list[Method]) -> bool:
    return all(not m.is_list for m in methods)


def _nothing(use: _Use) -> tuple[Binding, ...]:
    """Bindings without a key: no row can matter, so nothing is asked for."""
    given = [p for b in use.bindings for p in b.parameters]
    anything = Parameter("nothing", "nothing", "query", FieldType("string"), required=False)
    return tuple(Given((p,), ()) for p in given) or (Given((anything,), ()),)


def _given(constant: dict[Parameter, Constants]) -> list[Given]:
    """Bindings by constants; parameters whose values come in rows stay together."""
    found: list[Given] = []
    done: set[int] = set()
    for parameter, source in constant.items():
        if source.rows is None:
            found.append(Given.one(parameter, [_term(v, parameter) for v in source.values]))
        elif source.rows not in done:
            done.add(source.rows)
            group = {p: s for p, s in constant.items() if s.rows == source.rows}
            columns = [[_term(v, p) for v in s.values] for p, s in group.items()]
            found.append(Given(tuple(group), tuple(zip(*columns, strict=True))))
    return found


def _fits(value: exp.Expr, parameter: Parameter) -> bool:
    """Whether DuckDB compares a literal with the parameter's column as values of the column's own type.

    A text that is compared with a number is compared as a number, and a whole number that is compared with a
    double as a double: then other values are equal too, which no request can ask for.
    """
    value = value.unnest()
    if not isinstance(value, exp.Literal) or value.is_string:
        return not (isinstance(value, exp.Boolean) and parameter.type.base == "string")
    if parameter.type.base == "string":
        return False
    return parameter.type.base != "integer" or "e" not in str(value.this).lower()


def _term(node: exp.Expr, parameter: Parameter) -> Term:
    """A constant as it is sent: a literal in the parameter's type, or an expression for DuckDB."""
    node = node.unnest()
    if isinstance(node, exp.Null):
        return Literal(None)
    if isinstance(node, exp.Literal):
        text = str(node.this)
        if parameter.type.base == "string":
            return Literal(text)
        if parameter.type.base == "integer" and text.isdigit() and len(text) < 19:
            return Literal(int(text))
    if isinstance(node, exp.Boolean) and parameter.type.base == "boolean":
        return Literal(bool(node.this))
    sql = str(node.sql(dialect="duckdb", comments=False))
    return Computed(sql, _arguments(sql, node))


def _arguments(sql: str, tree: exp.Expr) -> tuple[str, ...]:
    """The names of the statement's parameters that stand in a text made from it."""
    names = {str(p.this) for p in tree.find_all(exp.Placeholder) if p.this}
    return tuple(sorted(n for n in names if _mentions(sql, n)))


def _mentions(sql: str, name: str) -> bool:
    start = 0
    while (at := sql.find(f"${name}", start)) >= 0:
        end = at + len(name) + 1
        if end == len(sql) or not (sql[end].isalnum() or sql[end] == "_"):
            return True
        start = end
    return False


def _origin(source: Source) -> str:
    match source:
        case FromRelations(value, _, _):
            return str(value.sql(dialect="duckdb", identify=False)).replace('"', "")
        case FromQuery():
            return "a subquery"
        case AnyOf(parts):
            return " or ".join(dict.fromkeys(_origin(p) for p in parts))
    return "constants"
