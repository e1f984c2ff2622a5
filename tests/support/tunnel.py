"""A proxy that connects to any server, as an HTTP proxy does for HTTPS."""

from __future__ import annotations

import contextlib
import socket
import threading

from sekha.testing._sockets import ReceivedRequest, SocketServer


class Tunnel(SocketServer):
    """Answers CONNECT, and passes on what comes."""

    def serve(self, connection: socket.socket, request: ReceivedRequest) -> bool:
        assert request.method == "CONNECT"
        host, _, port = request.target.partition(":")
        with socket.create_connection((host, int(port))) as server:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pass_on, args=(server, connection), daemon=True)
            back.start()
            _pass_on(connection, server)
            back.join()
        return False


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
