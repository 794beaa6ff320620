"""The session's settings: what SET changes, RESET takes back, and SHOW SETTINGS lists.

A further setting is one more entry of `SETTINGS`, and a line in `Configuration._apply` where a change must be acted on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider.catalog.lifetime import seconds_of
from provider.errors import ProgrammingError, did_you_mean

if TYPE_CHECKING:
    from provider.sql.statements import Set

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    `type` is what its value is, in the words of the documentation; `default` the value of a session in which
    nobody has set it; `read` makes a value of SET's text, or raises ValueError with the reason.
    """

    name: str
    type: str
    default: Value
    description: str
    read: Callable[[str], Value]


def _text(text: str) -> str:
    return text


def _integer(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"-?\d+", text) or int(text) < least:
            raise ValueError(f"it is a whole number from {least} on")
        return int(text)

    return read


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) == 0:
        raise ValueError("it is a number of seconds above 0")
    return float(text)


def _seconds_or_none(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("it is a number of seconds, or 0 for no end")
    return float(text)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(did_you_mean(text, words))
        return text.lower()

    return read


def _lifetime(text: str) -> str:
    if text.lower() not in ("off", "on"):
        try:
            seconds_of(text.lower())
        except ValueError as e:
            raise ValueError(f"{e}; or on, or off") from None
    return text.lower()


#: By name; what `provider.connect` was given is the default of its connection.
SETTINGS: Mapping[str, Setting] = {
    s.name: s
    for s in (
        Setting(
            "cache",
            "off, on or a time",
            "off",
            "how long an answer may be used again, such as 5m; on is as long as manifests say",
            _lifetime,
        ),
        Setting(
            "dialect",
            "duckdb or stackql",
            "duckdb",
            "whose meaning a function has that both know",
            _one_of("duckdb", "stackql"),
        ),
        Setting("max_concurrency", "integer", 16, "requests in flight, per provider", _integer(1)),
        Setting("max_writes", "integer", 100, "objects that one UPDATE or DELETE may change", _integer(0)),
        Setting(
            "on_bad_value",
            "error, null or text",
            "error",
            "what a value becomes that does not fit its field: an error, NULL, or all fields are text",
            _one_of("error", "null", "text"),
        ),
        Setting("provider", "text", "", "the provider that names may leave out, as USE sets it", _text),
        Setting("retries", "integer", 4, "repetitions of a call after faults that may pass", _integer(0)),
        Setting("retry_seconds", "seconds", 120.0, "how long a call may take with its repetitions", _seconds),
        Setting("service", "text", "", "the service that names may leave out, as provider.service", _text),
        Setting("statement_timeout", "seconds", 0.0, "how long a statement may take; 0 has no end", _seconds_or_none),
        Setting("timeout", "seconds", 60.0, "wait for an answer to begin, and between two parts of it", _seconds),
    )
}


class Settings:
    """The values of one session.

    Args:
        defaults: what the connection was made with; RESET goes back to it.
    """

    def __init__(self, defaults: Mapping[str, Value] | None = None) -> None:
        self._defaults = {name: s.default for name, s in SETTINGS.items()} | dict(defaults or {})
        self._values = dict(self._defaults)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def text(self, name: str) -> str:
        """The value of a setting that is text."""
        return str(self._values[name])

    def integer(self, name: str) -> int:
        """The value of a setting that is a whole number."""
        return int(self._values[name] or 0)

    def number(self, name: str) -> float:
        """The value of a setting that is a number."""
        return float(self._values[name] or 0.0)

    def put(self, name: str, value: Value) -> None:
        """Set a value that has been checked."""
        self._values[name] = value

    def change(self, statement: Set) -> None:
        """Carry out SET or RESET of one of these settings.

        Raises:
            ProgrammingError: the value is none that the setting takes.
        """
        setting = SETTINGS[statement.name]
        place = statement.text.place(*statement.span)
        if statement.reset:
            self._values[setting.name] = self._defaults[setting.name]
        elif statement.value is None:
            raise ProgrammingError(
                f"{setting.name} takes one literal", place=place, remedy=f"SET {setting.name} = {_example(setting)}"
            )
        else:
            try:
                self._values[setting.name] = setting.read(statement.value)
            except ValueError as e:
                raise ProgrammingError(
                    f"{setting.name} cannot be '{statement.value}'", place=place, reason=str(e)
                ) from None

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """(name, value, default, type, description) of all settings, by name."""
        return [
            (name, str(self._values[name]), str(self._defaults[name]), s.type, s.description)
            for name, s in sorted(SETTINGS.items())
        ]


def _example(setting: Setting) -> str:
    return f"'{setting.default or '...'}'" if isinstance(setting.default, str) else str(setting.default)
