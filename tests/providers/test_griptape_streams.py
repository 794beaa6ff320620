"""Griptape Cloud's operations that go on after the answer: streams of events, and runs that are waited for."""

from __future__ import annotations

import json

import pytest

import provider
from provider.errors import ApiError, OperationalError
from tests.providers.conftest import ORGANIZATION, Neighbours
from tests.providers.griptape import uuid


def test_the_events_of_an_assistant_run_come_as_rows(conn: provider.Connection, neighbours: Neighbours) -> None:
    """The stream has no names and no end but the connection's: the type of an event is its name."""
    cloud = neighbours.cloud
    run = cloud.run(cloud.assistant("Helper", ORGANIZATION), {})["assistant_run_id"]
    for n, type_ in enumerate(("StartStructureRunEvent", "FinishStructureRunEvent")):
        cloud.event("assistant", run, "ASSISTANT", type_, {"output_task_output": {"value": n}}, 1.5)
    cur = conn.execute(f"EXEC griptape.assistants.events.follow @assistant_run_id='{run}'")
    found = [(event, json.loads(data)["payload"]["output_task_output"]["value"]) for event, data, *_ in cur.fetchall()]
    assert found == [("StartStructureRunEvent", 0), ("FinishStructureRunEvent", 1)]
    assert neighbours.griptape.lines() == [f"GET /api/assistant-runs/{run}/events/stream"]


def test_the_events_of_a_structure_run_come_as_rows(conn: provider.Connection, neighbours: Neighbours) -> None:
    run = uuid(77)
    neighbours.cloud.structure_runs.add(run)
    id_ = neighbours.cloud.event("structure", run, "SYSTEM", "StructureRunError", {"status_detail": {}}, 3)
    cur = conn.execute(
        "SELECT event, data->>'event_id', data->>'origin' FROM"
        f" (EXEC griptape.structures.events.get_structure_run_events_sse @structure_run_id='{run}')"
    )
    assert cur.fetchall() == [("StructureRunError", id_, "SYSTEM")]
    assert neighbours.griptape.lines() == [f"GET /api/structure-runs/{run}/events/stream"]


def test_a_stream_of_a_run_that_is_not_there_is_an_error(conn: provider.Connection) -> None:
    with pytest.raises(ApiError, match="answered 404"):
        conn.execute(f"EXEC griptape.assistants.events.follow @assistant_run_id='{uuid(9_999)}'").fetchall()


def test_a_run_is_waited_for(conn: provider.Connection, neighbours: Neighbours) -> None:
    cloud = neighbours.cloud
    assistant = cloud.assistant("Helper", ORGANIZATION)
    cloud.progress = {"QUEUED": "SUCCEEDED"}
    cur = conn.execute(
        "INSERT /*+ AWAIT */ INTO griptape.assistants.runs (assistant_id, input) VALUES (?, 'Hi')"
        " RETURNING assistant_run_id, status, completed_at IS NOT NULL", [assistant],
    )  # fmt: skip
    ((id_, *rest),) = cur.fetchall()
    assert rest == ["SUCCEEDED", True]
    created, *looks = neighbours.griptape.lines()
    assert created == f'POST /api/assistants/{assistant}/runs {{"input": "Hi"}}'
    assert looks == [f"GET /api/assistant-runs/{id_}"] * 2


def test_a_run_that_fails_is_an_error(conn: provider.Connection, neighbours: Neighbours) -> None:
    cloud = neighbours.cloud
    assistant = cloud.assistant("Helper", ORGANIZATION)
    cloud.progress = {"QUEUED": "FAILED"}
    with pytest.raises(OperationalError, match="FAILED"):
        conn.execute("INSERT /*+ AWAIT */ INTO griptape.assistants.runs (assistant_id) VALUES (?)", [assistant])
