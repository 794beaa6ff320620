"""JSON text as values and back, with every digit of its numbers."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import NoReturn

import msgspec

#: What JSON can hold. A number that a binary float would change is a Decimal.
Json = None | bool | int | float | Decimal | str | list["Json"] | dict[str, "Json"]

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_SORTING = msgspec.json.Encoder(decimal_format="number", order="sorted")


def read(text: str) -> Json:
    """The value of a JSON text.

    Raises:
        ValueError: it is none; NaN and Infinity, which Python would read, are none either.
    """
    try:
        found: Json = json.loads(text, parse_float=lambda numeral: exact(Decimal(numeral)), parse_constant=_refuse)
    except InvalidOperation:
        raise ValueError("the exponent of a number is too large") from None
    return found


def written(value: Json) -> bytes:
    """The JSON text of a value, on one line, with a space behind each comma and colon."""
    return msgspec.json.format(_ENCODER.encode(value), indent=0)


def canonical(value: Json) -> bytes:
    """A text that is equal for values that differ in the order of their keys only."""
    return _SORTING.encode(value)


def exact(value: Decimal) -> float | Decimal:
    """A number as a float where that has all of its digits."""
    nearest = float(value)  # infinite where it is too large
    return nearest if Decimal(repr(nearest)) == value else value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"JSON has no such number as {word}")
