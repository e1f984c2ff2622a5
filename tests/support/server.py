"""A fake server on a real loopback socket: it answers what a test wrote down, and notes every request."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Callable, Deque, Dict, List, Literal, Optional, Set, Tuple, Union
from urllib.parse import parse_qsl, urlsplit

Step = Union[bytes, float, threading.Event, Callable[[], object]]
"""Bytes are sent, seconds are waited, an event is waited for, a function is called."""


@dataclass(frozen=True)
class Reply:
    """What the server does with one request: some steps, and then what becomes of the connection."""

    steps: Tuple[Step, ...] = ()
    end: Literal["keep", "close", "reset", "hang"] = "keep"


@dataclass(frozen=True)
class Seen:
    """A request as it stood on the wire."""

    method: str
    target: str
    headers: Dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> Dict[str, str]:
        """The query, decoded."""
        query = urlsplit(self.target).query
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}

    @property
    def line(self) -> str:
        """Method and path, as scripts name them."""
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        """The body as data; None if there is none."""
        return json.loads(self.body) if self.body else None


def eventually(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until something is so; only for what needs no event loop to become so."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.001)


class FakeServer:
    """
    Listens on a free port of this machine.

    Args:
        listening: Whether it takes connections at once; before `listen` they are refused.
        tls: Speaks TLS with this.

    Attributes:
        url: Its address.
        seen: Every request in order of arrival.
        unmatched: Those that no script spoke of.
    """

    def __init__(self, *, listening: bool = True, tls: Optional[ssl.SSLContext] = None) -> None:
        self._tls = tls
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._address[1]}"
        self.seen: List[Seen] = []
        self.unmatched: List[Seen] = []
        self._script: Dict[str, Deque[Reply]] = {}
        self._always: Dict[str, Reply] = {}
        self._lock = threading.Lock()
        self._open: Set[socket.socket] = set()
        self._connections = 0
        self._busy: Set[int] = set()
        self._most_busy = 0
        self._threads: List[threading.Thread] = []
        self._closing = threading.Event()
        self._listens = False
        if listening:
            self.listen()

    # What tests say

    def on(self, line: str, *replies: Reply) -> None:
        """Answer the next requests with this method and path (``GET /health``), one reply each, in order."""
        with self._lock:
            self._script.setdefault(line, deque()).extend(replies)

    def always(self, line: str, reply: Reply) -> None:
        """Answer any number of these requests with the same reply, once the script has no other."""
        with self._lock:
            self._always[line] = reply

    def listen(self) -> None:
        """Take connections from now on."""
        if not self._listens:
            self._listens = True
            self._listener.listen(256)
            self._start(self._accept)

    # What tests ask

    @property
    def lines(self) -> List[str]:
        """Method and path of every request so far."""
        return [seen.line for seen in self.seen]

    @property
    def only(self) -> Seen:
        """The one request there was."""
        assert len(self.seen) == 1, self.lines
        return self.seen[0]

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return self._connections

    @property
    def open_connections(self) -> int:
        """How many connections are open now, as far as the server knows."""
        with self._lock:
            return len(self._open)

    @property
    def most_at_once(self) -> int:
        """The largest number of requests that were being answered at the same time."""
        return self._most_busy

    @property
    def left_over(self) -> List[str]:
        """What was written down and never asked for."""
        with self._lock:
            return [f"{len(replies)} x {line}" for line, replies in self._script.items() if replies]

    def check(self) -> None:
        """Fail if something was never asked for, or asked for without a script."""
        assert not self.unmatched, f"no script for {[seen.line for seen in self.unmatched]}"
        assert not self.left_over, f"never asked for: {self.left_over}"

    def close(self) -> None:
        """Close everything; threads end."""
        self._closing.set()
        if self._listens:
            with contextlib.suppress(OSError), socket.create_connection(self._address, 1):
                pass  # wakes the acceptor
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._listener.close()

    # The threads

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True, name="fake-server")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with self._lock:
                if self._closing.is_set():
                    connection.close()
                    return
                self._connections += 1
                self._open.add(connection)
                number = self._connections
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                connection = self._secured(connection, self._tls)
            received = b""
            while True:
                request, received = _read_request(connection, received, number)
                if request is None:
                    return
                reply = self._take(request)
                try:
                    kept = self._play(connection, reply, request)
                finally:
                    self._is_answered(request)
                if not kept:
                    return
        except OSError:
            pass  # the client went away
        finally:
            connection.close()
            with self._lock:
                self._open.discard(connection)

    def _secured(self, connection: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        secured = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open.discard(connection)
            self._open.add(secured)
        try:
            secured.do_handshake()
        except OSError:
            with contextlib.suppress(OSError):  # a client that still sends would not read why, but meet a reset
                secured.shutdown(socket.SHUT_WR)
                while socket.socket.recv(secured, 65536):
                    pass
            secured.close()
            with self._lock:
                self._open.discard(secured)
            raise
        return secured

    def _take(self, request: Seen) -> Reply:
        with self._lock:
            self.seen.append(request)
            self._busy.add(id(request))
            self._most_busy = max(self._most_busy, len(self._busy))
            replies = self._script.get(request.line)
            if replies:
                return replies.popleft()
            if request.line in self._always:
                return self._always[request.line]
            self.unmatched.append(request)
        body = b'{"error":"no script"}'
        return Reply((b"HTTP/1.1 418 No Script\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body),))

    def _is_answered(self, request: Seen) -> None:
        with self._lock:
            self._busy.discard(id(request))

    def _play(self, connection: socket.socket, reply: Reply, request: Seen) -> bool:
        for position, step in enumerate(reply.steps, 1):
            if isinstance(step, bytes):
                if position == len(reply.steps):  # before it is sent: after that, the next request may be there already
                    self._is_answered(request)
                connection.sendall(step)
            elif isinstance(step, threading.Event):
                while not (step.wait(0.05) or self._closing.is_set()):
                    pass
            elif callable(step):
                step()
            else:
                self._closing.wait(step)
        if reply.end == "hang":
            while connection.recv(65536):
                pass
        if reply.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return reply.end == "keep"


def _read_request(connection: socket.socket, received: bytes, number: int) -> Tuple[Optional[Seen], bytes]:
    """The next request, and the bytes behind it; None if the client closed the connection."""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers: Dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} twice"
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    while len(rest) < length:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        rest += piece
    return Seen(method, target, headers, rest[:length], number), rest[length:]
