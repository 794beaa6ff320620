"""Names that are no table's: what there is of that name, and how it is said."""

from __future__ import annotations

import pytest

import provider
from provider.errors import BindError
from tests.conftest import error_of


@pytest.mark.parametrize(
    ("name", "said", "helps"),
    [
        ("openai", "is a provider", "SHOW SERVICES IN openai"),
        ("OpenAI.Assistants", "is a service", "SHOW RESOURCES IN OpenAI.Assistants"),
        ("openai.asistants", 'has no service "asistants"', "Did you mean assistants?"),
        ("threads", "does not exist", "openai.assistants.threads"),
        ("run_step", "does not exist", "openai.assistants.run_steps"),
    ],
)
def test_a_part_of_a_resources_name_says_how_to_go_on(name: str, said: str, helps: str) -> None:
    error = error_of(f"SELECT * FROM {name}", BindError)
    assert error.place is not None
    assert error.place.text[error.place.start : error.place.end] == name
    assert said in error.summary
    assert helps in error.remedy


def test_a_name_that_is_like_nothing_gets_no_advice() -> None:
    assert error_of("SELECT * FROM invoices_of_2026", BindError).remedy == ""


@pytest.mark.parametrize(("sql", "meant"), [("SHOW SETTING", "SHOW SETTINGS"), ("SHOW PROVIDER", "SHOW PROVIDERS")])
def test_a_misspelt_show_is_taken_for_a_table_and_says_what_was_meant(sql: str, meant: str) -> None:
    assert error_of(sql, BindError).remedy == f"Did you mean {meant}?"


def test_a_string_in_double_quotes_is_recognised() -> None:
    error = error_of('SELECT id FROM openai.assistants.assistants WHERE name = "Helper"', BindError)
    assert error.remedy.startswith("Double quotes stand around names; a string is 'Helper'.")


def test_a_parameter_without_a_value_says_how_to_give_one() -> None:
    with provider.connect() as connection, pytest.raises(provider.ProgrammingError) as caught:
        connection.execute("SELECT $day")
    assert "-p name=VALUE" in str(caught.value)
