"""MERGE and INSERT ... ON CONFLICT as plans: the source is joined to the target, and each row finds its action.

Objects that have no row in the source (WHEN NOT MATCHED BY SOURCE) are found by a query of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter
from provider.errors import BindError, NotSupportedError
from provider.plan.actions import Action, WritePlan
from provider.plan.changing import compared_with, keys_of, says_something
from provider.plan.clauses import (
    assignments,
    found_rows,
    insert_columns,
    insert_source,
    own_columns,
    returning_of,
    sql,
    with_of,
)
from provider.plan.names import Names
from provider.plan.rendering import quoted
from provider.plan.syntax import span
from provider.plan.writable import Writable

#: What a WHEN clause is about: a row of both sides, of the source alone, or of the target alone.
_Side = Literal["both", "source", "target"]
#: What ON CONFLICT calls the row that was to be inserted.
_EXCLUDED = "excluded"


def plan_merge(tree: exp.Merge, table: exp.Table, target: Writable, names: Names) -> WritePlan:
    """Plan MERGE INTO a resource.

    Raises:
        BindError: unknown columns, or keys that the source does not give.
        NotSupportedError: short forms without columns.
    """
    condition = tree.args.get("on")
    if condition is None:
        raise NotSupportedError("MERGE takes ON, and no USING with columns", place=target.place)
    merge = _Merge(target, table, with_of(tree), sql(tree.args["using"]), sql(condition), keep=not _returns(tree))
    unfiltered = False
    for when in tree.args["whens"].expressions:
        merge.when(when)
        changes = not isinstance(when.args["then"], exp.Insert) and when.args["then"].name.upper() != "DO NOTHING"
        conditions = (condition, when.args.get("condition"))
        unfiltered |= changes and not any(says_something(c, target, table) for c in conditions)
    return replace(merge.plan(tree, names), unfiltered=unfiltered)


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
        self._alone: list[str] = []
        #: The conditions of `_alone`; '' for none.
        self._limits: list[str] = []
        #: Each column's value in the rows of the source, and in those of the target alone.
        self._columns: list[tuple[str, str]] = []
        self._actions: list[Action] = []

    def when(self, clause: exp.When) -> None:
        """One WHEN clause of MERGE."""
        then, place = clause.args["then"], self._target.place
        condition = sql(clause.args["condition"]) if clause.args.get("condition") is not None else ""
        side: _Side = "target" if clause.args.get("source") else "both" if clause.args.get("matched") else "source"
        if isinstance(then, exp.Update) and then.expressions:
            self.update(*assignments(then.expressions, self._table, self._target), condition, side)
        elif isinstance(then, exp.Insert) and isinstance(then.this, exp.Tuple) and then.expression is not None:
            columns = own_columns(then.this.expressions, self._table, self._target)
            values = then.expression.expressions if isinstance(then.expression, exp.Tuple) else [then.expression]
            if len(values) != len(columns):
                raise BindError(f"INSERT names {len(columns)} columns and gives {len(values)} values", place=place)
            method = self._target.method("INSERT", columns)
            self.insert(method, self._target.parameters(method, columns), list(map(sql, values)), condition)
        elif then.name.upper() == "DELETE":
            self.delete(condition, side)
        elif then.name.upper() == "DO NOTHING":
            # Nothing is done for such a row, and no later clause looks at it.
            self._decide(side, condition, "NULL")
        else:
            raise NotSupportedError(
                "MERGE takes UPDATE SET column = value, INSERT (columns) VALUES (...), DELETE and DO NOTHING",
                place=place,
            )

    def update(
        self, columns: list[exp.Identifier], values: list[exp.Expr], condition: str, side: _Side = "both"
    ) -> None:
        """Rows that have an object change it."""
        method = self._target.method("UPDATE", columns)
        changed = self._target.settable(method, columns)
        keys = keys_of(method)
        self._target.require(method, (*keys, *changed))
        given = [*self._key_columns(keys), *map(sql, values)]
        compared, current = compared_with(self._target, self._alias, keys, changed, method.merges and self._keep)
        action = Action("UPDATE", method, (*keys, *changed), tuple(given), 1 + len(self._columns))
        self._act(side, condition, action, [*given, *compared], current)

    def delete(self, condition: str, side: _Side = "both") -> None:
        """Rows that have an object delete it."""
        method = self._target.method("DELETE", [])
        keys = keys_of(method)
        given = self._key_columns(keys)
        action = Action("DELETE", method, keys, tuple(given), 1 + len(self._columns))
        self._act(side, condition, action, given)

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
        self._act("source", condition, action, given)

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
        table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        return WritePlan(
            verb="MERGE",
            resource=self._target.resource,
            actions=tuple(self._actions),
            source=found_rows(self._with + self._query(), self._target, names),
            place=self._target.place,
            returning=returning_of(tree, table, self._target.resource),
            reads_first=True,
            chooses=True,
        )

    def _query(self) -> str:
        """The rows of the source with their objects, and behind them the objects that no row has."""
        target = f"{self._target.resource.id} AS {self._alias}"
        queries = []
        if self._cases:
            joined = f"{self._rows} LEFT JOIN {target} ON {self._condition}"
            queries.append(f"SELECT {_selected(self._cases, [c for c, _ in self._columns])} FROM {joined}")
        if self._alone:
            where = f"NOT EXISTS (SELECT 1 FROM {self._rows} WHERE {self._condition})"
            if all(self._limits):  # which may be all that lets the objects be read
                where += f" AND ({' OR '.join(f'({limit})' for limit in self._limits)})"
            queries.append(
                f"SELECT {_selected(self._alone, [c for _, c in self._columns])} FROM {target} WHERE {where}"
            )
        return " UNION ALL ".join(queries)

    def _act(
        self, side: _Side, condition: str, action: Action, given: Sequence[str], current: tuple[int | None, ...] = ()
    ) -> None:
        self._decide(side, condition, str(len(self._actions)))
        current = tuple(None if n is None else n + action.first for n in current)
        self._actions.append(replace(action, current=current))
        self._columns += [("NULL", column) if side == "target" else (column, "NULL") for column in given]

    def _decide(self, side: _Side, condition: str, action: str) -> None:
        """Rows of a side that a condition holds for, and no earlier one, have this action."""
        if side == "target":
            self._alone.append(f"WHEN {condition or 'true'} THEN {action}")
            self._limits.append(condition)
            return
        present = f"{self._present()} IS {'NOT ' if side == 'both' else ''}NULL"
        self._cases.append(f"WHEN {present}{f' AND ({condition})' if condition else ''} THEN {action}")

    def _key_columns(self, keys: Sequence[Parameter]) -> list[str]:
        return [f"{self._alias}.{quoted(self._target.key_field(k))}" for k in keys]

    def _present(self) -> str:
        """A column that every object has, and no row without one."""
        resource = self._target.resource
        fields = [*resource.key, *(p.name for m in resource.methods for p in keys_of(m))]
        field = next((f for f in fields if resource.field(f) is not None), None)
        if field is None:
            raise NotSupportedError(f"the manifest says no key of {resource.id}", place=self._target.place)
        return f"{self._alias}.{quoted(field)}"


def _selected(cases: Sequence[str], columns: Sequence[str]) -> str:
    """The select list of a merge: the number of the action, then what the actions need."""
    return ", ".join([f"CASE {' '.join(cases)} END AS action", *(f"{c} AS x{i}" for i, c in enumerate(columns))])


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
