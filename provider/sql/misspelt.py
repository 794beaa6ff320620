"""What somebody meant who wrote a statement that is none: a keyword with a slip in it, or StackQL's housekeeping."""

from __future__ import annotations

import difflib
import re

from provider.errors import NotSupportedError, ParseError
from provider.sql.scanner import Text, content

_BEGIN = """
    alter analyze attach begin call checkpoint comment commit copy create deallocate delete desc describe detach drop
    end exec execute explain export from import insert install load merge pivot pragma prepare refresh replace reset
    rollback select set show summarize table truncate unpivot update use vacuum values with
"""
_DIVIDE = "and from group having inner intersect into join limit offset order qualify returning set union using where"
#: What statements begin with, ours and DuckDB's.
_BEGINNINGS = frozenset(_BEGIN.split())
#: What divides the parts of a query.
_CLAUSES = frozenset(_DIVIDE.split())
#: StackQL's statements that have no counterpart here, and what does their work.
_ELSEWHERE = {
    "REGISTRY": "Manifests come with ApiQL, or from `--manifests PATH` (provider.connect(manifests=[...])).",
    "AUTH": "Credentials come from the environment; `apiql login PROVIDER` logs a person in.",
    "PURGE": "Nothing is kept between statements unless SET cache asks for it.",
    "NATIVEQUERY": "Write its text as a statement: the SQL is DuckDB's.",
    "SLEEP": "Nothing has to be waited for: /*+ AWAIT */ waits for what a write has begun.",
    "CLEAR": "A terminal is cleared with Ctrl-L.",
}


def refuse_elsewhere(text: Text) -> None:
    """Refuse a statement that only StackQL has.

    Raises:
        NotSupportedError: it says what does its work here.
    """
    start, _ = content(text.sql)
    first = re.match(r"\w+", text.sql[start:])
    if first and (name := first[0].upper()) in _ELSEWHERE:
        place = text.place(start, start + first.end())
        raise NotSupportedError(f"{name} is StackQL's, and no statement here", place=place, remedy=_ELSEWHERE[name])


def misspelt(text: Text, end: int | None = None) -> ParseError | None:
    """The error for the word that makes a text no statement, if that is nearly one of SQL's.

    Args:
        end: where reading stopped: at the end of the word in question, or of the one behind it. Without it only the
            first word is looked at.
    """
    start, _ = content(text.sql)
    first = re.match(r"\w+", text.sql[start:])
    if first and (found := _nearly(text, start, start + first.end(), _BEGINNINGS)):
        return found
    words = list(re.finditer(r"\w+", text.sql[:end]))[-2:] if end is not None else []
    for word in reversed(words):
        if found := _nearly(text, *word.span(), _CLAUSES):
            return found
    return None


def _nearly(text: Text, start: int, end: int, known: frozenset[str]) -> ParseError | None:
    word = text.sql[start:end]
    if word.lower() in known:
        return None
    near = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.75)
    if not near:
        return None
    place, remedy = text.place(start, end), f"Did you mean {near[0].upper()}?"
    return ParseError(f'syntax error: "{word}" is no keyword', place=place, remedy=remedy)
