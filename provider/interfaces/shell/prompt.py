"""The line editor: prompt_toolkit's, with our prompt, history, colours and completion. It draws on stderr."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import has_focus, is_searching
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.history import History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import create_output
from prompt_toolkit.styles import Style

from provider.errors import InterfaceError
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.shell import history
from provider.interfaces.shell.completion import candidates
from provider.interfaces.shell.inputs import Input, is_complete
from provider.interfaces.shell.keywords import KEYWORDS
from provider.sql.scanner import words

if TYPE_CHECKING:
    from provider.engine.connection import Connection

_COLOURS = Style.from_dict(
    {
        "prompt": "bold",
        "sql.keyword": "ansiblue bold",
        "sql.string": "ansigreen",
        "sql.number": "ansicyan",
        "sql.comment": "ansibrightblack",
        "sql.parameter": "ansimagenta",
    }
)


class Prompt:
    """Inputs from a terminal, edited as a whole; Enter runs them once they are complete.

    Args:
        prompt: what stands in front of a line; it is told whether it is a further one.
        environ: where the history is.
    """

    def __init__(
        self,
        connection: Connection,
        prompt: Callable[[bool], str],
        environ: Mapping[str, str],
        diagnostics: Diagnostics,
    ) -> None:
        self._prompt = prompt
        self._diagnostics = diagnostics
        self._session: PromptSession[str] = PromptSession(
            completer=_Names(connection),
            complete_while_typing=False,
            enable_suspend=True,
            history=_history(environ, diagnostics),
            key_bindings=_keys(),
            lexer=_Colours() if diagnostics.colour else None,
            multiline=True,
            output=create_output(stdout=sys.stderr),
            # A line that the terminal wraps goes on without a prompt.
            prompt_continuation=lambda _, __, wraps: "" if wraps else [("class:prompt", prompt(True))],
            style=_COLOURS if diagnostics.colour else None,
        )

    def read(self) -> Input:
        """What is typed next; see `Reader`."""
        # In the editor Ctrl-C is a key. While it comes and goes it is a signal, which its own handler, or asyncio's,
        # would lose: the one that was meant for the statement behind the Enter.
        interrupted: list[bool] = []
        before = signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
        try:
            text = self._session.prompt([("class:prompt", self._prompt(False))], handle_sigint=False)
        finally:
            signal.signal(signal.SIGINT, before)
        if interrupted:
            self._diagnostics.ask("\n")
            raise KeyboardInterrupt
        return Input(text)


def _history(environ: Mapping[str, str], diagnostics: Diagnostics) -> History:
    try:
        return history.opened(environ)
    except InterfaceError as e:
        diagnostics.warning(str(e))
        return InMemoryHistory()


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=has_focus("DEFAULT_BUFFER") & ~is_searching)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None  # what was chosen stays
        elif is_complete(buffer.text):
            buffer.cursor_position = len(buffer.text)
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    return keys


class _Names(Completer):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        found = candidates(
            document.text_before_cursor, document.text_after_cursor, self._connection.catalog, self._connection.tables()
        )
        return [Completion(c.text, -c.replaced, display=c.shown, display_meta=c.kind) for c in found]


class _Colours(Lexer):
    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        fragments: StyleAndTextTuples = []
        at = 0
        for kind, start, end in words(document.text):
            piece = document.text[start:end]
            if kind == "word":
                kind = "keyword" if piece.upper() in KEYWORDS else "name"
            fragments += [("", document.text[at:start]), (f"class:sql.{kind}", piece)]
            at = end
        lines = list(split_lines([*fragments, ("", document.text[at:])]))
        return lambda number: lines[number] if number < len(lines) else []
