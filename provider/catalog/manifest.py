"""The manifest format: what a YAML file may say, checked with pydantic. Unknown keys are errors.

`docs/manifest.md` explains each key; `json_schema()` is the same for editors.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from provider.catalog.types import parse_type

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
Verb = Literal["SELECT", "INSERT", "UPDATE", "REPLACE", "DELETE", "EXEC"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Typed(_Model):
    """Anything with a type and a description."""

    type: str = Field(description="string, integer, number, boolean, object, array, any, timestamp, date, decimal(p,s)")
    unit: str | None = Field(default=None, description="what a number counts, e.g. 'unix seconds'")
    description: str = ""
    versions: list[str] | None = Field(default=None, description="the API versions that have it; all when left out")

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        parse_type(value)
        return value


class ResourceField(_Typed):
    """A field that a resource's rows have."""

    enum: list[str] | None = Field(default=None, description="the documented values; others are still read")


class Parameter(_Typed):
    """An input of a method: in the path, the query, a header or the body."""

    type: str = "string"
    required: bool = False
    enum: list[str | int | float | bool] | None = None
    default: Any = Field(default=None, description="what the API assumes when the parameter is not sent; documentation")
    name: str | None = Field(default=None, description="the name on the wire, where SQL uses another one")
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = Field(default=None, description="longest string, in characters")
    max_items: int | None = Field(default=None, description="most elements of an array, or pairs of an object")
    streams: bool = Field(default=False, description="true as its value makes the answer a stream of events")


class BaseUrl(_Model):
    """Where a provider answers: a default, and the environment variable that overrides it."""

    default: str
    env: str | None = None


class Bearer(_Model):
    """`Authorization: Bearer <secret>`."""

    type: Literal["bearer"]
    env: str


class ApiKey(_Model):
    """A secret in a named header."""

    type: Literal["api_key"]
    env: str
    header: str
    prefix: str = ""


class NoAuth(_Model):
    """No credentials."""

    type: Literal["none"]


class Errors(_Model):
    """Where an error body keeps its parts."""

    message: Path | None = None
    code: Path | None = None
    request_id_header: str | None = None


class Missing(_Model):
    """How the API says 'no such object'; any other failure stays an error."""

    status: list[int] = [404]
    path: Path = Field(default="$", description="where in the body the pattern is looked for")
    pattern: str | None = Field(default=None, description="a regular expression that the value at `path` must contain")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as e:
            raise ValueError(f"not a regular expression: {e}") from None
        return value


class PageSize(_Model):
    """The parameter that sets the rows per page, and its largest value."""

    param: str
    max: int = Field(ge=1)


class CursorPages(_Model):
    """Pages chained by a cursor in the body."""

    kind: Literal["cursor"]
    param: str = Field(description="the query parameter that takes the cursor")
    next: Path = Field(description="where the body has the next cursor")
    more: Path | None = Field(default=None, description="where the body says whether more follows")
    size: PageSize | None = None


class Versions(_Model):
    """The versions that a service speaks; `{version}` in its headers is replaced by the chosen one."""

    default: str
    all: list[str]
    env: str | None = None

    @model_validator(mode="after")
    def _default_is_known(self) -> Versions:
        if self.default not in self.all:
            raise ValueError(f"default {self.default!r} is not among {self.all}")
        return self


class Pushdown(_Model):
    """A parameter that narrows what is fetched by one predicate on a field."""

    param: str
    match: Literal["exact", "superset", "unsafe"] = "unsafe"
    operator: Literal["=", "<", "<=", ">", ">="] = "="


class SortedBy(_Model):
    """The order in which a list answers, and the parameter that sets its direction."""

    field: str
    param: str | None = None
    default: Literal["asc", "desc"] = "asc"


class Method(_Model):
    """One documented REST method."""

    sql: Verb
    http: Annotated[str, StringConstraints(pattern=_HTTP)]
    description: str = ""
    aliases: list[Name] = []
    versions: list[str] | None = None
    path: dict[str, Parameter] = {}
    query: dict[str, Parameter] = {}
    body: dict[str, Parameter] = {}
    rows: Path = "$"
    paginate: str | None = None
    pushdown: dict[str, Pushdown] = {}
    sorted_by: SortedBy | None = None
    returns: dict[str, ResourceField] | str | None = Field(
        default=None,
        description="the answer's fields, or the resource (p.s.r) that has them; the own fields if left out",
    )
    missing: Missing | None = None


class Resource(_Model):
    """A table: fields, and the methods that read and write them."""

    title: str = ""
    description: str = ""
    versions: list[str] | None = None
    key: dict[str, str] = Field(default={}, description="field -> the path parameter that carries it")
    fields: dict[str, ResourceField]
    methods: dict[Name, Method]


class ServiceDocument(_Model):
    """One service of a provider: a YAML document with the key `service`."""

    service: Name
    title: str = ""
    description: str = ""
    versions: Versions | None = None
    headers: dict[str, str] = {}
    anchors: Any = Field(
        default=None, description="blocks for YAML anchors (&name); read only where an alias (*name) stands"
    )
    resources: dict[Name, Resource]


class ProviderDocument(_Model):
    """A provider: a YAML document with the key `provider`."""

    provider: Name
    title: str = ""
    description: str = ""
    base_url: BaseUrl
    auth: Annotated[Bearer | ApiKey | NoAuth, Field(discriminator="type")] = NoAuth(type="none")
    headers: dict[str, str] = {}
    env_headers: dict[str, str] = Field(
        default={}, description="header -> environment variable; sent when the variable is set"
    )
    errors: Errors = Errors()
    missing: Missing | None = None
    pagination: dict[Name, CursorPages] = {}


def json_schema() -> dict[str, Any]:
    """JSON Schema of one manifest document, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ApiQL manifest document"}
    documents = {}
    definitions: dict[str, Any] = {}
    for model in (ProviderDocument, ServiceDocument):
        document = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= document.pop("$defs", {})
        documents[model.__name__] = document
    return schema | {"anyOf": list(documents.values()), "$defs": definitions}
