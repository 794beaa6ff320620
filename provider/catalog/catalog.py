"""The catalog: immutable values for what manifests declare, with names resolved and parameters derived."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from provider.catalog.types import FieldType

if TYPE_CHECKING:  # pydantic is slow to import, and only what reads manifests needs it
    from provider.catalog.credentials import Auth, ClientCertificate
    from provider.catalog.failures import Answer, Errors
    from provider.catalog.limits import Idempotency, Limits
    from provider.catalog.manifest import BaseUrl, Pushdown, SortedBy, Verb
    from provider.catalog.paging import Pages
    from provider.catalog.waiting import Await, EventStream

#: Two are no part of a request: `account` says which of a provider's accounts sends it, `local` what becomes of a
#: file that it is answered with.
Location = Literal["path", "query", "body", "account", "local"]
Keys = tuple[str, ...]
#: What a manifest says instead of an inverse where nothing undoes a method.
NO_INVERSE = "none"


def spelling(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that a name means: the same, or else one that differs in case alone, as in SQL."""
    known = list(names)
    return name if name in known else next((n for n in known if n.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a resource."""

    name: str
    type: FieldType
    description: str = ""
    enum: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input of a method. `name` is SQL's, `wire` the API's."""

    name: str
    wire: str
    location: Location
    type: FieldType
    required: bool
    description: str = ""
    enum: tuple[str | int | float | bool, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    max_items: int | None = None
    max_key_length: int | None = None
    #: Longest value of an object; its values are strings where this is set.
    max_value_length: int | None = None
    #: What is known of the members of an object, or of each object in an array.
    members: tuple[Parameter, ...] = ()
    #: Whether true as its value makes the answer a stream of server-sent events.
    streams: bool = False
    #: Whether the API assumes a value, other than null, where none is sent.
    has_default: bool = False
    #: The file whose name it is, in a form with files; by SQL's name.
    filename_of: str | None = None

    @property
    def addresses(self) -> bool:
        """Whether its value says which object is meant: it is a part of the path, or says whose the object is."""
        return self.location in ("path", "account")

    @property
    def sql_name(self) -> str:
        """The name that SHOW METHODS prints: body attributes carry StackQL's `data__` prefix."""
        return f"data__{self.name}" if self.location == "body" else self.name


@dataclass(frozen=True, slots=True)
class Method:
    """One REST method of a resource, ready to be planned with."""

    name: str
    resource: str
    verb: Verb
    http_method: str
    path: str
    parameters: tuple[Parameter, ...]
    returns: tuple[Field, ...]
    #: Query parameters of every call, by name; no statement sets them.
    fixed: tuple[tuple[str, str], ...] = ()
    #: Where the array of rows stands in an answer, or the only row where it is no list.
    rows: Keys = ()
    #: Whether an empty list may come without the array at `rows`.
    rows_omitted: bool = False
    #: Whether a list's rows are the objects as the method that gets one answers them.
    whole_objects: bool = False
    description: str = ""
    aliases: tuple[str, ...] = ()
    pages: Pages | None = None
    pushdown: Mapping[str, tuple[Pushdown, ...]] = field(default_factory=dict)
    sorted_by: SortedBy | None = None
    #: What answers mean: the method's own rules, then the provider's.
    answers: tuple[Answer, ...] = ()
    #: The provider's limit group that counts its requests.
    limit: str | None = None
    idempotency: Idempotency | None = None
    is_list: bool = False
    #: Whether an object keeps what a change leaves out.
    merges: bool = False
    #: The method of the resource that undoes a call, where the manifest names one; NO_INVERSE where nothing does.
    inverse: str | None = None
    #: Whether rows with the same path are sent in their order, one after the other.
    ordered: bool = True
    #: Whether it is answered with a file's bytes, and not with JSON.
    binary: bool = False
    #: When the operation that it begins has ended.
    awaits: Await | None = None
    #: What its events mean, if it can answer with a stream; `switch` says when it does.
    stream: EventStream | None = None
    #: The longest that an answer may be used again, in seconds; None where the manifest does not say.
    lifetime: int | None = None

    @property
    def required(self) -> tuple[Parameter, ...]:
        """The parameters without which the method cannot be called, path parameters first."""
        return tuple(p for p in self.parameters if p.required)

    @property
    def switch(self) -> Parameter | None:
        """The parameter that makes the answer a stream; a method that has a stream and no switch always streams."""
        return next((p for p in self.parameters if p.streams), None)

    @property
    def files(self) -> tuple[Parameter, ...]:
        """The parameters that are files; with one, the body is a form (multipart/form-data)."""
        return tuple(p for p in self.parameters if p.type.base == "file")

    def parameter(self, name: str) -> Parameter | None:
        """The parameter that SQL calls `name`; `data__name` means the one in the body."""
        body_only = name.lower().startswith("data__")
        among = {p.name: p for p in reversed(self.parameters) if not body_only or p.location == "body"}
        found = spelling(name[len("data__") :] if body_only else name, among)
        return None if found is None else among[found]

    @property
    def is_safe(self) -> bool:
        """Whether a call changes nothing: a read, or safe by RFC 9110, section 9.2.1."""
        return self.verb == "SELECT" or self.http_method in ("GET", "HEAD", "OPTIONS")

    @property
    def http(self) -> str:
        """`GET /threads/{thread_id}`."""
        return f"{self.http_method} {self.path}"


@dataclass(frozen=True, slots=True)
class Resource:
    """A table."""

    provider: str
    service: str
    name: str
    fields: tuple[Field, ...]
    methods: tuple[Method, ...]
    key: Mapping[str, str]
    title: str = ""
    description: str = ""
    #: Fields and methods that other API versions have, with those versions; for errors that say so.
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: The verbs that only other API versions have: a method's name and its versions.
    verbs_elsewhere: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    #: Parameters of INSERT that tell objects apart, where they are not the key.
    identity: tuple[str, ...] = ()
    #: The fields by their names in lower case, as SQL compares them.
    _named: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", {f.name.lower(): f for f in reversed(self.fields)})

    @property
    def id(self) -> str:
        """`provider.service.resource`."""
        return f"{self.provider}.{self.service}.{self.name}"

    def field(self, name: str) -> Field | None:
        """The field of that name, compared without case as SQL does."""
        return self._named.get(name.lower())

    def method(self, name: str) -> Method | None:
        """The method of that name or alias."""
        return next((m for m in self.methods if spelling(name, (m.name, *m.aliases))), None)

    def methods_for(self, verb: Verb) -> tuple[Method, ...]:
        """The methods that serve a verb, in the manifest's order."""
        return tuple(m for m in self.methods if m.verb == verb)

    def select_parameter(self, name: str) -> Parameter | None:
        """The parameter of that name of any SELECT method."""
        for method in self.methods_for("SELECT"):
            for p in method.parameters:
                if p.name.lower() == name.lower():
                    return p
        return None

    def select_parameters(self) -> dict[str, Parameter]:
        """All parameters of the SELECT methods, by name."""
        found: dict[str, Parameter] = {}
        for method in self.methods_for("SELECT"):
            for p in method.parameters:
                found.setdefault(p.name, p)
        return found

    def key_field(self, parameter: str) -> str | None:
        """The field that carries a path parameter under another name: thread_id -> id."""
        return next((f for f, p in self.key.items() if p == parameter), None)


@dataclass(frozen=True, slots=True)
class Service:
    """A group of resources that share headers and a version."""

    provider: str
    name: str
    resources: Mapping[str, Resource]
    headers: Mapping[str, str]
    title: str = ""
    description: str = ""
    version: str | None = None
    versions: tuple[str, ...] = ()
    version_env: str | None = None
    #: Resources that other API versions have.
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provider:
    """One API: where it is, how to authenticate, how it fails."""

    name: str
    base_url: BaseUrl
    auth: Auth
    headers: Mapping[str, str]
    query: Mapping[str, str]
    env_headers: Mapping[str, str]
    errors: Errors
    answers: tuple[Answer, ...]
    limits: Limits
    pagination: Mapping[str, Pages]
    client_certificate: ClientCertificate | None = None
    title: str = ""
    description: str = ""


_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@cache
def path_placeholders(path: str) -> tuple[str, ...]:
    """The names in braces of a path template, in order."""
    return tuple(m[1] for m in _PLACEHOLDER.finditer(path))


def path_keys(path: str) -> Keys:
    """`$.a.b` as ('a', 'b'); `$` as ()."""
    return tuple(path.split(".")[1:])
