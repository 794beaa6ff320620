"""Random SELECTs over a world's resources and local tables, most of them answerable."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import duckdb

from tests.oracle.compare import Case
from tests.oracle.terms import OPAQUE, OTHER, Columns, Rel, Terms
from tests.oracle.world import Resource, Table, View, World

_BACK = {"VARCHAR": "string", "BIGINT": "integer", "INTEGER": "integer", "BOOLEAN": "boolean"}


@dataclass(slots=True)
class Block:
    """FROM and WHERE of one SELECT while it grows."""

    sql: str = ""
    rels: list[Rel] = field(default_factory=list)
    #: Relations that need nothing (more): others may be bound from them.
    free: list[Rel] = field(default_factory=list)
    where: list[str] = field(default_factory=list)


class Statements(Terms):
    """Makes statements; `random` decides everything."""

    def __init__(self, random: Random, world: World) -> None:
        super().__init__(random, world)
        self._aliases = 0
        self._bound = True
        self._views: list[Rel] = []
        #: Whether a local table may be read from a file; views are made where there is none.
        self._files = True

    def case(self) -> Case:
        """The next statement."""
        self._aliases, self._bound, self._values = 0, True, {}
        self._parametrised = self._chance(0.25)
        sql = self._statement()
        if not self._values:
            return Case(sql, None, self._bound)
        if self._chance(0.5):
            used = re.findall(r"\$(p\d+)\b", sql)
            return Case(re.sub(r"\$p\d+\b", "?", sql), [self._values[n] for n in used], self._bound)
        return Case(sql, {n: v for n, v in self._values.items() if re.search(rf"\${n}\b", sql)} or None, self._bound)

    def predicate(self, resource: Resource, alias: str) -> str:
        """A predicate on one resource, without subqueries and parameters."""
        self._parametrised = False
        return self._predicate([Rel(alias, dict(resource.fields))], [], {}, 0, 2)

    def _alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    # -- statements --------------------------------------------------------------------------------

    def views(self) -> tuple[View, ...]:
        """A few views: some stand alone, some leave the binding to the statement that names them."""
        views = []
        self._files = False
        for name in ("v1", "v2")[: self._random.choice((0, 1, 2))]:
            self._aliases, self._values, self._parametrised = 0, {}, False
            passed = self._passing() if self._chance(0.6) else None
            body, columns, needs = passed or (*self._select([], {}, 1), ())
            with self._world.plain() as duck:
                try:
                    duck.execute(f"CREATE VIEW {name} AS {body}")
                except duckdb.Error:
                    continue  # DuckDB cannot run every subquery
            self._views.append(Rel(name, columns, needs))
            views.append(View(name, body))
        self._files = True
        return tuple(views)

    def _statement(self) -> str:
        if self._chance(0.15):
            return self._top()[0] if self._chance(0.6) else self._outer_top()
        ctes: dict[str, Rel] = {v.alias: v for v in self._views}
        parts = []
        recursive = False
        for _ in range(self._random.choice((0, 0, 0, 0, 1, 1, 2))):
            name = f"c{len(ctes) - len(self._views) + 1}"
            if self._chance(0.3):
                recursive = True
                body, columns = self._walk(name)
                parts.append(f"{name}({', '.join(columns)}) AS ({body})")
                ctes[name] = Rel(name, columns)
                continue
            passed = self._passing() if self._chance(0.35) else None
            if passed is not None:
                body, columns, needs = passed
            else:
                body, columns = self._top(total=True) if self._chance(0.25) else self._select([], ctes, 1)
                body += (
                    self._order(columns, always_total=True) if " ORDER BY " not in body and self._chance(0.2) else ""
                )
                needs = ()
            mark = self._one(("", "", "", "MATERIALIZED ", "NOT MATERIALIZED "))
            if self._chance(0.2):
                renamed = {n: f"{name}x{i}" for i, n in enumerate(columns)}
                columns = {renamed[n]: t for n, t in columns.items()}
                needs = tuple(frozenset(renamed[n] for n in need) for need in needs)
                parts.append(f"{name}({', '.join(columns)}) AS {mark}({body})")
            else:
                parts.append(f"{name} AS {mark}({body})")
            ctes[name] = Rel(name, columns, needs)
        body, columns = self._query([], ctes, self._one((1, 1, 2)))
        body += self._order(columns)
        if not parts:
            return body
        if not recursive and self._chance(0.3):
            parts, body = self._hiding(parts, body)
        return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(parts)} {body}"

    def _hiding(self, parts: list[str], body: str) -> tuple[list[str], str]:
        """The CTEs and the query with one CTE called as a local table is that only the CTE itself reads, if any."""
        number = self._random.randrange(len(parts))
        cte = parts[number].split("(")[0].split(" ")[0]
        named = re.compile(rf"\b{self._one([t.name for t in self._world.tables])}\b")
        rest = [*parts[:number], *parts[number + 1 :], body]
        if any(named.search(text) for text in rest):
            return parts, body
        name = named.pattern.strip("\\b")
        called = [re.sub(rf"\b{cte}\b", name, text) for text in (*parts, body)]
        return called[:-1], called[-1]

    def _top(self, total: bool = False) -> tuple[str, Columns]:
        """The first rows of one resource, in an order that its API may have; `total` leaves nothing to chance."""
        listed = [r for r in self._world.resources if r.name in ("events", "events", "items", "parts", "tags", "logs")]
        resource = self._one(sorted(listed, key=lambda r: r.name == "events")[-1:] * 3 + listed)
        rel = self._relation(resource, self._alias() if self._chance(0.8) else resource.name)
        sort = next((m.sort for m in resource.methods if m.sort is not None), None)
        names = [n for n, t in rel.columns.items() if t not in (*OPAQUE, "boolean")]
        first = sort.field if sort is not None and self._chance(0.8) else self._one(names)
        keys = [first, *([self._one(names)] if self._chance(0.3) else [])]
        shown = list(dict.fromkeys([*keys, self._one(names), self._one(names)]))
        self._random.shuffle(shown)
        if total:
            keys = list(dict.fromkeys([*keys, *shown]))
        where = self._bind(rel, [], [], {}, 0) if rel.needs else []
        bounded = [f.field for m in resource.methods for f in m.query.values() if f.operator != "="]
        where += [self._range(rel, self._one((first, first, *bounded))) for _ in range(self._one((0, 0, 1, 1, 2)))]
        where += [self._simple([rel]) for _ in range(self._one((0, 0, 0, 1)))]
        order = []
        nulls = ("", "", " NULLS LAST", " NULLS FIRST")
        for key in keys:
            bare = key if key != "at" else rel.ref(key)  # a keyword
            spelt = self._one((rel.ref(key), bare, f"o{shown.index(key) + 1}", str(shown.index(key) + 1)))
            order.append(f"{spelt}{self._one(('', ' ASC', ' DESC'))}{self._one(nulls)}")
        items = ", ".join(f"{rel.ref(n)} AS o{i}" for i, n in enumerate(shown, 1))
        sql = f"SELECT {items} FROM {resource.id} AS {rel.alias}"
        sql += f" WHERE {' AND '.join(where)}" if where else ""
        sql += f" ORDER BY {', '.join(order)}" if total or self._chance(0.85) else ""
        if self._chance(0.1):
            return sql + f" FETCH FIRST {self._one((1, 2, 3))} ROWS ONLY", {
                f"o{i}": rel.columns[n] for i, n in enumerate(shown, 1)
            }
        sql += f" LIMIT {self._literal_number((0, 1, 1, 2, 3, 5))}" if self._chance(0.85) else ""
        sql += f" OFFSET {self._literal_number((0, 1, 2))}" if self._chance(0.3) else ""
        return sql, {f"o{i}": rel.columns[n] for i, n in enumerate(shown, 1)}

    def _outer_top(self) -> str:
        """The first rows of a query around the first rows of a resource, or around all of them."""
        body, columns = self._top(total=True)
        if self._chance(0.4):
            body = re.sub(r" ORDER BY .*", "", body)
        if " LIMIT " not in body and " OFFSET " not in body and self._chance(0.5):
            # Around the LIMIT, so that its rows are compared and not only counted.
            return f"SELECT * FROM (SELECT * FROM ({body}) AS q LIMIT {self._literal_number((1, 2, 3))}) AS r"
        rel = Rel("q", dict(columns))
        items = [rel.ref(n) for n in columns]
        self._random.shuffle(items)
        kept = items[: self._one((1, 2, len(items)))]
        where = [self._range(rel, n) for n in columns if columns[n] not in OPAQUE and self._chance(0.2)]
        where += [self._simple([rel])] if self._chance(0.2) else []
        sql = f"SELECT {self._one(('', '', '', 'DISTINCT '))}{', '.join(f'{k} AS a{i}' for i, k in enumerate(kept))}"
        how = self._random.random()
        if how < 0.6:
            sql += f" FROM ({body}) AS q"
        elif how < 0.8:
            sql = f"WITH q AS ({body}) {sql} FROM q"
        else:
            other = self._random.choice(list(columns))
            sql += (
                f" FROM ({body}) AS q {self._one(('JOIN', 'LEFT JOIN'))} keys AS k ON k.k = CAST(q.{other} AS VARCHAR)"
            )
        sql += f" WHERE {' AND '.join(where)}" if where else ""
        nulls = ("", " DESC", " NULLS FIRST")
        order = [f"a{i}{self._one(nulls)}" for i in range(len(kept))]
        self._random.shuffle(order)
        limit = f" LIMIT {self._literal_number((1, 2, 3))}" if self._chance(0.7) else ""
        return f"{sql} ORDER BY {', '.join(order)}{limit}"

    def _order(self, columns: Columns, always_total: bool = False) -> str:
        limit = f" LIMIT {self._random.choice((0, 1, 2, 3, 5))}" + (
            f" OFFSET {self._random.choice((0, 1, 2))}" if self._chance(0.4) else ""
        )
        if not always_total and self._chance(0.5):
            return limit if self._chance(0.3) else ""
        numbers = list(range(1, len(columns) + 1))
        self._random.shuffle(numbers)
        keys = [
            f"{n}{self._one(('', ' ASC', ' DESC'))}{self._one(('', ' NULLS FIRST', ' NULLS LAST'))}" for n in numbers
        ]
        return f" ORDER BY {', '.join(keys)}" + (limit if always_total or self._chance(0.5) else "")

    def _query(
        self, outer: list[Rel], ctes: dict[str, Rel], depth: int, want: Sequence[str] | None = None
    ) -> tuple[str, Columns]:
        """A SELECT, or a set operation of several."""
        if depth > 0 and self._chance(0.15):
            types = list(
                want or [self._one(("string", "string", "integer", "boolean")) for _ in range(self._one((1, 2)))]
            )
            left, columns = self._select(outer, ctes, depth - 1, types)
            right, _ = self._select(outer, ctes, depth - 1, types)
            operator = self._one(
                ("UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL")
            )
            return f"({left}) {operator} ({right})" if self._chance(0.3) else f"{left} {operator} {right}", columns
        return self._select(outer, ctes, depth, want)

    def _select(
        self, outer: list[Rel], ctes: dict[str, Rel], depth: int, want: Sequence[str] | None = None
    ) -> tuple[str, Columns]:
        block = self._block(outer, ctes, depth)
        predicates = [*block.where]
        predicates += [
            self._predicate(block.rels, outer, ctes, depth, 2) for _ in range(self._random.choice((0, 0, 0, 1, 1, 2)))
        ]
        self._random.shuffle(predicates)
        tail = f" FROM {block.sql}" + (f" WHERE {' AND '.join(f'{p}' for p in predicates)}" if predicates else "")
        if want is None and self._chance(0.08) and all(r.star for r in block.rels):
            names = [n for r in block.rels for n in r.columns]
            if len({n.lower() for n in names}) == len(names):
                return f"SELECT *{tail}", {n: t for r in block.rels for n, t in r.columns.items()}
        if want is None and self._chance(0.25):
            return self._grouped(block, outer, tail)
        items: list[str] = []
        columns: Columns = {}
        for type_ in want or ("",) * self._random.choice((1, 2, 2, 3)):
            sql, found = self._output(block.rels, outer, ctes, depth, type_)
            name = f"o{len(columns) + 1}"
            items.append(f"{sql} AS {name}")
            columns[name] = found
        distinct = "DISTINCT " if self._chance(0.15) else ""
        qualify = ""
        if self._chance(0.05):
            qualify = f" QUALIFY rank() OVER ({self._window(block.rels)}) <= {self._one((1, 2))}"
        elif self._chance(0.03):
            qualify = f" QUALIFY count(*) OVER (PARTITION BY {self._column(block.rels)[0]}) {self._one(('=', '>'))} 1"
        if self._chance(0.05):
            source, where, rest = tail.partition(" WHERE ")
            return f"{source.strip()} SELECT {distinct}{', '.join(items)}{where}{rest}{qualify}", columns
        return f"SELECT {distinct}{', '.join(items)}{tail}{qualify}", columns

    def _grouped(self, block: Block, outer: list[Rel], tail: str) -> tuple[str, Columns]:
        keys = [self._column(block.rels) for _ in range(self._random.choice((0, 1, 1, 2)))]
        items: list[str] = []
        columns: Columns = {}
        for sql, type_ in keys:
            name = f"o{len(columns) + 1}"
            items.append(f"{sql} AS {name}")
            columns[name] = type_
        for _ in range(self._random.choice((1, 1, 2))):
            sql, type_ = self._aggregate(block.rels)
            name = f"o{len(columns) + 1}"
            items.append(f"{sql} AS {name}")
            columns[name] = type_
        group = f" GROUP BY {', '.join(k for k, _ in keys)}" if keys else ""
        if keys and self._chance(0.15):
            group = f" GROUP BY {self._one(('ROLLUP', 'CUBE'))} ({', '.join(k for k, _ in keys)})"
        if len(keys) == 2 and self._chance(0.1):
            group = f" GROUP BY GROUPING SETS (({keys[0][0]}), ({keys[1][0]}), ())"
        elif keys and self._chance(0.1):
            group = " GROUP BY ALL"
        having = f" HAVING count(*) {self._one(('>', '>=', '='))} {self._one((0, 1, 2))}" if self._chance(0.25) else ""
        return f"SELECT {', '.join(items)}{tail}{group}{having}", columns

    def _aggregate(self, rels: list[Rel]) -> tuple[str, str]:
        filtered = f" FILTER (WHERE {self._simple(rels)})" if self._chance(0.15) else ""
        column, type_ = self._column(rels)
        choices = [("count(*)", "integer"), (f"count({column})", "integer"), (f"count(DISTINCT {column})", "integer")]
        if type_ in ("string", "integer", "date", "timestamp", "decimal(20,4)"):
            choices += [(f"min({column})", type_), (f"max({column})", type_)]
        if type_ in ("integer", "decimal(20,4)"):
            choices += [(f"sum({column})", OTHER)]
        if type_ == "string":
            choices += [(f"string_agg({column}, '|' ORDER BY {column})", "string")]
        if type_ == "boolean":
            choices += [(f"bool_or({column})", "boolean"), (f"bool_and({column})", "boolean")]
        sql, found = self._one(choices)
        return sql + filtered, found

    def _window(self, rels: list[Rel]) -> str:
        partition = f"PARTITION BY {self._column(rels)[0]} " if self._chance(0.5) else ""
        return f"{partition}ORDER BY {self._column(rels)[0]}{self._one(('', ' DESC', ' NULLS FIRST'))}"

    def _output(
        self, rels: list[Rel], outer: list[Rel], ctes: dict[str, Rel], depth: int, want: str
    ) -> tuple[str, str]:
        if not want:
            if self._chance(0.08):
                function = self._one(("rank()", "dense_rank()", "count(*)"))
                return f"{function} OVER ({self._window(rels)})", "integer"
            if depth > 0 and self._chance(0.1):
                return self._scalar(rels + outer, ctes, depth - 1, None)
            if self._chance(0.1):
                return self._simple(rels), "boolean"
            if self._chance(0.1):
                sql, type_ = self._column(rels)
                return (f"coalesce({sql}, {self._literal(type_)})", type_) if type_ not in OPAQUE else (sql, type_)
            return self._column(rels)
        found = self._columns(rels, want) or self._columns(outer, want)
        if not found or self._chance(0.05):
            return f"{self._literal(want, nullable=True)}", want
        return self._one(found), want

    # -- FROM --------------------------------------------------------------------------------------

    def _block(self, outer: list[Rel], ctes: dict[str, Rel], depth: int) -> Block:
        block = Block()
        sql, rel = self._source(block, outer, ctes, depth)
        block.sql = sql
        self._enter(block, rel)
        for _ in range(self._random.choice((0, 0, 0, 1, 1, 2)) if depth > 0 else self._random.choice((0, 0, 0, 1))):
            self._join(block, outer, ctes, depth)
        for rel in block.rels:
            if rel.needs and rel not in block.free:
                kept = not re.search("LEFT|RIGHT|FULL", block.sql)
                block.where += self._bind(rel, block.free, outer, ctes, depth, kept)
                block.free.append(rel)
        return block

    @staticmethod
    def _enter(block: Block, rel: Rel) -> None:
        block.rels.append(rel)
        if not rel.needs:
            block.free.append(rel)

    def _join(self, block: Block, outer: list[Rel], ctes: dict[str, Rel], depth: int) -> None:
        kind = self._one(
            (
                "INNER",
                "INNER",
                "INNER",
                "LEFT",
                "LEFT",
                "LEFT",
                ",",
                "CROSS",
                "RIGHT",
                "FULL",
                "SEMI",
                "ANTI",
                "USING",
                "NATURAL",
                "LATERAL",
            )
        )
        if kind == "LATERAL" and depth > 0:
            alias = self._alias()
            body, columns = self._select(block.rels + outer, ctes, depth - 1)
            if self._chance(0.4):
                body += self._order(columns, always_total=True)
            how = self._one((",", "CROSS JOIN", "LEFT JOIN"))
            word = self._one(("LATERAL ", "LATERAL ", ""))
            block.sql += f" {how} {word}({body}) AS {alias}{' ON true' if how == 'LEFT JOIN' else ''}"
            # What depends on a relation that is not bound yet cannot bind it.
            block.rels.append(Rel(alias, columns))
            if all(r in block.free for r in block.rels[:-1]):
                block.free.append(block.rels[-1])
            return
        sql, rel = self._source(block, outer, ctes, depth)
        if kind in (",", "CROSS", "LATERAL"):
            block.sql += f", {sql}" if kind == "," else f" CROSS JOIN {sql}"
            self._enter(block, rel)
            return
        if kind == "NATURAL" and self._natural(block, sql, rel):
            return
        if kind == "USING":
            shared = [
                n
                for n, t in rel.columns.items()
                if t not in OPAQUE
                and sum(n in r.columns for r in block.rels) == 1
                and n not in rel.constant
                and any(r.columns.get(n) == t and n not in r.constant for r in block.rels)
            ]
            if shared:
                name = self._one(shared)
                how = self._one(("INNER", "LEFT", "LEFT", "RIGHT", "FULL"))
                block.sql += f' {how} JOIN {sql} USING ("{name}")'
                left = next(r for r in block.rels if name in r.columns)
                if rel.needs and frozenset([name]) in rel.needs and how in ("INNER", "LEFT") and left in block.free:
                    rel = Rel(rel.alias, rel.columns, (), rel.constant, rel.star)
                self._enter(block, Rel(rel.alias, rel.columns, rel.needs, rel.constant, star=False))
                return
        if kind in ("USING", "NATURAL"):
            kind = "INNER"
        on: list[str] = []
        bound = not rel.needs
        if rel.needs and (kind in ("SEMI", "ANTI") or (kind in ("INNER", "LEFT") and self._chance(0.8))):
            on += self._bind(rel, block.free, outer, ctes, depth)
            bound = True
        elif kind in ("INNER", "RIGHT") and bound and self._chance(0.6):
            for left in block.rels:
                if left.needs and left not in block.free:
                    on += self._bind(left, [rel, *block.free], [], ctes, depth)
                    block.free.append(left)
        if not on or self._chance(0.2):
            on.append(self._match(block.rels, rel))
        if self._chance(0.2):
            on.append(self._simple([*block.rels, rel]))
        self._random.shuffle(on)
        block.sql += f" {kind} JOIN {sql} ON {' AND '.join(on)}"
        if kind in ("SEMI", "ANTI"):
            return
        block.rels.append(rel)
        if bound:
            block.free.append(rel)

    def _natural(self, block: Block, sql: str, rel: Rel) -> bool:
        """Join a relation by its columns of the same names, where their types allow that."""
        if rel.constant or len(block.rels) != 1 or block.rels[0].constant:
            return False
        (left,) = block.rels
        if not (left.star and rel.star):
            return False  # no parameter that is no field is compared
        shared = left.columns.keys() & rel.columns.keys()
        if not shared or any(left.columns[n] != rel.columns[n] or left.columns[n] in OPAQUE for n in shared):
            return False
        if left.needs or (rel.needs and not any(need <= shared for need in rel.needs)):
            return False
        how = self._one(("", "LEFT ") if rel.needs else ("", "LEFT ", "RIGHT ", "FULL "))
        block.sql += f" NATURAL {how}JOIN {sql}"
        # What the join has merged is called by its bare name, which `Rel` does not know.
        left.columns = {n: t for n, t in left.columns.items() if n not in shared} or {"rowid_": OTHER}
        rest = {n: t for n, t in rel.columns.items() if n not in shared} or {"rowid_": OTHER}
        left.star = False
        self._enter(block, Rel(rel.alias, rest, (), star=False))
        return True

    def _match(self, left: list[Rel], right: Rel) -> str:
        """An equality between two sides where types allow."""
        pairs = [
            (a, right.ref(n))
            for n, t in right.columns.items()
            if t not in (*OPAQUE, "number") and n not in right.constant
            for a in self._columns(left, t)
        ]
        if not pairs:
            return "1 = 1"
        a, b = self._one(pairs)
        return f"{a} = {b}" if self._chance(0.8) else f"{b} = {a}"

    def _source(self, block: Block, outer: list[Rel], ctes: dict[str, Rel], depth: int) -> tuple[str, Rel]:
        if ctes and self._chance(0.45):
            found = ctes[self._one(list(ctes))]
            alias = self._alias()
            return f"{found.alias} AS {alias}", Rel(alias, found.columns, found.needs)
        pick = self._random.random()
        if pick < 0.1 and depth > 0:
            alias = self._alias()
            body, columns = self._top(total=True) if self._chance(0.4) else self._query([], ctes, depth - 1)
            if " ORDER BY " not in body and self._chance(0.25):
                body += self._order(columns, always_total=True)
            return f"({body}) AS {alias}", Rel(alias, columns)
        if pick < 0.18:
            passed = self._passing()
            if passed is not None:
                body, columns, needs = passed
                alias = self._alias()
                return f"({body}) AS {alias}", Rel(alias, columns, needs)
        if pick < 0.35:
            table = self._one(self._world.tables)
            alias = self._alias()
            return f"{self._local(table)} AS {alias}", Rel(alias, {n: _BACK[t] for n, t in table.columns.items()})
        if pick < 0.4:
            alias = self._alias()
            rows = ", ".join(
                f"({self._literal('string', nullable=True)}, {self._literal('integer', nullable=True)})"
                for _ in range(self._one((1, 2, 3)))
            )
            return f"(VALUES {rows}) AS {alias}(k, i)", Rel(alias, {"k": "string", "i": "integer"})
        resource = self._one(self._world.resources)
        taken = {r.alias for r in (*block.rels, *outer)}
        if resource.name not in taken and self._chance(0.15):
            alias = resource.name
            sql = f"{resource.id}"
        else:
            alias = self._alias()
            sql = f"{resource.id} {self._one(('', 'AS '))}{alias}"
        return sql, self._relation(resource, alias)

    def _local(self, table: Table) -> str:
        """A local table, or a file or data frame with its rows."""
        if not self._files or self._chance(0.6):
            return table.name
        return self._one(tuple(table.sources))

    def _relation(self, resource: Resource, alias: str) -> Rel:
        needs, constant = _needs(resource), frozenset[str]()
        columns = dict(resource.columns)
        if resource.name == "notes":
            if self._chance(0.4):
                constant = frozenset(["folder"])
                needs = (constant,)
            else:
                del columns["folder"]
        return Rel(alias, columns, needs, constant, star=not resource.hidden and not resource.twofold)

    def _passing(self) -> tuple[str, Columns, tuple[frozenset[str], ...]] | None:
        """A query over one keyed resource that leaves the binding to whoever reads it."""
        resource = self._one(
            [r for r in self._world.resources if r.name in ("people", "parts", "cells", "edges", "logs")]
        )
        alias = self._alias()
        rel = self._relation(resource, alias)
        need = rel.needs[-1]
        kept = [n for n in rel.columns if n in need or self._chance(0.5)]
        rename = self._chance(0.3)
        names = {n: f"{n}_" if rename else n for n in kept}
        columns = {names[n]: rel.columns[n] for n in kept}
        items = ", ".join(f"{rel.ref(n)}{f' AS {names[n]}' if rename else ''}" for n in kept)
        where = f" WHERE {self._simple([rel])}" if self._chance(0.3) else ""
        needs = (frozenset(names[n] for n in need),)
        pick = self._random.random()
        if pick < 0.15 and rel.star:
            return f"SELECT * FROM {resource.id} AS {alias}{where}", dict(rel.columns), rel.needs[-1:]
        if pick < 0.3:
            keys = sorted(need)
            shown = ", ".join(f"{rel.ref(n)} AS {names[n]}" for n in keys)
            sql = f"SELECT {shown}, count(*) AS many FROM {resource.id} AS {alias}{where} GROUP BY "
            sql += ", ".join(rel.ref(n) for n in keys)
            return sql, {**{names[n]: rel.columns[n] for n in keys}, "many": "integer"}, needs
        distinct = "DISTINCT " if pick < 0.4 else ""
        sql = f"SELECT {distinct}{items} FROM {resource.id} AS {alias}{where}"
        if pick > 0.85:
            other = self._alias()
            second = Rel(other, rel.columns)
            listed = ", ".join(second.ref(n) for n in kept)
            sql += f" {self._one(('UNION ALL', 'UNION', 'EXCEPT'))} SELECT {listed} FROM {resource.id} AS {other}"
            sql += f" WHERE {self._simple([second])}"
        return sql, columns, needs

    def _walk(self, name: str) -> tuple[str, Columns]:
        """The body of a recursive CTE that follows references, to a bound depth."""
        resource, key, up = self._one(
            (
                ("people", "id", "boss"),
                ("cells", "id", "up"),
                ("edges", "src", "dst"),
                ("tags", "id", "parent"),
                ("items", "id", "owner"),
            )
        )
        type_ = "integer" if resource in ("cells", "tags") else "string"
        table = self._world.resource(resource).id
        union = self._one(("UNION ALL", "UNION"))
        depth = self._one((1, 2, 3))
        # DuckDB takes the column's type from the start, and would call a small literal an INTEGER.
        start = f"CAST({self._literal(type_)} AS {'VARCHAR' if type_ == 'string' else 'BIGINT'})"
        local = self._chance(0.4)
        if local:
            base = (
                f"SELECT {'k' if type_ == 'string' else 'i'}, 0 FROM keys"
                if self._chance(0.6)
                else f"SELECT {start}, 0"
            )
        else:
            base = f"SELECT a.{up}, 0 FROM {table} a WHERE a.{key} = {start}"
        step = self._one(
            (
                f"SELECT b.{up}, r.depth + 1 FROM {name} r JOIN {table} b ON b.{key} = r.k WHERE r.depth < {depth}",
                f"SELECT b.{up}, r.depth + 1 FROM {table} b JOIN {name} r ON b.{key} = r.k AND r.depth < {depth}",
                f"SELECT b.{up}, r.depth + 1 FROM {name} r, {table} b WHERE r.depth < {depth} AND r.k = b.{key}",
            )
        )
        return f"{base} {union} {step}", {"k": type_, "depth": "integer"}

    # -- bindings ----------------------------------------------------------------------------------

    def _bind(
        self, rel: Rel, free: list[Rel], outer: list[Rel], ctes: dict[str, Rel], depth: int, kept: bool = True
    ) -> list[str]:
        """Conjuncts that bind one of a relation's needs; it is not `kept` where they stand behind an outer join."""
        need = sorted(self._one(rel.needs))
        if len(need) == 2 and kept and depth > 0 and not rel.constant & set(need) and self._chance(0.15):
            body, _ = self._select([], ctes, depth - 1, [rel.columns[n] for n in need])
            return [f"({', '.join(rel.ref(n) for n in need)}) IN ({body})"]
        if len(need) == 2 and self._chance(0.15):
            # With a parameter in each place, all might be NULL, and NULL equals NULL in rows: see LEFT JOIN.
            parametrised, self._parametrised = self._parametrised, False
            rows = ", ".join(
                f"({', '.join(self._literal(rel.columns[n]) for n in need)})" for _ in range(self._one((1, 2, 3)))
            )
            self._parametrised = parametrised
            return [f"({', '.join(rel.ref(n) for n in need)}) IN ({rows})"]
        return [self._bound_column(rel, n, free, outer, ctes, depth, kept) for n in need]

    def _bound_column(
        self, rel: Rel, name: str, free: list[Rel], outer: list[Rel], ctes: dict[str, Rel], depth: int, kept: bool
    ) -> str:
        column, type_ = rel.ref(name), rel.columns[name]
        literal: Callable[[], str] = lambda: self._literal(type_)  # noqa: E731 -- a short name for what follows
        constants = [
            lambda: f"{column} = {literal()}",
            lambda: f"{literal()} = {column}",
            lambda: f"{column} IN ({self._list(type_)})",
        ]
        if name in rel.constant:
            return self._one(constants)()
        sources = [*constants]
        near, far = self._columns(free, type_), self._columns(outer, type_)
        for _ in range(4):
            if near:
                sources.append(lambda: f"{column} = {self._one(near)}")
            if far:
                sources.append(lambda: f"{self._one(far)} = {column}")
        if near or far:
            some = self._one(near or far)
            sources += [
                lambda: f"({column} = {some} OR {column} = {literal()})",
                lambda: f"{column} IN ({some}, {literal()})",
                lambda: f"{column} = coalesce({some}, {literal()})",
                lambda: f"{column} = CASE WHEN {some} IS NULL THEN {literal()} ELSE {some} END",
            ]
            if kept:
                sources += [
                    lambda: f"{column} IS NOT DISTINCT FROM {some}",
                    lambda: f"NOT ({some} IS DISTINCT FROM {column})",
                ]
        sources += [
            lambda: f"({column} = {literal()} OR {column} = {literal()} AND {self._simple([rel])})",
            lambda: f"({column} = {literal()} AND {column} IN ({literal()}, {literal()}))",
            lambda: f"{column} = {self._one(('ANY', 'SOME'))}([{literal()}, {literal()}])",
            lambda: f"({column} = {literal()} AND {self._simple([rel])})",
            lambda: self._disguised([f"{column} = {literal()}"]),
        ]
        if depth > 0:
            inner: Callable[[], str] = lambda: self._select(  # noqa: E731
                [], ctes, depth - 1, [type_]
            )[0]
            sources += [
                lambda: f"{column} IN ({inner()})",
                lambda: f"{column} IN ({inner()})",
                lambda: f"{column} = ANY({inner()})",
                lambda: f"{column} = {self._scalar([], ctes, depth - 1, type_)[0]}",
            ]
        return self._one(sources)()

    def _scalar(self, outer: list[Rel], ctes: dict[str, Rel], depth: int, type_: str | None) -> tuple[str, str]:
        if type_ is None and self._chance(0.4):
            block = self._block(outer, ctes, depth)
            where = f" WHERE {' AND '.join(block.where)}" if block.where else ""
            return f"(SELECT count(*) FROM {block.sql}{where})", "integer"
        wanted = type_ or self._one(("string", "integer"))
        body, _ = self._select(outer, ctes, depth, [wanted])
        if self._chance(0.6):
            return f"(SELECT {self._one(('min', 'max'))}(q.o1) FROM ({body}) AS q)", wanted
        return f"({body} ORDER BY 1 {self._one(('ASC', 'DESC'))} LIMIT 1)", wanted

    # -- predicates --------------------------------------------------------------------------------

    def _predicate(self, rels: list[Rel], outer: list[Rel], ctes: dict[str, Rel], depth: int, nesting: int) -> str:
        pick = self._random.random()
        if nesting and pick < 0.3:
            a = self._predicate(rels, outer, ctes, depth, nesting - 1)
            if pick < 0.06:
                return f"NOT ({a})"
            b = self._predicate(rels, outer, ctes, depth, nesting - 1)
            if pick < 0.1:
                return self._one(
                    (f"NOT (NOT ({a}) OR NOT ({b}))", f"NOT (NOT ({a}) AND NOT ({b}))", f"NOT ({a} OR {b})")
                )
            return f"({a} {'OR' if pick < 0.2 else 'AND'} {b})"
        if depth > 0 and pick < 0.5:
            column, type_ = self._column(rels)
            scope = rels + outer
            if self._chance(0.1):
                other, also = self._column(rels)
                body, _ = self._select(self._one(([], scope)), ctes, depth - 1, [type_, also])
                return f"({column}, {other}) {self._one(('', '', 'NOT '))}IN ({body})"
            match self._random.randrange(6):
                case 0 | 1:
                    body, _ = self._select(scope, ctes, depth - 1, ["string"])
                    return f"{self._one(('', 'NOT '))}EXISTS ({body})"
                case 2 | 3:
                    body, _ = self._select(self._one(([], scope)), ctes, depth - 1, [type_])
                    return f"{column} {self._one(('', 'NOT '))}IN ({body})"
                case 4 if type_ != "boolean":
                    body, _ = self._select([], ctes, depth - 1, [type_])
                    return f"{column} {self._one(('=', '<>', '>', '<='))} {self._one(('ANY', 'ALL'))} ({body})"
            sql, type_ = self._scalar(self._one(([], scope)), ctes, depth - 1, None)
            return f"{sql} {self._one(('=', '<>', '>', 'IS DISTINCT FROM'))} {self._literal(type_)}"
        return self._simple(rels + (outer if self._chance(0.2) else []))


def _needs(resource: Resource) -> tuple[frozenset[str], ...]:
    """The columns that must be bound; none when one method lists everything."""
    found = []
    for method in resource.methods:
        parameters = [s[1:-1] for s in method.path.split("/") if s.startswith("{")] + list(method.required)
        found.append(frozenset(resource.column(p) for p in parameters))
    return () if frozenset() in found else tuple(found)
