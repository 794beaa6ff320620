"""SQL of strangers, with external access off and the configuration locked: no file, no network and no setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import provider
from provider.errors import BindError

ATTACKS = (
    "SELECT * FROM 'secret.csv'",
    "SELECT * FROM read_text('secret.csv')",
    "SELECT * FROM glob('*')",
    "SELECT * FROM sniff_csv('secret.csv')",
    "PIVOT 'secret.csv' ON x",
    "DESCRIBE 'secret.csv'",
    "EXPLAIN SELECT * FROM 'secret.csv'",
    "CREATE VIEW v AS SELECT * FROM 'secret.csv'",
    "CREATE MATERIALIZED VIEW v AS SELECT * FROM read_csv('secret.csv')",
    "SELECT t.id FROM openai.assistants.threads t JOIN 'secret.csv' c ON c.x = t.id",
    "INSERT INTO openai.assistants.assistants (model) SELECT content FROM read_text('secret.csv')",
    "INSERT INTO openai.files.files (purpose, file) VALUES ('batch', local_file('secret.csv'))",
    "EXEC openai.files.files.download_file @file_id='f', @to='out'",
    "COPY (SELECT 1) TO 'out'",
    "EXPORT DATABASE 'out'",
    "IMPORT DATABASE 'out'",
    "ATTACH 'out'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA enable_profiling = 'json'",
    "SET temp_directory = 'out'",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "SET lock_configuration = false",
    "SET max_writes = 100000",
)


@pytest.mark.parametrize("sql", ATTACKS)
def test_strangers_reach_nothing(connection: Any, emulator: Any, tmp_path: Path, monkeypatch: Any, sql: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret.csv").write_text("x\nopen sesame\n")
    conn = connection()
    conn.execute("SET enable_external_access = false; SET lock_configuration = true")
    with pytest.raises(provider.Error) as caught:
        conn.execute(sql).fetchall()
    assert not isinstance(caught.value, BindError), "it was refused for another reason"
    assert "open sesame" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["secret.csv"]
    assert list(emulator.requests) == []
