"""A token bucket whose tokens each come back one window after they were taken.

So no window of that length, wherever it begins, sees more requests than there are tokens. Nothing here waits: a
caller asks, is told how long to wait, waits without any lock, and asks again; callers are served in their order.
"""

from __future__ import annotations

import threading
from collections import deque

from sekha._concurrency import PerProcess

_LOOKS_PER_WINDOW = 20  # a waiter looks again that often, in case one before it has left


class Ticket:
    """A caller's place in the queue."""

    __slots__ = ()


class TokenBucket:
    """Tokens for the requests to one server; shared by threads.

    Args:
        capacity: Requests in any window.
        window: Length of the window in seconds.
    """

    def __init__(self, capacity: int, window: float) -> None:
        self._capacity = capacity
        self._window = window
        self._taken: deque[float] = deque()  # when each missing token was taken, oldest first
        self._empty_until = float("-inf")  # the server has seen enough until then
        self._queue: deque[Ticket] = deque()
        self._lock = threading.Lock()  # held for a few comparisons, never while waiting

    def try_take(self, now: float) -> bool:
        """Take a token if there is one and nobody is waiting."""
        with self._lock:
            if self._queue or self._wait(now, ahead=0) > 0:
                return False
            self._taken.append(now)
            return True

    def join(self) -> Ticket:
        """Queue up."""
        ticket = Ticket()
        with self._lock:
            self._queue.append(ticket)
        return ticket

    def claim(self, ticket: Ticket, now: float) -> float:
        """0 if the caller now has its token and has left the queue; otherwise seconds until it should ask again."""
        with self._lock:
            wait = self._wait(now, ahead=self._queue.index(ticket))
            if wait > 0:
                return min(wait, self._window / _LOOKS_PER_WINDOW)
            self._queue.remove(ticket)
            self._taken.append(now)
            return 0.0

    def leave(self, ticket: Ticket) -> None:
        """Give up a place in the queue; nothing was taken for it."""
        with self._lock:
            if ticket in self._queue:
                self._queue.remove(ticket)

    def drain(self, now: float, seconds: float | None = None) -> None:
        """Take all tokens for a while: the server said that it has seen enough.

        Args:
            now: The time.
            seconds: How long; default, and at most: one window.
        """
        with self._lock:
            self._taken.clear()
            self._empty_until = max(
                self._empty_until, now + min(seconds if seconds is not None else self._window, self._window)
            )

    def _wait(self, now: float, ahead: int) -> float:
        """Seconds until a token is there for a caller with ``ahead`` others before it; roughly, if that is far off."""
        if now < self._empty_until:
            return self._empty_until - now
        while self._taken and self._taken[0] + self._window <= now:
            self._taken.popleft()
        missing = len(self._taken) + ahead + 1 - self._capacity
        if missing <= 0:
            return 0.0
        if missing > len(self._taken):
            return self._window
        return self._taken[missing - 1] + self._window - now


ProcessBucket = PerProcess[TokenBucket]


def bucket_per_process(capacity: int, window: float) -> ProcessBucket:
    """A bucket for each process: after a fork, the callers that wait in the parent are not in the child's way."""
    return PerProcess(lambda: TokenBucket(capacity, window))
