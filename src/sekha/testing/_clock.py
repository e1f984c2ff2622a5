"""A clock on which waiting takes no time, and how a client comes to read it."""

from __future__ import annotations

import threading
from typing import Callable, List, Optional, Protocol

import anyio.lowlevel

from sekha._concurrency.clock import Clock


class FakeClock(Clock):
    """A clock on which waiting takes no time: it moves on by as much, and notes how long it was.

    Chance is fixed too: with `random` at 1, the waits before repetitions are the longest that they can be.

    Attributes:
        waits: Every wait so far, in seconds.
        random: What `jitter` returns, from 0 to 1.
        on_wait: Called after each wait; a test can change the world there.

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
        """Seconds; only waiting and `move` change it."""
        with self._lock:
            return self._now

    def chance(self) -> float:
        """What `random` is; `jitter` returns it."""
        return self.random

    def move(self, seconds: float) -> None:
        """Let time pass without a wait.

        Args:
            seconds: How much.
        """
        with self._lock:
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Do not wait, but note it and move on."""
        with self._lock:
            self.waits.append(seconds)
            self._now += seconds
        if self.on_wait is not None:
            self.on_wait()

    async def async_sleep(self, seconds: float) -> None:
        """Do not wait, but note it, move on, and let other tasks run."""
        self.sleep(seconds)
        await anyio.lowlevel.checkpoint()


class ReadsClock(Protocol):
    """A client of either flavour, of a whole Sekha or of a single service."""

    def _use_clock(self, clock: Clock) -> None: ...


def use_clock(client: ReadsClock, clock: Clock) -> None:
    """Make a client wait and look at the time on this clock: its limiter, its repetitions and its deadlines.

    Its views (`with_options`) share the clock. Timeouts of the network stay real.

    Args:
        client: A client that has not made a call yet.
        clock: The clock, such as a `FakeClock`.

    Example:
        ```python
        from sekha import SekhaClient
        from sekha.testing import FakeClock, use_clock

        clock = FakeClock()
        with SekhaClient(controller_url=controller_url, api_key="sk-your-api-key", rate_limit_requests=1) as patient:
            use_clock(patient, clock)
            patient.controller.health()
            patient.controller.health()  # waits for a minute, on the clock
        print(round(sum(clock.waits)))  # 60
        ```
    """
    client._use_clock(clock)
