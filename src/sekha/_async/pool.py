"""Keeps the connections to one server: hands them out in turn, and takes back those that can be used again."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from ssl import SSLContext
from typing import Any, cast

from sekha._concurrency import AsyncSignal, Clock
from sekha._http import IDLE_SECONDS, HTTPRequest
from sekha._places import Places
from sekha._request import Departure
from sekha._wire import (
    AsyncHTTPConnection,
    AsyncNetwork,
    AsyncNetworkStream,
    Origin,
    PoolTimeout,
    WriteError,
    async_holds_bytes,
    wire_headers,
    wire_origin,
    wire_request,
    within,
)
from sekha.errors import SekhaClosedError

_PIECE = 16 * 1024
"""Bytes written at a time where a deadline is to be kept: each write may take the time that is left."""

_GLANCE = 1.0
"""Seconds after which those who wait for a place look for connections that were forgotten meanwhile."""


class AsyncTimedStream(AsyncNetworkStream):
    """The bytes of a connection; waits for none of them past the deadline of the call that uses it.

    What is written is gathered, and leaves when the answer is waited for: the head of a request and its body in one go.

    Args:
        stream: Where the bytes go to and come from.
        clock: Tells the time.

    Attributes:
        expires: The moment of the deadline on that clock; None if there is none.
        departure: Where it is noted that the first byte of a request may have left.
        pid: The process that it belongs to.
    """

    def __init__(self, stream: AsyncNetworkStream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._gathered = b""
        self._write_timeout: float | None = None
        self.expires: float | None = None
        self.departure = Departure()
        self.pid = os.getpid()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Have bytes sent before the next that are read."""
        self._gathered += buffer
        self._write_timeout = timeout

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for bytes, and give some; none at their end."""
        if self._gathered:
            await self._send()
        return await self._stream.read(max_bytes, self._bounded(timeout))

    async def _send(self) -> None:
        buffer, self._gathered = self._gathered, b""
        size = _PIECE if self.expires is not None else len(buffer)
        with suppress(WriteError):  # who does not listen to the end may have answered all the same
            for start in range(0, len(buffer), size):
                seconds = self._bounded(self._write_timeout)
                self.departure.possible = True
                await self._stream.write(buffer[start : start + size], seconds)

    async def aclose(self) -> None:
        """Close the connection, and wake who reads from it."""
        self.shut_down()
        await self._stream.aclose()

    def shut_down(self) -> None:
        """End what another task or thread does with the connection; it will close it."""
        if self.pid != os.getpid():
            return  # after a fork, the connection is still the parent's
        own = self._stream.get_extra_info("socket")
        with suppress(OSError):
            if isinstance(own, socket.socket):
                socket.socket.shutdown(own, socket.SHUT_RDWR)  # one of TLS would do more
            else:  # not every event loop's can do it
                with socket.fromfd(own.fileno(), socket.AF_INET, socket.SOCK_STREAM) as twin:
                    twin.shutdown(socket.SHUT_RDWR)

    def holds_bytes(self) -> bool:
        """Whether bytes were received that nobody has asked for."""
        return async_holds_bytes(self._stream)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the socket."""
        return self._stream.get_extra_info(info)

    def _bounded(self, timeout: float | None) -> float | None:
        left = None if self.expires is None else self.expires - self._clock.now()
        return within(timeout, left, sent=self.departure.possible)


class AsyncConnection(AsyncHTTPConnection):
    """A connection of the pool.

    Args:
        origin: The server.
        stream: The bytes.
    """

    def __init__(self, origin: Origin, stream: AsyncTimedStream) -> None:
        super().__init__(origin, stream)
        self.wire = stream

    def can_be_used_again(self) -> bool:
        """Whether its last exchange is over; what a server says beyond its answer is no answer to the next call."""
        return self.is_idle() and not self._h11_state.trailing_data[0]

    def has_expired(self) -> bool:
        """Whether the server has closed it, or has said something that nobody asked for."""
        return super().has_expired() or self.wire.holds_bytes()


class AsyncPool:
    """A bounded number of connections to one server, for one event loop and process.

    First come, first served. Idle connections are used last in, first out. No lock is held while anything is waited
    for, and whatever is cancelled, a connection is either given back or closed.

    Args:
        base_url: Address of the server.
        ssl_context: How to speak TLS to it; None for plain HTTP.
        limit: Number of connections.
        clock: Tells the time.
    """

    def __init__(self, base_url: str, ssl_context: SSLContext | None, limit: int, clock: Clock) -> None:
        self._origin = wire_origin(base_url)
        self._ssl_context = ssl_context
        self._clock = clock
        self._network = AsyncNetwork()
        self._places: Places[AsyncConnection] = Places(limit, IDLE_SECONDS)

    async def send(self, request: HTTPRequest) -> AsyncPooledAnswer:
        """Send a request; the answer's body is read from the connection, which is free when the answer is closed."""
        request.departure.possible = False
        connection = await self._take(request)
        connection.wire.expires, connection.wire.departure = request.expires, request.departure
        try:
            answer = await connection.handle_async_request(wire_request(request, self._origin))
        except BaseException:
            await self._release(connection)
            raise
        return AsyncPooledAnswer(self, connection, answer.status, wire_headers(answer), answer.stream)

    async def aclose(self) -> None:
        """Close all connections; whoever uses one of them finds it broken off, whoever waits is sent away."""
        used, unused = self._places.close()
        for connection in used:
            connection.wire.shut_down()
        async with AsyncExitStack() as stack:  # each is closed, whatever becomes of the others
            for connection in unused:
                stack.push_async_callback(connection.aclose)

    async def _take(self, request: HTTPRequest) -> AsyncConnection:
        """A connection for one exchange: one that is idle, or a new one."""
        await self._tidy()
        timeouts, expires = request.timeout, request.expires
        idle = await self._turn(self._time_for(timeouts["pool"], expires))
        if idle is not None and not idle.has_expired():
            return idle
        try:
            if idle is not None:  # the server has closed it
                await idle.aclose()
            connection = await self._connect(timeouts["connect"], expires)
            try:
                self._places.use(connection, instead_of=idle)
            except BaseException:
                await connection.aclose()
                raise
        except BaseException:
            self._places.vacate(idle)
            raise
        return connection

    async def _tidy(self) -> None:
        """Close what was idle for too long, and what was forgotten."""
        while (outworn := self._places.outworn(self._clock.now())) is not None:
            await self._close(outworn)

    async def _turn(self, seconds: float | None) -> AsyncConnection | None:
        """Wait for a place; what it brings is an idle connection, or None and the right to make one."""
        turn = self._places.enter(AsyncSignal)
        if isinstance(turn.signal, AsyncSignal):
            left = math.inf if seconds is None else seconds
            try:
                while left > 0 and not await turn.signal.wait(min(left, _GLANCE)):
                    left -= _GLANCE
                    await self._tidy()
            except BaseException:
                with suppress(SekhaClosedError):  # the pool was closed in the same moment
                    if not self._places.leave(turn):
                        await self._release(turn.connection)
                raise
            if self._places.leave(turn):
                raise PoolTimeout
        return turn.connection

    async def _connect(self, seconds: float | None, expires: float | None) -> AsyncConnection:
        """A new connection."""
        host = self._origin.host.decode("ascii")
        stream = await self._network.connect_tcp(host, self._origin.port, self._time_for(seconds, expires))
        try:
            if self._ssl_context is not None:
                stream = await stream.start_tls(self._ssl_context, host, self._time_for(seconds, expires))
        except BaseException:
            await stream.aclose()
            raise
        return AsyncConnection(self._origin, AsyncTimedStream(stream, self._clock))

    def _time_for(self, seconds: float | None, expires: float | None) -> float | None:
        return within(seconds, None if expires is None else expires - self._clock.now(), sent=False)

    async def _release(self, connection: AsyncConnection | None) -> None:
        """Give up a place: with its connection, if that can be used again."""
        if connection is None:
            self._places.vacate(None)
        elif not connection.can_be_used_again() or not self._places.give_back(connection, self._clock.now()):
            await self._close(connection)

    async def _close(self, connection: AsyncConnection) -> None:
        try:
            await connection.aclose()
        finally:
            self._places.vacate(connection)


class AsyncPooledAnswer:
    """An answer on a connection of the pool. Closing it, read or not, frees the connection.

    Args:
        pool: Where the connection belongs.
        connection: It comes from there.
        status: Status of the answer.
        headers: Its headers, names in lower case.
        body: Its bytes.
    """

    def __init__(
        self, pool: AsyncPool, connection: AsyncConnection, status: int, headers: Mapping[str, str], body: Any
    ) -> None:
        self.status = status
        self.headers = headers
        self._pool = pool
        self._connection = connection
        self._body = body
        self._ours = threading.Lock()  # is taken by the one who frees the connection, and never given back

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        return cast("AsyncIterator[bytes]", self._body.__aiter__())

    async def aclose(self) -> None:
        """Free the connection; it is closed unless the whole answer has been read."""
        if self._connection.wire.pid != os.getpid():
            await self._body.aclose()  # after a fork, the pool and all its places are the parent's
        elif self._ours.acquire(blocking=False):
            try:
                await self._body.aclose()
            finally:
                await self._pool._release(self._connection)

    def forget(self) -> None:
        """The same without waiting: the next who asks for a connection will close this one."""
        if self._ours.acquire(blocking=False):
            self._pool._places.forget(self._connection)

    def hurry(self, moment: float) -> bool:
        """Wait for no more bytes after that moment, if not before it."""
        wire = self._connection.wire
        wire.expires = moment if wire.expires is None else min(wire.expires, moment)
        return True
