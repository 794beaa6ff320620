"""`apiql emulator` listens until it is interrupted, and keeps what it was told where it was told."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from provider.emulator import Emulator

from .conftest import ROOT, Run


def test_it_serves_with_the_options_that_it_was_given(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "provider", "emulator", "--port", "0", "--data", str(tmp_path), "--rate-limit", "1"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    found = re.search(r"http://127\.0\.0\.1:\d+/v1", process.stderr.readline())
    assert found
    headers = {"Authorization": "Bearer any", "OpenAI-Beta": "assistants=v2"}
    statuses = [httpx.post(f"{found[0]}/threads", headers=headers, json={}).status_code for _ in range(2)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert (statuses, process.returncode) == ([200, 429], 0)
    assert list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_an_error(apiql: Run, emulator: Emulator) -> None:
    port = str(urlsplit(emulator.base_url).port)
    ran = apiql("emulator", "--port", port)
    assert ran.code == 1
    assert ran.err.startswith("InterfaceError: the emulator cannot listen on")
