"""Placeholders, statements and blanks are found by what SQL means, not by what a text contains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.errors import BindError
from provider.sql.scanner import bare, comments, fill, number_placeholders, spans, statements


@pytest.mark.parametrize(
    ("written", "numbered"),
    [
        ("SELECT ?", "SELECT $p1 "),
        ("?, ?", "$p1 , $p2 "),
        ("?::text", "$p1 ::text"),
        ("$a,$b", "$a ,$b "),
        ("$1 + $2", "$p1  + $p2 "),
        ("$12", "$p12 "),
        ("$a$", "$a$"),
        ("x=?AND y=?", "x=$p1 AND y=$p2 "),
        ("'?' ?", "'?' $p1 "),
        ("'it''s ?' ?", "'it''s ?' $p1 "),
        ("e'it\\'s ?' ?", "e'it\\'s ?' $p1 "),
        ("'a\\' ?", "'a\\' $p1 "),
        ('"?" ?', '"?" $p1 '),
        ('"a""?" ?', '"a""?" $p1 '),
        ("-- ?\n?", "-- ?\n$p1 "),
        ("/* ? */ ?", "/* ? */ $p1 "),
        ("/* ?\n? */ ?", "/* ?\n? */ $p1 "),
        ("$$ ? $$ ?", "$$ ? $$ $p1 "),
        ("$x$ ? $$ $x$ ?", "$x$ ? $$ $x$ $p1 "),
        ("SELECT 1", "SELECT 1"),
        ("'open ?", "'open $p1 "),
        ("", ""),
    ],
)
def test_question_marks_get_names(written: str, numbered: str) -> None:
    assert number_placeholders(written).sql == numbered


PIECES = st.sampled_from(
    ["?", "$a", "$1", "'?'", '"?"', "-- ?\n", "/* ? */", "$$?$$", " ", "x", ",", "::", "\n", "🙂", "é", "(", "'"]
)


@given(st.lists(PIECES).map("".join))
def test_what_is_not_a_placeholder_leads_back_to_itself(written: str) -> None:
    """Each character that stands in both texts is found at its own place."""
    text = number_placeholders(written)
    kept = [i for i, c in enumerate(text.sql) if c in "x,:(é🙂"]
    origins = [i for i, c in enumerate(written) if c in "x,:(é🙂"]
    assert [text.place(i, i + 1).start for i in kept] == origins


@given(st.lists(PIECES).map("".join), st.integers(0, 60), st.integers(0, 60))
def test_places_are_always_inside_of_the_users_text(written: str, start: int, end: int) -> None:
    place = number_placeholders(written).place(start, end)
    assert place.text == written
    assert 0 <= place.start <= len(written)
    assert place.start < place.end
    str(place)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1;;; SELECT 2 ;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';'; SELECT \";\"", ["SELECT ';'", 'SELECT ";"']),
        ("SELECT 1 -- ;\n; SELECT 2", ["SELECT 1 -- ;", "SELECT 2"]),
        ("SELECT /* ; */ 1; -- the end", ["SELECT /* ; */ 1"]),
        ("SELECT $$ ; $$; SELECT 2", ["SELECT $$ ; $$", "SELECT 2"]),
        ("SELECT $x$ ; $$ ; $x$; SELECT 2", ["SELECT $x$ ; $$ ; $x$", "SELECT 2"]),
        ("-- nothing\n /* at all */ ;", []),
        ("", []),
    ],
)
def test_a_script_is_cut_at_its_semicolons(script: str, found: list[str]) -> None:
    assert list(statements(script)) == found


def test_a_place_counts_from_the_beginning_of_the_script() -> None:
    script = "SELECT x;\n\n  SELECT ?, x FROM t; SELECT ?, y, 'x'"
    texts = [number_placeholders(script, start, end) for start, end in spans(script)]
    assert [t.sql for t in texts] == ["SELECT x", "SELECT $p1 , x FROM t", "SELECT $p1 , y, 'x'"]
    found = [t.place(t.sql.index(c), t.sql.index(c) + 1) for t, c in zip(texts, "xxy", strict=True)]
    assert [(p.line, p.column, script[p.start : p.end]) for p in found] == [(1, 8, "x"), (3, 13, "x"), (3, 33, "y")]
    named = [t.find("X") for t in texts]
    assert [p and (p.line, p.column) for p in named] == [(1, 8), (3, 13), (3, 37)]
    assert texts[1].find("y") is None


def test_a_spliced_text_leads_back_to_what_was_not_replaced() -> None:
    script = "SELECT 1; SELECT ?, a, b FROM v, w WHERE c = ?"
    *_, span = spans(script)
    text = number_placeholders(script, *span)
    for name in ("w", "v"):
        at = text.sql.index(f" {name}") + 1
        text = text.spliced([(at, at + 1, "(SELECT 1, 2, 3)")])
    assert text.sql == "SELECT $p1 , a, b FROM (SELECT 1, 2, 3), (SELECT 1, 2, 3) WHERE c = $p2 "
    for name in ("a", "b", "FROM", "WHERE", "c"):
        at = text.sql.index(f"{name} ") if name != "a" else text.sql.index("a,")
        assert text.place(at, at + 1).start == script.rindex(name)


@pytest.mark.parametrize(
    ("sql", "kept"),
    [
        ("-- a\n /* b */ DROP x -- c", "DROP x"),
        ("/* DROP */ DROP /* x */ x", "DROP /* x */ x"),
        ("'-- a'", "'-- a'"),
        (" -- a", ""),
        ("x", "x"),
    ],
)
def test_comments_around_a_statement_are_taken_off(sql: str, kept: str) -> None:
    assert bare(sql) == kept


def test_comments_are_found_outside_of_texts() -> None:
    assert list(comments("/* a */ '/* b */' -- c\n $$ -- d $$ \"--\"")) == ["/* a */", "-- c"]


@given(st.lists(PIECES | st.just(";")).map("".join))
def test_cutting_loses_only_semicolons_comments_and_blanks(script: str) -> None:
    whole = "".join(statements(script)).replace(" ", "").replace("\n", "")
    rest = iter(script)
    assert all(c in rest for c in whole), "the pieces stand in the script, in order"


@pytest.mark.parametrize(
    ("script", "filled"),
    [
        ("x = {{ a }}", "x = 'it''s'"),
        ("x = '{{a}} and {{ a }}'", "x = 'it''s and it''s'"),
        ("-- {{ nothing }}\n{{ a }}", "-- {{ nothing }}\n'it''s'"),
        ("/* {{ nothing }} */ 1", "/* {{ nothing }} */ 1"),
        ("{{ a }}{{ b }}", "'it''s''{{ a }}'"),
        ("{ a }", "{ a }"),
    ],
)
def test_blanks_are_filled_with_texts(script: str, filled: str) -> None:
    assert fill(script, {"a": "it's", "b": "{{ a }}"}) == filled


def test_all_blanks_without_a_value_are_named_at_once() -> None:
    with pytest.raises(BindError) as missing:
        fill("SELECT {{ thread }}, '{{ user }}', {{ thread }}", {"treads": "x"})
    assert str(missing.value).splitlines() == [
        "no value for the placeholders thread, user",
        "  1 | SELECT {{ thread }}, '{{ user }}', {{ thread }}",
        "    |        ^^^^^^^^^^^^",
        "  Did you mean treads?",
        "  Give -p thread=VALUE -p user=VALUE",
    ]


@given(st.text())
def test_a_value_cannot_end_the_text_that_it_stands_in(value: str) -> None:
    for template in ("SELECT {{ v }}", "SELECT '{{ v }}'"):
        inner = fill(template, {"v": value})[len("SELECT '") : -1]
        assert inner.replace("''", "") == value.replace("'", "")
        assert inner.count("'") == 2 * value.count("'")


def test_a_megabyte_is_scanned_at_once() -> None:
    """No pattern backtracks: open strings and comments are the bad case."""
    for piece in ("'", '"', "/*", "$$", "$x$", "--", "{{", "?", "e'\\"):
        script = piece * (100_000 // len(piece))
        assert len(number_placeholders(script).sql) >= len(script)
        list(statements(script))
