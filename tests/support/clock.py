"""Clocks of tests: one that is moved by hand, which is the one that users get, and one that moves in steps."""

import math

from sekha._concurrency.clock import Clock
from sekha.testing import FakeClock
from sekha.testing import use_clock as give_clock

__all__ = ["FakeClock", "SteppingClock", "give_clock"]


class SteppingClock(Clock):
    """The real time, but it moves in steps, as the clock of Windows does (of 15.6 ms).

    Args:
        step: Seconds of a step.
        position: Where in a step it begins: 0 at the beginning, 1 at the end.
    """

    def __init__(self, step: float = 0.04, position: float = 0.0) -> None:
        self._step = step
        self._origin = super().now() - step * position

    def now(self) -> float:
        """Return the beginning of the step in which the time is."""
        return math.floor((super().now() - self._origin) / self._step) * self._step
