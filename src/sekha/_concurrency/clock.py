"""The clock of a client: time, waiting and jitter. Tests pass their own.

This is the only module that asks the system for a time that measures something: tools for tests, such as freezegun,
replace the functions of the module `time`, and a wait for a time that never comes would not end. Times of the day are
read from that module where they are needed, so that a frozen day is frozen in messages and files too.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import BuiltinFunctionType, TracebackType
from typing import Any

import anyio
from typing_extensions import Self

from .event_loops import running_loop


def is_replaced() -> bool:
    """Return whether somebody has replaced the function that tells the time, also to event loops."""
    return not isinstance(time.monotonic, BuiltinFunctionType)


def _real_monotonic() -> Callable[[], float]:
    if is_replaced() and hasattr(time, "clock_gettime"):  # before this module was imported
        return lambda: time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic


def monotonic(_real: Callable[[], float] = _real_monotonic()) -> float:  # noqa: B008  # freezegun looks for variables
    """Return the seconds on a clock that never jumps and never stands still."""
    return _real()


class RealTimeLimit:
    """A block that is cancelled after some seconds, although the clock of the event loop may stand still.

    A thread measures the time, so this is for tests that have replaced the clock.

    Args:
        seconds: How long the block may take.
    """

    def __init__(self, seconds: float) -> None:
        self._scope = anyio.CancelScope()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._is_over = False

    @property
    def cancelled_caught(self) -> bool:
        """Whether the time was over."""
        return self._scope.cancelled_caught

    def __enter__(self) -> Self:
        loop: Any = running_loop()
        self._call_in_loop: Callable[..., object] = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
        self._scope.__enter__()
        self._timer.start()
        return self

    def __exit__(
        self, cls: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._is_over = True
        self._timer.cancel()
        return self._scope.__exit__(cls, error, traceback)

    def _end(self) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._call_in_loop(self._cancel)

    def _cancel(self) -> None:
        if not self._is_over:
            self._scope.cancel()


class Clock:
    """Time, waiting and jitter."""

    def now(self) -> float:
        """Return the seconds on a clock that never jumps."""
        return monotonic()

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
        if is_replaced():
            with RealTimeLimit(seconds):
                await anyio.sleep_forever()
        else:
            await anyio.sleep(seconds)
