"""Nothing that was acknowledged is lost when the process is killed."""

from __future__ import annotations

import http.client
import itertools
import json
import sqlite3
import threading
from contextlib import closing
from typing import Any

import pytest

from provider.emulator import Emulator
from provider.errors import InterfaceError

HEADERS = {"Authorization": "Bearer k", "OpenAI-Beta": "assistants=v2"}


def call(connection: Any, method: Any, path: Any, body: Any = None) -> Any:
    connection.request(method, f"/v1{path}", body and json.dumps(body), HEADERS)
    response = connection.getresponse()
    content = json.loads(response.read())
    assert response.status == 200, content
    return content


def write(address: Any, thread: Any, enough: Any, acknowledged: Any, deleted: Any) -> None:
    """Creates, changes and deletes messages until the connection breaks."""
    path = f"/threads/{thread}/messages"
    connection = http.client.HTTPConnection(address)
    try:
        for number in itertools.count(1):
            made = call(connection, "POST", path, {"role": "user", "content": "x"})
            acknowledged[made["id"]] = {}
            pair = {"n": str(number)}
            acknowledged[made["id"]] = None  # the change is on its way: either value is right
            call(connection, "POST", f"{path}/{made['id']}", {"metadata": pair})
            acknowledged[made["id"]] = pair
            if number % 5 == 0:
                acknowledged.pop(made["id"])
                call(connection, "DELETE", f"{path}/{made['id']}")
                deleted.add(made["id"])
            if number == 40:
                enough.set()
    except (OSError, http.client.HTTPException):
        enough.set()
    finally:
        connection.close()


def test_kill_9_loses_no_acknowledged_write(tmp_path: Any, start: Any) -> None:
    expected = []
    for _ in range(3):
        process, address = start(tmp_path)
        try:
            writers = []
            for _ in range(3):
                with closing(http.client.HTTPConnection(address)) as connection:
                    thread = call(connection, "POST", "/threads", {})["id"]
                enough = threading.Event()
                acknowledged: dict[str, Any] = {}
                deleted: set[str] = set()
                expected.append((thread, acknowledged, deleted))
                arguments = (address, thread, enough, acknowledged, deleted)
                writers.append((threading.Thread(target=write, args=arguments), enough))
                writers[-1][0].start()
            for _, enough in writers:
                assert enough.wait(30)
        finally:
            process.kill()
            process.wait()
        for writer, _ in writers:
            writer.join()
    assert all(len(acknowledged) >= 32 for _, acknowledged, _ in expected)
    with (
        Emulator(tmp_path) as emulator,
        closing(http.client.HTTPConnection(emulator.base_url.split("/")[2])) as connection,
    ):
        for thread, acknowledged, deleted in expected:
            for message, metadata in acknowledged.items():
                found = call(connection, "GET", f"/threads/{thread}/messages/{message}")
                assert metadata is None or found["metadata"] == metadata
            page = call(connection, "GET", f"/threads/{thread}/messages?limit=100")
            assert deleted.isdisjoint(entry["id"] for entry in page["data"])


def test_objects_outlive_a_restart_and_new_ids_are_new(tmp_path: Any, connect: Any) -> None:
    with Emulator(tmp_path) as emulator:
        api = connect(emulator.base_url)
        first = [api.post("/threads")["id"] for _ in range(5)]
    with Emulator(tmp_path) as emulator:
        api = connect(emulator.base_url)
        assert [api.get(f"/threads/{thread}")["id"] for thread in first] == first
        second = [api.post("/threads")["id"] for _ in range(5)]
    assert len({*first, *second}) == 10


def test_a_file_of_another_program_is_left_alone(tmp_path: Any) -> None:
    (tmp_path / "emulator.sqlite3").write_bytes(b"these are not the bytes of a database at all, are they?")
    with pytest.raises(InterfaceError, match="cannot open the emulator's data"), Emulator(tmp_path):
        pass
    (tmp_path / "emulator.sqlite3").unlink()
    with sqlite3.connect(tmp_path / "emulator.sqlite3") as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(InterfaceError, match="is not a data file of this emulator"), Emulator(tmp_path):
        pass
