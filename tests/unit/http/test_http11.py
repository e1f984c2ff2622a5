"""What is said and heard on a connection, byte by byte, without one."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest

from sekha._http.http11 import HTTP11
from sekha._http.models import Headers, HTTPRequest, ProtocolError

HEADERS = Headers([(b"host", b"sekha.test"), (b"authorization", b"Bearer k")])
WHOLE = b"HTTP/1.1 200 OK\r\nX-Twice: a\r\nx-twice: b\r\ncontent-length: 5\r\n\r\nHello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nHe\r\n3\r\nllo\r\n0\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"


def request(content: Optional[bytes] = None, headers: Headers = HEADERS) -> HTTPRequest:
    method = "GET" if content is None else "POST"
    return HTTPRequest(method, "http://sekha.test/base/", "/api", headers, content, {}, None)


def heard(pieces: List[bytes]) -> Tuple[int, str, bytes, HTTP11]:
    """Status, a header and body of an answer that comes in these pieces."""
    http, coming = HTTP11(), iter(pieces)
    http.encode_request(request())
    while (head := http.response_head()) is None:
        http.receive_data(next(coming))
    body = b""
    while True:
        piece = http.next_chunk()
        if piece is None:
            http.receive_data(next(coming))
        elif not piece:
            return head.status, head.headers.get("x-twice", ""), body, http
        else:
            body += piece


def test_a_request_is_said_in_one_go() -> None:
    said = HTTP11().encode_request(request(b"{}"))
    assert said.startswith(b"POST /base/api HTTP/1.1\r\n")
    assert said.endswith(b"\r\n\r\n{}")
    assert b"Bearer k" not in repr(request()).encode()


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\0", b"\r\nx: y"])
def test_what_would_end_a_line_is_refused(end: bytes) -> None:
    for header in ((b"x", b"a" + end + b"b"), (b"x" + end, b"a"), (b"a b", b"x"), (b"", b"x")):
        with pytest.raises(ProtocolError):
            Headers([(b"host", b"a"), header])
    for method, path in (
        ("GET" + end.decode(), "/"),
        ("GET", "/" + end.decode()),
        ("GET", "/ "),
        ("", "/"),
        ("GET", ""),
    ):
        with pytest.raises(ProtocolError):
            HTTP11().encode_request(HTTPRequest(method, "http://sekha.test", path, HEADERS, None, {}, None))


@pytest.mark.parametrize("data", [WHOLE, CHUNKED, EARLY + WHOLE])
def test_an_answer_is_heard_however_its_bytes_are_cut(data: bytes) -> None:
    for cut in range(1, len(data)):
        status, twice, body, http = heard([data[:cut], data[cut:]])
        assert (status, body) == (200, b"Hello")
        assert twice == ("" if data is CHUNKED else "a, b")
        assert http.start_next_cycle()
    assert heard([data[i : i + 1] for i in range(len(data))])[2] == b"Hello"


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    _, _, body, http = heard([b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nHel", b"lo", b""])
    assert body == b"Hello"
    assert not http.start_next_cycle()


def test_what_follows_an_answer_leaves_no_room_for_another_request() -> None:
    assert not heard([WHOLE + b"HTTP/1.1 200 OK\r\n"])[3].start_next_cycle()


def test_an_exchange_that_is_not_over_leaves_no_room_for_another_request() -> None:
    http = HTTP11()
    http.encode_request(request())
    assert not http.start_next_cycle()
    http.receive_data(WHOLE[:-1])
    assert http.response_head()
    assert http.next_chunk() == b"Hell"
    assert not http.start_next_cycle()


@pytest.mark.parametrize(
    "pieces",
    [[b""], [b"HTTP/1.1 200"], [WHOLE[:-1], b""], [CHUNKED[:-2], b""], [b"no HTTP\r\n\r\n"], [b"x" * 200_000]],
)
def test_an_answer_that_breaks_off_or_is_none_is_an_error(pieces: List[bytes]) -> None:
    with pytest.raises(ProtocolError):
        heard([*pieces, b""])


@pytest.mark.promise("C1")
def test_what_came_before_the_connection_broke_is_given() -> None:
    http = HTTP11()
    http.encode_request(request())
    http.receive_data(CHUNKED.replace(b"3\r\nllo", b"no chunk"))
    assert http.response_head()
    assert http.next_chunk() == b"He"
    for _ in range(2):
        with pytest.raises(ProtocolError):
            http.next_chunk()
    assert not http.start_next_cycle()


def test_a_header_that_is_not_utf_8_is_read_as_latin_1() -> None:
    http = HTTP11()
    http.encode_request(request())
    http.receive_data(b"HTTP/1.1 204 No Content\r\nx-utf: \xc3\xa9\r\nx-latin: \xe9\r\n\r\n")
    head = http.response_head()
    assert head is not None
    assert (head.headers["x-utf"], head.headers["x-latin"]) == ("\u00e9", "\u00e9")
