"""Servers that decide on a request before they have read it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Iterator, List, Optional

from sekha.testing._ports import bind_socket


class EarlyServer:
    """
    Reads the head of one request of each connection, says some bytes, and goes no further until it is told to.

    Args:
        said: The bytes, in pieces that go out one after another.
        closes: Whether it closes each connection then, with what was not read.
        tls: Speaks TLS with this.
        buffer: Bytes that the system keeps of what is not read, about; None for any number.

    Attributes:
        url: Its address.
        accepted: Number of connections.
        ended: Number of connections that the client has closed.
    """

    def __init__(
        self, *said: bytes, closes: bool, tls: Optional[ssl.SSLContext] = None, buffer: Optional[int] = None
    ) -> None:
        self._said, self._closes, self._tls = said, closes, tls
        self._go_on = threading.Event()
        self._threads: List[threading.Thread] = []
        self._listener = bind_socket(("127.0.0.1", 0))
        if buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)  # its connections inherit it
        self._listener.listen(16)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted = self.ended = 0
        self._start(self._accept)

    def go_on(self) -> None:
        """Read from the connections that are still open."""
        self._go_on.set()

    def close(self) -> None:
        """Close it, and wait for its threads."""
        self._go_on.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]  # any function
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            # Before TLS: what it has not sent yet would be dropped when a connection with unread bytes is closed.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.settimeout(30)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            received = b""
            while b"\r\n\r\n" not in received:
                piece = connection.recv(1024)
                if not piece:
                    return
                received += piece
            for number, text in enumerate(self._said):
                if number:
                    time.sleep(0.02)  # so that the client sends in between
                connection.sendall(text)
            if not self._closes:
                self._go_on.wait(30)
                with contextlib.suppress(ConnectionError):
                    while connection.recv(65536):
                        pass
                self.ended += 1
        connection.close()


@contextlib.contextmanager
def early_server(
    *said: bytes, closes: bool, tls: Optional[ssl.SSLContext] = None, buffer: Optional[int] = None
) -> Iterator[EarlyServer]:
    """Such a server for a block."""
    server = EarlyServer(*said, closes=closes, tls=tls, buffer=buffer)
    try:
        yield server
    finally:
        server.close()
