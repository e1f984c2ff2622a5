"""Who gets which connection of a pool: decided without waiting and without touching a socket."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from sekha.errors import SekhaClosedError

C = TypeVar("C", bound=Hashable)


class Wakes(Protocol):
    """What a caller waits for."""

    def set(self) -> None:
        """Wake the caller."""


class Turn(Generic[C]):
    """A caller's turn: it may use an idle connection, or make one if there is none; or it still has to wait.

    Attributes:
        connection: The connection it was given; None stands for the right to make one.
        signal: What wakes it, if it had to wait.
        ahead: How many were waiting when it came.
        has_come: Whether it may go on.
    """

    __slots__ = ("ahead", "connection", "has_come", "signal")

    def __init__(self, connection: C | None, signal: Wakes | None, ahead: int = 0) -> None:
        self.connection = connection
        self.signal = signal
        self.ahead = ahead
        self.has_come = signal is None

    def wake(self) -> None:
        """Wake the caller."""
        if self.signal is not None:
            self.signal.set()


class Places(Generic[C]):
    """The places of a pool. Each holds one connection: being made, in use, or idle.

    The idle connection that was used last is given out first, so that the others can grow old. Where all places are
    taken callers queue up, and a place goes from hand to hand: nobody who comes later can take it in between.

    Args:
        limit: Number of places.
        idle_seconds: How long an idle connection is kept.
    """

    def __init__(self, limit: int, idle_seconds: float) -> None:
        self._free = limit
        self._idle_seconds = idle_seconds
        self._idle: deque[tuple[float, C]] = deque()  # with the time since when; the longest idle first
        self._used: set[C] = set()
        self._queue: OrderedDict[Turn[C], None] = OrderedDict()
        self._forgotten: deque[C] = deque()
        self._closed = False
        self._lock = threading.Lock()  # held for a few steps, never while anybody waits

    def enter(self, make_signal: Callable[[], Wakes]) -> Turn[C]:
        """A caller comes. Where it has to wait, it waits for ``signal`` and then asks `leave`.

        Args:
            make_signal: Makes what wakes the caller, if it has to wait.

        Raises:
            SekhaClosedError: The pool was closed.
        """
        with self._lock:
            self._refuse_if_closed()
            if self._idle:
                _, connection = self._idle.pop()
                self._used.add(connection)
                return Turn(connection, None)
            if self._free:
                self._free -= 1
                return Turn(None, None)
            turn: Turn[C] = Turn(None, make_signal(), len(self._queue))
            self._queue[turn] = None
            return turn

    def leave(self, turn: Turn[C]) -> bool:
        """A caller stops waiting; False if its turn had come: then it has a place to use or to give back.

        Raises:
            SekhaClosedError: It was sent away, because the pool was closed.
        """
        with self._lock:
            if turn.has_come:
                return False
            self._refuse_if_closed()
            del self._queue[turn]
            return True

    def use(self, connection: C, instead_of: C | None) -> None:
        """A caller has made the connection that it had the right to make.

        Args:
            connection: The new one.
            instead_of: The one that it was given and has closed, because it was dead; or None.

        Raises:
            SekhaClosedError: The pool was closed meanwhile.
        """
        with self._lock:
            self._refuse_if_closed()
            if instead_of is not None:
                self._used.discard(instead_of)
            self._used.add(connection)

    def give_back(self, connection: C, now: float) -> bool:
        """A connection is free for the next; False if it has to be closed, because the pool was."""
        with self._lock:
            if self._closed:
                return False
            if self._queue:
                self._call(connection)
            else:
                self._used.discard(connection)
                self._idle.append((now, connection))
            return True

    def vacate(self, connection: C | None) -> None:
        """A connection was closed, or could not be made: its place is free for the next."""
        with self._lock:
            if connection is not None:
                self._used.discard(connection)
            if self._queue:
                self._call(None)
            else:
                self._free += 1

    def forget(self, connection: C) -> None:
        """A connection was left by somebody who cannot wait for anything, not even for a lock: a finaliser."""
        self._forgotten.append(connection)

    def outworn(self, now: float) -> C | None:
        """A connection to be closed before its place is vacated, if there is one: idle for too long, or forgotten."""
        if not self._forgotten and not self._idle:
            return None
        with self._lock:
            if self._forgotten:
                return self._forgotten.popleft()
            if self._idle and self._idle[0][0] + self._idle_seconds < now:
                _, connection = self._idle.popleft()
                self._used.add(connection)
                return connection
            return None

    def close(self) -> tuple[list[C], list[C]]:
        """Let nobody in any more and send away those who wait.

        Returns the connections that are in use, and those that nobody uses.
        """
        with self._lock:
            self._closed = True
            unused = [connection for _, connection in self._idle] + list(self._forgotten)
            used = [connection for connection in self._used if connection not in self._forgotten]
            self._idle.clear()
            self._forgotten.clear()
            while self._queue:
                turn, _ = self._queue.popitem(last=False)
                turn.wake()
            return used, unused

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise SekhaClosedError("the client is closed; make a new one", sent=False)

    def _call(self, connection: C | None) -> None:
        """It is the turn of the first in the queue."""
        turn, _ = self._queue.popitem(last=False)
        turn.connection = connection
        turn.has_come = True
        turn.wake()
