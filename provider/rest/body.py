"""What stands at a path of a JSON body; `text_at` skips over the rest and does not build it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from provider.catalog.catalog import path_keys

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
#: A key, or the number of an element.
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_string = msgspec.json.Decoder(str).decode


def values_at(value: Any, path: str) -> list[Any]:
    """What stands at a path of decoded JSON: an array on the way stands for all of its elements, null for nothing."""
    found = [value]
    for key in path_keys(path):
        opened = [e for v in found for e in (v if isinstance(v, list) else (v,))]
        found = [e[key] for e in opened if isinstance(e, dict) and e.get(key) is not None]
    return found


def text_at(body: bytes, path: str) -> str | None:
    """The value at a path as text: a string's content, or the JSON of anything else.

    None where there is nothing or null, or where the body is no JSON. `$` is the whole body, JSON or not. An element of
    an array is named by its number, from 0: `$.errors[0].detail`.
    """
    steps = _STEP.findall(path)
    if not steps:
        return body.decode("utf-8", "replace")
    found = body
    try:
        for key, number in steps:
            found = bytes(_elements(found)[int(number)] if number else _members(found)[key])
        if found == b"null":
            return None
        return _string(found) if found.startswith(b'"') else found.decode("utf-8")
    except (LookupError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
