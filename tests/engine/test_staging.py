"""Staged tables, against real DuckDB, and against a reading in plain Python that shares no code with them."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from provider.catalog.types import FieldType, parse_type
from provider.engine.staging import Column, Page, Stage
from provider.errors import CoercionError, DataError, InternalError, ManifestError

STRING, INTEGER, NUMBER, BOOLEAN = map(FieldType, ("string", "integer", "number", "boolean"))
OBJECT, ARRAY, ANY, TIMESTAMP, DATE = map(FieldType, ("object", "array", "any", "timestamp", "date"))
DATETIME = FieldType("datetime")
SECONDS, MILLIS = FieldType("timestamp", "unix seconds"), FieldType("timestamp", "unix milliseconds")
MONEY, WIDE = parse_type("decimal(18,2)"), parse_type("decimal(38,10)")
UTC = dt.UTC


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    with duckdb.connect() as opened:
        # A zone far from UTC, so that a time that lost its offset shows.
        opened.execute("SET TimeZone = 'America/New_York'")
        yield opened


@pytest.fixture
def duck(connection: Any) -> Any:
    connection.execute('DROP TABLE IF EXISTS "s"')
    return connection


def stage(duck: Any, columns: dict[str, FieldType], **options: Any) -> Stage:
    options.setdefault("rows_path", ("data",))
    echoes = [Column(n, t) for n, t in options.pop("echoes", {}).items()]
    fields = [Column(n, t) for n, t in columns.items()]
    return Stage(duck, '"s"', "acme.shop.orders", fields, echoes, **options)


def table(duck: Any) -> list[Any]:
    rows: list[Any] = duck.execute('SELECT * FROM "s"').fetchall()
    return rows


def one(duck: Any, type_: FieldType, text: str | bytes, **options: Any) -> Any:
    """The value that `text`, the JSON of a field, becomes; instants as UTC."""
    body = b'{"data":[{"v":' + (text.encode() if isinstance(text, str) else text) + b"}]}"
    assert stage(duck, {"v": type_}, **options).append([Page(body)]) == 1
    value = table(duck)[0][0]
    return value.astimezone(UTC) if isinstance(value, dt.datetime) and value.tzinfo else value


# ---------------------------------------------------------------------- values that fit

INSTANT = dt.datetime(2026, 1, 2, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (STRING, '""', ""),
        (STRING, '"12"', "12"),
        (STRING, '"null"', "null"),
        (STRING, '"{\\"a\\":1}"', '{"a":1}'),
        (STRING, '"a\\u0000b\\u001e"', "a\0b\x1e"),
        (STRING, '"\\ud83d\\ude00 \u00e9"', "\U0001f600 \u00e9"),
        (INTEGER, "9007199254740993", 2**53 + 1),
        (INTEGER, "-9223372036854775808", -(2**63)),
        (INTEGER, "9223372036854775807", 2**63 - 1),
        (INTEGER, "-0", 0),
        (INTEGER, "5.0", 5),
        (INTEGER, "1e3", 1000),
        (INTEGER, "9223372036854775807.0", 2**63 - 1),
        (NUMBER, "0.1", 0.1),
        (NUMBER, "7", 7.0),
        (NUMBER, "-2.5e-3", -0.0025),
        (NUMBER, "12345678901234567890123", 1.2345678901234568e22),
        (BOOLEAN, "true", True),
        (BOOLEAN, "false", False),
        (OBJECT, '{"a":1.10,"n":12345678901234567890123,"a":1e400}', None),
        (OBJECT, "{}", None),
        (ARRAY, "[0.10000000000000000001, 9007199254740993, -0]", None),
        (ARRAY, '["\\u00e9\\/", null, "null"]', None),
        (ANY, '"null"', None),
        (ANY, "1.10", None),
        (ANY, "false", None),
        (TIMESTAMP, '"2026-01-02T10:00:00Z"', INSTANT),
        (TIMESTAMP, '"2026-01-02T15:30:00+05:30"', INSTANT),
        (TIMESTAMP, '"2026-01-02T09:00-01"', INSTANT),
        (TIMESTAMP, '"2026-01-02 10:00"', INSTANT),
        (TIMESTAMP, '"2026-01-02t10:00:00z"', INSTANT),
        (TIMESTAMP, '"2026-01-02T10:00:00.5Z"', INSTANT.replace(microsecond=500_000)),
        (TIMESTAMP, '"2026-01-02T10:00:00.999999999Z"', INSTANT.replace(microsecond=999_999)),
        (SECONDS, "1767348000", INSTANT),
        (SECONDS, "1767348000.0000019", INSTANT.replace(microsecond=1)),
        (SECONDS, "-0.0000001", dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
        (MILLIS, "1767348000001", INSTANT.replace(microsecond=1000)),
        (DATE, '"2024-02-29"', dt.date(2024, 2, 29)),
        (DATETIME, '"2024-02-29T23:59:59.1234567"', dt.datetime(2024, 2, 29, 23, 59, 59, 123456)),
        (DATETIME, '"2024-03-31 02:30"', dt.datetime(2024, 3, 31, 2, 30)),
        (MONEY, "0.1", Decimal("0.10")),
        (MONEY, "1.500", Decimal("1.50")),
        (MONEY, '"-9999999999999999.99"', Decimal("-9999999999999999.99")),
        (MONEY, "1e2", Decimal("100.00")),
        (WIDE, "1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
    ],
)
def test_a_value_that_fits_is_kept_exactly(duck: Any, type_: FieldType, text: str, value: Any) -> None:
    got = one(duck, type_, text)
    if type_.is_json:  # JSON columns hold the text that the API sent, digit by digit
        value = text
    assert (got, type(got)) == (value, type(value))


def test_columns_have_the_declared_duckdb_types(duck: Any) -> None:
    types = {
        "a": STRING,
        "b": INTEGER,
        "c": NUMBER,
        "d": BOOLEAN,
        "e": OBJECT,
        "f": SECONDS,
        "g": DATE,
        "h": WIDE,
    }
    stage(duck, types)
    described = {row[0]: row[1] for row in duck.execute('DESCRIBE "s"').fetchall()}
    assert described == {n: duck.execute(f"SELECT typeof(NULL::{t.duckdb})").fetchone()[0] for n, t in types.items()}
    duck.execute('DROP TABLE "s"')
    stage(duck, types, on_bad_value="text")
    assert {row[1] for row in duck.execute('DESCRIBE "s"').fetchall()} == {"VARCHAR"}


@pytest.mark.parametrize(
    "type_", [STRING, INTEGER, NUMBER, BOOLEAN, OBJECT, ANY, TIMESTAMP, SECONDS, DATETIME, DATE, MONEY]
)
def test_null_and_an_absent_key_are_null(duck: Any, type_: FieldType) -> None:
    assert stage(duck, {"v": type_}).append([Page(b'{"data":[{"v":null},{},{"other":1}]}')]) == 3
    assert table(duck) == [(None,)] * 3


# ------------------------------------------------------------------- values that do not fit

BAD = [
    *((STRING, t) for t in ("1", "true", "{}", '["a"]', '"\\ud800"', '"\\udc00\\ud800"')),
    (STRING, b'"\xff"'),
    *((INTEGER, t) for t in ("1.5", "true", '"2"', "9223372036854775808", "12345678901234567890", "1e19")),
    *((INTEGER, t) for t in ("1e400", "1e-5", "1e99999999999999999999", "{}", "9223372036854775807.5")),
    *((NUMBER, t) for t in ("true", '"1.5"', "1e400", "-1e400", "[]", '"NaN"')),
    *((BOOLEAN, t) for t in ("1", "0", '"true"', '"yes"')),
    *((OBJECT, t) for t in ("[]", "1", '"{}"', '{"a":"\\ud800"}')),
    (OBJECT, b'{"a":"\xff"}'),
    *((ARRAY, t) for t in ("{}", '"[]"', "true")),
    (ANY, b'"\xc0\x80"'),
    *((TIMESTAMP, f'"{t}"') for t in ("", "2026-01-02", "2026-02-30T10:00:00Z", "2026-01-02T24:00:00Z")),
    *((TIMESTAMP, f'"{t}"') for t in ("2026-01-02T10:00:60Z", "2026-01-02T10:00:00+05:99", "2026-W01-2T10:00:00Z")),
    *((TIMESTAMP, f'"{t}"') for t in ("now", "infinity", "1767348000", "2026-01-02T10:00:00.Z", "20260102T100000Z")),
    *((TIMESTAMP, t) for t in ("1767348000", "{}")),
    *((SECONDS, t) for t in ('"1767348000"', "1767348000000", "true", '"2026-01-02T10:00:00Z"', "1e400")),
    *((MILLIS, t) for t in ('"1"', "[]")),
    *(
        (DATETIME, t)
        for t in ('"2026-01-02T00:00:00Z"', '"2026-01-02T00:00:00+01:00"', '"2026-01-02"', '"2026-02-30T00:00"', "1")
    ),
    *((DATE, t) for t in ('"2026-01-02T00:00:00Z"', '"2026-02-30"', '"2026-1-2"', "20260102", '""')),
    *((MONEY, t) for t in ("1.005", '"1.005"', "12345678901234567.10", '"abc"', '""', '" 1"', '"1_0"', '"NaN"')),
    *((MONEY, t) for t in ("true", "{}", "1e400", '"Infinity"', "0.0000000000000000000000000000000000001")),
]


@pytest.mark.parametrize(("type_", "text"), BAD)
def test_a_bad_value_is_an_error_that_names_it(duck: Any, type_: FieldType, text: str | bytes) -> None:
    raw = text.encode() if isinstance(text, str) else text
    staged = stage(duck, {"id": INTEGER, "v": type_})
    staged.append([Page(b'{"data":[{"id":1}]}')])
    body = b'{"data":[{"id":2},{"v":' + raw + b',"id":3}]}'
    with pytest.raises(CoercionError) as caught:
        staged.append([Page(b'{"data":[{"id":4}]}'), Page(body)])
    shown = raw.decode("utf-8", "backslashreplace")
    for part in ("acme.shop.orders", "field v", str(type_), "row 2 of page 3", shown):
        assert part in str(caught.value)
    assert table(duck) == [(1, None)], "a batch is all or nothing"


@pytest.mark.parametrize(("type_", "text"), BAD)
def test_a_bad_value_can_be_null_and_is_counted(duck: Any, type_: FieldType, text: str | bytes) -> None:
    raw = text.encode() if isinstance(text, str) else text
    staged = stage(duck, {"id": INTEGER, "v": type_}, on_bad_value="null")
    assert staged.append([Page(b'{"data":[{"id":2,"v":null},{"v":' + raw + b',"id":3}]}')]) == 2
    assert table(duck) == [(2, None), (3, None)]
    assert staged.bad_values == {"v": 1}


def test_the_error_gives_the_reason_and_shortens_the_value(duck: Any) -> None:
    with pytest.raises(CoercionError, match="it is no JSON number"):
        one(duck, INTEGER, '"2"')
    duck.execute('DROP TABLE "s"')
    with pytest.raises(CoercionError) as caught:
        one(duck, DATE, '"' + "\u00e9" * 5000 + '"')
    assert len(str(caught.value)) < 400


def test_bad_values_of_a_batch_that_failed_are_not_counted(duck: Any) -> None:
    staged = stage(duck, {"v": INTEGER}, on_bad_value="null")
    with pytest.raises(DataError):
        staged.append([Page(b'{"data":[{"v":"x"}]}'), Page(b"oops")])
    assert staged.bad_values.total() == 0


def test_an_error_leaves_the_callers_transaction_usable(duck: Any) -> None:
    staged = stage(duck, {"v": INTEGER})
    duck.execute("BEGIN")
    staged.append([Page(b'{"data":[{"v":1}]}')])
    with pytest.raises(CoercionError):
        staged.append([Page(b'{"data":[{"v":"x"}]}')])
    duck.execute("COMMIT")
    assert table(duck) == [(1,)]


def test_text_keeps_every_value_as_varchar(duck: Any) -> None:
    values = ['"a"', "1.10", "true", "null", '{"b" : 1}', '"\\ud800"', "12345678901234567890123", '"null"']
    staged = stage(duck, {"v": INTEGER}, on_bad_value="text")
    body = '{"data":[' + ",".join(f'{{"v":{v}}}' for v in values) + "]}"
    assert staged.append([Page(body.encode())]) == len(values)
    assert [v for (v,) in table(duck)] == [
        "a", "1.10", "true", None, '{"b" : 1}', '"\\ud800"', "12345678901234567890123", "null"
    ]  # fmt: skip


def test_a_lone_surrogate_spoils_only_its_own_field(duck: Any) -> None:
    body = b'{"data":[{"id":1,"name":"\\ud83d cut","note":"\\\\ud800 \xef\xb7\x90 \\ud83d\\ude00"}]}'
    stage(duck, {"id": INTEGER, "note": STRING}).append([Page(body)])
    assert table(duck) == [(1, "\\ud800 \ufdd0 \U0001f600")]


# -------------------------------------------------------------------------- shapes

LIST = ("data",)
WRONG = [
    (LIST, b"", "no JSON"),
    (LIST, b"  ", "no JSON"),
    (LIST, b"<html>gone</html>", "no JSON"),
    (LIST, b'{"data":[{}]', "no JSON"),
    (LIST, b'{"data":[{}]} x', "no JSON"),
    (LIST, b'{"data":[{}]}\0', "no JSON"),
    (LIST, b'\xef\xbb\xbf{"data":[]}', "no JSON"),
    (LIST, b'{"data":[{},]}', "no JSON"),
    (LIST, b'{"data":[{"v":NaN}]}', "no JSON"),
    (LIST, b'{"data":[{"w":01}]}', "no JSON"),
    (LIST, b'{"data":[{"w":"a\nb"}]}', "no JSON"),
    (LIST, b'{"data":[{"w":"\\x"}]}', "no JSON"),
    (LIST, b"{}", "$.data"),
    (LIST, b'{"Data":[]}', "$.data"),
    (LIST, b'{"data":null}', "$.data"),
    (LIST, b'{"data":{}}', "$.data"),
    (LIST, b'{"data":{"0":{}}}', "$.data"),
    (LIST, b'{"data":"x"}', "$.data"),
    (LIST, b'{"data":[{},1]}', "$.data[1]"),
    (LIST, b'{"data":[null]}', "$.data[0]"),
    (LIST, b'{"data":[[]]}', "$.data[0]"),
    (LIST, b"[]", "$.data"),
    (LIST, b"null", "$.data"),
    (("a", "b"), b'{"a":{}}', "$.a"),
    (("a", "b"), b'{"a":[{"b":[]}]}', "$.a"),
    ((), b'{"data":[]}', "array"),
    ((), b"1", "array"),
    (None, b"[{}]", "object"),
    (None, b"null", "object"),
    (LIST, b'{"data":[{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}", "too deep"),
    (LIST, b'{"data":[{"v":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001 + b"]}", "too deep"),
]


@pytest.mark.parametrize(("path", "body", "named"), WRONG)
@pytest.mark.parametrize("policy", ["error", "null", "text"])
def test_a_wrong_shape_is_an_error_never_zero_rows(duck: Any, path: Any, body: bytes, named: str, policy: str) -> None:
    for columns in ({}, {"v": INTEGER}, {"v": ANY}):
        duck.execute('DROP TABLE IF EXISTS "s"')
        staged = stage(duck, columns, rows_path=path or (), one_row=path is None, on_bad_value=policy)
        with pytest.raises(DataError) as caught:
            staged.append([Page(body)])
        assert named in str(caught.value)
        assert "page 1" in str(caught.value)
        assert len(str(caught.value)) < 600
        assert table(duck) == []


@pytest.mark.parametrize(
    ("path", "body", "rows"),
    [
        (LIST, b'{"data":[]}', []),
        ((), b" [] ", []),
        ((), b'[{"v":1},{"v":2}]', [(1,), (2,)]),
        (("a", "b"), b'{"x":[1],"a":{"b":[{"v":3}],"c":{}}}', [(3,)]),
    ],
)
def test_rows_are_found_where_they_are_declared(duck: Any, path: Any, body: bytes, rows: list[Any]) -> None:
    assert stage(duck, {"v": INTEGER}, rows_path=path).append([Page(body)]) == len(rows)
    assert table(duck) == rows


@pytest.mark.parametrize(
    ("path", "body", "value"),
    [
        ((), b'{"v":4,"data":[]}', 4),
        ((), b"{}", None),
        (LIST, b'{"v":1,"data":{"v":5}}', 5),
        (("a", "b"), b'{"a":{"b":{"v":6}}}', 6),
    ],
)
def test_one_row_is_found_where_it_is_declared(duck: Any, path: Any, body: bytes, value: int | None) -> None:
    assert stage(duck, {"v": INTEGER}, rows_path=path, one_row=True).append([Page(body)]) == 1
    assert table(duck) == [(value,)]


@pytest.mark.parametrize("body", [b'{"v":5}', b'{"data":null}', b'{"data":[{"v":5}]}'])
def test_a_row_that_is_not_where_it_is_declared_is_an_error(duck: Any, body: bytes) -> None:
    with pytest.raises(DataError, match=r"The row is declared at \$\.data\."):
        stage(duck, {"v": INTEGER}, rows_path=LIST, one_row=True).append([Page(body)])


def test_an_object_where_rows_are_declared_says_how_one_object_is_declared(duck: Any) -> None:
    with pytest.raises(DataError, match=r"One object is declared as row: \$\.data"):
        stage(duck, {"v": INTEGER}, rows_path=LIST).append([Page(b'{"data":{"v":5}}')])


@pytest.mark.parametrize(
    "body", ["{}", '{"id":null}', '{"name":"x"}', '{"name":"\\ud800","\\ud800":1}', '{"é":1,"id":1.0}']
)
@pytest.mark.parametrize("columns", [{"id": INTEGER}, {"id": OBJECT}, {}])
@pytest.mark.parametrize("one_row", [True, False])
def test_an_object_may_leave_out_what_has_no_value(duck: Any, body: str, columns: Any, one_row: bool) -> None:
    staged = stage(duck, columns, rows_path=(), one_row=one_row, known=("id", "name"), on_bad_value="null")
    assert staged.append([Page((body if one_row else f"[{body}]").encode())]) == 1


@pytest.mark.parametrize("body", ['{"data":{"id":1}}', '{"ID":1}', '{"x\\ud800":1}', '{"é":"\\ud800"}'])
@pytest.mark.parametrize("columns", [{"id": INTEGER}, {"id": OBJECT}, {}])
@pytest.mark.parametrize("one_row", [True, False])
def test_an_object_of_another_kind_is_an_error(duck: Any, body: str, columns: Any, one_row: bool) -> None:
    staged = stage(duck, columns, rows_path=(), one_row=one_row, known=("id", "name"))
    with pytest.raises(DataError, match="none of the declared fields"):
        staged.append([Page((body if one_row else f"[{body}]").encode())])


@pytest.mark.parametrize("type_", [INTEGER, ANY])
def test_the_last_of_repeated_keys_counts_on_either_reading(duck: Any, type_: FieldType) -> None:
    staged = stage(duck, {"v": type_, "w": INTEGER})
    staged.append([Page(b'{"data":[{"v":1,"w":0,"v":2}]}'), Page(b'{"data":[{"v":1,"w":0.0,"v":2}]}')])
    assert [(int(v), w) for v, w in table(duck)] == [(2, 0), (2, 0)]


def test_row_order_is_page_order_over_all_kinds_of_pages(duck: Any) -> None:
    staged = stage(duck, {"v": INTEGER, "j": ANY})
    texts = [f'{{"data":[{",".join(f"""{{"v":{i}{dot},"j":[{i}]}}""" for i in range(k, k + 700))}]}}'
             for k, dot in ((0, ""), (700, ".0"), (1400, ""), (2100, ""))]  # fmt: skip
    empty = Page(b'{"data":[]}')
    assert staged.append([empty, *(Page(t.encode()) for t in texts), empty]) == 2800
    assert table(duck) == [(i, f"[{i}]") for i in range(2800)]


def test_no_columns_still_count_rows(duck: Any) -> None:
    staged = stage(duck, {})
    assert staged.append([Page(b'{"data":[{"a":1},{}]}'), Page(b'{"data":[]}'), Page(b'{"data":[{}]}')]) == 3
    assert staged.append([]) == 0
    assert duck.execute('SELECT count(*) FROM "s"').fetchone() == (3,)


def test_names_that_are_hard_for_sql_or_json_are_read(duck: Any) -> None:
    names = ["select", "a b", "\u00e9", "x'y", "$1", "{}", "%s"]
    stage(duck, dict.fromkeys(names, INTEGER)).append([Page(json.dumps({"data": [dict.fromkeys(names, 1)]}).encode())])
    assert [c[0] for c in duck.execute('SELECT * FROM "s"').description] == names
    assert table(duck) == [(1,) * len(names)]


@pytest.mark.parametrize("names", [("id", "ID"), ('a"b', "c")])
def test_names_that_cannot_be_columns_are_refused(duck: Any, names: tuple[str, str]) -> None:
    with pytest.raises(ManifestError):
        stage(duck, dict.fromkeys(names, INTEGER))


# -------------------------------------------------------------------------- echoes


def test_echoes_are_constant_over_a_page_and_fill_gaps_of_fields(duck: Any) -> None:
    staged = stage(
        duck,
        {"id": INTEGER, "owner": STRING, "tags": ARRAY},
        echoes={"owner": STRING, "n": INTEGER, "f": NUMBER, "b": BOOLEAN, "tags": ARRAY},
    )
    staged.append(
        [
            Page(
                b'{"data":[{"id":1},{"id":2,"owner":"x"},{"owner":null,"tags":[1]}]}',
                ("y", 2**53 + 1, 1, True, []),
            ),
            Page(b'{"data":[{"id":3}]}', ("it's \x1e \0", None, 0.5, False, None)),
        ]
    )
    assert table(duck) == [
        (1, "y", "[]", 2**53 + 1, 1.0, True),
        (2, "x", "[]", 2**53 + 1, 1.0, True),
        (None, "y", "[1]", 2**53 + 1, 1.0, True),
        (3, "it's \x1e \0", None, None, 0.5, False),
    ]


def test_only_echoes(duck: Any) -> None:
    assert stage(duck, {}, echoes={"k": STRING}).append([Page(b'{"data":[{},{}]}', ("a",))]) == 2
    assert table(duck) == [("a",), ("a",)]


def test_an_echo_of_another_type_is_an_error(duck: Any) -> None:
    with pytest.raises(CoercionError, match="k is declared integer, and the request has"):
        stage(duck, {}, echoes={"k": INTEGER}).append([Page(b'{"data":[{}]}', ("a",))])


def test_a_page_with_the_wrong_number_of_echoes_is_a_defect(duck: Any) -> None:
    with pytest.raises(InternalError):
        stage(duck, {}, echoes={"k": INTEGER}).append([Page(b'{"data":[{}]}')])


# ------------------------------------------- a second reading, in plain Python, of random pages


class Numeral(str):
    """A JSON number, as written."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object, with its repeated keys."""


BAD_VALUE = object()
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
TYPES = {
    "s": STRING, "i": INTEGER, "n": NUMBER, "b": BOOLEAN, "o": OBJECT, "a": ARRAY, "j": ANY,
    "t": TIMESTAMP, "u": SECONDS, "m": MILLIS, "d": DATE, "c": MONEY, "w": WIDE,
}  # fmt: skip


def parse(text: str) -> Any:
    return json.loads(text, parse_int=Numeral, parse_float=Numeral, object_pairs_hook=Pairs)


def reference(type_: FieldType, value: Any) -> Any:
    """What `value`, from `parse`, has to become; instants as microseconds, JSON as parsed again."""
    if value is None:
        return None
    number = Decimal(value) if isinstance(value, Numeral) and len(value) < 500 else None
    text = value if isinstance(value, str) and not isinstance(value, Numeral) else None
    if not _encodable(value):
        return BAD_VALUE
    base = type_.base
    if base == "any" or (base, type(value)) in {("object", Pairs), ("array", list)}:
        return value
    if base == "string" and text is not None:
        return text
    if base == "boolean" and isinstance(value, bool):
        return value
    if base == "integer" and number is not None and number == number.to_integral_value() and abs(number) <= 2**63:
        return int(number) if -(2**63) <= number < 2**63 else BAD_VALUE
    if base == "number" and number is not None:
        return float(value) if abs(float(value)) != float("inf") else BAD_VALUE
    if base == "decimal" and (
        number is not None or (text and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text))
    ):
        numerator, denominator = Decimal(value).as_integer_ratio()
        scaled, rest = divmod(numerator * 10**type_.scale, denominator)
        return Decimal(scaled).scaleb(-type_.scale) if not rest and abs(scaled) < 10**type_.precision else BAD_VALUE
    if base == "date" and text and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return dt.date(*map(int, text.split("-")))
        except ValueError:
            return BAD_VALUE
    if base == "timestamp" and type_.unit and number is not None:
        numerator, denominator = number.as_integer_ratio()
        micros = numerator * (1000 if "milli" in type_.unit else 1_000_000) // denominator
        return micros if -62135596800 * 10**6 <= micros < 253402300800 * 10**6 else BAD_VALUE
    if base == "timestamp" and not type_.unit and text:
        return _instant_micros(text)
    return BAD_VALUE


def _instant_micros(text: str) -> Any:
    parts = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
        r"(?:[Zz]|([+-])(\d\d)(?::?([0-5]\d))?)?",
        text,
        re.ASCII,
    )
    if not parts or int(parts[4]) > 23 or int(parts[9] or 0) > 23:
        return BAD_VALUE
    try:
        local = dt.datetime.fromisoformat(f"{text[:10]}T{parts[4]}:{parts[5]}:{parts[6] or '00'}+00:00")
    except ValueError:
        return BAD_VALUE
    offset = dt.timedelta(hours=int(parts[9] or 0), minutes=int(parts[10] or 0))
    sign = -1 if parts[8] == "-" else 1
    return (local - EPOCH - sign * offset) // dt.timedelta(microseconds=1) + int(((parts[7] or "") + "000000")[:6])


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


numerals = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**19]).map(str),
    st.integers(0, 99).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-(10**17), 10**17, allow_nan=False, places=2).map(lambda d: f"{d:f}"),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
seconds = st.integers(-(10**10), 4 * 10**9).map(str)
instants = st.one_of(
    st.datetimes().map(lambda d: d.isoformat() + "Z"),
    st.datetimes(timezones=st.timezones()).map(dt.datetime.isoformat),
    st.from_regex(
        r"20[0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,9})?)?"
        r"(Z|[+-][0-2][0-9](:?[0-7][0-9])?)?",
        fullmatch=True,
    ),
)
strings = st.one_of(
    st.text(max_size=8),
    instants,
    st.dates().map(str),
    numerals,
    st.sampled_from(["", "null", "true", "NaN", "\ud83d", "\x1e"]),
).flatmap(lambda s: st.sampled_from([json.dumps(s), json.dumps(s, ensure_ascii=not _encodable(s))]))
scalars = st.one_of(numerals, strings, st.sampled_from(["true", "false", "null"]))
gaps = st.sampled_from(["", " ", "\n\t"])


def _array(parts: list[str], gap: str) -> str:
    return "[" + f"{gap},{gap}".join(parts) + "]"


def _object(pairs: list[tuple[str, str]], gap: str) -> str:
    return "{" + ",".join(f"{gap}{json.dumps(k)}{gap}:{gap}{v}{gap}" for k, v in pairs) + "}"


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(_array, st.lists(inner, max_size=3), gaps),
        st.builds(_object, st.lists(st.tuples(st.text(max_size=3).filter(_encodable), inner), max_size=3), gaps),
    ),
    max_leaves=6,
)
objects = st.builds(_object, st.lists(st.tuples(st.sampled_from("abc"), values), max_size=3), gaps)
arrays = st.builds(_array, st.lists(values, max_size=3), gaps)
FITTING = {
    "s": strings, "i": st.integers(-(2**63), 2**63 - 1).map(str), "n": numerals,
    "b": st.sampled_from(["true", "false"]),
    "o": objects, "a": arrays, "j": values, "t": instants.map(json.dumps), "u": seconds, "m": seconds,
    "d": st.dates().map(lambda d: f'"{d}"'), "c": numerals, "w": numerals,
}  # fmt: skip
# Mostly what an API would send, so that whole pages are read quickly too, and one field in ten anything.
fields = st.sampled_from(sorted(TYPES)).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, 9).flatmap(lambda k: values if k == 0 else FITTING[n]))
)
rows = st.builds(_object, st.lists(fields, max_size=14), gaps)
CASES = int(os.environ.get("APIQL_FUZZ_CASES", "100"))


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(
    pages=st.lists(st.lists(rows, max_size=5), min_size=1, max_size=3),
    names=st.sets(st.sampled_from(sorted(TYPES))),
)
@example(pages=[['{"t":"2026-01-02T10:00:00.9999999Z"}', '{"n":1e-400}']], names={"t", "n"})
@example(pages=[['{"u":1767348000.99999999999999999999999999999999999}']], names={"u"})
def test_random_pages_read_as_plain_python_reads_them(connection: Any, pages: list[list[str]], names: set[str]) -> None:
    duck = connection
    types = {n: TYPES[n] for n in sorted(names)}
    expected = [[reference(t, dict(parse(row)).get(n)) for n, t in types.items()] for page in pages for row in page]
    bad = sum(v is BAD_VALUE for row in expected for v in row)
    bodies = [Page(f'{{"data":[{",".join(page)}]}}'.encode()) for page in pages]

    duck.execute('DROP TABLE IF EXISTS "s"')
    strict = stage(duck, types)
    if bad:
        with pytest.raises(CoercionError):
            strict.append(bodies)
        assert table(duck) == []
    else:
        strict.append(bodies)
        assert staged_values(duck, types) == expected
    duck.execute('DROP TABLE "s"')
    lenient = stage(duck, types, on_bad_value="null")
    assert lenient.append(bodies) == len(expected) == duck.execute('SELECT count(*) FROM "s"').fetchone()[0]
    assert lenient.bad_values.total() == bad
    assert staged_values(duck, types) == [[None if v is BAD_VALUE else v for v in row] for row in expected]


def staged_values(duck: Any, types: dict[str, FieldType]) -> list[list[Any]]:
    if not types:
        return [[] for _ in table(duck)]
    read = ", ".join(f"epoch_us({n})" if t.base == "timestamp" else n for n, t in types.items())
    return [
        [parse(v) if t.is_json and v is not None else v for v, t in zip(row, types.values(), strict=True)]
        for row in duck.execute(f'SELECT {read} FROM "s"').fetchall()
    ]
