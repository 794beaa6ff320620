"""`apiql query`: accounts, the cache, and sessions that are recorded, as `provider.connect` has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.emulator import Emulator

from .conftest import Run

ACCOUNTS = "SELECT DISTINCT account FROM openai.assistants.assistants ORDER BY account"
LIST = "SELECT count(*) >= 0 AS ok FROM openai.assistants.assistants"


@pytest.fixture
def named(emulator: Emulator, api: object, query: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`apiql query` with the keys of two accounts in the environment, and one assistant at the least."""
    assert query("INSERT INTO openai.assistants.assistants (model) VALUES ('m')").code == 0
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("WORK_OPENAI_API_KEY", "sk-work-1234")
    monkeypatch.setenv("AT_HOME_OPENAI_API_KEY_COMMAND", "echo sk-home-5678")
    return query


def test_accounts_have_the_variables_behind_their_prefixes(named: Run, emulator: Emulator) -> None:
    emulator.requests.clear()
    ran = named("--account", "openai.work", "--account", "openai.home=AT_HOME_", "-o", "csv", ACCOUNTS)
    assert (ran.code, ran.out) == (0, "account\nhome\nwork\n")
    assert "sk-" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--account", "openai"], 2, "'openai' is not PROVIDER.NAME or PROVIDER.NAME=PREFIX"),
        (["--account", "openai.work="], 2, "is not PROVIDER.NAME or PROVIDER.NAME=PREFIX"),
        (["--account", "opnai.work"], 1, "Did you mean openai?"),
        (["--account", "openai.nobody"], 1, "Set one of NOBODY_OPENAI_API_KEY, NOBODY_OPENAI_API_KEY_FILE"),
        (["--account", "openai.work", "--account", "openai.work=AT_HOME_"], 1, "two accounts of the name work"),
        (["--account", "openai./=WORK_"], 1, "no name for an account"),
        (["--cache", "soon"], 1, 'cache is "soon"'),
    ],
)
def test_what_cannot_be_meant_is_refused(named: Run, arguments: list[str], code: int, said: str) -> None:
    ran = named(*arguments, LIST)
    assert ran.code == code
    assert said in " ".join(ran.err.split())


def test_the_cache_serves_the_next_statement_and_the_next_process(query: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "data.duckdb")
    twice = query("--cache", "5m", "--database", file, f"{LIST}; {LIST}")
    assert [line for line in twice.err.splitlines() if "row" in line] == ["(1 row, 1 request)", "(1 row)"]
    assert query("--cache", "5m", "--database", file, LIST).err.splitlines() == ["(1 row)"]
    assert "1 request" in query("--database", file, LIST).err


def test_what_the_cache_serves_is_not_recorded_and_replays_with_the_cache(query: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "session.har")
    recorded = query("--cache", "5m", "--record", file, "-o", "csv", f"{LIST}; {LIST}")
    replayed = query("--cache", "5m", "--replay", file, "-o", "csv", f"{LIST}; {LIST}")
    assert (replayed.code, replayed.out) == (recorded.code, recorded.out) == (0, "ok\ntrue\nok\ntrue\n")
    ran = query("--replay", file, f"{LIST}; {LIST}")
    assert (ran.code, "asked for once more than it was recorded" in ran.err) == (1, True)


def test_a_recording_does_not_answer_for_the_api_later(query: Run, tmp_path: Path) -> None:
    recording, file = str(tmp_path / "session.har"), str(tmp_path / "data.duckdb")
    assert query("--record", recording, LIST).code == 0
    assert query("--cache", "5m", "--database", file, "--replay", recording, LIST).code == 0
    assert "1 request" in query("--cache", "5m", "--database", file, LIST).err


def test_plain_http_to_another_machine_needs_a_switch(query: Run) -> None:
    url = "openai=http://192.0.2.1/v1"  # of a network that is never there (RFC 5737)
    refused = query("--base-url", url, "--timeout", "0.1", LIST)
    assert (refused.code, "http" in refused.err, "Nothing was sent" in refused.err) == (1, True, True)
