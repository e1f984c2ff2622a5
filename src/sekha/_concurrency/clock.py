"""The clock of a client: time, waiting and jitter. Tests pass their own."""

from __future__ import annotations

import random
import time

import anyio


class Clock:
    """Time, waiting and jitter."""

    def now(self) -> float:
        """Return the seconds on a clock that never jumps."""
        return time.monotonic()

    def jitter(self) -> float:
        """Return a random number in 0..1, which spreads the waits before retries."""
        return self.chance()

    def chance(self) -> float:
        """Return a random number in 0..1: the name that `jitter` had in version 0.2; subclasses may override either."""
        return random.random()

    def sleep(self, seconds: float) -> None:
        """Block the thread for a time.

        Args:
            seconds: How long.
        """
        time.sleep(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Wait while other tasks run.

        Args:
            seconds: How long.
        """
        await anyio.sleep(seconds)
