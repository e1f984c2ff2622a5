"""The two clocks of each measurement.

Processor time is what a call costs: waiting for the server, and what other processes do in the meantime, do not count.
Wall time is what a caller waits. This module loads no more than it needs, since the process in which a library starts
imports it.
"""

from __future__ import annotations

import math
import time

CLOCKS = ("processor", "wall")


class Stopwatch:
    """Adds up what is spent in the blocks that it is the context of.

    Attributes:
        spent: Seconds, by clock; the processor's are those of all threads.
        calls: How many calls they were.
    """

    def __init__(self, calls: int = 1) -> None:
        self.spent = {"processor": 0.0, "wall": 0.0}
        self.calls = calls

    def __enter__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.spent["processor"] += time.process_time() - self._processor
        self.spent["wall"] += time.perf_counter() - self._wall

    def per_call(self, clock: str) -> float:
        """Seconds for a call; infinite if none was finished."""
        return self.spent[clock] / self.calls if self.calls else math.inf
