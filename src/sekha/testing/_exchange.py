"""One request and its response, for faults: forward it, send bytes, wait."""

from __future__ import annotations

import http.client
import selectors
import socket
import threading
from dataclasses import dataclass, field
from typing import Callable, Iterator, List, Optional, Tuple

from sekha.testing._ports import reset_when_closed
from sekha.testing._sockets import ReceivedRequest


class Answer:
    """The response of Sekha; its body is read as it arrives.

    Attributes:
        status: The status code.
        headers: Names and values in their order.
        is_chunked: Whether the body is chunked, as in streams.
    """

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status: int = response.status
        self.headers: List[Tuple[str, str]] = response.getheaders()
        known = {name.lower(): value.lower() for name, value in self.headers}
        self.is_chunked: bool = known.get("transfer-encoding") == "chunked"
        self.keeps_connection: bool = known.get("connection") != "close"

    @property
    def head(self) -> bytes:
        """Status line and headers, with the empty line."""
        return head(self.status, self._response.reason, self.headers)

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces of the body."""
        while True:
            piece = self._response.read1(65536)
            if not piece:
                return
            yield piece

    def framed(self, piece: bytes) -> bytes:
        """Return a piece of the body as it is sent, with the framing of chunked bodies."""
        return b"%x\r\n%s\r\n" % (len(piece), piece) if self.is_chunked else piece

    def wire(self) -> Iterator[bytes]:
        """Yield the bytes of the whole response as they arrive."""
        yield self.head
        for piece in self.pieces():
            yield self.framed(piece)
        if self.is_chunked:
            yield b"0\r\n\r\n"


def head(status: int, reason: str, headers: List[Tuple[str, str]]) -> bytes:
    """Return the bytes of status line and headers, with the empty line."""
    lines = [f"HTTP/1.1 {status} {reason}".rstrip(), *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


@dataclass
class Exchange:
    """One request, and what a fault can do with it.

    Attributes:
        request: The request.
        connection: The socket to the client.
    """

    request: ReceivedRequest
    connection: socket.socket
    _upstream_address: Tuple[str, int]
    _wait: Callable[[float], object]
    _closing: threading.Event
    _report: Callable[[str], object]
    _upstream: Optional[http.client.HTTPConnection] = field(default=None, init=False)

    def ask(self) -> Answer:
        """Forward the request to Sekha, and return its response; raise OSError if the client disconnects first."""
        request = self.request
        upstream = self._upstream = http.client.HTTPConnection(*self._upstream_address)
        upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.pairs:
            upstream.putheader(name, value)
        upstream.endheaders(request.body or None)
        _wait_for_response(upstream.sock, self.connection)
        return Answer(upstream.getresponse())

    def send(self, data: bytes) -> None:
        """Send bytes to the client."""
        self.connection.sendall(data)

    def wait(self, seconds: float) -> None:
        """Wait some seconds; a `FakeClock` is advanced instead."""
        self._wait(seconds)

    def hold(self, event: threading.Event) -> None:
        """Wait for an event, or until the server closes."""
        while not (event.wait(0.02) or self._closing.is_set()):
            pass

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        reset_when_closed(self.connection)

    def complain(self, problem: str) -> None:
        """Fail the test at its end, because this fault could not be triggered as scripted."""
        self._report(problem)

    def end(self) -> None:
        """Close the connection to Sekha, even before the end of its response."""
        if self._upstream is not None:
            self._upstream.close()


def _wait_for_response(upstream: socket.socket, client: socket.socket) -> None:
    """Wait until Sekha responds; raise ConnectionError if the client disconnects before."""
    with selectors.DefaultSelector() as selector:
        selector.register(upstream, selectors.EVENT_READ)
        selector.register(client, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if upstream in ready:
                return
            if not client.recv(1, socket.MSG_PEEK):
                raise ConnectionError("the client left")
            selector.unregister(client)  # it has already sent its next request
