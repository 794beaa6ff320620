"""Taking secrets out of texts that are shown: what an API echoes, what an error quotes."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar
from urllib.parse import quote, quote_plus

from provider.errors import Error
from provider.rest.auth.secret import Secret

#: A value of a few letters is no secret, and taking it out would garble every message.
_SHORTEST = 6
_E = TypeVar("_E", bound=BaseException)


def spellings(secrets: Iterable[Secret]) -> tuple[str, ...]:
    """Every form in which secrets may turn up in a text, longest first, so that no form leaves part of another."""
    found = {form for secret in secrets for form in _forms(secret.reveal()) if len(form) >= _SHORTEST}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _forms(text: str) -> Iterator[str]:
    """As it is, as it stands in a URL, a form, a JSON string and a web page, and in base64."""
    if len(text) < _SHORTEST:
        return
    yield text
    for in_url in (quote(text, safe=""), quote(text), quote_plus(text)):
        yield in_url
        yield re.sub("%..", lambda found: found[0].lower(), in_url)
    in_json = json.dumps(text)[1:-1]
    yield in_json
    # PHP escapes slashes; .NET and Go escape what could end a script, in digits of either case.
    yield in_json.replace("/", "\\/")
    for escaped in (r"[&'+<>`]", "[&<>]"):
        yield re.sub(escaped, lambda found: f"\\u{ord(found[0]):04X}", in_json)
        yield re.sub(escaped, lambda found: f"\\u{ord(found[0]):04x}", in_json)
    yield html.escape(text)
    for encoded in (base64.b64encode(text.encode()), base64.urlsafe_b64encode(text.encode())):
        yield encoded.decode().rstrip("=")


def redact(text: str, hidden: tuple[str, ...]) -> str:
    """A text without the spellings of secrets."""
    for form in hidden:
        text = text.replace(form, "***")
    return text


def redacted(error: _E, hidden: tuple[str, ...]) -> _E:
    """The same error, and what caused it, with the secrets taken out of their words."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, Error):
            link.summary, link.reason = redact(link.summary, hidden), redact(link.reason, hidden)
            link.remedy, link.detail = redact(link.remedy, hidden), redact(link.detail, hidden)
            link.args = (link.summary,)
        link = link.__cause__ or link.__context__
    return error
