"""An API that wraps the object it answers with, as in {"data": {...}}: read, written and called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import provider
from tests.rest.webserver import Reply, Seen, web_server

MANIFEST = """\
provider: garden
base_url: {default: http://127.0.0.1:9}
---
service: beds
resources:
  plants:
    key: {id: plant_id}
    fields: {id: {type: integer}, name: {type: string}}
    methods:
      get_plant: {sql: SELECT, http: 'GET /plants/{plant_id}', row: $.data}
      list_plants: {sql: SELECT, http: GET /plants, rows: $.data}
      add_plant: {sql: INSERT, http: POST /plants, row: $.data, body: {name: {required: true}}}
      rename_plant: {sql: UPDATE, http: 'PATCH /plants/{plant_id}', body: {name: {}}}
      remove_plant: {sql: DELETE, http: 'DELETE /plants/{plant_id}'}
      water_plant:
        sql: EXEC
        http: POST /plants/{plant_id}/water
        row: $.data.done
        returns: {litres: {type: number}}
      prune_plants: {sql: EXEC, http: POST /plants/prune, rows: $.data, returns: {id: {type: integer}}}
"""


def answer(request: Seen) -> Reply:
    match request.method, request.path:
        case "POST", "/plants":
            return Reply(201, {"data": {"id": 7, **json.loads(request.body)}})
        case "POST", _:
            return Reply(200, {"data": {"done": {"litres": 1.5}}})
        case "DELETE" | "PATCH", _:
            return Reply(204, b"")
        case _, "/plants":
            return Reply(200, {"data": [{"id": 3, "name": "Rose"}, {"id": 4, "name": "Tulip"}]})
    return Reply(200, {"data": {"id": int(request.path.rpartition("/")[2]), "name": "Rose"}})


@pytest.fixture
def garden(tmp_path: Path) -> Iterator[provider.Connection]:
    (tmp_path / "garden.yaml").write_text(MANIFEST, encoding="utf-8")
    with (
        web_server(answer) as server,
        provider.connect(manifests=[str(tmp_path)], base_urls={"garden": server.url}) as connection,
    ):
        yield connection


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT id, name FROM garden.beds.plants WHERE id = 3", [(3, "Rose")]),
        ("SELECT name FROM garden.beds.plants WHERE id IN (3, 5)", [("Rose",), ("Rose",)]),
        ("SELECT id FROM garden.beds.plants ORDER BY id", [(3,), (4,)]),
        ("INSERT INTO garden.beds.plants (name) VALUES ('Iris') RETURNING id, name", [(7, "Iris")]),
        (
            "DELETE FROM garden.beds.plants WHERE id = 3 RETURNING id, plant_id, name",
            [(3, 3, None)],
        ),
        ("UPDATE garden.beds.plants SET name = 'Iris' WHERE id = 4 RETURNING id", [(4,)]),
        ("EXEC garden.beds.plants.water_plant @plant_id=3", [(1.5,)]),
    ],
)
def test_the_object_in_the_wrapper_is_the_row(
    garden: provider.Connection, sql: str, rows: list[tuple[object, ...]]
) -> None:
    assert garden.execute(sql).fetchall() == rows


BARE = MANIFEST.replace("'GET /plants/{plant_id}', row: $.data}", "'GET /plants/{plant_id}'}").replace(
    "POST /plants, row: $.data,", "POST /plants,"
)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[provider.Connection]:
    """A manifest that does not say that objects are wrapped, and an API that wraps them in several ways."""

    def wrapped(request: Seen) -> Reply:
        key = request.path.rpartition("/")[2]
        if request.path == "/plants" and request.method == "GET":
            return Reply(200, {"data": [{"plant": {"id": 3}}, {"plant": {"id": 4}}]})
        return Reply(200, {"data": [1], "more": 1}) if key == "9" else answer(request)

    (tmp_path / "garden.yaml").write_text(BARE, encoding="utf-8")
    with (
        web_server(wrapped) as server,
        provider.connect(manifests=[str(tmp_path)], base_urls={"garden": server.url}) as connection,
    ):
        yield connection


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT name FROM garden.beds.plants WHERE id = 7", ["It has data,", "id, name", "row: $.data"]),
        ("SELECT count(*) FROM garden.beds.plants WHERE id = 7", ["row: $.data"]),
        ("SELECT id, name FROM garden.beds.plants WHERE id = 9", ["It has data, more,", "rows: $.data"]),
        ("SELECT id FROM garden.beds.plants", ["It has plant,", "Correct rows"]),
        ("INSERT INTO garden.beds.plants (name) VALUES ('Iris') RETURNING id", ["It has data,", "1 of 1 writes"]),
    ],
)
@pytest.mark.parametrize("policy", ["error", "null"])
def test_an_object_without_any_declared_field_is_an_error_and_no_row_of_nulls(
    bare: provider.Connection, sql: str, words: list[str], policy: str
) -> None:
    bare.execute(f"SET on_bad_value = '{policy}'")
    with pytest.raises(provider.DataError, match="none of the declared fields") as raised:
        bare.execute(sql).fetchall()
    for word in words:
        assert word in str(raised.value)


def silent(request: Seen) -> Reply:
    """An API that tells nothing of what it did, and leaves the key out of an object that is asked for by it."""
    return Reply(200, {"data": {"name": "Rose"}}) if request.path == "/plants/3" else Reply(204, b"")


@pytest.fixture
def terse(tmp_path: Path) -> Iterator[provider.Connection]:
    (tmp_path / "garden.yaml").write_text(MANIFEST, encoding="utf-8")
    with (
        web_server(silent) as server,
        provider.connect(manifests=[str(tmp_path)], base_urls={"garden": server.url}) as connection,
    ):
        yield connection


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("INSERT INTO garden.beds.plants (name) VALUES ('Iris') RETURNING id, name", [(None, None)]),
        ("EXEC garden.beds.plants.water_plant @plant_id=3", [(None,)]),
        ("EXEC garden.beds.plants.prune_plants", []),
    ],
)
def test_where_an_answer_has_no_body_nothing_is_told_of_the_object(
    terse: provider.Connection, sql: str, rows: list[tuple[object, ...]]
) -> None:
    assert terse.execute(sql).fetchall() == rows


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT * FROM garden.beds.plants WHERE id = 3", [(3, "Rose")]),
        ("SELECT name FROM garden.beds.plants WHERE plant_id = 3", [("Rose",)]),
        ("SELECT count(*) FROM garden.beds.plants WHERE plant_id = '3'", [(1,)]),
        (
            "SELECT a.name, b.id FROM garden.beds.plants a, garden.beds.plants b WHERE a.id = 3 AND b.id = a.id",
            [("Rose", 3)],
        ),
    ],
)
def test_an_object_without_its_key_has_the_key_that_it_was_asked_for_by(
    terse: provider.Connection, sql: str, rows: list[tuple[object, ...]]
) -> None:
    assert terse.execute(sql).fetchall() == rows


def test_an_object_that_is_asked_for_and_has_no_body_is_an_error(terse: provider.Connection) -> None:
    with pytest.raises(provider.DataError, match="declared shape") as raised:
        terse.execute("SELECT name FROM garden.beds.plants WHERE id = 4")
    assert raised.value.reason == "It is no JSON text: the answer has no body."
