"""Our reader of HTTP/1.1 against two others: h11, and httptools, which is llhttp. The differences are a table."""

from __future__ import annotations

import random
from typing import Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.http_answers import answer, cut
from support.http_differences import DIFFERENCES, Difference, check, rows_of
from support.http_readers import bytewise, outcome, read
from support.packages import require_packages

ORACLES = ("h11", "httptools")
RANDOM = st.randoms(use_true_random=False)

_LENGTH = b"content-length: 5\r\n"
_CODING = b"Transfer-Encoding: Chunked\r\n"
ALIKE = (
    b"HTTP/1.1 200 OK\r\n" + _LENGTH + b"\r\nHello",
    b"HTTP/1.1 200\r\n" + _LENGTH + b"\r\nHello",
    b"HTTP/1.1 404 \xc3\xa9t\xe9\r\nX:\r\ny: \t a b \t\r\nx:c\r\nX-Utf: \xc3\xa9\r\nx-latin: \xe9\r\n"
    + _LENGTH
    + b"\r\nHello",
    b"HTTP/1.1 200 OK\r\nConnection: x , CLOSE\r\n" + _LENGTH + b"\r\nHello",
    b"HTTP/1.1 200 OK\r\nconnection: closed\r\n" + _LENGTH + b"\r\nHello",
    b"HTTP/1.1 200 OK\r\n" + _LENGTH + b"\r\nHello, Sekha",  # more than its length says
    b"HTTP/1.1 200 OK\r\n" + _LENGTH + b"\r\nHell",  # less
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 000000000000000005\r\n\r\nHello",
    b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\nuntil its end",
    b"HTTP/1.0 200 OK\r\n\r\nuntil its end",
    b"HTTP/1.0 200 OK\r\n" + _LENGTH + b"\r\nHello",
    b"HTTP/1.0 200 OK\r\n" + _CODING + b"\r\n1\r\na\r\n0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n" + _CODING + b"\r\n",
    b"HTTP/1.1 304 Not Modified\r\n" + _LENGTH + b"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 201 Created\r\n"
    + _LENGTH
    + b"\r\nHello",
    b"HTTP/1.1 100 Continue\r\n" + _LENGTH + b"\r\nHTTP/1.1 200 OK\r\n\r\nuntil its end",
    b"HTTP/1.1 200 OK\r\n" + _CODING + b'\r\n5\r\nHello\r\n00A;a;b=c;d="e f"\r\n0123456789\r\n0\r\n\r\n',
    b"HTTP/1.1 200 OK\r\n" + _CODING + b"\r\n4\r\n\r\n\r\n\r\n0;a\r\nx-sum: 1\r\ny:\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + _CODING + b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\n" + _CODING + b"\r\nffffffffffffffff\r\nHello",
)
"""Answers that all three take in the same way."""
REFUSED = (
    *(
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
    ),
    *(
        b"HTTP/1.1 200OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"no HTTP\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
    ),
    *(
        b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % line
        for line in (b"a", b": a", b"a : b", b" a: b", b"a b: c", b"a: \x00", b"a: b\rc")
    ),
    *(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % line for line in (b"\xe9: a", b'"a": b', b"a\x01: b", b"a: b\r\r\nc: d")),
    *(
        b"HTTP/1.1 200 OK\r\ncontent-length:%s\r\n\r\n" % it
        for it in (b"", b" +5", b" -5", b" 0x5", b" 5 5", b" 5,6", b" \xd9\xa5")
    ),
    b"HTTP/1.1 200 OK\r\n" + _LENGTH + b"content-length: 6\r\n\r\nHello!",
    b"HTTP/1.1 100 Continue\r\ncontent-length: x\r\n\r\n",
    *(
        b"HTTP/1.1 200 OK\r\n" + _CODING + b"\r\n" + it
        for it in (b"x\r\n", b"-1\r\n", b" 1\r\n", b"0x1\r\n", b"\r\n", b"1 ;a\r\n", b"1_0\r\n")
    ),
    *(
        b"HTTP/1.1 200 OK\r\n" + _CODING + b"\r\n" + it
        for it in (b"1\r\nab\r\n", b"1\r\naXX0\r\n\r\n", b"1\na\r\n", b"1;a\n")
    ),
    *(b"HTTP/1.1 200 OK\r\n" + _CODING + b"\r\n0\r\n" + it for it in (b"a\r\n\r\n", b" a: b\r\n\r\n")),
)
"""Answers that none of the three takes."""
UNFINISHED = tuple(
    start + line
    for start in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n" + _CODING + b"\r\n0\r\n")
    for line in (b"a: b\rc", b"a: b\nc", b"a: b\r\rc", b"a: b\r\nc: d\r", b"a: b\x00")
)
"""Heads and trailers without an end."""


def require(*oracles: str) -> None:
    """Skip a test if it compares with something that is not there."""
    require_packages("test", *oracles)
    if "h11" in oracles:
        h11 = pytest.importorskip("h11")
        if tuple(map(int, h11.__version__.split(".")[:2])) < (0, 16):
            pytest.skip("h11 before 0.16 takes any two bytes for the line end after a chunk")


def title(row: Difference) -> str:
    return row.reason


# The table


@pytest.mark.parametrize("row", DIFFERENCES, ids=title)
def test_the_example_of_a_difference_belongs_to_no_other(row: Difference) -> None:
    assert rows_of(row.example) == [row]
    assert (row.h11, row.httptools) != ("same", "same")
    assert outcome(read("ours", bytewise(row.example, False))) == row.ours


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("row", DIFFERENCES, ids=title)
def test_a_difference_is_there(row: Difference, oracle: str) -> None:
    """A row whose difference is gone has to go as well."""
    require(oracle)
    expected = getattr(row, oracle)
    assert expected != row.ours
    assert outcome(read(oracle, bytewise(row.example, False))) == (row.ours if expected == "same" else expected)


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("data", ALIKE)
def test_what_is_not_in_the_table_is_taken_in_the_same_way(data: bytes, is_closed: bool, oracle: str) -> None:
    require(oracle)
    assert check(data, is_closed, [oracle]) == []
    assert read(oracle, bytewise(data, False)).ending != "error"


@pytest.mark.parametrize("reader", ["ours", *ORACLES])
@pytest.mark.parametrize("data", REFUSED)
def test_what_none_takes_is_refused(data: bytes, reader: str) -> None:
    require(*{reader} & {*ORACLES})
    assert read(reader, bytewise(data, True)).ending == "error"


@pytest.mark.parametrize("control", [*range(9), *range(11, 32), 127])
def test_no_line_contains_a_control_character(control: int) -> None:
    """Neither where h11 takes it nor where httptools does; a tab is allowed."""
    chunked = b"HTTP/1.1 200 OK\r\n" + _CODING + b"\r\n"
    for start, end in (
        (b"HTTP/1.1 200 O", b"K\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\na: b", b"\r\n\r\n"),
        (chunked + b"0;a", b"\r\n\r\n"),
        (chunked + b"0\r\na: b", b"\r\n\r\n"),
    ):
        assert read("ours", [start + bytes([control]) + end]).ending == "error"
        assert read("ours", [start + b"\t" + end]).ending != "error"


@pytest.mark.parametrize("oracle", ORACLES)
def test_a_kelvin_sign_is_no_k(oracle: str) -> None:
    """As text in lower case it is one."""
    require(oracle)
    data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chun\xe2\x84\xaaed\r\n\r\n0\r\n\r\n"
    check(data, False, [oracle])
    assert read("ours", [data]).ending == "error"


# Any answers


@pytest.mark.parametrize("oracle", ORACLES)
@given(chance=RANDOM, is_closed=st.booleans())
def test_an_answer_differs_by_the_table_only(oracle: str, chance: random.Random, is_closed: bool) -> None:
    require(oracle)
    check(answer(chance), is_closed, [oracle])


@given(chance=RANDOM, is_closed=st.booleans())
def test_nothing_is_accepted_that_both_refuse(chance: random.Random, is_closed: bool) -> None:
    require(*ORACLES)
    check(answer(chance), is_closed)


# Cuts


@pytest.mark.parametrize("is_closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize(
    "data", [*ALIKE, *REFUSED, *UNFINISHED, *(row.example for row in DIFFERENCES if len(row.example) < 200)]
)
def test_a_cut_at_any_byte_changes_nothing(data: bytes, is_closed: bool) -> None:
    end = [b""] * is_closed
    whole = read("ours", [data, *end])._replace(size=None)
    assert read("ours", bytewise(data, is_closed))._replace(size=None) == whole
    for at in range(1, len(data)):
        assert read("ours", [data[:at], data[at:], *end])._replace(size=None) == whole


@given(chance=RANDOM, is_closed=st.booleans())
def test_cuts_at_random_change_nothing(chance: random.Random, is_closed: bool) -> None:
    data = answer(chance)
    results = [read("ours", cut(chance, data, is_closed))._replace(size=None) for _ in range(3)]
    assert results == [read("ours", bytewise(data, is_closed))._replace(size=None)] * 3


# Limits


_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + _CODING + b"\r\n"
_EMPTY = b"content-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        (_HEAD + b"a: b\r\n" * 254 + _EMPTY, _HEAD + b"a: b\r\n" * 255 + _EMPTY),
        tuple(_HEAD + b"a: %s\r\n" % (b"b" * (size - 43)) + _EMPTY for size in (102400, 102401)),
        tuple(b"HTTP/1.1 100 \r\n\r\n" * count + _HEAD + _EMPTY for count in (20, 21)),
        tuple(_CHUNKED + b"1;%s\r\na\r\n0\r\n\r\n" % (b"b" * (size - 6)) for size in (4096, 4097)),
        tuple(_CHUNKED + b"%s1\r\na\r\n0\r\n\r\n" % (b"0" * (digits - 1)) for digits in (16, 17)),
        tuple(_CHUNKED + b"0\r\na:%s\r\n\r\n" % (b"b" * (size - 6)) for size in (16384, 16385)),
        tuple(_HEAD + b"content-length: %s\r\n\r\n" % (b"0" * digits) for digits in (18, 19)),
    ],
    ids=["lines", "head", "1xx", "chunk line", "digits of a chunk", "trailers", "digits of a length"],
)
def test_limits_are_exact_however_an_answer_is_cut(allowed: bytes, refused: bytes) -> None:
    for data, ending in ((allowed, "complete"), (refused, "error")):
        for size in (len(data), 65536, 1000, 1 if len(data) < 20000 else 7):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            assert read("ours", pieces).ending == ending


@pytest.mark.parametrize(
    "endless",
    [
        (b"HTTP/1.1 200 ", b"a"),
        (_HEAD, b"a: b\r\n"),
        (_HEAD + b"a: ", b" "),
        (b"", b"HTTP/1.1 100 \r\n\r\n"),
        (_CHUNKED, b"0"),
        (_CHUNKED + b"1", b" "),
        (_CHUNKED + b"1;", b"a"),
        (_CHUNKED + b"0\r\na: ", b"b"),
        (_CHUNKED + b"0\r\n", b"a:\r\n"),
    ],
)
def test_what_has_no_end_is_an_error_at_a_limit(endless: Tuple[bytes, bytes]) -> None:
    start, part = endless
    pieces = [start, *[part] * (110_000 // len(part))]
    assert read("ours", pieces).ending == "error"
