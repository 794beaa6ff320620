"""Whatever goes wrong on the way of a write: it happens once or not at all, and what is told is how it is."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import provider
from provider.emulator import Emulator
from provider.emulator.chaos import FAULTS, Chaos, at

KEY = "sk-chaos-8f3a1c"


@pytest.fixture(scope="module")
def chaos(emulator: Emulator) -> Iterator[Chaos]:
    with Chaos(emulator.base_url) as running:
        yield running


def connect(base_url: str) -> provider.Connection:
    return provider.connect(base_urls={"openai": base_url}, environ={"OPENAI_API_KEY": KEY}, timeout=1.5, retries=1)


@pytest.mark.parametrize("request_", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_an_insert_creates_each_row_once_or_says_why_not(api: Any, chaos: Chaos, fault: str, request_: int) -> None:
    thread, mark = api.thread(), uuid.uuid4().hex
    chaos.reset(at(request_, FAULTS[fault]))
    failed = None
    sql = (
        "INSERT INTO openai.assistants.messages (thread_id, role, content) "
        f"SELECT '{thread}', 'user', '{mark} ' || i FROM range(3) AS r(i) ORDER BY i"
    )
    with connect(chaos.base_url) as conn:
        try:
            conn.execute(sql)
        except provider.Error as e:
            failed = str(e)
    created = Counter(m["content"][0]["text"]["value"] for m in api.every(f"/threads/{thread}/messages"))
    assert all(n == 1 for n in created.values()), "a row was written twice"
    assert set(created) <= {f"{mark} {i}" for i in range(3)}
    if failed is None:
        assert len(created) == 3
    else:
        assert KEY not in failed
    assert not chaos.astray


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "sql",
    [
        'UPDATE openai.assistants.threads SET metadata = \'{"mark": "new"}\' WHERE thread_id = $id',
        "DELETE FROM openai.assistants.threads WHERE thread_id = $id",
        'EXEC openai.assistants.threads.modify_thread @thread_id = $id @@json = \'{"metadata": {"mark": "new"}}\'',
    ],
    ids=["update", "delete", "exec"],
)
def test_a_change_is_sent_once_and_told_as_it_is(api: Any, chaos: Chaos, fault: str, sql: str) -> None:
    thread = api.thread(mark="old")
    with connect(chaos.base_url) as conn:
        conn.execute("SELECT 1").fetchall()
        chaos.reset(lambda number, method, target: FAULTS[fault] if method != "GET" and number <= 2 else None)
        failed = None
        try:
            conn.execute(sql, {"id": thread})
        except provider.Error as e:
            failed = e
    # Not the requests of tests before, of clients that have given up, which a slow machine accepts only now.
    writes = [r for r in chaos.received if r.method != "GET" and thread in r.target]
    executed = [r for r in writes if FAULTS[fault].reaches]
    assert len(executed) <= 1, "the API executed it twice"
    response = api.http.get(f"/threads/{thread}")
    changed = response.status_code == 404 or response.json()["metadata"] == {"mark": "new"}
    if failed is None:
        assert changed
    elif changed:
        assert "may have been executed" in str(failed) or "carried out" in str(failed), str(failed)
    assert KEY not in str(failed)
    assert not chaos.astray
