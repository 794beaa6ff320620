"""A method and its parameters' values as one HTTP request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from provider.catalog.catalog import Method, Provider, Service, path_placeholders
from provider.errors import BindError

#: What a JSON body can hold.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method, without host and credentials: it may be shown, logged and compared.

    `path` and `query` are percent-encoded; `body` is JSON text or None. `template` is for messages.
    """

    http_method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: bytes | None
    template: str

    def with_query(self, **values: str) -> Call:
        """The same call with query parameters set; those that stand already are replaced."""
        kept = tuple((k, v) for k, v in self.query if k not in values)
        return replace(self, query=kept + tuple(values.items()))

    def has_query(self, name: str) -> bool:
        """Whether a query parameter is given."""
        return any(k == name for k, _ in self.query)

    @property
    def target(self) -> str:
        """Path and query as they stand on the request line."""
        if not self.query:
            return self.path
        pairs = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in self.query)
        return f"{self.path}?{pairs}"

    @property
    def is_safe(self) -> bool:
        """Whether the call may be repeated without harm (RFC 9110, section 9.2.1)."""
        return self.http_method in ("GET", "HEAD", "OPTIONS")

    def __str__(self) -> str:
        return f"{self.http_method} {self.target}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a method's calls go: its provider and service, as the catalog has them."""

    provider: Provider
    service: Service


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that was sent, for reports and logs: no headers, no bodies, no host.

    `status` is None when no answer came. `seconds` is the time on the wire, `waited` the time before it
    that a retry or the API's limits asked for.
    """

    method: str
    call: Call
    status: int | None
    wire_bytes: int
    seconds: float
    waited: float


def build(method: Method, values: Mapping[str, Json]) -> Call:
    """Put values where the method wants them.

    Args:
        values: by SQL name. None in path and query means: not given. In the body it is JSON null.

    Raises:
        BindError: a path parameter that is missing, empty or a dot segment, which would address
            something else.
    """
    path = method.path
    for wire in path_placeholders(method.path):
        parameter = next(p for p in method.parameters if p.location == "path" and p.wire == wire)
        value = _text(values.get(parameter.name))
        if value in ("", ".", ".."):
            raise BindError(
                f'"{value}" cannot be the {parameter.name} of {method.resource}',
                reason=f"It would change the path of {method.http}.",
            )
        path = path.replace("{" + wire + "}", quote(value, safe=""))
    query: list[tuple[str, str]] = []
    body: dict[str, Json] = {}
    for parameter in method.parameters:
        if parameter.name not in values:
            continue
        value_ = values[parameter.name]
        if parameter.location == "query" and value_ is not None:
            items = value_ if isinstance(value_, list) else [value_]
            query += [(parameter.wire, _text(item)) for item in items]
        elif parameter.location == "body":
            body[parameter.wire] = value_
    has_body = method.http_method in ("POST", "PUT", "PATCH") and any(p.location == "body" for p in method.parameters)
    payload = json.dumps(body, ensure_ascii=False, allow_nan=False).encode() if has_body else None
    return Call(method.http_method, path, tuple(query), payload, method.http)


def addresses_nothing(method: Method, values: Mapping[str, Json]) -> bool:
    """Whether a path parameter is a value that no object can have, so that a read need not be sent."""
    path = (p.name for p in method.parameters if p.location == "path")
    return any(_text(values.get(name)) in ("", ".", "..") for name in path)


def _text(value: Json) -> str:
    """A value as it stands in a path or query."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
