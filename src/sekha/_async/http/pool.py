"""Connection pool for one server."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from ssl import SSLContext
from weakref import finalize

from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import AsyncWakeup
from sekha._concurrency.timers import AsyncTimer
from sekha._http.addresses import lookup_host, server_name
from sekha._http.http11 import ResponseHead
from sekha._http.idle_pools import IDLE_POOLS
from sekha._http.models import KEEPALIVE_EXPIRY, HTTPRequest, origin, timed_out, timeout_before_deadline
from sekha._http.pool_state import PoolState, Waiter

from .connection import AsyncConnection
from .network import AsyncNetwork

_log = logging.getLogger("sekha")

_SWEEP_INTERVAL = 1.0
"""Seconds after which a waiting caller checks for abandoned connections; longer for callers late in the queue."""
_MAX_SWEEP_INTERVAL = 5.0


class AsyncPool:
    """Bounded pool of connections to one server, for one event loop and process.

    Callers are served first come, first served; idle connections are used last in, first out. No lock is held during
    I/O, and a cancelled caller leaves its connection either released or closed. A request that must not wait gets an
    additional connection if all are in use.

    Idle connections are closed when they expire: by a timer of the event loop, or by the next call of any client in the
    process. Connections that remain when the loop has ended are closed with the pool.

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
        self._state: PoolState[AsyncConnection] = PoolState(limit, KEEPALIVE_EXPIRY)
        self._network = AsyncNetwork(clock.now, check=self._state.raise_if_closed)
        self._timer = AsyncTimer(self.close_expired)
        self._finalizer = finalize(self, _close_behind_loop, self._state, self._timer)
        IDLE_POOLS.add(self)

    async def send(self, request: HTTPRequest) -> AsyncPooledResponse:
        """Send a request; return the response when its headers have arrived. Closing it releases the connection."""
        request.phase = "waiting for a free connection"
        request.response = response = AsyncPooledResponse(self)
        try:
            connection = await self._acquire(response.waiter, request)
            response.start(connection, await connection.exchange(request))
            return response
        except BaseException:
            await response.aclose()
            raise

    async def aclose(self) -> None:
        """Close all connections: calls that use one fail, calls that wait for one or open one raise `SekhaClosedError`.

        Only a DNS lookup is not interrupted.
        """
        self._timer.cancel()
        self._finalizer.detach()
        used, unused = self._state.close()
        for connection in used:
            connection.shut_down()
        async with AsyncExitStack() as stack:  # each is closed, even if closing another one fails
            for connection in unused:
                stack.push_async_callback(connection.aclose)

    def close_expired(self, at: float = -math.inf) -> float | None:
        """Close expired idle connections, without a call, from any thread.

        Args:
            at: The time, if the clock does not move as fast as that of the event loop.

        Returns:
            Seconds until the next one expires; None if none is idle.
        """
        now, waiter = max(self._clock.now(), at), Waiter[AsyncConnection]()
        try:
            self._close_expired(waiter, now)
        except BaseException:
            if waiter.connection is not None:
                waiter.connection.discard()
            raise
        expiry = self._state.next_expiry()
        return None if expiry is None else expiry - now

    async def _acquire(self, waiter: Waiter[AsyncConnection], request: HTTPRequest) -> AsyncConnection:
        """Return a connection for one exchange, which the caller then owns: an idle one, or a new one.

        With a slot, there are three cases:

        1. There is an idle connection that is still open: it is used.
        2. There is an idle connection that the server has closed: it is replaced by a new one.
        3. There is no idle connection: a new one is opened.
        """
        timeouts, deadline_at = request.timeout, request.deadline_at
        if self._state.abandoned:
            await self._close_abandoned()
        await self._wait_for_slot(waiter, request, self._timeout(timeouts["pool"], deadline_at))
        self._close_expired(waiter, self._clock.now())
        idle = self._state.take_idle(waiter)
        if idle is not None:
            if not idle.is_stale():
                return idle
            await idle.aclose()
            self._state.drop(waiter)
        request.phase = "connecting"
        return await self._connect(waiter, timeouts["connect"], deadline_at)

    async def _wait_for_slot(
        self, waiter: Waiter[AsyncConnection], request: HTTPRequest, seconds: float | None
    ) -> None:
        """Wait for a slot."""
        self._state.acquire(waiter, None if request.sent_at_once else AsyncWakeup)
        if waiter.is_admitted or not isinstance(waiter.wakeup, AsyncWakeup):
            return
        _log.debug("%s: waiting for a free connection, %d in the queue before it", self._origin.authority, waiter.ahead)
        if request.on_wait is not None:
            request.on_wait()
        left = math.inf if seconds is None else seconds
        interval = min(_MAX_SWEEP_INTERVAL, _SWEEP_INTERVAL * (1 + waiter.ahead / self._limit))
        while left > 0 and not await waiter.wakeup.wait(min(left, interval)):
            left -= interval
            self._state.slots.free_lost()
            await self._close_abandoned()
        self._state.raise_if_closed()
        if not waiter.is_admitted:
            raise timed_out(seconds)

    def _close_expired(self, waiter: Waiter[AsyncConnection], now: float) -> None:
        """Close expired idle connections; ``waiter`` owns each of them in the meantime."""
        while (expired := self._state.take_expired(waiter, now)) is not None:
            expired.discard()
            self._state.drop(waiter)

    async def _close_abandoned(self) -> None:
        """Close connections that were abandoned."""
        for waiter in self._state.abandoned.copy():
            if (connection := waiter.connection) is not None:
                await connection.aclose()
            self._state.free_abandoned(waiter)

    async def _connect(
        self, waiter: Waiter[AsyncConnection], seconds: float | None, deadline_at: float | None
    ) -> AsyncConnection:
        """Open a connection. The caller owns it before its handshake, so that closing the pool ends the handshake."""
        host, port = self._origin.host, self._origin.port
        stream = await self._network.connect_tcp(lookup_host(host), port, self._timeout(seconds, deadline_at))
        connection = AsyncConnection(stream, self._clock)
        try:
            self._state.attach(waiter, connection)
        except BaseException:
            await connection.aclose()
            raise
        if self._ssl_context is not None:
            try:
                await connection.start_tls(self._ssl_context, server_name(host), self._timeout(seconds, deadline_at))
            except OSError:
                self._state.raise_if_closed()
                raise
        return connection

    def _timeout(self, seconds: float | None, deadline_at: float | None) -> float | None:
        return timeout_before_deadline(seconds, deadline_at, self._clock.now)

    async def _release(self, waiter: Waiter[AsyncConnection]) -> None:
        """Release a slot, and keep its connection if that can be reused. Further calls do nothing."""
        connection = waiter.connection
        try:
            if connection is not None:
                is_ours = connection.owned_by_this_process()  # after a fork, the pool is the parent's
                now = self._clock.now()
                if is_ours and connection.try_reuse() and self._state.release(waiter, now):
                    self._close_expired(waiter, now)  # after a burst, too many may be idle
                    if self._timer.is_stopped:
                        self._timer.start(KEEPALIVE_EXPIRY, now + KEEPALIVE_EXPIRY)
                else:
                    await connection.aclose()
            self._state.free_slot(waiter)
        except BaseException:
            if waiter.connection is not None:
                await waiter.connection.aclose()
            self._state.free_slot(waiter)
            raise


def _close_behind_loop(state: PoolState[AsyncConnection], timer: AsyncTimer) -> None:
    """Close the remaining connections of a pool whose loop has ended; Python warns if the client was not closed."""
    if timer.loop_has_ended():
        used, unused = state.close()
        for connection in (*used, *unused):
            connection.discard()


class AsyncPooledResponse(AsyncIterator[bytes]):
    """A response on a connection of the pool. Closing it, read or not, releases the connection.

    It is created before there is a connection, and owns everything that its caller gets from the pool: after an
    interruption, closing it releases all of that.

    Args:
        pool: The pool.

    Attributes:
        waiter: The caller in the pool.
    """

    status: int
    headers: Mapping[str, str]
    resumable = True

    def __init__(self, pool: AsyncPool) -> None:
        self.waiter: Waiter[AsyncConnection] = Waiter()
        self._pool = pool
        self._closer = threading.RLock()  # acquired permanently by the thread that closes it, which may close it again

    def start(self, connection: AsyncConnection, head: ResponseHead) -> None:
        """Start reading, after the headers have arrived."""
        self.status, self.headers, self._connection = head.status, head.headers, connection

    def iter_raw(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives."""
        return self

    async def __anext__(self) -> bytes:
        if not self.waiter.held:
            raise ConnectionAbortedError("the response was closed")
        chunk = await self._connection.next_chunk()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Release the connection; close it unless the whole response was read."""
        if self._closer.acquire(blocking=False):
            await self._pool._release(self.waiter)

    def abandon(self) -> None:
        """Like `aclose` without waiting: the next caller that requests a connection closes this one."""
        self._pool._state.abandon(self.waiter)

    def limit_read_until(self, at: float) -> bool:
        """Stop waiting for bytes at a time of the clock, or earlier."""
        if not self.waiter.held:  # the connection may belong to another caller
            return True
        deadline_at = self._connection.deadline_at
        self._connection.deadline_at = at if deadline_at is None else min(deadline_at, at)
        return True
