"""A token bucket whose tokens each return one window after they were taken.

So any sliding window has at most as many requests as there are tokens. Nothing here waits: a caller polls, gets the
time to wait, waits without a lock, and polls again; callers are served in order of arrival.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from itertools import count
from typing import List, NewType

from sekha._concurrency.primitives import InterruptibleLock, PerProcess

_CHECKS_PER_WINDOW = 20  # polling interval, in case a caller before it has left

Ticket = NewType("Ticket", int)
"""The position of a caller in the queue."""

_tickets = count()


def describe_limit(requests: int | None, window: float) -> str:
    """Return a rate limit in words, such as ``1000 requests per minute``."""
    number = f"{requests or 0} request{'' if requests == 1 else 's'}"
    return f"{number} per minute" if window == 60 else f"{number} in {window:g} s"


def new_ticket() -> Ticket:
    """Return a ticket for joining the queue; the caller needs it in advance, in case it is interrupted."""
    return Ticket(next(_tickets))


class TokenBucket:
    """Tokens for the requests to one server; shared by threads.

    Args:
        capacity: Requests in any sliding window; None for no limit.
        window: Length of the window in seconds.
    """

    def __init__(self, capacity: int | None, window: float) -> None:
        self._capacity = capacity
        self._window = window
        self._taken: deque[float] = deque()  # when each missing token was taken, oldest first
        self._empty_until = float("-inf")  # the server allows no request until then
        # Threads read the clock before they have the lock, so not in the order of the lock.
        self._latest = float("-inf")
        self._queue: List[Ticket] = []  # those that wait, sorted
        self._lock = InterruptibleLock()  # held for a few comparisons, never while waiting

    def try_take(self, now: float) -> bool:
        """Take a token if there is one and no caller waits; return whether it was taken."""
        return self._capacity is None or self._lock.run(self._try_take, now)

    def _try_take(self, now: float) -> bool:
        if self._queue or self._wait(now, ahead=0) > 0:
            return False
        self._taken.append(self._latest)
        return True

    def take_now(self, now: float) -> None:
        """Count a request that is sent regardless of the limit; later ones wait longer."""
        if self._capacity is not None:
            self._lock.run(self._take_now, now)

    def _take_now(self, now: float) -> None:
        self._return_tokens(now)
        self._taken.append(self._latest)

    def join(self, ticket: Ticket) -> None:
        """Join the queue; `leave` must be called at the end."""
        self._lock.run(insort, self._queue, ticket)

    def claim(self, ticket: Ticket, now: float) -> float:
        """Take a token, leave the queue and return 0; or return the seconds until the next poll."""
        return self._lock.run(self._claim, ticket, now)

    def _claim(self, ticket: Ticket, now: float) -> float:
        wait = self._wait(now, ahead=bisect_left(self._queue, ticket))
        if wait > 0:
            return min(wait, self._window / _CHECKS_PER_WINDOW)
        self._taken.append(self._latest)
        self._leave(ticket)
        return 0.0

    def time_until(self, ticket: Ticket, now: float) -> float:
        """Return the seconds until a caller in the queue gets a token, if known."""
        return self._lock.run(lambda: self._wait(now, ahead=bisect_left(self._queue, ticket)))

    def leave(self, ticket: Ticket) -> None:
        """Leave the queue without a token; doing so again does nothing."""
        self._lock.run(self._leave, ticket)

    def _leave(self, ticket: Ticket) -> None:
        at = bisect_left(self._queue, ticket)
        if ticket in self._queue[at : at + 1]:
            del self._queue[at]

    def drain(self, now: float, seconds: float | None = None) -> None:
        """Give no tokens for a while, because the server rejected a request.

        Args:
            now: The time.
            seconds: Duration; default and maximum: one window.
        """
        self._lock.run(self._drain, now + min(seconds if seconds is not None else self._window, self._window))

    def _drain(self, until: float) -> None:
        self._empty_until = max(self._empty_until, until)

    def _wait(self, now: float, ahead: int) -> float:
        """Return the seconds until a token is there for a caller behind ``ahead`` others; roughly, if far off."""
        now = self._return_tokens(now)
        if now < self._empty_until:
            return self._empty_until - now
        missing = len(self._taken) + ahead + 1 - (self._capacity or 0)
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


class RateLimiter(PerProcess[TokenBucket]):
    """A token bucket for each process: after a fork, the child does not wait for callers of the parent.

    Args:
        capacity: Requests in any sliding window; None for no limit.
        window: Length of the window in seconds.
    """

    def __init__(self, capacity: int | None, window: float) -> None:
        super().__init__(lambda: TokenBucket(capacity, window))
