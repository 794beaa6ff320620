"""What the shell does with a script: statements from stdin, one after the other, up to the first that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.emulator import Emulator
from provider.interfaces.shell.inputs import Input, LineReader, command_of, is_complete

from .conftest import Api, Run


def read_all(text: str) -> list[Input]:
    reader, found = LineReader.of(text), []
    while True:
        try:
            found.append(reader.read())
        except EOFError:
            return found


def test_statements_run_as_they_come(process: Run) -> None:
    ran = process(
        "-q",
        stdin="CREATE TABLE t AS SELECT 1 AS a;\n\\pset format csv\nSELECT ';' AS b; SELECT a\nFROM t; -- ;\n"
        "SELECT $x$;\n$x$ AS c;\nSELECT a + 1 AS d FROM t",
    )
    assert (ran.code, ran.out, ran.err) == (0, 'b\n;\na\n1\nc\n";\n"\nd\n2\n', "")


def test_the_first_error_ends_a_script_with_its_line_and_exit_code(process: Run) -> None:
    ran = process("-o", "csv", stdin="SELECT 1 AS a;\n\nSELECT\n nope;\nSELECT 2 AS b;\n")
    assert (ran.code, ran.out) == (1, "a\n1\n")
    assert "BindError: Referenced column" in ran.err
    assert "  4 |  nope\n" in ran.err


def test_a_script_within_a_script_ends_the_outer_one_too(process: Run, tmp_path: Path) -> None:
    (tmp_path / "in.sql").write_text("SELECT 1 AS a;\nSELECT nope;\nSELECT 2 AS b;\n")
    (tmp_path / "self.sql").write_text(f"\\i {tmp_path}/self.sql\n")
    ran = process("-o", "csv", stdin=f"\\i {tmp_path}/in.sql\nSELECT 3 AS c;\n")
    assert (ran.code, ran.out) == (1, "a\n1\n")
    assert f"{tmp_path}/in.sql ends here, since a statement failed:\nBindError" in ran.err
    ran = process(stdin=f"\\i {tmp_path}/self.sql")
    assert (ran.code, "runs itself" in ran.err) == (1, True)
    ran = process(stdin=f"\\i {tmp_path}/none.sql")
    assert (ran.code, "none.sql cannot be read" in ran.err) == (1, True)


def test_a_guard_asks_nobody_and_a_transaction_is_given_up(process: Run, emulator: Emulator, api: Api) -> None:
    assistant = api.post("/assistants", json={"model": "m"})["id"]
    emulator.requests.clear()
    base = ("--base-url", f"openai={emulator.base_url}")
    ran = process(*base, stdin="DELETE FROM openai.assistants.assistants;\n")
    assert (ran.code, list(emulator.requests)) == (4, [])
    assert "allow it with --yes" in ran.err
    delete = f"DELETE FROM openai.assistants.assistants WHERE id = '{assistant}'"
    ran = process(*base, stdin=f"BEGIN;\n{delete};\n")
    assert ran.code == 0
    assert "Warning: the script ended within a transaction: ROLLBACK (1 request of 1 statement not sent)" in ran.err
    assert api.get(f"/assistants/{assistant}")["id"] == assistant


def test_values_fill_placeholders_and_parameters(process: Run) -> None:
    ran = process("-o", "csv", "-p", "who=ada", stdin="SELECT '{{ who }}!' AS a;\nSELECT $who AS b;\n")
    assert (ran.code, ran.out) == (0, "a\nada!\nb\nada\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--nope",), "--nope"),
        (("--max-writes", "1", "query", "SELECT 1"), "unexpected extra arguments"),
        (("nope",), "No such command 'nope'"),
    ],
)
def test_options_without_a_command_are_those_of_the_shell(apiql: Run, arguments: tuple[str, ...], told: str) -> None:
    ran = apiql(*arguments)
    assert (ran.code, told in ran.err) == (2, True)


def test_nothing_to_run_is_no_error(process: Run) -> None:
    ran = process(stdin="")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert process(stdin="-- a remark\n\n;\n").code == 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("\\nope", "there is no command \\nope"),
        ("\\i", "\\i is not used so\n  \\i FILE: "),
        ("\\pset format tabel", "Did you mean table?"),
        ("\\pset colour red", '\\pset does not set "colour"'),
        ("\\pset max_width wide", 'max_width cannot be "wide"'),
        ("\\x maybe", "\\x takes on or off"),
        ("\\pset null 'no", "No closing quotation"),
    ],
)
def test_a_command_that_is_wrong_says_what_is_right(
    apiql: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, told: str
) -> None:
    (tmp_path / "in").write_text(line + "\n")
    with (tmp_path / "in").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        ran = apiql("shell")
    assert ran.code == 1
    assert told in ran.err


def test_commands_tell_what_is_set_and_help_lists_them_all(
    apiql: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text(
        "\\pset null 'no value'\n\\pset\nSELECT NULL AS a;\n\\?\n\\d openai.assistants.threads\n"
    )
    with (tmp_path / "in").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        ran = apiql("shell", "-o", "markdown")
    assert ran.code == 0
    assert "format: markdown\nnull: no value\nmax_width: its default\n" in ran.err
    assert "| no value |" in ran.out
    assert "\\timing [on | off]" in ran.out
    assert "| metadata | object |" in ran.out
    assert "create_thread" in ran.out


def test_inputs_are_whole_statements_with_the_line_that_they_begin_on() -> None:
    script = "SELECT 1;\n\n\\x\nSELECT ';\n' AS a; SELECT 2\n; SELECT 3; -- ;\nSELECT /* ; */ 4; SELECT \"a;\nb\""
    assert read_all(script) == [
        Input("SELECT 1;\n", 1),
        Input("\n", 2),
        Input("\\x\n", 3),
        Input("SELECT ';\n' AS a;", 4),
        Input(" SELECT 2\n; SELECT 3; -- ;\n", 5),
        Input("SELECT /* ; */ 4;", 7),
        Input(' SELECT "a;\nb"', 7),
    ]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        ("  \n", True),
        ("SELECT 1", False),
        ("SELECT 1;", True),
        ("SELECT 1; -- and\n/* so on */", True),
        ("SELECT 1; SELECT", False),
        ("SELECT ';", False),
        ("SELECT E'\\';", False),
        ('SELECT ";', False),
        ("SELECT $$;", False),
        ("SELECT $a$;$$;", False),
        ("SELECT $a$;$a$;", True),
        ("SELECT /* ;", False),
        ("-- ;", True),
        ("\\d openai", True),
        ("exit", True),
        ("Quit;", True),
        ("SELECT\nexit", False),
        ("\\x\n\\timing", True),
        ("\\x\nSELECT 1", False),
        ("\\x\nSELECT ';\n1';\n\\x", True),
    ],
)
def test_what_enter_runs(text: str, complete: bool) -> None:
    assert is_complete(text) == complete


def test_what_is_a_command() -> None:
    assert [command_of(t) for t in (" \\d a; ", "HELP", "quit ;", "SELECT 1", "\\d\nx")] == [
        "\\d a",
        "\\?",
        "\\q",
        None,
        None,
    ]
