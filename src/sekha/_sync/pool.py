# Generated from src/sekha/_async/pool.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Keeps the connections to one server: hands them out in turn, and takes back those that can be used again."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from ssl import SSLContext
from typing import Any, cast

from sekha._concurrency import Signal, Clock
from sekha._http import IDLE_SECONDS, HTTPRequest
from sekha._places import Places
from sekha._request import Departure
from sekha._wire import (
    HTTPConnection,
    Network,
    NetworkStream,
    Origin,
    PoolTimeout,
    WriteError,
    holds_bytes,
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


class TimedStream(NetworkStream):
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

    def __init__(self, stream: NetworkStream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._gathered = b""
        self._write_timeout: float | None = None
        self.expires: float | None = None
        self.departure = Departure()
        self.pid = os.getpid()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Have bytes sent before the next that are read."""
        self._gathered += buffer
        self._write_timeout = timeout

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait for bytes, and give some; none at their end."""
        if self._gathered:
            self._send()
        return self._stream.read(max_bytes, self._bounded(timeout))

    def _send(self) -> None:
        buffer, self._gathered = self._gathered, b""
        size = _PIECE if self.expires is not None else len(buffer)
        with suppress(WriteError):  # who does not listen to the end may have answered all the same
            for start in range(0, len(buffer), size):
                seconds = self._bounded(self._write_timeout)
                self.departure.possible = True
                self._stream.write(buffer[start : start + size], seconds)

    def close(self) -> None:
        """Close the connection, and wake who reads from it."""
        self.shut_down()
        self._stream.close()

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
        return holds_bytes(self._stream)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the socket."""
        return self._stream.get_extra_info(info)

    def _bounded(self, timeout: float | None) -> float | None:
        left = None if self.expires is None else self.expires - self._clock.now()
        return within(timeout, left, sent=self.departure.possible)


class Connection(HTTPConnection):
    """A connection of the pool.

    Args:
        origin: The server.
        stream: The bytes.
    """

    def __init__(self, origin: Origin, stream: TimedStream) -> None:
        super().__init__(origin, stream)
        self.wire = stream

    def can_be_used_again(self) -> bool:
        """Whether its last exchange is over; what a server says beyond its answer is no answer to the next call."""
        return self.is_idle() and not self._h11_state.trailing_data[0]

    def has_expired(self) -> bool:
        """Whether the server has closed it, or has said something that nobody asked for."""
        return super().has_expired() or self.wire.holds_bytes()


class Pool:
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
        self._network = Network()
        self._places: Places[Connection] = Places(limit, IDLE_SECONDS)

    def send(self, request: HTTPRequest) -> PooledAnswer:
        """Send a request; the answer's body is read from the connection, which is free when the answer is closed."""
        request.departure.possible = False
        connection = self._take(request)
        connection.wire.expires, connection.wire.departure = request.expires, request.departure
        try:
            answer = connection.handle_request(wire_request(request, self._origin))
        except BaseException:
            self._release(connection)
            raise
        return PooledAnswer(self, connection, answer.status, wire_headers(answer), answer.stream)

    def close(self) -> None:
        """Close all connections; whoever uses one of them finds it broken off, whoever waits is sent away."""
        used, unused = self._places.close()
        for connection in used:
            connection.wire.shut_down()
        with ExitStack() as stack:  # each is closed, whatever becomes of the others
            for connection in unused:
                stack.callback(connection.close)

    def _take(self, request: HTTPRequest) -> Connection:
        """A connection for one exchange: one that is idle, or a new one."""
        self._tidy()
        timeouts, expires = request.timeout, request.expires
        idle = self._turn(self._time_for(timeouts["pool"], expires))
        if idle is not None and not idle.has_expired():
            return idle
        try:
            if idle is not None:  # the server has closed it
                idle.close()
            connection = self._connect(timeouts["connect"], expires)
            try:
                self._places.use(connection, instead_of=idle)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            self._places.vacate(idle)
            raise
        return connection

    def _tidy(self) -> None:
        """Close what was idle for too long, and what was forgotten."""
        while (outworn := self._places.outworn(self._clock.now())) is not None:
            self._close(outworn)

    def _turn(self, seconds: float | None) -> Connection | None:
        """Wait for a place; what it brings is an idle connection, or None and the right to make one."""
        turn = self._places.enter(Signal)
        if isinstance(turn.signal, Signal):
            left = math.inf if seconds is None else seconds
            try:
                while left > 0 and not turn.signal.wait(min(left, _GLANCE)):
                    left -= _GLANCE
                    self._tidy()
            except BaseException:
                with suppress(SekhaClosedError):  # the pool was closed in the same moment
                    if not self._places.leave(turn):
                        self._release(turn.connection)
                raise
            if self._places.leave(turn):
                raise PoolTimeout
        return turn.connection

    def _connect(self, seconds: float | None, expires: float | None) -> Connection:
        """A new connection."""
        host = self._origin.host.decode("ascii")
        stream = self._network.connect_tcp(host, self._origin.port, self._time_for(seconds, expires))
        try:
            if self._ssl_context is not None:
                stream = stream.start_tls(self._ssl_context, host, self._time_for(seconds, expires))
        except BaseException:
            stream.close()
            raise
        return Connection(self._origin, TimedStream(stream, self._clock))

    def _time_for(self, seconds: float | None, expires: float | None) -> float | None:
        return within(seconds, None if expires is None else expires - self._clock.now(), sent=False)

    def _release(self, connection: Connection | None) -> None:
        """Give up a place: with its connection, if that can be used again."""
        if connection is None:
            self._places.vacate(None)
        elif not connection.can_be_used_again() or not self._places.give_back(connection, self._clock.now()):
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        try:
            connection.close()
        finally:
            self._places.vacate(connection)


class PooledAnswer:
    """An answer on a connection of the pool. Closing it, read or not, frees the connection.

    Args:
        pool: Where the connection belongs.
        connection: It comes from there.
        status: Status of the answer.
        headers: Its headers, names in lower case.
        body: Its bytes.
    """

    def __init__(
        self, pool: Pool, connection: Connection, status: int, headers: Mapping[str, str], body: Any
    ) -> None:
        self.status = status
        self.headers = headers
        self._pool = pool
        self._connection = connection
        self._body = body
        self._ours = threading.Lock()  # is taken by the one who frees the connection, and never given back

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives."""
        return cast("Iterator[bytes]", self._body.__iter__())

    def close(self) -> None:
        """Free the connection; it is closed unless the whole answer has been read."""
        if self._connection.wire.pid != os.getpid():
            self._body.close()  # after a fork, the pool and all its places are the parent's
        elif self._ours.acquire(blocking=False):
            try:
                self._body.close()
            finally:
                self._pool._release(self._connection)

    def forget(self) -> None:
        """The same without waiting: the next who asks for a connection will close this one."""
        if self._ours.acquire(blocking=False):
            self._pool._places.forget(self._connection)

    def hurry(self, moment: float) -> bool:
        """Wait for no more bytes after that moment, if not before it."""
        wire = self._connection.wire
        wire.expires = moment if wire.expires is None else min(wire.expires, moment)
        return True
