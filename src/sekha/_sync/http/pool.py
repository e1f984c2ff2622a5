# Generated from src/sekha/_async/http/pool.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The connections to one server: assigned to callers in turn, kept while idle, and used again."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from ssl import SSLContext

from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import Wakeup
from sekha._http.addresses import lookup_host, server_name
from sekha._http.http11 import ResponseHead
from sekha._http.models import KEEPALIVE_EXPIRY, HTTPRequest, origin, timeout_before_deadline
from sekha._http.pool_state import PoolState
from sekha.errors import SekhaClosedError

from .connection import Connection
from .network import Network

_log = logging.getLogger("sekha")

_SWEEP_INTERVAL = 1.0
"""Seconds after which a waiting caller looks for connections that were abandoned in the meantime; it grows with the
number of callers that were ahead of it when it came."""
_MAX_SWEEP_INTERVAL = 5.0


class Pool:
    """A bounded number of connections to one server, for one event loop and process.

    Callers are served first come, first served; idle connections are used last in, first out. No lock is held during
    I/O, and a cancelled caller leaves its connection either released or closed. A request that is to be sent at once
    gets a connection of its own where all are in use.

    Args:
        base_url: Address of the server.
        ssl_context: The context for TLS; None for plain HTTP.
        limit: Number of connections.
        clock: The clock of deadlines and expiry.
    """

    def __init__(self, base_url: str, ssl_context: SSLContext | None, limit: int, clock: Clock) -> None:
        self._origin = origin(base_url)
        self._ssl_context = ssl_context
        self._clock = clock
        self._limit = limit
        self._network = Network(clock.now)
        self._state: PoolState[Connection] = PoolState(limit, KEEPALIVE_EXPIRY)

    def send(self, request: HTTPRequest) -> PooledResponse:
        """Send a request; return the response when its head has arrived. Closing it releases the connection."""
        request.phase = "waiting for a free connection"
        connection = self._acquire(request)
        try:
            head = connection.exchange(request)
        except BaseException:
            self._release(connection)
            raise
        return PooledResponse(self, connection, head)

    def close(self) -> None:
        """Close all connections: calls that use one fail, calls that wait for one raise `SekhaClosedError`."""
        used, unused = self._state.close()
        for connection in used:
            connection.shut_down()
        with ExitStack() as stack:  # each is closed, even if closing another one fails
            for connection in unused:
                stack.callback(connection.close)

    def _acquire(self, request: HTTPRequest) -> Connection:
        """Return a connection for one exchange: one that is idle, or a new one.

        The caller is assigned one of three:

        1. An idle connection that is still open: it is used.
        2. An idle connection that the server has closed in the meantime: it is replaced by a new one in its slot.
        3. An empty slot: a new connection is opened in it.
        """
        self._close_expired()
        timeouts, deadline_at = request.timeout, request.deadline_at
        idle = self._wait_for_slot(self._timeout(timeouts["pool"], deadline_at), request)
        try:
            if idle is not None:
                if not idle.is_stale():
                    return idle
                idle.close()
            request.phase = "connecting"
            connection = self._connect(timeouts["connect"], deadline_at)
            try:
                self._state.attach(connection, replaces=idle)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            self._state.free_slot(idle)
            raise
        return connection

    def _close_expired(self) -> None:
        """Close connections that were idle for too long or were abandoned."""
        while (expired := self._state.pop_expired(self._clock.now())) is not None:
            self._close(expired)

    def _wait_for_slot(self, seconds: float | None, request: HTTPRequest) -> Connection | None:
        """Wait for a slot; return its idle connection, or None with the right to open one."""
        waiter = self._state.acquire(None if request.sent_at_once else Wakeup)
        if isinstance(waiter.wakeup, Wakeup):
            _log.debug("%s: waiting for a free connection, %d waiting before", self._origin.authority, waiter.ahead)
            left = math.inf if seconds is None else seconds
            interval = min(_MAX_SWEEP_INTERVAL, _SWEEP_INTERVAL * (1 + waiter.ahead / self._limit))
            try:
                while left > 0 and not waiter.wakeup.wait(min(left, interval)):
                    left -= interval
                    self._close_expired()
            except BaseException:
                with suppress(SekhaClosedError):  # the pool was closed at the same time
                    if not self._state.cancel_wait(waiter):
                        self._release(waiter.connection)
                raise
            if self._state.cancel_wait(waiter):
                raise TimeoutError("timed out")
        return waiter.connection

    def _connect(self, seconds: float | None, deadline_at: float | None) -> Connection:
        """Open a connection."""
        host, port = self._origin.host, self._origin.port
        stream = self._network.connect_tcp(lookup_host(host), port, self._timeout(seconds, deadline_at))
        try:
            if self._ssl_context is not None:
                stream.start_tls(self._ssl_context, server_name(host), self._timeout(seconds, deadline_at))
            return Connection(stream, self._clock)
        except BaseException:
            stream.close()
            raise

    def _timeout(self, seconds: float | None, deadline_at: float | None) -> float | None:
        return timeout_before_deadline(seconds, deadline_at, self._clock.now)

    def _release(self, connection: Connection | None) -> None:
        """Give a slot back: with its connection, if that can be used again."""
        if connection is None:
            self._state.free_slot(None)
            return
        try:
            is_ours = connection.owned_by_this_process()
            is_reusable = connection.try_reuse()
        except BaseException:
            self._close(connection)
            raise
        if not is_ours:  # after a fork, the pool and all its slots are the parent's
            connection.close()
        elif not is_reusable or not self._state.release(connection, self._clock.now()):
            self._close(connection)
        else:
            self._close_expired()  # after a burst there may be no other call that would close them

    def _close(self, connection: Connection) -> None:
        try:
            connection.close()
        finally:
            self._state.free_slot(connection)


class PooledResponse(Iterator[bytes]):
    """A response on a connection of the pool. Closing it, read or not, releases the connection.

    Args:
        pool: The pool of the connection.
        connection: The connection.
        head: The head of the response.
    """

    resumable = True

    def __init__(self, pool: Pool, connection: Connection, head: ResponseHead) -> None:
        self.status: int = head.status
        self.headers: Mapping[str, str] = head.headers
        self._pool = pool
        self._connection = connection
        self._released = threading.Lock()  # acquired once, by the caller that releases the connection

    def iter_raw(self) -> Iterator[bytes]:
        """Iterate over the body as it arrives."""
        return self

    def __next__(self) -> bytes:
        if self._released.locked():
            raise ConnectionAbortedError("the answer was closed")
        chunk = self._connection.next_chunk()
        if not chunk:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Release the connection; it is closed unless the whole response was read."""
        if self._released.acquire(blocking=False):
            self._pool._release(self._connection)

    def abandon(self) -> None:
        """Do the same without waiting: the next caller that asks for a connection closes this one."""
        if self._released.acquire(blocking=False):
            self._pool._state.abandon(self._connection)

    def limit_read_until(self, at: float) -> bool:
        """Stop waiting for bytes at a time of the clock, or earlier."""
        if self._released.locked():  # the connection may be another caller's
            return True
        deadline_at = self._connection.deadline_at
        self._connection.deadline_at = at if deadline_at is None else min(deadline_at, at)
        return True
