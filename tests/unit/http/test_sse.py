"""Server-sent events are the same events however their bytes are cut (C2, C3, S5)."""

from __future__ import annotations

from typing import Iterable, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._http.sse import Event, EventDecoder, EventTooLong

NO_LINE_ENDS = "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e"


def decoded(pieces: Iterable[bytes], limit: int = 1 << 20) -> List[Event]:
    decoder = EventDecoder(limit)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + list(decoder.finish())


def cut(data: bytes, places: Iterable[int]) -> List[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:])]


@pytest.mark.promise("C2")
@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"data: hello\n\n", [("hello", "")]),
        (b"data:hello\n\n", [("hello", "")]),
        (b"data:  hello\n\n", [(" hello", "")]),
        (b"data: hello\r\n\r\n", [("hello", "")]),
        (b"data: hello\r\r", [("hello", "")]),
        (b"data: a\r\ndata: b\rdata: c\n\n", [("a\nb\nc", "")]),
        (b"\xef\xbb\xbfdata: hello\n\n", [("hello", "")]),
        (b"data: \xef\xbb\xbfhello\n\n", [("\ufeffhello", "")]),
        (b"data: one\ndata: two\n\n", [("one\ntwo", "")]),
        (b"data: one\ndata:\ndata: two\n\n", [("one\n\ntwo", "")]),
        (b"data\n\ndata\ndata\n\n", [("", ""), ("\n", "")]),  # the example of the standard
        (b"event: error\ndata: {}\n\n", [("{}", "error")]),
        (b"event: error\n\n", [("", "error")]),
        (b"event: error\n\ndata: x\n\n", [("", "error"), ("x", "")]),
        (b": comment\n\ndata: hello\n\n", [("hello", "")]),
        (b"id: 7\nretry: 1000\ndata: hello\n\n", [("hello", "")]),
        (b"Data: no\ndatas: no\n data: no\ndata: hello\n\n", [("hello", "")]),
        (b"data: a: b\n\n", [("a: b", "")]),
        (b"data: the blank line is missing\n", [("the blank line is missing", "")]),
        (b"data: no line end at all", [("no line end at all", "")]),
        (b"data: x\n\ndata: y", [("x", ""), ("y", "")]),
        (b"\n\n\n", []),
        (b"", []),
        (f"data: {NO_LINE_ENDS}\n\n".encode(), [(NO_LINE_ENDS, "")]),
    ],
)
def test_lines_become_events(wire: bytes, events: List[Tuple[str, str]]) -> None:
    expected = [Event(data, name) for data, name in events]
    assert decoded([wire]) == expected
    assert decoded(wire[i : i + 1] for i in range(len(wire))) == expected, "in single bytes"


data_lines = st.text(st.one_of(st.sampled_from(NO_LINE_ENDS + " :{}\ufeff\U0001f600é"), st.characters(codec="utf-8")))
one_line = data_lines.map(lambda text: text.replace("\r", "").replace("\n", ""))


@st.composite
def streams(draw: st.DrawFn) -> Tuple[bytes, List[Event]]:
    """The bytes of a stream written in every allowed way, and its events."""
    ends = st.sampled_from([b"\n", b"\r", b"\r\n"])
    wire = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    events: List[Event] = []
    for lines in draw(st.lists(st.lists(one_line, min_size=1, max_size=3), max_size=4)):
        name = draw(st.sampled_from(["", "ping", "error", "message"]))
        if name:
            wire += b"event: " + name.encode() + draw(ends)
        for line in lines:
            noise = draw(st.sampled_from([b"", b": keep-alive", b"id: 3", b"retry: 10", b"unknown: x", b":"]))
            if noise:
                wire += noise + draw(ends)
            space = b" " if line.startswith(" ") else draw(st.sampled_from([b" ", b""]))
            end = draw(ends)
            wire += b"data:" + space + line.encode() + end
        # After a lone CR, an LF would belong to it.
        wire += b"\r" if wire.endswith(b"\r") else draw(ends)
        if wire.endswith(b"\r\r"):
            wire += b": so that no LF follows\r"
        events.append(Event("\n".join(lines), name))
    return wire, events


@pytest.mark.promise("C2")
@given(streams(), st.lists(st.integers(0, 5000), max_size=8))
def test_the_events_do_not_depend_on_how_the_bytes_are_cut(
    stream: Tuple[bytes, List[Event]], places: List[int]
) -> None:
    wire, events = stream
    assert decoded([wire]) == events
    assert decoded(cut(wire, places)) == events
    assert decoded(wire[i : i + 1] for i in range(len(wire))) == events


@pytest.mark.promise("C2")
@given(st.binary(), st.lists(st.integers(0, 5000), max_size=8))
def test_any_bytes_are_taken_and_give_the_same_for_every_cut(wire: bytes, places: List[int]) -> None:
    assert decoded(cut(wire, places)) == decoded([wire])


@given(
    st.lists(st.sampled_from([b"data: x\n\n", b"data: yyyyyyyy\n\n", b": c\n", b"\n", b"data: 12345678901\n\n"])),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_the_limit_of_one_event_does_not_depend_on_how_the_bytes_are_cut(parts: List[bytes], places: List[int]) -> None:
    def outcome(pieces: Iterable[bytes]) -> object:
        try:
            return decoded(pieces, limit=16)
        except EventTooLong:
            return "too long"

    wire = b"".join(parts)
    assert outcome(cut(wire, places)) == outcome([wire])


def test_an_event_of_the_limit_passes_and_one_of_more_is_refused_in_one_piece_and_in_many() -> None:
    fits, too_long = b"data: " + b"x" * 94 + b"\n\n", b"data: " + b"x" * 95 + b"\n\n"
    for pieces in ([fits], [fits[i : i + 1] for i in range(len(fits))]):
        assert decoded(pieces, limit=100) == [Event("x" * 94)]
    for pieces in ([too_long], [too_long[i : i + 1] for i in range(len(too_long))]):
        with pytest.raises(EventTooLong):
            decoded(pieces, limit=100)


def test_many_events_in_one_piece_may_be_longer_than_the_limit_of_one() -> None:
    assert decoded([b"data: 0123456789\n\n" * 50], limit=32) == [Event("0123456789")] * 50


def test_an_endless_line_is_refused_before_it_is_stored() -> None:
    decoder = EventDecoder(limit=1000)
    for _ in range(10):
        assert list(decoder.feed(b"x" * 100)) == []
    with pytest.raises(EventTooLong):
        list(decoder.feed(b"x"))


@pytest.mark.promise("C3")
def test_keep_alives_for_days_are_no_long_event() -> None:
    decoder = EventDecoder(limit=64)
    for _ in range(1000):
        assert list(decoder.feed(b": keep-alive\n")) == []
        assert list(decoder.feed(b": ping\r\n\r\n")) == []
    assert list(decoder.feed(b"data: at last\n\n")) == [Event("at last")]


def test_an_event_comes_as_soon_as_its_last_byte_does() -> None:
    decoder = EventDecoder()
    assert list(decoder.feed(b"data: x\r")) == []
    assert list(decoder.feed(b"\r")) == [Event("x")]
    assert list(decoder.feed(b"\n")) == []
    assert list(decoder.finish()) == []


@pytest.mark.promise("C1")
def test_what_came_before_an_event_that_is_too_long_is_given() -> None:
    events = EventDecoder(limit=50).feed(b"data: a\n\ndata: b\n\ndata: " + b"x" * 100)
    assert [next(events), next(events)] == [Event("a"), Event("b")]
    with pytest.raises(EventTooLong):
        next(events)
