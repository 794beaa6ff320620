"""A large file up and down: time and peak memory of the process that sends and keeps it, beside the vendor's SDK.

    python -m tests.benchmarks.files [MiB]

Each way runs in a process of its own, against one emulator in another. Memory is the peak of the resident set, and
how far it lies above that of the same process after a file of one byte. The budget is a peak of 200 MiB.
"""

from __future__ import annotations

import filecmp
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BUDGET = 200
WAYS = ("apiql", "openai")

#: Moves a file of one byte, then the file; tells seconds and memory in MiB.
_CHILD = """
import json, resource, sys, time

way, url, source, target = sys.argv[1:]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

if way == "apiql":
    import provider

    conn = provider.connect(base_urls={"openai": url}, environ={"OPENAI_API_KEY": "any"})

    def up(path):
        sql = "INSERT INTO openai.files.files (file, purpose) VALUES (local_file(?), 'user_data') RETURNING id"
        return conn.execute(sql, [path]).fetchone()[0]

    def down(id_, path):
        conn.execute("EXEC openai.files.files.download_file @file_id = ?, @to = ?", [id_, path])
else:
    import openai

    client = openai.OpenAI(base_url=url, api_key="any", max_retries=0)

    def up(path):
        with open(path, "rb") as file:
            return client.files.create(file=file, purpose="user_data").id

    def down(id_, path):
        with client.files.with_streaming_response.content(id_) as response:
            response.stream_to_file(path)

open(source + ".one", "wb").write(b"x")
down(up(source + ".one"), target + ".one")
before = peak()
times = [time.monotonic()]
id_ = up(source)
times.append(time.monotonic())
down(id_, target)
times.append(time.monotonic())
print(json.dumps({"id": id_, "up": times[1] - times[0], "down": times[2] - times[1], "before": before, "peak": peak()}))
"""


def write(path: Path, mebibytes: int) -> None:
    """A file of numbered pieces of noise, so that one that is lost or out of its place is seen."""
    noise = random.Random(1).randbytes(2**20 - 8)
    with path.open("wb") as file:
        for number in range(mebibytes):
            file.write(number.to_bytes(8, "big") + noise)


@contextmanager
def emulator(data: Path) -> Iterator[tuple[str, int]]:
    """An emulator in a process of its own: its base URL, and the id of the process."""
    command = [sys.executable, "-m", "provider.emulator", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        yield process.stderr.readline().split()[4], process.pid
        process.terminate()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def transfer(way: str, url: str, source: Path, target: Path) -> dict[str, Any]:
    """Move a file up and down in a new process: seconds, and memory in MiB. What came back is the same, or it fails."""
    command = [sys.executable, "-c", _CHILD, way, url, str(source), str(target)]
    done = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True)
    if not filecmp.cmp(source, target, shallow=False):
        sys.exit(f"{way}: the file came back changed")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.bin")
        write(source, size)
        print(f"{size} MiB      up     down     peak   growth")
        with emulator(Path(folder, "data")) as (url, pid):
            for way in WAYS:
                told = transfer(way, url, source, Path(folder, f"{way}.bin"))
                print(
                    f"{way:8s} {told['up']:5.2f} s {told['down']:6.2f} s {told['peak']:4.0f} MiB"
                    f" {told['peak'] - told['before']:4.0f} MiB"
                )
                if way == "apiql" and told["peak"] > BUDGET:
                    sys.exit(f"the peak is above {BUDGET} MiB")
            memory = Path(f"/proc/{pid}/status")
            if memory.exists():
                peak = next(line for line in memory.read_text().splitlines() if line.startswith("VmHWM"))
                print(f"emulator: peak {int(peak.split()[1]) / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
