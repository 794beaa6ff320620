"""Where the variables that a manifest names get their values: the environment, a file, or a program."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from provider.errors import InterfaceError
from provider.rest.auth import command
from provider.rest.auth.secret import Secret
from provider.rest.auth.token import Found

#: Bytes that a secret file may have.
_MOST = 64 * 2**10


class Lookup:
    """The values of one account's variables.

    A variable NAME has its value in the environment as NAME, or in the file that NAME_FILE names, or from the
    program that NAME_COMMAND starts. More than one of them is an error, as no rule says which is meant.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def stamp(self, names: Iterable[str]) -> int:
        """A number that is another one once the environment says something else about variables."""
        get = self._environ.get
        return hash(tuple((get(n), get(f"{n}_FILE"), get(f"{n}_COMMAND")) for n in names))

    def settings(self, names: Iterable[str]) -> tuple[Secret | None, ...]:
        """What the environment says about variables."""
        spelled = (self._environ.get(n + suffix) for n in names for suffix in ("", "_FILE", "_COMMAND"))
        return tuple(Secret(value) if value else None for value in spelled)

    def text(self, name: str) -> str | None:
        """A variable of the environment as it stands there; None when unset or blank."""
        return self._environ.get(name, "").strip() or None

    async def find(
        self, names: Iterable[str], clock: Callable[[], float], *, kept: str | None = None
    ) -> dict[str, Found]:
        """The values of the variables that have one.

        Args:
            clock: Unix time in seconds.
            kept: the variable whose file is a token file, which is not read here.

        Raises:
            InterfaceError: a file cannot be read, a program fails, or a variable has two values.
        """
        values = {name: await self._one(name, clock, in_file=name != kept) for name in names}
        return {name: found for name, found in values.items() if found is not None}

    async def _one(self, name: str, clock: Callable[[], float], *, in_file: bool) -> Found | None:
        spelled = [name, *([f"{name}_FILE"] if in_file else []), f"{name}_COMMAND"]
        given = [n for n in spelled if self.text(n)]
        if len(given) > 1:
            raise InterfaceError(f"{' and '.join(given)} are set; which one counts?", remedy="Unset all but one.")
        if not given:
            return None
        value = self.text(given[0]) or ""
        if given[0] == name:
            return Found(Secret(value))
        if given[0] == f"{name}_FILE":
            # A pipe or a network disk may take its time.
            return Found(Secret(await asyncio.to_thread(_content, given[0], value)))
        try:
            argv = shlex.split(value)
        except ValueError as e:
            raise InterfaceError(f"{given[0]} cannot be split into words", reason=str(e)) from None
        return await command.run(given[0], argv, clock)


def _content(name: str, path: str) -> str:
    """The text of a secret file, without blanks around it."""
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(_MOST + 1)
        text = content.decode().strip()
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "It is not UTF-8."
        raise InterfaceError(f"the file of {name} cannot be read: {path}", reason=reason or "") from None
    if not text or len(content) > _MOST:
        what = "is empty" if not text else f"is larger than {_MOST:,} bytes"
        raise InterfaceError(f"the file of {name} {what}: {path}")
    return text
