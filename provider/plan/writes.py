"""A write's plan by its kind; INSERT and EXEC themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter, Resource
from provider.errors import BindError, NotSupportedError, did_you_mean
from provider.plan.actions import Action, Returning, WritePlan
from provider.plan.changing import plan_change
from provider.plan.clauses import answers, insert_columns, insert_source, returning_of, source, sql
from provider.plan.hints import awaited, streamed
from provider.plan.merging import plan_merge, plan_upsert
from provider.plan.names import Names
from provider.plan.writable import Writable, method_of
from provider.sql.statements import Argument, Exec, Write, check_hints

#: The clauses that writes to resources take, by sqlglot's names. To ignore another one would change what is written.
_TAKEN: dict[type[exp.Expr], frozenset[str]] = {
    exp.Insert: frozenset({"this", "expression", "with_", "default", "conflict", "returning", "hint"}),
    exp.Update: frozenset({"this", "expressions", "with_", "from_", "where", "order", "limit", "returning", "hint"}),
    exp.Delete: frozenset({"this", "with_", "using", "where", "order", "limit", "returning", "hint"}),
    exp.Merge: frozenset({"this", "with_", "using", "on", "whens", "returning"}),
    exp.Table: frozenset({"this", "db", "catalog", "alias"}),
    exp.TableAlias: frozenset({"this"}),
}
#: What they are called in SQL, where sqlglot calls them otherwise.
_CALLED = {
    "alternative": "OR REPLACE or OR IGNORE",
    "columns": "an alias with columns",
    "joins": "JOIN",
    "sample": "TABLESAMPLE",
    "tables": "tables in front of FROM",
    "using_cond": "USING with columns",
}


def target_of(tree: exp.Expr) -> exp.Expr:
    """The table that a write names."""
    target: exp.Expr = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    return target


def plan_write(write: Write, names: Names) -> WritePlan:
    """Plan a write whose target is a resource.

    Raises:
        BindError: unknown names, no method for the verb, or a required parameter without a value.
        NotSupportedError: a clause that writes to resources do not have.
    """
    tree = write.tree
    table = target_of(tree)
    path = names.target(table)
    assert isinstance(table, exp.Table)
    assert path is not None
    check_hints(write.text, write.hints, ("AWAIT",))
    target = Writable.named(table, path, names, write.text)
    _check_clauses(write.verb, (tree, table, table.args.get("alias")), target)
    _check_values(tree, target)
    plan = _planned(write, tree, table, target, names)
    return awaited(plan, names) if "AWAIT" in write.hints else plan


def _check_clauses(verb: str, nodes: Iterable[exp.Expr | None], target: Writable) -> None:
    """Refuse what a write would ignore.

    Raises:
        NotSupportedError: it names the clause.
    """
    for node in filter(None, nodes):
        for clause in (name for name, content in node.args.items() if content and name not in _TAKEN[type(node)]):
            raise NotSupportedError(
                f"{verb} on a resource does not take {_CALLED.get(clause, clause.upper().replace('_', ' '))}",
                place=target.place,
                remedy="UPDATE ... FROM and DELETE ... USING join other tables." if clause == "joins" else "",
            )


def _check_values(tree: exp.Expr, target: Writable) -> None:
    """Refuse DEFAULT, which only a table's definition knows."""
    for node in tree.find_all(exp.Var, exp.Column):
        quoted = isinstance(node, exp.Column) and (node.table or node.this.quoted)
        if node.name.upper() == "DEFAULT" and not quoted:
            raise NotSupportedError(
                "a write to a resource does not take DEFAULT",
                place=target.place,
                reason="Its defaults are the API's.",
                remedy="In INSERT, NULL means 'not given', so that the API's default holds.",
            )


def _planned(write: Write, tree: exp.Expr, table: exp.Table, target: Writable, names: Names) -> WritePlan:
    """The plan of a write by its kind."""
    if isinstance(tree, exp.Merge):
        return plan_merge(tree, table, target, names)
    if isinstance(tree, exp.Insert) and tree.args.get("conflict") is not None:
        return plan_upsert(tree, table, target, names)
    if isinstance(tree, exp.Insert):
        return _insert(tree, table, target, names)
    assert isinstance(tree, exp.Update | exp.Delete)
    return plan_change(write, tree, table, target, names)


def plan_exec(statement: Exec, names: Names) -> WritePlan:
    """Plan EXEC; errors as `plan_write`."""
    check_hints(statement.text, statement.hints, ("AWAIT", "SHOWRESULTS", "STREAM"))
    place = statement.text.place(*statement.path_span)
    path = names.resource_path(statement.path, is_local=lambda: False)
    if path is None or len(path) != 4:
        if len(statement.path) >= 3:  # an unknown provider is the likelier mistake
            names.catalog.provider(statement.path[0], place)
        named = ".".join(statement.path)
        raise BindError(f"EXEC names a method: provider.service.resource.method, not {named}", place=place)
    resource = names.catalog.resource(path[0], path[1], path[2], place)
    method = method_of(resource, path[3], place)
    parameters = tuple(_argument(statement, resource, method, a) for a in statement.arguments)
    values = [sql(a.value) for a in statement.arguments]
    if statement.payload is None:
        Writable(resource, statement.text, place, method).require(method, parameters)
    columns = values if statement.payload is None else [*values, sql(statement.payload)]
    action = Action("EXEC", method, parameters, tuple(values), payload=statement.payload is not None)
    plan = WritePlan(
        verb="EXEC",
        resource=resource,
        actions=(action,),
        source=source(f"SELECT {', '.join(columns) or 'NULL'}", names),
        place=place,
        returning=Returning(answers("*", resource.name), {}),
    )
    if "STREAM" in statement.hints:
        action, switch = streamed(plan, names)
        columns = [switch, *columns] if switch else columns
        plan = replace(plan, actions=(action,), source=source(f"SELECT {', '.join(columns)}", names), text=True)
    return awaited(plan, names) if "AWAIT" in statement.hints else plan


def _argument(statement: Exec, resource: Resource, method: Method, argument: Argument) -> Parameter:
    found = method.parameter(argument.name)
    if found is None:
        names = [p.name for p in method.parameters]
        raise BindError(
            f'no argument "{argument.name}" of {resource.id}.{method.name}',
            place=statement.text.place(*argument.span),
            reason=f"{method.name} ({method.http}) does not take it.",
            remedy=did_you_mean(argument.name.removeprefix("data__"), names) or "It takes none.",
        )
    return found


# -- INSERT --------------------------------------------------------------------------------------------


def _insert(tree: exp.Insert, table: exp.Table, target: Writable, names: Names) -> WritePlan:
    columns = insert_columns(tree, target)
    method = target.method("INSERT", columns)
    parameters = target.parameters(method, columns)
    target.require(method, parameters)
    return WritePlan(
        verb="INSERT",
        resource=target.resource,
        actions=(Action("INSERT", method, parameters, _origins(tree.expression, len(columns))),),
        source=source(insert_source(tree) if columns else "SELECT NULL", names),
        place=target.place,
        returning=returning_of(tree, table, target.resource),
    )


def _origins(rows: exp.Expr | None, width: int) -> tuple[str, ...]:
    """Where the columns of INSERT come from: the values, if there is one row of them, else the source."""
    items: list[exp.Expr] = []
    if isinstance(rows, exp.Values) and len(rows.expressions) == 1:
        row = rows.expressions[0]
        items = list(row.expressions) if isinstance(row, exp.Tuple) else [row]
    elif isinstance(rows, exp.Select):
        items = list(rows.expressions)
    return tuple(map(sql, items)) if len(items) == width else ("the rows of the source",) * width
