"""Links to next pages: what a Link header says, and where a link may lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from provider.rest.pagination.envelope import Page
from provider.rest.request import Call

_LINK = re.compile(r"[\s,]*<([^>]*)>")
_PARAMETER = re.compile(r'\s*;\s*([^\s=;,"<>]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?')
#: What a URL may hold without percent-encoding, besides letters and digits, and what is encoded already.
_URL_CHARACTERS = "%/:?#[]@!$&'()*+,;=-._~"
_PORTS = {"http": 80, "https": 443}


def link_target(header: str, relation: str) -> str | None:
    """The target of a relation in a Link header (RFC 8288), the first one; None when there is none.

    A link with an anchor tells about another document, and does not count.
    """
    for target, parameters in _links(header):
        relations = parameters.get("rel", "").lower().split()
        if relation.lower() in relations and "anchor" not in parameters:
            return target
    return None


def _links(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The links of a header, with their parameters; of a repeated parameter the first counts."""
    position = 0
    while found := _LINK.match(header, position):
        position = found.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            name, quoted, token = parameter.groups()
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token or ""
            parameters.setdefault(name.lower(), value)
        yield found[1].strip(), parameters


def follow(page: Page, link: str, base_url: str) -> Call:
    """The call that a page's link leads to.

    Raises:
        DataError: it leads to another origin than the provider's, where no credentials may go.
    """
    try:
        base = urlsplit(base_url)
        target = urlsplit(urljoin(page.call.url(base_url), link.strip()))
        same = (target.scheme, target.hostname, target.port or _PORTS.get(target.scheme)) == (
            base.scheme,
            base.hostname,
            base.port or _PORTS.get(base.scheme),
        )
    except ValueError as e:
        raise page.error(f"the link to the next page is no URL: {e}") from None
    if not same or "@" in target.netloc or "\\" in link:
        where = f"{target.scheme}://{target.hostname}{f':{target.port}' if target.port else ''}"
        raise page.error(
            f"the next page is said to be at {where}",
            f"Credentials stay at {base.scheme}://{base.netloc}, so the reading stops here.",
            "Set the base URL of the provider if the API has moved.",
        )
    path, query = quote(target.path, safe=_URL_CHARACTERS), quote(target.query, safe=_URL_CHARACTERS)
    # The authority is the base URL's own: what the API wrote is never what is connected to.
    return replace(page.call, link=urlunsplit((base.scheme, base.netloc, path or "/", query, "")))
