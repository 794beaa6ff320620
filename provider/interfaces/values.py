"""DuckDB's values, as Python has them, as text: JSON, and the text of a cell."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

Encoder = Callable[[Any], str]

#: What a terminal acts on instead of showing it: control characters, and those that turn the writing direction.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"})
_NO_NUMBER = {math.inf: "Infinity", -math.inf: "-Infinity"}


def visible(text: str) -> str:
    r"""The text with what a terminal would act on written out: `\n`, `\x1b`, `\u202e`."""

    def escape(m: re.Match[str]) -> str:
        code = ord(m[0])
        return _SHORT.get(m[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")

    return UNSAFE.sub(escape, text)


def visible_lines(text: str) -> str:
    """As `visible`, with line feeds and tabs kept."""
    if not UNSAFE.search(text):
        return text
    return "".join(part if part in ("\n", "\t") else visible(part) for part in re.split(r"([\n\t])", text))


def cell(duckdb_type: str) -> Encoder:
    """How values of a column become the text of a cell. NULL is the caller's: it is not passed.

    Lists, structs and maps become JSON; JSON stays as it came.
    """
    if duckdb_type in ("VARCHAR", "JSON", *_INTEGERS):
        return str
    encode = json_text(duckdb_type)
    return lambda value: encode(value) if isinstance(value, list | tuple | dict) else _scalar(value)


def json_text(duckdb_type: str) -> Encoder:
    """How values of a column become JSON text on one line; JSON within them is embedded, not quoted.

    NULL is the caller's, as in `cell`. Numbers keep all their digits. What JSON has no number for (NaN,
    Infinity) becomes a string.
    """
    if duckdb_type in _INTEGERS:
        return str
    if duckdb_type == "VARCHAR":
        return _string
    shape = _shape(duckdb_type)
    return lambda value: _json(value, shape)


def _scalar(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return _float(value)
        case Decimal():
            return format(value, "f")
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return _interval(value)
        case bytes():
            return _blob(value)
    return str(value)


def _float(value: float) -> str:
    return "NaN" if math.isnan(value) else _NO_NUMBER.get(value) or repr(value)


def _interval(value: timedelta) -> str:
    """As DuckDB reads it: `3 days 04:05:06`."""
    sign = "-" if value < timedelta() else ""
    magnitude = abs(value)
    hours, rest = divmod(magnitude.seconds, 3600)
    clock = f"{sign}{hours:02}:{rest // 60:02}:{rest % 60:02}"
    if magnitude.microseconds:
        clock += f".{magnitude.microseconds:06}"
    return f"{sign}{magnitude.days} days {clock}" if magnitude.days else clock


def _blob(value: bytes) -> str:
    """As DuckDB reads it: printable ASCII stays, every other byte is written out."""
    return "".join(chr(b) if 32 <= b <= 126 and b not in b"\\'\"" else f"\\x{b:02X}" for b in value)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where JSON stands in a type: here, or in the parts of a list, a struct or a map."""

    is_json: bool = False
    #: Of the fields of a struct in their order; one that stands for all elements of a list or map.
    parts: tuple[_Shape, ...] = ()

    def part(self, index: int) -> _Shape:
        return self.parts[min(index, len(self.parts) - 1)] if self.parts else self


_PLAIN = _Shape()


def _shape(duckdb_type: str) -> _Shape:
    # Only JSON cannot be told from Python's value, which is a str as it is for VARCHAR.
    if "JSON" not in duckdb_type:
        return _PLAIN
    if duckdb_type == "JSON":
        return _Shape(is_json=True)
    if m := re.fullmatch(r"(.*)\[\d*\]", duckdb_type, re.DOTALL):
        return _Shape(parts=(_shape(m[1]),))
    if m := re.fullmatch(r"(STRUCT|MAP)\((.*)\)", duckdb_type, re.DOTALL):
        fields = list(_split(m[2]))
        if m[1] == "MAP":
            return _Shape(parts=(_shape(fields[-1]),))
        return _Shape(parts=tuple(_shape(_FIELD_NAME.sub("", f)) for f in fields))
    return _PLAIN


_FIELD_NAME = re.compile(r'^("(?:""|[^"])*"|\w+) (?=\w)')
_TYPE_PIECE = re.compile(r""" "(?:""|[^"])*" | '(?:''|[^'])*' | [(),] """, re.VERBOSE)


def _split(fields: str) -> Iterator[str]:
    """The fields of a struct type: split at the commas that stand outside of parentheses and quotes."""
    depth = start = 0
    for m in _TYPE_PIECE.finditer(fields):
        depth += {"(": 1, ")": -1}.get(m[0], 0)
        if m[0] == "," and depth == 0:
            yield fields[start : m.start()].strip()
            start = m.end()
    yield fields[start:].strip()


def _json(value: object, shape: _Shape) -> str:
    match value:
        case None:
            return "null"
        case str():
            return _embedded(value) if shape.is_json else _string(value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else _string(_float(value))
        case Decimal():
            return format(value, "f") if value.is_finite() else _string(str(value))
        case list() | tuple():
            return "[" + ", ".join(_json(v, shape.part(i)) for i, v in enumerate(value)) + "]"
        case dict():
            pairs = enumerate(value.items())
            return "{" + ", ".join(f"{_string(_scalar(k))}: {_json(v, shape.part(i))}" for i, (k, v) in pairs) + "}"
    return _string(_scalar(value))


def _string(text: str) -> str:
    quoted = encode_basestring(text)
    return UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", quoted) if UNSAFE.search(quoted) else quoted


def _embedded(text: str) -> str:
    """JSON text on one line; as a string where DuckDB is laxer than JSON: NaN, and commas at the end."""
    try:
        _STRICT.decode(text)
    except (ValueError, RecursionError):
        return _string(text)
    return UNSAFE.sub(lambda m: " " if m[0] in "\n\r\t" else f"\\u{ord(m[0]):04x}", text.strip())


def _refuse(constant: str) -> float:
    raise ValueError(constant)


#: Numbers are not converted: Python refuses integers of more than 4,300 digits.
_STRICT = json.JSONDecoder(parse_float=lambda _: 0.0, parse_int=lambda _: 0, parse_constant=_refuse)
