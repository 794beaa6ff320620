"""Which kind of statement a text is, what it says, and what is wrong with it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from provider.errors import Error, ParseError
from provider.sql.statements import (
    Control,
    Describe,
    Exec,
    Explain,
    Query,
    Set,
    Show,
    Statement,
    Write,
    parse,
    parse_failure,
)


def one(sql: str) -> Statement:
    (found,) = parse(sql)
    return found


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", Query),
        ("select 1", Query),
        ("FROM a.b.c", Query),
        ("WITH x AS (SELECT 1) SELECT * FROM x", Query),
        ("(SELECT 1)", Query),
        ("VALUES (1)", Query),
        ("PIVOT t ON a USING count(*)", Query),
        ("CREATE TABLE t AS SELECT 1", Query),
        ("BEGIN", Control),
        ("SET x = 1", Set),
        ("PRAGMA version", Query),
        ("ATTACH 'x.duckdb' AS x", Query),
        ("COPY t TO 'x.csv'", Query),
        ("SHOW TABLES", Query),
        ("DESCRIBE SELECT 1", Query),
        ("DESCRIBE t", Query),
        ("INSERT INTO a.b.c (x) VALUES (1)", Write),
        ("insert into a.b.c (x) select 1", Write),
        ("WITH x AS (SELECT 1 AS i) INSERT INTO a.b.c (x) SELECT i FROM x", Write),
        ("UPDATE a.b.c SET x = 1 WHERE y = 2", Write),
        ("REPLACE a.b.c SET x = 1 WHERE y = 2", Write),
        ("DELETE FROM a.b.c WHERE y = 2", Write),
        ("EXEC a.b.c.d", Exec),
        ("exec a.b.c.d @x=1", Exec),
        ("SHOW PROVIDERS", Show),
        ("show extended methods in a.b.c", Show),
        ("DESCRIBE a.b.c", Describe),
        ("DESC EXTENDED a.b.c", Describe),
        ("EXPLAIN SELECT 1", Explain),
        ("explain analyze SELECT 1", Explain),
        ("-- a comment\n/* another */ EXEC a.b.c.d", Exec),
        ("/*+ AWAIT */ DELETE FROM a.b.c WHERE y = 2", Write),
    ],
)
def test_kinds(sql: str, kind: type[Statement]) -> None:
    assert type(one(sql)) is kind


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("INSERT INTO a.b.c (x) VALUES (1)", "INSERT"),
        ("UPDATE a.b.c SET x = 1", "UPDATE"),
        ("REPLACE a.b.c SET x = 1", "REPLACE"),
        ("DELETE FROM a.b.c", "DELETE"),
    ],
)
def test_verbs(sql: str, verb: str) -> None:
    found = one(sql)
    assert isinstance(found, Write)
    assert found.verb == verb


@pytest.mark.parametrize(
    ("sql", "hints"),
    [
        ("DELETE /*+ AWAIT */ FROM a.b.c WHERE x = 1", {"AWAIT"}),
        ("EXEC /*+ await */ a.b.c.d @x=1", {"AWAIT"}),
        ("EXEC /*+ AWAIT */ /*+ SHOWRESULTS */ a.b.c.d", {"AWAIT", "SHOWRESULTS"}),
        ("EXEC /*+ AWAIT, SHOWRESULTS */ a.b.c.d", {"AWAIT", "SHOWRESULTS"}),
        ("DELETE /* AWAIT */ FROM a.b.c WHERE x = 1", set()),
        ("EXEC a.b.c.d @x='/*+ AWAIT */'", set()),
        ('EXEC a.b.c.d @"/*+ AWAIT */"=1', set()),
        ("DELETE FROM a.b.c WHERE x = $$/*+ AWAIT */$$ -- /*+ AWAIT */", set()),
    ],
)
def test_hints(sql: str, hints: set[str]) -> None:
    found = one(sql)
    assert isinstance(found, Write | Exec)
    assert found.hints == hints


@pytest.mark.parametrize(
    ("sql", "path", "arguments", "payload"),
    [
        ("EXEC a.b.c.d", "a.b.c.d", {}, None),
        ("EXEC a.b.c.d @x='1'", "a.b.c.d", {"x": "'1'"}, None),
        ("EXEC a.b.c.d @x='1', @y=2", "a.b.c.d", {"x": "'1'", "y": "2"}, None),
        ("EXEC a.b.c.d @x='1' @y=2", "a.b.c.d", {"x": "'1'", "y": "2"}, None),
        ("EXEC a.b.c.d @x='1' @@json='{}'", "a.b.c.d", {"x": "'1'"}, "'{}'"),
        ("EXEC a.b.c.d @x='1', @@json='{}'", "a.b.c.d", {"x": "'1'"}, "'{}'"),
        ('EXEC a.b.c.d @@json=\'{"a": "@b=1, @c"}\'', "a.b.c.d", {}, '\'{"a": "@b=1, @c"}\''),
        ("EXEC a.b.c.d @x=concat('a', 'b'), @y=[1, 2]", "a.b.c.d", {"x": "CONCAT('a', 'b')", "y": "[1, 2]"}, None),
        ("EXEC a.b.c.d @x={'k': 1}, @y=-1", "a.b.c.d", {"x": "{'k': 1}", "y": "-1"}, None),
        ("EXEC a.b.c.d @x=NULL, @y=true", "a.b.c.d", {"x": "NULL", "y": "TRUE"}, None),
        ("EXEC a.b.c.d @x=?, @y=$z", "a.b.c.d", {"x": "$p1", "y": "$z"}, None),
        ("EXEC a.b.c.d @x='it''s' || 'x'", "a.b.c.d", {"x": "'it''s' || 'x'"}, None),
        ('EXEC a.b."c.x".d @"odd name"=1', "a.b.c.x.d", {"odd name": "1"}, None),
        ("EXEC a.b.c.d\n  @x = '1', -- one\n  @y = '2'", "a.b.c.d", {"x": "'1'", "y": "'2'"}, None),
    ],
)
def test_exec(sql: str, path: str, arguments: dict[str, str], payload: str | None) -> None:
    found = one(sql)
    assert isinstance(found, Exec)
    assert ".".join(found.path) == path
    assert {a.name: a.value.sql(dialect="duckdb") for a in found.arguments} == arguments
    assert (found.payload.sql(dialect="duckdb") if found.payload else None) == payload


@pytest.mark.parametrize(
    ("sql", "summary", "at"),
    [
        ("EXEC", "the statement ends too early", "C"),
        ("EXEC a.b.c.d x=1", 'expected "@name=value"', "x"),
        ("EXEC a.b.c.d @x 1", 'expected "=" after "@x"', "1"),
        ("EXEC a.b.c.d @x=", "the statement ends too early", "="),
        ("EXEC a.b.c.d @", "the statement ends too early", "@"),
        ("EXEC a.b.c.d @x=1, @x=2", '"@x" is given twice', None),
        ("EXEC a.b.c.d @@body='{}'", 'the payload is one "@@json=..." at the end', None),
        ("EXEC a.b.c.d @@json='{}' @@json='{}'", 'the payload is one "@@json=..." at the end', None),
        ("EXEC a.b.c.d @x=1 +", "not a value", "1 +"),
        ("REPLACE INTO a.b.c (x) VALUES (1)", "REPLACE takes no INTO", "INTO"),
        ("SHOW METHODS IN a.b.c please", 'unexpected "please"', "please"),
        ("SHOW RESOURCES IN", "the statement ends too early", "N"),
        ("SHOW INSERT a.b.c", 'expected "INTO"', "a"),
        ("SHOW INSERT INTO a.b.c LIKE 'x'", 'unexpected "LIKE"', "LIKE"),
    ],
)
def test_what_is_wrong_has_a_place_and_the_right_form(sql: str, summary: str, at: str | None) -> None:
    with pytest.raises(ParseError) as wrong:
        parse(sql)
    assert wrong.value.summary == f"syntax error: {summary}"
    assert wrong.value.place is not None
    assert wrong.value.remedy.startswith(sql.split()[0])
    if at is not None:
        assert sql[wrong.value.place.start : wrong.value.place.end] == at


def test_the_place_of_an_error_in_a_script_is_in_its_statement() -> None:
    with pytest.raises(ParseError) as wrong:
        parse("SELECT ?;\n\nEXEC a.b.c.d @x=?, oops")
    place = wrong.value.place
    assert place is not None
    assert place.text[place.start : place.end] == "oops"
    assert (place.line, place.column) == (3, 20)


@pytest.mark.parametrize("behind", [" @x=1", ", @x=1", ","])
def test_the_payload_stands_last(behind: str) -> None:
    with pytest.raises(ParseError, match="at the end"):
        parse("EXEC a.b.c.d @@json='{}'" + behind)


def test_each_argument_knows_where_its_name_stands() -> None:
    script = 'SELECT ?; EXEC a.b.c.d @x=?, @"odd name"=1'
    found = parse(script)[1]
    assert isinstance(found, Exec)
    places = [found.text.place(*a.span) for a in found.arguments]
    assert [script[p.start : p.end] for p in places] == ["x", '"odd name"']


@pytest.mark.parametrize(
    ("sql", "what", "scope", "extended", "like", "where"),
    [
        ("SHOW PROVIDERS", "PROVIDERS", (), False, None, None),
        ("SHOW SERVICES IN openai", "SERVICES", ("openai",), False, None, None),
        ("SHOW RESOURCES FROM openai.assistants", "RESOURCES", ("openai", "assistants"), False, None, None),
        ("SHOW EXTENDED METHODS IN a.b.c", "METHODS", ("a", "b", "c"), True, None, None),
        ("show providers like 'o%'", "PROVIDERS", (), False, "o%", None),
        (
            "SHOW METHODS IN a.b.c WHERE SQLVerb = 'INSERT'",
            "METHODS",
            ("a", "b", "c"),
            False,
            None,
            "SQLVerb = 'INSERT'",
        ),
        ('SHOW METHODS IN a.b."c.d"', "METHODS", ("a", "b", "c.d"), False, None, None),
    ],
)
def test_show(sql: str, what: str, scope: tuple[str, ...], extended: bool, like: str | None, where: str | None) -> None:
    found = one(sql)
    assert isinstance(found, Show)
    assert (found.what, found.scope, found.extended, found.like, found.where) == (what, scope, extended, like, where)


@pytest.mark.parametrize(
    ("sql", "scope", "hints"),
    [
        ("SHOW INSERT INTO a.b.c", ("a", "b", "c"), set()),
        ("show extended insert /*+ required */ into a.b.c.d", ("a", "b", "c", "d"), {"REQUIRED"}),
    ],
)
def test_show_insert(sql: str, scope: tuple[str, ...], hints: set[str]) -> None:
    found = one(sql)
    assert isinstance(found, Show)
    assert (found.what, found.scope, set(found.hints)) == ("INSERT", scope, hints)


@pytest.mark.parametrize(
    "sql",
    ["DESCRIBE SELECT * FROM a.b.c", "DESCRIBE FROM a.b.c", "SUMMARIZE SELECT * FROM a.b.c", "SUMMARIZE a.b.c"],
)
def test_a_query_that_is_described_is_read(sql: str) -> None:
    found = one(sql)
    assert isinstance(found, Query)
    assert found.tree is not None
    assert [".".join(p.name for p in t.parts) for t in found.tree.find_all(exp.Table)] == ["a.b.c"]


@pytest.mark.parametrize(
    ("sql", "path", "method", "extended"),
    [
        ("DESCRIBE a.b.c", ("a", "b", "c"), False, False),
        ("DESC a.b.c", ("a", "b", "c"), False, False),
        ("DESCRIBE EXTENDED a.b.c", ("a", "b", "c"), False, True),
        ("DESCRIBE METHOD a.b.c.d", ("a", "b", "c", "d"), True, False),
        ("DESCRIBE METHOD EXTENDED a.b.c.d", ("a", "b", "c", "d"), True, True),
    ],
)
def test_describe(sql: str, path: tuple[str, ...], method: bool, extended: bool) -> None:
    found = one(sql)
    assert isinstance(found, Describe)
    assert (found.path, found.method, found.extended) == (path, method, extended)


def test_explain_holds_the_statement_with_its_places() -> None:
    found = one("EXPLAIN ANALYZE\n DELETE FROM a.b.c WHERE x = ?")
    assert isinstance(found, Explain)
    assert found.analyze
    assert isinstance(found.statement, Write)
    assert found.statement.text.original == "EXPLAIN ANALYZE\n DELETE FROM a.b.c WHERE x = ?"


def test_a_query_that_only_duckdb_can_read_is_left_to_it() -> None:
    found = one("SELECT id FORM FROM WHERE")
    assert isinstance(found, Query)
    assert found.tree is None
    failure = parse_failure(found)
    assert failure.place is not None
    assert "class" not in str(failure)


WORDS = st.sampled_from(
    re.findall(
        r"\S+|\n",
        """SELECT FROM WHERE EXEC SHOW DESCRIBE DESC EXPLAIN ANALYZE INSERT INTO UPDATE REPLACE DELETE SET WITH AS
        RETURNING VALUES METHODS PROVIDERS METHOD EXTENDED IN LIKE DEFAULT NULL a a.b.c a.b.c.d @@json @x = @ . , ; : |
        ( ) [ ] { } ' '' " "x" 'x' 1 1.5 -- /* */ /*+ ? $ $a $1 $$ * + - :: || \\ {{ }} 🙂 é \x00""",
    )
)


@given(st.one_of(st.lists(WORDS).map(" ".join), st.lists(WORDS).map("".join), st.text()))
def test_any_text_is_statements_or_an_error_of_ours(text: str) -> None:
    try:
        for statement in parse(text):
            if isinstance(statement, Query) and statement.tree is None and statement.problem is not None:
                str(parse_failure(statement))
    except Error as refused:
        assert str(refused)  # noqa: PT017 -- most texts are refused, some are not


@pytest.mark.parametrize("text", ["(" * 5000, "SELECT " + "(" * 5000 + ")" * 5000, "EXPLAIN " * 5000, "NOT " * 5000])
def test_deep_nesting_is_an_error_and_no_crash(text: str) -> None:
    try:
        parse(text)
    except Error as refused:
        assert str(refused)  # noqa: PT017 -- either outcome is right


def test_a_query_that_is_nested_too_deeply_says_so() -> None:
    found = one("SELECT " + "(" * 3000 + "1" + ")" * 3000)
    assert isinstance(found, Query)
    assert found.tree is None
    assert "nested too deeply" in str(parse_failure(found))


def test_explain_is_not_explained() -> None:
    with pytest.raises(ParseError, match="one statement") as wrong:
        parse("EXPLAIN /* x */ EXPLAIN ANALYZE SELECT 1")
    place = wrong.value.place
    assert place is not None
    assert place.text[place.start : place.end] == "EXPLAIN ANALYZE"
