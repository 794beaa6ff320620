"""The error tree is the one that is drawn, and a place points at what it means."""

from __future__ import annotations

import inspect
import re

import pytest

from provider import errors
from provider.errors import Error, Place, did_you_mean


def drawn() -> dict[str, str]:
    """Each class of the drawing in the module's docstring, with the one that it hangs on."""
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in errors.__doc__.splitlines():
        m = re.fullmatch(r"    ([│├└─ ]*)([A-Z]\w+)", line)
        if m:
            depth = len(m[1]) // 4
            above[depth] = m[2]
            parents[m[2]] = above.get(depth - 1, "Exception")
    return parents


def classes() -> dict[str, type[Exception]]:
    found = inspect.getmembers(errors, inspect.isclass)
    return {n: c for n, c in found if issubclass(c, Error)}


def test_the_drawing_is_the_tree() -> None:
    assert drawn() == {name: cls.__mro__[1].__name__ for name, cls in classes().items()}
    assert len(drawn()) > 20


@pytest.mark.parametrize("name", classes())
def test_every_error_says_in_its_own_words_what_it_is(name: str) -> None:
    assert (classes()[name].__doc__ or "").strip() != (Error.__doc__ or "").strip() or name == "Error"


def test_exit_codes() -> None:
    codes = {name: cls.exit_code for name, cls in classes().items() if cls.exit_code != 1}  # type: ignore[attr-defined]
    assert codes == {"OutcomeUnknown": 5, "Guarded": 4, "PartlyDone": 5, "Cancelled": 130}


def place(text: str, part: str, file: str | None = None) -> Place:
    start = text.index(part)
    return Place(text, start, start + len(part), file)


@pytest.mark.parametrize(
    ("text", "part", "shown"),
    [
        ("SELECT x", "x", "  1 | SELECT x\n    |        ^"),
        ("SELECT\n  abc\nFROM t", "abc", "  2 |   abc\n    |   ^^^"),
        ("a\n\tb c", "c", "  2 | \tb c\n    | \t  ^"),
        ("\t\tx", "x", "  1 | \t\tx\n    | \t\t^"),
        ("SELECT 'é', x", "x", "  1 | SELECT 'é', x\n    |             ^"),
        ("first\nsecond", "first\nsec", "  1 | first\n    | ^^^^^"),
        ("x", "x", "  1 | x\n    | ^"),
        ("\n" * 99 + "x", "x", "100 | x\n    | ^"),
        ("\n" * 1233 + "x", "x", "1234 | x\n     | ^"),
    ],
)
def test_the_caret_stands_under_its_character(text: str, part: str, shown: str) -> None:
    assert str(place(text, part)) == shown


def test_a_place_at_the_very_end_has_one_caret() -> None:
    assert str(Place("SELECT", 6, 6)) == "  1 | SELECT\n    |       ^"
    assert str(Place("a\nb\n", 4, 4)) == "  3 | \n    | ^"


@pytest.mark.parametrize("at", [0, 60, 500, 940, 996])
def test_a_long_line_is_cropped_around_the_caret(at: int) -> None:
    sql = "x" * at + "here" + "y" * (996 - at)
    line, carets = str(Place(sql, at, at + 4)).splitlines()
    assert line[carets.index("^") :].startswith("here")
    assert carets.count("^") == 4
    assert len(line) < 160
    assert line.endswith("...") == (at < 900)
    assert line[6:].startswith("...") == (at > 100)
    whole, carets = str(Place(sql, 0, 1000)).splitlines()
    assert len(whole) == len(carets) + len("...")


@pytest.mark.parametrize("width", [1, 40, 80, 300])
@pytest.mark.parametrize("letter", ["x", "漢"], ids=["narrow", "wide"])
@pytest.mark.parametrize("at", [0, 60, 500, 996])
def test_a_line_is_cropped_to_the_width_that_there_is(width: int, letter: str, at: int) -> None:
    sql = letter * at + "here" + letter * (996 - at)
    line, carets = place(sql, "here").shown(width).splitlines()
    cells = [2 if c == "漢" else 1 for c in line]
    assert sum(cells) <= max(width, 32)
    assert sum(cells) >= max(width, 32) - 5, "no more is left out than has to be"
    assert sum(cells[: line.index("here")]) == carets.index("^")
    assert carets.count("^") == 4
    assert place(sql[:20], letter if at else "here").shown(300).splitlines()[0] == f"  1 | {sql[:20]}"


def test_line_and_column_count_from_one() -> None:
    at = place("one\ntwo three", "three")
    assert (at.line, at.column) == (2, 5)
    assert str(place("a: 1\nb: 2", "b", "x.yaml")).startswith("  x.yaml:2:1\n")


@pytest.mark.parametrize(
    ("wide", "cells"), [("🙂", 2), ("漢字", 4), ("e\u0301", 1)], ids=["an emoji", "Han", "a combining accent"]
)
def test_the_caret_counts_the_cells_that_a_terminal_shows(wide: str, cells: int) -> None:
    second = str(place(f"'{wide}', x", "x")).splitlines()[1]
    assert second == "    | " + " " * (cells + 4) + "^"
    assert str(place(f"'{wide}'", wide)).splitlines()[1] == "    |  " + "^" * cells


def test_an_error_prints_its_parts_in_order() -> None:
    error = Error(
        "summary", place=place("SELECT x", "x"), reason="why", remedy="do this\nor that", detail="their words\nand more"
    )
    assert str(error).splitlines() == [
        "summary",
        "  1 | SELECT x",
        "    |        ^",
        "  why",
        "  do this",
        "  or that",
        "  > their words",
        "  > and more",
    ]
    assert str(Error("summary")) == "summary"


@pytest.mark.parametrize(
    ("name", "candidates", "sentence"),
    [
        ("stat", ["state", "other", "status"], "Did you mean state or status?"),
        ("STATE", ["state"], "Did you mean state?"),
        ("zzz", ["a", "b"], "Candidates: a, b"),
        ("zzz", [], ""),
        ("zzz", [f"c{i}" for i in range(30)], f"Candidates: {', '.join(f'c{i}' for i in range(20))}, ..."),
        ("state", ["state", "state"], "Did you mean state?"),
    ],
)
def test_near_names_come_first(name: str, candidates: list[str], sentence: str) -> None:
    assert did_you_mean(name, candidates) == sentence
