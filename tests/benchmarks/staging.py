"""Page bodies to typed rows: the staged table against other ways, as ratios of CPU time within one run.

    python -m tests.benchmarks.staging [pages]

The measure, 1.00, is DuckDB's own typed parse of the same bytes, unchecked, in the fastest form of it that
was found. "exact" says whether a way keeps every value or refuses it; see docs/staging.md.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import msgspec

from provider.catalog.types import FieldType
from provider.engine.staging import BATCH_BYTES, Column, Page, Stage

FIELDS = {
    "id": "string",
    "object": "string",
    "created_at": "integer",
    "assistant_id": "string",
    "thread_id": "string",
    "run_id": "string",
    "role": "string",
    "content": "array",
    "attachments": "array",
    "metadata": "object",
}
PROJECTIONS = {"10 columns": tuple(FIELDS), "2 columns": ("id", "created_at"), "count(*)": ()}
ROWS_PER_PAGE = 100
Insert = Callable[[list[bytes]], object]
PAGES = "(SELECT unnest($1::BLOB[]) AS u)"


def message_pages(count: int) -> list[bytes]:
    """Bodies of a list of messages, 37 kB each."""
    chance = random.Random(1)

    def message(n: int) -> dict[str, object]:
        text = {"value": f"Caf\u00e9 {chance.random()} number {n}\nand a second line", "annotations": []}
        return {
            "id": f"msg_{n:024d}",
            "object": "thread.message",
            "created_at": 1_700_000_000 + n,
            "assistant_id": f"asst_{n % 50:024d}" if n % 2 else None,
            "thread_id": f"thread_{n // ROWS_PER_PAGE:024d}",
            "run_id": f"run_{chance.randrange(10**9):024d}" if n % 2 else None,
            "role": "assistant" if n % 2 else "user",
            "content": [{"type": "text", "text": text}],
            "attachments": [],
            "metadata": {"k": str(n)},
        }

    def page(k: int) -> bytes:
        data = [message(n) for n in range(k * ROWS_PER_PAGE, (k + 1) * ROWS_PER_PAGE)]
        return json.dumps({"object": "list", "data": data, "has_more": True}, separators=(",", ":")).encode()

    return [page(k) for k in range(count)]


def duckdb_type(name: str) -> str:
    return FieldType(FIELDS[name]).duckdb


def structure(names: Sequence[str], leaf: Callable[[str], str] = duckdb_type) -> str:
    return '{"data":[{' + ",".join(f'"{n}":"{leaf(n)}"' for n in names) + "}]}"


def created(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
    columns = ", ".join(f'"{n}" {duckdb_type(n)}' for n in names) or "nothing BOOLEAN"
    duck.execute(f"CREATE OR REPLACE TEMP TABLE t ({columns})")


def bare(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Insert:
    created(duck, names)
    rows = f"unnest(from_json(decode(u), '{structure(names)}').data, max_depth := 2)"
    if not names:
        rows = "if(unnest(range(json_array_length(decode(u), '$.data')::BIGINT)) < 0, true, NULL)"
    sql = f"INSERT INTO t SELECT {rows} FROM {PAGES}"
    return lambda bodies: duck.execute(sql, [bodies])


def bare_joined(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Insert:
    created(duck, names)
    rows = f"unnest(from_json(u, '{structure(names)}').data, max_depth := 2)"
    split = "SELECT unnest(string_split(decode(b), chr(30))) AS u FROM (VALUES ($1::BLOB)) AS v(b)"
    sql = f"INSERT INTO t SELECT {rows} FROM ({split})"
    return lambda bodies: duck.execute(sql, [b"\x1e".join(bodies)])


def json_leaves(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Insert:
    created(duck, names)
    checked = {
        "string": "if(json_type(r.{0}) = 'VARCHAR', r.{0}->>'$', error('bad'))",
        "integer": "if(json_type(r.{0}) IN ('UBIGINT', 'BIGINT'), r.{0}::VARCHAR::BIGINT, error('bad'))",
        "array": "if(json_type(r.{0}) = 'ARRAY', r.{0}, error('bad'))",
        "object": "if(json_type(r.{0}) = 'OBJECT', r.{0}, error('bad'))",
    }
    values = ", ".join(f'if(r."{n}" IS NULL, NULL, {checked[FIELDS[n]]})'.replace("{0}", f'"{n}"') for n in names)
    rows = f"unnest(from_json(decode(u), '{structure(names, lambda _: 'JSON')}').data)"
    sql = f"INSERT INTO t SELECT {values} FROM (SELECT {rows} AS r FROM {PAGES})"
    return lambda bodies: duck.execute(sql, [bodies])


def structure_first(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Insert:
    insert = bare(duck, names)
    found = f"from_json(json_structure(decode(u)), '{structure(names, lambda _: 'JSON')}')"
    sql = f"SELECT DISTINCT {found} FROM {PAGES}"

    def checked(bodies: list[bytes]) -> object:
        duck.execute(sql, [bodies]).fetchall()
        return insert(bodies)

    return checked


def reader(names: Sequence[str]) -> msgspec.json.Decoder[object]:
    kinds = {"string": str | None, "integer": int | None}
    row = msgspec.defstruct(
        "Row", [(n, kinds.get(FIELDS[n], msgspec.Raw), msgspec.Raw(b"null")) for n in names], gc=False
    )
    return msgspec.json.Decoder(msgspec.defstruct("Body", [("data", list[row])]))  # type: ignore[valid-type]


def msgspec_first(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Insert:
    insert, decode = bare(duck, names), reader(names).decode

    def checked(bodies: list[bytes]) -> object:
        for body in bodies:
            decode(body)
        return insert(bodies)

    return checked


def raw_rows(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Insert:
    created(duck, names)
    decode: Any = msgspec.json.Decoder(msgspec.defstruct("Body", [("data", list[msgspec.Raw])])).decode
    row = structure(names).removeprefix('{"data":[').removesuffix("]}")
    sql = f"INSERT INTO t SELECT unnest(from_json(decode(u), '{row}')) FROM {PAGES}"
    return lambda bodies: duck.execute(sql, [[bytes(row) for body in bodies for row in decode(body).data]])


def staged(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Insert:
    duck.execute("DROP TABLE IF EXISTS t")
    stage = Stage(duck, "t", "b.b.b", [Column(n, FieldType(FIELDS[n])) for n in names], (), ("data",))
    return lambda bodies: stage.append([Page(body) for body in bodies])


def staged_exactly(duck: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Insert:
    """Every page is refused by the quick reader and read value by value: 5.0 in an integer field."""
    insert = staged(duck, names)
    number = re.compile(rb'"created_at":\d+')
    return lambda bodies: insert([number.sub(rb"\g<0>.0", body, count=1) for body in bodies])


WAYS: dict[str, tuple[Callable[[duckdb.DuckDBPyConnection, Sequence[str]], Insert], str]] = {
    "DuckDB, typed, a list of pages": (bare, "no"),
    "DuckDB, typed, pages joined": (bare_joined, "no"),
    "DuckDB, JSON leaves, checked casts": (json_leaves, "no: digits"),
    "DuckDB, json_structure first": (structure_first, "no: digits"),
    "msgspec checks, DuckDB parses": (msgspec_first, "no: digits, repeated keys"),
    "msgspec raw rows, DuckDB parses": (raw_rows, "no"),
    "staged": (staged, "yes"),
    "staged, each page read by value": (staged_exactly, "yes"),
}


def main() -> None:
    pages = message_pages(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
    size = sum(map(len, pages))
    per_batch = max(1, BATCH_BYTES * len(pages) // size)
    batches = [pages[k : k + per_batch] for k in range(0, len(pages), per_batch)]
    rows = len(pages) * ROWS_PER_PAGE
    print(f"duckdb {duckdb.__version__}, {rows} rows, {size / 1e6:.0f} MB, {len(batches)} batches")
    duck = duckdb.connect()
    for projection, names in PROJECTIONS.items():
        seconds: dict[str, float] = {}
        for _ in range(3):
            for way, (make, _exact) in WAYS.items():
                if not names and make not in (bare, staged):
                    continue
                insert = make(duck, names)
                start = time.process_time()
                for batch in batches:
                    insert(batch)
                spent = time.process_time() - start
                seconds[way] = min(spent, seconds.get(way, spent))
                counted = duck.execute("SELECT count(*) FROM t").fetchone()
                if counted != (rows,):
                    sys.exit(f"{way}: {counted} rows")
        unit = seconds["DuckDB, typed, a list of pages"]
        print(f"\n{projection}: 1.00 is {unit:.3f} s")
        for way, spent in seconds.items():
            print(f"  {way:38s} {spent / unit:5.2f}   exact: {WAYS[way][1]}")


if __name__ == "__main__":
    main()
