from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provider.emulator.answers import answer, sample

SCHEMAS = [
    True,
    {},
    {"type": "string"},
    {"type": "string", "minLength": 20},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"enum": ["red", "green"]},
    {"const": {"a": [1]}},
    {"type": "integer", "minimum": 10},
    {"type": "integer", "maximum": -3},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    {"type": "integer", "multipleOf": 7, "minimum": 8},
    {"type": "integer", "multipleOf": 7},
    {"type": "integer", "multipleOf": 5, "maximum": -1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": 0.25, "maximum": 0.25},
    {"type": ["null", "string"]},
    {"type": "null"},
    {"type": "boolean"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    {"type": "array", "maxItems": 0},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    {"anyOf": [{"type": "integer", "minimum": 5}, {"type": "string"}]},
    {"oneOf": [{"type": "string"}, {"type": "null"}], "description": "beside it"},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string"}}, "required": ["b"]},
        ]
    },
    {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/pair"}},
        "required": ["a", "b"],
        "additionalProperties": {"type": "integer"},
        "$defs": {"pair": {"type": "array", "items": {"type": "number"}, "minItems": 2}},
    },
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "children", "next"],
                "additionalProperties": False,
            }
        },
    },
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_sample_fits_its_schema(schema: Any) -> None:
    Draft202012Validator(schema).validate(sample(schema))


def test_references_in_a_circle_end() -> None:
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    assert sample(schema) == "value"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"required": list("abcdefghij"), "additionalProperties": {"$ref": "#"}},
    ],
)
def test_a_schema_without_end_is_refused(schema: Any) -> None:
    with pytest.raises(ValueError, match="it asks for"):
        sample(schema)


def test_a_schema_that_is_deep_is_followed_to_its_end() -> None:
    schema = {"type": "integer", "minimum": 5}
    for _ in range(30):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    Draft202012Validator(schema).validate(sample(schema))


def test_the_answer_says_what_reached_the_server() -> None:
    assert answer("Why?", "", [], "auto") == "You said: Why?"
    assert answer(None, "Be kind.", [("f", "1")], {"type": "text"}) == (
        "There is no user message.\nThe tool f answered: 1\nMy instructions: Be kind."
    )
    assert answer("Why?", "", [], {"type": "json_object"}) == '{"answer": "You said: Why?"}'
