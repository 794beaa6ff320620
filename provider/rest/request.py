"""A method and its parameters' values as one HTTP request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import cast
from urllib.parse import quote, urlsplit

from provider.catalog.catalog import Location, Method, Parameter, Provider, Service, path_placeholders
from provider.catalog.types import TIME_UNITS, FieldType
from provider.errors import BindError
from provider.rest.destination import LARGEST, Destination
from provider.rest.exact import Json, read, written
from provider.rest.multipart import Attachment, Form, Part
from provider.rest.waits import Waits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method, without host and credentials: it may be shown, logged and compared.

    `path` is percent-encoded, `query` is not yet; `body` is JSON text or None. `template` is for messages.
    `link` is an absolute URL at the provider's own origin that the API named itself, as it does for the next
    page; it stands in place of path and query. `reads` says that the manifest calls the method a read.
    `account` is the account that asks, '' where a provider's accounts have no names. `form` stands in place of a
    body where files are sent; `saves` says where the bytes of the answer go, if it is a file that is kept.
    """

    http_method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: bytes | None
    template: str
    link: str | None = None
    reads: bool = False
    account: str = ""
    form: Form | None = None
    saves: Destination | None = None

    def value(self, name: str, location: Location = "query") -> Json:
        """The value of a parameter of the query or of the JSON body, None when it has none."""
        if location == "query":
            for key, value in self.query:
                if key == name:
                    return value
            return None
        return self._members.get(name)

    def with_value(self, name: str, value: Json, location: Location = "query") -> Call:
        """The same call with one parameter of the query or of the JSON body set, in place of an earlier value."""
        if location == "query":
            kept = [pair for pair in self.query if pair[0] != name]
            return self._asking((*kept, (name, _text(value))))
        return replace(self, body=written({**self._members, name: value}))

    @property
    def _members(self) -> dict[str, Json]:
        """The members of the JSON body."""
        return cast("dict[str, Json]", read(self.body.decode())) if self.body else {}

    def _asking(self, query: tuple[tuple[str, str], ...]) -> Call:
        # The constructor, as `replace` takes several times as long, and this is done for each list and page.
        return Call(
            self.http_method,
            self.path,
            query,
            self.body,
            self.template,
            self.link,
            self.reads,
            self.account,
            self.form,
            self.saves,
        )

    @property
    def target(self) -> str:
        """Path and query as they stand on the request line; behind the base URL, unless there is a link."""
        if self.link is not None:
            parts = urlsplit(self.link)
            return f"{parts.path}?{parts.query}" if parts.query else parts.path
        if not self.query:
            return self.path
        pairs = "&".join([f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in self.query])
        return f"{self.path}?{pairs}"

    @property
    def mark(self) -> bytes:
        """What tells calls of one method apart."""
        content = self.form.mark if self.form is not None else self.body or b""
        return b"\0".join((self.account.encode(), self.http_method.encode(), self.target.encode(), content))

    @property
    def described(self) -> str:
        """The call with its body, files by name and size, and where the answer goes."""
        body = str(self.form) if self.form is not None else self.body.decode() if self.body is not None else ""
        return " ".join(part for part in (str(self), body, f"to {self.saves}" if self.saves else "") if part)

    def url(self, base: str) -> str:
        """Where the call goes, with a provider's base URL."""
        return self.link or base + self.target

    @property
    def is_safe(self) -> bool:
        """Whether the call may be repeated without harm: a read, or safe by RFC 9110, section 9.2.1."""
        return self.reads or self.http_method in ("GET", "HEAD", "OPTIONS")

    def __str__(self) -> str:
        return f"{self.http_method} {self.target}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a method's calls go: its provider and service, as the catalog has them, and the account that asks.

    `account` is '' where a provider's accounts have no names.
    """

    provider: Provider
    service: Service
    account: str = ""

    def of(self, call: Call) -> Target:
        """The same with the account that a call names."""
        return replace(self, account=call.account) if call.account else self

    @property
    def pool(self) -> str:
        """What connections, limits and pauses are kept by: the provider, or one account of it."""
        return f"{self.provider.name}/{self.account}" if self.account else self.provider.name


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that was sent, for reports and logs: no headers, no bodies, no host.

    `status` is None when no answer came. `seconds` is the time on the wire, `waits` what
    was waited for before it. `resource` is the method's: `provider.service.resource`. `resend` counts the times
    that the same call was sent before.
    """

    method: str
    call: Call
    status: int | None
    wire_bytes: int
    seconds: float
    waits: Waits
    resource: str = ""
    resend: int = 0

    @property
    def waited(self) -> float:
        """Seconds of all waits."""
        return self.waits.total


def build(method: Method, values: Mapping[str, Json], files: Mapping[str, Attachment] | None = None) -> Call:
    """Put values where the method wants them.

    Args:
        values: by SQL name. None in path and query means: not given. In the body it is JSON null.
        files: the values of parameters that are files, by SQL name.

    Raises:
        BindError: a path parameter that is missing, empty or a dot segment, which would address
            something else.
    """
    # Once for each key of a scan, and so without a look at what this kind of method cannot have.
    path = method.path
    for wire in path_placeholders(method.path):
        parameter = next(p for p in method.parameters if p.location == "path" and p.wire == wire)
        value = _text(sent(values.get(parameter.name), parameter.type))
        if value in ("", ".", ".."):
            raise BindError(
                f'"{value}" cannot be the {parameter.name} of {method.resource}',
                reason=f"It would change the path of {method.http}.",
            )
        path = path.replace("{" + wire + "}", quote(value, safe=""))
    query = [*method.fixed]
    body: dict[str, Json] = {}
    account = ""
    for parameter in method.parameters:
        if parameter.name not in values:
            continue
        value_ = sent(values[parameter.name], parameter.type)
        if parameter.location == "account":
            account = _text(value_)
        if parameter.location == "query" and value_ is not None:
            items = value_ if isinstance(value_, list) else [value_]
            query += [(parameter.wire, _text(item)) for item in items]
        elif parameter.location == "body" and parameter.filename_of is None:
            given = values[parameter.name]
            if isinstance(given, str) and parameter.type.base in ("object", "array"):
                given = value_ = _structure(method, parameter, given)
            body[parameter.wire] = given if isinstance(given, Decimal) else value_  # JSON has exact numbers
    has_body = method.http_method in ("POST", "PUT", "PATCH") and any(p.location == "body" for p in method.parameters)
    files_in = method.files if has_body else ()
    return Call(
        http_method=method.http_method,
        path=path,
        query=tuple(query),
        body=written(body) if has_body and not files_in else None,
        template=method.http,
        reads=method.verb == "SELECT",
        account=account,
        form=_form(method, body, files or {}) if files_in else None,
        saves=_destination(values) if method.binary and method.verb == "EXEC" else None,
    )


def _structure(method: Method, parameter: Parameter, text: str) -> Json:
    """The object or array that a condition gives as JSON text; a write's values are structures already.

    Raises:
        BindError: the text is something else.
    """
    try:
        found = read(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict if parameter.type.base == "object" else list):
        raise BindError(
            f'"{text[:80]}" cannot be the {parameter.name} of {method.resource}',
            reason=f"It is no {parameter.type.base} in JSON.",
        )
    return found


def _form(method: Method, fields: Mapping[str, Json], files: Mapping[str, Attachment]) -> Form:
    """The parts of a form: fields first, so that a server knows what a file is for before it comes."""
    parts = [Part(name, text.encode()) for name, value in fields.items() for name, text in _flat(name, value)]
    for parameter in method.files:
        if parameter.name in files:
            file = files[parameter.name]
            parts.append(Part(parameter.wire, file.content, file.filename))
    return Form(tuple(parts))


def _flat(name: str, value: Json) -> Iterator[tuple[str, str]]:
    """A value as a form's fields: `name[key]` for each member of an object, `name[]` for each element of an array."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}[{key}]", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(f"{name}[]", inner)
    elif value is not None:
        yield name, _text(value)


def _destination(values: Mapping[str, Json]) -> Destination:
    cap = values.get("max_bytes")
    return Destination(
        _text(values.get("to")), values.get("overwrite") is True, cap if isinstance(cap, int) else LARGEST
    )


def sent(value: object, type_: FieldType) -> Json:
    """A value of a parameter as APIs take it.

    A point in time is ISO 8601 in UTC, or a number where the type has a unit; a day is ISO 8601; a decimal is text, so
    that no digit is lost.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        if type_.unit in TIME_UNITS:
            since = value.astimezone(UTC) - _EPOCH
            microseconds = (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds
            whole, rest = divmod(microseconds * TIME_UNITS[type_.unit], 10**6)
            return whole if rest == 0 else str(whole + Decimal(rest) / 10**6)
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return cast(Json, value)


def addresses_nothing(method: Method, values: Mapping[str, Json]) -> bool:
    """Whether a path parameter is a value that no object can have, or an account that there is not.

    Then a read need not be sent.
    """
    return any(means_nothing(p, values.get(p.name)) for p in method.parameters)


def means_nothing(parameter: Parameter, value: Json) -> bool:
    """Whether a value is one that no object can have in a path, or an account that there is not."""
    if parameter.location == "account":
        return value not in parameter.enum
    return parameter.location == "path" and _text(value) in ("", ".", "..")


def _text(value: Json) -> str:
    """A value as it stands in a path or query."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
