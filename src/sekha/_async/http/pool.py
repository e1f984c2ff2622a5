"""The connections to one server: assigned to callers in turn, kept while idle, and used again."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from ssl import SSLContext

from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import AsyncWakeup
from sekha._http.addresses import lookup_host, server_name
from sekha._http.http11 import ResponseHead
from sekha._http.models import KEEPALIVE_EXPIRY, HTTPRequest, origin, timeout_before_deadline
from sekha._http.pool_state import PoolState
from sekha.errors import SekhaClosedError

from .connection import AsyncConnection
from .network import AsyncNetwork

_log = logging.getLogger("sekha")

_SWEEP_INTERVAL = 1.0
"""Seconds after which a waiting caller looks for connections that were abandoned in the meantime; it grows with the
number of callers that were ahead of it when it came."""
_MAX_SWEEP_INTERVAL = 5.0


class AsyncPool:
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
        self._network = AsyncNetwork(clock.now)
        self._state: PoolState[AsyncConnection] = PoolState(limit, KEEPALIVE_EXPIRY)

    async def send(self, request: HTTPRequest) -> AsyncPooledResponse:
        """Send a request; return the response when its head has arrived. Closing it releases the connection."""
        request.phase = "waiting for a free connection"
        connection = await self._acquire(request)
        try:
            head = await connection.exchange(request)
        except BaseException:
            await self._release(connection)
            raise
        return AsyncPooledResponse(self, connection, head)

    async def aclose(self) -> None:
        """Close all connections: calls that use one fail, calls that wait for one raise `SekhaClosedError`."""
        used, unused = self._state.close()
        for connection in used:
            connection.shut_down()
        async with AsyncExitStack() as stack:  # each is closed, even if closing another one fails
            for connection in unused:
                stack.push_async_callback(connection.aclose)

    async def _acquire(self, request: HTTPRequest) -> AsyncConnection:
        """Return a connection for one exchange: one that is idle, or a new one.

        The caller is assigned one of three:

        1. An idle connection that is still open: it is used.
        2. An idle connection that the server has closed in the meantime: it is replaced by a new one in its slot.
        3. An empty slot: a new connection is opened in it.
        """
        await self._close_expired()
        timeouts, deadline_at = request.timeout, request.deadline_at
        idle = await self._wait_for_slot(self._timeout(timeouts["pool"], deadline_at), request)
        try:
            if idle is not None:
                if not idle.is_stale():
                    return idle
                await idle.aclose()
            request.phase = "connecting"
            connection = await self._connect(timeouts["connect"], deadline_at)
            try:
                self._state.attach(connection, replaces=idle)
            except BaseException:
                await connection.aclose()
                raise
        except BaseException:
            self._state.free_slot(idle)
            raise
        return connection

    async def _close_expired(self) -> None:
        """Close connections that were idle for too long or were abandoned."""
        while (expired := self._state.pop_expired(self._clock.now())) is not None:
            await self._close(expired)

    async def _wait_for_slot(self, seconds: float | None, request: HTTPRequest) -> AsyncConnection | None:
        """Wait for a slot; return its idle connection, or None with the right to open one."""
        waiter = self._state.acquire(None if request.sent_at_once else AsyncWakeup)
        if isinstance(waiter.wakeup, AsyncWakeup):
            _log.debug("%s: waiting for a free connection, %d waiting before", self._origin.authority, waiter.ahead)
            left = math.inf if seconds is None else seconds
            interval = min(_MAX_SWEEP_INTERVAL, _SWEEP_INTERVAL * (1 + waiter.ahead / self._limit))
            try:
                while left > 0 and not await waiter.wakeup.wait(min(left, interval)):
                    left -= interval
                    await self._close_expired()
            except BaseException:
                with suppress(SekhaClosedError):  # the pool was closed at the same time
                    if not self._state.cancel_wait(waiter):
                        await self._release(waiter.connection)
                raise
            if self._state.cancel_wait(waiter):
                raise TimeoutError("timed out")
        return waiter.connection

    async def _connect(self, seconds: float | None, deadline_at: float | None) -> AsyncConnection:
        """Open a connection."""
        host, port = self._origin.host, self._origin.port
        stream = await self._network.connect_tcp(lookup_host(host), port, self._timeout(seconds, deadline_at))
        try:
            if self._ssl_context is not None:
                await stream.start_tls(self._ssl_context, server_name(host), self._timeout(seconds, deadline_at))
            return AsyncConnection(stream, self._clock)
        except BaseException:
            await stream.aclose()
            raise

    def _timeout(self, seconds: float | None, deadline_at: float | None) -> float | None:
        return timeout_before_deadline(seconds, deadline_at, self._clock.now)

    async def _release(self, connection: AsyncConnection | None) -> None:
        """Give a slot back: with its connection, if that can be used again."""
        if connection is None:
            self._state.free_slot(None)
            return
        try:
            is_ours = connection.owned_by_this_process()
            is_reusable = connection.try_reuse()
        except BaseException:
            await self._close(connection)
            raise
        if not is_ours:  # after a fork, the pool and all its slots are the parent's
            await connection.aclose()
        elif not is_reusable or not self._state.release(connection, self._clock.now()):
            await self._close(connection)
        else:
            await self._close_expired()  # after a burst there may be no other call that would close them

    async def _close(self, connection: AsyncConnection) -> None:
        try:
            await connection.aclose()
        finally:
            self._state.free_slot(connection)


class AsyncPooledResponse(AsyncIterator[bytes]):
    """A response on a connection of the pool. Closing it, read or not, releases the connection.

    Args:
        pool: The pool of the connection.
        connection: The connection.
        head: The head of the response.
    """

    resumable = True

    def __init__(self, pool: AsyncPool, connection: AsyncConnection, head: ResponseHead) -> None:
        self.status: int = head.status
        self.headers: Mapping[str, str] = head.headers
        self._pool = pool
        self._connection = connection
        self._released = threading.Lock()  # acquired once, by the caller that releases the connection

    def iter_raw(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives."""
        return self

    async def __anext__(self) -> bytes:
        if self._released.locked():
            raise ConnectionAbortedError("the answer was closed")
        chunk = await self._connection.next_chunk()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Release the connection; it is closed unless the whole response was read."""
        if self._released.acquire(blocking=False):
            await self._pool._release(self._connection)

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
