"""The bundled manifest against Griptape Cloud's OpenAPI document of October 2024, where that is at hand."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.catalog.catalog import Field, Method
from provider.catalog.loader import Catalog

FOLDER = Path(os.environ.get("APIQL_OPENAPI_DIR", Path(__file__).parents[3] / "shared" / "openapi"))
#: Operations that a somewhat later document has and this one lacks.
LATER = {
    "list_users",
    "list_organization_api_keys",
    "create_organization_api_key",
    "cancel_assistant_run",
    "get_assistant_run_events_sse",
    "get_structure_run_events_sse",
}
#: Query parameters and members of bodies that only later documents have.
LATER_PARAMETERS = {
    "status", "new_thread", "model", "retriever_ids", "additional_retriever_ids", "tool_ids", "additional_tool_ids",
}  # fmt: skip
#: Fields that only later documents have.
LATER_FIELDS = {"organization_id", "created_by", "model", "retriever_ids", "tool_ids"}


@cache
def document() -> dict[str, Any]:
    path = FOLDER / "griptape-2024.yaml"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set APIQL_OPENAPI_DIR to run this test")
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return loaded


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = document()["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]]
    return node


def operations() -> dict[str, tuple[str, dict[str, Any]]]:
    """By our method's name: the HTTP method and path behind the host, and what the document says."""
    prefix = document()["servers"][0]["url"].removeprefix("https://cloud.griptape.ai")
    return {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in operation["operationId"]).lstrip("_"): (
            f"{http.upper()} {prefix}{path}",
            operation,
        )
        for path, item in document()["paths"].items()
        for http, operation in item.items()
    }


def known() -> list[tuple[Method, dict[str, Any]]]:
    """The methods that the document has, each with its operation."""
    catalog = Catalog(environ={})
    methods = [
        m
        for service in catalog.services("griptape")
        for resource in catalog.service("griptape", service).resources.values()
        for m in resource.methods
    ]
    assert {m.name for m in methods} - set(operations()) == LATER
    return [(m, operations()[m.name][1]) for m in methods if m.name not in LATER]


def content(node: dict[str, Any]) -> dict[str, Any]:
    return resolved(node.get("content", {}).get("application/json", {}).get("schema", {}))


def kind(node: dict[str, Any]) -> str:
    """What the manifest calls a property's type."""
    node = resolved(node)
    return "timestamp" if node.get("format") == "date-time" else str(node.get("type", "any"))


def test_paths_and_http_methods_are_the_same() -> None:
    for method, _ in known():
        assert method.http == operations()[method.name][0]


def test_parameters_of_path_and_query_are_the_same() -> None:
    for method, operation in known():
        theirs = {(p["in"], p["name"], p.get("required", False)) for p in operation.get("parameters", ())}
        ours = {(p.location, p.wire, p.required) for p in method.parameters if p.location != "body"}
        assert {p for p in ours if p[1] not in LATER_PARAMETERS or p in theirs} == theirs, method.name


def test_body_properties_are_the_same_and_the_same_ones_are_required() -> None:
    for method, operation in known():
        schema = content(operation.get("requestBody", {}))
        theirs = {n: kind(p) for n, p in schema.get("properties", {}).items()}
        ours = [p for p in method.parameters if p.location == "body"]
        assert {p.wire: p.type.base for p in ours if p.wire not in LATER_PARAMETERS} == theirs, method.name
        required = {p.wire for p in ours if p.required}
        if method.name == "create_events":  # the document forgets that events without events are none
            required.discard("events")
        assert required == set(schema.get("required", ())), method.name
        for p in ours:
            if p.wire in theirs and p.type.base == "string":
                assert p.max_length == resolved(schema["properties"][p.wire]).get("maxLength"), (method.name, p.wire)


def test_fields_are_the_same_with_the_same_types() -> None:
    for method, operation in known():
        (status,) = (s for s in operation["responses"] if s.startswith("2"))
        schema = content(operation["responses"][status])
        if method.is_list:
            schema = resolved(resolved(schema["properties"][method.rows[0]])["items"])
        theirs = {n: kind(p) for n, p in schema.get("properties", {}).items()}
        assert types(method.returns, theirs) == theirs, method.name


def types(fields: tuple[Field, ...], theirs: dict[str, str]) -> dict[str, str]:
    """Our fields by type, without the later ones that the document lacks."""
    return {f.name: f.type.base for f in fields if f.name not in LATER_FIELDS or f.name in theirs}


def test_the_states_of_a_run_are_the_same() -> None:
    states = resolved({"$ref": "#/components/schemas/AssistantRunStatus"})["enum"]
    status = Catalog(environ={}).resource("griptape", "assistants", "runs").field("status")
    assert status is not None
    assert set(status.enum) == set(states)


def test_a_status_without_a_body_has_no_fields() -> None:
    for method, operation in known():
        if not any("content" in r for s, r in operation["responses"].items() if s.startswith("2")):
            assert method.returns == (), method.name
