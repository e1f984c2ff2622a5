"""What tasks and threads need in two forms, side by side: limits, values per loop or process, semaphores, wakeups."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Generic, Literal, TypeVar
from weakref import WeakKeyDictionary

import anyio
from typing_extensions import ParamSpec, Self

from .clock import RealTimeLimit, is_replaced
from .event_loops import is_closed, running_loop
from .slots import Slots, Ticket

P = ParamSpec("P")
T = TypeVar("T")

_SWEEP_INTERVAL = 1.0
"""Seconds after which a waiting caller looks for slots that were lost."""


class _NoTimeLimit:
    """A block that no time limit ends. It can be asked for ``cancelled_caught``, as a cancel scope of anyio can."""

    cancelled_caught = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        return False


_NO_TIME_LIMIT = _NoTimeLimit()


def async_move_on_after(seconds: float | None) -> _NoTimeLimit | anyio.CancelScope | RealTimeLimit:
    """Return a block that is cancelled after some seconds; None means no limit."""
    if seconds is None:
        return _NO_TIME_LIMIT
    return RealTimeLimit(seconds) if is_replaced() and seconds > 0 else anyio.move_on_after(max(0.0, seconds))


def move_on_after(seconds: float | None) -> _NoTimeLimit:
    """Return a block without a limit: blocking code keeps it by its timeouts and by checking the clock."""
    return _NO_TIME_LIMIT


class AsyncPerLoop(Generic[T]):
    """A value made once in each event loop, on first use there; it is dropped with this object or with its loop.

    Args:
        make: Makes the value; called inside the loop.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # Not anyio's RunVar: it keeps every value as long as the loop runs, and anyio 4.5 knows it by its name alone.
        self._made: WeakKeyDictionary[object, T] = WeakKeyDictionary()
        self._pid = os.getpid()

    def get(self) -> T:
        """Return the value of the running loop."""
        loop = running_loop()
        if self._pid != os.getpid():  # after a fork, sockets are the parent's
            self._made, self._pid = WeakKeyDictionary(), os.getpid()
        if loop not in self._made:
            self._drop_closed_loops()
            self._made[loop] = self._make()
        return self._made[loop]

    def _drop_closed_loops(self) -> None:
        # A value may refer to its loop, and would then keep its own entry alive.
        for reference in self._made.keyrefs():  # a list: other threads add their loops meanwhile
            loop = reference()
            if loop is not None and is_closed(loop):
                self._made.pop(loop, None)

    def pop(self) -> T | None:
        """Remove and return the value of the running loop, None if there is none; the next `get` makes another."""
        self._drop_closed_loops()
        made = self._made.pop(running_loop(), None)
        return made if self._pid == os.getpid() else None


class PerProcess(Generic[T]):
    """A value made once in each process, on first use there.

    Args:
        make: Makes the value.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._locks: dict[int, threading.Lock] = {}  # by process: a fork copies a lock that another thread holds
        self._made: tuple[int, T] | None = None

    def get(self) -> T:
        """Return the value of this process."""
        made, pid = self._made, os.getpid()
        if made is not None and made[0] == pid:
            return made[1]
        with self._locks.setdefault(pid, threading.Lock()):
            made = self._made
            if made is None or made[0] != pid:
                made = self._made = (pid, self._make())
            return made[1]

    def pop(self) -> T | None:
        """Remove and return the value of this process, None if there is none; the next `get` makes another."""
        made, self._made = self._made, None
        self._locks = {}
        return made[1] if made is not None and made[0] == os.getpid() else None


class AsyncSemaphore:
    """Lets a bounded number of tasks of one event loop through; first come, first served.

    Args:
        value: How many.
    """

    def __init__(self, value: int) -> None:
        self._value = value
        self._slots = AsyncPerLoop(lambda: Slots[Ticket](self._value))

    def slot(self) -> AsyncSlot:
        """Return what a task acquires."""
        slots = self._slots.get()
        slots.resize(self._value)
        return AsyncSlot(slots)

    def resize(self, value: int) -> None:
        """Let another number through from now on."""
        self._value = value
        self._slots.get().resize(value)


class AsyncSlot:
    """The slot of one task.

    Args:
        slots: All slots.
    """

    def __init__(self, slots: Slots[Ticket]) -> None:
        self._slots = slots
        self._ticket = Ticket()

    def try_acquire(self) -> bool:
        """Ask for the slot, and return whether it is there; `acquire` then waits for it."""
        self._slots.enter(self._ticket, AsyncWakeup)
        return self._ticket.is_admitted

    async def acquire(self, seconds: float | None) -> bool:
        """Wait for the slot; the cancel scope around it keeps the time limit."""
        ticket = self._ticket
        if not ticket.is_admitted:
            self.try_acquire()
        while not ticket.is_admitted and isinstance(ticket.wakeup, AsyncWakeup):
            if not await ticket.wakeup.wait(_SWEEP_INTERVAL):
                self._slots.free_lost()
        return True

    def release(self) -> None:
        """Give the slot back, or stop waiting for it. Who does not know whether it has one may do so again."""
        self._slots.leave(self._ticket)


class Semaphore:
    """Lets a bounded number of threads through; first come, first served.

    Args:
        value: How many.
    """

    def __init__(self, value: int) -> None:
        self._value = value
        self._slots = PerProcess(lambda: Slots[Ticket](self._value))

    def slot(self) -> Slot:
        """Return what a thread acquires."""
        slots = self._slots.get()
        slots.resize(self._value)
        return Slot(slots)

    def resize(self, value: int) -> None:
        """Let another number through from now on."""
        self._value = value
        self._slots.get().resize(value)


class Slot:
    """The slot of one thread.

    Args:
        slots: All slots.
    """

    def __init__(self, slots: Slots[Ticket]) -> None:
        self._slots = slots
        self._ticket = Ticket()

    def try_acquire(self) -> bool:
        """Ask for the slot, and return whether it is there; `acquire` then waits for it."""
        self._slots.enter(self._ticket, Wakeup)
        return self._ticket.is_admitted

    def acquire(self, seconds: float | None) -> bool:
        """Wait for the slot; return False if the time was over first."""
        ticket, left = self._ticket, math.inf if seconds is None else seconds
        if not ticket.is_admitted:
            self.try_acquire()
        while not ticket.is_admitted and left > 0 and isinstance(ticket.wakeup, Wakeup):
            if not ticket.wakeup.wait(min(left, _SWEEP_INTERVAL)):
                left -= _SWEEP_INTERVAL
                self._slots.free_lost()
        return ticket.is_admitted

    def release(self) -> None:
        """Give the slot back, or stop waiting for it. Who does not know whether it has one may do so again."""
        self._slots.leave(self._ticket)


class InterruptibleLock:
    """A lock for a few steps, which a thread cannot keep because it was interrupted.

    ``with`` alone does not promise that: Python 3.9, for one, may raise what a signal handler raises between the end
    of the block and the release.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # it knows its owner

    def run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a step with the lock; return what it returns."""
        try:
            with self._lock:
                return step(*args, **kwargs)
        except BaseException:
            with suppress(RuntimeError):  # as it should be: it is not ours any more
                self._lock.release()
            raise


class AsyncWakeup:
    """An event that one task waits for and others set."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the waiter."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until it is set or the time is over; return whether it is set."""
        with async_move_on_after(seconds):
            await self._event.wait()
        return self._event.is_set()


class Wakeup:
    """An event that one thread waits for and others set.

    It is not `threading.Event`, whose own lock is lost when a signal handler raises at the wrong moment.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held until it is set
        self._lock.acquire()

    def set(self) -> None:
        """Wake the waiter."""
        with suppress(RuntimeError):  # it was set before
            self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set or the time is over; return whether it was set, which holds for one wait."""
        return self._lock.acquire(timeout=seconds)


class AsyncReadGuard:
    """A block that reads from a connection, or closes it.

    Between tasks it needs no lock: an event loop wakes the reader before the file descriptor can be reused.
    """

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""


def ReadGuard() -> AbstractContextManager[object]:
    """Return such a block for threads.

    Closing waits for the reading thread: the system may reuse the file descriptor immediately, and the thread would
    read the bytes of another connection. It is an RLock, because a signal may close a connection in the middle of its
    reading, and not a class around one, whose ``__enter__`` could be interrupted. It is looked up here, since gevent
    may replace it after this module was imported.
    """
    return threading.RLock()
