"""Pages as a protocol: a generator yields calls and is sent bodies; whoever drives it does the I/O."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Any

import msgspec

from provider.catalog.catalog import Keys, Method
from provider.catalog.manifest import CursorPages
from provider.errors import DataError
from provider.rest.request import Call

#: Yields the next call, is sent the body of its response, and returns when the API said that was all.
Pages = Generator[Call, bytes, None]


def pages(method: Method, call: Call) -> Pages:
    """All pages of a call.

    Raises:
        DataError: the API's paging makes no sense: no cursor where more is promised, the same cursor
            twice, or an envelope without what the manifest declares. A scan never ends by accident.
    """
    if method.pages is None:
        yield call
        return
    yield from _cursor_pages(method.pages, call)


def _cursor_pages(rule: CursorPages, call: Call) -> Pages:
    size = rule.size
    given = dict(call.query)
    if size is not None and size.param not in given:
        call = call.with_query(**{size.param: str(size.max)})
    seen: set[str] = set()
    while True:
        body = yield call
        envelope = _envelope(body, rule, call)
        cursor = _at(envelope, rule.next)
        if rule.more is not None:
            more = _at(envelope, rule.more)
            if not isinstance(more, bool):
                raise DataError(
                    f"{call.http_method} {call.path}: the answer has no {rule.more}",
                    reason="It says whether more pages follow; without it the list may be cut short.",
                )
            if not more:
                return
            if cursor is None:
                raise DataError(f"{call.http_method} {call.path}: {rule.more} is true, but {rule.next} has no cursor")
        elif cursor is None:
            return
        following = str(cursor)
        if following in seen:
            raise DataError(
                f"{call.http_method} {call.path}: the cursor {following!r} came twice",
                reason="The API's pages go in a circle; reading on would never end.",
            )
        seen.add(following)
        call = call.with_query(**{rule.param: following})


def _envelope(body: bytes, rule: CursorPages, call: Call) -> Any:
    """Only the envelope's own fields; the rows are skipped over."""
    try:
        return _decoder(keys(rule.next), keys(rule.more) if rule.more else ()).decode(body)
    except msgspec.MsgspecError as e:
        raise DataError(f"{call.http_method} {call.path}: the answer is no page: {e}") from None


@cache
def _decoder(*paths: Keys) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_struct([p for p in paths if p]))


def _struct(paths: list[Keys]) -> Any:
    """A struct type with the given paths, everything in it optional."""
    fields: list[tuple[str, Any, Any]] = []
    renames = {}
    for i, head in enumerate(dict.fromkeys(p[0] for p in paths)):
        deeper = [p[1:] for p in paths if p[0] == head and len(p) > 1]
        kind: Any = _struct(deeper) | None if deeper else str | int | float | bool | None
        fields.append((f"f{i}", kind, None))
        renames[f"f{i}"] = head
    return msgspec.defstruct("Envelope", fields, rename=renames)


def _at(envelope: Any, path: str) -> Any:
    for key in keys(path):
        if envelope is None:
            return None
        renames = {f.encode_name: f.name for f in msgspec.structs.fields(envelope)}
        envelope = getattr(envelope, renames[key])
    return envelope


def keys(path: str) -> Keys:
    """`$.a.b` as ('a', 'b')."""
    return tuple(path.split(".")[1:])
