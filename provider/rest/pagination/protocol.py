"""What passes between a list's protocol, which decides, and its driver, which does the I/O.

The protocol is a generator. It yields a step: the calls to start now, as many at once as the API allows. It is
sent one answer at a time, in whatever order they come, to calls that it asked for. The step whose `ended` is not
empty is the last one; answers that are still on their way then are of no use.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from provider.rest.request import Call

#: Why a list ended: the API said that this was all of it, or the manifest's `max_pages` cut it off.
COMPLETE = "complete"
CUT_OFF = "max_pages"
#: Calls of one list that are handed out and not answered yet: more would only wait in memory.
AHEAD = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API said to a call. Headers come in order, repeats kept, as pairs of name and value."""

    call: Call
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """The value of a header, any case; repeated ones joined by ', '; None when absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from an answer.

    Attributes:
        calls: to start now.
        body: the answer's rows, in their place in a body; None in the first step. It is the answer's own body
            unless some of its rows were there before.
        repeated: how many rows were left out because the list had them already.
        ended: why nothing follows: `COMPLETE` or `CUT_OFF`; '' while something does.
    """

    calls: tuple[Call, ...] = ()
    body: bytes | None = None
    repeated: int = 0
    ended: str = ""


#: All pages of one list.
Pages = Generator[Step, Answer, None]
