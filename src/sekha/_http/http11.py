"""HTTP/1.1: requests become bytes, and bytes become responses. Nothing here waits.

The reader is strict (RFC 9112): what can be read in two ways, and what no server of today sends, is an error. A lenient
reader may find the end of a response elsewhere than a proxy before it, and take the rest for the next response.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sekha._http.models import HTTPRequest, ProtocolError, origin

_MAX_HEAD_SIZE = 100 * 1024
_MAX_HEAD_LINES = 256
_MAX_INTERIM_RESPONSES = 20
_MAX_CHUNK_LINE = 4 * 1024
_MAX_TRAILER_SIZE = 16 * 1024

_TEXT = rb"[\t -~\x80-\xff]*"
_FIELD = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(" + _TEXT + rb")\r\n"

_REQUEST_LINE = re.compile(rb"[A-Z]+ /[!-~]* HTTP/1\.1\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: " + _TEXT + rb")?\r\n")
_HEADER = re.compile(_FIELD)
_TRAILERS = re.compile(rb"\r\n(?:" + _FIELD + rb")*\r\n")
_NEVER_IN_LINES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")
_LENGTH = re.compile(r"([0-9]{1,18})([\t ]*,[\t ]*\1)*")  # repeated ones are equal
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[\t ]*chunked *\r\n", re.IGNORECASE)  # as text, a Kelvin sign is a k
_CLOSE = re.compile(r"(?:^|,)[\t ]*close[\t ]*(?:,|$)", re.IGNORECASE | re.ASCII)
_CHUNK_LINE = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})(?:[\t ]*|;" + _TEXT + rb")\r\n")
_CHUNK_LINE_START = re.compile(rb"\r?|\r\n|\r\n[0-9A-Fa-f]{1,16}(?:[\t ]*|;" + _TEXT + rb")\r?")


class ResponseHead(NamedTuple):
    """The head of a response.

    Attributes:
        status: HTTP status.
        headers: Response headers, names in lower case; repeated ones are joined by a comma.
    """

    status: int
    headers: dict[str, str]


class HTTP11:
    """The state of HTTP/1.1 on one connection. It does no I/O."""

    def __init__(self) -> None:
        self._data = b""  # received, and not read yet
        self._is_eof = False
        self._start_exchange()

    def _start_exchange(self, method: str = "") -> None:
        self._is_head = method == "HEAD"
        self._scanned = 0  # bytes of incomplete headers or trailers that were looked at
        self._interim_responses = 0
        self._keep_alive = False
        self._is_chunked = False
        self._in_trailers = False
        self._ends_at_eof = False
        self._left = 0  # bytes of the body, or of its current chunk
        self._is_complete = False  # all of the answer was received
        self._is_read = False

    def encode_request(self, request: HTTPRequest) -> bytes:
        """Return the bytes of a request.

        Raises:
            ProtocolError: Its method or path has characters that cannot be sent.
        """
        self._start_exchange(request.method)
        line = f"{request.method} {origin(request.base_url).prefix}{request.path} HTTP/1.1\r\n".encode()
        if not _REQUEST_LINE.fullmatch(line):
            raise ProtocolError("the method or the path has characters that cannot be sent")
        length = request.content_length
        end = b"\r\n" if length is None else b"content-length: %d\r\n\r\n" % length
        return b"".join((line, request.headers.block, end, request.content or b""))

    def receive_data(self, data: bytes) -> None:
        """Add received bytes; none mean that the server has closed the connection."""
        self._is_eof = not data
        self._data += data

    def response_head(self) -> ResponseHead | None:
        """Return the head of the response, None if more data is needed.

        Raises:
            ProtocolError: It is not the head of an HTTP/1.1 response.
        """
        while (size := self._head_size()) is not None:
            version, head = _parse_head(self._data, size)
            self._data, self._scanned = self._data[size:], 0
            if head.status >= 200:
                self._begin_body(version, head)
                return head
            self._interim_responses += 1
            if head.status == 101 or self._interim_responses > _MAX_INTERIM_RESPONSES:
                raise ProtocolError(f"status {head.status} was not requested, or sent too often")
        return None

    def _head_size(self) -> int | None:
        """Return the number of bytes of the head with its empty line, None if more data is needed."""
        size = self._size_of_lines(_MAX_HEAD_SIZE)
        if size is None:
            if self._is_eof:
                where = "in the head of" if self._data else "without"
                raise ProtocolError(f"the server closed the connection {where} a response")
            if not self._data.startswith(b"HTTP/1."[: len(self._data)]):
                raise ProtocolError("the response does not start like HTTP/1.1")
        elif self._data.count(b"\r\n", 0, size) > _MAX_HEAD_LINES + 1:
            raise ProtocolError(f"more than {_MAX_HEAD_LINES} lines of headers")
        return size

    def _size_of_lines(self, limit: int) -> int | None:
        """Return the number of bytes up to the next empty line and with it, None if more data is needed."""
        data = self._data
        size = data.find(b"\r\n\r\n", max(0, self._scanned - 3)) + 4
        is_whole = size >= 4
        if (size if is_whole else len(data)) > limit:
            raise ProtocolError(f"more than {limit} bytes of headers or trailers")
        if is_whole:
            return size
        if _NEVER_IN_LINES.search(data, self._scanned - 1):
            raise ProtocolError("headers or trailers with characters that HTTP/1.1 does not allow")
        self._scanned = len(data)
        return None

    def _begin_body(self, version: bytes, head: ResponseHead) -> None:
        """Find out where the body ends (RFC 9112, section 6.3), and whether the connection can be used after it."""
        status, headers = head
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if status in (204, 304) or self._is_head:
            self._is_complete = True
        elif coding is not None:
            self._is_chunked = True
            self._data = b"\r\n" + self._data  # each line with a size follows a line end, so that they are all alike
        elif length is not None:
            self._left = int(length.partition(",")[0])
            self._is_complete = not self._left
        else:
            self._ends_at_eof = True
        self._keep_alive = version == b"1" and not _CLOSE.search(headers.get("connection", ""))

    def next_chunk(self) -> bytes | None:
        """Return the received part of the body, empty at its end; None if more data is needed.

        Raises:
            ProtocolError: The body ended early, or is not framed as its head says. What came before was returned.
        """
        body = b""
        if not self._is_complete:
            body = self._read_chunked() if self._is_chunked else self._read_plain()
            if self._is_eof and not body and not self._is_complete:
                raise ProtocolError("the server closed the connection in the middle of a response")
        self._is_read = self._is_complete and not body
        return body if body or self._is_read else None

    def start_next_cycle(self) -> bool:
        """Prepare for another request; return False if the exchange is not complete or the connection must be closed.

        Bytes after a response must not be taken for the response to the next request, so they forbid a reuse too.
        """
        return self._is_read and self._keep_alive and not self._data and not self._is_eof

    def _read_plain(self) -> bytes:
        data = self._data
        if self._ends_at_eof:
            self._data, self._is_complete = b"", self._is_eof and not data
            return data
        body, self._data = data[: self._left], data[self._left :]
        self._left -= len(body)
        self._is_complete = not self._left
        return body

    def _read_chunked(self) -> bytes:
        """Return the content of all chunks that were received; what comes after it is left to the next call."""
        data, at = self._data, 0
        chunks: list[bytes] = []
        while not self._in_trailers:
            chunk = data[at : at + self._left]
            chunks.append(chunk)
            at += len(chunk)
            self._left -= len(chunk)
            if self._left:
                break
            line = _CHUNK_LINE.match(data, at)
            if line is None or line.end() - at > _MAX_CHUNK_LINE:
                break
            at = line.end()
            self._left = int(line[1], 16)
            if not self._left:
                self._in_trailers = True
                at -= 2  # a line end before trailers too, so that an empty line ends them even if there are none
        body, self._data = b"".join(chunks), data[at:]
        if self._in_trailers and not body:
            self._read_trailers()
        elif not self._left and not body:
            self._check_chunk_line()
        return body

    def _check_chunk_line(self) -> None:
        """Raise an error unless the line with the size of the next chunk has only not been received to its end."""
        if len(self._data) > _MAX_CHUNK_LINE:
            raise ProtocolError(f"a line of more than {_MAX_CHUNK_LINE} bytes before a chunk")
        if not _CHUNK_LINE_START.fullmatch(self._data):
            raise ProtocolError("the response has no size at the start of its next chunk")

    def _read_trailers(self) -> None:
        """Drop the fields after the last chunk: nobody asked for them."""
        size = self._size_of_lines(_MAX_TRAILER_SIZE + 2)  # with the line end before them
        if size is not None:
            if not _TRAILERS.fullmatch(self._data, 0, size):
                raise ProtocolError("the response continues after its last chunk")
            self._data, self._is_complete = self._data[size:], True


def _parse_head(data: bytes, size: int) -> tuple[bytes, ResponseHead]:
    """Return the minor version and the head of a response whose head has so many bytes."""
    line = _STATUS_LINE.match(data)
    if line is None:
        raise ProtocolError("the response does not start with an HTTP/1.1 status line")
    headers: dict[str, str] = {}
    at, end = line.end(), size - 2
    while at < end:
        field = _HEADER.match(data, at)
        if field is None:
            raise ProtocolError("the response has an invalid header line")
        at = field.end()
        name, value = field[1].decode("ascii").lower(), _decode(field[2].strip(b" \t"))
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None and (not _CHUNKED.search(data, 0, size) or "," in coding or length is not None):
        raise ProtocolError("Transfer-Encoding of the response is not chunked, or is combined with Content-Length")
    if length is not None and not _LENGTH.fullmatch(length):
        raise ProtocolError("Content-Length of the response is not a number, or is sent twice")
    return line[1], ResponseHead(int(line[2]), headers)


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
