"""The manifest format: what a YAML file may say, checked with pydantic. Unknown keys are errors.

`docs/manifest.md` explains each key; `json_schema()` is the same for editors.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from provider.catalog.credentials import Auth, ClientCertificate, NoAuth
from provider.catalog.failures import Answer, Errors
from provider.catalog.limits import Idempotency, Limits
from provider.catalog.model import Http, Lifetime, Model, Name, Path
from provider.catalog.paging import Pages
from provider.catalog.types import parse_type
from provider.catalog.waiting import Await, EventStream

Verb = Literal["SELECT", "INSERT", "UPDATE", "REPLACE", "DELETE", "EXEC"]


class _Typed(Model):
    """Anything with a type and a description."""

    type: str = Field(
        description="string, integer, number, boolean, object, array, any, timestamp, datetime, date, file or "
        "decimal(p,s)"
    )
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
    max_key_length: int | None = Field(default=None, description="longest key of an object, in characters")
    max_value_length: int | None = Field(
        default=None, description="longest value of an object, in characters; its values are strings then"
    )
    members: dict[Name, Parameter] = Field(
        default={}, description="what is known of the members of an object, or of each object in an array"
    )
    streams: bool = Field(default=False, description="true as its value makes the answer a stream of events")
    filename_of: Name | None = Field(default=None, description="the parameter of type file whose file's name it is")


class BaseUrl(Model):
    """Where a provider answers: a default, and the environment variable that overrides it."""

    default: str
    env: str | None = None


class Versions(Model):
    """The versions that a service speaks; `{version}` in its headers and query is replaced by the chosen one."""

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
    reversible: bool = Field(default=False, description="one direction is the exact reverse of the other, ties too")


class Method(Model):
    """One documented REST method."""

    sql: Verb
    http: Http
    description: str = ""
    aliases: list[Name] = []
    versions: list[str] | None = None
    path: dict[str, Parameter] = {}
    parameters_of: str | None = Field(
        default=None, description="a method (p.s.r.m) whose parameters of query and body it has too"
    )
    query: dict[str, Parameter] = {}
    body: dict[str, Parameter] = {}
    rows: Path = "$"
    row: Path = Field(default="$", description="path of the one object that is the row, where the answer wraps it")
    rows_omitted: bool = Field(default=False, description="an empty list may come without the array of its rows")
    whole_objects: bool = Field(
        default=False, description="each row of the list is the object as the method that gets one answers it"
    )
    paginate: str | None = None
    pushdown: dict[str, Pushdown | list[Pushdown]] = {}
    sorted_by: SortedBy | None = None
    merges: bool = Field(default=False, description="whether an object keeps what a change leaves out")
    inverse: Name | None = Field(
        default=None,
        description="the method of the resource that undoes a call, or none where nothing does; if left out, DELETE "
        "undoes INSERT, and UPDATE itself",
    )
    ordered: bool | None = Field(
        default=None,
        description="whether rows with one path are sent in their order; if left out, where it has parameters",
    )
    returns: dict[str, ResourceField] | str | None = Field(
        default=None,
        description="the answer's fields, or the resource (p.s.r) or method (p.s.r.m) that has them; else its own",
    )
    answers: list[Answer] = Field(default=[], description="what answers mean; tried before the provider's rules")
    limit: str | None = Field(default=None, description="one of the provider's limit groups")
    idempotency: Idempotency | None = Field(default=None, description="how the API recognises a write sent again")
    binary: bool = Field(default=False, description="the answer is a file's bytes, not JSON")
    await_: Await | None = Field(
        default=None, alias="await", description="when the operation that it begins has ended, for the hint AWAIT"
    )
    stream: EventStream | None = Field(default=None, description="what the events of its stream mean")
    cache: Lifetime | None = Field(default=None, description="the longest that an answer may be used again")

    def pushdowns(self, field: str) -> tuple[Pushdown, ...]:
        """The pushdowns of a field, which stand alone or as a list."""
        declared = self.pushdown[field]
        return tuple(declared) if isinstance(declared, list) else (declared,)


class Resource(Model):
    """A table: fields, and the methods that read and write them."""

    title: str = ""
    description: str = ""
    versions: list[str] | None = None
    key: dict[str, str] = Field(default={}, description="field -> the path parameter that carries it")
    identity: list[str] = Field(
        default=[], description="parameters of INSERT that tell objects apart, for ON CONFLICT; the key if left out"
    )
    cache: Lifetime | None = Field(default=None, description="the same for those of its methods that do not say it")
    fields_of: str | None = Field(default=None, description="a resource (p.s.r) whose fields it has too")
    fields: dict[str, ResourceField] = {}
    methods: dict[Name, Method]

    @model_validator(mode="after")
    def _has_fields(self) -> Resource:
        if self.fields_of is None and "fields" not in self.model_fields_set:
            raise ValueError("a resource has `fields`, or takes over those of another: `fields_of`")
        return self


class ServiceDocument(Model):
    """One service of a provider: a YAML document with the key `service`."""

    service: Name
    title: str = ""
    description: str = ""
    versions: Versions | None = None
    headers: dict[str, str] = {}
    query: dict[str, str] = Field(default={}, description="query parameters of every request")
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
    client_certificate: ClientCertificate | None = None
    headers: dict[str, str] = {}
    query: dict[str, str] = Field(default={}, description="query parameters of every request")
    env_headers: dict[str, str] = Field(
        default={}, description="header -> environment variable; sent when the variable is set"
    )
    errors: Errors = Errors()
    answers: list[Answer] = Field(default=[], description="what answers mean; the first rule that fits counts")
    limits: Limits = Limits()
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
