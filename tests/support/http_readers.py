"""Three readers of HTTP/1.1 behind one function: that of the library, h11, and httptools (llhttp)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, NamedTuple

from sekha._http.http11 import HTTP11
from sekha._http.models import Headers, HTTPRequest, ProtocolError

_FRAMING = ("content-length", "transfer-encoding")


class Result(NamedTuple):
    """What a reader makes of an answer.

    Attributes:
        ending: `complete`, `more` (data is needed) or `error`.
        status: Its status; None if there is no whole head.
        headers: Names in lower case, values without blanks around, repeated ones joined. Those of the framing are left
            out, since readers note them in different ways: `size` shows what they made of them.
        body: The body, or what there is of it.
        size: Number of bytes that were received when it was complete.
        is_reusable: Whether another request may be sent on the connection.
    """

    ending: str
    status: int | None = None
    headers: dict[str, str] | None = None
    body: bytes = b""
    size: int | None = None
    is_reusable: bool = False


class _Reader:
    """What the three have in common: received pieces go in, and an empty one is the end of the connection."""

    status: int | None = None
    headers: dict[str, str] | None = None
    body = b""
    is_complete = False

    def receive(self, piece: bytes) -> None:
        raise NotImplementedError

    def receive_surplus(self, piece: bytes) -> None:
        raise NotImplementedError

    def is_reusable(self) -> bool:
        raise NotImplementedError

    def set_head(self, status: int, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.status, self.headers = status, {}
        for raw_name, raw_value in pairs:
            name, value = raw_name.decode("ascii").lower(), _decode(raw_value.strip(b" \t"))
            if name not in _FRAMING:
                self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class Ours(_Reader):
    """The reader of the library."""

    refusals: tuple[type[Exception], ...] = (ProtocolError,)

    def __init__(self) -> None:
        self.http = HTTP11()
        self.http.encode_request(HTTPRequest("GET", "http://a", "/", Headers([(b"host", b"a")]), None, {}, None))

    def receive(self, piece: bytes) -> None:
        self.http.receive_data(piece)
        if self.status is None:
            head = self.http.response_head()
            if head is None:
                return
            self.status = head.status
            self.headers = {name: value for name, value in head.headers.items() if name not in _FRAMING}
        while chunk := self.http.next_chunk():
            self.body += chunk
        self.is_complete = chunk is not None

    def receive_surplus(self, piece: bytes) -> None:
        self.http.receive_data(piece)

    def is_reusable(self) -> bool:
        return self.http.start_next_cycle()


class ByH11(_Reader):
    """The reader of h11, with our limit of a head."""

    def __init__(self) -> None:
        self.h11: Any = import_module("h11")
        self.refusals = (self.h11.RemoteProtocolError,)
        self.http = self.h11.Connection(self.h11.CLIENT, max_incomplete_event_size=100 * 1024)
        self.http.send(self.h11.Request(method="GET", target="/", headers=[("host", "a")]))
        self.http.send(self.h11.EndOfMessage())
        self.has_surplus = False

    def receive(self, piece: bytes) -> None:
        self.http.receive_data(piece)
        while not self.is_complete:
            event = self.http.next_event()
            if event is self.h11.NEED_DATA or event is self.h11.PAUSED:
                return
            if isinstance(event, self.h11.Response):
                self.set_head(event.status_code, event.headers)
            elif isinstance(event, self.h11.Data):
                self.body += event.data
            self.is_complete = isinstance(event, self.h11.EndOfMessage)
        self.has_surplus = not piece or bool(self.http.trailing_data[0])

    def receive_surplus(self, piece: bytes) -> None:
        self.has_surplus = True

    def is_reusable(self) -> bool:
        return self.http.their_state is self.h11.DONE and not self.has_surplus


class ByHttptools(_Reader):
    """The reader of httptools. It is not told of the end of a connection: that much is decided here."""

    def __init__(self) -> None:
        httptools: Any = import_module("httptools")
        self.refusals = (httptools.HttpParserError, httptools.HttpParserUpgrade)
        self.parser = httptools.HttpResponseParser(self)
        self.pairs: list[tuple[bytes, bytes]] = []
        self.keeps_alive = self.has_surplus = False

    def receive(self, piece: bytes) -> None:
        if piece:
            try:
                self.parser.feed_data(piece)
            except self.refusals:
                if not self.is_complete:  # bytes after an answer are none of another one
                    raise
                self.has_surplus = True
            return
        names = {name.lower(): value for name, value in self.pairs}
        is_chunked = names.get(b"transfer-encoding", b"").strip().lower().endswith(b"chunked")
        self.is_complete = self.status is not None and b"content-length" not in names and not is_chunked
        if not self.is_complete:
            raise self.refusals[0]("the connection was closed")
        self.has_surplus = True

    def receive_surplus(self, piece: bytes) -> None:
        self.has_surplus = True

    def is_reusable(self) -> bool:
        return self.keeps_alive and not self.has_surplus

    def on_message_begin(self) -> None:
        self.has_surplus = self.is_complete
        if not self.is_complete:
            self.pairs = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status is None:  # else it is a trailer
            self.pairs.append((name, value))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if self.status is None and not 100 <= status < 200:
            self.set_head(status, self.pairs)

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self.body += data

    def on_message_complete(self) -> None:
        if self.status is not None and not self.is_complete:
            self.is_complete, self.keeps_alive = True, self.parser.should_keep_alive()


READERS: dict[str, Callable[[], Any]] = {"ours": Ours, "h11": ByH11, "httptools": ByHttptools}


def read(reader: str, pieces: Iterable[bytes]) -> Result:
    """Return what a reader makes of the pieces of an answer; an empty one is the end of the connection."""
    it, size, end = READERS[reader](), 0, None
    for piece in pieces:
        size += len(piece)
        if it.is_complete:
            it.receive_surplus(piece)
            continue
        try:
            it.receive(piece)
        except it.refusals:
            return Result("error", it.status, it.headers, it.body)
        if it.is_complete:
            end = size
    if it.is_complete:
        return Result("complete", it.status, it.headers, it.body, end, it.is_reusable())
    return Result("more", it.status, it.headers, it.body)


def bytewise(answer: bytes, is_closed: bool) -> list[bytes]:
    """Return an answer in pieces of one byte, or some more if it is very long, and the end of the connection."""
    size = 1 + len(answer) // 4096
    return [answer[at : at + size] for at in range(0, len(answer), size)] + [b""] * is_closed


def outcome(result: Result) -> str:
    """Return how an answer ends for a reader, in the words of the table."""
    return f"{result.ending} again" if result.is_reusable else result.ending
