# Generated from tests/_async/test_http11.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""What a server may say in HTTP/1.1, over real sockets: whatever can be read in two ways is an error, and nothing that
is left of an exchange reaches the next one. The unit tests of the reader cut answers at every byte."""

from __future__ import annotations

import contextlib
import gc
import re
import ssl
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from sekha import (
    SekhaClient,
    SekhaAPIError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaTimeoutError,
)
from sekha._sync.http import connection, network
from sekha._http import http11, sockets
from sekha._http.models import ProtocolError
from sekha.testing._sockets import ReceivedRequest, SocketServer
from support import facts
from support.calls import CALLS
from support.certificates import Certificates
from support.facts import MESSAGES
from support.faults import INTERRUPTIONS, listening, reset
from support.interrupting import Interruption, interrupted_at
from support.nobody import Unreachable
from support.replies import DROP, HANG, RESET, answer, chunked, delta, lie, raw
from support.server import FakeServer, Reply, Step, eventually

from .conftest import MakeClient

METRICS, CHAT = "GET /metrics", "POST /v1/chat/completions"
OK = b"HTTP/1.1 200 OK"
BODY = b"sekha_up 1\n"
LENGTH = b"content-length: 11"
CHUNKED = b"transfer-encoding: chunked"
CHUNKS = b"5\r\nsekha\r\n6\r\n_up 1\n\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
CONTROLS = [bytes([code]) for code in (*range(0x20), 0x7F) if code not in b"\t\r\n"]

READ_SIZE = "sekha._http.sockets._READ_SIZE"
LARGE, FEW, ONE = 1 << 20, 3, 1
"""Bytes that are read at a time: with one, the rest of what has arrived is always kept somewhere on its way."""


def reply(*fields: bytes, line: bytes = OK, body: bytes = BODY) -> bytes:
    """The bytes of an answer."""
    return b"\r\n".join((line, *fields, b"", body))


def with_length(body: bytes = BODY) -> bytes:
    """The bytes of an answer with a length."""
    return reply(b"content-length: %d" % len(body), body=body)


class Talk:
    """
    A client and a server that says what it is told, to the end of the test.

    Args:
        client: The client, which repeats nothing.
        server: The server.
        monkeypatch: For the size of reads.
    """

    def __init__(self, client: SekhaClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.server = server
        self._monkeypatch = monkeypatch

    def read_at_most(self, size: int) -> None:
        """From now on the client reads so many bytes at a time."""
        self._monkeypatch.setattr(READ_SIZE, size)

    def says(self, *steps: Step, end: Any = "keep") -> tuple[int, str]:
        """The status and the text that a client reads; after that, an end of the connection is waited for."""
        self.server.on(METRICS, raw(*steps, end=end))
        try:
            return 200, self.client.controller.metrics()
        except SekhaAPIError as error:
            return error.status_code or 0, str(error)
        finally:
            if end in ("close", "goodbye", "reset"):
                eventually(lambda: self.server.open_connections == 0)

    def is_read(self, *steps: Step, text: bytes = BODY, end: Any = "keep", small: int = FEW) -> None:
        """Whether bytes are an answer with this text, however they are cut."""
        for size in (LARGE, small):
            self.read_at_most(size)
            assert self.says(*steps, end=end) == (200, text.decode())

    def is_refused(self, *steps: Step, end: Any = "hang", small: int = FEW) -> None:
        """Whether bytes are an error, however they are cut, after which the client closes the connection."""
        for size in (LARGE, small):
            self.read_at_most(size)
            with pytest.raises(SekhaConnectionError) as caught:
                self.says(*steps, end=end)
            assert type(caught.value.__cause__) is ProtocolError
            assert caught.value.sent
            eventually(lambda: self.server.open_connections == 0)

    @property
    def connections(self) -> list[int]:
        """The connection that each request came by."""
        return [seen.connection for seen in self.server.seen]


@pytest.fixture
def talk(make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Talk:
    return Talk(make(max_retries=0, timeout=2.0), server, monkeypatch)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> ssl.SSLContext:
    return certificates.server()


@pytest.fixture
def safe(tls: ssl.SSLContext) -> Iterator[FakeServer]:
    """A server that speaks TLS."""
    server = FakeServer(tls=tls)
    yield server
    server.close()
    server.check()


@pytest.fixture
def safe_talk(make: MakeClient, safe: FakeServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Talk:
    client = make(controller_url=safe.url, verify=certificates.ca, max_retries=0, timeout=2.0)
    return Talk(client, safe, monkeypatch)


# 1: protocol and status


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200  two blanks\tand a tab ",
        b"HTTP/1.1 299 Status",
        "HTTP/1.1 200 Très bien".encode(),
        "HTTP/1.1 200 Très bien".encode("latin-1"),
    ],
)
def test_a_first_line_of_http_1_is_read(line: bytes, talk: Talk) -> None:
    talk.is_read(reply(LENGTH, line=line))


@pytest.mark.parametrize("status", [300, 399, 400, 418, 499, 500, 599])
def test_every_status_up_to_599_is_read(status: int, talk: Talk) -> None:
    for size in (LARGE, ONE):
        talk.read_at_most(size)
        found, _ = talk.says(reply(LENGTH, line=b"HTTP/1.1 %d Status" % status))
        assert found == status
    assert talk.connections == [1, 1]


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.2 200 OK",
        b"HTTP/1.10 200 OK",
        b"HTTP/1.01 200 OK",
        b"HTTP/1.9 200 OK",
        b"HTTP/1. 200 OK",
        b"HTTP/1 200 OK",
        b"HTTP/01.1 200 OK",
        b"HTTP/0.9 200 OK",
        b"HTTP/2 200 OK",
        b"HTTP/2.0 200 OK",
        b"HTTP/11 200 OK",
        b"HTTP/1,1 200 OK",
        b"HTTP/1.\xb9 200 OK",
        b"http/1.1 200 OK",
        b"Http/1.1 200 OK",
        b"HTTPS/1.1 200 OK",
        b"ICY 200 OK",
        b"SIP/2.0 200 OK",
        b" HTTP/1.1 200 OK",
        b"\r\nHTTP/1.1 200 OK",
        b"\xef\xbb\xbfHTTP/1.1 200 OK",
        b"GET / HTTP/1.1",
        b"200 OK",
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 OK",
        b"HTTP/1.1\t200 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 200\tOK",
        b"HTTP/1.1 000 Status",
        b"HTTP/1.1 099 Status",
        b"HTTP/1.1 600 Status",
        b"HTTP/1.1 999 Status",
        b"HTTP/1.1 0 Status",
        b"HTTP/1.1 2 Status",
        b"HTTP/1.1 20 Status",
        b"HTTP/1.1 2000 Status",
        b"HTTP/1.1 0200 Status",
        b"HTTP/1.1 +200 Status",
        b"HTTP/1.1 -200 Status",
        b"HTTP/1.1 2.0 Status",
        b"HTTP/1.1 2_0 Status",
        b"HTTP/1.1 0x200 Status",
        "HTTP/1.1 ２００ Status".encode(),
        b"HTTP/1.1 \xb2\xb9\xb9 Status",
    ],
)
def test_a_first_line_of_anything_else_is_refused(line: bytes, talk: Talk) -> None:
    talk.is_refused(reply(LENGTH, line=line))


# 2: Transfer-Encoding


@pytest.mark.parametrize(
    "field",
    [
        b"transfer-encoding: chunked",
        b"Transfer-Encoding: Chunked",
        b"TRANSFER-ENCODING:CHUNKED",
        b"transfer-encoding: \t chunked  ",
    ],
)
def test_chunked_is_read_in_any_case(field: bytes, talk: Talk) -> None:
    talk.is_read(reply(field, body=CHUNKS))
    assert talk.server.connections == 1


@pytest.mark.parametrize(
    "fields",
    [
        [b"transfer-encoding:"],
        [b"transfer-encoding: identity"],
        [b"transfer-encoding: gzip"],
        [b"transfer-encoding: gzip, chunked"],
        [b"transfer-encoding: chunked, gzip"],
        [b"transfer-encoding: chunked, chunked"],
        [b"transfer-encoding: chunked, identity"],
        [b"transfer-encoding: chunked,"],
        [b"transfer-encoding: ,chunked"],
        [b"transfer-encoding: chunked;q=1"],
        [b"transfer-encoding: xchunked"],
        [b"transfer-encoding: chunke"],
        [b"transfer-encoding: chunked chunked"],
        [b'transfer-encoding: "chunked"'],
        ["transfer-encoding: chunKed".replace("K", "\u212a").encode()],
        [CHUNKED, CHUNKED],
        [CHUNKED, b"transfer-encoding: identity"],
        [b"transfer-encoding: gzip", CHUNKED],
        [CHUNKED, b"transfer-encoding:"],
    ],
)
def test_any_other_transfer_encoding_is_refused(fields: list[bytes], talk: Talk) -> None:
    for line in (OK, b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content"):
        talk.is_refused(reply(*fields, line=line, body=CHUNKS))


# 3: Content-Length


@pytest.mark.parametrize(
    "fields",
    [
        [b"content-length: 11"],
        [b"Content-Length:11"],
        [b"content-length: \t11 \t"],
        [b"content-length: 000000000000000011"],
        [b"content-length: 11, 11"],
        [b"content-length: 11,11\t,  11"],
        [LENGTH, b"Content-Length: 11"],
        [LENGTH, b"x: y", LENGTH, LENGTH],
    ],
)
def test_a_length_is_read(fields: list[bytes], talk: Talk) -> None:
    talk.is_read(reply(*fields))
    assert talk.server.connections == 1


@pytest.mark.parametrize(
    "fields",
    [
        [b"content-length:"],
        [b"content-length: 0000000000000000011"],
        [b"content-length: 1000000000000000000"],
        [b"content-length: +11"],
        [b"content-length: -11"],
        [b"content-length: - 11"],
        [b"content-length: 1 1"],
        [b"content-length: 1_1"],
        [b"content-length: 11.0"],
        [b"content-length: 11;"],
        [b"content-length: 0xb"],
        [b"content-length: b"],
        [b"content-length: 1e1"],
        [b"content-length: \xb9\xb9"],
        ["content-length: １１".encode()],
        ["content-length: ١١".encode()],
        [b"content-length: 11, 12"],
        [b"content-length: 11, 11, 12"],
        [b"content-length: 11, 011"],
        [b"content-length: 11,"],
        [b"content-length: , 11"],
        [b"content-length: 11,, 11"],
        [b"content-length: 11, chunked"],
        [LENGTH, b"content-length: 12"],
        [LENGTH, b"content-length:"],
        [LENGTH, CHUNKED],
        [CHUNKED, LENGTH],
        [CHUNKED, b"content-length: 0"],
        [LENGTH, b"transfer-encoding: identity"],
    ],
)
def test_any_other_length_is_refused(fields: list[bytes], talk: Talk) -> None:
    for line in (OK, b"HTTP/1.1 304 Not Modified"):
        talk.is_refused(reply(*fields, line=line, body=CHUNKS if CHUNKED in fields else BODY))


# 4: limits. What is behind a limit is refused before its end is there.

KIB = 1024


def head_of(size: int, line: bytes = OK, field: bytes = LENGTH) -> bytes:
    """The bytes of a head of so many bytes, with its empty line."""
    start = reply(field, b"x: ", line=line, body=b"")
    return start.replace(b"x: ", b"x: " + b"y" * (size - len(start)))


def test_a_head_of_100_kib_is_read(talk: Talk) -> None:
    data = head_of(100 * KIB)
    assert len(data) == 100 * KIB
    talk.is_read(data + BODY, small=1000)
    talk.is_read(*(data[at : at + 5000] for at in range(0, len(data), 5000)), BODY, small=1000)
    interim = head_of(100 * KIB, b"HTTP/1.1 103 Early Hints")
    talk.is_read(interim * 3 + data + BODY, small=1000)


@pytest.mark.parametrize("line", [OK, b"HTTP/1.1 103 Early Hints"])
def test_a_head_of_a_byte_more_is_refused(line: bytes, talk: Talk) -> None:
    data = head_of(100 * KIB + 1, line)
    talk.is_refused(data + BODY, small=1000)
    talk.is_refused(*(data[at : at + 5000] for at in range(0, len(data), 5000)), BODY, small=1000)
    talk.is_refused(INTERIM + data + BODY, small=1000)


def test_a_head_without_an_end_is_refused(talk: Talk) -> None:
    talk.is_refused(head_of(100 * KIB + 5)[:-4], small=1000)
    talk.is_refused(OK + b"\r\n" + b"x: y\r\n" * (100 * KIB // 6), small=1000)


def test_a_head_of_256_lines_is_read_and_one_of_257_is_refused(talk: Talk) -> None:
    lines = [b"x: y"] * 254  # and two more
    talk.is_read(reply(LENGTH, *lines))
    talk.is_refused(reply(LENGTH, *lines, b"x: y"))
    talk.is_refused(reply(LENGTH, *lines, b"x: y", line=b"HTTP/1.1 103 Early Hints") + with_length())


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_twenty_interim_answers_are_passed_over_and_21_are_refused(status: int, talk: Talk) -> None:
    interim = INTERIM.replace(b"103", b"%d" % status)
    talk.is_read(interim * 20 + with_length())
    talk.is_read(*[interim] * 20, with_length())
    talk.is_refused(interim * 21)
    talk.is_refused(*[interim] * 21, with_length())


def sized(size: int) -> bytes:
    """The line with the size of the last chunk, of so many bytes with the line end before it and its own."""
    return b"0;" + b"x" * (size - 6) + b"\r\n"


@pytest.mark.parametrize("data", [b"5\r\nsekha\r\n6\r\n_up 1\n\r\n", b""], ids=["behind others", "the first"])
def test_a_line_of_4_kib_before_a_chunk_is_read_and_a_longer_one_is_refused(data: bytes, talk: Talk) -> None:
    text = BODY if data else b""
    talk.is_read(reply(CHUNKED, body=data + sized(4 * KIB) + b"\r\n"), text=text, small=7)
    talk.is_refused(reply(CHUNKED, body=data + sized(4 * KIB + 1) + b"\r\n"), small=7)
    talk.is_refused(reply(CHUNKED, body=data + sized(4 * KIB + 5)[:-2]), small=7)


@pytest.mark.parametrize(
    ("size", "good"),
    [
        (b"b", True),
        (b"B", True),
        (b"000000000000000b", True),
        (b"0000000000000000b", False),
        (b"ffffffffffffffff", True),
        (b"10000000000000000", False),
        (b"1ffffffffffffffff", False),
    ],
)
def test_the_size_of_a_chunk_has_16_digits_at_most(size: bytes, good: bool, talk: Talk) -> None:
    if not good:
        talk.is_refused(reply(CHUNKED, body=size + b"\r\n" + BODY + b"\r\n0\r\n\r\n"))
        talk.is_refused(reply(CHUNKED, body=size))
    elif int(size, 16) == len(BODY):
        talk.is_read(reply(CHUNKED, body=size + b"\r\n" + BODY + b"\r\n0\r\n\r\n"))
    else:
        talk.is_refused(reply(CHUNKED, body=size + b"\r\n" + BODY + b"\r\n0\r\n\r\n"), end="close")


def trailers_of(size: int) -> bytes:
    """Fields behind the last chunk, of so many bytes with the empty line."""
    start = b"location: /evil\r\nContent-Length: 5\r\nx: \r\n\r\n"
    return start.replace(b"x: ", b"x: " + b"y" * (size - len(start)))


def test_trailers_of_16_kib_are_dropped_and_longer_ones_are_refused(talk: Talk) -> None:
    whole = reply(CHUNKED, body=CHUNKS[:-2])
    assert len(trailers_of(16 * KIB)) == 16 * KIB
    talk.is_read(whole + trailers_of(16 * KIB), small=7)
    talk.is_read(with_length())
    assert talk.server.connections == 1
    talk.is_refused(whole + trailers_of(16 * KIB + 1), small=7)
    talk.is_refused(whole + trailers_of(16 * KIB + 5)[:-4], small=7)
    talk.is_refused(whole + b"x: y\r\n" * 3000, small=100)


def test_trailers_are_no_headers(talk: Talk) -> None:
    line = b"HTTP/1.1 307 Temporary Redirect"
    _, told = talk.says(reply(CHUNKED, line=line, body=CHUNKS[:-2] + trailers_of(100)))
    assert "redirected to ?" in told
    _, told = talk.says(
        reply(CHUNKED, b"location: /good", line=line, body=CHUNKS[:-2] + b"location: /evil\r\n\r\n")
    )
    assert "redirected to /good;" in told


# 5: lines


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ([b"location: /a"], "/a"),
        ([b"LOCATION:/a"], "/a"),
        ([b"Location: \t /a \t "], "/a"),
        ([b"location: /a b"], "/a b"),
        ([b"location: /a", b"x: y", b"Location: /b"], "/a, /b"),
        ([b"location: /a", b"location:", b"location: /b"], "/a, , /b"),
        ([b"location:"], "?"),
        ([b"location: \t "], "?"),
        ([b"x:", b"location: /a"], "/a"),
        (["location: /caf\u00e9".encode()], "/caf\u00e9"),
        (["location: /caf\u00e9".encode("latin-1")], "/caf\u00e9"),
        (["location: /\u65e5\u672c".encode()], "/\u65e5\u672c"),
        ([b"location: /\x80"], "/\x80"),
        ([b"location: :/a:b"], ":/a:b"),
        ([b"!#$%&'*+.^_`|~09azAZ-: x", b"location: /a"], "/a"),
    ],
)
def test_fields_are_stripped_joined_and_decoded(fields: list[bytes], value: str, talk: Talk) -> None:
    for size in (LARGE, ONE):
        talk.read_at_most(size)
        _, told = talk.says(reply(*fields, LENGTH, line=b"HTTP/1.1 307 Temporary Redirect"))
        assert f"redirected to {value}; " in told
    assert talk.server.connections == 1


ODD_LINES: dict[str, bytes] = {
    "no colon": b"x",
    "a blank for a colon": b"x y",
    "an empty name": b": y",
    "a blank before the colon": b"x : y",
    "a tab before the colon": b"x\t: y",
    "a blank in the name": b"x y: z",
    "a blank before the name": b" x: y",
    "a tab before the name": b"\tx: y",
    "a folded line": b"x: y\r\n z",
    "a line folded by a tab": b"x: y\r\n\tz",
    "a folded line of nothing": b"x: y\r\n ",
    "a bare LF": b"x: y\nz: a",
    "a bare LF at the end": b"x: y\n",
    "a bare CR": b"x: y\rz: a",
    "a bare CR at the end": b"x: y\r",
    "a bare CR before a blank": b"x: y\r z",
    "a bare CR for a name": b"\r: y",
    "LF and CR": b"x: y\n\rz: a",
    "a name in quotes": b'"x": y',
    "a name in parentheses": b"(x): y",
    "a slash in the name": b"x/y: z",
    "a name in UTF-8": "caf\u00e9: y".encode(),
    "a name in latin-1": "caf\u00e9: y".encode("latin-1"),
    **{f"{control!r} in a value": b"x: y" + control + b"z" for control in CONTROLS},
    **{f"{control!r} for a value": b"x:" + control for control in (b"\x00", b"\x0b", b"\x1b", b"\x7f")},
    **{f"{control!r} in a name": b"x" + control + b"y: z" for control in (b"\x00", b"\x0b", b"\x1b", b"\x7f")},
}


@pytest.mark.parametrize("kind", ODD_LINES)
def test_a_line_that_is_no_field_is_refused(kind: str, talk: Talk) -> None:
    line = ODD_LINES[kind]
    talk.is_refused(reply(LENGTH, line, b"a: b"))
    talk.is_refused(reply(line, LENGTH))
    talk.is_refused(reply(line, line=b"HTTP/1.1 103 Early Hints", body=b"") + with_length())
    talk.is_refused(reply(CHUNKED, body=CHUNKS[:-2] + b"a: b\r\n" + line + b"\r\nc: d\r\n\r\n"))


@pytest.mark.parametrize(
    "data",
    [
        with_length().replace(b"\r\n", b"\n"),
        with_length().replace(b"\r\n", b"\r"),
        with_length().replace(b"\r\n", b"\n\r"),
        with_length().replace(b"\r\n", b"\r\r\n"),
        with_length().replace(b"\r\n", b"\n", 1),
        with_length().replace(b"\r\n\r\n", b"\r\n\n"),
        with_length().replace(b"\r\n\r\n", b"\n\r\n"),
        with_length().replace(b"\r\n\r\n", b"\n\n"),
        with_length().replace(b"\r\n\r\n", b"\r\n\r\r\n"),
        with_length().replace(b"\r\n\r\n", b"\r\n \r\n"),
        *(with_length().replace(b"OK", b"O" + control + b"K") for control in (*CONTROLS, b"\n", b"\r")),
    ],
)
def test_a_line_ends_with_crlf_and_has_no_control_characters(data: bytes, talk: Talk) -> None:
    talk.is_refused(data)


@pytest.mark.parametrize(
    "body",
    [
        b"5;name=value\r\nsekha\r\n6; a\r\n_up 1\n\r\n0;\r\n\r\n",
        b"5;\tx\r\nsekha\r\n6\t\r\n_up 1\n\r\n000\r\n\r\n",
        b'5 \r\nsekha\r\n06;"quoted \x80"\r\n_up 1\n\r\n0\r\nx:\r\n\r\n',
    ],
)
def test_extensions_of_chunks_are_dropped(body: bytes, talk: Talk) -> None:
    talk.is_read(reply(CHUNKED, body=body))
    assert talk.server.connections == 1


ODD_CHUNKS: dict[str, bytes] = {
    "a line that ends with LF": b"5\nsekha\r\n0\r\n\r\n",
    "a line that ends with CR": b"5\rsekha\r\n0\r\n\r\n",
    "a chunk that ends with LF": b"5\r\nsekha\n0\r\n\r\n",
    "a chunk that ends with CR": b"5\r\nsekha\r0\r\n\r\n",
    "a chunk that is too long": b"4\r\nsekha\r\n0\r\n\r\n",
    "a chunk that is too short": b"6\r\nsekha\r\n0\r\n\r\n",
    "no line end behind a chunk": b"5\r\nsekha0\r\n\r\n",
    "an empty line before the first chunk": b"\r\n5\r\nsekha\r\n0\r\n\r\n",
    "an empty line between chunks": b"5\r\nsekha\r\n\r\n0\r\n\r\n",
    "no size": b"\r\n",
    "an extension without a size": b";x\r\nsekha\r\n0\r\n\r\n",
    "a sign": b"+5\r\nsekha\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nsekha\r\n0\r\n\r\n",
    "a hexadecimal prefix": b"0x5\r\nsekha\r\n0\r\n\r\n",
    "an underscore": b"0_5\r\nsekha\r\n0\r\n\r\n",
    "no digit": b"g\r\nsekha\r\n0\r\n\r\n",
    "another digit": "\uff15\r\nsekha\r\n0\r\n\r\n".encode(),
    "a blank before the size": b" 5\r\nsekha\r\n0\r\n\r\n",
    "a comma": b"5,5\r\nsekha\r\n0\r\n\r\n",
    "two sizes": b"5 5\r\nsekha\r\n0\r\n\r\n",
    "a blank before an extension": b"5 ;x\r\nsekha\r\n0\r\n\r\n",
    "a bare LF in an extension": b"5;\nx\r\nsekha\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;\rx\r\nsekha\r\n0\r\n\r\n",
    **{f"{control!r} behind a size": b"5" + control + b"\r\nsekha\r\n0\r\n\r\n" for control in CONTROLS},
    **{f"{control!r} in an extension": b"5;x" + control + b"\r\nsekha\r\n0\r\n\r\n" for control in CONTROLS},
    "LF at the end": b"5\r\nsekha\r\n0\r\n\n",
    "LF behind the last size": b"5\r\nsekha\r\n0\n\r\n",
}


@pytest.mark.parametrize("kind", ODD_CHUNKS)
def test_a_chunk_that_is_not_framed_as_it_should_be_is_refused(kind: str, talk: Talk) -> None:
    talk.is_refused(reply(CHUNKED, body=ODD_CHUNKS[kind]))


# 6: where a body ends

WHOLE: dict[str, bytes] = {
    "length": with_length(),
    "chunks": reply(CHUNKED, body=CHUNKS),
    "chunks and trailers": reply(CHUNKED, body=CHUNKS[:-2] + b"x: y\r\n\r\n"),
    "interim": INTERIM + with_length(),
    "no body": reply(line=b"HTTP/1.1 204 No Content", body=b""),
}
ENDLESS = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n"
"""The head of an answer whose body ends with its connection."""


@pytest.mark.promise("C1")
@pytest.mark.parametrize("kind", WHOLE)
def test_the_end_of_the_connection_before_that_of_the_answer_is_an_error(kind: str, talk: Talk) -> None:
    data = WHOLE[kind]
    for cut in range(len(data)):
        talk.read_at_most(LARGE if cut % 2 else FEW)
        with pytest.raises(SekhaConnectionError) as caught:
            talk.says(data[:cut], end="close")
        assert type(caught.value.__cause__) is ProtocolError, cut
    assert talk.says(data, end="close") == (200, "" if kind == "no body" else BODY.decode())


@pytest.mark.promise("C1")
def test_a_body_without_length_or_chunks_ends_with_its_connection(talk: Talk) -> None:
    for cut in range(len(ENDLESS)):
        with pytest.raises(SekhaConnectionError) as caught:
            talk.says(ENDLESS[:cut], end="close")
        assert type(caught.value.__cause__) is ProtocolError, cut
    for cut in range(len(BODY) + 1):
        talk.is_read(ENDLESS + BODY[:cut], text=BODY[:cut], end="close")
    talk.is_read(ENDLESS + with_length(), text=with_length(), end="close")
    assert len(set(talk.connections)) == len(talk.connections)


@pytest.mark.promise("C1")
@pytest.mark.parametrize("data", [*WHOLE.values(), ENDLESS + BODY], ids=[*WHOLE, "the connection"])
def test_a_reset_before_the_end_is_an_error(data: bytes, talk: Talk) -> None:
    for cut in {0, 1, 20, len(data) // 2, len(data) - 1}:
        with pytest.raises(SekhaConnectionError) as caught:
            talk.says(data[:cut], end="reset")
        assert isinstance(caught.value.__cause__, ConnectionError), cut


@pytest.mark.promise("C1")
@pytest.mark.parametrize("size", [LARGE, ONE])
def test_over_tls_a_body_that_ends_with_its_connection_needs_a_goodbye(size: int, safe_talk: Talk) -> None:
    safe_talk.read_at_most(size)
    assert safe_talk.says(ENDLESS + BODY, end="goodbye") == (200, BODY.decode())
    with pytest.raises(SekhaConnectionError) as caught:
        safe_talk.says(ENDLESS + BODY, end="close")
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    for data in WHOLE.values():
        for end in ("close", "goodbye"):
            status, _ = safe_talk.says(data, end=end)
            assert status == 200
        with pytest.raises(SekhaConnectionError) as caught:
            safe_talk.says(data[:-1], end="goodbye")
        assert type(caught.value.__cause__) is ProtocolError
        with pytest.raises(SekhaConnectionError) as caught:
            safe_talk.says(data[:-1], end="close")
        assert isinstance(caught.value.__cause__, ssl.SSLError)


@pytest.mark.skipif(not hasattr(ssl, "OP_IGNORE_UNEXPECTED_EOF"), reason="this OpenSSL cannot be told to")
@pytest.mark.parametrize("ignores", [True, False])
def test_a_context_of_the_user_that_lets_it_be_missing_changes_nothing(
    ignores: bool, make: MakeClient, safe: FakeServer, certificates: Certificates
) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)
    option = ssl.OP_IGNORE_UNEXPECTED_EOF
    context.options = context.options | option if ignores else context.options & ~option
    before = context.options
    client = make(controller_url=safe.url, verify=context, max_retries=0)
    safe.on(METRICS, raw(ENDLESS + BODY, end="close"))
    with pytest.raises(SekhaConnectionError) as caught:
        client.controller.metrics()
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    assert context.options == before


# 7: answers without a body


@pytest.mark.parametrize("status", [100, 102, 103, 150, 199])
def test_interim_answers_are_passed_over_with_their_headers(status: int, talk: Talk) -> None:
    line = b"HTTP/1.1 %d Status" % status
    fields = (b"location: /evil", b"connection: close", b"content-length: 5", b"content-encoding: br")
    interim = reply(*fields, line=line, body=b"")
    talk.is_read(interim + with_length())
    talk.is_read(interim, interim, with_length())
    talk.is_read(reply(line=b"HTTP/1.0 100 Continue", body=b"") + with_length())
    _, told = talk.says(interim + reply(LENGTH, line=b"HTTP/1.1 307 Temporary Redirect"))
    assert "redirected to ?" in told
    assert talk.server.connections == 1


@pytest.mark.parametrize("fields", [[], [b"connection: upgrade", b"upgrade: h2c"], [LENGTH]])
def test_another_protocol_that_nobody_asked_for_is_refused(fields: list[bytes], talk: Talk) -> None:
    switch = reply(*fields, line=b"HTTP/1.1 101 Switching Protocols", body=b"")
    talk.is_refused(switch)
    talk.is_refused(switch + with_length())
    talk.is_refused(INTERIM + switch + with_length())


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "fields", [[], [LENGTH], [b"content-length: 0"], [b"content-length: 9" + b"0" * 17], [CHUNKED]]
)
def test_a_204_and_a_304_have_no_body(status: int, fields: list[bytes], talk: Talk) -> None:
    line = b"HTTP/1.1 %d Status" % status
    for size in (LARGE, ONE):
        talk.read_at_most(size)
        found, told = talk.says(reply(*fields, line=line, body=b""))
        assert (found, told) == (200, "") if status == 204 else found == 304
        assert talk.says(with_length()) == (200, BODY.decode())
    assert talk.server.connections == 1


# 8: bytes behind an answer


@pytest.mark.promise("C7")
@pytest.mark.parametrize("size", [LARGE, ONE])
@pytest.mark.parametrize("kind", [*WHOLE, "304", "nothing"])
def test_what_is_behind_an_answer_is_never_read(kind: str, size: int, talk: Talk) -> None:
    more = {
        "304": reply(LENGTH, line=b"HTTP/1.1 304 Not Modified", body=b""),
        "nothing": reply(b"content-length: 0", body=b""),
    }
    data = {**WHOLE, **more}[kind]
    talk.read_at_most(size)
    alone = talk.says(data)
    for surplus in (lie(), b"\r\n", b"\0", INTERIM, b"H"):
        assert talk.says(data + surplus) == alone
        assert talk.says(with_length()) == (200, BODY.decode())
        *_, one, another = talk.connections
        assert one != another
        eventually(lambda: talk.server.open_connections == 1)


# 9: bytes that nobody asked for

UNASKED = [lie(), b"\r\n", b"\0", b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"]


def then_says(talk: Talk, unasked: Step | None, end: Any) -> None:
    """Whether an idle connection is left alone, once the server has said or done something on it."""
    idle, said = threading.Event(), threading.Event()
    steps = [] if unasked is None else [unasked]
    talk.server.on(METRICS, raw(with_length(), idle, *steps, said.set, end=end))
    assert talk.client.controller.metrics() == BODY.decode()
    idle.set()
    eventually(said.is_set)
    if end != "keep":
        eventually(lambda: talk.server.open_connections == 0)
    assert talk.says(with_length()) == (200, BODY.decode())
    assert talk.connections == [1, 2]
    eventually(lambda: talk.server.open_connections == 1)


@pytest.mark.promise("C7", "R11")
@pytest.mark.parametrize("end", ["keep", "close", "reset"])
@pytest.mark.parametrize("unasked", [*UNASKED, None])
def test_a_connection_on_which_something_was_said_is_not_used(
    unasked: bytes | None, end: str, talk: Talk
) -> None:
    if (unasked, end) != (None, "keep"):
        then_says(talk, unasked, end)


@pytest.mark.promise("C7", "R11")
@pytest.mark.parametrize("end", ["keep", "close", "goodbye", "reset"])
@pytest.mark.parametrize("unasked", [*UNASKED, None])
def test_a_connection_on_which_something_was_said_over_tls_is_not_used(
    unasked: bytes | None, end: str, safe_talk: Talk
) -> None:
    if (unasked, end) != (None, "keep"):
        then_says(safe_talk, unasked, end)


@pytest.mark.promise("C7")
@pytest.mark.parametrize(
    ("length", "size"), [(11, LARGE), (11, ONE), (4096, 1024), (16384, LARGE), (65536, 65536), (65536, 4096)]
)
def test_bytes_that_came_with_an_answer_over_tls_are_seen_wherever_they_are_kept(
    length: int, size: int, safe_talk: Talk
) -> None:
    safe_talk.read_at_most(size)
    body = BODY.ljust(length - len(reply(b"content-length: 65536", body=b"")), b"\n") if length > 11 else BODY
    for steps in ((with_length(body) + lie(),), (with_length(body), lie())):
        said = threading.Event()
        assert safe_talk.says(*steps, said.set) == (200, body.decode())
        eventually(said.is_set)
        assert safe_talk.says(with_length()) == (200, BODY.decode())
    first, second, third, fourth = safe_talk.connections
    assert (first, third) == (1, second)
    assert second < fourth


# 10: which connection is used again


@pytest.mark.parametrize(
    ("data", "reused"),
    [
        (with_length(), True),
        (reply(b"content-length: 0", body=b""), True),
        (reply(CHUNKED, body=CHUNKS), True),
        (WHOLE["chunks and trailers"], True),
        (WHOLE["interim"], True),
        (WHOLE["no body"], True),
        (reply(LENGTH, line=b"HTTP/1.1 404 Not Found"), True),
        (reply(LENGTH, line=b"HTTP/1.1 500 Status"), True),
        (reply(LENGTH, b"connection: keep-alive"), True),
        (reply(LENGTH, b"connection:"), True),
        (reply(LENGTH, b"connection: closed, not-close, close2, xclose, clo se"), True),
        (reply(LENGTH, b"proxy-connection: close"), True),
        (reply(LENGTH, b"connection: close"), False),
        (reply(LENGTH, b"Connection: Close"), False),
        (reply(LENGTH, b"CONNECTION:CLOSE"), False),
        (reply(LENGTH, b"connection: \tclose\t "), False),
        (reply(LENGTH, b"connection: keep-alive, close"), False),
        (reply(LENGTH, b"connection: close, keep-alive"), False),
        (reply(LENGTH, b"connection: x,close,y"), False),
        (reply(LENGTH, b"connection: x ,\tCLOSE ,y"), False),
        (reply(LENGTH, b"connection: ,close"), False),
        (reply(LENGTH, b"connection: keep-alive", b"connection: close"), False),
        (reply(LENGTH, b"connection: close", b"connection: keep-alive"), False),
        (reply(CHUNKED, b"connection: close", body=CHUNKS), False),
        (reply(b"connection: close", line=b"HTTP/1.1 204 No Content", body=b""), False),
        (reply(LENGTH, line=b"HTTP/1.0 200 OK"), False),
        (reply(LENGTH, b"connection: keep-alive", line=b"HTTP/1.0 200 OK"), False),
        (reply(LENGTH, b"connection: close", line=b"HTTP/1.0 200 OK"), False),
        (reply(CHUNKED, line=b"HTTP/1.0 200 OK", body=CHUNKS), False),
        (reply(line=b"HTTP/1.0 204 No Content", body=b""), False),
        (INTERIM.replace(b"1.1", b"1.0") + with_length(), True),
    ],
)
def test_a_connection_is_used_again_only_if_all_is_well(data: bytes, reused: bool, talk: Talk) -> None:
    for size in (LARGE, ONE):
        talk.read_at_most(size)
        talk.says(data, end="hang" if not reused else "keep")
        if not reused:
            eventually(lambda: talk.server.open_connections == 0)
        assert talk.says(with_length()) == (200, BODY.decode())
    first, second, third, fourth = talk.connections
    assert (first, third) == (1, second)
    assert (second == first, fourth == third) == (reused, reused)


def test_a_connection_whose_answer_was_not_read_to_its_end_is_not_used_again(
    make: MakeClient, bridge: FakeServer
) -> None:
    client = make(max_response_bytes=1000, max_retries=0)
    bridge.on(CHAT, chunked(delta("Once "), delta("upon "), end="hang"), answer({"x": "y" * 2000}))
    bridge.on("GET /health", *[answer(facts.BRIDGE_HEALTHY)] * 2)
    with client.bridge.stream_complete(MESSAGES) as stream:
        stream.__next__()
    client.bridge.health()
    with pytest.raises(SekhaDecodeError):
        client.bridge.complete(MESSAGES)
    client.bridge.health()
    assert [seen.connection for seen in bridge.seen] == [1, 2, 2, 3]
    eventually(lambda: bridge.open_connections == 1)


# 11: the connection is closed after any error; `Talk.is_refused` sees that in each of the tables above


@pytest.mark.parametrize("rest", [b"", BODY * 100_000], ids=["silence", "and goes on"])
def test_an_answer_that_is_refused_ends_its_connection_and_no_other(rest: bytes, talk: Talk) -> None:
    bad = [reply(LENGTH, line=b"HTTP/2 200 OK"), reply(LENGTH, b"x y"), reply(CHUNKED, body=b"x\r\n")]
    for data in bad:
        assert talk.says(with_length()) == (200, BODY.decode())
        with pytest.raises(SekhaConnectionError):
            talk.says(data + rest, end="hang")
        eventually(lambda: talk.server.open_connections == 0)
    assert talk.says(with_length()) == (200, BODY.decode())
    assert talk.connections == [1, 1, 2, 2, 3, 3, 4]


# 12: interruptions at any line of the connection layer

LAYER = (network, connection, http11, sockets)
KINDS = (*INTERRUPTIONS, Interruption)


class Echo(SocketServer):
    """Answers a search with what was searched for, and notes the connection it came by."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.connection_of: dict[str, int] = {}
        super().__init__(tls=tls)

    def serve(self, connection: Any, request: ReceivedRequest) -> bool:
        text = request.json["query"]
        self.connection_of[text] = request.connection
        is_last = text.startswith("last")
        found = facts.hits(facts.hit(content=text))
        (data,) = answer(found, connection="close" if is_last else "keep-alive").steps
        connection.sendall(data)
        return not is_last


@pytest.mark.promise("C4", "R5")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what is interrupted before anybody has it is collected
@pytest.mark.parametrize("before", ["last", "kept"], ids=["on a new connection", "on an idle connection"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_an_interruption_comes_out_as_itself_and_its_connection_is_gone(
    secure: bool, before: str, make: MakeClient, certificates: Certificates, tls: ssl.SSLContext
) -> None:
    echo = Echo(tls if secure else None)
    client = make(
        controller_url=echo.url,
        verify=certificates.ca,
        max_connections=1,
        max_retries=0,
        timeout=5.0,
        rate_limit_requests=10**9,
    )

    def ask(text: str) -> None:
        found = client.controller.query(text)
        assert found["results"][0]["content"] == text

    layer = (network, sockets) if secure else LAYER
    line, there_was_one = 0, True
    while there_was_one:
        line += 1
        ask(f"{before} {line}")
        error, found = KINDS[line % len(KINDS)]("stop"), None
        with interrupted_at(line, error, *layer) as happened:
            try:
                ask(f"{before} too {line}")
            except BaseException as caught:
                found = caught
        there_was_one = happened()
        assert found is (error if there_was_one else None)
        ask(f"next {line}")
    assert line > (20 if secure else 100)
    eventually(lambda: gc.collect() >= 0 and echo.open_connections <= 1)
    client.close()
    echo.close()
    uses = [(echo.connection_of.get(f"{before} too {n}"), echo.connection_of[f"next {n}"]) for n in range(1, line)]
    again = [use for use in uses if len(set(use)) == 1]
    assert len(again) <= (2 if before == "kept" else 0), "two lines are behind the end of the answer"


# 13: what is sent

EVIL = (
    "a\r\nx-evil: 1",
    "a\nx-evil: 1",
    "a\rx-evil: 1",
    "a HTTP/1.1\r\nhost: x\r\n\r\nGET /evil",
    "a\0b",
    "a\u010d\u010ax-evil: 1",  # whose low bytes are CR and LF
    "a\u2028\u0085x-evil: 1",
    "\r\n",
)
HEAD = re.compile(
    rb"[A-Z]+ /[!-~]* HTTP/1\.1"
    rb"(?:\r\n(?:host|accept|accept-encoding|user-agent|authorization|content-type|content-length|x): [ -~\xa0-\xff]+)+"
)


class Notes(SocketServer):
    """Keeps what it was sent, and has no answer."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        super().__init__()

    def serve(self, connection: Any, request: ReceivedRequest) -> bool:
        self.heads.append(request.head)
        connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        return True

    def check(self) -> None:
        """Fail if anything but requests of ours came."""
        for head in self.heads:
            assert HEAD.fullmatch(head), head
            assert b" /evil" not in head


@pytest.fixture
def notes() -> Iterator[Notes]:
    notes = Notes()
    yield notes
    notes.close()
    notes.check()


def with_evil(value: Any, evil: str) -> Iterator[Any]:
    """Copies of arguments, each with something else for one of the texts in them."""
    if isinstance(value, str):
        yield evil
    elif isinstance(value, dict):
        for key in value:
            yield from ({**value, key: other} for other in with_evil(value[key], evil))
    elif isinstance(value, (list, tuple)):
        for at, one in enumerate(value):
            yield from (type(value)([*value[:at], other, *value[at + 1 :]]) for other in with_evil(one, evil))


@pytest.mark.promise("S4")
@pytest.mark.parametrize("evil", EVIL)
def test_no_argument_ends_a_line_of_a_request(evil: str, make: MakeClient, notes: Notes) -> None:
    client = make(controller_url=notes.url, bridge_url=notes.url, max_retries=0, rate_limit_requests=10**9)
    tried = 0
    for call in CALLS:
        method = getattr(getattr(client, call.service), call.method)
        for args, keywords in with_evil((call.args, call.kwargs), evil):
            tried += 1
            before = len(notes.heads)
            with pytest.raises(SekhaError) as caught:
                method(*args, **keywords)
            assert len(notes.heads) - before == (1 if caught.value.sent else 0), call.name
    assert tried > 40
    assert notes.heads or "\0" in evil


@pytest.mark.promise("S2")
@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("setting", ["api_key", "mcp_api_key", "bridge_api_key", "name", "value", "path"])
def test_no_setting_ends_a_line_of_a_request(setting: str, evil: str, make: MakeClient, notes: Notes) -> None:
    urls = {"controller_url": notes.url, "bridge_url": notes.url}
    options: dict[str, Any] = {setting: evil}
    if setting in ("name", "value"):
        options = {"headers": {evil: "a"} if setting == "name" else {"X": evil}}
    elif setting == "path":
        urls, options = {name: f"{url}/{evil}" for name, url in urls.items()}, {}
    clients: list[Any] = []
    with contextlib.suppress(SekhaConfigError):
        clients.append(make(**urls, **options, max_retries=0))
    if options:
        with contextlib.suppress(SekhaConfigError):
            clients.append(make(**urls, max_retries=0).with_options(**options))
    assert bool(clients) == (setting == "path" and not evil.strip()), "all others are refused"
    for client in clients:
        for call in (client.controller.query, client.mcp.memory_search, client.bridge.embed):
            with pytest.raises(SekhaError):
                call("x")


# 14: how long an answer may be

LIMIT = 1_000_000
PIECE = b" " * 65536
FRAMES: dict[str, Any] = {
    "length": lambda size, pieces: [reply(b"content-length: %d" % size, body=b""), *pieces],
    "chunks": lambda size, pieces: [
        reply(CHUNKED, body=b""),
        *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces),
        *([b"0\r\n\r\n"] if size < 2 * LIMIT else []),
    ],
    "one chunk": lambda size, pieces: [reply(CHUNKED, body=b"%x\r\n" % size), *pieces, b"\r\n0\r\n\r\n"],
    "the connection": lambda size, pieces: [ENDLESS, *pieces],
}


@pytest.mark.promise("S5")
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_an_answer_of_any_frame_is_read_up_to_the_limit(
    secure: bool, frame: str, make: MakeClient, server: FakeServer, safe: FakeServer, certificates: Certificates
) -> None:
    asked = safe if secure else server
    client = make(controller_url=asked.url, verify=certificates.ca, max_response_bytes=1000, max_retries=0)
    for size in (999, 1000, 1001, 2000):
        asked.on(
            METRICS, raw(*FRAMES[frame](size, [b"x" * size]), end="goodbye" if frame == "the connection" else "keep")
        )
        if size <= 1000:
            assert client.controller.metrics() == "x" * size
        else:
            with pytest.raises(SekhaDecodeError, match="max_response_bytes=1000"):
                client.controller.metrics()
            eventually(lambda: asked.open_connections == 0)


@pytest.mark.promise("S5")
@pytest.mark.parametrize("frame", FRAMES)
def test_an_answer_beyond_the_limit_is_refused_before_it_is_joined(
    frame: str, make: MakeClient, server: FakeServer
) -> None:
    client = make(max_response_bytes=LIMIT, max_retries=0)
    server.on(METRICS, raw(*FRAMES[frame](10**15, [PIECE] * 100), end="close"))
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        with pytest.raises(SekhaDecodeError, match=f"max_response_bytes={LIMIT}"):
            client.controller.metrics()
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert most < 2 * LIMIT
    eventually(lambda: server.open_connections == 0)


# What each network error says it was


def cause_of(client: SekhaClient, **arguments: Any) -> BaseException:
    """The cause of the error that a write ends with."""
    with pytest.raises(SekhaConnectionError) as caught:
        client.controller.create_conversation(**{"messages": MESSAGES, **arguments})
    cause = caught.value.__cause__
    assert isinstance(cause, OSError)
    assert type(cause).__module__ in ("builtins", "ssl", "socket", "sekha._http.models")
    assert isinstance(caught.value, SekhaTimeoutError) == isinstance(cause, TimeoutError)
    return cause


GARBAGE = raw(b"\x00\x01 what?\r\n\r\n", end="close")
ANSWERS: dict[str, tuple[Reply, type[OSError]]] = {
    "closed": (DROP, ProtocolError),
    "reset": (RESET, ConnectionError),
    "nothing": (HANG, TimeoutError),
    "garbage": (GARBAGE, ProtocolError),
    "half a head": (raw(OK, end="close"), ProtocolError),
    "half a head, reset": (raw(OK, end="reset"), ConnectionError),
    "half a head, nothing": (raw(OK, end="hang"), TimeoutError),
    "half a body": (raw(with_length()[:-1], end="close"), ProtocolError),
    "half a body, reset": (raw(with_length()[:-1], end="reset"), ConnectionError),
    "half a body, nothing": (raw(with_length()[:-1], end="hang"), TimeoutError),
    "half a chunk": (raw(reply(CHUNKED, body=CHUNKS[:4]), end="close"), ProtocolError),
    "no chunk": (raw(reply(CHUNKED, body=b"x\r\n"), end="hang"), ProtocolError),
}


@pytest.mark.promise("C4")
@pytest.mark.parametrize("kind", ANSWERS)
def test_the_cause_of_a_bad_answer(kind: str, make: MakeClient, server: FakeServer) -> None:
    what, expected = ANSWERS[kind]
    server.on("POST /api/v1/conversations", what)
    cause = cause_of(make(max_retries=0, timeout=0.5 if expected is TimeoutError else 30.0))
    assert isinstance(cause, expected)


@pytest.mark.promise("C4")
@pytest.mark.parametrize("kind", ANSWERS)
def test_the_cause_of_a_bad_answer_over_tls(
    kind: str, make: MakeClient, safe: FakeServer, certificates: Certificates
) -> None:
    what, expected = ANSWERS[kind]
    safe.on("POST /api/v1/conversations", what)
    client = make(
        controller_url=safe.url,
        verify=certificates.ca,
        max_retries=0,
        timeout=0.5 if expected is TimeoutError else 30.0,
    )
    cause = cause_of(client)
    if what.end == "close" and what is not GARBAGE:  # without a goodbye
        assert isinstance(cause, ssl.SSLError)
    else:
        assert isinstance(cause, expected)


@pytest.mark.promise("C4")
def test_the_cause_of_a_call_that_does_not_get_to_the_server(make: MakeClient, bridge: FakeServer) -> None:
    with Unreachable() as nobody:
        assert type(cause_of(make(controller_url=nobody.url, max_retries=0))) is ConnectionRefusedError
    with Unreachable(silent=True) as nobody:
        client = make(controller_url=nobody.url, max_retries=0, timeout=0.05)
        assert type(cause_of(client)) is TimeoutError
    with listening(lambda connection: None, buffer=4096) as address:
        client = make(controller_url=f"http://{address}", max_retries=0, timeout=0.05)
        cause = cause_of(client, messages=[{"role": "user", "content": "x" * 8_000_000}])
        assert type(cause) is TimeoutError
    with listening(reset) as address:
        cause_of(
            make(controller_url=f"http://{address}", max_retries=0)
        )  # a reset or an end, as the write meets it
    read = threading.Event()
    bridge.on(CHAT, chunked(delta("Hi"), read))
    busy = make(controller_url=bridge.url, max_connections=1, max_retries=0).bridge
    with busy.stream_complete(MESSAGES):
        with pytest.raises(SekhaTimeoutError) as caught:
            busy.with_options(timeout=0.05).complete(MESSAGES)
        read.set()
    assert type(caught.value.__cause__) is TimeoutError


@pytest.mark.promise("C4", "S7")
def test_the_cause_of_a_handshake_that_fails(
    make: MakeClient, safe: FakeServer, certificates: Certificates
) -> None:
    assert isinstance(cause_of(make(controller_url=safe.url)), ssl.SSLCertVerificationError)
    other = FakeServer(tls=certificates.server("sekha.test"))
    cause = cause_of(make(controller_url=other.url, verify=certificates.ca, max_retries=0))
    assert isinstance(cause, ssl.SSLCertVerificationError)
    other.close()
    acts: list[tuple[Any, type[OSError]]] = [
        (lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ssl.SSLError),
        (lambda connection: connection.close(), OSError),
        (reset, ConnectionError),
        (lambda connection: None, TimeoutError),
    ]
    for act, expected in acts:
        with listening(act) as address:
            timeout = 0.1 if expected is TimeoutError else 5.0
            client = make(controller_url=f"https://{address}", verify=certificates.ca, max_retries=0, timeout=timeout)
            assert isinstance(cause_of(client), expected)
