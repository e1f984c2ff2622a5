# Generated from src/sekha/_async/http/pool.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Keeps the connections to one server: hands them out in turn, and takes back those that can be used again."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from ssl import SSLContext

from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import Wakeup
from sekha._http.models import IDLE_SECONDS, HTTPRequest, address
from sekha._http.network import Network, Head, PoolTimeout, ReadError, within
from sekha._http.pool_state import Places
from sekha.errors import SekhaClosedError

from .connection import Connection

_GLANCE = 1.0
"""Seconds after which the first of those who wait for a place look for connections that were forgotten meanwhile; the
more were ahead of somebody who came, the more seldom he looks."""
_SELDOM = 5.0
"""But no more seldom than this."""


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
        self._address = address(base_url)
        self._ssl_context = ssl_context
        self._clock = clock
        self._limit = limit
        self._network = Network()
        self._places: Places[Connection] = Places(limit, IDLE_SECONDS)

    def send(self, request: HTTPRequest) -> PooledAnswer:
        """Send a request; the answer's body is read from the connection, which is free when the answer is closed."""
        request.departure.possible = False
        connection = self._take(request)
        try:
            head = connection.exchange(request)
        except BaseException:
            self._release(connection)
            raise
        return PooledAnswer(self, connection, head)

    def close(self) -> None:
        """Close all connections; whoever uses one of them finds it broken off, whoever waits is sent away."""
        used, unused = self._places.close()
        for connection in used:
            connection.shut_down()
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
        turn = self._places.enter(Wakeup)
        if isinstance(turn.signal, Wakeup):
            left = math.inf if seconds is None else seconds
            glance = min(_SELDOM, _GLANCE * (1 + turn.ahead / self._limit))
            try:
                while left > 0 and not turn.signal.wait(min(left, glance)):
                    left -= glance
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
        host, port = self._address.host, self._address.port
        stream = self._network.connect_tcp(host, port, self._time_for(seconds, expires))
        try:
            if self._ssl_context is not None:
                stream = stream.start_tls(self._ssl_context, host, self._time_for(seconds, expires))
        except BaseException:
            stream.close()
            raise
        return Connection(stream, self._clock)

    def _time_for(self, seconds: float | None, expires: float | None) -> float | None:
        return within(seconds, expires, self._clock.now, sent=False)

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


class PooledAnswer(Iterator[bytes]):
    """An answer on a connection of the pool. Closing it, read or not, frees the connection.

    Args:
        pool: Where the connection belongs.
        connection: It comes from there.
        head: The head of the answer.
    """

    def __init__(self, pool: Pool, connection: Connection, head: Head) -> None:
        self.status: int = head.status
        self.headers: Mapping[str, str] = head.headers
        self._pool = pool
        self._connection = connection
        self._ours = threading.Lock()  # is taken by the one who frees the connection, and never given back

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives."""
        return self

    def __next__(self) -> bytes:
        if self._ours.locked():
            raise ReadError("the answer was closed")
        piece = self._connection.piece()
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Free the connection; it is closed unless the whole answer has been read."""
        if self._ours.acquire(blocking=False):
            if self._connection.is_ours():
                self._pool._release(self._connection)
            else:  # after a fork, the pool and all its places are the parent's; only our end is closed
                self._connection.close()

    def forget(self) -> None:
        """The same without waiting: the next who asks for a connection will close this one."""
        if self._ours.acquire(blocking=False):
            self._pool._places.forget(self._connection)

    def hurry(self, moment: float) -> bool:
        """Wait for no more bytes after that moment, if not before it."""
        given = self._connection.expires
        self._connection.expires = moment if given is None else min(given, moment)
        return True
