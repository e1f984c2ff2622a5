"""Connecting, reading and writing with timeouts."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from sekha._concurrency.clock import monotonic
from sekha._concurrency.sockets import (
    async_before_closing,
    async_checkpoint,
    async_resolve,
    async_wait_for,
    async_wait_readable,
)
from sekha._http.addresses import AddressMemory
from sekha._http.models import UntilDeadline, timed_out
from sekha._http.sockets import ConnectionAttempts, PlainSocket, TLSSocket, require_process

_NEXT_ADDRESS_AFTER = 0.25
"""Seconds after which the next address of a host is tried concurrently (RFC 8305)."""


class AsyncNetwork:
    """Connects to one server.

    Args:
        now: Returns the time, for the record of working addresses.
        check: Called repeatedly while connecting; an error from it ends the attempt.
    """

    def __init__(self, now: Callable[[], float] = monotonic, check: Callable[[], object] = lambda: None) -> None:
        self._now = now
        self._check = check
        self._memory = AddressMemory()

    async def connect_tcp(self, host: str, port: int, seconds: float | None) -> AsyncNetworkStream:
        """Return a connection to the first address of a host that accepts it.

        Args:
            host: Name or IP address.
            port: Port.
            seconds: Time for all addresses together; None means no limit.

        Raises:
            OSError: No connection could be established.
        """
        limit = _TimeLimit(seconds)
        addresses = await async_resolve(host, port)
        attempts = ConnectionAttempts(host, self._memory.order(addresses, self._now()))
        try:
            while attempts.has_next or attempts.sockets:
                self._check()
                if attempts.has_next:
                    attempts.begin_next()
                pause = min(_NEXT_ADDRESS_AFTER, limit.left() or _NEXT_ADDRESS_AFTER)
                if attempts.sockets:
                    await async_wait_for((), attempts.sockets, pause)
                if (sock := attempts.take_connected()) is not None:
                    self._memory.remember(attempts.connected, self._now())
                    return AsyncNetworkStream(sock)
            raise attempts.problem
        finally:
            attempts.close()


class AsyncNetworkStream:
    """A connection.

    Args:
        sock: The connected socket.
    """

    def __init__(self, sock: PlainSocket) -> None:
        self._socket = sock

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        """Start TLS.

        Args:
            context: The context.
            host: Name of the server.
            seconds: Time for the handshake; None means no limit.

        Raises:
            OSError: The handshake failed.
        """
        limit = _TimeLimit(seconds)
        self._socket = tls = TLSSocket(self._socket, context, host)
        while not tls.try_handshake():
            await self._wait(limit.left(), writing=False)

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes; none if the server has closed the connection.

        Args:
            seconds: Time until data arrives; None means no limit.

        Raises:
            OSError: The connection broke, or no data arrived in time.
        """
        if self._socket.has_buffered_data():
            await async_checkpoint()
        else:
            await self._wait(seconds, writing=False)
        if (data := self._socket.try_read()) is not None:
            return data
        limit = _TimeLimit(seconds)  # usually the data has already arrived
        while True:
            await self._wait(limit.left(), writing=False)
            if (data := self._socket.try_read()) is not None:
                return data

    def read_now(self) -> bytes | None:
        """Return the next bytes, none if the server has closed the connection; None if there is nothing yet.

        Raises:
            OSError: The connection broke.
        """
        return self._socket.try_read()

    async def write(self, data: memoryview, seconds: float | None) -> int:
        """Send bytes until all are sent, or the server responds; return the number of sent bytes.

        Args:
            data: The bytes.
            seconds: Time for all of them; None means no limit.

        Raises:
            OSError: The connection broke, or the timeout passed.
        """
        sent = self._socket.try_write(data)  # usually all of it
        if sent == len(data):
            return sent
        limit = _TimeLimit(seconds)
        while True:
            await self._wait(limit.left(), writing=True)
            if self._socket.is_readable():
                return sent
            sent += self._socket.try_write(data[sent:])
            if sent == len(data):
                return sent

    async def aclose(self) -> None:
        """Close the socket, and wake the task or thread that waits for it."""
        async_before_closing(self._socket.sock)
        self._socket.close()

    def discard(self, *, shut_down: bool) -> None:
        """Close a socket that no task or thread waits for; from any thread, with or without an event loop.

        Args:
            shut_down: Whether to end the connection even if a child process has a copy of the socket.
        """
        if shut_down:
            self._socket.shut_down()
        self._socket.close()

    def shut_down(self) -> None:
        """Wake the task or thread that waits for the socket."""
        self._socket.shut_down()
        async_before_closing(self._socket.sock)  # on Windows, shutting it down does not wake the waiter

    @property
    def pid(self) -> int:
        """The process that opened the connection."""
        return self._socket.pid

    def has_unread_data(self) -> bool:
        """Return whether the server has closed the connection, or there are unread bytes."""
        return self._socket.has_unread_data()

    async def _wait(self, seconds: float | None, *, writing: bool) -> None:
        require_process(self._socket.pid)
        watch = self._socket.read_watch
        if self._socket.must_write(writing=writing):
            is_ready = await async_wait_for([watch.sock], [watch.sock], seconds)
        else:
            is_ready = await async_wait_readable(watch, seconds)
        if not is_ready:
            raise timed_out(seconds)
        if watch.sock.fileno() < 0:
            require_process(self._socket.pid)
            raise ConnectionAbortedError("the connection was closed by the client")


class _TimeLimit:
    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._at = None if seconds is None else monotonic() + seconds

    def left(self) -> float | None:
        if self._at is None:
            return None
        left = self._at - monotonic()
        if left <= 0:
            raise timed_out(self._seconds)
        return UntilDeadline(left) if isinstance(self._seconds, UntilDeadline) else left
