"""Servers on loopback sockets that control every byte they send, with a thread for each connection."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Set, Tuple
from urllib.parse import parse_qsl, urlsplit

from sekha.testing._ports import Port

_JOIN_TIMEOUT = 10  # seconds


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it was received."""

    method: str
    target: str
    pairs: Tuple[Tuple[str, str], ...]
    body: bytes
    connection: int
    head: bytes = b""
    """Everything before the body."""

    @property
    def headers(self) -> Dict[str, str]:
        """The headers, names in lower case."""
        found: Dict[str, str] = {}
        for name, value in self.pairs:
            name = name.lower()
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

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
        """Method and path, such as ``GET /health``."""
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        """The body as data; None if there is none."""
        return json.loads(self.body) if self.body else None


class SocketServer:
    """A server on a free port of this machine; subclasses handle the requests.

    Args:
        listening: Whether it accepts connections from the start; otherwise they are refused until `listen`.
        host: The address; an IPv6 address has a colon.
        tls: The context for TLS; None for plain HTTP.

    Attributes:
        url: The URL of the server.
        closing: Set when the server begins to close; code that waits in `serve` checks it.
    """

    def __init__(
        self, *, listening: bool = True, host: str = "127.0.0.1", tls: Optional[ssl.SSLContext] = None
    ) -> None:
        self._tls = tls
        self._port = Port(host)
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self._port.address[1]}"
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._listener: Optional[socket.socket] = None
        self._acceptor: Optional[threading.Thread] = None
        self._open: Set[socket.socket] = set()
        self._connections = 0
        self._threads: List[threading.Thread] = []
        if listening:
            self.listen()

    def serve(self, connection: socket.socket, request: ReceivedRequest) -> bool:
        """Handle a request in the thread of its connection; return whether the connection stays open."""
        raise NotImplementedError

    @property
    def connections(self) -> int:
        """The number of connections so far."""
        return self._connections

    @property
    def open_connections(self) -> int:
        """The number of open connections, as seen by the server."""
        with self._lock:
            return len(self._open)

    def listen(self) -> None:
        """Accept connections from now on."""
        if self._listener is None:
            listener = self._listener = self._port.listen()
            self._acceptor = self._start(self._accept, listener)

    def refuse(self) -> None:
        """Refuse connections from now on, and close the open ones; `listen` accepts them again, on the same port."""
        if (listener := self._stop_accepting()) is not None:
            self._port.refuse(listener)
        self.drop()

    def drop(self) -> None:
        """Close all connections now, like a server that closes idle ones."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            if os.name == "nt":  # there, shutdown does not wake the reading thread
                connection.close()

    def close(self) -> None:
        """Close all sockets, and wait for the threads to end."""
        self.closing.set()
        if (listener := self._stop_accepting()) is not None:
            listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(_JOIN_TIMEOUT)
            assert not thread.is_alive()
        self._port.close()

    # The threads

    def _stop_accepting(self) -> Optional[socket.socket]:
        """End the thread that accepts connections; return the socket that listened, None if there was none."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None and self._acceptor is not None:
            with contextlib.suppress(OSError), socket.create_connection(self._port.address, 1):
                pass  # wakes the acceptor
            self._acceptor.join(_JOIN_TIMEOUT)
        return listener

    def _start(self, target: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True, name="fake-server")
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with self._lock:
                if self._listener is not listener:
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
                connection = self._start_tls(connection, self._tls)
            received = b""
            while True:
                request, received = _read_request(connection, received, number)
                if request is None or not self.serve(connection, request):
                    return
        except OSError:
            pass  # the client disconnected
        finally:
            connection.close()  # first, since others rely on it once the connection is no longer counted as open
            with self._lock:
                self._open.discard(connection)

    def _start_tls(self, connection: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        secured = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open.discard(connection)
            self._open.add(secured)
        try:
            secured.do_handshake()
        except OSError:
            # Without reading on, a client that still sends gets a reset, not the TLS alert.
            with contextlib.suppress(OSError):
                secured.shutdown(socket.SHUT_WR)
                while socket.socket.recv(secured, 65536):
                    pass
            secured.close()
            with self._lock:
                self._open.discard(secured)
            raise
        return secured


def _read_request(connection: socket.socket, received: bytes, number: int) -> Tuple[Optional[ReceivedRequest], bytes]:
    """Return the next request, and the bytes after it; None if the client has closed the connection."""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    parted = [line.partition(":") for line in lines]
    pairs = tuple((name, value.strip()) for name, _, value in parted)
    length = next((int(value) for name, value in pairs if name.lower() == "content-length"), 0)
    while len(rest) < length:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        rest += piece
    return ReceivedRequest(method, target, pairs, rest[:length], number, head), rest[length:]
