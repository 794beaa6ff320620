"""The bytes of each format, over rows that come from the real DuckDB."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from provider.interfaces.render import FORMATS, Column, Style, display_width, distinct

GOLDEN = Path(__file__).parent / "golden"
AWKWARD = (GOLDEN / "awkward.sql").read_text(encoding="utf-8")


def rows(sql: str) -> tuple[list[Column], list[tuple[Any, ...]]]:
    with duckdb.connect() as duck:
        duck.execute(sql)
        columns = [Column(d[0], str(d[1])) for d in duck.description or ()]
        return columns, duck.fetchall()


def rendered(format_name: str, sql: str, **style: Any) -> str:
    columns, found = rows(sql)
    parts: list[str] = []
    FORMATS[format_name](columns, [found], parts.append, Style(**style))
    return "".join(parts)


@pytest.mark.parametrize("name", FORMATS)
def test_awkward_values_have_their_golden_bytes(name: str) -> None:
    assert rendered(name, AWKWARD) == (GOLDEN / f"awkward.{name}").read_bytes().decode()


def test_json_can_be_read_back_without_loss() -> None:
    found = json.loads(rendered("json", AWKWARD), parse_float=Decimal)
    assert [json.loads(line, parse_float=Decimal) for line in rendered("jsonl", AWKWARD).splitlines()] == found
    columns, expected = rows(AWKWARD)
    position = {c.name: i for i, c in enumerate(columns)}
    for name in ("n", "te xt", "big", "flag", "exact", "list"):
        assert [o[name] for o in found] == [row[position[name]] for row in expected]
    assert found[2]["js"] == {"id": 9007199254740993, "pi": Decimal("3.14159265358979323846"), "s": "a\nb"}
    assert found[2]["row|"] == {"a": [1, 2], "b, c": "x"}


def test_csv_can_be_read_back_without_loss() -> None:
    text = rendered("csv", AWKWARD)
    columns, expected = rows(AWKWARD)
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read[0] == [c.name for c in columns]
    assert [row[1] for row in read[1:]] == [row[1] or "" for row in expected]
    assert [row[5] for row in read[2:]] == [format(row[5], "f") for row in expected[1:]]


def test_duckdb_reads_csv_back_with_null_and_the_empty_string_apart(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(rendered("csv", "SELECT * FROM (VALUES ('', 1), (NULL, 2), ('x', NULL)) t(a, b)"), newline="")
    _, found = rows(f"FROM read_csv('{file}', allow_quoted_nulls = false)")
    assert found == [("", 1), (None, 2), ("x", None)]


def test_a_text_that_looks_like_null_is_quoted_in_csv() -> None:
    assert rendered("csv", "SELECT * FROM (VALUES ('NA'), (NULL)) t(a)", null="NA") == 'a\n"NA"\nNA\n'


@pytest.mark.parametrize("name", ["table", "markdown"])
def test_no_character_that_a_terminal_acts_on_is_in_a_table(name: str) -> None:
    codes = [*range(32), *range(127, 160), 0x061C, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
    sql = f"SELECT string_agg(chr(c::INTEGER), 'x') AS \"head\x1b[0m\" FROM unnest({codes}) t(c)"
    text = rendered(name, sql)
    assert [c for c in text if ord(c) in codes and c != "\n"] == []
    assert "\\x1b" in text
    assert "\\u202e" in text


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json_has_no_such_character_either(name: str) -> None:
    text = rendered(name, "SELECT chr(27) || chr(155) || chr(8238) AS a, ('\"' || chr(155) || '\"')::JSON AS b")
    assert text.isascii()
    assert "\x1b" not in text
    read = json.loads(text)
    assert (read[0] if name == "json" else read) == {"a": "\x1b\x9b\u202e", "b": "\x9b"}


def test_names_that_stand_twice_get_a_number() -> None:
    assert distinct(["a", "b", "a", "a_1", "a"]) == ["a", "b", "a_2", "a_1", "a_3"]
    assert json.loads(rendered("jsonl", "SELECT 1 AS a, 2 AS a")) == {"a": 1, "a_1": 2}
    assert rendered("csv", "SELECT 1 AS a, 2 AS a") == "a,a\n1,2\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("['{\"x\": 1}'::JSON]", '[{"x": 1}]'),
        ("{'a b': '[1]'::JSON, 'JSON': '[1]', 'c': ['{}'::JSON]}", '{"a b": [1], "JSON": "[1]", "c": [{}]}'),
        ("{'a': 'x,\"(y', 'b, JSON': '1'::JSON, 'c': 1.50}", '{"a": "x,\\"(y", "b, JSON": 1, "c": 1.50}'),
        ("row('1'::JSON, '1')", '[1, "1"]'),
        ("MAP {1: '{}'::JSON}", '{"1": {}}'),
        ("'JSON'::ENUM('JSON')", '"JSON"'),
        ("array_value('1'::JSON, '2'::JSON)", "[1, 2]"),
        ("170141183460469231731687303715884105727", "170141183460469231731687303715884105727"),
        ("repeat('9', 5000)::JSON", "9" * 5000),
        ("TIME '10:00:00.5'", '"10:00:00.500000"'),
        ("'123e4567-e89b-12d3-a456-426614174000'::UUID", '"123e4567-e89b-12d3-a456-426614174000"'),
        ("TIMESTAMP '2024-01-02 03:04:05'", '"2024-01-02T03:04:05"'),
    ],
)
def test_a_value_as_json(value: str, expected: str) -> None:
    assert rendered("jsonl", f"SELECT {value} AS v") == f'{{"v": {expected}}}\n'


@pytest.mark.parametrize(
    "interval", ["3 days 04:05:06", "-3 days -04:00:00", "00:00:01.500000", "-00:00:01.500000", "1 days 00:00:00"]
)
def test_an_interval_is_written_as_duckdb_reads_it(interval: str) -> None:
    assert rendered("csv", f"SELECT INTERVAL '{interval}' AS v") == f"v\n{interval}\n"


def test_an_empty_result_has_its_names() -> None:
    sql = "SELECT 1 AS a, 'x' AS b WHERE false"
    assert {name: rendered(name, sql) for name in FORMATS} == {
        "table": "+---+---+\n| a | b |\n+---+---+\n+---+---+\n",
        "csv": "a,b\n",
        "json": "[]\n",
        "jsonl": "",
        "markdown": "| a | b |\n| ---: | --- |\n",
    }


def test_the_header_can_be_left_out() -> None:
    assert rendered("csv", "SELECT 1 AS a", header=False) == "1\n"
    assert rendered("table", "SELECT 1 AS abc", header=False) == "+---+\n| 1 |\n+---+\n"


def test_wide_characters_keep_a_table_aligned() -> None:
    text = rendered("table", "SELECT * FROM (VALUES ('日本'), ('e' || chr(769)), ('abcd')) t(a)")
    assert {display_width(line) for line in text.splitlines()} == {8}


def test_a_long_value_is_cut_and_counted() -> None:
    columns, found = rows("SELECT repeat('x', 100) AS a, 'y' AS b")
    parts: list[str] = []
    written = FORMATS["table"](columns, [found], parts.append, Style(max_width=5))
    assert (written.rows, written.cut) == (1, 1)
    assert "| xxxx… | y |" in "".join(parts)


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_written_batch_by_batch(name: str) -> None:
    columns, found = rows("SELECT 1 AS a")
    written_before: list[int] = []
    parts: list[str] = []

    def batches() -> Any:
        for _ in range(3):
            written_before.append(len("".join(parts)))
            yield found

    assert FORMATS[name](columns, batches(), parts.append, Style()).rows == 3
    assert written_before == sorted(set(written_before))


def test_a_later_batch_may_be_wider_than_the_first() -> None:
    columns, _ = rows("SELECT 'a' AS a, 'b' AS b")
    parts: list[str] = []
    FORMATS["table"](columns, [[("1", "2")], [("longer", "3")]], parts.append, Style())
    assert "".join(parts).splitlines()[3:5] == ["| 1 | 2 |", "| longer | 3 |"]


WIDE = "SELECT 7 AS n, repeat('x', 30) AS a, repeat('日', 30) AS b, 'short' AS c"


@pytest.mark.parametrize("width", [48, 60, 80, 120, 200])
def test_a_table_fits_the_terminal_and_its_widest_columns_are_cut_first(width: int) -> None:
    columns, found = rows(WIDE)
    parts: list[str] = []
    written = FORMATS["table"](columns, [found], parts.append, Style(width=width))
    lines = "".join(parts).splitlines()
    assert len({*map(display_width, lines)} - {min(width, 109), width - 1}) == 0
    assert "| 7 |" in lines[3]
    assert "| short |" in lines[3]
    assert written.cut == (width < 109) + (width < 80)


def test_what_does_not_fit_at_all_is_written_as_records() -> None:
    columns, found = rows(WIDE)
    parts: list[str] = []
    written = FORMATS["table"](columns, [found, found], parts.append, Style(width=24, null="-"))
    record = [f"n | {7}", f"a | {'x' * 19}…", f"b | {'日' * 9}…", "c | short"]
    assert "".join(parts).splitlines() == [
        "-[ row 1 ]--------------",
        *record,
        "-[ row 2 ]--------------",
        *record,
    ]
    assert (written.rows, written.cut) == (2, 4)
