"""The code blocks of a Markdown page, in order, and what running each of them gives."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

import provider
from provider.sql.scanner import statements
from tests.docs.world import World, shown
from tests.terminal import Terminal

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^(<!-- not run: (?P<reason>.+?) -->\n)?```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)
#: How a page's blocks write the emulator's address.
_WRITTEN = "127.0.0.1:8089"
_PROMPT = re.compile(r"apiql[-=]\*?> |Go on\? \[y/N\] ")
_APIQL = (sys.executable, "-m", "provider")
_ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Block:
    """One fenced block.

    `info` are the words behind the fence, `reason` why it is not run (empty: it is). `said` is where the page says
    what it prints: the span of the `text` block right behind it, for a `console` its own, None when it is not said.
    """

    page: Path
    line: int
    info: tuple[str, ...]
    text: str
    reason: str
    said: tuple[int, int] | None

    @property
    def language(self) -> str:
        return self.info[0] if self.info else ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page."""
    source = page.read_text(encoding="utf-8")
    found = list(_BLOCK.finditer(source))
    listed = []
    for i, m in enumerate(found):
        info = tuple(m["info"].split())
        following = found[i + 1] if i + 1 < len(found) else None
        adjacent = following is not None and not source[m.end() : following.start()].strip()
        said = following.span("text") if following and adjacent and following["info"] == "text" else None
        line = source.count("\n", 0, m.start("info")) + 1
        prints = info[:1] in (("sql",), ("python",))
        listed.append(
            Block(
                page=page,
                line=line,
                info=info,
                text=m["text"],
                reason=m["reason"] or "",
                said=m.span("text") if info in (("console",), ("session",)) else said if prints else None,
            )
        )
    return listed


@dataclass
class Runner:
    """Runs the blocks of one page, one after the other, against one emulator.

    Python blocks share their names, SQL blocks their connection.
    """

    world: World
    names: dict[str, Any] = field(default_factory=dict)
    _connection: provider.Connection | None = None

    def run(self, block: Block) -> str:
        """Run a block and answer what the page should say at `block.said`.

        Raises:
            AssertionError: the block is not what it should be.
            Exception: whatever it raised.
        """
        match block.language:
            case "sql":
                return self._sql(block)
            case "python":
                return self._python(block)
            case "console":
                return "".join(self._command(*c) for c in commands(block.text))
            case "session":
                return self._typed(block)
            case "yaml":
                list(yaml.safe_load_all(block.text))
            case "text" | "":
                pass  # the output of the block in front, or no code
            case other:
                raise AssertionError(f"nothing runs {other!r} blocks; mark it with <!-- not run: why -->")
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def _sql(self, block: Block) -> str:
        if self._connection is None:
            self._connection = self.world.connect()
        printed = []
        for statement in statements(self.world.named_to_real(block.text)):
            try:
                printed.append(shown(self._connection.execute(statement), self.world))
                assert "error" not in block.info, "it succeeded"
            except provider.Error as e:
                if "error" not in block.info:
                    raise
                assert block.said is not None, "an error is followed by its text"
                printed.append(self.world.real_to_named(f"{type(e).__name__}: {e}"))
        return "\n\n".join(printed) + "\n"

    def _python(self, block: Block) -> str:
        out = io.StringIO()
        code = compile("\n" * block.line + self.world.named_to_real(block.text), str(block.page), "exec")
        with contextlib.redirect_stdout(out):
            exec(code, self.names)
        return self.world.real_to_named(out.getvalue())

    def _command(self, command: str, printed: str) -> str:
        """The command as the page writes it, with what it prints where the page says that it prints something."""
        found = ""
        match shlex.split(command, comments=True):
            case ["make", target]:
                makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
                assert re.search(rf"^{re.escape(target)}:", makefile, re.M), target
            case ["export", *settings]:
                assert {s.split("=", 1)[0] for s in settings} <= self.world.environ.keys(), settings
            case ["apiql", "emulator", *options]:
                found = _announcement(options, self.world.files)
            case ["apiql", *arguments]:
                found = self._apiql(arguments)
            case _:
                raise AssertionError(f"nothing runs {command!r}")
        return "$ " + command.replace("\n", "\n> ") + "\n" + (found if printed else "")

    def _typed(self, block: Block) -> str:
        """What a terminal shows of a session in the shell in which the answers to the page's prompts are typed."""
        environ = self.world.environ | {"TERM": "dumb", "XDG_STATE_HOME": str(self.world.files)}
        with Terminal(environ=environ) as terminal:
            greeting = terminal.until(_PROMPT.pattern)
            for line in block.text.splitlines():
                if (prompt := _PROMPT.match(line)) is not None:
                    terminal.type(self.world.named_to_real(line[prompt.end() :]) + "\n")
                    terminal.until(_PROMPT.pattern)
            first = len(greeting) - len(_PROMPT.findall(greeting)[-1])
            shown = terminal.text[first:].removesuffix(_PROMPT.findall(terminal.text)[-1])
        return self.world.real_to_named("".join(f"{line.rstrip()}\n" for line in shown.splitlines()))

    def _apiql(self, arguments: list[str]) -> str:
        """What the command prints, on both streams."""
        host = self.world.emulator.base_url.split("/")[2]
        done = subprocess.run(
            [*_APIQL, *(self.world.named_to_real(a).replace(_WRITTEN, host) for a in arguments)],
            cwd=self.world.files,
            env=_ENVIRON | self.world.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return self.world.real_to_named(done.stdout)


def commands(text: str) -> list[tuple[str, str]]:
    """The commands behind `$` (lines that begin with `>` continue them) and what each prints."""
    found: list[tuple[str, str]] = []
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        lines = part.splitlines()
        length = next((i for i, line in enumerate(lines) if i and not line.startswith("> ")), len(lines))
        command = "\n".join([lines[0], *(line[2:] for line in lines[1:length])])
        found.append((command, "\n".join(lines[length:])))
    return found


def _announcement(options: list[str], files: Path) -> str:
    """The line that an emulator says when it listens; on a free port, which is then named like the wanted one."""
    wanted = options[options.index("--port") + 1]
    options = [*options, "--port", "0"]
    process = subprocess.Popen(
        [*_APIQL, "emulator", *options],
        cwd=files,
        env=_ENVIRON,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        return re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{wanted}", process.stderr.readline())
    finally:
        process.kill()
        process.communicate()
