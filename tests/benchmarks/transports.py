"""Compare HTTP clients under fan-out: `python tests/benchmarks/transports.py [--json FILE]`.

A server process on loopback answers every GET after 20 ms with 10 to 34 kB of JSON. Each candidate
fetches the same 2,000 URLs with a fixed number of workers on one event loop and decodes every body
with orjson. The reference is the loop that one would write by hand with aiohttp; a candidate's
ratio is its time divided by the reference's time of the same round, so that the machine's mood
cancels out. Printed per candidate: the median round.

The server knows no concurrency limit; the ideal is in-flight / 20 ms requests per second.
Candidates that are not installed are left out, with a note on stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Run as a file, Python looks beside it; the package lies two folders up.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import orjson

from tests.benchmarks.server import serving

SIZES = (30, 60, 100)  # Messages in a body: about 10, 20 and 34 kB.
HEADERS = {"Authorization": "Bearer benchmark", "OpenAI-Beta": "assistants=v2"}

Fetch = Callable[[str], Awaitable[bytes]]
Candidate = Callable[[int], AbstractAsyncContextManager[Fetch]]


# --- the candidates -----------------------------------------------------------------------------


@asynccontextmanager
async def by_hand(inflight: int) -> AsyncIterator[Fetch]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=inflight)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def fetch(url: str) -> bytes:
            async with session.get(url) as response:
                response.raise_for_status()
                return await response.read()

        yield fetch


@asynccontextmanager
async def apiql(inflight: int) -> AsyncIterator[Fetch]:
    from provider.rest.transport import Request, Transport

    transport = Transport(max_connections=inflight)
    headers = tuple(HEADERS.items())

    async def fetch(url: str) -> bytes:
        return (await transport.send(Request("GET", url, headers))).body

    yield fetch
    await transport.aclose()


@asynccontextmanager
async def apiql_with_httpx_values(inflight: int) -> AsyncIterator[Fetch]:
    """What the same transport would cost with httpx.Request in and httpx.Response out."""
    import httpx

    from provider.rest.transport import Request, Transport

    transport = Transport(max_connections=inflight)

    async def fetch(url: str) -> bytes:
        asked = httpx.Request("GET", url, headers=HEADERS)
        sent = Request(asked.method, str(asked.url), tuple(asked.headers.items()))
        got = await transport.send(sent)
        return httpx.Response(got.status, headers=got.headers, content=got.body, request=asked).content

    yield fetch
    await transport.aclose()


def through_client(module: str, transport: Callable[[int], Any] | None = None) -> Candidate:
    """An AsyncClient of httpx's API, with its own transport or the given one."""

    @asynccontextmanager
    async def candidate(inflight: int) -> AsyncIterator[Fetch]:
        httpx = __import__(module)
        limits = httpx.Limits(max_connections=inflight, max_keepalive_connections=inflight)
        beneath = {"transport": transport(inflight)} if transport else {"limits": limits}
        async with httpx.AsyncClient(headers=HEADERS, timeout=60, **beneath) as client:

            async def fetch(url: str) -> bytes:
                content: bytes = (await client.get(url)).raise_for_status().content
                return content

            yield fetch

    return candidate


def without_client(transport: Callable[[int], Any]) -> Candidate:
    """A transport of httpx's API called directly, past AsyncClient's redirects, cookies and auth."""

    @asynccontextmanager
    async def candidate(inflight: int) -> AsyncIterator[Fetch]:
        import httpx

        async with transport(inflight) as beneath:

            async def fetch(url: str) -> bytes:
                request = httpx.Request("GET", url, headers=HEADERS)
                response = await beneath.handle_async_request(request)
                try:
                    content: bytes = await response.aread()
                finally:
                    await response.aclose()
                return content

            yield fetch

    return candidate


def on_aiohttp(inflight: int) -> Any:
    import httpx
    import httpx_aiohttp

    limits = httpx.Limits(max_connections=inflight, max_keepalive_connections=inflight)
    return httpx_aiohttp.AiohttpTransport(limits=limits)


def on_pyreqwest(inflight: int) -> Any:
    from pyreqwest.client import ClientBuilder
    from pyreqwest.compatibility.httpx import HttpxTransport

    # Redirects off: below httpx they would be followed unseen.
    builder = ClientBuilder().follow_redirects(False).max_connections(inflight)
    return HttpxTransport(builder.build(), close_client=True)


REFERENCE = "aiohttp by hand"
CANDIDATES: dict[str, Candidate] = {
    REFERENCE: by_hand,
    "ApiQL's transport": apiql,
    "ApiQL's transport, httpx values": apiql_with_httpx_values,
    "httpx": through_client("httpx"),
    "httpx2": through_client("httpx2"),
    "httpx on httpx-aiohttp": through_client("httpx", on_aiohttp),
    "httpx-aiohttp, called directly": without_client(on_aiohttp),
    "httpx on pyreqwest": through_client("httpx", on_pyreqwest),
    "pyreqwest's httpx transport, called directly": without_client(on_pyreqwest),
}


# --- the measurement ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Round:
    """One candidate's run: seconds, CPU seconds of this process (all threads)."""

    seconds: float
    cpu: float


@dataclass(frozen=True)
class Row:
    candidate: str
    in_flight: int
    requests_per_second: float
    ratio: float
    cpu_microseconds: float
    rounds: int


async def run(candidate: Candidate, base: str, requests: int, inflight: int) -> Round:
    async with candidate(inflight) as fetch:

        async def worker(urls: Iterator[str]) -> None:
            for url in urls:
                orjson.loads(await fetch(url))

        async def crew(count: int) -> None:
            threads = (f"thread_{SIZES[i % len(SIZES)]}_{i:06d}" for i in range(count))
            urls = (f"{base}/20ms/v1/threads/{t}/messages?limit=100&order=asc" for t in threads)
            await asyncio.gather(*(worker(urls) for _ in range(inflight)))

        await crew(inflight)  # Connections are open and imports done when the clock starts.
        wall, cpu = time.perf_counter(), time.process_time()
        await crew(requests)
        return Round(time.perf_counter() - wall, time.process_time() - cpu)


def measure(base: str, requests: int, inflight: int, rounds: int, names: list[str]) -> list[Row]:
    """Rounds interleave the candidates, each round beginning with another one, so that none always
    runs first; one that is many times slower than the reference runs once."""
    results: dict[str, list[tuple[float, Round]]] = {name: [] for name in names}
    for turn in range(rounds):
        due = [name for name in names if not results[name] or results[name][0][0] < 3]
        start = turn % len(due)
        done = {
            name: asyncio.run(run(CANDIDATES[name], base, requests, inflight)) for name in due[start:] + due[:start]
        }
        for name, result in done.items():
            results[name].append((result.seconds / done[REFERENCE].seconds, result))
    return [
        Row(
            candidate=name,
            in_flight=inflight,
            requests_per_second=round(requests / statistics.median(r.seconds for _, r in done)),
            ratio=round(statistics.median(ratio for ratio, _ in done), 2),
            cpu_microseconds=round(statistics.median(r.cpu for _, r in done) / requests * 1e6),
            rounds=len(done),
        )
        for name, done in results.items()
    ]


def installed(names: list[str], base: str) -> list[str]:
    found = []
    for name in names:
        try:
            asyncio.run(run(CANDIDATES[name], base, 1, 1))
        except ImportError as missing:
            print(f"left out: {name} ({missing})", file=sys.stderr)
        else:
            found.append(name)
    return found


def table(rows: list[Row]) -> str:
    lines = [
        "| candidate | in flight | requests/s | time / by hand | CPU µs a request |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.candidate} | {r.in_flight} | {r.requests_per_second} | {r.ratio:.2f} | {r.cpu_microseconds} |"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare HTTP clients under fan-out.")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[10, 64, 200])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="candidates whose name contains one of these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    asked = parser.parse_args()
    wanted = [n for n in CANDIDATES if n == REFERENCE or not asked.only or any(t in n for t in asked.only)]
    rows: list[Row] = []
    with serving() as base:
        names = installed(wanted, base)
        for inflight in asked.in_flight:
            rows += measure(base, asked.requests, inflight, asked.rounds, names)
    print(table(rows))
    if asked.json:
        machine = f"{platform.machine()}, Python {platform.python_version()}"
        report = {"date": time.strftime("%Y-%m-%d"), "machine": machine, "rows": [asdict(r) for r in rows]}
        asked.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
