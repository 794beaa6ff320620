"""A secret as a value that cannot be shown by accident."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that repr(), str() and format() hide, and with them logs, errors and tracebacks with locals."""

    _text: str

    def reveal(self) -> str:
        """The text itself, for the request or the file that it goes to."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"
