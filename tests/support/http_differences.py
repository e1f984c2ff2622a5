"""What our reader of HTTP/1.1 takes differently from h11 and from httptools, and why: all of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from support.http_readers import Result, bytewise, read


class Difference(NamedTuple):
    """A kind of answer that the readers take differently.

    Attributes:
        reason: Why ours takes it as it does.
        where: Whether `pattern` is looked for in the `head` (with those of 1xx before it) or in the `body`.
        pattern: What such an answer contains.
        example: One that contains nothing else that is in the table.
        ours: What ours makes of it: how it ends, and ` again` if the connection can be used again.
        h11: What h11 makes of it; `same` as ours.
        httptools: What httptools makes of it.
    """

    reason: str
    where: str
    pattern: re.Pattern[bytes]
    example: bytes
    ours: str
    h11: str
    httptools: str


def _head(reason: str, pattern: bytes, example: bytes, *outcomes: str) -> Difference:
    return Difference(reason, "head", re.compile(pattern, re.IGNORECASE), example, *outcomes)


def _body(reason: str, pattern: bytes, example: bytes, *outcomes: str) -> Difference:
    return Difference(reason, "body", re.compile(pattern, re.IGNORECASE), _CHUNKED + example, *outcomes)


_OK = b"HTTP/1.1 200 OK\r\n"
_LENGTH = b"content-length: 2\r\n"
_REST = _LENGTH + b"\r\nab"
_CHUNKED = _OK + b"transfer-encoding: chunked\r\n\r\n"

_CONTROL = rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_SIZE = rb"(?:\A|\r\n)[0-9a-f]+(?![0-9a-f])"
_TEXT = rb"[\t -~\x80-\xff]*"
_TOKEN = rb"[!#$%&'*+.^_`|~0-9a-z-]+"
_EXTENSION = rb";" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb'|"[ !#-\[\]-~]*"))?'

DIFFERENCES = (
    # Heads
    _head(
        "lines end with CR LF, and nothing else",
        rb"(?<!\r)\n",
        _OK + b"a: b\n" + _REST,
        *("error", "complete again", "same"),
    ),
    _head(
        "no server of today continues a header on another line (obs-fold)",
        rb"\r\n[ \t]",
        _OK + b"a: b\r\n c\r\n" + _REST,
        *("error", "complete again", "same"),
    ),
    _head(
        "nothing precedes a status line",
        rb"(?:\A|\r\n\r\n)[\r\n]",
        b"\r\n" + _OK + _REST,
        *("error", "same", "complete again"),
    ),
    _head(
        "HTTP/1.2 does not exist",
        rb"HTTP/1\.[2-9]",
        b"HTTP/1.2 200 OK\r\n" + _REST,
        *("error", "complete again", "same"),
    ),
    _head(
        "other versions have other framings",
        rb"HTTP/[^1]",
        b"HTTP/2.0 200 OK\r\n" + _REST,
        *("error", "complete again", "complete"),
    ),
    _head(
        "statuses end at 599",
        rb"HTTP/... [6-9]",
        b"HTTP/1.1 600 OK\r\n" + _REST,
        *("error", "complete again", "complete again"),
    ),
    _head("statuses begin at 100", rb"HTTP/... 0", b"HTTP/1.1 099 OK\r\n" + _REST, "error", "same", "complete again"),
    _head(
        "control characters in a reason phrase may end a line elsewhere",
        rb"(?:\A|\r\n\r\n)HTTP[^\r\n]*" + _CONTROL,
        b"HTTP/1.1 200 O\x01K\r\n" + _REST,
        *("error", "complete again", "complete again"),
    ),
    _head(
        "control characters in a header may end a line elsewhere",
        rb"\r\n[^\r\n:]+:[^\r\n]*" + _CONTROL,
        _OK + b"a: b\x01c\r\n" + _REST,
        *("error", "complete again", "same"),
    ),
    _head(
        "a transfer coding that is not `chunked` alone was not asked for",
        rb"\r\ntransfer-encoding:(?![ \t]*chunked[ \t]*\r\n)",
        _OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        *("error", "same", "complete again"),
    ),
    _head(
        "no server ends a transfer coding with a tab, and llhttp takes it for another coding",
        rb"\r\ntransfer-encoding:[ \t]*chunked *\t[\t ]*\r\n",
        _OK + b"transfer-encoding: chunked\t\r\n\r\n0\r\n\r\n",
        *("error", "complete again", "more"),
    ),
    _head(
        "a 1xx does not end a connection, whatever its head says",
        rb"(?:\A|\r\n)HTTP/1\.(?:0 1|1 1[^\r]*\r\n(?:[^\r\n]+\r\n)*?(?:proxy-)?connection:)",
        b"HTTP/1.0 100 Continue\r\n\r\n" + _OK + _REST,
        *("complete again", "same", "error"),
    ),
    _head(
        "nothing is chunked twice",
        rb"(?s)\r\ntransfer-encoding:.*\r\ntransfer-encoding:",
        _OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        *("error", "same", "complete again"),
    ),
    _head(
        "a length beside chunks is how responses are smuggled",
        rb"(?s)\A(?=.*\r\ntransfer-encoding:).*\r\ncontent-length:",
        _OK + _LENGTH + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        *("error", "complete again", "same"),
    ),
    _head(
        "equal lengths are one (RFC 9112, section 6.3)",
        rb"(?s)\r\ncontent-length:(?:[^\r\n]*,|.*\r\ncontent-length:)",
        _OK + _LENGTH + _REST,
        *("complete again", "same", "error"),
    ),
    _head(
        "a length has at most 18 digits",
        rb"\r\ncontent-length:[ \t]*[0-9]{19}",
        _OK + b"content-length: 0000000000000000002\r\n\r\nab",
        *("error", "complete again", "complete again"),
    ),
    _head(
        "HTTP/1.0 is never kept alive",
        rb"(?s)(?:\A|\r\n\r\n)HTTP/1\.0.*\r\nconnection:[^\r\n]*keep-alive",
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n" + _REST,
        *("complete", "same", "complete again"),
    ),
    _head(
        "Proxy-Connection is of no standard",
        rb"\r\nproxy-connection:",
        _OK + b"proxy-connection: close\r\n" + _REST,
        *("complete again", "same", "complete"),
    ),
    # Bodies in chunks
    _body(
        "servers pad sizes with blanks",
        _SIZE + rb"[ \t]",
        b"2 \r\nab\r\n0\r\n\r\n",
        *("complete again", "same", "error"),
    ),
    _body(
        "a size has at most 16 digits",
        rb"(?:\A|\r\n)[0-9a-f]{17}",
        b"%017d\r\n\r\n" % 0,
        *("error", "complete again", "complete again"),
    ),
    _body(
        "chunk extensions are passed over, whatever they are",
        _SIZE + rb"(?!(?:" + _EXTENSION + rb")*\r\n)" + _TEXT + rb";" + _TEXT + rb"\r\n",
        b"2;\r\nab\r\n0\r\n\r\n",
        *("complete again", "same", "error"),
    ),
    _body(
        "control characters in a chunk extension may end a line elsewhere",
        _SIZE + rb";" + _TEXT + rb"(?:" + _CONTROL + rb"|\r[^\n])",
        b"2;a\x01\r\nab\r\n0\r\n\r\n",
        *("error", "complete again", "same"),
    ),
    _body(
        "a trailer is dropped, even one that would be a bad length",
        rb"\r\n(?:content-length|transfer-encoding):",
        b"0\r\ncontent-length: x\r\n\r\n",
        *("complete again", "error", "error"),
    ),
    _body(
        "a trailer changes nothing",
        rb"\r\n(?:proxy-)?connection:",
        b"0\r\nconnection: close\r\n\r\n",
        *("complete again", "same", "complete"),
    ),
    _body(
        "a trailer ends with CR LF, and nothing else",
        rb"(?s)(?:\A|\r\n)0+[^\n]*\n.*(?<!\r)\n",
        b"0\r\na: b\n\r\n",
        *("error", "complete again", "same"),
    ),
    _body(
        "a trailer is not continued either",
        rb"\r\n[ \t]",
        b"0\r\na: b\r\n c\r\n\r\n",
        *("error", "complete again", "same"),
    ),
    _body(
        "control characters in a trailer may end a line elsewhere",
        rb"\r\n" + _TOKEN + rb":[^\r\n]*" + _CONTROL,
        b"0\r\na: \x01\r\n\r\n",
        *("error", "complete again", "same"),
    ),
    # Limits
    _head(
        "a head has at most 256 lines",
        rb"\A(?:[^\n]*\n){258}",
        _OK + b"a: b\r\n" * 256 + _REST,
        *("error", "complete again", "complete again"),
    ),
    _head(
        "a head has at most 100 KiB",
        rb"(?s).{102401}",
        _OK + b"a: %s\r\n" % (b"b" * 102400) + _REST,
        *("error", "same", "complete again"),
    ),
    _head(
        "at most twenty 1xx precede an answer",
        rb"(?:HTTP/1\.1 1[ -~]*\r\n\r\n){21}",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 21 + _OK + _REST,
        *("error", "complete again", "complete again"),
    ),
    _body(
        "the line of a size has at most 4 KiB",
        _SIZE + rb"[^\r\n]{4080}",
        b"2;a=%s\r\nab\r\n0\r\n\r\n" % (b"b" * 4096),
        *("error", "complete again", "complete again"),
    ),
    _body(
        "trailers have at most 16 KiB",
        rb"(?s)0\r\n.{16385}",
        b"0\r\nx: %s\r\n\r\n" % (b"b" * 16384),
        *("error", "complete again", "complete again"),
    ),
)


def rows_of(answer: bytes) -> list[Difference]:
    """Return the differences whose patterns are in an answer."""
    head, body = _split(answer)
    return [row for row in DIFFERENCES if row.pattern.search(head if row.where == "head" else body)]


def _split(answer: bytes) -> tuple[bytes, bytes]:
    """Return the head of an answer, with those of 1xx before it, and what follows if that is chunked."""
    end = 0
    while True:
        start, (head, _, _) = end, answer[end:].partition(b"\r\n\r\n")
        end = start + len(head) + 4
        if not re.match(rb"HTTP/1\.. 1", head) or end >= len(answer):
            break
    is_chunked = re.search(rb"\ntransfer-encoding:", answer[start:end], re.IGNORECASE)
    return answer[:end], answer[end:] if is_chunked else b""


def check(answer: bytes, is_closed: bool, oracles: Iterable[str] = ("h11", "httptools")) -> list[Difference]:
    """Compare our reader with the others.

    Args:
        answer: Bytes from a server.
        is_closed: Whether the server then closes the connection.
        oracles: The others.

    Returns:
        The rows of the table that the answer belongs to.

    Raises:
        AssertionError: The difference is not in the table, or is one that must not be.
    """
    rows, pieces = rows_of(answer), bytewise(answer, is_closed)
    ours = read("ours", pieces)
    theirs = {oracle: read(oracle, pieces) for oracle in oracles}
    for oracle, their in theirs.items():
        if not any(getattr(row, oracle) != "same" for row in rows):
            assert _agree(ours, their, oracle, pieces), (answer, oracle, ours, their)
        if ours.ending == their.ending == "complete":
            assert ours[:-1] == their[:-1], (answer, oracle, ours, their)
    both_refuse = any(row.h11 == row.httptools == "error" for row in rows)
    if len(theirs) == 2 and ours.ending == "complete" and not both_refuse:
        assert any(their.ending == "complete" for their in theirs.values()), (answer, ours, theirs)
        assert not ours.is_reusable or any(their.is_reusable for their in theirs.values()), (answer, ours, theirs)
    return rows


def _agree(ours: Result, their: Result, oracle: str, pieces: list[bytes]) -> bool:
    """Return whether two results are the same, where one may wait for the end of a line that is wrong already."""
    if (ours.ending, their.ending) == ("error", "more"):
        their = read(oracle, [*pieces, b""])
    elif (ours.ending, their.ending) == ("more", "error"):
        ours = read("ours", [*pieces, b""])
    return ours.ending == their.ending == "error" or ours == their
