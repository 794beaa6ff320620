"""What the models of the manifest format share: strictness, and the spelling of names and paths."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_PATH = r"^\$(\.[A-Za-z_][A-Za-z0-9_-]*)*$"
_VALUE = r"^\$(\[\d+\])*(\.[A-Za-z_][A-Za-z0-9_-]*(\[\d+\])*)*$"
_HTTP = r"^(GET|POST|PUT|PATCH|DELETE) /\S*$"
_URL_PATH = r"^/([^/\s]\S*)?$"
_URL = r"^(https?://[^/\s]\S*|/([^/\s]\S*)?)$"
_LIFETIME = r"^\d+[smhd]$"
#: How a value that must follow a pattern is written, for errors.
SPELLINGS = {
    _NAME: "a name of letters, digits and _",
    _PATH: "a path from the root of the body, such as $.data",
    _VALUE: "a path to a value of the body, such as $.error.message or $.errors[0].detail",
    _HTTP: "an HTTP method and a path, such as GET /threads/{thread_id}",
    _URL_PATH: "a path of a URL, such as /oauth/token",
    _URL: "a URL, or its path where the provider's own host is meant",
    _LIFETIME: "a time such as 30s, 10m, 2h or 1d",
}

Name = Annotated[str, StringConstraints(pattern=_NAME)]
#: `$`, `$.a`, `$.a.b`: keys from the root of a JSON body. What rows need of JSONPath.
Path = Annotated[str, StringConstraints(pattern=_PATH)]
#: A path to one value, which may lie in an array: `$.errors[0].detail`, counted from 0.
ValuePath = Annotated[str, StringConstraints(pattern=_VALUE)]
#: `GET /threads/{thread_id}`.
Http = Annotated[str, StringConstraints(pattern=_HTTP)]
UrlPath = Annotated[str, StringConstraints(pattern=_URL_PATH)]
#: `https://login.example/token`; a path is one on the host of the provider's base URL.
Url = Annotated[str, StringConstraints(pattern=_URL)]
#: `10m`, as `lifetime.seconds_of` reads it.
Lifetime = Annotated[str, StringConstraints(pattern=_LIFETIME)]


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as e:
        raise ValueError(f"not a regular expression: {e}") from None
    return pattern


#: A regular expression, as Python's `re` knows them, that is searched for anywhere in a text.
Pattern = Annotated[str, AfterValidator(_compiled)]


class Model(BaseModel):
    """A part of a manifest: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
