"""MERGE and INSERT ... ON CONFLICT as plans: the source is joined to the target, and each row finds its action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter
from provider.errors import BindError, NotSupportedError
from provider.plan.actions import Action, WritePlan
from provider.plan.changing import compared_with, keys_of
from provider.plan.clauses import (
    assignments,
    found_rows,
    insert_columns,
    insert_source,
    returning_of,
    sql,
    with_of,
)
from provider.plan.names import Names
from provider.plan.rendering import quoted
from provider.plan.syntax import span
from provider.plan.writable import Writable

#: What ON CONFLICT calls the row that was to be inserted.
_EXCLUDED = "excluded"


def plan_merge(tree: exp.Merge, table: exp.Table, target: Writable, names: Names) -> WritePlan:
    """Plan MERGE INTO a resource.

    Raises:
        BindError: unknown columns, or keys that the source does not give.
        NotSupportedError: WHEN NOT MATCHED BY SOURCE, and short forms without columns.
    """
    condition = tree.args.get("on")
    if condition is None:
        raise NotSupportedError("MERGE takes ON, and no USING with columns", place=target.place)
    merge = _Merge(target, table, with_of(tree), sql(tree.args["using"]), sql(condition), keep=not _returns(tree))
    for when in tree.args["whens"].expressions:
        merge.when(when)
    return merge.plan(tree, names)


def plan_upsert(tree: exp.Insert, table: exp.Table, target: Writable, names: Names) -> WritePlan:
    """Plan INSERT ... ON CONFLICT (identity) DO UPDATE or DO NOTHING.

    Raises:
        BindError: a conflict target that does not identify an object.
        NotSupportedError: the API makes the ids, so that no row that is given can be there already.
    """
    conflict = tree.args["conflict"]
    columns = insert_columns(tree, target)
    method = target.method("INSERT", columns)
    parameters = target.parameters(method, columns)
    identity = _identity(conflict, method, parameters, target)
    given = [f"{_EXCLUDED}.{quoted(p.name)}" for p in parameters]
    rows = f"({insert_source(tree)}) AS {_EXCLUDED}({', '.join(quoted(p.name) for p in parameters)})"
    # Objects under different parents are different, whatever their names.
    same = dict.fromkeys((*(p for p in parameters if p.addresses), *identity))
    alias = quoted(table.alias or target.resource.name)
    condition = " AND ".join(f"{alias}.{quoted(target.key_field(p))} = {_EXCLUDED}.{quoted(p.name)}" for p in same)
    merge = _Merge(target, table, "", rows, condition, keep=not _returns(tree))
    if conflict.args["action"].name.upper() == "DO UPDATE":
        where = conflict.args.get("where")
        merge.update(*assignments(conflict.expressions, table, target), sql(where.this) if where is not None else "")
    merge.insert(method, parameters, given, "", unique=tuple(same))
    return replace(merge.plan(tree, names), verb="INSERT")


def _returns(tree: exp.Expr) -> bool:
    return tree.args.get("returning") is not None


class _Merge:
    """Collects the actions of a merge, and the columns that the joined rows must have for them.

    Args:
        rows: the source, as SQL that can stand behind FROM.
        condition: when a row of the source and one of the target are the same.
        keep: whether an UPDATE may leave out what the object has already.
    """

    def __init__(
        self, target: Writable, table: exp.Table, with_: str, rows: str, condition: str, *, keep: bool
    ) -> None:
        self._target = target
        self._table = table
        self._alias = quoted(table.alias or target.resource.name)
        self._with = with_
        self._rows = rows
        self._condition = condition
        self._keep = keep
        self._cases: list[str] = []
        self._columns: list[str] = []
        self._actions: list[Action] = []

    def when(self, clause: exp.When) -> None:
        """One WHEN clause of MERGE."""
        then, place = clause.args["then"], self._target.place
        condition = sql(clause.args["condition"]) if clause.args.get("condition") is not None else ""
        if clause.args.get("source"):
            raise NotSupportedError(
                "MERGE on a resource does not take WHEN NOT MATCHED BY SOURCE",
                place=place,
                remedy="DELETE FROM ... WHERE NOT EXISTS (SELECT ...) deletes what has no source.",
            )
        if isinstance(then, exp.Update) and then.expressions:
            self.update(*assignments(then.expressions, self._table, self._target), condition)
        elif isinstance(then, exp.Insert) and isinstance(then.this, exp.Tuple) and then.expression is not None:
            columns = [c.this for c in then.this.expressions]
            values = then.expression.expressions if isinstance(then.expression, exp.Tuple) else [then.expression]
            if len(values) != len(columns):
                raise BindError(f"INSERT names {len(columns)} columns and gives {len(values)} values", place=place)
            method = self._target.method("INSERT", columns)
            self.insert(method, self._target.parameters(method, columns), list(map(sql, values)), condition)
        elif then.name.upper() == "DELETE":
            self.delete(condition)
        elif then.name.upper() == "DO NOTHING":
            # Nothing is done for such a row, and no later clause looks at it.
            decide = self._matched if clause.args.get("matched") else self._unmatched
            self._cases.append(f"WHEN {decide(condition)} THEN NULL")
        else:
            raise NotSupportedError(
                "MERGE takes UPDATE SET column = value, INSERT (columns) VALUES (...), DELETE and DO NOTHING",
                place=place,
            )

    def update(self, columns: list[exp.Identifier], values: list[exp.Expr], condition: str) -> None:
        """Matched rows change the object."""
        method = self._target.method("UPDATE", columns)
        changed = self._target.settable(method, columns)
        keys = keys_of(method)
        self._target.require(method, (*keys, *changed))
        given = [*self._key_columns(keys), *map(sql, values)]
        compared, current = compared_with(self._target, self._alias, keys, changed, method.merges and self._keep)
        self._act(
            self._matched(condition),
            Action("UPDATE", method, (*keys, *changed), tuple(given), 1 + len(self._columns)),
            given,
            compared,
            current,
        )

    def delete(self, condition: str) -> None:
        """Matched rows delete the object."""
        method = self._target.method("DELETE", [])
        keys = keys_of(method)
        given = self._key_columns(keys)
        action = Action("DELETE", method, keys, tuple(given), 1 + len(self._columns))
        self._act(self._matched(condition), action, given)

    def insert(
        self,
        method: Method,
        parameters: tuple[Parameter, ...],
        given: Sequence[str],
        condition: str,
        unique: tuple[Parameter, ...] = (),
    ) -> None:
        """Rows that match nothing create an object."""
        self._target.require(method, parameters)
        action = Action("INSERT", method, parameters, tuple(given), 1 + len(self._columns), unique=unique)
        self._act(self._unmatched(condition), action, given)

    def plan(self, tree: exp.Merge | exp.Insert, names: Names) -> WritePlan:
        """The plan of what was collected."""
        answers = {a.method.returns for a in self._actions}
        if _returns(tree) and len(answers) > 1:
            raise NotSupportedError(
                f"RETURNING of {self._target.resource.id}: its methods answer with different fields",
                place=self._target.place,
                remedy="Leave RETURNING out, and look into apiql.last_writes.",
            )
        if not self._actions:
            raise NotSupportedError("MERGE does nothing", place=self._target.place)
        action = f"CASE {' '.join(self._cases)} END AS action"
        joined = f"{self._rows} LEFT JOIN {self._target.resource.id} AS {self._alias} ON {self._condition}"
        selected = ", ".join([action, *(f"{c} AS x{i}" for i, c in enumerate(self._columns))])
        table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        return WritePlan(
            verb="MERGE",
            resource=self._target.resource,
            actions=tuple(self._actions),
            source=found_rows(f"{self._with}SELECT {selected} FROM {joined}", self._target, names),
            place=self._target.place,
            returning=returning_of(tree, table, self._target.resource),
            reads_first=True,
            chooses=True,
        )

    def _act(
        self,
        condition: str,
        action: Action,
        given: Sequence[str],
        compared: Sequence[str] = (),
        current: tuple[int | None, ...] = (),
    ) -> None:
        self._cases.append(f"WHEN {condition} THEN {len(self._actions)}")
        current = tuple(None if n is None else n + action.first for n in current)
        self._actions.append(replace(action, current=current))
        self._columns += [*given, *compared]

    def _key_columns(self, keys: Sequence[Parameter]) -> list[str]:
        return [f"{self._alias}.{quoted(self._target.key_field(k))}" for k in keys]

    def _matched(self, condition: str) -> str:
        return f"{self._present()} IS NOT NULL" + (f" AND ({condition})" if condition else "")

    def _unmatched(self, condition: str) -> str:
        return f"{self._present()} IS NULL" + (f" AND ({condition})" if condition else "")

    def _present(self) -> str:
        """A column that every object has, and no row without one."""
        resource = self._target.resource
        fields = [*resource.key, *(p.name for m in resource.methods for p in keys_of(m))]
        field = next((f for f in fields if resource.field(f) is not None), None)
        if field is None:
            raise NotSupportedError(f"the manifest says no key of {resource.id}", place=self._target.place)
        return f"{self._alias}.{quoted(field)}"


def _identity(
    conflict: exp.OnConflict, method: Method, parameters: tuple[Parameter, ...], target: Writable
) -> list[Parameter]:
    """The parameters that ON CONFLICT names, which must tell objects apart."""
    resource = target.resource
    keys = {name for pair in resource.key.items() for name in pair}
    able = [p for p in method.parameters if p.name in resource.identity or (not resource.identity and p.name in keys)]
    if not able:
        made = " and ".join(resource.key) or "the key"
        raise NotSupportedError(
            f"{resource.id} has no identity that a row could give, so that none can be in conflict",
            place=target.place,
            reason=f"The API makes {made}: {method.name} ({method.http}) does not take it.",
            remedy="MERGE INTO ... USING ... ON ... says by other columns which rows are the same.",
        )
    named = [k.this.this if isinstance(k, exp.Ordered) else k for k in conflict.args.get("conflict_keys") or ()]
    for column in named:
        if column.name.removeprefix("data__") not in {p.name for p in able}:
            raise BindError(
                f'"{column.name}" does not identify an object of {resource.id}',
                place=target.text.place(*span([column])),
                remedy=f"ON CONFLICT takes {', '.join(p.name for p in able)}.",
            )
    wanted = {c.name.removeprefix("data__") for c in named} or {p.name for p in able}
    missing = [p.sql_name for p in able if p not in parameters]
    if missing or wanted != {p.name for p in able}:
        raise BindError(
            f"ON CONFLICT needs all of {', '.join(p.name for p in able)}, which identify an object together",
            place=target.place,
            reason=f"INSERT does not give {' and '.join(missing)}." if missing else "",
        )
    return able
