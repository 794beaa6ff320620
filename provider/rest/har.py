"""HAR 1.2, the format in which browsers and proxies keep requests with their answers: written one by one, and read.

The file is whole JSON whenever nothing is being written: each entry is put in place of the document's end together
with a new end, in one piece. So an interrupted session leaves a file that any reader takes.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from importlib import metadata
from urllib.parse import parse_qsl, urlsplit

import msgspec

from provider.errors import InterfaceError, OperationalError, Timeout, TransportError
from provider.rest.transport import Headers


@dataclass(frozen=True, slots=True)
class Body:
    """What was sent or answered: `content` is its beginning where that is shorter than `size`, in bytes.

    `left_out` says that it holds credentials, and is not kept at all.
    """

    content: bytes = field(default=b"", repr=False)
    size: int = 0
    left_out: bool = False

    @staticmethod
    def of(content: bytes, most: int) -> Body:
        """A body, of which no more than so many bytes are kept."""
        return Body(content[:most], len(content))

    @property
    def is_whole(self) -> bool:
        return not self.left_out and len(self.content) == self.size


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that was sent, and its answer, as they went over the wire but for credentials.

    `body` is None where nothing was sent but a head. `status` is 0, and `failure` says why, where no whole answer
    came. `started` is Unix time; `wait` and `receive` are seconds, until the head of the answer and from there to
    its end. `wire_bytes` is the size of the answer before it was decompressed. `account` is the name of the account
    that asked, '' where the provider has none with a name.
    """

    method: str
    url: str
    headers: Headers = field(repr=False)
    body: Body | None
    status: int
    answer_headers: Headers = field(repr=False)
    answer: Body
    wire_bytes: int
    started: float
    wait: float
    receive: float
    failure: TransportError | None = None
    account: str = ""

    def cut(self, most: int) -> Entry:
        """The same with no more than so many bytes of each body."""
        body = None if self.body is None else replace(self.body, content=self.body.content[:most])
        return replace(self, body=body, answer=replace(self.answer, content=self.answer.content[:most]))


# --- the format -------------------------------------------------------------------------------------


class _Named(msgspec.Struct):
    name: str
    value: str


class _Posted(msgspec.Struct, omit_defaults=True):
    mime_type: str = msgspec.field(name="mimeType")
    text: str = ""
    # HAR has no word for posted bytes that are no text; names with an underscore are for such cases.
    encoding: str = msgspec.field(name="_encoding", default="")
    size: int = msgspec.field(name="_size", default=0)
    comment: str = ""


class _Request(msgspec.Struct):
    method: str
    url: str
    headers: list[_Named]
    query: list[_Named] = msgspec.field(name="queryString", default_factory=list)
    http_version: str = msgspec.field(name="httpVersion", default="HTTP/1.1")
    cookies: list[_Named] = msgspec.field(default_factory=list)
    headers_size: int = msgspec.field(name="headersSize", default=-1)
    body_size: int = msgspec.field(name="bodySize", default=-1)
    posted: _Posted | msgspec.UnsetType = msgspec.field(name="postData", default=msgspec.UNSET)


class _Content(msgspec.Struct, omit_defaults=True):
    size: int
    mime_type: str = msgspec.field(name="mimeType")
    text: str = ""
    encoding: str = ""
    comment: str = ""


class _Response(msgspec.Struct):
    status: int
    status_text: str = msgspec.field(name="statusText")
    headers: list[_Named]
    content: _Content
    redirect_url: str = msgspec.field(name="redirectURL", default="")
    http_version: str = msgspec.field(name="httpVersion", default="HTTP/1.1")
    cookies: list[_Named] = msgspec.field(default_factory=list)
    headers_size: int = msgspec.field(name="headersSize", default=-1)
    body_size: int = msgspec.field(name="bodySize", default=-1)


class _Timings(msgspec.Struct):
    send: float = 0.0
    wait: float = 0.0
    receive: float = 0.0


class _Failure(msgspec.Struct):
    summary: str
    reason: str = ""
    sent: bool = True
    permanent: bool = False
    timeout: bool = False


class _Entry(msgspec.Struct):
    started: str = msgspec.field(name="startedDateTime")
    time: float
    request: _Request
    response: _Response
    timings: _Timings
    cache: dict[str, object] = msgspec.field(default_factory=dict)
    failure: _Failure | msgspec.UnsetType = msgspec.field(name="_failure", default=msgspec.UNSET)
    account: str | msgspec.UnsetType = msgspec.field(name="_account", default=msgspec.UNSET)


class _Log(msgspec.Struct):
    entries: list[_Entry]


class _Document(msgspec.Struct):
    log: _Log


# --- writing ----------------------------------------------------------------------------------------

_HEAD = b'{"log": {"version": "1.2", "creator": {"name": "apiql", "version": "%s"}, "entries": [\n'
_TAIL = b"\n]}}\n"


class HarFile:
    """A HAR file that is being written; only the file's owner may read it.

    Args:
        most: bytes that are kept of each body.

    Raises:
        OperationalError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], most: int) -> None:
        self.most = most
        self._path = os.fspath(path)
        self._failure: OSError | None = None
        self._separator = b""
        head = _HEAD % _version().encode()
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._end = 0
            self._write(head + _TAIL)
        except OSError as e:
            raise OperationalError(f"the file {self._path} cannot be written", reason=e.strerror or str(e)) from None
        self._end = len(head)

    def add(self, entry: Entry) -> None:
        """One more entry. What keeps it from being written is told by `close`: the request itself must not suffer."""
        if self._failure is not None:
            return
        data = self._separator + msgspec.json.encode(_packed(entry.cut(self.most)))
        try:
            self._write(data + _TAIL)
        except OSError as e:
            self._failure = e
        self._end += len(data)
        self._separator = b",\n"

    def close(self) -> None:
        """Close the file.

        Raises:
            OperationalError: not all entries could be written.
        """
        os.close(self._file)
        if self._failure is not None:
            reason = self._failure.strerror or str(self._failure)
            raise OperationalError(f"the file {self._path} is not whole", reason=reason)

    def _write(self, data: bytes) -> None:
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:], self._end + written)


def _packed(entry: Entry) -> _Entry:
    request = _Request(
        entry.method,
        entry.url,
        _named(entry.headers),
        _named(parse_qsl(urlsplit(entry.url).query, keep_blank_values=True)),
        body_size=entry.body.size if entry.body is not None else 0,
    )
    if entry.body is not None:
        text, encoding = _as_text(entry.body)
        kind = _header(entry.headers, "content-type")
        request.posted = _Posted(kind, text, encoding, entry.body.size, _comment(entry.body))
    text, encoding = _as_text(entry.answer)
    kind = _header(entry.answer_headers, "content-type")
    content = _Content(entry.answer.size, kind, text, encoding, _comment(entry.answer))
    response = _Response(
        entry.status,
        _phrase(entry.status),
        _named(entry.answer_headers),
        content,
        redirect_url=_header(entry.answer_headers, "location"),
        body_size=entry.wire_bytes,
    )
    at = datetime.fromtimestamp(entry.started, UTC).isoformat(timespec="milliseconds")
    wait, receive = round(entry.wait * 1000, 3), round(entry.receive * 1000, 3)
    packed = _Entry(at, round(wait + receive, 3), request, response, _Timings(0.0, wait, receive))
    packed.account = entry.account or msgspec.UNSET
    if (failure := entry.failure) is not None:
        timeout = isinstance(failure, Timeout)
        packed.failure = _Failure(failure.summary, failure.reason, failure.sent, failure.permanent, timeout)
    return packed


def _version() -> str:
    """Of ApiQL, as it was installed."""
    try:
        return metadata.version("apiql")
    except metadata.PackageNotFoundError:
        return "unknown"


_LEFT_OUT = "left out: it holds credentials"


def _comment(body: Body) -> str:
    return _LEFT_OUT if body.left_out else "" if body.is_whole else f"cut: the first {len(body.content)} bytes"


def _named(pairs: Iterable[tuple[str, str]]) -> list[_Named]:
    return [_Named(_clean(name), _clean(value)) for name, value in pairs]


def _clean(text: str) -> str:
    """Bytes of a header that are no UTF-8 cannot stand in JSON."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _header(headers: Headers, wanted: str) -> str:
    return next((_clean(value) for name, value in headers if name.lower() == wanted), "")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _as_text(body: Body) -> tuple[str, str]:
    """Bytes as JSON can hold them: as they are where they are UTF-8, else in base64; and which of these it is."""
    content = body.content
    try:
        return content.decode("utf-8"), ""
    except UnicodeDecodeError as e:
        if not body.is_whole and e.end == len(content) and e.start > len(content) - 4:
            return content[: e.start].decode("utf-8"), ""  # the cut went through a character
        return base64.b64encode(content).decode(), "base64"


# --- reading ----------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> list[Entry]:
    """The entries of a HAR file, of ours or of somebody else's.

    Raises:
        InterfaceError: it cannot be read, or is no HAR file.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            found = msgspec.json.decode(file.read(), type=_Document)
        return [_unpacked(entry) for entry in found.log.entries]
    except OSError as e:
        raise InterfaceError(f"the recording {name} cannot be read", reason=e.strerror or str(e)) from None
    except ValueError as e:  # msgspec's and base64's errors are ValueErrors
        raise InterfaceError(f"{name} is no HAR file", reason=str(e)) from None


def _unpacked(entry: _Entry) -> Entry:
    request, response = entry.request, entry.response
    posted = request.posted
    body = None
    if isinstance(posted, _Posted):
        content = _from_text(posted.text, posted.encoding)
        body = Body(content, posted.size or len(content), posted.comment == _LEFT_OUT)
    content = _from_text(response.content.text, response.content.encoding)
    # Other programs count in `size` what they do not keep in `text`.
    answer = Body(content, max(response.content.size, len(content)), response.content.comment == _LEFT_OUT)
    failure = None
    if isinstance(entry.failure, _Failure):
        kind = Timeout if entry.failure.timeout else TransportError
        told = entry.failure
        failure = kind(told.summary, sent=told.sent, permanent=told.permanent, reason=told.reason)
    return Entry(
        method=request.method,
        url=request.url,
        headers=tuple((h.name, h.value) for h in request.headers),
        body=body,
        status=response.status,
        answer_headers=tuple((h.name, h.value) for h in response.headers),
        answer=answer,
        wire_bytes=response.body_size if response.body_size >= 0 else len(content),
        started=datetime.fromisoformat(entry.started).timestamp(),
        wait=entry.timings.wait / 1000,
        receive=entry.timings.receive / 1000,
        failure=failure,
        account=entry.account if isinstance(entry.account, str) else "",
    )


def _from_text(text: str, encoding: str) -> bytes:
    return base64.b64decode(text, validate=True) if encoding == "base64" else text.encode()
