"""The truth about an API: plain DuckDB that has its objects as tables, under the very names that ApiQL gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from provider.catalog.loader import Catalog


@contextmanager
def truth(objects: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Plain DuckDB with the objects of some resources of `openai.assistants`, as the API answers them."""
    service = Catalog(environ={}).service("openai", "assistants")
    with duckdb.connect() as duck:
        duck.execute("ATTACH ':memory:' AS openai; CREATE SCHEMA openai.assistants; ATTACH ':memory:' AS scratch")
        for name, found in objects.items():
            fields = service.resources[name].fields
            table = f"openai.assistants.{name}"
            duck.execute(f"CREATE TABLE {table} ({', '.join(f'{f.name} {f.type.duckdb}' for f in fields)})")
            rows = [[_cell(o[f.name], f.type.duckdb) for f in fields] for o in found]
            duck.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in fields)})", rows)
        yield duck


def _cell(value: Any, type_: str) -> Any:
    if type_ == "JSON" and value is not None:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value
