"""What the guard would stop is asked for where somebody can answer, once, before anything is written."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import provider
from provider import errors
from provider.emulator import Emulator

DELETE = "DELETE FROM openai.assistants.assistants"


class Person:
    """Answers questions, and remembers them."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked: list[provider.Question] = []

    def __call__(self, question: provider.Question) -> bool:
        self.asked.append(question)
        return self.answers.pop(0)


@pytest.fixture
def team(api: Any, emulator: Emulator) -> list[str]:
    """The ids of the only assistants that there are."""
    for left in api.every("/assistants"):
        api.delete(f"/assistants/{left['id']}")
    ids = [str(api.post("/assistants", {"model": "m", "name": name})["id"]) for name in ("Ada", "Bob", "Cid")]
    emulator.requests.clear()
    return ids


def sent(emulator: Emulator) -> list[str]:
    return [f"{r.method} {r.path.removeprefix('/v1')}" for r in emulator.requests]


def test_a_change_of_every_object_is_asked_for_with_its_keys(
    connection: Any, emulator: Emulator, team: list[str]
) -> None:
    person = Person(True)
    assert connection(confirm=person).execute(DELETE).message == "DELETE 3"
    (question,) = person.asked
    (change,) = question.changes
    assert (change.verb, change.resource, change.count) == ("DELETE", "openai.assistants.assistants", 3)
    assert sorted(change.keys) == sorted(team)
    assert str(question) == (
        f"DELETE without WHERE would change 3 objects of openai.assistants.assistants\n  {', '.join(change.keys)}"
    )
    # The keys were read once, and each was deleted once.
    assert [line for line in sent(emulator) if line.startswith("GET")] == ["GET /assistants"]
    assert sorted(line for line in sent(emulator) if "DELETE" in line) == sorted(
        f"DELETE /assistants/{i}" for i in team
    )


@pytest.mark.usefixtures("team")
def test_a_no_is_an_error_and_nothing_is_written(connection: Any, emulator: Emulator) -> None:
    with pytest.raises(errors.Guarded, match="DELETE was not confirmed") as stopped:
        connection(confirm=Person(False)).execute(DELETE)
    assert stopped.value.exit_code == 4
    assert sent(emulator) == ["GET /assistants"]


@pytest.mark.usefixtures("team")
def test_more_objects_than_the_guard_lets_pass_are_asked_for(connection: Any) -> None:
    person = Person(True)
    conn = connection(confirm=person, max_writes=2)
    assert conn.execute(f"{DELETE} WHERE name <> 'Zoe'").message == "DELETE 3"
    assert str(person.asked[0]).startswith(
        "DELETE would change 3 objects of openai.assistants.assistants; the guard is 2\n"
    )


def test_only_the_first_keys_are_listed(connection: Any, api: Any) -> None:
    thread = api.thread(*"abcdefg")
    person = Person(False)
    with pytest.raises(errors.Guarded):
        connection(confirm=person, max_writes=0).execute(
            f"DELETE FROM openai.assistants.messages WHERE thread_id = '{thread}'"
        )
    assert [key.partition("/")[0] for key in person.asked[0].changes[0].keys] == [thread] * 5
    assert str(person.asked[0]).endswith(", ... (2 more)")


@pytest.mark.usefixtures("team")
def test_what_the_guard_permits_is_not_asked_for(connection: Any) -> None:
    conn = connection(confirm=Person(), unfiltered_writes=True)
    assert conn.execute("UPDATE openai.assistants.assistants SET name = 'Eve' WHERE name = 'Nobody'").rowcount == 0
    assert conn.execute(DELETE).message == "DELETE 3"
    # Nor is a change of nothing.
    assert connection(confirm=Person()).execute(DELETE).message == "DELETE 0"


@pytest.mark.usefixtures("team")
def test_a_dry_run_asks_nobody(connection: Any, emulator: Emulator) -> None:
    with pytest.raises(errors.Guarded, match="without WHERE would change every object"):
        connection(confirm=Person()).dry_run(DELETE)
    with pytest.raises(errors.Guarded, match="would change 3 objects"):
        connection(confirm=Person(), max_writes=2).dry_run(f"BEGIN; {DELETE} WHERE name <> 'Zoe'; COMMIT")
    assert all(line.startswith("GET") for line in sent(emulator))


def test_a_commit_of_what_cannot_be_undone_is_asked_for(connection: Any, emulator: Emulator, api: Any) -> None:
    thread = api.thread("one")
    message = api.every(f"/threads/{thread}/messages")[0]["id"]
    person = Person(False, True)
    conn = connection(confirm=person)
    conn.execute("BEGIN")
    conn.execute(f"DELETE FROM openai.assistants.messages WHERE thread_id = '{thread}' AND id = '{message}'")
    emulator.requests.clear()
    with pytest.raises(errors.Guarded, match="COMMIT was not confirmed"):
        conn.commit()
    assert conn.in_transaction
    assert sent(emulator) == []
    conn.commit()
    assert sent(emulator) == [f"DELETE /threads/{thread}/messages/{message}"]
    assert [str(q) for q in person.asked] == [
        "COMMIT would do what cannot be undone\n"
        "  DELETE of 1 object of openai.assistants.messages: the manifest names no inverse of delete_message\n"
        f"  {thread}/{message}"
    ] * 2


@pytest.mark.usefixtures("team")
def test_the_time_of_an_answer_is_not_the_statements(connection: Any) -> None:
    looked = threading.Event()

    def think(question: provider.Question) -> bool:
        looked.wait(1.2)
        return True

    assert connection(confirm=think, statement_timeout=1).execute(DELETE).message == "DELETE 3"


@pytest.mark.usefixtures("team")
def test_an_interruption_of_the_question_ends_the_statement_alone(connection: Any, emulator: Emulator) -> None:
    def leave(question: provider.Question) -> bool:
        raise KeyboardInterrupt

    conn = connection(confirm=leave)
    with pytest.raises(KeyboardInterrupt):
        conn.execute(DELETE)
    assert sent(emulator) == ["GET /assistants"]
    assert conn.execute("SELECT count(*) FROM openai.assistants.assistants").fetchall() == [(3,)]
