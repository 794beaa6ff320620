"""What a connection and a cursor say of themselves, in a notebook for one."""

from __future__ import annotations

import provider


def test_a_cursor_shows_what_it_has_and_reads_none_of_it() -> None:
    with provider.connect() as connection:
        cursor = connection.execute("SELECT 1 AS a, 2 AS b")
        assert repr(cursor) == "<provider.Cursor: rows of a, b; fetchall(), df() and pl() give them>"
        assert cursor.fetchall() == [(1, 2)]
        assert repr(connection.execute("CREATE TABLE t (a INTEGER)")) == "<provider.Cursor: CREATE>"
        assert repr(connection) == "<provider.Connection: open>"
        cursor.close()
        assert repr(cursor) == "<provider.Cursor: closed>"
    assert repr(connection) == "<provider.Connection: closed>"
