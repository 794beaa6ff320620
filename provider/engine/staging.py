"""Staged tables: page bodies, as bytes, become typed DuckDB rows, and no value is bent on the way.

Two steps a page in msgspec's C, and one a batch in DuckDB's C++::

    body --> strict typed read of the projected fields --> one JSON array a column --> INSERT of all pages

DuckDB's JSON functions turn 1.5 into 2, "x" into NULL and a wrong shape into zero rows, so they never see
what an API sent. They see arrays that this module wrote, in which every element already has the kind of its
column; there is nothing left to bend. Fields that are not projected are skipped, never built.

A page that the strict reader refuses is read again, value by value, by the rules in `_Codec.exact`. That
second reading decides: it accepts what is unusual but right (5.0 as an integer, a timestamp without
seconds), and names, or nulls and counts, what is wrong. docs/staging.md has the rules and the numbers.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any, Literal

import duckdb
import msgspec

from provider.catalog.types import TIME_UNITS, FieldType
from provider.errors import CoercionError, DataError, InternalError, ManifestError

OnBadValue = Literal["error", "null", "text"]

#: Bytes of page bodies worth one `append`: a statement costs about 2 ms to plan, whatever it carries.
BATCH_BYTES = 4 << 20

# What a reader raises on a value or body that it does not take. UnicodeDecodeError is a ValueError.
_REFUSED = (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError)
# Valid JSON holds no raw control character, so these can stand between JSON texts: of values, and of pages.
_SEPARATOR = b"\x1e"
_PAGE_SEPARATOR = b"\x1d"
_NULL = b"null"
_RAW_NULL = msgspec.Raw(_NULL)
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Column:
    """A field, or an echoed parameter, as a column of a staged table."""

    name: str
    type: FieldType


@dataclass(frozen=True, slots=True)
class Page:
    """One response: its JSON body, and the values that were sent for the stage's echoes, in their order."""

    body: bytes
    echo: tuple[object, ...] = ()


class Stage:
    """One staged table, created in `duck` as a temporary table and filled by `append`.

    Its columns are `columns` (a projection: other keys of a row are ignored), then those of `echoes` that
    are no column. Where an echo has a column's name, the column is COALESCE(field, echo). A key that is
    absent or null is SQL NULL; of a repeated key the last counts. Without any column the table still
    counts its rows.

    Args:
        duck: used only inside the constructor and `append`, in the caller's thread.
        table: the table's name, quoted.
        resource: `provider.service.resource`, for messages.
        columns: the fields to read.
        echoes: the parameters whose sent values are columns.
        rows_path: keys from the root of a body to its array of rows, or to its only row; () is the body.
        one_row: whether there is one row, and no array.
        rows_omitted: whether a body without the array has no rows.
        on_bad_value: a value that does not fit its type is an error, or NULL and counted in `bad_values`;
            with 'text' all fields are VARCHAR and hold a string's content or any other value's JSON text.
        known: the names of all declared fields. An object with none of them is no such row, and an error,
            unless it is empty: APIs leave out what has no value. Looked at where every column of a page's
            first row is NULL, so that it costs a usual page nothing. Without names nothing is looked at.
        redact: takes secrets out of what is quoted of an answer.

    Raises:
        ManifestError: two columns differ in case only, or a key cannot be read.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        table: str,
        resource: str,
        columns: Sequence[Column],
        echoes: Sequence[Column] = (),
        rows_path: tuple[str, ...] = (),
        on_bad_value: OnBadValue = "error",
        *,
        one_row: bool = False,
        rows_omitted: bool = False,
        known: Collection[str] = (),
        redact: Callable[[str], str] = str,
    ) -> None:
        self.resource = resource
        #: Bad values by column, of the pages appended so far; empty unless `on_bad_value` is 'null'.
        self.bad_values: Counter[str] = Counter()
        self._duck = duck
        self._columns = tuple(columns)
        self._echoes = tuple(echoes)
        self._on_bad_value = on_bad_value
        self._pages = 0
        self._known = frozenset(known)
        self._redact = redact
        self._place = rows_path, one_row, rows_omitted
        path = ".".join(("$", *rows_path))
        self._declared = f"The row is declared at {path}." if one_row else f"Rows are declared at {path}."
        key = "row" if one_row else "rows"
        self._remedy = f"Correct {key} in the manifest if the API means this body as it is."
        if not one_row:
            self._remedy += f" One object is declared as row: {path}"

        self._codecs = [_codec(c.type, on_bad_value) for c in columns]
        # An echo that fills the gaps of a field is read by the rules of that field.
        by_name = {c.name: codec for c, codec in zip(columns, self._codecs, strict=True)}
        self._echo_codecs = [by_name.get(e.name) or _codec(e.type, "error") for e in echoes]
        try:
            names = [c.name for c in columns]
            self._quick = _RowReader(_row(names, [c.read for c in self._codecs]), *self._place)
            self._raw = _RowReader(_row(names, [msgspec.Raw] * len(columns)), *self._place)
        except (ValueError, TypeError) as e:
            raise ManifestError(f"{resource}: a field's name is no usable JSON key", reason=str(e)) from e
        self._slots = [attrgetter(f"c{i}") for i in range(len(columns))]
        codecs = [*self._codecs, *self._echo_codecs]
        self._texts = [i for i, codec in enumerate(codecs) if codec.as_text]
        self._arrays = [i for i, codec in enumerate(codecs) if not codec.as_text]

        created = self._create_and_insert(table)
        duck.execute(created[0])
        self._insert = duck.extract_statements(created[1])[0]

    def append(self, pages: Sequence[Page]) -> int:
        """Add the rows of `pages`, in order, in one statement; all of them or none.

        Returns:
            The number of rows added. Memory in use is about ten times the bodies: see `BATCH_BYTES`.

        Raises:
            CoercionError: a value does not fit its type.
            DataError: a body is no JSON, nests too deep, has no list of objects where one was declared, or has
                objects of another kind.
        """
        # By parameter of the INSERT, then by page: objects of arrays first, JSON texts after them.
        sent: list[list[bytes]] = [[] for _ in range(1 + len(self._texts))]
        total, bad = 0, Counter[str]()
        for number, page in enumerate(pages, self._pages + 1):
            if len(page.echo) != len(self._echoes):
                raise InternalError(f"{self.resource}: {len(page.echo)} values for {len(self._echoes)} echoes")
            try:
                rows = self._quick.rows(page.body)
                self._check_kind(rows, page.body, number)
                values = [
                    list(map(slot, rows)) if codec.quick is None else codec.quick(list(map(slot, rows)))
                    for slot, codec in zip(self._slots, self._codecs, strict=True)
                ]
                count = len(rows)
            except _REFUSED:
                count, values = self._read_exactly(page.body, number, bad)
            if count:
                total += count
                # An echo is the same in all rows of a page, so it is sent once.
                sent_as: list[Any] = [*values, *(self._echoed(i, page) for i in range(len(self._echoes)))]
                sent[0].append(msgspec.json.encode({"n": count, **{f"c{i}": sent_as[i] for i in self._arrays}}))
                for i, texts in zip(self._texts, sent[1:], strict=True):
                    texts.append(_SEPARATOR.join(values[i]) if i < len(values) else sent_as[i])
        if total:
            # One value for all pages: DuckDB's binding looks for pandas at each element of a list, which takes longer
            # than a page's rows where there is none.
            joined = [_PAGE_SEPARATOR.join(texts) for texts in sent]
            counted = self._duck.execute(self._insert, joined if self._arrays or self._texts else [total])
            if counted.fetchone() != (total,):
                raise InternalError(f"{self.resource}: DuckDB did not stage {total} rows")
        self._pages += len(pages)
        self.bad_values += bad
        return total

    def _read_exactly(self, body: bytes, number: int, bad: Counter[str]) -> tuple[int, list[list[Any]]]:
        """Read a page value by value; `number` is the page's, `bad` collects what becomes NULL."""
        read, mark = body, b""
        try:
            rows = self._raw.rows(read)
        except _REFUSED as refused:
            try:
                read, mark = _mark_unreadable_text(body)
                rows = self._raw.rows(read)
            except _REFUSED:
                raise self._wrong_page(number, body, refused) from refused
        self._check_kind(rows, read, number)
        values: list[list[Any]] = [[] for _ in self._columns]
        for row_number, row in enumerate(rows, 1):
            for column, codec, slot, out in zip(self._columns, self._codecs, self._slots, values, strict=True):
                text = bytes(slot(row))
                if text == _NULL:
                    out.append(codec.null)
                    continue
                try:
                    if mark and mark in text:
                        text = text.replace(mark, b"\\u")
                        raise ValueError("it is no Unicode text")
                    out.append(codec.exact(text))
                except _REFUSED as reason:
                    if self._on_bad_value == "error":
                        place = f"row {row_number} of page {number}"
                        raise self._bad_value(column, place, text, reason) from None
                    bad[column.name] += self._on_bad_value == "null"
                    kept = self._on_bad_value == "text"
                    out.append(text.decode("utf-8", "backslashreplace") if kept else codec.null)
        return len(rows), values

    def _check_kind(self, rows: Sequence[Any], body: bytes, number: int) -> None:
        """Refuse a page whose first object has another kind's keys: a wrapper, or what an error looks like."""
        # Without columns there is nothing to see in a row, so that only the first page is looked into.
        if not rows or not self._known or (not self._slots and number > 1):
            return
        if any((value := slot(rows[0])) is not None and value != _RAW_NULL for slot in self._slots):
            return
        found = _KEYS(_mark_unreadable_text(bytes(self._objects.rows(body)[0]))[0])
        if found and self._known.isdisjoint(found):
            raise self._stranger(number, found)

    @cached_property
    def _objects(self) -> _RowReader:
        """The reader that leaves each row as its JSON text."""
        return _RowReader(msgspec.Raw, *self._place)

    def _stranger(self, number: int, found: Mapping[str, msgspec.Raw]) -> DataError:
        path, one_row, _ = self._place
        deeper = [
            f"{key}: {'.'.join(('$', *path, name))}"
            for name, value in found.items()
            for key, opening in (("row", b"{"), ("rows", b"["))
            if one_row and bytes(value).startswith(opening)
        ]
        remedy = "Correct rows or the names of the fields in the manifest."
        if one_row:
            lies = " or ".join(deeper[:3]) if deeper else "row: or rows:"
            remedy = f"Where the object lies deeper, the method in the manifest says so: {lies}"
        return DataError(
            f"{self.resource}: an object on page {number} has none of the declared fields",
            reason=f"{self._declared} It has {self._redact(_some(found))}, declared are {_some(sorted(self._known))}.",
            remedy=remedy,
        )

    def _echoed(self, i: int, page: Page) -> Any:
        """The value sent for echo `i`, read by the rules of its column as if the API had sent it."""
        codec = self._echo_codecs[i]
        value = page.echo[i]
        if value is None:
            return codec.null
        # What a condition gives for an object is its text, which is what the column holds.
        structured = self._echoes[i].type.base in ("object", "array")
        text = value.encode() if structured and isinstance(value, str) else msgspec.json.encode(value)
        try:
            return codec.exact(text)
        except _REFUSED as reason:
            raise self._bad_value(self._echoes[i], "the request", text, reason) from None

    def _bad_value(self, column: Column, place: str, text: bytes, reason: Exception) -> CoercionError:
        return CoercionError(
            f"{self.resource}: field {column.name} is declared {_describe(column.type)},"
            f" and {place} has {self._quoted(text)}",
            reason=self._redact(str(reason).removeprefix("JSON is malformed: ")),
            remedy="Correct the field's type in the manifest, or set on_bad_value to null or text.",
        )

    def _wrong_page(self, number: int, body: bytes, refused: Exception) -> DataError:
        if not body.strip():
            reason = "It is no JSON text: the answer has no body."
        elif isinstance(refused, RecursionError):
            reason = "It nests too deep."
        elif isinstance(refused, msgspec.ValidationError):
            reason = f"{self._declared} {refused}"
        else:
            reason = f"It is no JSON text in UTF-8: {refused}"
        return DataError(
            f"{self.resource}: page {number} does not have the declared shape",
            reason=reason,
            remedy=self._remedy,
            detail=self._quoted(body),
        )

    def _quoted(self, text: bytes) -> str:
        """The beginning of a text; secrets are taken out of the whole, as no half of one may remain."""
        return _short(self._redact(text.decode("utf-8", "backslashreplace")))

    def _create_and_insert(self, table: str) -> tuple[str, str]:
        """The table's CREATE and its INSERT, whose parameters are texts with a part a page."""
        codecs = [*self._codecs, *self._echo_codecs]
        names = [c.name for c in (*self._columns, *self._echoes)]
        if not codecs:
            insert = f"INSERT INTO {table} SELECT NULL FROM range($1)"
            return f"CREATE TEMP TABLE {table} (nothing BOOLEAN)", insert
        made: dict[str, tuple[str, str]] = {}
        # What is sent for each column: an array of a page's values, or one value for all of them.
        sent: list[str] = []
        for i, (name, codec) in enumerate(zip(names, codecs, strict=True)):
            is_echo = i >= len(self._columns)
            if codec.as_text:
                sent.append(f"{f't{i}' if is_echo else f'string_split(t{i}, chr({_SEPARATOR[0]}))'} AS c{i}")
            else:
                sent.append(f"d.c{i} AS c{i}")
            value = codec.select.format(f"c{i}" if is_echo else f"unnest(c{i})")
            sql, field = made.get(name, (codec.sql, ""))
            made[name] = sql, f"coalesce({field}, {value})" if field else value
        if len({name.casefold() for name in made}) < len(made):
            raise ManifestError(
                f"{self.resource}: two columns have the same name",
                reason=f"SQL does not tell {', '.join(made)} apart by case.",
            )
        defined = ", ".join(f"{_quoted(name)} {sql}" for name, (sql, _) in made.items())
        each = f"unnest(string_split(decode(${{}}::BLOB), chr({_PAGE_SEPARATOR[0]})))"
        parts = "".join(f", {each.format(n)} AS t{i}" for n, i in enumerate(self._texts, 2))
        pages = f"SELECT {each.format(1)} AS d{parts}"
        leaves = [
            f'"c{i}":' + (f'"{codecs[i].leaf}"' if i >= len(self._columns) else f'["{codecs[i].leaf}"]')
            for i in self._arrays
        ]
        if not self._columns:
            # Echoes alone do not say how many rows they are for.
            leaves.append('"n":"BIGINT"')
            sent.append("unnest(range(d.n))")
        parsed = f"from_json(d, '{{{','.join(leaves)}}}')" if leaves else "d"
        source = f"SELECT {', '.join(sent)} FROM (SELECT * REPLACE ({parsed} AS d) FROM ({pages}))"
        return (
            f"CREATE TEMP TABLE {table} ({defined})",
            f"INSERT INTO {table} SELECT {', '.join(value for _, value in made.values())} FROM ({source})",
        )


def _row(names: Sequence[str], types: Sequence[Any]) -> Any:
    """The type of a row object, with an attribute c0, c1, ... for each of its keys."""
    fields: list[tuple[str, Any, Any]] = [
        (f"c{i}", type_, _RAW_NULL) if type_ is msgspec.Raw else (f"c{i}", type_ | None, None)
        for i, type_ in enumerate(types)
    ]
    rename = {f"c{i}": name for i, name in enumerate(names)}
    return msgspec.defstruct("Row", fields, rename=rename, gc=False)


class _RowReader:
    """The strict reader of one body: from bytes to its rows, of the type `row`."""

    def __init__(
        self,
        row: Any,
        rows_path: tuple[str, ...],
        one_row: bool,
        rows_omitted: bool,
    ) -> None:
        body: Any = row if one_row else list[row]
        for i, key in enumerate(reversed(rows_path)):
            default = msgspec.field(default_factory=list) if rows_omitted and i == 0 else msgspec.field()
            body = msgspec.defstruct("Body", [("inner", body, default)], rename={"inner": key})
        self._decode = msgspec.json.Decoder(body).decode
        self._depth = len(rows_path)
        self._one_row = one_row

    def rows(self, body: bytes) -> list[Any]:
        found = self._decode(body)
        for _ in range(self._depth):
            found = found.inner
        return [found] if self._one_row else found


@dataclass(frozen=True, slots=True)
class _Codec:
    """How values of one type travel.

    `read` is the msgspec type of the strict reader, `quick` turns a page's values as read into values as
    sent (None: the same), or raises. `exact` reads the JSON text of one value, not null, and is the
    judge of what fits. Values are sent as elements of a JSON array that DuckDB reads as `leaf`, or
    (`as_text`) as JSON texts between separators; `select` is the SQL over one of them, `null` is sent
    for NULL, `sql` is the type of the column.
    """

    sql: str
    read: Any
    exact: Callable[[bytes], Any]
    quick: Callable[[list[Any]], list[Any]] | None = None
    leaf: str = ""
    select: str = "{}"
    as_text: bool = False
    null: bytes | None = None


def _codec(type_: FieldType, on_bad_value: OnBadValue) -> _Codec:
    if on_bad_value == "text":
        return _Codec("VARCHAR", msgspec.Raw, _any_text, _each(_any_text), leaf="VARCHAR")
    match type_.base:
        case "string":
            return _plain("VARCHAR", str)
        case "integer":
            whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
            return _Codec("BIGINT", whole, _whole_number, leaf="BIGINT")
        case "number":
            return _plain("DOUBLE", float)
        case "boolean":
            return _plain("BOOLEAN", bool)
        case "date":
            return _plain("DATE", dt.date)
        case "timestamp" if type_.unit in TIME_UNITS:
            return _unix_codec(10**6 // TIME_UNITS[type_.unit])
        case "timestamp":
            return _Codec("TIMESTAMPTZ", str, _instant_value, _instants, leaf="TIMESTAMPTZ")
        case "datetime":
            return _Codec("TIMESTAMP", str, _local_value, _locals, leaf="TIMESTAMP")
        case "decimal":
            exact = _decimal_reader(type_.precision, type_.scale)
            return _Codec(type_.duckdb, msgspec.Raw, exact, _each(exact), leaf=type_.duckdb)
        case "object":
            return _json_codec(b"{")
        case "array":
            return _json_codec(b"[")
        case _:
            return _json_codec(b"")


def _plain(sql: str, read: type) -> _Codec:
    return _Codec(sql, read, msgspec.json.Decoder(read).decode, leaf=sql)


def _each(exact: Callable[[bytes], Any]) -> Callable[[list[Any]], list[Any]]:
    """A quick reader out of an exact one, for types that msgspec has no strict form of."""

    def quick(values: list[Any]) -> list[Any]:
        return [None if text == _NULL else exact(text) for text in map(bytes, values)]

    return quick


def _any_text(text: bytes) -> str:
    return _string(text) if text.startswith(b'"') else text.decode()


_string = msgspec.json.Decoder(str).decode


def _number(text: bytes) -> Decimal:
    """The exact value of a JSON number."""
    if text[:1] not in b"-0123456789":
        raise ValueError("it is no JSON number")
    return Decimal(text.decode())


def _whole_number(text: bytes) -> int:
    value = _number(text)
    if value != value.to_integral_value() or not -(2**63) <= value < 2**63:
        raise ValueError("it is no whole number of 64 bits")
    return int(value)


def _unix_codec(micros: int) -> _Codec:
    """Points in time counted from 1970 in units of so many microseconds, in the years 1 to 9999."""
    first = -62_135_596_800 * 10**6 // micros
    last = 253_402_300_800 * 10**6 // micros - 1
    cut = Context(prec=60, rounding=ROUND_FLOOR)

    def exact(text: bytes) -> int:
        value = _number(text)
        if not first <= value < last + 1:
            raise ValueError("it lies outside the years 1 to 9999")
        return int(cut.multiply(value, Decimal(micros)).to_integral_value(context=cut))

    def quick(values: list[Any]) -> list[Any]:
        return [None if v is None else v * micros for v in values]

    read = Annotated[int, msgspec.Meta(ge=first, le=last)]
    return _Codec("TIMESTAMPTZ", read, exact, quick, leaf="BIGINT", select="make_timestamptz({})")


_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ](?!24)\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?[0-5]\d)?)?", re.ASCII)
_DIGITS_TO_ZERO = str.maketrans("123456789", "000000000")
_ZULU_SHAPES = {"0000-00-00T00:00:00Z", "0000-00-00T00:00:00.000Z", "0000-00-00T00:00:00.000000Z"}


def _instant(text: str) -> dt.datetime:
    """A point in time from ISO 8601; UTC without an offset, digits after the microseconds are cut."""
    if not _INSTANT.fullmatch(text.upper()):
        raise ValueError("it is no ISO 8601 date with time")
    value = dt.datetime.fromisoformat(text.upper())
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def _instant_value(text: bytes) -> dt.datetime:
    return _instant(_string(text))


def _instants(values: list[Any]) -> list[Any]:
    """`_instant` of many; a page in the commonest form is recognised at once by its digits' places."""
    joined = "\x1e".join([v for v in values if v is not None])
    common = set(joined.translate(_DIGITS_TO_ZERO).split("\x1e")) <= _ZULU_SHAPES and "T24" not in joined
    read = dt.datetime.fromisoformat if common else _instant
    return [None if v is None else read(v) for v in values]


def _local(text: str) -> dt.datetime:
    """A day and a time of day from ISO 8601; an offset would say that it is a point in time."""
    if "Z" in text.upper() or not _INSTANT.fullmatch(text.upper()):
        raise ValueError("it is no ISO 8601 date with time, without an offset")
    value = dt.datetime.fromisoformat(text.upper())
    if value.tzinfo is not None:
        raise ValueError("it is no ISO 8601 date with time, without an offset")
    return value


def _local_value(text: bytes) -> dt.datetime:
    return _local(_string(text))


def _locals(values: list[Any]) -> list[Any]:
    return [None if v is None else _local(v) for v in values]


_NUMERAL = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def _decimal_reader(precision: int, scale: int) -> Callable[[bytes], str]:
    unit = Decimal(1).scaleb(-scale)
    no_rounding = Context(prec=precision, traps=[Inexact, InvalidOperation])

    def exact(text: bytes) -> str:
        numeral = _string(text) if text.startswith(b'"') else text.decode()
        if not _NUMERAL.fullmatch(numeral):
            raise ValueError("it is no decimal number")
        try:
            return f"{Decimal(numeral).quantize(unit, context=no_rounding):f}"
        except ArithmeticError:
            raise ValueError(f"it does not fit decimal({precision},{scale}) without rounding") from None

    return exact


def _json_codec(opening: bytes) -> _Codec:
    """JSON kept as the API wrote it, byte for byte; values begin with `opening`."""

    def exact(text: bytes) -> bytes:
        text.decode()
        if not text.startswith(opening):
            raise ValueError("it is JSON of another kind")
        return text

    def quick(values: list[Any]) -> list[Any]:
        joined = _SEPARATOR.join([b"", *values])
        joined.decode()
        if opening:
            fits = joined.count(_SEPARATOR + opening) + joined.count(_SEPARATOR + _NULL)
            if fits != len(values):
                raise ValueError("JSON of another kind")
        # One text that holds all of the page's values, separated as they will be anyway.
        return [joined[1:]]

    return _Codec("JSON", msgspec.Raw, exact, quick, select="nullif({}, 'null')::JSON", as_text=True, null=_NULL)


# An escape in a JSON string: a surrogate pair, a lone surrogate (the group), or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def _mark_unreadable_text(body: bytes) -> tuple[bytes, bytes]:
    r"""Put a mark in place of lone surrogates (\ud800) and of bytes that are no UTF-8.

    JSON's grammar allows the former, APIs that cut text in the middle of an emoji send them, and no
    strict reader takes a page that has one. With the mark the page can be read and the value is known.
    Returns the body, and the mark, a Unicode noncharacter that the body did not have.
    """
    mark = next((m for n in range(0xFDD0, 0xFDF0) if (m := chr(n).encode()) not in body), None)
    if mark is None:
        return body, b""
    text = re.sub(
        "[\udc80-\udcff]",
        lambda found: f"{mark.decode()}{ord(found[0]):04x}",
        body.decode("utf-8", "surrogateescape"),
    )
    return _ESCAPE.sub(lambda found: mark + found[1] if found[1] else found[0], text.encode()), mark


def _describe(type_: FieldType) -> str:
    return f"{type_} in {type_.unit}" if type_.base == "timestamp" and type_.unit else str(type_)


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _some(names: Iterable[str]) -> str:
    """Names, as many as can be read at a glance."""
    listed = list(names)
    return ", ".join(map(_short, listed[:10])) + (", ..." if len(listed) > 10 else "")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
