"""A request to the emulator in the words of the API, what goes back, and the operation between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provider.emulator.objects import FILE, Json, Kind, from_v1
from provider.emulator.runs import Event, Turn
from provider.emulator.service import Service

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart request, with its other form fields checked; `arrived` has its bytes."""

    filename: str
    arrived: Path
    size: int
    purpose: str
    lives: int | None = None  # seconds


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its operation, API version (1 or 2), path ids, query and checked body in v2 words."""

    operation: Operation
    version: int
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Json = field(default_factory=dict)
    upload: Upload | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: JSON text, or a file, whose name is `body` then.

    `run` is set where the answer is a run, `events` to what the call did to it.
    """

    body: str
    run: Turn | None = None
    events: list[Event] = field(default_factory=list)
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its name, HTTP method and path, the kind it is about, and what serves it."""

    name: str
    method: str
    path: str
    kind: Kind
    serve: Callable[[Service, Call], Reply]
    versions: tuple[int, ...] = (1, 2)

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def needs_beta(self) -> bool:
        """Whether the operation is behind the OpenAI-Beta header."""
        return self.kind is not FILE

    def lift(self, body: Json, version: int) -> Json:
        """A checked body in v2 words."""
        return from_v1(self.name, body) if version == 1 else body
