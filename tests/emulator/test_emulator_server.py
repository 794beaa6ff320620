from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import provider.emulator
from provider.emulator import Emulator, create_app, serve
from provider.errors import InterfaceError

ROOT = Path(__file__).parents[2]


def test_importing_the_package_loads_neither_a_server_nor_a_database() -> None:
    code = (
        "import sys, provider.emulator; "
        "print([name for name in ('starlette', 'uvicorn', 'sqlite3', 'asyncio') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_public_names_are_importable() -> None:
    assert [getattr(provider.emulator, name) for name in provider.emulator.__all__] == [
        Emulator,
        create_app,
        serve,
    ]


def test_the_log_has_every_request_without_its_key(connect: Any) -> None:
    with Emulator() as emulator:
        api = connect(emulator.base_url)
        thread = api.post("/threads")["id"]
        api.get(f"/threads/{thread}/messages", limit=5, order="asc")
        api.send("GET", "/threads/a%2Fb?x=%20")
        assert [request[:3] for request in emulator.requests] == [
            ("POST", "/v1/threads", ""),
            ("GET", f"/v1/threads/{thread}/messages", "limit=5&order=asc"),
            ("GET", "/v1/threads/a%2Fb", "x=%20"),
        ]
        request = emulator.requests[0]
        assert request.headers["openai-beta"] == "assistants=v2"
        assert "authorization" not in request.headers
        assert "not-a-real-key" not in repr(list(emulator.requests))
        emulator.requests.clear()
        assert len(emulator.requests) == 0


def test_it_counts_the_most_requests_in_flight(connect: Any) -> None:
    with Emulator(latency=0.5) as emulator:
        api = connect(emulator.base_url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: api.get("/files"), range(8)))
        assert emulator.max_in_flight == 8
        emulator.requests.clear()
        api.get("/files")
        assert emulator.max_in_flight == 1


def test_latency_is_added_to_each_answer(connect: Any) -> None:
    with Emulator(latency=0.15) as emulator:
        api = connect(emulator.base_url)
        started = time.perf_counter()
        assert api.send("GET", "/files").status_code == 200
        assert time.perf_counter() - started >= 0.15


def test_a_share_of_requests_fails_and_does_nothing(connect: Any) -> None:
    outcomes = []
    for _ in range(2):
        with Emulator(fail_rate=0.5, seed=7) as emulator:
            api = connect(emulator.base_url)
            answers = [api.send("POST", "/assistants", json={"model": "m"}) for _ in range(40)]
            outcomes.append([answer.status_code for answer in answers])
            failed = next(answer for answer in answers if answer.status_code == 500)
            assert failed.json()["error"]["type"] == "server_error"
            page = api.send("GET", "/assistants?limit=100")
            while page.status_code == 500:
                page = api.send("GET", "/assistants?limit=100")
            assert len(page.json()["data"]) == outcomes[-1].count(200)
    assert outcomes[0] == outcomes[1]
    assert 8 < outcomes[0].count(500) < 32
    assert set(outcomes[0]) == {200, 500}


def test_the_rate_limit_answers_429_and_says_when_to_come_back(clock: Any, connect: Any) -> None:
    with Emulator(rate_limit=6, clock=clock) as emulator:
        api = connect(emulator.base_url)
        assert [api.send("GET", "/files").status_code for _ in range(6)] == [200] * 6
        refused = api.send("GET", "/files")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        error = refused.json()["error"]
        assert (error["type"], error["param"], error["code"]) == ("requests", None, "rate_limit_exceeded")
        clock.forward(9)
        assert api.send("GET", "/files").headers["retry-after"] == "1"
        clock.forward(1)
        assert [api.send("GET", "/files").status_code for _ in range(2)] == [200, 429]


def test_the_same_seed_gives_the_same_ids(connect: Any) -> None:
    made = []
    for seed in (1, 1, 2):
        with Emulator(seed=seed) as emulator:
            api = connect(emulator.base_url)
            made.append([api.post("/threads")["id"] for _ in range(3)])
    assert made[0] == made[1]
    assert set(made[0]).isdisjoint(made[2])
    assert len(made[0][0].removeprefix("thread_")) == 24


def test_it_stops_cleanly_and_frees_its_port(connect: Any) -> None:
    with Emulator() as emulator:
        port = int(emulator.base_url.split(":")[2].split("/")[0])
        connect(emulator.base_url).get("/files")
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))


def test_it_stops_while_a_stream_is_open(connect: Any) -> None:
    with Emulator(step_seconds=60) as emulator:
        api = connect(emulator.base_url)
        assistant = api.post("/assistants", {"model": "m"})["id"]
        body = {"assistant_id": assistant, "stream": True}
        response = api.http.send(api.http.build_request("POST", "/threads/runs", json=body), stream=True)
        assert next(response.iter_lines()) == "event: thread.created"
        started = time.perf_counter()
    assert time.perf_counter() - started < 5
    response.close()


def test_a_taken_port_is_an_error_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InterfaceError, match=f"cannot listen on 127.0.0.1:{port}"):
            serve(port=port)


def test_the_command_says_how_to_use_it_and_stops_on_ctrl_c(tmp_path: Any, start: Any) -> None:
    process, address = start(tmp_path / "new" / "folder")
    headers = {"Authorization": "Bearer k"}
    assert httpx.get(f"http://{address}/v1/files", headers=headers).json()["data"] == []
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert process.stderr.read() == ""


def test_the_command_reports_an_unusable_folder(tmp_path: Path) -> None:
    (tmp_path / "emulator.sqlite3").write_text("not a database, but long enough to be looked at")
    command = [sys.executable, "-m", "provider.emulator", "--port", "0", "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("InterfaceError: cannot open the emulator's data in")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InterfaceError, match=r"cannot use .*file/data"), Emulator(tmp_path / "file" / "data"):
        pass


def test_a_data_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "emulator.sqlite3").mkdir()
    with pytest.raises(InterfaceError, match="cannot open the emulator's data"), Emulator(tmp_path):
        pass
