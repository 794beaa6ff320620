"""SQL values as the JSON that a parameter takes."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import uuid
from decimal import Decimal, InvalidOperation
from typing import Any

from duckdb.sqltypes import DuckDBPyType

from provider.catalog.catalog import Parameter
from provider.errors import DataError
from provider.rest.exact import Json, canonical, exact, read, written

_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d+\s*")
#: What DuckDB calls what has no form in JSON.
_KINDS = {bytes: "BLOB", dt.timedelta: "INTERVAL"}
#: A whole number with more digits is no integer that an API could mean.
_DIGITS = 40


def encode(parameter: Parameter, value: object, resource: str, kind: DuckDBPyType | None = None) -> Json:
    """A value from DuckDB as JSON, checked against what the manifest says of the parameter.

    Text becomes structure where the parameter is an object or an array, or may be one (`any`) and the text
    is one; elsewhere text stays text. What DuckDB knows to be JSON is what it says: "1" is text, 1 a number.

    Args:
        kind: the value's type in DuckDB, where it has one.

    Raises:
        DataError: a value of another type, outside the documented values, or over a documented limit.
    """
    if value is None:
        return None
    try:
        found = _value(parameter, value, kind)
        _check(parameter, found)
    except ValueError as e:
        raise DataError(f"{resource}: {parameter.name} cannot be {_shown(value)}: {e}") from None
    return found


def _shown(value: object) -> str:
    """A value for an error: text in quotes, all else as JSON, and not all of what is long."""
    try:
        text = value if isinstance(value, str) else written(_plain(value)).decode()
    except ValueError:
        text = str(value)
    short = text if len(text) <= 80 else text[:77] + "..."
    return repr(short) if isinstance(value, str) else short


def is_same(parameter: Parameter, value: Json, current: object, kind: DuckDBPyType) -> bool:
    """Whether a value is the one that a field has now. In doubt it is not: 1 and 1.0 differ."""
    try:
        found = _value(parameter, current, kind)
    except ValueError:
        return False
    return canonical(found) == canonical(value)


def _value(parameter: Parameter, value: object, kind: DuckDBPyType | None) -> Json:
    if parameter.type.base == "any" and str(kind) == "JSON":
        return _plain(_read(value, kind))  # text that JSON says to be text is not looked into again
    return _typed(parameter.type.base, _read(value, kind))


def _read(value: Any, kind: DuckDBPyType | None) -> Any:
    """A value with the JSON in it read, wherever DuckDB's type says that there is some."""
    if value is None or kind is None or "JSON" not in str(kind):
        return value
    if kind.id in ("struct", "list", "array", "map"):
        inner: list[tuple[str, Any]] = kind.children
        match kind.id:
            case "struct":
                return {name: _read(value[name], child) for name, child in inner}
            case "map":
                return {name: _read(item, inner[1][1]) for name, item in value.items()}
        return [_read(item, inner[0][1]) for item in value]
    return _parsed(value) if isinstance(value, str) else value


def _typed(base: str, value: object) -> Json:
    plain = _plain(value)
    if plain is None:  # JSON's null
        return None
    match base:
        case "string" | "date" | "datetime" | "timestamp" if isinstance(plain, dict | list):
            return written(plain).decode()
        case "string" | "date" | "datetime" | "timestamp":
            return plain if isinstance(plain, str) else _text(value if isinstance(value, Decimal) else plain)
        case "object" | "array":
            if isinstance(plain, str):
                plain = _parsed(plain)
            wanted = dict if base == "object" else list
            if not isinstance(plain, wanted):
                raise ValueError(f"it takes a JSON {base}")
            return plain
        case "any":
            # Text that is no JSON is text, however it begins: "[URGENT] my parcel".
            if isinstance(plain, str) and plain.lstrip()[:1] in ("{", "["):
                try:
                    found = read(plain)
                except ValueError:
                    return plain
                return _plain(found)
            return plain
        case "boolean":
            if isinstance(plain, str) and plain.lower() in ("true", "false"):
                return plain.lower() == "true"
            if not isinstance(plain, bool):
                raise ValueError("it takes true or false")
            return plain
        case "integer":
            return _integer(plain)
        case "file":
            raise ValueError("it takes a file, which JSON has not")
    return _number(plain)


def _plain(value: object) -> Json:
    """DuckDB's Python values as JSON values."""
    match value:
        case float() if not math.isfinite(value):
            raise ValueError("JSON has no such number")
        case str():
            return _whole(value)
        case None | bool() | int() | float():
            return value
        case Decimal():
            return exact(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case dict():
            return {_whole(str(k)): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
    raise ValueError(f"a value of the type {_KINDS.get(type(value), type(value).__name__)} has no JSON form")


def _whole(text: str) -> str:
    """A text that can be sent: JSON's escapes can spell half of a character, which UTF-8 does not have."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("it has half of a surrogate pair, which is no character")
    return text


def _parsed(text: str) -> Json:
    try:
        found = read(text)
    except ValueError as e:
        raise ValueError(f"it is no JSON ({e})") from None
    return _plain(found)


def _text(value: Json) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _integer(value: Json) -> int:
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Decimal) and value.adjusted() < _DIGITS and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("it takes a whole number")
    return value


def _number(value: Json) -> int | float | Decimal:
    if isinstance(value, str):
        try:
            value = exact(Decimal(value.replace("_", "?")))  # Python takes 1_000 for a number
        except InvalidOperation:
            raise ValueError("it takes a number") from None
        if not math.isfinite(value):
            raise ValueError("JSON has no such number")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it takes a number")
    return value


def _check(parameter: Parameter, value: Json) -> None:
    if parameter.enum and not isinstance(value, dict | list) and value not in parameter.enum:
        raise ValueError(f"it takes {', '.join(map(str, parameter.enum))}")
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if parameter.minimum is not None and value < parameter.minimum:
            raise ValueError(f"it is at least {parameter.minimum:g}")
        if parameter.maximum is not None and value > parameter.maximum:
            raise ValueError(f"it is at most {parameter.maximum:g}")
    if isinstance(value, str) and parameter.max_length is not None and len(value) > parameter.max_length:
        raise ValueError(f"it has {len(value):,} characters and may have {parameter.max_length:,}")
    if isinstance(value, dict | list) and parameter.max_items is not None and len(value) > parameter.max_items:
        raise ValueError(f"it has {len(value)} items and may have {parameter.max_items}")
    if isinstance(value, dict):
        _check_pairs(parameter, value)
    for place, inner in enumerate(value) if isinstance(value, list) else [(None, value)]:
        if isinstance(inner, dict):
            _check_members(parameter, inner, "" if place is None else f"[{place}]")


def _check_members(parameter: Parameter, found: dict[str, Json], place: str) -> None:
    """Check what an object has within; `place` says which one of an array it is."""
    for member in parameter.members:
        value = found.get(member.wire)
        if value is None:
            if member.required:
                raise ValueError(f"{place}.{member.name} is missing".removeprefix("."))
            continue
        try:
            _check(member, value)
        except ValueError as e:
            raise ValueError(f"{place}.{member.name}: {e}".removeprefix(".")) from None


def _check_pairs(parameter: Parameter, pairs: dict[str, Json]) -> None:
    for name, value in pairs.items():
        if parameter.max_key_length is not None and len(name) > parameter.max_key_length:
            raise ValueError(f"a key has {len(name):,} characters and may have {parameter.max_key_length:,}")
        if parameter.max_value_length is None:
            continue
        if not isinstance(value, str):
            raise ValueError(f'its value of "{name}" is no text')
        if len(value) > parameter.max_value_length:
            allowed = parameter.max_value_length
            raise ValueError(f'its value of "{name}" has {len(value):,} characters and may have {allowed:,}')
