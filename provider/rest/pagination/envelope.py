"""The strict reading of a page: the few values that a manifest names, and of rows only what tells them apart.

Everything else is skipped in C. The rows themselves become values where they are staged, not here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from provider.catalog.catalog import Keys, path_keys
from provider.errors import DataError
from provider.rest.pagination.protocol import Answer, Step
from provider.rest.request import Call

Scalar = str | int | float | bool | None
#: What tells a row from the others of its list: the value of its key's field, or a tuple where it has several.
Key = Scalar | UnsetType | tuple[Scalar | UnsetType, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, as far as paging is concerned.

    Attributes:
        values: by path as the manifest writes it; UNSET where the body has no such key.
        count: the number of rows; 0 where no rule asks for it.
        keys: the keys of the rows; None where they are unknown.
        last: the field of the last row that a keyset goes on from.
        mark: equal for pages with equal rows.
    """

    answer: Answer
    rows: Keys
    values: Mapping[str, Scalar | UnsetType]
    count: int = 0
    keys: tuple[Key, ...] | None = None
    last: Scalar | UnsetType = None
    mark: int = 0

    @property
    def call(self) -> Call:
        """The call that was answered."""
        return self.answer.call

    def step(self, *calls: Call, ended: str = "") -> Step:
        """All rows of the page are new."""
        return Step(calls, self.answer.body, ended=ended)

    def only(self, fresh: list[int], *calls: Call, ended: str = "") -> Step:
        """The rows with these indices are new, the others were there before."""
        if len(fresh) == self.count:
            return self.step(*calls, ended=ended)
        rows = _raw_rows(self.rows)(self.answer.body)
        return Step(calls, _body(self.rows, [rows[i] for i in fresh]), self.count - len(fresh), ended)

    def with_rows_of(self, others: Sequence[Page], *, ended: str) -> Step:
        """All rows of the page are new, and so are those of others, which were held back."""
        rows = [r for page in (self, *others) for r in _raw_rows(page.rows)(page.answer.body)]
        return Step((), _body(self.rows, rows), ended=ended)

    def error(self, problem: str, reason: str = "", remedy: str = "") -> DataError:
        """What is wrong with the page, as an error that names the call."""
        return DataError(f"{self.call.http_method} {self.call.path}: {problem}", reason=reason, remedy=remedy)

    def absent(self, path: str, reason: str) -> DataError:
        """The error for a path of the manifest that leads nowhere; it names what the body has instead."""
        keys = path_keys(path)
        body = msgspec.json.decode(self.answer.body)
        depth = 0
        while depth < len(keys) and isinstance(body, dict) and keys[depth] in body:
            body, depth = body[keys[depth]], depth + 1
        where = ".".join(("$", *keys[:depth]))
        found = ", ".join(body) or "no keys" if isinstance(body, dict) else f"a value of the type {_kind_of(body)}"
        return self.error(
            f"the answer has no {path}",
            reason=reason,
            remedy=f"{where} has: {found}",
        )


#: How one kind of paging goes through a list: as `Pages`, but it is sent pages that were read already.
Chain = Generator[Step, Page, None]


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read of each page: values by path, and of each row the fields of its key, and one more.

    `counts` says that rows are counted, and pages compared with each other; `omitted` that a body without the array
    has no rows.
    """

    rows: Keys
    omitted: bool = False
    paths: tuple[str, ...] = ()
    counts: bool = False
    key: tuple[str, ...] = ()
    last: str = ""

    def page(self, answer: Answer) -> Page:
        """Read an answer.

        Raises:
            DataError: it is no JSON, or what is read has another shape.
        """
        reader = _reader(self)
        if reader.rows is None and not reader.values:
            return Page(answer, self.rows, {})
        try:
            body = reader.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
            call = answer.call
            raise DataError(
                f"{call.http_method} {call.path}: the answer is no page of rows",
                reason=f"It cannot be read: {e}" if answer.body else "It is empty.",
                remedy="Is the base URL that of the API, and does the manifest say what this method answers?",
            ) from None
        page = Page(answer, self.rows, {path: get(body) for path, get in reader.values})
        if reader.rows is None:
            return page
        rows = reader.rows(body)
        if rows is UNSET and self.omitted:
            rows = []
        if rows is None or rows is UNSET:
            raise page.absent(".".join(("$", *self.rows)), "The rows are declared there.")
        keys = tuple(map(reader.key, rows)) if reader.key is not None else None
        last = reader.last(rows[-1]) if reader.last is not None and rows else UNSET
        mark = hash(keys if keys is not None else tuple(map(bytes, rows))) if self.counts else 0
        return replace(page, count=len(rows), keys=keys, last=last, mark=mark)


_Getter = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Reader:
    """A decoder of nothing but what is read, and getters for its parts; None for those that are not read."""

    decode: Callable[[bytes], Any]
    values: tuple[tuple[str, _Getter], ...]
    rows: _Getter | None
    key: Callable[[Any], Key] | None
    last: _Getter | None


@cache
def _reader(reading: Reading) -> _Reader:
    fields = list(dict.fromkeys((*reading.key, *filter(None, (reading.last,)))))
    with_rows = bool(fields) or reading.counts
    leaves: dict[Keys, Any] = {path_keys(path): Scalar | UnsetType for path in reading.paths}
    if with_rows:
        # Pages of rows without a known key are compared by what they hold.
        row = msgspec.Raw if reading.counts and not reading.key else _struct("Row", fields, [Scalar] * len(fields))
        leaves[reading.rows] = list[row]  # type: ignore[valid-type]
    nodes = sorted({path[:n] for path in leaves for n in range(1, len(path) + 1)})

    def typed(path: Keys) -> Any:
        inner = [p for p in nodes if p[:-1] == path]
        return leaves[path] if path in leaves else _struct("Envelope", [p[-1] for p in inner], map(typed, inner))

    def getter(path: Keys) -> _Getter:
        slots = [f"f{[p for p in nodes if p[:-1] == path[:n]].index(path[: n + 1])}" for n in range(len(path))]

        def get(body: Any) -> Any:
            for slot in slots:
                body = getattr(body, slot) if body is not None and body is not UNSET else UNSET
            return body

        return get

    return _Reader(
        msgspec.json.Decoder(typed(())).decode,
        tuple((path, getter(path_keys(path))) for path in reading.paths),
        getter(reading.rows) if with_rows else None,
        attrgetter(*(f"f{i}" for i in range(len(reading.key)))) if reading.key else None,
        attrgetter(f"f{fields.index(reading.last)}") if reading.last else None,
    )


def _struct(name: str, keys: list[str], types: Iterable[Any]) -> Any:
    """A JSON object of which some keys are read, as attributes f0, f1, ...; each may be null or absent."""
    members = [(f"f{i}", type_ | None | UnsetType, UNSET) for i, type_ in enumerate(types)]
    return msgspec.defstruct(name, members, rename={f"f{i}": key for i, key in enumerate(keys)}, gc=False)


def _body(place: Keys, rows: list[msgspec.Raw]) -> bytes:
    """A body with rows in their place."""
    body: Any = rows
    for key in reversed(place):
        body = {key: body}
    return msgspec.json.encode(body)


@cache
def _raw_rows(rows: Keys) -> Callable[[bytes], list[msgspec.Raw]]:
    body: Any = list[msgspec.Raw]
    for key in reversed(rows):
        body = msgspec.defstruct("Body", [("inner", body)], rename={"inner": key})
    decode, inner = msgspec.json.Decoder(body).decode, attrgetter(".".join(["inner"] * len(rows))) if rows else None
    return lambda text: decode(text) if inner is None else inner(decode(text))


def objects(body: bytes, rows: Keys, field: str) -> Iterator[tuple[Key, bytes]]:
    """The rows of a page that have been read before: one field of each, and the whole row as it stands there."""
    key = _key_reader(field)
    for row in _raw_rows(rows)(body):
        yield key(row), bytes(row)


@cache
def _key_reader(field: str) -> Callable[[msgspec.Raw], Key]:
    decode: Callable[[msgspec.Raw], Any] = msgspec.json.Decoder(_struct("Row", [field], [Scalar])).decode
    return lambda row: decode(row).f0


_KINDS = {list: "array", str: "string", bool: "boolean", type(None): "null"}


def _kind_of(value: object) -> str:
    return _KINDS.get(type(value), "number")
