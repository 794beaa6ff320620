"""Files that come down: whole under their name, or not at all."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from provider.errors import DataError, TransportError
from provider.rest import download
from provider.rest.destination import Destination
from provider.rest.download import Download
from provider.rest.transport import Limits, Request, Response, Timeouts, Transport
from tests.rest.rawserver import Connection, raw_server

CONTENT = os.urandom(3 * 2**20 + 5)


def fetch(answer: bytes, to: Destination | None) -> Response:
    """A download from a server that says these bytes and closes."""

    async def say(connection: Connection, request: bytes) -> None:
        await connection.say(answer)
        raise ConnectionError

    async def run() -> Response:
        async with raw_server(say) as server:
            client = Transport(max_connections=1, timeouts=Timeouts(read=5), limits=Limits())
            try:
                return await Download(client, to, "GET /x", "Keep it.", moved.append).send(Request("GET", server.url()))
            finally:
                await client.aclose()

    moved: list[int] = []
    return asyncio.run(run())


def whole(content: bytes, announced: int | None = None) -> bytes:
    size = len(content) if announced is None else announced
    return f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + content


def test_an_answer_goes_to_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    response = fetch(whole(CONTENT), Destination(str(path)))
    assert response.body == f'{{"path": "{path}", "bytes": {len(CONTENT)}}}'.encode()
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["a.bin"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    "answer",
    [
        whole(CONTENT[:1000], announced=1001),
        whole(b"", announced=1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_of_an_answer_that_is_cut_off_nothing_is_left(tmp_path: Path, answer: bytes, overwrite: bool) -> None:
    path = tmp_path / "a.bin"
    if overwrite:
        path.write_bytes(b"before")
    with pytest.raises(TransportError):
        fetch(answer, Destination(str(path), overwrite))
    assert os.listdir(tmp_path) == (["a.bin"] if overwrite else [])
    assert not overwrite or path.read_bytes() == b"before"


def test_a_refusal_is_no_file(tmp_path: Path) -> None:
    refused = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
    response = fetch(refused, Destination(str(tmp_path / "a")))
    assert (response.status, response.body, os.listdir(tmp_path)) == (404, b"none", [])


def test_a_name_that_somebody_takes_meanwhile_stays_theirs(tmp_path: Path) -> None:
    path = tmp_path / "a"
    destination = Destination(str(path))
    destination.check()
    path.write_bytes(b"theirs")
    with pytest.raises(DataError, match="exists"):
        fetch(whole(b"mine"), destination)
    assert (os.listdir(tmp_path), path.read_bytes()) == (["a"], b"theirs")


def test_where_no_file_can_be_made_is_known_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in ("a", "link"):
        with pytest.raises(DataError, match="exists"):
            Destination(str(tmp_path / path)).check()
    Destination(str(tmp_path / "a"), overwrite=True).check()
    with pytest.raises(DataError, match="is a directory"):
        Destination(str(tmp_path), overwrite=True).check()
    with pytest.raises(DataError, match="there is no folder"):
        Destination(str(tmp_path / "none" / "a")).check()


def test_giving_up_leaves_nothing_behind(tmp_path: Path) -> None:
    async def run() -> None:
        async def trickle(connection: Connection, request: bytes) -> None:
            await connection.say(whole(CONTENT[: 2**21], announced=2**22))
            await asyncio.Event().wait()

        async with raw_server(trickle) as server:
            client = Transport(max_connections=1)
            wanted = Download(client, Destination(str(tmp_path / "a")), "GET /x", "", moved.append)
            task = asyncio.create_task(wanted.send(Request("GET", server.url())))
            while sum(moved) < 2**21:
                await asyncio.sleep(0)
            assert len(os.listdir(tmp_path)) == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.aclose()

    moved: list[int] = []
    asyncio.run(asyncio.wait_for(run(), 20))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_too_large_for_memory_is_refused_as_soon_as_it_shows(chunked: bool) -> None:
    size = download.LARGEST + 1
    if chunked:
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size + bytes(size)
    else:
        answer = whole(b"", announced=size)
    with pytest.raises(DataError, match=r"GET /x is too large for a BLOB\n.*67,108,864\.\n  Keep it\."):
        fetch(answer, None)


def test_what_fits_is_the_body() -> None:
    assert fetch(whole(CONTENT), None).body == CONTENT
