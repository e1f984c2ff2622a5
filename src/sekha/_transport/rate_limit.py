"""A token bucket whose tokens each come back one window after they were taken.

So in any window of that length there are at most as many requests as tokens. Nothing here waits: a caller asks, gets
the time to wait, waits without a lock, and asks again; callers are served in their order.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import deque
from typing import List, NewType

from sekha._concurrency.primitives import PerProcess

_CHECKS_PER_WINDOW = 20  # a caller asks again that often, in case one before it has left

Ticket = NewType("Ticket", int)
"""The position of a caller in the queue; tickets are numbered in their order."""


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
        self._empty_until = float("-inf")  # the server allows no request until then
        # Threads read the clock before they have the lock, so not in the order of the lock.
        self._latest = float("-inf")
        self._queue = _Queue()
        self._lock = threading.Lock()  # held for a few comparisons, never while waiting

    def try_take(self, now: float) -> bool:
        """Take a token if there is one and no caller waits; return whether it was taken."""
        with self._lock:
            if self._queue or self._wait(now, ahead=0) > 0:
                return False
            self._taken.append(self._latest)
            return True

    def take_now(self, now: float) -> None:
        """Count a request that is sent whether there is a token for it or not; those after it wait longer."""
        with self._lock:
            self._return_tokens(now)
            self._taken.append(self._latest)

    def join(self) -> Ticket:
        """Join the queue."""
        with self._lock:
            return self._queue.join()

    def claim(self, ticket: Ticket, now: float) -> float:
        """Take a token and leave the queue, and return 0; or return the seconds after which to ask again."""
        with self._lock:
            wait = self._wait(now, ahead=self._queue.ahead_of(ticket))
            if wait > 0:
                return min(wait, self._window / _CHECKS_PER_WINDOW)
            self._queue.leave(ticket)
            self._taken.append(self._latest)
            return 0.0

    def leave(self, ticket: Ticket) -> None:
        """Leave the queue without a token."""
        with self._lock:
            self._queue.leave(ticket)

    def drain(self, now: float, seconds: float | None = None) -> None:
        """Give no token for a while, because the server refused a request.

        Args:
            now: The time.
            seconds: How long; default, and at most: one window.
        """
        with self._lock:
            self._empty_until = max(
                self._empty_until, now + min(seconds if seconds is not None else self._window, self._window)
            )

    def _wait(self, now: float, ahead: int) -> float:
        """Return the seconds until a token is there for a caller behind ``ahead`` others; roughly, if far off."""
        now = self._return_tokens(now)
        if now < self._empty_until:
            return self._empty_until - now
        missing = len(self._taken) + ahead + 1 - self._capacity
        if missing <= 0:
            return 0.0
        if missing > len(self._taken):
            return self._window
        return self._taken[missing - 1] + self._window - now

    def _return_tokens(self, now: float) -> float:
        """Put back the tokens that were taken one window ago; return the time, which never goes back."""
        now = self._latest = max(now, self._latest)
        while self._taken and self._taken[0] + self._window <= now:
            self._taken.popleft()
        return now


class _Queue:
    """The callers that wait, in order.

    Finding the position of one takes a few comparisons: it is the difference of two numbers, minus those that left.
    """

    def __init__(self) -> None:
        self._first = 0  # ticket of the caller that has waited longest
        self._next = 0  # ticket of the next caller; all from the first to this one wait, except for
        self._gone: List[int] = []  # those that left early, in order

    def __bool__(self) -> bool:
        return self._first < self._next

    def join(self) -> Ticket:
        self._next += 1
        return Ticket(self._next - 1)

    def ahead_of(self, ticket: Ticket) -> int:
        """Return how many wait before this one."""
        return ticket - self._first - bisect_left(self._gone, ticket)

    def leave(self, ticket: Ticket) -> None:
        """Remove a caller, served or not; it may have left before."""
        if ticket < self._first:
            return
        at = bisect_left(self._gone, ticket)
        if ticket in self._gone[at : at + 1]:
            return
        insort(self._gone, ticket)
        left = 0
        while left < len(self._gone) and self._gone[left] == self._first:
            left += 1
            self._first += 1
        del self._gone[:left]


class RateLimiter(PerProcess[TokenBucket]):
    """A token bucket for each process: after a fork, the child does not wait for callers of the parent.

    Args:
        capacity: Requests in any window.
        window: Length of the window in seconds.
    """

    def __init__(self, capacity: int, window: float) -> None:
        super().__init__(lambda: TokenBucket(capacity, window))
