"""INSERT, UPDATE, REPLACE, DELETE and EXEC as plans: a query whose rows are calls, one call a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter, Resource
from provider.errors import BindError, NotSupportedError, Place, did_you_mean
from provider.plan.binder import conjuncts, span
from provider.plan.names import Names
from provider.plan.physical import Plan
from provider.plan.planner import plan_query
from provider.plan.rendering import quoted
from provider.sql.scanner import Text
from provider.sql.statements import Argument, Exec, Query, Write, parse_one

if TYPE_CHECKING:
    from provider.catalog.manifest import Verb

#: The staged table of a write's answers.
ANSWERS = "__apiql_answers"
#: Clauses that writes to resources do not take, by sqlglot's names. Ignoring one would change what is written.
_REFUSED = {
    "using": "USING",
    "from_": "FROM",
    "order": "ORDER BY",
    "limit": "LIMIT",
    "conflict": "ON CONFLICT",
    "alternative": "OR REPLACE or OR IGNORE",
    "ignore": "IGNORE",
    "by_name": "BY NAME",
    "overwrite": "OVERWRITE",
}


@dataclass(frozen=True, slots=True)
class Returning:
    """RETURNING: a query over the staged answers, and the key parameters that it names, with their fields."""

    sql: str
    synonyms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WritePlan:
    """Calls of one method.

    `source` gives a row a call; its columns are `parameters`, in order, and `origins` says in SQL where
    each comes from. `payload` says that the column after them is a JSON object whose members are further
    body attributes. `reads_first` says that the source reads the target in order to find the rows;
    `unfiltered` that no WHERE limits them.
    """

    verb: Verb
    resource: Resource
    method: Method
    parameters: tuple[Parameter, ...]
    origins: tuple[str, ...]
    source: Plan
    place: Place
    returning: Returning | None = None
    payload: bool = False
    reads_first: bool = False
    unfiltered: bool = False


def target_of(tree: exp.Expr) -> exp.Expr:
    """The table that a write names."""
    target: exp.Expr = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    return target


def plan_write(write: Write, names: Names) -> WritePlan:
    """Plan a write whose target is a resource.

    Raises:
        BindError: unknown names, no method for the verb, or a required parameter without a value.
        NotSupportedError: a clause that writes to resources do not have yet.
    """
    return _WritePlanner(write.text, names).write(write)


def plan_exec(statement: Exec, names: Names) -> WritePlan:
    """Plan EXEC; errors as `plan_write`."""
    return _WritePlanner(statement.text, names).exec(statement)


class _WritePlanner:
    def __init__(self, text: Text, names: Names) -> None:
        self._text = text
        self._names = names

    def write(self, write: Write) -> WritePlan:
        tree = write.tree
        table = target_of(tree)
        path = self._names.target(table)
        assert isinstance(table, exp.Table)
        assert path is not None
        resource, forced = self._target(table, path)
        for clause, words in _REFUSED.items():
            if tree.args.get(clause):
                raise NotSupportedError(
                    f"{write.verb} on a resource does not take {words}", place=self._text.place(*span(table.parts))
                )
        methods = (forced,) if forced else resource.methods_for(write.verb)
        place = self._text.place(*span(table.parts))
        if not methods:
            verbs = dict.fromkeys(m.verb for m in resource.methods)
            if other := resource.verbs_elsewhere.get(write.verb):
                name, versions = other
                raise BindError(
                    f"{resource.id} has {name} for {write.verb} in {' and '.join(versions)} of the API only",
                    place=place,
                )
            raise BindError(
                f"{resource.id} has no {write.verb} method", place=place, remedy=f"It has {', '.join(verbs)}."
            )
        returning = tree.args.get("returning")
        selected = _returning(returning, resource, table.alias or resource.name)
        if isinstance(tree, exp.Insert):
            return self._insert(tree, resource, methods, selected, place)
        return self._change(write, tree, table, resource, methods, selected, place)

    def exec(self, statement: Exec) -> WritePlan:
        place = self._text.place(*statement.path_span)
        path = self._names.resource_path(statement.path, is_local=lambda: False)
        if path is None or len(path) != 4:
            if len(statement.path) >= 3:  # an unknown provider is the likelier mistake
                self._names.catalog.provider(statement.path[0], place)
            named = ".".join(statement.path)
            raise BindError(f"EXEC names a method: provider.service.resource.method, not {named}", place=place)
        resource = self._names.catalog.resource(path[0], path[1], path[2], place)
        method = self._method(resource, path[3], place)
        given = [(self._argument(resource, method, a), a.value) for a in statement.arguments]
        values = [e.sql(dialect="duckdb", comments=False) for _, e in given]
        if statement.payload is not None:
            values.append(statement.payload.sql(dialect="duckdb", comments=False))
        else:
            self._require(resource, method, [p for p, _ in given], place)
        parameters = tuple(p for p, _ in given)
        source = self._source(f"SELECT {', '.join(values)}" if values else "SELECT NULL")
        return WritePlan(
            verb="EXEC",
            resource=resource,
            method=method,
            parameters=parameters,
            origins=tuple(values[: len(parameters)]),
            source=source,
            place=place,
            returning=Returning(_answers("*", resource.name), {}),
            payload=statement.payload is not None,
        )

    # -- INSERT ----------------------------------------------------------------------------------

    def _insert(
        self,
        tree: exp.Insert,
        resource: Resource,
        methods: Sequence[Method],
        returning: Returning | None,
        place: Place,
    ) -> WritePlan:
        if tree.args.get("default"):
            names: list[exp.Identifier] = []
        elif isinstance(tree.this, exp.Schema):
            names = [c if isinstance(c, exp.Identifier) else c.this for c in tree.this.expressions]
        else:
            insertable = [p.name for p in methods[0].parameters if p.location != "query"]
            raise BindError(
                f"INSERT INTO {resource.id} needs a list of columns",
                place=place,
                remedy=f"INSERT INTO {resource.id} ({', '.join(insertable)}) ...",
            )
        method = self._for_columns(resource, methods, [n.name for n in names], names)
        parameters = tuple(self._parameter(resource, method, n.name, n) for n in names)
        self._refuse_twice(parameters, names)
        self._require(resource, method, parameters, place)
        source = self._source_of(tree) if names else self._source("SELECT NULL")
        width = _width(tree.expression) if names else None
        if width is not None and width != len(names):
            raise BindError(f"INSERT names {len(names)} columns and gives {width} values", place=place)
        return WritePlan(
            verb="INSERT",
            resource=resource,
            method=method,
            parameters=parameters,
            origins=_origins(tree.expression, len(names)),
            source=source,
            place=place,
            returning=returning,
        )

    def _source_of(self, tree: exp.Insert) -> Plan:
        """The rows to insert, planned on the statement's own text with the rest blanked out."""
        expression = tree.expression
        if expression is None:
            raise NotSupportedError("INSERT takes VALUES or SELECT")
        with_ = tree.args.get("with_")
        query = expression.copy()
        if with_ is not None:
            query.set("with_", with_.copy())
        return self._source(query.sql(dialect="duckdb", comments=False))

    # -- UPDATE, REPLACE, DELETE -----------------------------------------------------------------

    def _change(
        self,
        write: Write,
        tree: exp.Update | exp.Delete,
        table: exp.Table,
        resource: Resource,
        methods: Sequence[Method],
        returning: Returning | None,
        place: Place,
    ) -> WritePlan:
        items = []
        for item in tree.expressions if isinstance(tree, exp.Update) else ():
            if not isinstance(item, exp.EQ) or not isinstance(item.this, exp.Column):
                raise NotSupportedError("SET takes column = value")
            items.append((item.this.this, item.expression))
        names = [i.name for i, _ in items]
        method = self._for_columns(resource, methods, names, [i for i, _ in items])
        changed = tuple(self._parameter(resource, method, i.name, i) for i, _ in items)
        self._refuse_twice(changed, [i for i, _ in items])
        for parameter, (identifier, _) in zip(changed, items, strict=True):
            if parameter.location == "path":
                raise BindError(
                    f"{parameter.name} is the key of {resource.id} and cannot be set",
                    place=self._text.place(*span([identifier])),
                )
        where = tree.args.get("where")
        keys = tuple(p for p in method.parameters if p.location == "path")
        constant = self._constant_keys(resource, keys, table, where)
        values = [e for _, e in items]
        direct = constant is not None and not any(v.find(exp.Column, exp.Query) for v in values)
        if direct and constant is not None:
            source = self._source(_cross_product(constant, values))
        else:
            source = self._found(self._reading(resource, keys, table, values, where), place)
        self._require(resource, method, (*keys, *changed), place)
        found = [f"any of {', '.join(map(_sql, c))}" if len(c) > 1 else _sql(c[0]) for c in constant or ()]
        return WritePlan(
            verb=write.verb,
            resource=resource,
            method=method,
            parameters=(*keys, *changed),
            origins=(*(found if direct else ["the rows that are found"] * len(keys)), *map(_sql, values)),
            source=source,
            place=place,
            returning=returning,
            reads_first=not direct,
            unfiltered=where is None or where.find(exp.Column) is None,
        )

    def _constant_keys(
        self, resource: Resource, keys: tuple[Parameter, ...], table: exp.Table, where: exp.Where | None
    ) -> list[list[exp.Expr]] | None:
        """The values of each key where WHERE says nothing but `key = constant` and `key IN (constants)`."""
        if where is None:
            return None
        found: dict[str, list[exp.Expr]] = {}
        for part in conjuncts(where.this):
            column, values = _constants(part)
            if column is None or column.table.lower() not in ("", table.alias_or_name.lower()):
                return None
            name = column.name
            key = next(
                (k.name for k in keys if name.lower() in (k.name.lower(), _key_field(resource, k).lower())), None
            )
            if key is None or key in found:
                return None
            found[key] = values
        return [found[k.name] for k in keys] if len(found) == len(keys) else None

    def _reading(
        self,
        resource: Resource,
        keys: tuple[Parameter, ...],
        table: exp.Table,
        values: list[exp.Expr],
        where: exp.Where | None,
    ) -> str:
        """The query that finds the rows to change, with their keys and new values."""
        alias = table.alias or resource.name
        columns = [f"{quoted(alias)}.{quoted(_key_field(resource, k))} AS k{i}" for i, k in enumerate(keys)]
        columns += [f"{v.sql(dialect='duckdb')} AS v{i}" for i, v in enumerate(values)]
        condition = f" WHERE {where.this.sql(dialect='duckdb')}" if where is not None else ""
        return f"SELECT {', '.join(columns)} FROM {resource.id} AS {quoted(alias)}{condition}"

    # -- names -----------------------------------------------------------------------------------

    def _target(self, table: exp.Table, names: tuple[str, ...]) -> tuple[Resource, Method | None]:
        place = self._text.place(*span(table.parts))
        resource = self._names.catalog.resource(names[0], names[1], names[2], place)
        return resource, self._method(resource, names[3], place) if len(names) > 3 else None

    def _method(self, resource: Resource, name: str, place: Place) -> Method:
        method = resource.method(name)
        if method is None:
            if versions := resource.elsewhere.get(name):
                raise BindError(f"{resource.id}.{name} exists in {' and '.join(versions)} of the API only", place=place)
            remedy = did_you_mean(name, [m.name for m in resource.methods])
            raise BindError(f'{resource.id} has no method "{name}"', place=place, remedy=remedy)
        return method

    def _for_columns(
        self, resource: Resource, methods: Sequence[Method], names: list[str], identifiers: Sequence[exp.Expr]
    ) -> Method:
        """The first method that takes all columns; else the first one, so that the error can name them."""
        for method in methods:
            taken = all(method.parameter(n) for n in names)
            if taken and {p.name for p in method.required if p.location != "path"} <= {
                n.removeprefix("data__") for n in names
            }:
                return method
        return next((m for m in methods if all(m.parameter(n) for n in names)), methods[0])

    def _parameter(self, resource: Resource, method: Method, name: str, identifier: exp.Expr) -> Parameter:
        found = method.parameter(name)
        if found is not None:
            return found
        place = self._text.place(*span([identifier]))
        plain = name.removeprefix("data__")
        if versions := resource.elsewhere.get(plain):
            raise BindError(f'{resource.id} has "{plain}" in {" and ".join(versions)} of the API only', place=place)
        names = [p.name for p in method.parameters]
        reason = f"{method.name} ({method.http}) does not take it."
        if resource.field(plain) is not None:
            reason = f"It is read-only: {method.name} ({method.http}) does not take it."
        raise BindError(
            f'no column "{name}" to write in {resource.id}',
            place=place,
            reason=reason,
            remedy=did_you_mean(plain, names),
        )

    def _argument(self, resource: Resource, method: Method, argument: Argument) -> Parameter:
        found = method.parameter(argument.name)
        if found is None:
            names = [p.name for p in method.parameters]
            raise BindError(
                f'no argument "{argument.name}" of {resource.id}.{method.name}',
                place=self._text.place(*argument.span),
                reason=f"{method.name} ({method.http}) does not take it.",
                remedy=did_you_mean(argument.name.removeprefix("data__"), names) or "It takes none.",
            )
        return found

    def _refuse_twice(self, parameters: Sequence[Parameter], identifiers: Sequence[exp.Expr]) -> None:
        for i, parameter in enumerate(parameters):
            if parameter in parameters[:i]:
                raise BindError(
                    f'column "{parameter.name}" is given twice', place=self._text.place(*span([identifiers[i]]))
                )

    def _require(self, resource: Resource, method: Method, given: Sequence[Parameter], place: Place) -> None:
        missing = [p.sql_name for p in method.required if p not in given]
        if missing:
            raise BindError(
                f"{resource.id} needs {' and '.join(missing)}",
                place=place,
                reason=f"{method.name} ({method.http}) requires {'it' if len(missing) == 1 else 'them'}.",
                remedy=f"SHOW METHODS IN {resource.id} lists what each method requires.",
            )

    def _found(self, sql: str, place: Place) -> Plan:
        """The plan that finds the rows; what it lacks, the user's WHERE lacks."""
        try:
            return self._source(sql)
        except BindError as e:
            raise BindError(e.summary, place=place, reason=e.reason, remedy=e.remedy) from None

    def _source(self, sql: str) -> Plan:
        query = parse_one(Text(sql, sql))
        if not isinstance(query, Query) or query.tree is None:
            return Plan(sql, (), ())
        opened = self._names.opened(query)
        assert opened.tree is not None
        return plan_query(opened.tree, opened.text, self._names)


def _returning(clause: exp.Returning | None, resource: Resource, alias: str) -> Returning | None:
    if clause is None:
        return None
    named = {c.name.lower() for e in clause.expressions for c in e.find_all(exp.Column)}
    synonyms = {p: f for f, p in resource.key.items() if p.lower() in named and resource.field(p) is None}
    return Returning(_answers(", ".join(_sql(e) for e in clause.expressions), alias), synonyms)


def _answers(selected: str, alias: str) -> str:
    return f"SELECT {selected} FROM {quoted(ANSWERS)} AS {quoted(alias)}"


def _sql(node: exp.Expr) -> str:
    return str(node.sql(dialect="duckdb", comments=False))


def _key_field(resource: Resource, key: Parameter) -> str:
    """The column that carries a path parameter in a resource's rows."""
    return resource.key_field(key.name) or key.name


def _constants(part: exp.Expr) -> tuple[exp.Column | None, list[exp.Expr]]:
    """The column and values of `column = constant` or `column IN (constants)`."""
    if isinstance(part, exp.EQ):
        sides = [part.this.unnest(), part.expression.unnest()]
        for column, value in (sides, sides[::-1]):
            if isinstance(column, exp.Column) and value.find(exp.Column, exp.Query) is None:
                return column, [value]
    is_list = isinstance(part, exp.In) and isinstance(part.this, exp.Column) and bool(part.expressions)
    if is_list and all(v.find(exp.Column, exp.Query) is None for v in part.expressions):
        return part.this, list(part.expressions)
    return None, []


def _cross_product(keys: list[list[exp.Expr]], values: list[exp.Expr]) -> str:
    """A query with a row for each combination of keys, without NULLs and repetitions."""
    columns = [f"k{i}" for i in range(len(keys))]
    sources = []
    for name, options in zip(columns, keys, strict=True):
        rows = ", ".join(f"({o.sql(dialect='duckdb')})" for o in options)
        sources.append(f"(SELECT DISTINCT c FROM (VALUES {rows}) AS t(c) WHERE c IS NOT NULL) AS {name}({name})")
    selected = [*(f"{c}.{c}" for c in columns), *(f"{v.sql(dialect='duckdb')} AS v{i}" for i, v in enumerate(values))]
    return f"SELECT {', '.join(selected)} FROM {', '.join(sources)}" if sources else f"SELECT {', '.join(selected)}"


def _origins(source: exp.Expr | None, width: int) -> tuple[str, ...]:
    """Where the columns of INSERT come from: the values, if there is one row of them, else the source."""
    items: list[exp.Expr] = []
    if isinstance(source, exp.Values) and len(source.expressions) == 1:
        row = source.expressions[0]
        items = list(row.expressions) if isinstance(row, exp.Tuple) else [row]
    elif isinstance(source, exp.Select):
        items = list(source.expressions)
    return tuple(map(_sql, items)) if len(items) == width else ("the rows of the source",) * width


def _width(source: exp.Expr | None) -> int | None:
    """How many columns the rows of INSERT have, None when only DuckDB can tell."""
    if isinstance(source, exp.Values):
        return len(source.expressions[0].expressions) if isinstance(source.expressions[0], exp.Tuple) else 1
    if isinstance(source, exp.Select) and not any(e.find(exp.Star, exp.Columns) for e in source.expressions):
        return len(source.expressions)
    return None
