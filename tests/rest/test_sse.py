"""Event streams are read as the WHATWG HTML standard says, section 9.2.6, however their bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.errors import DataError
from provider.rest.sse import LARGEST, Event, Parser

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


def events(*chunks: bytes) -> list[Event]:
    parser = Parser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def told(text: str) -> list[tuple[str, str, str]]:
    return [(e.name, e.data, e.id) for e in events(text.encode())]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("data: one\n\n", [("", "one", "")]),
        ("data:one\n\n", [("", "one", "")]),
        ("data:  two blanks\n\n", [("", " two blanks", "")]),
        ("event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", [("a", "1", ""), ("b", "2", "")]),
        # The standard's own examples.
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [("", "YHOO\n+2\n10", "")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [("", "first event", "1"), ("", "second event", ""), ("", " third event", "")],
        ),
        ("data\n\ndata\ndata\n\ndata:", [("", "", ""), ("", "\n", "")]),
        ("data:test\n\ndata: test\n\n", [("", "test", ""), ("", "test", "")]),
        # Line ends.
        ("data: a\r\ndata: b\r\n\r\n", [("", "a\nb", "")]),
        ("data: a\rdata: b\r\r", [("", "a\nb", "")]),
        ("data: a\r\n\ndata: b\n\r\n", [("", "a", ""), ("", "b", "")]),
        ("data: a\x0bb\x0c\x1c\u2028c\x85\n\n", [("", "a\x0bb\x0c\x1c\u2028c\x85", "")]),
        # One byte order mark in front is none of the content; a second one is.
        (BOM + "data: a\n\n", [("", "a", "")]),
        (BOM + BOM + "data: a\n\n", []),
        ("data: a" + BOM + "\n\n", [("", "a" + BOM, "")]),
        # The id lasts until another one comes; without data there is no event, and its name is forgotten.
        ("id: 7\ndata: a\n\ndata: b\n\n", [("", "a", "7"), ("", "b", "7")]),
        ("id: 7\n\ndata: b\n\n", [("", "b", "7")]),
        ("id: 7\ndata: a\n\nid: x\0y\ndata: b\n\n", [("", "a", "7"), ("", "b", "7")]),
        ("event: lost\n\ndata: a\n\n", [("", "a", "")]),
        # Field names are exact; what is no field means nothing.
        ("Data: a\n data: b\nfoo: c\n:data: d\ndata: e\n\n", [("", "e", "")]),
        ("data: a:b: c\n\n", [("", "a:b: c", "")]),
        # What is not ended is no event.
        ("data: whole\n\ndata: half\n", [("", "whole", "")]),
        ("data: whole\n\ndata: half", [("", "whole", "")]),
    ],
)
def test_a_stream_is_read_as_the_standard_says(stream: str, expected: list[tuple[str, str, str]]) -> None:
    assert told(stream) == expected


def test_what_is_no_utf_8_becomes_a_replacement() -> None:
    assert [e.data for e in events(b"data: \xff\xc3\n\n")] == ["\ufffd\ufffd"]


def test_the_time_after_which_one_may_come_back_is_a_number() -> None:
    parser = Parser()
    assert list(parser.feed(b"retry: soon\n\n")) == []
    assert parser.retry is None
    assert list(parser.feed(b"retry: 2500\nretry: 1s\nretry:\n")) == []
    assert parser.retry == 2500


def test_an_id_counts_for_coming_back_once_its_event_has_ended() -> None:
    parser = Parser("6")
    list(parser.feed(b"id: 7\ndata: half"))
    assert (parser.last_id, parser.unfinished) == ("6", "half")
    list(parser.feed(b"\n\n"))
    assert (parser.last_id, parser.unfinished) == ("7", None)


def test_an_event_is_there_with_its_last_byte() -> None:
    for stream in (b"data: a\n\n", b"data: a\r\n\r\n", b"data: a\r\r"):
        parser = Parser()
        assert list(parser.feed(stream[:-2])) == []
        arrived = [len(list(parser.feed(bytes([byte])))) for byte in stream[-2:]]
        assert sum(arrived) == 1, stream
        assert list(parser.feed(b"\n" if stream.endswith(b"\r") else b"")) == []


def test_an_endless_event_is_refused() -> None:
    parser = Parser()
    for _ in range(16):
        assert list(parser.feed(b"data: " + b"x" * (LARGEST // 16 - 6) + b"\n")) == []
    with pytest.raises(DataError, match="larger than"):
        list(parser.feed(b"d"))


def test_comments_that_keep_a_connection_alive_are_no_load() -> None:
    parser = Parser()
    for _ in range(20):
        assert list(parser.feed(b":" + b"x" * 2**20 + b"\n")) == []
    assert [e.data for e in parser.feed(b"data: a\n\n")] == ["a"]


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["", "", "data", "data: a", "event: n", "id: 1", "id", "retry: 5", ": x", "data:  \u20ac", BOM]
        ),
        st.text(alphabet=st.characters(codec="utf-8"), max_size=8),
    ),
    max_size=30,
)


@given(
    lines=LINES,
    ends=st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=30, max_size=30),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_how_the_bytes_are_cut_makes_no_difference(lines: list[str], ends: list[str], cuts: list[int]) -> None:
    stream = "".join(line + end for line, end in zip(lines, ends, strict=False)).encode()
    places = [0, *sorted(min(c, len(stream)) for c in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert events(*pieces) == events(stream)
    assert events(*(bytes([byte]) for byte in stream)) == events(stream)


@given(st.lists(st.tuples(st.from_regex(r"[a-z.]{0,8}", fullmatch=True), st.text(max_size=30).filter(str.isprintable))))
def test_what_was_written_is_read(written: list[tuple[str, str]]) -> None:
    stream = "".join(f"event: {name}\ndata: {data}\n\n" for name, data in written)
    assert [(e.name, e.data) for e in events(stream.encode())] == written
