"""Writes as plans: a query whose rows are calls, one call a row. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from provider.catalog.catalog import Method, Parameter, Resource
from provider.errors import Place
from provider.plan.physical import Plan

if TYPE_CHECKING:
    from provider.catalog.manifest import Verb

#: The staged table of a write's answers.
ANSWERS = "__apiql_answers"


@dataclass(frozen=True, slots=True)
class Returning:
    """RETURNING: a query over the staged answers, and the key parameters that it names, with their fields."""

    sql: str
    synonyms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Action:
    """What a row of the source becomes: a call of `method`.

    The parameters' values are the source's columns from number `first` on, in order; `origins` says in SQL
    where each comes from. `payload` says that the column after them is a JSON object whose members are further
    body attributes. `current` are the source's columns with the values that the object has now, None where it
    is not known: what equals them is not sent. `unique` are parameters whose values no two rows may share.
    """

    verb: Verb
    method: Method
    parameters: tuple[Parameter, ...]
    origins: tuple[str, ...]
    first: int = 0
    payload: bool = False
    current: tuple[int | None, ...] = ()
    unique: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class WritePlan:
    """Calls of a resource's methods.

    `source` gives a row a call. `chooses` says that its first column is the number of the row's action, or NULL
    for a row that nothing is done for; else all rows have the only action. `reads_first` says that the source
    reads the target in order to find the rows; `unfiltered` that no condition limits them. `awaits` says that the
    operations that the calls begin are waited for, `text` that only the text of a stream is wanted.
    """

    verb: Literal["INSERT", "UPDATE", "REPLACE", "DELETE", "MERGE", "EXEC"]
    resource: Resource
    actions: tuple[Action, ...]
    source: Plan
    place: Place
    returning: Returning | None = None
    reads_first: bool = False
    unfiltered: bool = False
    chooses: bool = False
    awaits: bool = False
    text: bool = False

    @property
    def is_safe(self) -> bool:
        """Whether it changes nothing: an EXEC that only reads."""
        return all(action.method.is_safe for action in self.actions)
