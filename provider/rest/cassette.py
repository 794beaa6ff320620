"""Recording what goes over the wire, without credentials, and replaying it with no wire at all.

Both stand where a transport stands, so that everything above them is the same: paging, repetitions, judgement. A
recording is a HAR file; one whose bodies are whole is a cassette, and can be replayed. A request is found in it by
its method, URL and body. Requests that are the same are answered in the order in which they were recorded.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Protocol
from urllib.parse import unquote, urlsplit

from provider.errors import TransportError
from provider.rest.auth.redaction import redact
from provider.rest.har import Body, Entry, HarFile, read
from provider.rest.transport import Headers, Request, Response, Source, Stream

#: Bytes of each body in a recording that is made to be read.
LOGGED = 2**20
#: Bytes of each body in a cassette: as many as an answer may have.
WHOLE = 256 * 2**20
#: A secret that the end of what is kept would cut in two has to be seen whole.
_MARGIN = 2**16
_HIDDEN = "***"
_SECRET_HEADER = re.compile(
    r"(proxy-)?authorization|(set-)?cookie2?|authentication-info|(x-)?(api|auth|access)[-_]?(key|token)|x-amz-security-token",
    re.IGNORECASE,
)
#: What says nothing about credentials, in the exchanges that obtain them.
_PLAIN_HEADER = re.compile(
    r"content-(type|length|encoding)|accept(-encoding)?|date|user-agent|retry-after", re.IGNORECASE
)
_SECRET_PARAMETER = re.compile(
    r"(aws)?(api|access|subscription)[-_]?key([-_]?id)?|((access|auth|bearer|id|private|refresh|session)[-_]?)?token|jwt"
    r"|(client[-_]?)?(assertion|secret)|passw(or)?d|sig|signature|x-(amz|goog)-(signature|credential|security-token)",
    re.IGNORECASE,
)
_PAIR = re.compile("(?<=[?&#])([^=&#]+)=([^&#>]*)")
#: The names of recorded requests that are looked through for the one that was meant.
_COMPARED = 500


class Wire(Protocol):
    """A transport."""

    async def send(self, request: Request) -> Response: ...
    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]: ...
    async def aclose(self) -> None: ...


# --- recording --------------------------------------------------------------------------------------


class Recorder:
    """Where entries go.

    Args:
        files: files that they are written to.
        tell: told of each, with no more than the heads of request and answer where there are no files.
    """

    def __init__(self, files: Sequence[HarFile], tell: Callable[[Entry], None] | None = None) -> None:
        self.most = max((file.most for file in files), default=0)
        self._files = files
        self._tell = tell

    def add(self, entry: Entry) -> None:
        """One more entry."""
        for file in self._files:
            file.add(entry)
        if self._tell is not None:
            self._tell(entry)

    def close(self) -> None:
        """Close the files; OperationalError if one of them is not whole."""
        for file in self._files:
            file.close()


class Recording:
    """A transport that is listened to.

    Args:
        hidden: the spellings of the secrets in use, which are taken out.
        account: whose requests they are, '' where the provider has no accounts with names.
        private: it serves an exchange that obtains credentials: bodies and most headers are left out.
    """

    def __init__(
        self,
        wire: Wire,
        recorder: Recorder,
        hidden: Callable[[], tuple[str, ...]],
        account: str = "",
        *,
        private: bool = False,
    ) -> None:
        self._wire = wire
        self._recorder = recorder
        self._hidden = hidden
        self._account = account
        self._private = private

    async def send(self, request: Request) -> Response:
        """As the transport does it."""
        take = _Take(request, self._recorder.most)
        try:
            response = await self._wire.send(take.request)
        except TransportError as failure:
            self._add(take, failure)
            raise
        take.hear(response)
        take.heard.add(response.body)
        self._add(take, wire_bytes=response.wire_bytes)
        return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """As the transport does it; recorded is what is read of the answer."""
        take = _Take(request, self._recorder.most)
        failure: TransportError | None = None
        try:
            async with self._wire.stream(take.request) as stream:
                take.hear(stream)
                yield Stream(stream.status, stream.headers, take.heard.through(stream.chunks))
        except TransportError as e:
            failure = e
            raise
        finally:
            if failure is not None or take.status:
                self._add(take, failure)

    async def aclose(self) -> None:
        """As the transport does it."""
        await self._wire.aclose()

    def _add(self, take: _Take, failure: TransportError | None = None, wire_bytes: int | None = None) -> None:
        hidden, request, now = self._hidden(), take.request, time.monotonic()
        posted = None if request.body is None else self._body(take.said, hidden)
        head_at = take.head_at if take.head_at is not None else now
        if failure is not None:
            # The words are those of the error that is raised, which is redacted further up.
            told, sent, permanent = redact(failure.summary, hidden), failure.sent, failure.permanent
            failure = type(failure)(told, sent=sent, permanent=permanent, reason=redact(failure.reason, hidden))
        self._recorder.add(
            Entry(
                method=request.method,
                url=_url(redact(request.url, hidden), everything=self._private),
                headers=self._headers(request.headers, hidden),
                body=posted,
                status=take.status if failure is None else 0,
                answer_headers=self._headers(take.headers, hidden),
                answer=self._body(take.heard, hidden),
                wire_bytes=take.heard.size if wire_bytes is None else wire_bytes,
                started=take.started,
                wait=head_at - take.began_at,
                receive=now - head_at,
                failure=failure,
                account=self._account,
            )
        )

    def _headers(self, headers: Headers, hidden: tuple[str, ...]) -> Headers:
        def value(name: str, text: str) -> str:
            if _SECRET_HEADER.fullmatch(name) or (self._private and not _PLAIN_HEADER.fullmatch(name)):
                return _HIDDEN
            text = redact(text, hidden)
            match name.lower():
                case "location" | "content-location":
                    return _url(text)
                case "link":
                    return re.sub("<[^>]*>", lambda link: _url(link[0]), text)
            return text

        return tuple((name, value(name, text)) for name, text in headers)

    def _body(self, heard: _Heard, hidden: tuple[str, ...]) -> Body:
        if self._private and heard.size:
            return Body(b"", heard.size, left_out=True)
        content = heard.content
        for form in hidden:
            content = content.replace(form.encode(), _HIDDEN.encode())
        unheard = heard.size - len(heard.content)
        return Body(content[: heard.most], len(content) + unheard)


class _Heard:
    """The beginning of a body, and its size."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0
        self._chunks: list[bytes] = []
        self._kept = 0

    @property
    def content(self) -> bytes:
        return b"".join(self._chunks)

    def add(self, chunk: bytes) -> None:
        room = self.most + _MARGIN - self._kept if self.most else 0
        if room > 0:
            self._chunks.append(chunk[:room])
            self._kept += len(self._chunks[-1])
        self.size += len(chunk)

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same chunks; they are heard when they are taken."""
        async for chunk in chunks:
            self.add(chunk)
            yield chunk


class _HeardSource:
    """A body that is heard while it is sent."""

    def __init__(self, source: Source, heard: Callable[[], _Heard]) -> None:
        self.size = source.size
        self._source = source
        self._heard = heard

    def chunks(self) -> AsyncIterator[bytes]:
        return self._heard().through(self._source.chunks())


class _Take:
    """A request on its way, and what is heard of it."""

    def __init__(self, request: Request, most: int) -> None:
        self.started, self.began_at = time.time(), time.monotonic()
        self.head_at: float | None = None
        self.status = 0
        self.headers: Headers = ()
        self.heard = _Heard(most)
        self.said = _Heard(most)
        self.request = request
        if isinstance(request.body, bytes):
            self.said.add(request.body)
        elif request.body is not None:
            self.request = replace(request, body=_HeardSource(request.body, self._again))

    def hear(self, head: Response | Stream) -> None:
        """The head of the answer has come."""
        self.head_at = time.monotonic()
        self.status, self.headers = head.status, head.headers

    def _again(self) -> _Heard:
        self.said = _Heard(self.said.most)
        return self.said


def _url(url: str, *, everything: bool = False) -> str:
    """A URL without the values of parameters that are credentials by their name, in its query and behind its #."""

    def shown(pair: re.Match[str]) -> str:
        is_secret = everything or _SECRET_PARAMETER.fullmatch(unquote(pair[1]))
        return f"{pair[1]}={_HIDDEN}" if is_secret else pair[0]

    return _PAIR.sub(shown, url)


# --- replaying --------------------------------------------------------------------------------------

#: Account, method, URL and body, without what differs from one run to the next.
_Key = tuple[str, str, str, bytes]


class Cassette:
    """A recording, from which each answer is taken once.

    Raises:
        InterfaceError: the file cannot be read, or is no HAR file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._name = os.fspath(path)
        self._left: dict[_Key, deque[Entry]] = {}
        self._count: dict[_Key, int] = {}
        for entry in read(path):
            # Nothing asks for credentials here, so what obtained them is not asked for either.
            if not (entry.answer.left_out or (entry.body is not None and entry.body.left_out)):
                content = entry.body.content if entry.body is not None else b""
                key = _key(entry.account, entry.method, entry.url, entry.headers, content)
                self._left.setdefault(key, deque()).append(entry)
                self._count[key] = self._count.get(key, 0) + 1

    async def take(self, request: Request, account: str) -> Entry:
        """The answer to a request of an account.

        Raises:
            TransportError: there is none, or it was recorded that none came.
        """
        body = request.body
        content = (
            b"".join([c async for c in body.chunks()]) if body is not None and not isinstance(body, bytes) else body
        )
        key = _key(account, request.method, request.url, request.headers, content or b"")
        left = self._left.get(key)
        if not left:
            raise self._missing(key)
        entry = left.popleft()
        if entry.failure is not None:
            raise entry.failure
        if not entry.answer.is_whole:
            place = f"{request.method} {urlsplit(request.url).path}"
            reason = f"The answer to {place} has {entry.answer.size:,} bytes; {len(entry.answer.content):,} are there."
            remedy = "Record the session with --record, or connect(record=...)."
            raise self._error(f"{self._name} is no cassette: it does not hold whole answers", reason, remedy)
        return entry

    def _missing(self, key: _Key) -> TransportError:
        _, method, url, _ = key
        parts = urlsplit(url)
        place = f"{method} {parts.path}{'?' if parts.query else ''}{parts.query}"
        if (count := self._count.get(key, 0)) > 0:
            times = "once" if count == 1 else f"{count:,} times"
            return self._error(
                f"{place} is asked for once more than it was recorded",
                f"{self._name} has it {times}, and each answer is given once.",
                "Run the statements of the recording, in their order, on one connection.",
            )
        known = list(dict.fromkeys(self._left))
        if any(k[1:] == key[1:] for k in known):
            reason = f"{self._name} has it of another account."
            return self._error(
                f"{place} was recorded otherwise", reason, "Replay it with the accounts of the recording."
            )
        if any(k[1:3] == key[1:3] for k in known):
            reason = f"{self._name} has it with another body."
            return self._error(f"{place} was recorded otherwise", reason, "Run the statements that were recorded.")
        names = [f"{m} {u}" for _, m, u, _ in itertools.islice(known, _COMPARED)]
        near = difflib.get_close_matches(f"{method} {url}", names, n=1, cutoff=0.0)
        remedy = f"The nearest that it has: {near[0]}" if near else ""
        where = f"{parts.scheme}://{parts.netloc}"
        origins = dict.fromkeys("{0.scheme}://{0.netloc}".format(urlsplit(u)) for _, _, u, _ in known)
        if origins and where not in origins:
            remedy += f"\nIt was recorded at {', '.join(origins)}, and is asked for at {where}: set the base URL."
        return self._error(f"{place} was not recorded", f"{self._name} does not have it.", remedy)

    def _error(self, summary: str, reason: str, remedy: str) -> TransportError:
        return TransportError(summary, sent=False, permanent=True, reason=f"{reason} Nothing was sent.", remedy=remedy)


class Replaying:
    """A transport that has no network: a cassette answers."""

    def __init__(self, cassette: Cassette, account: str) -> None:
        self._cassette = cassette
        self._account = account

    async def send(self, request: Request) -> Response:
        """The recorded answer; errors as `Cassette.take`."""
        entry = await self._cassette.take(request, self._account)
        return Response(entry.status, entry.answer_headers, entry.answer.content, entry.wire_bytes)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """The recorded answer, in one piece; errors as `Cassette.take`."""
        entry = await self._cassette.take(request, self._account)

        async def chunks() -> AsyncIterator[bytes]:
            yield entry.answer.content

        yield Stream(entry.status, entry.answer_headers, chunks())

    async def aclose(self) -> None:
        """Nothing."""


_BOUNDARY = re.compile(r'boundary="?([^";]+)', re.IGNORECASE)


def _key(account: str, method: str, url: str, headers: Headers, body: bytes) -> _Key:
    head, _, query = _url(url).partition("?")
    # Credentials in a query were recorded without their value, and are not sent when nothing is.
    pairs = [pair for pair in query.split("&") if pair and _HIDDEN not in pair.partition("=")[2]]
    kind = next((value for name, value in headers if name.lower() == "content-type"), "")
    if (found := _BOUNDARY.search(kind)) is not None:
        # A form's parts are divided by a line that is made anew each time.
        body = body.replace(found[1].encode(), b"boundary")
    return account, method, f"{head}?{'&'.join(pairs)}" if pairs else head, body
