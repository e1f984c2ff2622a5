"""Ports that stay reserved while they refuse connections, and differences of server sockets between systems."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from typing import Any, Optional, Tuple

_CAN_SHARE = hasattr(socket, "SO_REUSEPORT")
_REUSE_OPTION: Optional[int] = getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR if os.name == "posix" else None)
"""None on Windows, where SO_REUSEADDR allows any program to use the same port, with undefined results, and with
SO_EXCLUSIVEADDRUSE this program cannot use the port again before all of its accepted connections end."""
_CORK_OPTION: Optional[int] = getattr(socket, "TCP_CORK", 4 if sys.platform == "darwin" else None)
"""The option that delays bytes until a connection ends: on macOS TCP_NOPUSH, for which Python has no name."""
_SHUT_WRITE = 1


class Port:
    """A free port of this machine, which stays reserved while it refuses connections.

    One socket reserves it, and another one shares it to listen. On Windows, sockets cannot share a port, so the
    reserving socket itself listens, and is replaced by a new one to stop listening.

    Args:
        host: The address; an IPv6 address has a colon.

    Attributes:
        address: The address and the port number.
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
        """Release the port."""
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
    """Send the last bytes of a connection so that a client receives them together with the close."""
    if _CORK_OPTION is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _CORK_OPTION, 1)
        connection.sendall(data)
        return
    connection.sendall(data[:-1])
    if sys.platform == "win32" and _end_at_once(connection, data[-1:]):
        return
    connection.sendall(data[-1:])


def _end_at_once(connection: socket.socket, data: bytes) -> bool:
    """On Windows, send a byte and close, while no other thread of this process runs; return whether it was sent."""
    winsock: Any = ctypes.PyDLL("ws2_32")  # functions of a PyDLL do not release the interpreter lock
    handle = ctypes.c_size_t(connection.fileno())
    connection.setblocking(False)  # the client may need the lock to read the bytes before
    try:
        is_sent = winsock.send(handle, data, len(data), 0) == len(data)
        if is_sent:
            winsock.shutdown(handle, _SHUT_WRITE)
        return bool(is_sent)
    finally:
        connection.setblocking(True)
