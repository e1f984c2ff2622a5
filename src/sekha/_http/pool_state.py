"""Which caller gets which connection of a pool: decided without waiting, and without touching a socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from itertools import starmap
from typing import Final, Generic, TypeVar

from sekha._concurrency.primitives import AsyncWakeup, Wakeup
from sekha._concurrency.slots import Slots, Ticket
from sekha.errors import SekhaClosedError

C = TypeVar("C", bound=Hashable)
T = TypeVar("T")

MAX_IDLE: Final = 20
"""Idle connections that are kept: in blocking code, those of a burst would stay open until there is another call."""


class Waiter(Ticket, Generic[C]):
    """A caller that wants a connection. Once it `is_admitted`, it may take an idle one, or open one.

    Attributes:
        held: The connection that it has, with the time since when that was idle; empty if it has none.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        Ticket.__init__(self)
        self.held: deque[tuple[float, C]] = deque()

    @property
    def connection(self) -> C | None:
        """The connection that it has."""
        return self.held[0][1] if self.held else None


class PoolState(Generic[C]):
    """The slots of a pool, and its idle connections.

    A caller with a slot has at most one connection. Idle ones are used last in, first out, so that the others can
    expire; of more than ``max_idle``, those that were idle for longest expire at once. There are never more connections
    than slots, since a caller opens one only where none is idle. Where all slots are taken, callers wait in a queue,
    first come, first served: nobody overtakes. A caller that must not wait then gets a slot beyond the limit; as many
    connections are closed on their release.

    An interruption may come between any two steps (see `sekha._concurrency.slots`). So a connection is always in
    exactly one place, the idle ones or one caller, and one step moves it. Who closes those that have expired without
    being a caller has a `Waiter` for that, and no slot.

    The way of a caller:

    1. `acquire` gives it a slot, or a place in the queue.
    2. `take_expired` gives it connections that were idle for too long; it closes each one, and says so by `drop`.
    3. `take_idle` gives it an idle connection. If there is none, or that is stale, `attach` gives it the one it opened.
    4. `release` keeps its connection as idle, for the next caller, and `free_slot` frees its slot.

    Args:
        limit: Number of slots.
        keepalive_expiry: Seconds for which an idle connection is kept.
        max_idle: Number of idle connections that are kept.

    Attributes:
        slots: The slots.
        abandoned: Callers that were collected as garbage; who closes the connection of one calls `free_abandoned`.
    """

    def __init__(self, limit: int, keepalive_expiry: float, max_idle: int = MAX_IDLE) -> None:
        self.slots: Slots[Waiter[C]] = Slots(limit)
        self._keepalive_expiry = keepalive_expiry
        self._max_idle = max_idle
        self._idle: deque[tuple[float, C]] = deque()  # with the time since when; the longest idle first
        self.abandoned: deque[Waiter[C]] = deque()
        self._closed = False

    def acquire(self, waiter: Waiter[C], make_wakeup: Callable[[], AsyncWakeup | Wakeup] | None) -> None:
        """Ask for a slot. A caller that is not admitted waits for its ``wakeup``; `free_slot` ends the wait, too.

        Args:
            waiter: The caller.
            make_wakeup: Makes the event, if the caller has to wait; None if it must not wait.

        Raises:
            SekhaClosedError: The pool is closed.
        """
        self.slots.enter(waiter, make_wakeup)
        if self._closed:
            self.raise_if_closed()

    def take_idle(self, waiter: Waiter[C]) -> C | None:
        """Give a caller the connection that was used last; return it, or None if none is idle."""
        if self._idle and _move(self._idle, waiter.held):
            return waiter.connection
        return None

    def take_expired(self, waiter: Waiter[C], now: float) -> C | None:
        """Give a caller a connection that was idle for too long; return it, or None if there is none."""
        try:
            is_crowded = len(self._idle) > self._max_idle and self._is_crowded(waiter)
            if self._idle and (is_crowded or self._idle[0][0] + self._keepalive_expiry <= now):
                waiter.held.extend(starmap(self._idle.popleft, ((),)))  # one step, as in `_move`
                return waiter.connection
        except IndexError:  # another thread was faster
            pass
        return None

    def next_expiry(self) -> float | None:
        """Return when the connection that was idle for longest expires; None if none is idle."""
        try:
            return self._idle[0][0] + self._keepalive_expiry
        except IndexError:
            return None

    def _is_crowded(self, waiter: Waiter[C]) -> bool:
        """Return whether too many connections are idle, besides those that others are about to take."""
        if self.slots.has_queue:
            return False
        about_to_take = sum(not other.held for other in self.slots.tickets() if other is not waiter)
        return len(self._idle) > self._max_idle + about_to_take

    def attach(self, waiter: Waiter[C], connection: C) -> None:
        """Give a caller the connection that it has opened.

        Raises:
            SekhaClosedError: The pool was closed in the meantime.
        """
        waiter.held.append((0.0, connection))
        self.raise_if_closed()

    def drop(self, waiter: Waiter[C]) -> None:
        """Forget the connection of a caller, which was closed; the slot remains."""
        waiter.held.clear()

    def release(self, waiter: Waiter[C], now: float) -> bool:
        """Give a connection back; return False if it has to be closed: the pool is, or it is beyond the limit."""
        if self._closed or (self.slots.at_once and self.slots.taken() + len(self._idle) > self.slots.limit):
            return False
        waiter.held[0] = (now, waiter.held[0][1])
        _move(waiter.held, self._idle)
        # If the pool was closed in this moment, and has not found it, it is taken back.
        return not (self._closed and _move(self._idle, waiter.held))

    def free_slot(self, waiter: Waiter[C]) -> None:
        """Give a slot back without a connection, or stop waiting for it; doing so again does nothing."""
        waiter.held.clear()
        self.slots.leave(waiter)

    def abandon(self, waiter: Waiter[C]) -> None:
        """Leave a connection to be closed by another caller: a finalizer cannot wait."""
        self.abandoned.append(waiter)

    def free_abandoned(self, waiter: Waiter[C]) -> None:
        """Free the slot of a connection that was abandoned and is closed."""
        self.free_slot(waiter)
        with suppress(ValueError):  # another thread was faster
            self.abandoned.remove(waiter)

    def close(self) -> tuple[list[C], list[C]]:
        """Refuse all callers from now on, also those that wait.

        Returns:
            The connections that are in use, and the others.
        """
        self._closed = True
        used, unused = self.in_use(), [connection for _, connection in _drain(self._idle)]
        for waiter in _drain(self.abandoned):
            unused += [connection for _, connection in waiter.held]
            self.free_slot(waiter)
        for waiting in self.slots.waiting():
            if waiting.wakeup is not None:
                waiting.wakeup.set()
        return used, unused

    def in_use(self) -> list[C]:
        """Return the connections that callers have, without those that were abandoned."""
        waiters = [waiter for waiter in self.slots.tickets() if waiter not in self.abandoned]
        return [connection for waiter in waiters for _, connection in waiter.held.copy()]

    def raise_if_closed(self) -> None:
        """Raise a `SekhaClosedError` if the pool is closed."""
        if self._closed:
            raise SekhaClosedError("the client is closed; create a new one", sent=False)


def _move(source: deque[T], target: deque[T]) -> bool:
    """Move the last item, and return whether there was one.

    It is one step: neither a signal nor another thread can come between taking it out and putting it in.
    """
    try:
        target.extend(starmap(source.pop, ((),)))
        return True
    except IndexError:
        return False


def _drain(items: deque[T]) -> Iterator[T]:
    with suppress(IndexError):
        while True:
            yield items.popleft()
