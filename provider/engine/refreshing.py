"""REFRESH: what is read anew the next time it is asked for."""

from __future__ import annotations

import re

from provider.catalog.loader import Catalog
from provider.plan.names import Names
from provider.sql.scanner import Text, bare

_NAME = r'(?:"(?:""|[^"])+"|\w+)'
_REFRESH = re.compile(rf"REFRESH\s+(?!MATERIALIZED\b)({_NAME}(?:\s*\.\s*{_NAME})*)", re.IGNORECASE)


def refreshed(text: Text, names: Names, catalog: Catalog) -> str | None:
    """What REFRESH names: a resource (`provider.service.resource`), or '' for all; None for any other statement.

    Raises:
        BindError: no such resource.
    """
    m = _REFRESH.fullmatch(bare(text.sql))
    if m is None:
        return None
    parts = [p.strip('"').replace('""', '"') for p in re.findall(_NAME, m[1])]
    path = names.resource_path(parts, is_local=lambda: False)
    if path is None and [p.upper() for p in parts] == ["CACHE"]:
        return ""
    place = text.place(text.sql.index(m[1]), text.sql.index(m[1]) + len(m[1]))
    provider, service, resource = [*(path or parts), "", ""][:3]
    return catalog.resource(provider, service, resource, place).id
