"""Random worlds: the same shapes of resource each time, with other rows, parameters, orders, pages and providers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.oracle.pages import PAGINGS
from tests.oracle.world import Filter, Method, Resource, Row, Sort, Table, World

#: Texts that serve as keys and as references to them, so that joins find partners.
KEYS = (
    "a", "b", "A", "é", "e\u0301", "x y", "a/b", "1", "01", "o'b", "%", "%2F", "ß", "c_d", "a?b#", "NULL", "日本",
    "👩‍👧", "a+b", "a&b=c", "[1]", '{"k":1}', '"q"', "\t", "ﬁ",
)  # fmt: skip
#: Texts that are equal as numbers.
NUMERALS = ("1", "01", "2", "002", "3", "10")
#: What no key can be, but what a reference may hold.
NO_KEYS = ("", ".", "..", "zz", "a ")
WHOLE = (0, 1, 2, 3, -1, 10, 2**53, 2**53 + 1, -(2**63), 2**63 - 1)
SMALL = (0, 1, 2, 3, 4, 7)
DECIMALS = ("0.0000", "1.5000", "-2.2500", "12345678901234.5678", "1.0000")
NUMBERS = (0.0, 0.5, -1.25, 1.0, 1e15)
DAYS = ("2026-02-28", "2026-03-01", "1969-12-31")
TIMES = ("2026-03-01T00:00:00Z", "2026-03-01T05:30:00+05:30", "2026-02-28T23:59:59.5-01:00", "1969-12-31T23:00:00Z")
OBJECTS: tuple[dict[str, Any], ...] = ({}, {"k": "a"}, {"k": None, "n": 1}, {"k": "é", "l": [1, 2]})
ARRAYS: tuple[list[Any], ...] = ([], ["a"], ["a", "b", None], [{"k": "a"}, {"k": 2**63}], [[1], []])


#: The types that a range parameter may bound.
_BOUNDED = {"integer", "date", "timestamp", "decimal(20,4)", "string"}


def _value(random: Random, type_: str, texts: Sequence[str], whole: Sequence[int]) -> Any:
    """A value of a field type that is no key: often a duplicate, NULL one time in six."""
    if random.random() < 0.17:
        return None
    match type_:
        case "string":
            # A text that is no number would make each comparison with a number fail.
            strange = random.random() < 0.15 and not set(texts) <= set(NUMERALS)
            return random.choice(NO_KEYS if strange else texts)
        case "integer":
            return random.choice(whole)
        case "number":
            return random.choice(NUMBERS)
        case "boolean":
            return random.random() < 0.5
        case "date":
            return random.choice(DAYS)
        case "timestamp":
            return random.choice(TIMES)
        case "object":
            return random.choice(OBJECTS)
        case "array":
            return random.choice(ARRAYS)
    return random.choice(DECIMALS)


def random_world(random: Random) -> World:
    """A world; equal generators give equal worlds."""
    make = _Maker(random)
    resources: tuple[Resource, ...] = (
        make.items(), make.people(), make.parts(), make.logs(), make.tags(), make.cells(), make.edges(), make.notes(),
        make.events(),
    )  # fmt: skip
    two = random.random() < 0.3
    paging = random.choice(tuple(PAGINGS))
    return World(
        tuple(
            replace(r, provider=random.choice("wv") if two else "w", twofold=bool(r.key) and random.random() < 0.3)
            for r in resources
        ),
        make.tables(),
        page=random.choice((1, 2, 3, 5, 100, 100)),
        strict=random.random() < 0.5,
        paging=paging,
    )


class _Maker:
    def __init__(self, random: Random) -> None:
        self._random = random
        # Few values, so that joins and filters find something.
        self._texts = random.sample(KEYS, 6) if random.random() < 0.85 else list(NUMERALS)
        self._whole = [*random.sample(SMALL, 4), *random.sample(WHOLE, 2)]

    def _keys(self, most: int = 6) -> list[str]:
        """Keys of some rows, now and then of none."""
        return self._random.sample(self._texts, self._random.choice((0, *range(2, most + 1), most)))

    def _numbers(self) -> list[int]:
        pool = sorted(set(self._whole))
        return self._random.sample(pool, self._random.randint(0, len(pool)))

    def _value(self, type_: str) -> Any:
        return _value(self._random, type_, self._texts, self._whole)

    def _row(self, fields: dict[str, str], **given: Any) -> Row:
        return {n: given[n] if n in given else self._value(t) for n, t in fields.items()}

    def _filters(self, fields: dict[str, str]) -> dict[str, Filter]:
        found = {}
        for name, type_ in fields.items():
            if type_ in ("string", "integer", "boolean") and self._random.random() < 0.5:
                hows = ("exact", "exact", "nocase", "lossy") if type_ == "string" else ("exact", "exact", "lossy")
                parameter = name if self._random.random() < 0.5 else f"by_{name}"
                found[parameter] = Filter(name, self._random.choice(hows))
        return found

    def _ranges(self, fields: dict[str, str]) -> dict[str, Filter]:
        """A parameter that bounds a field, for some of the fields."""
        found = {}
        for name, type_ in fields.items():
            if type_ in _BOUNDED and self._random.random() < 0.6:
                how = self._random.choice(("exact", "exact", "wide", "lossy"))
                found[f"{name}_bound"] = Filter(name, how, self._random.choice(("<", "<=", ">", ">=")))
        return found

    def _sort(self, fields: dict[str, str], share: float = 0.4) -> Sort | None:
        """The order of a list, now and then, by one of the fields."""
        sortable = [n for n, t in fields.items() if t not in ("object", "array", "boolean")]
        if self._random.random() >= share:
            return None
        return Sort(
            self._random.choice(sortable),
            self._random.choice(("order", "order", None)),
            self._random.choice(("asc", "desc")),
            self._random.choice(("first", "last")),
        )

    def items(self) -> Resource:
        """Listed whole, or one by its key."""
        fields = {
            "id": "string",
            "owner": "string",
            "s": "string",
            "n": "integer",
            "ok": "boolean",
            "price": "decimal(20,4)",
            "x": "number",
            "day": "date",
            "at": "timestamp",
            "meta": "object",
            "list": "array",
        }
        filters = self._filters({k: fields[k] for k in ("owner", "s", "n", "ok")})
        methods = (
            Method("get_item", "/items/{item_id}", False),
            Method("list_items", "/items", True, filters, sort=self._sort(fields)),
        )
        rows = tuple(self._row(fields, id=k) for k in self._keys())
        return Resource("items", fields, methods, {"id": "item_id"}, rows, hidden={})

    def people(self) -> Resource:
        """Objects that only their key finds."""
        fields = {"id": "string", "name": "string", "boss": "string", "age": "integer"}
        methods = (Method("get_person", "/people/{person_id}", False),)
        rows = tuple(self._row(fields, id=k) for k in self._keys())
        return Resource("people", fields, methods, {"id": "person_id"}, rows)

    def parts(self) -> Resource:
        """Children: listed under their item, or one by both keys."""
        fields = {"id": "string", "item_id": "string", "s": "string", "n": "integer", "person": "string"}
        filters = self._filters({"s": "string"}) | self._ranges({"n": "integer"})
        methods: tuple[Method, ...] = (
            Method("get_part", "/items/{item_id}/parts/{part_id}", False),
            Method("list_parts", "/items/{item_id}/parts", True, filters, sort=self._sort(fields)),
        )
        key = {"id": "part_id"}
        if self._random.random() < 0.3:
            methods, key = methods[1:], {}
        rows = tuple(self._row(fields, id=k, item_id=item) for item in self._keys(4) for k in self._keys(4))
        unsent = ("item_id",) if self._random.random() < 0.5 else ()
        return Resource("parts", fields, methods, key, rows, unsent=unsent)

    def logs(self) -> Resource:
        """Children of two keys that are parameters only."""
        fields = {"n": "integer", "s": "string", "at": "timestamp"}
        hidden = {"item_id": "string", "part_id": "string"}
        path, filters = "/items/{item_id}/parts/{part_id}/logs", self._filters({"n": "integer"})
        methods = (Method("list_logs", path, True, filters, sort=self._sort(fields)),)
        rows = tuple(
            self._row({**fields, **hidden}, item_id=item, part_id=part)
            for item in self._keys(4)
            for part in self._keys(4)
            for _ in range(self._random.choice((1, 1, 2)))
        )
        return Resource("logs", fields, methods, {}, rows, hidden=hidden)

    def tags(self) -> Resource:
        """Listed whole, or one by an integer key."""
        fields = {"id": "integer", "label": "string", "n": "integer", "parent": "integer", "ok": "boolean"}
        methods = (
            Method("list_tags", "/tags", True, self._filters({k: fields[k] for k in ("label", "parent", "ok")})),
            Method("get_tag", "/tags/{id}", False),
        )
        return Resource("tags", fields, methods, {}, tuple(self._row(fields, id=k) for k in self._numbers()))

    def cells(self) -> Resource:
        """Objects that only an integer key finds."""
        fields = {"id": "integer", "up": "integer", "s": "string", "ok": "boolean"}
        methods = (Method("get_cell", "/cells/{cell_id}", False),)
        rows = tuple(self._row(fields, id=k) for k in self._numbers())
        return Resource("cells", fields, methods, {"id": "cell_id"}, rows)

    def edges(self) -> Resource:
        """Lists that need a query parameter."""
        fields = {"src": "string", "dst": "string", "w": "integer"}
        query = {"src": Filter("src", "exact"), **self._filters({"w": "integer"})}
        methods = (Method("list_edges", "/edges", True, query, ("src",)),)
        rows = tuple(self._row(fields, src=s) for s in self._keys() for _ in range(self._random.choice((1, 2, 3))))
        return Resource("edges", fields, methods, {}, rows)

    def notes(self) -> Resource:
        """Listed whole; an optional parameter that is no field filters."""
        fields = {"id": "string", "s": "string", "n": "integer"}
        hidden = {"folder": "string"}
        methods = (Method("list_notes", "/notes", True, {"folder": Filter("folder", "exact")}),)
        rows = tuple(self._row({**fields, **hidden}, id=k) for k in self._keys())
        return Resource("notes", fields, methods, {}, rows, hidden=hidden)

    def events(self) -> Resource:
        """Listed whole, in the order of one of the fields, which may be bounded; more rows than one page has."""
        fields = {
            "id": "integer",
            "n": "integer",
            "at": "timestamp",
            "day": "date",
            "price": "decimal(20,4)",
            "s": "string",
            "kind": "string",
        }
        filters = self._ranges({k: t for k, t in fields.items() if k not in ("id", "kind")})
        filters |= self._filters({"kind": "string"})
        methods = (Method("list_events", "/events", True, filters, sort=self._sort(fields, 0.9)),)
        rows = tuple(self._row(fields, id=i) for i in range(self._random.choice((0, 4, 7, 12))))
        return Resource("events", fields, methods, {}, rows)

    def tables(self) -> tuple[Table, ...]:
        """Local tables whose columns refer to keys, some more than once, some to nothing."""
        random = self._random
        wanted = {"k": "string", "i": "integer", "v": "string", "ok": "boolean"}
        keys = [tuple(self._value(t) for t in wanted.values()) for _ in range(random.choice((0, 3, 5, 8)))]
        pairs = [
            tuple(self._value(t) for t in ("string", "string", "integer")) for _ in range(random.choice((2, 5, 9)))
        ]
        return (
            Table("keys", {"k": "VARCHAR", "i": "BIGINT", "v": "VARCHAR", "ok": "BOOLEAN"}, tuple(keys)),
            Table(
                "pairs",
                {"a": "VARCHAR", "b": "VARCHAR", "j": "INTEGER"},
                tuple((a, b, random.choice((None, *SMALL))) for a, b, _ in pairs),
            ),
        )
