"""`apiql demo` runs without a key, shows every kind of statement, and ends well."""

from __future__ import annotations

import re
import time

import pytest

from .conftest import Run


def test_the_tour_runs_to_its_end(apiql: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    started = time.process_time()
    ran = apiql("demo")
    assert time.process_time() - started < 10
    assert (ran.code, ran.err) == (0, "")
    steps = re.split(r"^-- \d+\. ", ran.out, flags=re.MULTILINE)[1:]
    verbs = []
    assert "scan 1: openai.assistants.messages\n" in steps[2]
    for step in steps:
        sentence, statement, result = re.fullmatch(r"(.+)\n((?:.+\n)+?.*;)\n\n((?:.*\n)+)", step).groups()  # type: ignore[union-attr]
        assert sentence.endswith(".")
        assert result.startswith(("+-", "scan 1: "))
        verbs.append(statement.split()[0])
    assert verbs == ["SELECT", "SELECT", "EXPLAIN", "INSERT", "EXEC", "SELECT", "SELECT", "UPDATE", "DELETE"]
    assert "| completed |" in steps[5]
    assert '"state":"refunded"' in steps[7].replace(" ", "")
    assert "| true " in steps[8]


def test_the_tour_says_how_to_go_on(apiql: Run) -> None:
    ending = apiql("demo").out.split("That was the tour.")[1]
    assert "apiql emulator --port 8089" in ending
    assert "OPENAI_BASE_URL=http://127.0.0.1:8089/v1" in ending
    assert "OPENAI_API_KEY=" in ending
