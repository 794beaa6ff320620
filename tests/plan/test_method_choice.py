"""Which of several callable methods is taken, and when none can be: a resource that two keys lead to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import provider
from provider.errors import BindError

#: Notes: what they have of their writer and their team differs from resource to resource.
MANIFEST = """
provider: desk
base_url: {default: 'http://127.0.0.1:1'}
pagination:
  cursor: {kind: cursor, param: after, next: $.next, size: {param: limit, max: 50}}
---
service: s
anchors:
  methods: &methods
    of_user: {sql: SELECT, http: 'GET /users/{user_id}/notes', rows: $.data, paginate: cursor}
    of_team: {sql: SELECT, http: 'GET /teams/{team_id}/notes', rows: $.data, paginate: cursor}
resources:
  both:
    fields: {id: {type: string}, user_id: {type: string}, team_id: {type: string}}
    methods: *methods
  neither:
    fields: {id: {type: string}}
    methods: *methods
  one:
    fields: {id: {type: string}, user_id: {type: string}}
    methods: *methods
  keyed:
    key: {id: note_id}
    fields: {id: {type: string}}
    methods:
      get: {sql: SELECT, http: 'GET /notes/{note_id}'}
      search: {sql: SELECT, http: GET /notes, rows: $.data, paginate: cursor, query: {team_id: {type: string}}}
  day:
    fields: {id: {type: string}, room: {type: string}, day: {type: string}}
    methods:
      in_room: {sql: SELECT, http: 'GET /rooms/{room}/notes', rows: $.data, paginate: cursor}
      on_day: {sql: SELECT, http: 'GET /days/{day}', rows: $.data}
"""


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path = tmp_path_factory.mktemp("desk") / "desk.yaml"
    path.write_text(dedent(MANIFEST), encoding="utf-8")
    with provider.connect(manifests=[Path(path)], environ={}) as opened:
        yield opened


CHOICES = [
    ("either is right, the first in the manifest", "both WHERE user_id = 'u' AND team_id = 't'",
     "of_user: in the manifest before of_team", "GET /users/u/notes?limit=50"),
    ("either is right, fewer lists", "both WHERE user_id IN ('u', 'v') AND team_id = 't'",
     "of_team: fewer requests than of_user", "GET /teams/t/notes?limit=50"),
    ("either is right, one request is less than a list", "day WHERE room = 'r' AND day = 'd'",
     "on_day: fewer requests than in_room", "GET /days/d"),
    ("the method that alone can tell the team", "one WHERE user_id = 'u' AND team_id = 't'",
     "of_team: of_user does not take team_id", "GET /teams/t/notes?limit=50"),
    ("a search that alone can tell the team, not the key", "keyed WHERE id = 'n' AND team_id = 't'",
     "search: get does not take team_id", "GET /notes?team_id=t&limit=50"),
    ("the key where the team is not asked", "keyed WHERE id = 'n'",
     "get: the most specific: note_id is bound", "GET /notes/n"),
    ("a method by name", "both.of_team WHERE user_id = 'u' AND team_id = 't'",
     "of_team: named in the statement", "GET /teams/t/notes?limit=50"),
    ("one key only", "neither WHERE team_id = 't'",
     "of_team: of_user would need user_id", "GET /teams/t/notes?limit=50"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "method", "request_"), [c[1:] for c in CHOICES], ids=[c[0] for c in CHOICES])
def test_the_method_that_can_tell_and_costs_least(conn: Any, statement: str, method: str, request_: str) -> None:
    lines = conn.explain(f"SELECT id FROM desk.s.{statement}").splitlines()
    assert f"  method     {method}" in lines
    assert f"  request    {request_}" in lines


def test_what_the_chosen_method_does_not_take_is_left_to_duckdb(conn: Any) -> None:
    plan = conn.explain("SELECT id FROM desk.s.both WHERE user_id = 'u' AND team_id = 't'")
    assert "  not sent   team_id = 't': of_user has no parameter for team_id" in plan.splitlines()


REFUSED = {
    "two parameters that no method takes together": (
        "SELECT id FROM desk.s.neither WHERE user_id = 'u' AND team_id = 't'",
        """
        desk.s.neither has no method that takes team_id and user_id together
          1 | SELECT id FROM desk.s.neither WHERE user_id = 'u' AND team_id = 't'
            |                ^^^^^^^^^^^^^^
          Its rows do not have them, so that DuckDB cannot compare them; only the API can.
          Candidates: of_user (GET /users/{user_id}/notes), of_team (GET /teams/{team_id}/notes)
          Name one, FROM desk.s.neither.of_user, without the condition on team_id; for the rows of both, join the two.
        """,
    ),
    "a parameter that the named method does not take": (
        "SELECT id FROM desk.s.one.of_user WHERE user_id = 'u' AND team_id = 't'",
        """
        desk.s.one.of_user does not take team_id
          1 | SELECT id FROM desk.s.one.of_user WHERE user_id = 'u' AND team_id = 't'
            |                ^^^^^^^^^^^^^^^^^^
          Its rows do not have it, so that DuckDB cannot compare it; only the API can.
          Leave out the condition on team_id, or name another method: of_team (GET /teams/{team_id}/notes)
        """,
    ),
    "a parameter without a value": (
        "SELECT id, team_id FROM desk.s.one WHERE user_id = 'u'",
        """
        "team_id" of desk.s.one is a parameter, not a field: it needs a value
          1 | SELECT id, team_id FROM desk.s.one WHERE user_id = 'u'
            |                         ^^^^^^^^^^
          Its rows do not have it; it only tells the API what to answer.
          Add WHERE "team_id" = ...
        """,
    ),
}


@pytest.mark.parametrize(("sql", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_no_method_can_tell_is_an_error_with_candidates(conn: Any, sql: str, message: str) -> None:
    with pytest.raises(BindError) as refused:
        conn.explain(sql)
    assert str(refused.value) == dedent(message).strip()
