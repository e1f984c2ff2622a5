"""Sockets: connecting, TLS, reads and writes with a timeout, in two forms. What goes wrong is an `OSError`."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, cast

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

from sekha._concurrency.primitives import async_move_on_after
from sekha._http.models import shorter_timeout
from sekha._http.tls import require_http11

_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError)
"""What anyio raises on a connection that is no longer good; the reason is the cause of it."""


class AsyncNetwork:
    """Connects on asyncio and trio."""

    async def connect_tcp(self, host: str, port: int, seconds: float | None) -> AsyncNetworkStream:
        """Return a connection to the first address of a host that accepts one.

        Args:
            host: Name or IP address.
            port: Port.
            seconds: Time for all addresses together; None means no limit.

        Raises:
            OSError: There is no connection.
        """
        try:
            with async_move_on_after(seconds):
                return AsyncNetworkStream(await anyio.connect_tcp(host, port))
        except OSError as error:
            raise _reason(error) from None
        except UnicodeError as error:  # it cannot be the name of a host
            raise OSError(str(error)) from error
        raise TimeoutError("timed out")


class AsyncNetworkStream:
    """A connection on asyncio or trio.

    Args:
        stream: The connected socket.
    """

    def __init__(self, stream: SocketStream) -> None:
        self._socket: Any = stream.extra(SocketAttribute.raw_socket)  # of another class on some event loops
        self._tcp = stream
        self._stream: SocketStream | TLSStream = stream

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        """Speak TLS from now on, with a server of this name.

        Raises:
            OSError: There is no trusted connection.
        """
        try:
            with async_move_on_after(seconds):  # standard_compatible: an end without close_notify is an error
                self._stream = await TLSStream.wrap(
                    self._tcp, server_side=False, hostname=host, ssl_context=context, standard_compatible=True
                )
                require_http11(self._stream.extra(TLSAttribute.alpn_protocol))
                return
        except (*_BROKEN, anyio.EndOfStream) as error:
            raise _reason(error) from None
        raise TimeoutError("timed out")

    async def read(self, size: int, seconds: float | None) -> bytes:
        """Return the next bytes, at most so many; none if the server has closed the connection.

        Raises:
            OSError: The connection broke, or nothing came in time.
        """
        try:
            with async_move_on_after(seconds):
                return await self._stream.receive(size)
        except anyio.EndOfStream:
            return b""
        except _BROKEN as error:
            raise _reason(error) from None
        raise TimeoutError("timed out")

    async def write(self, data: bytes, seconds: float | None) -> None:
        """Send all bytes.

        Raises:
            OSError: The connection broke, or not all was sent in time.
        """
        try:
            with async_move_on_after(seconds):
                await self._stream.send(data)
                return
        except _BROKEN as error:
            raise _reason(error) from None
        raise TimeoutError("timed out")

    def shut_down(self) -> None:
        """Interrupt a task that reads or writes."""
        with suppress(OSError):
            if isinstance(self._socket, socket.socket):
                self._socket.shutdown(socket.SHUT_RDWR)
            else:  # the socket objects of some event loops have no shutdown()
                with socket.fromfd(self._socket.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copy:
                    copy.shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        """Close the socket, without saying good-bye to TLS: that would wait for the server."""
        await self._tcp.aclose()

    def has_unread_data(self) -> bool:
        """Return whether the server has closed the connection, or sent bytes that nobody has read.

        They may lie in the system, in TLS, or where asyncio keeps what it has received. No read may be under way.
        """
        if _is_readable(self._socket):
            return True
        protocol = getattr(self._tcp, "_protocol", None)  # anyio's on asyncio, which has no public way to ask
        if getattr(protocol, "read_queue", None):
            return True
        tls = self._stream.extra(TLSAttribute.ssl_object, None)
        return tls is not None and _tls_has_data(tls)


class Network:
    """Connects in blocking code."""

    def connect_tcp(self, host: str, port: int, seconds: float | None) -> NetworkStream:
        """Return a connection to the first address of a host that accepts one.

        Args:
            host: Name or IP address.
            port: Port.
            seconds: Time for all addresses together; None means no limit.

        Raises:
            OSError: There is no connection.
        """
        deadline_at = None if seconds is None else monotonic() + seconds
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # it cannot be the name of a host
            raise OSError(str(error)) from error
        problem = OSError(f"{host} has no address")
        for others, (family, kind, protocol, _, address) in zip(range(len(addresses) - 1, -1, -1), addresses):
            share = None if deadline_at is None else shorter_timeout(None, (deadline_at - monotonic()) / (others + 1))
            try:
                return _connected((family, kind, protocol), address, share)
            except OSError as error:
                problem = error
        raise problem


def _connected(kind: tuple[int, int, int], address: Any, seconds: float | None) -> NetworkStream:
    sock = socket.socket(*kind)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(seconds)
        sock.connect(address)
    except socket.timeout:
        sock.close()
        raise TimeoutError("timed out") from None  # before Python 3.10, that of sockets is another class
    except BaseException:
        sock.close()
        raise
    return NetworkStream(sock)


class NetworkStream:
    """A connection in blocking code.

    Args:
        sock: The connected socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._seconds = sock.gettimeout()

    def start_tls(self, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        """Speak TLS from now on, with a server of this name.

        Raises:
            OSError: There is no trusted connection.
        """
        self._set_timeout(seconds)
        try:  # suppress_ragged_eofs: an end without close_notify is an error
            tls = context.wrap_socket(self._socket, server_hostname=host, suppress_ragged_eofs=False)
        except socket.timeout:
            raise TimeoutError("timed out") from None
        self._socket = tls
        require_http11(tls.selected_alpn_protocol())

    def read(self, size: int, seconds: float | None) -> bytes:
        """Return the next bytes, at most so many; none if the server has closed the connection.

        Raises:
            OSError: The connection broke, or nothing came in time.
        """
        self._set_timeout(seconds)
        try:
            return self._socket.recv(size)
        except socket.timeout:
            raise TimeoutError("timed out") from None

    def write(self, data: bytes, seconds: float | None) -> None:
        """Send all bytes.

        Raises:
            OSError: The connection broke, or not all was sent in time.
        """
        self._set_timeout(seconds)
        try:
            self._socket.sendall(data)
        except socket.timeout:
            raise TimeoutError("timed out") from None

    def shut_down(self) -> None:
        """Interrupt a thread that reads or writes."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # the method of an SSLSocket would do more

    def close(self) -> None:
        """Close the socket, without saying good-bye to TLS: that would wait for the server."""
        self._socket.close()

    def has_unread_data(self) -> bool:
        """Return whether the server has closed the connection, or sent bytes that nobody has read."""
        return _is_readable(self._socket) or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0)

    def _set_timeout(self, seconds: float | None) -> None:
        if seconds != self._seconds:  # it costs a system call
            self._socket.settimeout(seconds)
            self._seconds = seconds


def timeout_before_deadline(seconds: float | None, deadline_at: float | None, now: Callable[[], float]) -> float | None:
    """Return a timeout that ends at the deadline at the latest.

    Args:
        seconds: The timeout; None means no limit.
        deadline_at: Time of the deadline on that clock, or None.
        now: Returns the time.

    Raises:
        TimeoutError: The deadline passed.
    """
    if deadline_at is None:
        return seconds
    left = deadline_at - now()
    if left <= 0:
        raise TimeoutError("the deadline passed")
    return shorter_timeout(seconds, left)


def _is_readable(sock: socket.socket) -> bool:
    """Return whether a read would return at once: there are bytes, or the connection is closed."""
    number = sock.fileno()
    if number < 0:
        return True
    if hasattr(select, "poll"):  # select() cannot watch descriptors above 1023
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([number], [], [], 0)[0])


def _tls_has_data(tls: ssl.SSLObject) -> bool:
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        pass  # there is something, if not valid TLS
    return True


def _reason(error: BaseException) -> OSError:
    """Return the error of the system that an error of anyio stands for."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and (cause.errno is not None or isinstance(cause, ssl.SSLError)):
            return cause
        attempts = cast("tuple[BaseException, ...]", getattr(cause, "exceptions", ()))  # of a group: one for an address
        cause = attempts[0] if attempts else cause.__cause__
    return error if isinstance(error, OSError) else ConnectionError("the connection is closed")
