"""Sockets that never wait, plain or with TLS: an operation is done now, or not at all."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar
from weakref import WeakSet

from sekha._concurrency.sockets import AddressInfo, ReadWatch, is_writable
from sekha._http.tls import require_http11

T = TypeVar("T")

_SHUT_RDWR: Final = socket.SHUT_RDWR
"""Known before anything is closed: tests of users and frameworks replace what is in the module `socket`."""

_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""Why an address fails that this machine has no way to, such as one of IPv6 where there is only IPv4."""

_KEEPALIVE_IDLE: Final = 60
_KEEPALIVE_INTERVAL: Final = 15
_KEEPALIVE_COUNT: Final = 4

_READ_SIZE = 64 * 1024
_TLS_RECORD_SIZE = 16 * 1024


_sockets: WeakSet[socket.socket] = WeakSet()
"""All that were opened here and may be open."""


def _close_inherited() -> None:
    """Close the copies that a child has of the sockets of its parent, which go on there.

    Otherwise a wait that was interrupted by the fork, such as one of another greenlet, would go on in both, and a
    connection that the parent closes would stay open as long as the child lives.
    """
    for sock in list(_sockets):
        with suppress(Exception):  # a fork is not the place for it
            sock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


def require_process(pid: int) -> None:
    """Refuse what would take bytes of a connection of another process: a fork shares it with the child.

    Raises:
        ConnectionAbortedError: This is not that process.
    """
    if pid != os.getpid():
        raise ConnectionAbortedError(f"the connection belongs to process {pid}, the parent of this forked process")


class PlainSocket:
    """A connected socket.

    Args:
        sock: The socket, which does not block.
        pid: The process that has opened it.
    """

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self.sock = sock
        self.pid = pid
        self.read_watch = ReadWatch(sock)

    def try_read(self) -> bytes | None:
        """Return received bytes, none at their end; None if there is nothing yet.

        Raises:
            OSError: The connection broke, or belongs to another process.
        """
        require_process(self.pid)
        try:
            return self.sock.recv(_READ_SIZE)
        except BlockingIOError:
            return None

    def try_write(self, data: memoryview) -> int:
        """Send bytes, and return how many were sent.

        Raises:
            OSError: The connection broke, or belongs to another process.
        """
        require_process(self.pid)
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def has_buffered_data(self) -> bool:
        """Return whether there may be something to read although nothing arrives."""
        return False

    def must_write(self, *, writing: bool) -> bool:
        """Return whether the socket has to take bytes before more can be done, or only to have some."""
        return writing

    def is_readable(self) -> bool:
        """Return whether bytes have arrived, or the end of the connection."""
        return self.read_watch.wait(0)

    def has_unread_data(self) -> bool:
        """Return whether the server has closed the connection, or sent bytes that nobody has read."""
        return self.is_readable() or self.has_buffered_data()

    def shut_down(self) -> None:
        """Interrupt whoever waits for the socket; raise nothing, also where the socket was patched."""
        with suppress(Exception):
            self.sock.shutdown(_SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; raise nothing, also where its descriptor was closed by others.

        TLS is not told, since that would wait for the server.
        """
        with suppress(Exception):
            self.sock.close()


class TLSSocket(PlainSocket):
    """A connected socket with TLS, which works in memory here: so nothing waits, and any context will do.

    Args:
        plain: The same without TLS.
        context: The context.
        host: Name of the server.
    """

    def __init__(self, plain: PlainSocket, context: ssl.SSLContext, host: str) -> None:
        super().__init__(plain.sock, plain.pid)
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._unsent = b""  # encrypted, and not taken by the socket yet
        self._unsent_size = 0  # bytes of the caller that are in it

    def try_handshake(self) -> bool:
        """Go on with the handshake; return whether it is done.

        Raises:
            OSError: The connection broke, or the server is not to be trusted.
        """
        try:
            self._call(self._tls.do_handshake)
        except BlockingIOError:
            return False
        require_http11(self._tls.selected_alpn_protocol())
        return not self._unsent

    def try_read(self) -> bytes | None:
        """Return received bytes, none at their end; None if there is nothing yet.

        Raises:
            OSError: The connection broke, belongs to another process, or ended without a TLS close: anybody on the way
                can do that.
        """
        require_process(self.pid)
        try:
            data = self._call(self._tls.read, _READ_SIZE)
        except BlockingIOError:
            return None
        except ssl.SSLEOFError as error:
            raise _ended_without_close() from error
        if not data and self._received.eof:  # the context lets it pass
            raise _ended_without_close()
        return data

    def try_write(self, data: memoryview) -> int:
        """Encrypt and send bytes, and return how many were sent.

        Those that were encrypted and are not all sent count later: until then, the next call begins with the same.

        Raises:
            OSError: The connection broke.
        """
        sent = 0
        while sent < len(data):
            self._flush()
            if not self._unsent and not self._unsent_size:
                try:
                    self._unsent_size = self._call(self._tls.write, data[sent : sent + _TLS_RECORD_SIZE])
                except BlockingIOError:
                    break
            if self._unsent:
                break
            sent += self._unsent_size
            self._unsent_size = 0
        return sent

    def has_buffered_data(self) -> bool:
        """Return whether there may be something to read although nothing arrives."""
        return self._tls.pending() > 0 or self._received.pending > 0

    def must_write(self, *, writing: bool) -> bool:
        """Return whether the socket has to take bytes before more can be done, or only to have some."""
        return bool(self._unsent)

    def _call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function of TLS, with the bytes that it needs.

        Raises:
            BlockingIOError: Some of them were not received yet.
        """
        while True:
            try:
                return function(*arguments)
            except ssl.SSLWantReadError:
                data = super().try_read()
                if data is None:
                    raise BlockingIOError from None
                if data:
                    self._received.write(data)
                else:
                    self._received.write_eof()
            finally:
                with suppress(OSError):  # what was received before the connection broke can still be read
                    self._flush()

    def _flush(self) -> None:
        self._unsent += self._to_send.read()
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            self._unsent = unsent[super().try_write(memoryview(unsent)) :]


def _ended_without_close() -> ssl.SSLEOFError:
    # With one argument, its text would be that of a tuple.
    return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended without a TLS close")


def keepalive_options(names: Mapping[str, Any], platform: str) -> list[tuple[int, int, int]]:
    """Return the options of a socket that let the system ask after a server that is silent.

    It asks after 60 seconds, and then every 15; if there is no answer to the fourth, the connection is broken. So a
    call does not wait for a server that is gone, and a firewall on the way does not forget the connection. It does not
    ask while something that was sent is not acknowledged, so Linux gives that up after the same time.

    Args:
        names: The names of the module `socket`, which differ between platforms.
        platform: `sys.platform`.
    """
    macos = 0x10 if platform == "darwin" else None  # Python 3.9 has no name for it there
    values: dict[int | None, int] = {
        names.get("TCP_KEEPIDLE", names.get("TCP_KEEPALIVE", macos)): _KEEPALIVE_IDLE,
        names.get("TCP_KEEPINTVL"): _KEEPALIVE_INTERVAL,
        names.get("TCP_KEEPCNT"): _KEEPALIVE_COUNT,
        names.get("TCP_USER_TIMEOUT"): 1000 * (_KEEPALIVE_IDLE + _KEEPALIVE_INTERVAL * _KEEPALIVE_COUNT),
    }
    of_tcp = [(int(names["IPPROTO_TCP"]), option, value) for option, value in values.items() if option is not None]
    return [(int(names["SOL_SOCKET"]), int(names["SO_KEEPALIVE"]), 1), *of_tcp]


KEEPALIVE_OPTIONS: Final = keepalive_options(vars(socket), sys.platform)
"""The options on this platform, as `socket.setsockopt` takes them."""


class ConnectionAttempts:
    """Connecting to the addresses of a host, each begun while those before it may still go on.

    Args:
        host: The host, for an error.
        addresses: Its addresses.

    Attributes:
        connected: The address that was connected to; None if there is none yet.
    """

    def __init__(self, host: str, addresses: Iterable[AddressInfo]) -> None:
        self._host = host
        self._addresses = deque(addresses)
        self._attempts: dict[socket.socket, Any] = {}
        self._problems: list[OSError] = []
        self._pid = os.getpid()
        self.connected: Any = None

    @property
    def has_next(self) -> bool:
        """Whether there is an address that was not tried."""
        return bool(self._addresses)

    @property
    def sockets(self) -> list[socket.socket]:
        """The sockets of the attempts that go on."""
        return list(self._attempts)

    @property
    def problem(self) -> OSError:
        """Why there is no connection: what the first address answered that can be reached at all."""
        if not self._problems:
            return OSError(f"{self._host} has no address")
        return next((one for one in self._problems if one.errno not in _UNREACHABLE), self._problems[0])

    def begin_next(self) -> None:
        """Begin with the next address."""
        family, kind, protocol, _, address = self._addresses.popleft()
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            self._problems.append(error)
            return
        self._attempts[sock] = address
        _sockets.add(sock)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for option in KEEPALIVE_OPTIONS:
                with suppress(OSError):  # an old system may not have them all
                    sock.setsockopt(*option)
            sock.connect(address)  # not `connect_ex`: tests that allow only some hosts replace this one
        except (BlockingIOError, InterruptedError):  # it has begun
            pass
        except OSError as error:
            self._fail(sock, error)

    def take_connected(self) -> PlainSocket | None:
        """Return a socket that is connected, None if there is none yet."""
        require_process(self._pid)
        for sock in filter(is_writable, self.sockets):
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not number:
                self.connected = self._attempts.pop(sock)
                return PlainSocket(sock, self._pid)
            self._fail(sock, _system_error(number))
        return None

    def close(self) -> None:
        """Close the sockets that were not taken."""
        while self._attempts:
            self._attempts.popitem()[0].close()

    def _fail(self, sock: socket.socket, problem: OSError) -> None:
        self._problems.append(problem)
        del self._attempts[sock]
        sock.close()


def _system_error(number: int) -> OSError:
    if sys.platform == "win32" and number > 10_000:
        import ctypes

        return ctypes.WinError(number)  # os.strerror does not know the errors of sockets there
    return OSError(number, os.strerror(number))
