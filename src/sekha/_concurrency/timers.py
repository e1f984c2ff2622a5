"""A timer for what is to be done without a call, in two forms: blocking code has none, since it would take a thread."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Optional, Protocol
from weakref import WeakMethod, ref

from .event_loops import is_closed, running_loop

_log = logging.getLogger("sekha")

TimedMethod = Callable[[float], Optional[float]]
"""A method that is given the time at which it was to be called; it returns the seconds after which it is to be called
again, None if it is not."""


class _Handle(Protocol):
    def cancel(self) -> object:
        """End the wait."""


class AsyncTimer:
    """Calls a method some seconds later, in the event loop in which this object was made.

    It keeps alive neither the object of the method, nor the loop, nor the program. On asyncio it is a timer of the
    loop: a task would be seen by whoever waits for all tasks, and its loop would warn of it. trio has no timers; there
    it is a system task, which trio cancels when its main task has ended. The method is called a last time then, with an
    infinite time.

    Args:
        method: The method.

    Attributes:
        is_stopped: Whether it may be started; a `start` that was interrupted may be repeated.
    """

    def __init__(self, method: TimedMethod) -> None:
        self.is_stopped = True
        self._method = WeakMethod(method)
        self._loop = ref(running_loop())
        self._pid = os.getpid()
        self._turn: object = None  # of the last start: what was started before it does nothing
        self._handle: Callable[[], _Handle | None] = lambda: None  # weak: it refers to the loop

    def start(self, seconds: float, at: float) -> None:
        """Call the method some seconds later; do nothing where its loop does not run.

        Args:
            seconds: How long to wait.
            at: The time then, on the clock of the method.
        """
        # There is no loop, it is about to end, or it has no timers: the call for whose sake this is has succeeded.
        with suppress(RuntimeError, NotImplementedError):
            if running_loop() is self._loop():
                self._schedule(seconds, at)

    def cancel(self) -> None:
        """Call the method no more."""
        self._turn = None
        if (handle := self._handle()) is not None:
            handle.cancel()

    def loop_has_ended(self) -> bool:
        """Return whether nobody can await anything in the loop: it is closed, or was left behind by a fork."""
        loop = self._loop()
        return loop is None or self._pid != os.getpid() or is_closed(loop)

    def _schedule(self, seconds: float, at: float) -> None:
        loop, seconds = self._loop(), max(0.0, seconds)
        self._turn = turn = object()
        call_later = getattr(loop, "call_later", None)
        if call_later is not None:
            # In a context of its own: it would keep that of a call, with all that its user has put there.
            handle = Context().run(call_later, seconds, self._fire, at, turn)
        else:
            trio = _running_trio()
            handle, name = trio.CancelScope(), "sekha: idle connections"
            trio.lowlevel.spawn_system_task(self._wait_in_trio, handle, seconds, at, turn, name=name)
        with suppress(TypeError):  # there are loops whose handles cannot have a weak reference; `_turn` is enough then
            self._handle = ref(handle)
        self.is_stopped = False

    async def _wait_in_trio(self, scope: Any, seconds: float, at: float, turn: object) -> None:
        trio = _running_trio()
        try:
            with scope:
                try:
                    await trio.sleep(seconds)
                except trio.Cancelled:  # the loop ends, or the timer was cancelled
                    at = math.inf
                    raise
                finally:
                    self._fire(at, turn)
        except Exception:  # of a clock of the user; trio would end the program
            _log.exception("closing idle connections failed")

    def _fire(self, at: float, turn: object) -> None:
        if turn is not self._turn:
            return
        self.is_stopped = True
        if (method := self._method()) is None or (seconds := method(at)) is None or math.isinf(at):
            return
        self._schedule(seconds, at + seconds)


def _running_trio() -> Any:
    """Return trio, whose loop runs; nothing of ours imports a loop."""
    return sys.modules["trio"]


class Timer:
    """Calls nothing.

    Args:
        method: The method.

    Attributes:
        is_stopped: Never, so that nobody starts it.
    """

    is_stopped = False

    def __init__(self, method: TimedMethod) -> None:
        self._pid = os.getpid()

    def start(self, seconds: float, at: float) -> None:
        """Do nothing."""

    def cancel(self) -> None:
        """Do nothing."""

    def loop_has_ended(self) -> bool:
        """Return whether it was left behind by a fork."""
        return self._pid != os.getpid()
