"""What the emulator says: deterministic texts, and values that fit a JSON schema.

No model is asked. The answer repeats the question, names the tool outputs and the instructions, so that a
test can tell from the text alone what reached the server.
"""

from __future__ import annotations

import json
import math
from typing import Any

from provider.emulator.objects import Json

_DEEP = 5  # where optional properties and array items stop, so that recursive schemas end
_DEEPEST = 100  # a schema that asks for more has no end
_LARGEST = 10_000  # values in a sample, characters in a string
_FORMATS = {
    "date-time": "2024-01-01T00:00:00Z",
    "date": "2024-01-01",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}


def tokens(text: str) -> int:
    """The length of a text in tokens: one for every four characters begun."""
    return math.ceil(len(text) / 4)


def answer(prompt: str | None, instructions: str, outputs: list[tuple[str, str]], wanted: Any) -> str:
    """The final text of a run.

    `prompt` is the last user message or None, `outputs` the submitted tool outputs as (function, output), and
    `wanted` the response format of the run.
    """
    lines = ["There is no user message." if prompt is None else f"You said: {prompt}"]
    lines += [f"The tool {name} answered: {output}" for name, output in outputs]
    if instructions:
        lines.append(f"My instructions: {instructions}")
    text = "\n".join(lines)
    match wanted:
        case {"type": "json_object"}:
            return json.dumps({"answer": text}, ensure_ascii=False)
        case {"type": "json_schema", "json_schema": {**described}}:
            return json.dumps(sample(described.get("schema", {})), ensure_ascii=False)
    return text


def arguments(function: Json) -> str:
    """The arguments of a call of `function`, as the JSON text that the wire carries."""
    parameters = function.get("parameters") or {"type": "object"}
    return json.dumps(sample({"type": "object", **parameters}), ensure_ascii=False)


def sample(schema: Any) -> Any:
    """A value that fits a JSON schema.

    Understood: $ref into the schema itself, const, enum, allOf, anyOf and oneOf (the first branch), type,
    properties, required, items, prefixItems, the bounds of lengths and numbers, multipleOf, common formats.
    Not looked at: pattern, uniqueItems, not, if, dependent keywords. A string without other rules is the
    name of its property.

    Raises ValueError when the value would have no end; a malformed schema raises whatever it trips over.
    """
    return _Sampler(schema).value(schema, "value", 0)


class _Sampler:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _LARGEST

    def value(self, schema: Any, name: str, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            raise ValueError("it asks for a value without end")
        if not isinstance(schema, dict):
            return name
        schema = self._flat(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        match _type(schema, depth):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number" as kind:
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
        return _string(schema, name)

    def _flat(self, schema: Json, depth: int) -> Json:
        """The schema with its references and its combinations merged in, one branch of each alternative."""
        for _ in range(32):  # a chain of references may be a circle
            if "$ref" in schema:
                schema = _merge(_resolve(schema["$ref"], self._root), _without(schema, "$ref"))
            elif schema.get("allOf"):
                merged = _without(schema, "allOf")
                for branch in schema["allOf"]:
                    merged = _merge(merged, self._flat(branch, depth + 1) if isinstance(branch, dict) else {})
                schema = merged
            elif key := next((key for key in ("anyOf", "oneOf") if schema.get(key)), None):
                branches = [branch for branch in schema[key] if isinstance(branch, dict)] or [{}]
                ends = [branch for branch in branches if branch.get("type") == "null"]
                chosen = ends[0] if depth > _DEEP and ends else branches[0]
                schema = _merge(_without(schema, key), chosen)
            else:
                return schema
        return {}

    def _object(self, schema: Json, depth: int) -> Json:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        names = dict.fromkeys(required if depth > _DEEP else [*properties, *required])
        other = schema.get("additionalProperties", {})
        return {name: self.value(properties.get(name, other), name, depth + 1) for name in names}

    def _array(self, schema: Json, name: str, depth: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        size = max(schema.get("minItems", 0), len(first), 0 if depth > _DEEP else 1)
        size = min(size, schema.get("maxItems", size))
        rest = schema.get("items", {})
        return [self.value(first[index] if index < len(first) else rest, name, depth + 1) for index in range(size)]


def _without(schema: Json, key: str) -> Json:
    return {other: value for other, value in schema.items() if other != key}


def _merge(first: Json, second: Json) -> Json:
    merged = first | second
    if "properties" in first and "properties" in second:
        merged["properties"] = first["properties"] | second["properties"]
    if "required" in first and "required" in second:
        merged["required"] = [*first["required"], *second["required"]]
    return merged


def _resolve(reference: str, root: Any) -> Json:
    found = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
    return found if isinstance(found, dict) else {}


def _type(schema: Json, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        if depth > _DEEP and "null" in kind:
            return "null"
        return next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _string(schema: Json, name: str) -> str:
    shortest = schema.get("minLength", 0)
    if shortest > _LARGEST:
        raise ValueError("it asks for too long a text")
    text = _FORMATS.get(schema.get("format", ""), name).ljust(shortest, "x")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Json, *, whole: bool) -> float:
    """The first of a few likely numbers that fits; 1 when none does."""
    low = max((schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema), default=-math.inf)
    high = min((schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema), default=math.inf)
    part: float = schema.get("multipleOf", 0)
    ends = [end for end in (low, high) if math.isfinite(end)]
    guesses: list[float] = [1, 0, *ends]
    for end in ends:
        guesses += [math.floor(end) + 1, math.ceil(end) - 1]
        if part:
            guesses += [part * (math.floor(end / part) + step) for step in (0, 1, -1)]
    if len(ends) == 2:
        guesses.append((low + high) / 2)
    if part:
        guesses.append(part)

    def fits(guess: float) -> bool:
        return (
            low <= guess <= high
            and guess != schema.get("exclusiveMinimum")
            and guess != schema.get("exclusiveMaximum")
            and (not whole or guess == int(guess))
            and (not part or guess / part == int(guess / part))
        )

    found = next((guess for guess in guesses if fits(guess)), 1)
    return int(found) if whole else found
