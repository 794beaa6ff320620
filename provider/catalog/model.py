"""What the models of the manifest format share: strictness, and the spelling of names and paths."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_PATH = r"^\$(\.[A-Za-z_][A-Za-z0-9_-]*)*$"
_HTTP = r"^(GET|POST|PUT|PATCH|DELETE) /\S*$"
#: How a value that must follow a pattern is written, for errors.
SPELLINGS = {
    _NAME: "a name of letters, digits and _",
    _PATH: "a path from the root of the body, such as $.data",
    _HTTP: "an HTTP method and a path, such as GET /threads/{thread_id}",
}

Name = Annotated[str, StringConstraints(pattern=_NAME)]
#: `$`, `$.a`, `$.a.b`: keys from the root of a JSON body. Nothing else of JSONPath is needed here.
Path = Annotated[str, StringConstraints(pattern=_PATH)]
#: `GET /threads/{thread_id}`.
Http = Annotated[str, StringConstraints(pattern=_HTTP)]


class Model(BaseModel):
    """A part of a manifest: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
