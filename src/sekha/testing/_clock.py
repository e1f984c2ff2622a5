"""A fake clock for tests, on which waiting takes no time."""

from __future__ import annotations

import threading
from typing import Callable, List, Optional, Protocol

import anyio.lowlevel

from sekha._concurrency.clock import Clock


class FakeClock(Clock):
    """A clock on which waiting takes no time: each wait advances it and is recorded.

    Random values are fixed: with `random` at 1, the waits before retries are the longest possible.

    Attributes:
        waits: Every wait so far, in seconds.
        random: The value that `jitter` returns, from 0 to 1.
        on_wait: Called after each wait, for example to change the server during it.

    Example:
        ```python
        from sekha.testing import FakeClock

        clock = FakeClock()
        begin = clock.now()
        clock.sleep(60)
        print(clock.now() - begin, clock.waits)  # 60.0 [60]
        ```
    """

    def __init__(self) -> None:
        self._now = 1000.0
        self._lock = threading.Lock()
        self.waits: List[float] = []
        self.random: float = 1.0
        self.on_wait: Optional[Callable[[], object]] = None

    def now(self) -> float:
        """Return the time in seconds; only waits and `move` change it."""
        with self._lock:
            return self._now

    def chance(self) -> float:
        """Return `random`; `jitter` returns it too."""
        return self.random

    def move(self, seconds: float) -> None:
        """Advance the time without a wait.

        Args:
            seconds: The time to pass.
        """
        with self._lock:
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Record the wait, and advance the time without waiting."""
        with self._lock:
            self.waits.append(seconds)
            self._now += seconds
        if self.on_wait is not None:
            self.on_wait()

    async def async_sleep(self, seconds: float) -> None:
        """Record the wait, advance the time without waiting, and let other tasks run."""
        self.sleep(seconds)
        await anyio.lowlevel.checkpoint()


class SupportsClock(Protocol):
    """A sync or async client, of all services or of one."""

    def _use_clock(self, clock: Clock) -> None: ...


def use_clock(client: SupportsClock, clock: Clock) -> None:
    """Make a client use this clock for its limiter, its retries and its deadlines.

    Its views (`with_options`) share the clock. Network timeouts use real time.

    Args:
        client: A client that has not made a call yet.
        clock: The clock, such as a `FakeClock`.

    Example:
        ```python
        from sekha import SekhaClient
        from sekha.testing import FakeClock, use_clock

        clock = FakeClock()
        limited = {"controller_url": controller_url, "rate_limit_requests": 1}
        with SekhaClient(api_key="sk-your-api-key", **limited) as patient:
            use_clock(patient, clock)
            patient.controller.count_conversations()
            patient.controller.count_conversations()  # waits for a minute, on the clock
        print(round(sum(clock.waits)))  # 60
        ```
    """
    client._use_clock(clock)
