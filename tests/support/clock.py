"""A clock that tests move by hand."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional

import anyio.lowlevel

from sekha._concurrency import Clock


class FakeClock(Clock):
    """
    A clock on which waiting takes no time: it moves on by as much, and notes how long it was.

    Attributes:
        waits: Every wait so far, in seconds.
        random: What `chance` says.
        on_wait: Called after each wait; a test can change the world there.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        self._lock = threading.Lock()
        self.waits: List[float] = []
        self.random = 1.0
        self.on_wait: Optional[Callable[[], object]] = None

    def now(self) -> float:
        with self._lock:
            return self._now

    def chance(self) -> float:
        return self.random

    def move(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.waits.append(seconds)
            self._now += seconds
        if self.on_wait is not None:
            self.on_wait()

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await anyio.lowlevel.checkpoint()


def give_clock(client: Any, clock: Clock) -> None:
    """Make a client (or one of a single service) read this clock."""
    for name in ("_server", "_models", "_transport"):
        connections = getattr(getattr(client, name, None), "connections", None)
        if connections is not None:
            connections.clock = clock
