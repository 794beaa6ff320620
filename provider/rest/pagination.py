"""Pages as a protocol: a generator yields calls and is sent bodies; whoever drives it does the I/O."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from provider.catalog.catalog import Keys, Method, path_keys
from provider.errors import DataError
from provider.rest.request import Call

if TYPE_CHECKING:
    from provider.catalog.paging import CursorPages

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
        cursor, more = _envelope(body, rule, call)
        if rule.more is not None:
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


Scalar = str | int | float | bool | None


def _envelope(body: bytes, rule: CursorPages, call: Call) -> tuple[Scalar, Scalar]:
    """The cursor and the word on whether more follows; the rows are skipped over."""
    read, cursor, more = _reader(path_keys(rule.next), path_keys(rule.more) if rule.more else ())
    try:
        envelope = read(body)
        return cursor(envelope), more(envelope)
    except msgspec.MsgspecError as e:
        raise DataError(f"{call.http_method} {call.path}: the answer is no page: {e}") from None


@cache
def _reader(*paths: Keys) -> tuple[Callable[[bytes], Any], Callable[[Any], Scalar], Callable[[Any], Scalar]]:
    """A strict reader of nothing but the given paths, and a getter for each."""
    names = sorted({p[:n] for p in paths for n in range(1, len(p) + 1)})
    fields = {path: f"f{i}" for i, path in enumerate(names)}

    def struct(prefix: Keys) -> Any:
        inner = [p for p in names if p[:-1] == prefix]
        members = [(fields[p], _kind(struct(p) if any(q[:-1] == p for q in names) else None), None) for p in inner]
        return msgspec.defstruct("Envelope", members, rename={fields[p]: p[-1] for p in inner})

    def getter(path: Keys) -> Callable[[Any], Scalar]:
        attributes = [fields[path[:n]] for n in range(1, len(path) + 1)]

        def get(envelope: Any) -> Scalar:
            for attribute in attributes:
                envelope = getattr(envelope, attribute) if envelope is not None else None
            return envelope if attributes else None

        return get

    return msgspec.json.Decoder(struct(())).decode, getter(paths[0]), getter(paths[1])


def _kind(inner: Any) -> Any:
    return Scalar if inner is None else inner | None
