"""Statements that are none: which word is to blame, and what was meant."""

from __future__ import annotations

import pytest

import provider
from provider.errors import Error
from tests.conftest import error_of


@pytest.mark.parametrize(
    ("sql", "word", "meant"),
    [
        ("SELEC 1", "SELEC", "SELECT"),
        ("SELEC id FROM openai.assistants.assistants", "SELEC", "SELECT"),
        ("-- all of them\nDELET FROM openai.assistants.assistants", "DELET", "DELETE"),
        ("SELECT 1 FORM range(3)", "FORM", "FROM"),
        ("SELECT * FORM openai.assistants.assistants", "FORM", "FROM"),
        ("SELECT * FROM openai.assistants.assistants WHER name = 'x'", "WHER", "WHERE"),
        ("SELECT model FROM openai.assistants.assistants GRUOP BY model", "GRUOP", "GROUP"),
        ("SELECT * FROM openai.assistants.assistants LIMT 3", "LIMT", "LIMIT"),
        ("EXPLAN SELECT 1", "EXPLAN", "EXPLAIN"),
        ("SHOW METHDS IN openai.assistants.threads", "METHDS", "METHODS"),
        ("SHOW EXTENDED RESOURCE IN openai.assistants", "RESOURCE", "RESOURCES"),
    ],
)
def test_a_misspelt_keyword_is_named_with_the_one_that_was_meant(sql: str, word: str, meant: str) -> None:
    error = error_of(sql, Error)
    assert error.place is not None
    assert sql[error.place.start : error.place.end] == word
    assert f"Did you mean {meant}?" in error.remedy


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1 +", "SELECT form FROM range(3) AS t(form", "SELECT 1 AS wher, FROM openai.assistants.assistants ("],
)
def test_other_mistakes_blame_no_keyword(sql: str) -> None:
    assert "no keyword" not in str(error_of(sql, Error))


@pytest.mark.parametrize(
    "sql", ["REGISTRY PULL openai", "AUTH LOGIN google", "PURGE", "sleep 10", "NATIVEQUERY 'x'", "CLEAR"]
)
def test_what_only_stackql_has_says_what_does_its_work(sql: str) -> None:
    error = error_of(sql, Error)
    assert isinstance(error, provider.NotSupportedError)
    assert sql.split()[0].upper() in error.summary
    assert error.remedy


def test_a_statement_of_duckdbs_that_knows_no_resources_says_so() -> None:
    assert error_of("VACUUM openai.assistants.assistants", Error).summary == "this statement cannot name resources"
