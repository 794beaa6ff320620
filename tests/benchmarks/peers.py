"""What each peer does for each task, as its own documentation would have one do it.

    python -m tests.benchmarks.peers PEER TASK BASE_URL

runs one task in this process and prints what it took as JSON. The first round, on a small list, opens connections and
imports; the second one is measured. A peer that cannot do a task raises `CannotDo` with the reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.server import MANIFEST

IN_FLIGHT = 64
HEADERS = {"Authorization": "Bearer benchmark"}


class CannotDo(Exception):
    """A peer has no way to do a task; the text says why."""


@dataclass(frozen=True)
class Task:
    """What is to be done.

    `kind` is `fan_out`, `scan`, `join`, or for some `list` or `first`; `path` is the list behind the base URL, `count`
    how many lists, `delay` the milliseconds that the server takes. The answer is a number of rows, and the largest of
    a column.
    """

    kind: str
    delay: int
    path: str = ""
    count: int = 0

    def small(self) -> Task:
        """The same in small, to warm up."""
        head, _, size = self.path.rpartition("_")
        path = f"{head}_1000" if size.isdigit() else re.sub(r"_\d+_", "_1000_", self.path)
        return Task(self.kind, self.delay, path, min(self.count, IN_FLIGHT))

    def shared(self, share: int) -> Task:
        """The same with one row or list of so many."""
        path = re.sub(r"_(\d{3,})\b", lambda m: f"_{int(m[1]) // share}", self.path)
        path = re.sub(r"_(\d{3,})_", lambda m: f"_{int(m[1]) // share}_", path)
        return Task(self.kind, self.delay, path, self.count // share)


TASKS = {
    "fan-out": Task("fan_out", 20, count=2000),
    "long scan": Task("scan", 0, "threads/thread_200000_1/messages"),
    "wide scan": Task("scan", 0, "wide_20000"),
    "million rows": Task("scan", 0, "events_1000000"),
    "join": Task("join", 20, "vector_stores_500"),
}
#: What is compared with one chain of cursors only: a list that is read from both of its ends, and its first rows.
LISTS = {
    "both ends": Task("list", 50, "threads/thread_10000_1/messages"),
    "first rows": Task("first", 50, "threads/thread_10000_1/messages"),
}
Answer = tuple[int, object]
#: Bytes of pages that one statement of DuckDB's parses, as in ApiQL.
BATCH_BYTES = 4 << 20
#: Those that would take minutes do one part of so many; their time and CPU are multiplied.
SHARE = {"openai SDK, pandas": 10, "dlt rest_api, DuckDB": 10}


def threads(task: Task) -> list[str]:
    return [f"thread_100_{i:06d}" for i in range(task.count)]


# --- by hand: aiohttp and orjson --------------------------------------------------------------------


@asynccontextmanager
async def session() -> AsyncIterator[Any]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT), headers=HEADERS) as opened:
        yield opened


async def each(items: list[str], do: Callable[[str], Any]) -> None:
    """Work items off, with so many at a time."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await do(item)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


async def by_hand_async(base: str, task: Task) -> Answer:
    import orjson

    count, largest = 0, ""

    async with session() as http:

        async def read(path: str) -> list[dict[str, Any]]:
            nonlocal count, largest
            limit = 1000 if path.startswith("events") else 100
            rows: list[dict[str, Any]] = []
            after = ""
            while True:
                async with http.get(f"{base}/{path}?limit={limit}{after}") as response:
                    response.raise_for_status()
                    page = orjson.loads(await response.read())
                rows_here = page["data"]
                count += len(rows_here)
                largest = max(largest, max((row["id"] for row in rows_here), default=""))
                if task.kind == "join":
                    rows += rows_here
                if not page["has_more"]:
                    return rows
                after = f"&after={page['last_id']}"

        if task.kind == "fan_out":
            await each([f"threads/{t}/messages" for t in threads(task)], read)
        elif task.kind in ("scan", "list"):
            await read(task.path)
        else:
            stores = await read(task.path)
            count, largest = 0, ""
            await each([f"vector_stores/{s['id']}/files" for s in stores], read)
    return count, largest


def by_hand(base: str, task: Task) -> Answer:
    return asyncio.run(by_hand_async(base, task))


# --- bare: the same bytes fetched, and parsed by DuckDB without a check -----------------------------


class _Envelope(msgspec.Struct):
    """What a pager needs of a page."""

    has_more: bool
    last_id: str | None


async def fetched(base: str, task: Task) -> AsyncIterator[bytes]:
    """The pages of a list, of which only the cursor is read."""
    limit = 1000 if task.path.startswith("events") else 100
    async with session() as http:
        after, more = "", True
        while more:
            async with http.get(f"{base}/{task.path}?limit={limit}{after}") as response:
                body = await response.read()
            envelope = msgspec.json.decode(body, type=_Envelope)
            after, more = f"&after={envelope.last_id}", envelope.has_more
            yield body


def bare(base: str) -> Callable[[str, Task], Answer]:
    sys.modules["pandas"] = None  # type: ignore[assignment]  # as for ApiQL
    import duckdb

    types = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
    kinds = ("string", "integer", "number", "boolean", "string")

    def run(_: str, task: Task) -> Answer:
        if task.kind != "scan":
            raise CannotDo("it reads one list")
        names = {"id": "VARCHAR"}
        if task.path.startswith("wide"):
            names |= {f"f{i:02d}": types[kinds[i % 6]] if i % 6 < 5 else "TIMESTAMPTZ" for i in range(59)}
        shape = json.dumps({"data": [names]})
        duck = duckdb.connect()
        duck.execute(f"CREATE TABLE t ({', '.join(f'{n} {t}' for n, t in names.items())})")
        insert = f"INSERT INTO t SELECT unnest(from_json(decode(u), '{shape}').data, max_depth := 2) FROM "
        insert += "(SELECT unnest($1::BLOB[]) AS u)"

        async def read() -> None:
            batch: list[bytes] = []
            size = 0
            async for body in fetched(base, task):
                batch.append(body)
                size += len(body)
                if size >= BATCH_BYTES:
                    duck.execute(insert, [batch])
                    batch, size = [], 0
            if batch:
                duck.execute(insert, [batch])

        asyncio.run(read())
        every = ", ".join(f"max({n})" for n in names if n != "id") or "1"
        row = duck.execute(f"SELECT count(*), max(id), {every} FROM t").fetchone()
        assert row is not None
        return row[0], row[1]

    return run


# --- ApiQL ------------------------------------------------------------------------------------------


def apiql(base: str) -> Callable[[str, Task], Answer]:
    # DuckDB imports pandas where it is installed, as it is here for a peer; ApiQL does not bring it.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    import provider

    conn = provider.connect(
        manifests=[MANIFEST],
        base_urls={"local": base},
        environ={"LOCAL_KEY": "benchmark"},
        max_concurrency=IN_FLIGHT,
    )

    def run(_: str, task: Task) -> Answer:
        name = task.path.split("/")[-1].split("_")[0]
        if task.kind == "fan_out":
            conn.execute("CREATE OR REPLACE TABLE keys AS SELECT unnest(?::VARCHAR[]) AS thread", [threads(task)])
            sql = "SELECT count(*), max(m.id) FROM keys JOIN local.lists.messages m ON m.thread_id = keys.thread"
        elif task.kind == "join":
            sql = (
                f"SELECT count(*), max(f.id) FROM local.lists.stores s JOIN local.lists.files f"
                f" ON f.vector_store_id = s.id WHERE s.stores = '{task.path}'"
            )
        elif task.kind in ("list", "first"):
            rows = f"SELECT id FROM local.lists.history WHERE thread_id = '{task.path.split('/')[1]}'"
            sql = f"SELECT count(*), max(id) FROM ({rows}{' LIMIT 10' if task.kind == 'first' else ''})"
        elif name == "messages":
            sql = f"SELECT count(*), max(id) FROM local.lists.messages WHERE thread_id = '{task.path.split('/')[1]}'"
        else:
            sql = f"SELECT count(*), max(id) FROM (SELECT * FROM local.lists.{name} WHERE {name} = '{task.path}')"
            if name == "wide":
                every = ", ".join(f"max(f{i:02d})" for i in range(59))
                sql = f"SELECT count(*), max(id), {every} FROM local.lists.wide WHERE wide = '{task.path}'"
        row = conn.execute(sql).fetchone()
        assert row is not None
        return row[0], row[1]

    return run


# --- the vendor's SDK with pandas --------------------------------------------------------------------


def sdk(base: str) -> Callable[[str, Task], Answer]:
    import openai
    import pandas

    async def run_async(task: Task) -> Answer:
        rows: list[dict[str, Any]] = []
        async with openai.AsyncOpenAI(api_key="benchmark", base_url=base, max_retries=0) as client:
            if task.kind == "fan_out" or task.path.startswith("threads"):

                async def read(thread: str) -> None:
                    found = client.beta.threads.messages.list(thread, limit=100, order="asc")
                    rows.extend([message.to_dict() async for message in found])

                names = threads(task) if task.kind == "fan_out" else [task.path.split("/")[1]]
                await each(names, read)
            elif task.kind == "join":
                raise CannotDo("its list of stores has a fixed path")
            else:
                raise CannotDo("it knows the vendor's resources only")
        frame = pandas.DataFrame(rows)
        return len(frame), frame["id"].max()

    import warnings

    warnings.simplefilter("ignore")
    return lambda _, task: asyncio.run(run_async(task))


# --- dlt --------------------------------------------------------------------------------------------


def dlt(base: str) -> Callable[[str, Task], Answer]:
    import dlt as load
    from dlt.sources.rest_api import rest_api_source

    def resources(task: Task) -> list[Any]:
        paginator = {"type": "cursor", "cursor_path": "last_id", "cursor_param": "after", "has_more_path": "has_more"}
        if task.kind == "scan":
            limit = 1000 if task.path.startswith("events") else 100
            endpoint = {"path": task.path, "params": {"limit": limit}, "paginator": paginator, "data_selector": "data"}
            return [{"name": "rows", "endpoint": endpoint}]
        if task.kind == "join":
            parent: Any = {
                "name": "parents",
                "endpoint": {
                    "path": task.path,
                    "params": {"limit": 100},
                    "paginator": paginator,
                    "data_selector": "data",
                },
            }
            path = "vector_stores/{resources.parents.id}/files"
        else:
            parent = load.resource(lambda: iter([[{"id": t} for t in threads(task)]]), name="parents")
            path = "threads/{resources.parents.id}/messages"
        child = {"path": path, "params": {"limit": 100}, "paginator": paginator, "data_selector": "data"}
        return [parent, {"name": "rows", "endpoint": child}]

    def run(_: str, task: Task) -> Answer:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["EXTRACT__WORKERS"] = str(IN_FLIGHT)
            os.environ["EXTRACT__MAX_PARALLEL_ITEMS"] = str(IN_FLIGHT)
            source = rest_api_source(
                {"client": {"base_url": base, "headers": HEADERS}, "resources": resources(task)},
                parallelized=True,
            )
            database = Path(folder) / "loaded.duckdb"
            pipeline = load.pipeline(
                "bench",
                pipelines_dir=folder,
                destination=load.destinations.duckdb(str(database)),
                dataset_name="out",
            )
            pipeline.run(source)
            with pipeline.sql_client() as client:
                (row,) = client.execute_sql("SELECT count(*), max(id) FROM rows")
        return row[0], row[1]

    return run


# --- shillelagh, dbfy -------------------------------------------------------------------------------


def shillelagh(base: str) -> Callable[[str, Task], Answer]:
    from shillelagh.backends.apsw.db import connect

    connect(":memory:").close()
    raise CannotDo("its JSON adapter reads one URL: no pages, no keys")


def dbfy(base: str) -> Callable[[str, Task], Answer]:
    import dbfy as engine
    import pyarrow

    columns = {
        "threads": {"id": "string", "created_at": "int64", "role": "string"},
        "events": {"id": "string", "created_at": "int64", "kind": "string", "amount": "int64", "ok": "boolean"},
        "wide": {"id": "string"} | {f"f{i:02d}": "string" if i % 6 in (0, 4, 5) else "float64" for i in range(59)},
    }

    def run(_: str, task: Task) -> Answer:
        if task.kind != "scan":
            raise CannotDo("it has no requests by key")
        name = task.path.split("/")[0].split("_")[0]
        table = {
            "endpoint": {"method": "GET", "path": f"/{task.path}"},
            "root": "$.data[*]",
            "columns": {n: {"path": f"$.{n}", "type": t} for n, t in columns[name].items()},
            "pagination": {"type": "cursor", "cursor_param": "after", "cursor_path": "$.last_id"},
        }
        limits = {"max_pages": 1_000_000, "timeout_ms": 60_000}
        source = {"type": "rest", "base_url": f"{base}/", "runtime": limits, "tables": {"rows": table}}
        # YAML takes JSON.
        found = engine.Engine.from_yaml(json.dumps({"version": 1, "sources": {"local": source}}))
        every = ", ".join(f"max({n})" for n in columns[name] if n not in ("id", "ok")) if name == "wide" else "1"
        (row,) = pyarrow.Table.from_batches(
            found.query(f"SELECT count(*) AS n, max(id) AS top, {every} FROM local.rows")
        ).to_pylist()
        return row["n"], row["top"]

    return run


PEERS: dict[str, Callable[[str], Callable[[str, Task], Answer]]] = {
    "by hand (aiohttp, orjson)": lambda base: by_hand,
    "bare fetch, DuckDB's parse": bare,
    "ApiQL": apiql,
    "openai SDK, pandas": sdk,
    "dlt rest_api, DuckDB": dlt,
    "shillelagh": shillelagh,
    "dbfy": dbfy,
}


def main() -> None:
    peer, name, root = sys.argv[1:]
    task = (TASKS | LISTS)[name].shared(SHARE.get(peer, 1))
    base = f"{root}/{task.delay}ms/v1"
    try:
        run = PEERS[peer](base)
        run(base, task.small())
        urllib.request.urlopen(f"{root}/requests").close()
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = time.perf_counter()
        answer = run(base, task)
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
    except CannotDo as e:
        print(json.dumps({"cannot": str(e)}))
        return
    except ImportError as e:
        print(json.dumps({"cannot": f"not installed: {e.name}"}))
        return
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = after.ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak, "rows": answer[0], "largest": answer[1]}))


if __name__ == "__main__":
    main()
