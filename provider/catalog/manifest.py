"""The manifest format: what a YAML file may say, checked with pydantic. Unknown keys are errors.

`docs/manifest.md` explains each key; `json_schema()` is the same for editors.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from provider.catalog.credentials import Auth, NoAuth
from provider.catalog.failures import Errors, Missing
from provider.catalog.model import Http, Model, Name, Path
from provider.catalog.paging import Pages
from provider.catalog.types import parse_type

Verb = Literal["SELECT", "INSERT", "UPDATE", "REPLACE", "DELETE", "EXEC"]


class _Typed(Model):
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


class BaseUrl(Model):
    """Where a provider answers: a default, and the environment variable that overrides it."""

    default: str
    env: str | None = None


class Versions(Model):
    """The versions that a service speaks; `{version}` in its headers is replaced by the chosen one."""

    default: str
    all: list[str]
    env: str | None = None

    @model_validator(mode="after")
    def _default_is_known(self) -> Versions:
        if self.default not in self.all:
            raise ValueError(f"default {self.default!r} is not among {self.all}")
        return self


class Pushdown(Model):
    """A parameter that narrows what is fetched by one predicate on a field."""

    param: str
    match: Literal["exact", "superset", "unsafe"] = "unsafe"
    operator: Literal["=", "<", "<=", ">", ">="] = "="


class SortedBy(Model):
    """The order in which a list answers, and the parameter that sets its direction."""

    field: str
    param: str | None = None
    default: Literal["asc", "desc"] = "asc"


class Method(Model):
    """One documented REST method."""

    sql: Verb
    http: Http
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


class Resource(Model):
    """A table: fields, and the methods that read and write them."""

    title: str = ""
    description: str = ""
    versions: list[str] | None = None
    key: dict[str, str] = Field(default={}, description="field -> the path parameter that carries it")
    fields: dict[str, ResourceField]
    methods: dict[Name, Method]


class ServiceDocument(Model):
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


class ProviderDocument(Model):
    """A provider: a YAML document with the key `provider`."""

    provider: Name
    title: str = ""
    description: str = ""
    base_url: BaseUrl
    auth: Auth = NoAuth(type="none")
    headers: dict[str, str] = {}
    env_headers: dict[str, str] = Field(
        default={}, description="header -> environment variable; sent when the variable is set"
    )
    errors: Errors = Errors()
    missing: Missing | None = None
    pagination: dict[Name, Pages] = {}


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
