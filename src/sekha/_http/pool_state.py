"""Which caller gets which connection of a pool: decided without waiting, and without touching a socket."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from sekha._concurrency.primitives import AsyncWakeup, Wakeup
from sekha.errors import SekhaClosedError

C = TypeVar("C", bound=Hashable)

MAX_IDLE: Final = 20
"""Idle connections that are kept: those of a burst would stay open until there is another call."""


class Waiter(Generic[C]):
    """A caller that has asked for a connection. It may use one, or open one; or it still has to wait.

    Attributes:
        connection: The connection it was assigned; None stands for the right to open one.
        wakeup: Set when the wait is over; None if there was none.
        ahead: How many were waiting when it came.
        is_assigned: Whether the wait is over.
    """

    __slots__ = ("ahead", "connection", "is_assigned", "wakeup")

    def __init__(self, connection: C | None, wakeup: AsyncWakeup | Wakeup | None, ahead: int = 0) -> None:
        self.connection = connection
        self.wakeup = wakeup
        self.ahead = ahead
        self.is_assigned = wakeup is None

    def wake(self) -> None:
        """Wake the caller."""
        if self.wakeup is not None:
            self.wakeup.set()


class PoolState(Generic[C]):
    """The slots of a pool. Each holds one connection, which is being opened, in use, or idle.

    Idle connections are used last in, first out, so that the others can expire; of more than ``max_idle``, those that
    were idle for longest expire at once. Where all slots are taken, callers wait in a queue, first come, first served:
    a slot passes from one caller directly to the next, so nobody overtakes. A caller that must not wait then gets a
    slot beyond the limit; as many connections are closed on their release.

    The life of a slot:

    1. `acquire` assigns an idle connection, or a free slot to open one in, or a place in the queue.
    2. `attach` puts the connection that was opened into the slot.
    3. `release` passes the connection on, or keeps it as idle. `free_slot` does so with an empty slot.
    4. `pop_expired` takes out a connection that was idle for too long, or that was abandoned. The caller closes it and
       then calls `free_slot`.

    Args:
        limit: Number of slots.
        keepalive_expiry: Seconds for which an idle connection is kept.
        max_idle: Number of idle connections that are kept.
    """

    def __init__(self, limit: int, keepalive_expiry: float, max_idle: int = MAX_IDLE) -> None:
        self._free_slots = limit  # below 0: slots beyond the limit
        self._keepalive_expiry = keepalive_expiry
        self._max_idle = max_idle
        self._idle: deque[tuple[float, C]] = deque()  # with the time since when; the longest idle first
        self._in_use: set[C] = set()
        self._queue: OrderedDict[Waiter[C], None] = OrderedDict()
        self._abandoned: deque[C] = deque()
        self._closed = False
        self._lock = threading.Lock()  # held for a few steps, never during I/O

    def acquire(self, make_wakeup: Callable[[], AsyncWakeup | Wakeup] | None) -> Waiter[C]:
        """Ask for a connection. A caller that has to wait waits for ``wakeup``, and then calls `cancel_wait`.

        Args:
            make_wakeup: Makes the event, if the caller has to wait; None if it must not wait.

        Raises:
            SekhaClosedError: The pool is closed.
        """
        with self._lock:
            self._raise_if_closed()
            if self._idle:
                _, connection = self._idle.pop()
                self._in_use.add(connection)
                return Waiter(connection, None)
            if self._free_slots > 0 or make_wakeup is None:
                self._free_slots -= 1
                return Waiter(None, None)
            waiter: Waiter[C] = Waiter(None, make_wakeup(), len(self._queue))
            self._queue[waiter] = None
            return waiter

    def cancel_wait(self, waiter: Waiter[C]) -> bool:
        """Stop waiting; return False if the caller was assigned a slot: then it must use it or give it back.

        Raises:
            SekhaClosedError: The wait ended because the pool was closed.
        """
        with self._lock:
            if waiter.is_assigned:
                return False
            self._raise_if_closed()
            del self._queue[waiter]
            return True

    def attach(self, connection: C, replaces: C | None) -> None:
        """Put a connection that a caller has opened into its slot.

        Args:
            connection: The new connection.
            replaces: The stale connection that the caller was assigned and has closed; or None.

        Raises:
            SekhaClosedError: The pool was closed in the meantime.
        """
        with self._lock:
            self._raise_if_closed()
            if replaces is not None:
                self._in_use.discard(replaces)
            self._in_use.add(connection)

    def release(self, connection: C, now: float) -> bool:
        """Give a connection back; return False if it has to be closed: the pool is, or it is beyond the limit."""
        with self._lock:
            if self._closed or self._free_slots < 0:
                return False
            if self._queue:
                self._assign_next(connection)
            else:
                self._in_use.discard(connection)
                self._idle.append((now, connection))
            return True

    def free_slot(self, connection: C | None) -> None:
        """Give a slot back without a connection: it was closed, or could not be opened (None)."""
        with self._lock:
            if connection is not None:
                self._in_use.discard(connection)
            if self._queue and self._free_slots >= 0:
                self._assign_next(None)
            else:
                self._free_slots += 1

    def abandon(self, connection: C) -> None:
        """Leave a connection to be closed by another caller: a finalizer cannot wait, not even for a lock."""
        self._abandoned.append(connection)

    def pop_expired(self, now: float) -> C | None:
        """Return a connection that has to be closed before its slot is freed, because it expired or was abandoned."""
        if not self._abandoned and not self._idle:
            return None
        with self._lock:
            if self._abandoned:
                return self._abandoned.popleft()
            is_crowded = len(self._idle) > self._max_idle
            if self._idle and (is_crowded or self._idle[0][0] + self._keepalive_expiry < now):
                _, connection = self._idle.popleft()
                self._in_use.add(connection)
                return connection
            return None

    def close(self) -> tuple[list[C], list[C]]:
        """Refuse all callers from now on, also those that wait.

        Returns:
            The connections that are in use, and the others.
        """
        with self._lock:
            self._closed = True
            unused = [connection for _, connection in self._idle] + list(self._abandoned)
            used = [connection for connection in self._in_use if connection not in self._abandoned]
            self._idle.clear()
            self._abandoned.clear()
            while self._queue:
                waiter, _ = self._queue.popitem(last=False)
                waiter.wake()
            return used, unused

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise SekhaClosedError("the client is closed; make a new one", sent=False)

    def _assign_next(self, connection: C | None) -> None:
        """Pass a slot on to the first caller of the queue."""
        waiter, _ = self._queue.popitem(last=False)
        waiter.connection = connection
        waiter.is_assigned = True
        waiter.wake()
