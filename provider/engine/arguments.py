"""The values that a statement is given for its placeholders, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from provider.engine.cursor import Parameters
from provider.errors import ProgrammingError
from provider.sql.statements import Query, Statement


def by_name(parameters: Parameters) -> dict[str, object]:
    """Parameters by name: the n-th of a sequence is p<n>, as `?` and `$n` are called once they are numbered.

    Raises:
        ProgrammingError: a single text, whose characters nobody means.
    """
    if parameters is None:
        return {}
    if isinstance(parameters, Mapping):
        return {f"p{k}" if str(k).isdigit() else str(k): v for k, v in parameters.items()}
    if isinstance(parameters, str | bytes):
        raise ProgrammingError("parameters are a list or a mapping, not a single text")
    return {f"p{i}": v for i, v in enumerate(parameters, 1)}


def check_count(statement: Statement, arguments: Mapping[str, object]) -> None:
    """Look whether all values have a placeholder.

    Raises:
        ProgrammingError: values beyond the statement's placeholders are a mistake, and would be ignored.
    """
    given = sum(1 for n in arguments if re.fullmatch(r"p\d+", n))
    texts = [statement.text, *(e.text for e in (statement.execs if isinstance(statement, Query) else ()))]
    wanted = max((int(n) for text in texts for n in re.findall(r"\$p(\d+)\b", text.sql)), default=0)
    if given > wanted:
        raise ProgrammingError(f"the statement takes {wanted} values and {given} were given")


def used(wanted: Sequence[str], arguments: Mapping[str, object]) -> dict[str, object]:
    """The values of the placeholders that are wanted.

    Raises:
        ProgrammingError: some have none.
    """
    missing = [n for n in wanted if n not in arguments]
    if missing:
        raise ProgrammingError(
            f"no value for the parameter{'s' if len(missing) > 1 else ''} {_listed(missing)}",
            remedy="Give values with the statement: execute(sql, [...]) for ?, execute(sql, {...}) for $name."
            " On the command line `-p name=VALUE` fills $name.",
        )
    return {n: arguments[n] for n in wanted}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"number {n[1:]}" if re.fullmatch(r"p\d+", n) else f"${n}" for n in names)
