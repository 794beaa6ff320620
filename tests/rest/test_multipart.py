"""Forms as they go on the wire, and files that change under them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import pytest
from python_multipart import parse_form

from provider.errors import DataError, TransportError
from provider.rest.multipart import PIECE, Form, FormBody, LocalFile, Part

#: Names that end a quoted string, a line or a part early where nobody watches.
EVIL = [
    'a"; name="purpose',
    "a\r\nContent-Type: text/html\r\n\r\nx",
    "a\nb",
    'end\\"',
    "back\\",
    "\0nul",
    "--apiql-boundary",
    "größe 🙂.txt",
    "../../etc/passwd",
]


def sent(form: Form) -> tuple[str, bytes]:
    """A form's content type and bytes; they are as many as it says."""

    async def read(body: FormBody) -> bytes:
        return b"".join([chunk async for chunk in body.chunks()])

    with FormBody(form, lambda _: None) as body:
        found = asyncio.run(read(body))
    assert len(found) == body.size
    return body.content_type, found


def parts(content_type: str, body: bytes) -> list[Message]:
    """What Python's own parser of MIME finds in a form."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    return list(BytesParser(policy=HTTP).parsebytes(head + body).iter_parts())


@pytest.mark.parametrize("name", EVIL)
def test_a_files_name_stays_within_its_quotes(name: str) -> None:
    form = Form((Part("purpose", b"batch"), Part("file", b"content", name)))
    content_type, body = sent(form)
    lines = body.split(b"\r\n")
    heads = [line for line in lines if line.lower().startswith(b"content-")]
    assert len(heads) == 3, "a name made a line of its own"
    assert heads[1].count(b'"') == 4
    assert b"\\" not in heads[1]
    found = parts(content_type, body)
    assert [p.get_param("name", header="content-disposition") for p in found] == ["purpose", "file"]
    assert [p.get_payload(decode=True) for p in found] == [b"batch", b"content"]


@pytest.mark.parametrize("name", EVIL)
def test_a_server_finds_the_same_parts_whatever_a_file_is_called(name: str) -> None:
    content_type, body = sent(Form((Part("purpose", b"batch"), Part("file", b"content", name))))
    fields, files = {}, {}
    headers = {"Content-Type": content_type.encode(), "Content-Length": str(len(body)).encode()}

    class Stream:
        def __init__(self) -> None:
            self.left = body

        def read(self, size: int) -> bytes:
            found, self.left = self.left[:size], self.left[size:]
            return found

    def on_file(file: object) -> None:
        file.file_object.seek(0)  # type: ignore[attr-defined]
        files[file.field_name] = file.file_object.read()  # type: ignore[attr-defined]

    parse_form(headers, Stream(), lambda f: fields.update({f.field_name: f.value}), on_file)
    assert (fields, files) == ({b"purpose": b"batch"}, {b"file": b"content"})


def test_a_local_file_is_sent_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    content = os.urandom(2 * PIECE + 7) + b"\r\n--apiql-"
    path.write_bytes(content)
    told: list[int] = []
    with FormBody(Form((Part("file", LocalFile.at(str(path)), "a.bin"),)), told.append) as body:
        content_type = body.content_type
        found = asyncio.run(_read(body))
    (part,) = parts(content_type, found)
    assert part.get_payload(decode=True) == content
    assert sum(told) == len(content)
    assert len(told) == 3


async def _read(body: FormBody) -> bytes:
    return b"".join([chunk async for chunk in body.chunks()])


def test_a_form_can_be_sent_again_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello")
    with FormBody(Form((Part("file", LocalFile.at(str(path)), "a"), Part("x", b"1"))), lambda _: None) as body:
        assert asyncio.run(_read(body)) == asyncio.run(_read(body))


def test_a_file_that_changed_before_it_was_sent_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello")
    form = Form((Part("file", LocalFile.at(str(path)), "a"),))
    path.write_bytes(b"hello, world")
    with pytest.raises(TransportError, match="has changed since it was looked at") as caught, FormBody(form, print):
        raise AssertionError("it was opened")
    assert not caught.value.sent
    path.unlink()
    with pytest.raises(TransportError, match="No such file"), FormBody(form, print):
        raise AssertionError("it was opened")


@pytest.mark.parametrize("change", ["cut", "rewritten"])
def test_a_file_that_changes_while_it_is_sent_is_never_sent_whole(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 3 * PIECE)
    form = Form((Part("file", LocalFile.at(str(path)), "a"),))

    async def send() -> int:
        size = 0
        async for chunk in body.chunks():
            size += len(chunk)
            if PIECE < size < 2 * PIECE:
                os.truncate(path, PIECE if change == "cut" else 3 * PIECE)
                os.utime(path, ns=(0, 1))
        return size

    with (
        FormBody(form, lambda _: None) as body,
        pytest.raises(TransportError, match="changed while it was sent") as caught,
    ):
        asyncio.run(send())
    assert caught.value.sent


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(DataError, match="no regular file"):
            LocalFile.at(str(path))
    for name in (str(tmp_path / "none"), "a\0b"):
        with pytest.raises(DataError, match="cannot be read"):
            LocalFile.at(name)


def test_a_form_is_told_by_names_and_sizes() -> None:
    form = Form((Part("purpose", b"batch"), Part("file", b"secret content", "a.jsonl")))
    assert str(form) == "multipart/form-data: purpose=batch, file=a.jsonl (14 bytes)"
    assert "secret" not in repr(form)
    assert form.mark == Form(form.parts).mark != Form((form.parts[0], Part("file", b"other", "a.jsonl"))).mark


def test_a_digest_is_of_the_bytes_that_are_sent_and_moves_none(tmp_path: Path) -> None:
    moved: list[int] = []

    async def both(body: FormBody) -> tuple[str, bytes]:
        digest = await body.digest()
        assert moved == []
        return digest, b"".join([chunk async for chunk in body.chunks()])

    (tmp_path / "a").write_bytes(os.urandom(2 * PIECE + 7))
    parts_ = (Part("purpose", b"batch"), Part("file", LocalFile.at(str(tmp_path / "a")), "a"), Part("b", b"x", "b"))
    with FormBody(Form(parts_), moved.append) as body:
        digest, content = asyncio.run(both(body))
    assert digest == hashlib.sha256(content).hexdigest()
    assert sum(moved) == 2 * PIECE + 8


def test_a_file_that_changes_before_its_form_is_signed_was_not_sent(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    with FormBody(Form((Part("file", LocalFile.at(str(tmp_path / "a")), "a"),)), lambda _: None) as body:
        (tmp_path / "a").write_bytes(b"x" * 10)
        with pytest.raises(TransportError, match="has changed") as raised:
            asyncio.run(body.digest())
    assert not raised.value.sent
