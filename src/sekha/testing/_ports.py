"""Ports that stay reserved while nobody listens on them, and what systems do differently with sockets of a server."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from typing import Any, Optional, Tuple

_CAN_SHARE = hasattr(socket, "SO_REUSEPORT")
_REUSE_OPTION: Optional[int] = getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR if os.name == "posix" else None)
"""None on Windows: SO_REUSEADDR would let any program have the same port there, and who gets a connection is undefined.
SO_EXCLUSIVEADDRUSE would keep the port from ourselves as long as a connection lives that was accepted on it."""
_CORK_OPTION: Optional[int] = getattr(socket, "TCP_CORK", 4 if sys.platform == "darwin" else None)
"""The option that holds bytes back until a connection ends: on macOS TCP_NOPUSH, for which Python has no name."""
_SHUT_WRITE = 1


class Port:
    """A free port of this machine, which is kept while nobody listens on it.

    One socket reserves it, and another one shares it to listen. Windows lets no two share it, so there the socket that
    reserves it listens itself, and is replaced by a new one to stop that.

    Args:
        host: The address; an IPv6 address has a colon.

    Attributes:
        address: The address and the number of the port.
    """

    def __init__(self, host: str) -> None:
        self._reserved = bind_socket((host, 0))
        self.address: Tuple[str, int] = self._reserved.getsockname()[:2]

    def listen(self, backlog: int = 256) -> socket.socket:
        """Return a socket that listens on the port, until `refuse` closes it."""
        listener = bind_socket(self.address) if _CAN_SHARE else self._reserved
        listener.listen(backlog)
        return listener

    def refuse(self, listener: socket.socket) -> None:
        """Refuse connections from now on."""
        listener.close()
        if not _CAN_SHARE:
            self._reserved = bind_socket(self.address)

    def close(self) -> None:
        """Give the port back."""
        self._reserved.close()


def bind_socket(address: Tuple[str, int]) -> socket.socket:
    """Bind a socket to an address."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if _REUSE_OPTION is not None:
            found.setsockopt(socket.SOL_SOCKET, _REUSE_OPTION, 1)
        found.bind(address)
    except BaseException:
        found.close()
        raise
    return found


def linger_option(platform: str = sys.platform) -> bytes:
    """Return the value of SO_LINGER with which closing a socket resets its connection.

    Args:
        platform: `sys.platform`.
    """
    return struct.pack("hh" if platform == "win32" else "ii", 1, 0)  # two shorts on Windows


def reset_when_closed(connection: socket.socket) -> None:
    """Let a connection end by a TCP reset when its socket is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_option())


def send_and_end(connection: socket.socket, data: bytes) -> None:
    """Send the last bytes on a connection so that a client has them and the end of the connection at once."""
    if _CORK_OPTION is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _CORK_OPTION, 1)
        connection.sendall(data)
        return
    connection.sendall(data[:-1])
    if sys.platform == "win32" and _end_at_once(connection, data[-1:]):
        return
    connection.sendall(data[-1:])


def _end_at_once(connection: socket.socket, data: bytes) -> bool:
    """Send a byte and the end on Windows, while no other thread of this process runs; return whether it was sent."""
    winsock: Any = ctypes.PyDLL("ws2_32")  # unlike other functions, those of a PyDLL keep the lock of the interpreter
    handle = ctypes.c_size_t(connection.fileno())
    connection.setblocking(False)  # the client may need the lock to read what it has not read yet
    try:
        is_sent = winsock.send(handle, data, len(data), 0) == len(data)
        if is_sent:
            winsock.shutdown(handle, _SHUT_WRITE)
        return bool(is_sent)
    finally:
        connection.setblocking(True)
