"""What the tests of the transport share: a loop for each, small servers, and what a failure says of its request."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from provider import errors
from provider.engine.loop import new_event_loop
from provider.rest.transport import Transport
from tests.rest.rawserver import Connection

UNSENT = {"sent": False, "permanent": False}
REFUSED = {"sent": False, "permanent": True}
MAYBE_DONE = {"sent": True, "permanent": False}
UNUSABLE = {"sent": True, "permanent": True}


#: The loop that connections run on, and the one where uvloop is not installed: the transport keeps its word on both.
LOOPS = {"uvloop": new_event_loop, "asyncio": asyncio.new_event_loop}
loop_of_scenarios: ContextVar[Callable[[], asyncio.AbstractEventLoop]] = ContextVar("loop_of_scenarios")


def scenario(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on a new loop of each kind, at most 20 s; what it leaves unclosed fails it."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        complaints: list[dict[str, Any]] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            await asyncio.wait_for(test(*args, **kwargs), 20)
            gc.collect(1)

        with asyncio.Runner(loop_factory=loop_of_scenarios.get()) as runner:
            runner.run(watched())
        assert complaints == []

    on_each_loop: Callable[..., None] = pytest.mark.usefixtures("on_each_loop")(run)
    return on_each_loop


@asynccontextmanager
async def transport(**options: Any) -> AsyncIterator[Transport]:
    opened = Transport(**{"max_connections": 8, **options})
    try:
        yield opened
    finally:
        await opened.aclose()


async def hello(connection: Connection, request: bytes) -> None:
    await connection.answer(b"hello")


async def silence(connection: Connection, request: bytes) -> None:
    await connection.request()  # Answers nothing, and notices when the client hangs up.
    raise ConnectionError


@contextmanager
def fails(fate: dict[str, bool], kind: type[errors.TransportError] = errors.TransportError) -> Iterator[Any]:
    """The block raises exactly `kind`, of the given fate, and says the fate in words."""
    with pytest.raises(errors.TransportError) as caught:
        yield caught
    error = caught.value
    assert type(error) is kind
    assert {"sent": error.sent, "permanent": error.permanent} == fate
    words = "the server may have acted on it" if fate["sent"] else "Nothing was sent"
    assert pytest.raises(errors.TransportError, match=words).matches(error)


def line(request: bytes) -> bytes:
    return request.split(b"\r\n")[0]


def names(request: bytes) -> dict[bytes, bytes]:
    """The headers of a raw request, names lowered."""
    pairs = (row.split(b": ", 1) for row in request.split(b"\r\n\r\n")[0].split(b"\r\n")[1:])
    return {key.lower(): value for key, value in pairs}


class Pieces:
    """A body that is read while it is sent: `count` pieces, after which it fails if it is to."""

    def __init__(self, count: int, failure: errors.TransportError | None = None) -> None:
        self.size = count * 2**16
        self.failure = failure

    async def chunks(self) -> AsyncIterator[bytes]:
        for number in range(self.size // 2**16):
            if self.failure is not None and number:
                raise self.failure
            yield number.to_bytes(2, "big") * 2**15
