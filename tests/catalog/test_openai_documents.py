"""The bundled manifest against OpenAI's own OpenAPI documents of v1 and v2, where these are at hand."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from provider.catalog.catalog import Method, Service
from provider.catalog.loader import Catalog

FOLDER = Path(os.environ.get("APIQL_OPENAPI_DIR", Path(__file__).parents[3] / "shared" / "openapi"))
DOCUMENTS = {"v1": "openai-assistants-v1.json", "v2": "openai-core.json"}
OBJECTS = {
    "assistants": "AssistantObject",
    "assistant_files": "AssistantFileObject",
    "threads": "ThreadObject",
    "messages": "MessageObject",
    "message_files": "MessageFileObject",
    "runs": "RunObject",
    "run_steps": "RunStepObject",
}
VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])

# The v1 document requires a property of these bodies that it does not define, and forbids undefined ones.
DEFECTS = {("v1", "create_run", "thread_id"), ("v1", "create_thread_and_run", "thread_id")}


@cache
def openapi(version: str) -> dict[str, Any]:
    path = FOLDER / DOCUMENTS[version]
    if not path.is_file():
        pytest.skip(f"{path} is absent; set APIQL_OPENAPI_DIR to run this test")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def resolved(version: str, node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = openapi(version)["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]]
    return node


def variants(version: str, node: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema's branches without null."""
    node = resolved(version, node)
    branches = [b for key in ("anyOf", "oneOf", "allOf") for b in node.get(key, ())]
    found = [v for b in branches for v in variants(version, b)] if branches else [node]
    return [v for v in found if v.get("type") != "null"]


def kinds(version: str, node: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for variant in variants(version, node):
        declared = variant.get("type", "object")
        found |= {declared} if isinstance(declared, str) else set(declared)
    return found - {"null"}


def our_kind(base: str) -> str:
    """What the manifest's type would be called by the document: `any` is a union."""
    return "union" if base == "any" else base


def their_kind(names: set[str]) -> str:
    return next(iter(names)) if len(names) == 1 else "union"


def service(version: str) -> Service:
    return Catalog(versions={"openai": version}, environ={}).service("openai", "assistants")


def operations(version: str) -> dict[str, dict[str, Any]]:
    """Operations with the tag Assistants, by HTTP method and path."""
    return {
        f"{http.upper()} {path}": operation
        for path, item in openapi(version)["paths"].items()
        for http, operation in item.items()
        if isinstance(operation, dict) and "Assistants" in operation.get("tags", ())
    }


def methods(version: str) -> dict[str, Method]:
    return {m.http: m for r in service(version).resources.values() for m in r.methods}


def body(version: str, operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    return resolved(version, content.get("application/json", {}).get("schema", {}))


@VERSIONS
def test_the_operations_are_the_same(version: str) -> None:
    assert set(methods(version)) == set(operations(version))


@VERSIONS
def test_a_method_is_named_after_its_operation(version: str) -> None:
    for http, operation in operations(version).items():
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation["operationId"])
        assert methods(version)[http].name == snake


@VERSIONS
def test_parameters_of_path_and_query_are_the_same(version: str) -> None:
    for http, operation in operations(version).items():
        theirs = {(p["in"], p["name"], p.get("required", False)) for p in operation.get("parameters", ())}
        ours = methods(version)[http].parameters
        assert {(p.location, p.wire, p.required) for p in ours if p.location != "body"} == theirs, http


@VERSIONS
def test_body_properties_are_the_same_and_the_same_ones_are_required(version: str) -> None:
    for http, operation in operations(version).items():
        method = methods(version)[http]
        schema = body(version, operation)
        required = {name for name in schema.get("required", ()) if (version, method.name, name) not in DEFECTS}
        theirs = {(name, name in required) for name in {*schema.get("properties", {}), *required}}
        assert {(p.wire, p.required) for p in method.parameters if p.location == "body"} == theirs, http


@VERSIONS
def test_types_and_limits_of_body_properties_are_the_same(version: str) -> None:
    for http, operation in operations(version).items():
        properties = body(version, operation).get("properties", {})
        for p in methods(version)[http].parameters:
            if p.location != "body":
                continue
            node, where = properties[p.wire], (http, p.wire)
            if (version, p.wire) != ("v1", "content"):  # v2's union of string and array covers v1's string
                assert our_kind(p.type.base) == their_kind(kinds(version, node)), where
            limits = {"minimum": p.minimum, "maximum": p.maximum, "maxLength": p.max_length}
            if p.wire != "metadata":  # its limit is prose in the documents
                limits["maxItems"] = p.max_items
            if p.type.base == "any":
                continue
            for key, ours in limits.items():
                theirs = {v[key] for v in variants(version, node) if key in v}
                assert theirs == ({ours} if ours is not None else set()), (*where, key)
            if p.wire != "model":  # any string is a model
                values = {e for v in variants(version, node) for e in v.get("enum", ()) if e is not None}
                assert set(p.enum) == values, where


@VERSIONS
def test_fields_are_the_same_with_the_same_types(version: str) -> None:
    resources = service(version).resources
    assert set(resources) == {n for n, schema in OBJECTS.items() if schema in openapi(version)["components"]["schemas"]}
    for name, resource in resources.items():
        properties = resolved(version, {"$ref": f"#/components/schemas/{OBJECTS[name]}"})["properties"]
        theirs = {n: their_kind(kinds(version, node)) for n, node in properties.items()}
        assert {f.name: our_kind(f.type.base) for f in resource.fields} == theirs, name


@VERSIONS
def test_documented_values_of_fields_are_the_same(version: str) -> None:
    for name, resource in service(version).resources.items():
        properties = resolved(version, {"$ref": f"#/components/schemas/{OBJECTS[name]}"})["properties"]
        for field in resource.fields:
            if field.type.base == "string":
                theirs = {e for v in variants(version, properties[field.name]) for e in v.get("enum", ())}
                if (version, name, field.name) == ("v1", "runs", "status"):
                    theirs.add("incomplete")  # v1 has incomplete_details, and forgets the status
                assert set(field.enum) == theirs, (name, field.name)


@VERSIONS
def test_a_delete_answers_the_documented_envelope(version: str) -> None:
    for http, method in methods(version).items():
        if method.verb == "DELETE":
            content = operations(version)[http]["responses"]["200"]["content"]
            schema = resolved(version, content["application/json"]["schema"])
            assert {f.name for f in method.returns} == set(schema["properties"])
