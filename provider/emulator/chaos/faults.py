"""What can go wrong with an answer: each fault is a value, and changes an answer or the way it is delivered."""

from __future__ import annotations

import email.utils
import json
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

_MIB = 2**20
#: What a gzip bomb and an endless body come to when they are read, in MiB: more than any client should hold.
BOMB = 300
#: Seconds between the clocks of a skewed server and of its client.
SKEW = 86_400


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. Headers keep their order and case; the body is as it goes over the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def with_headers(self, **values: str) -> Answer:
        """The same answer with headers set; `Retry_After` is Retry-After. Those that stand already are replaced."""
        new = {k.replace("_", "-"): v for k, v in values.items()}
        kept = tuple((k, v) for k, v in self.headers if k.lower() not in {n.lower() for n in new})
        return replace(self, headers=kept + tuple(new.items()))


Ending = Literal["whole", "lost", "closed", "reset", "stalls", "endless"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an answer's bytes travel.

    Args:
        share: how much of the body is sent, from 0 to 1.
        parts: in how many pieces.
        pause: seconds between two pieces.
        ends: what follows the last piece that is sent. The answer is `whole`; not even its head was sent (`lost`);
            the connection is `closed` or `reset`; it `stalls` until the client gives up; or spaces follow without end.
    """

    share: float = 1.0
    parts: int = 1
    pause: float = 0.0
    ends: Ending = "whole"


WHOLE = Delivery()

#: Changes an answer, knowing those that the same path gave before (whatever the query was), oldest first, and the
#: base URL of a server that is not the API.
Change = Callable[[Answer, Sequence[Answer], str], Answer]


def _same(answer: Answer, earlier: Sequence[Answer], stranger: str) -> Answer:
    return answer


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Args:
        name: how it is called.
        says: what happens.
        change: what it does to the answer.
        delivery: what it does to the bytes.
        reaches: whether the API gets the request, and executes it.
    """

    name: str
    says: str
    change: Change = _same
    delivery: Delivery = WHOLE
    reaches: bool = True


_JSON = (("Content-Type", "application/json"),)
_HTML = (("Content-Type", "text/html; charset=utf-8"),)
_PAGE = b"<!doctype html><title>Sorry</title><h1>Something went wrong</h1>"


def _says(status: int, message: str, **headers: str) -> Change:
    body = json.dumps({"error": {"message": message, "type": "chaos", "code": None}}).encode()
    return lambda *_: Answer(status, _JSON, body).with_headers(**headers)


def _later(*, skew: float) -> Change:
    """429 whose Retry-After is a date a second ahead, by a clock that is `skew` seconds off."""

    def change(*_: object) -> Answer:
        now = time.time() + skew
        dates = {
            "Retry_After": email.utils.formatdate(now + 1, usegmt=True),
            "Date": email.utils.formatdate(now, usegmt=True),
        }
        return Answer(429, _JSON, b"{}").with_headers(**dates)

    return change


def _with_body(make: Callable[[], bytes], *headers: tuple[str, str], status: int = 200) -> Change:
    return lambda *_: Answer(status, headers or _JSON, make())


@cache
def _bomb() -> bytes:
    """A gzip file (RFC 1952) of one block that comes again and again: to compress all 300 MiB would take seconds."""
    spaces, sum_ = b" " * _MIB, 0
    for _ in range(BOMB):
        sum_ = zlib.crc32(spaces, sum_)
    packer = zlib.compressobj(wbits=-15)
    block = packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH)
    head, end = b"\x1f\x8b\x08" + bytes(6) + b"\xff", zlib.compressobj(wbits=-15).flush()
    return head + block * BOMB + end + struct.pack("<II", sum_, BOMB * _MIB)


def _first_again(answer: Answer, earlier: Sequence[Answer], stranger: str) -> Answer:
    return earlier[0] if earlier else answer


def _last_again(answer: Answer, earlier: Sequence[Answer], stranger: str) -> Answer:
    return earlier[-1] if earlier else answer


def _shifted(answer: Answer, earlier: Sequence[Answer], stranger: str) -> Answer:
    """The last row of the page before comes once more, as when a row was inserted at the head of the list."""
    if not earlier:
        return answer
    body, before = json.loads(answer.body), json.loads(earlier[-1].body)
    rows, rows_before = next(_lists(body), None), next(_lists(before), None)
    if rows is None or not rows_before:
        return answer
    rows.insert(0, rows_before[-1])
    return replace(answer, body=_compact(body))


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _lists(value: Any) -> Iterator[list[Any]]:
    """The lists of objects in a JSON value, outermost first."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _lists(inner)


def _foreign_links(answer: Answer, earlier: Sequence[Answer], stranger: str) -> Answer:
    """All URLs in the body and in Link point to another server."""
    headers = tuple((k, f'<{stranger}/next>; rel="next"' if k.lower() == "link" else v) for k, v in answer.headers)
    try:
        body = _compact(_elsewhere(json.loads(answer.body), stranger))
    except ValueError:
        body = answer.body
    return Answer(answer.status, headers, body)


def _elsewhere(value: Any, stranger: str) -> Any:
    match value:
        case dict():
            return {k: _elsewhere(v, stranger) for k, v in value.items()}
        case list():
            return [_elsewhere(v, stranger) for v in value]
        case str() if value.startswith(("http://", "https://")):
            return f"{stranger}/next"
    return value


def _redirect(answer: Answer, earlier: Sequence[Answer], stranger: str) -> Answer:
    return Answer(307, (("Location", f"{stranger}/elsewhere"),), b"")


_ALL = (
    Fault("429", "429 without a word on when to come back", _says(429, "slow down"), reaches=False),
    Fault("429 seconds", "429, Retry-After in seconds", _says(429, "slow down", Retry_After="1"), reaches=False),
    Fault("429 date", "429, Retry-After as a date", _later(skew=0), reaches=False),
    Fault("429 ms", "429, retry-after-ms", _says(429, "slow down", retry_after_ms="50"), reaches=False),
    Fault("429 skewed", "429, Retry-After as a date by a clock that is a day ahead", _later(skew=SKEW), reaches=False),
    Fault("429 nonsense", "429, Retry-After: soon", _says(429, "slow down", Retry_After="soon"), reaches=False),
    Fault("429 years", "429, Retry-After of ten years", _says(429, "no", Retry_After="315360000"), reaches=False),
    Fault("500", "500 before anything is done", _says(500, "the server had an error"), reaches=False),
    Fault("500 late", "500 after the request was executed", _says(500, "the server had an error")),
    Fault("503 seconds", "503, Retry-After in seconds", _says(503, "busy", Retry_After="1"), reaches=False),
    Fault("504 late", "a gateway that gave up while the request was executed", _says(504, "timeout")),
    Fault("reset", "the connection is reset when the answer would begin", delivery=Delivery(0, ends="lost")),
    Fault("reset in body", "the connection is reset in the middle of the body", delivery=Delivery(0.5, ends="reset")),
    Fault("truncated", "the body ends before its Content-Length", delivery=Delivery(0.5, ends="closed")),
    Fault("stalls", "half of the body comes, and then nothing more", delivery=Delivery(0.5, ends="stalls")),
    Fault("slow", "the body comes in small parts", delivery=Delivery(parts=20, pause=0.01)),
    Fault("endless", "spaces follow the body without end", delivery=Delivery(ends="endless")),
    Fault("not JSON", "the body is JSON up to its middle", lambda a, *_: replace(a, body=a.body[: len(a.body) // 2])),
    Fault("empty", "200 without a body", _with_body(lambda: b"")),
    Fault("null", "200 with null as the body", _with_body(lambda: b"null")),
    Fault("deep", "JSON of 200,000 levels", _with_body(lambda: b"[" * 200_000 + b"]" * 200_000)),
    Fault("gzip bomb", "300 MiB of spaces in little space", _with_body(_bomb, *_JSON, ("Content-Encoding", "gzip"))),
    Fault("bad gzip", "a body that is no gzip", _with_body(lambda: b"\x1f\x8bnothing", ("Content-Encoding", "gzip"))),
    Fault("HTML error", "502 with a page for people", _with_body(lambda: _PAGE, *_HTML, status=502), reaches=False),
    Fault("HTML", "200 with a page for people, such as a login", _with_body(lambda: _PAGE, *_HTML), reaches=False),
    Fault("wrong type", "JSON that says it is text", lambda a, *_: a.with_headers(Content_Type="text/plain")),
    Fault("loop", "the first page comes again", _first_again),
    Fault("duplicate page", "the page before comes again", _last_again),
    Fault("shifted page", "the page begins with the last row of the one before", _shifted),
    Fault("foreign links", "links point to another server", _foreign_links),
    Fault("foreign redirect", "a redirect to another server", _redirect, reaches=False),
    Fault("skewed clock", "Date is a day ahead", lambda a, *_: a.with_headers(
        Date=email.utils.formatdate(time.time() + SKEW, usegmt=True))),
)  # fmt: skip

#: All faults by name.
FAULTS = {fault.name: fault for fault in _ALL}
