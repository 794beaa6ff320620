"""Where a secret stands in a request: a header, a query parameter or a cookie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, unquote_plus

from provider.errors import InterfaceError
from provider.rest.auth.secret import Secret
from provider.rest.transport import Request


@dataclass(frozen=True, slots=True)
class Place:
    """A place for a secret; `prefix` stands before it."""

    kind: Literal["header", "query", "cookie"]
    name: str
    prefix: str = ""

    def put(self, request: Request, secret: Secret) -> Request:
        """The request with the secret in its place, instead of whatever stood there.

        Raises:
            InterfaceError: the secret has characters that the place cannot hold; they are not shown.
        """
        text = self.prefix + secret.reveal()
        if self.kind == "query":
            return replace(request, url=_with_query(request.url, self.name, text))
        if not text.isascii() or not text.isprintable() or (self.kind == "cookie" and set(text) & set(' ",;\\')):
            what = "a cookie" if self.kind == "cookie" else "an HTTP header"
            raise InterfaceError(f"the secret for {self.name} has characters that cannot stand in {what}")
        if self.kind == "header":
            return with_header(request, self.name, text)
        others = [value for name, value in request.headers if name.lower() == "cookie"]
        return with_header(request, "Cookie", "; ".join([*others, f"{self.name}={text}"]))


BEARER = Place("header", "Authorization", "Bearer ")


def with_header(request: Request, name: str, value: str) -> Request:
    """The request with a header; one of that name that stood there is replaced."""
    lowered = name.lower()
    kept = [pair for pair in request.headers if pair[0].lower() != lowered]
    # The constructor, as `replace` takes several times as long, and this is done for each request.
    return Request(request.method, request.url, ((name, value), *kept), request.body)


def _with_query(url: str, name: str, value: str) -> str:
    head, _, query = url.partition("?")
    pairs = [p for p in query.split("&") if p and unquote_plus(p.partition("=")[0]) != name]
    pairs.append(f"{quote(name, safe='')}={quote(value, safe='')}")
    return f"{head}?{'&'.join(pairs)}"
