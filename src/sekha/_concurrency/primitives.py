"""The few words of concurrency that the two flavours say differently, side by side, and the clock that both read."""

from __future__ import annotations

import contextvars
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Callable as TypingCallable
from typing import Generic, Literal, TypeVar
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import current_token
from typing_extensions import ParamSpec, Self

P = ParamSpec("P")
T = TypeVar("T")

AsyncCall = TypingCallable[P, Awaitable[T]]
Call = TypingCallable[P, T]


class Clock:
    """Time, waiting and chance; tests put in their own."""

    def now(self) -> float:
        """Seconds on a clock that never jumps."""
        return time.monotonic()

    def chance(self) -> float:
        """A random number in 0..1."""
        return random.random()

    def sleep(self, seconds: float) -> None:
        """Wait, blocking the thread."""
        time.sleep(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Wait, letting other tasks run."""
        await anyio.sleep(seconds)


class Unlimited:
    """A block that no time limit ends."""

    cancelled_caught = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        return False


_UNLIMITED = Unlimited()


def async_move_on_after(seconds: float | None) -> Unlimited | anyio.CancelScope:
    """A block that ends when the time is over, and tells whether it did."""
    return _UNLIMITED if seconds is None else anyio.move_on_after(max(0.0, seconds))


def move_on_after(seconds: float | None) -> Unlimited:
    """Blocking code cannot be interrupted: its timeouts and its looks at the clock keep the limit."""
    return _UNLIMITED


class AsyncPerLoop(Generic[T]):
    """A value made once in each event loop, when it is first needed there; it goes with this object or with its loop.

    Args:
        make: Makes the value; called inside the loop.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # Not anyio's RunVar: it keeps every value as long as the loop runs, and anyio 4.5 knows it by its name alone.
        self._made: WeakKeyDictionary[object, T] = WeakKeyDictionary()
        self._pid = os.getpid()

    def get(self) -> T:
        """The value of the running loop."""
        loop = _running_loop()
        if self._pid != os.getpid():  # after a fork, sockets are the parent's
            self._made, self._pid = WeakKeyDictionary(), os.getpid()
        if loop not in self._made:
            self._forget_ended_loops()
            self._made[loop] = self._make()
        return self._made[loop]

    def _forget_ended_loops(self) -> None:
        # A value may refer to its loop, and would then keep its own entry alive.
        for reference in self._made.keyrefs():  # a list: other threads add their loops meanwhile
            loop = reference()
            if loop is not None and getattr(loop, "is_closed", bool)():
                self._made.pop(loop, None)

    def pop(self) -> T | None:
        """The value of the running loop if it was made; the next `get` makes another."""
        return self._made.pop(_running_loop(), None)


def _running_loop() -> object:
    token: object = current_token()
    return getattr(token, "native_token", token)  # newer anyio wraps it, anew each time


class PerProcess(Generic[T]):
    """A value made once in each process, when it is first needed there.

    Args:
        make: Makes the value.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._locks: dict[int, threading.Lock] = {}  # a fork may copy a lock that another thread held for ever
        self._made: tuple[int, T] | None = None

    def get(self) -> T:
        """The value of this process."""
        made, pid = self._made, os.getpid()
        if made is not None and made[0] == pid:
            return made[1]
        with self._locks.setdefault(pid, threading.Lock()):
            made = self._made
            if made is None or made[0] != pid:
                made = self._made = (pid, self._make())
            return made[1]

    def pop(self) -> T | None:
        """The value of this process if it was made; the next `get` makes another."""
        made, self._made = self._made, None
        return made[1] if made is not None and made[0] == os.getpid() else None


class AsyncSemaphore:
    """Lets a bounded number of tasks of one event loop through; first come, first served.

    Args:
        value: How many.
    """

    def __init__(self, value: int) -> None:
        self._inner = AsyncPerLoop(lambda: anyio.Semaphore(value))

    async def acquire(self, seconds: float | None) -> bool:
        """Wait for a place; the time limit is kept by the scope around it."""
        await self._inner.get().acquire()
        return True

    def release(self) -> None:
        """Give the place back."""
        self._inner.get().release()


class Semaphore:
    """Lets a bounded number of threads through.

    Args:
        value: How many.
    """

    def __init__(self, value: int) -> None:
        self._inner = PerProcess(lambda: threading.Semaphore(value))

    def acquire(self, seconds: float | None) -> bool:
        """Wait for a place; False if the time was over first."""
        return self._inner.get().acquire(timeout=None if seconds is None else max(0.0, seconds))

    def release(self) -> None:
        """Give the place back."""
        self._inner.get().release()


class AsyncSignal:
    """What one task waits for and another brings about, once."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """It has come about."""
        self._event.set()

    async def wait(self, seconds: float | None) -> bool:
        """Wait for it, or until the time is over; whether it has come about."""
        with anyio.move_on_after(seconds):
            await self._event.wait()
        return self._event.is_set()


class Signal:
    """What one thread waits for and another brings about, once."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """It has come about."""
        self._event.set()

    def wait(self, seconds: float | None) -> bool:
        """Wait for it, or until the time is over; whether it has come about."""
        return self._event.wait(seconds)


class AsyncReading:
    """The reading of a connection, or its closing, as a block. Between tasks nothing has to be kept: an event loop
    tells the reader before the number of the connection is anybody else's."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""


class Reading:
    """The reading of a connection, or its closing, as a block. Who closes it waits until nobody reads: the system gives
    its number to somebody else at once, whose bytes would be read."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal may close a connection in the middle of its reading

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


async def async_gather(calls: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    """Make the calls side by side, at most ``limit`` at a time; results in order, or the first error."""
    results: dict[int, T] = {}
    errors: list[Exception] = []
    places = anyio.Semaphore(limit)

    async def run(index: int, call: Callable[[], Awaitable[T]]) -> None:
        async with places:
            try:
                results[index] = await call()
            except Exception as error:
                errors.append(error)
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for index, call in enumerate(calls):
            tasks.start_soon(run, index, call)
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(calls))]


def gather(calls: Sequence[Callable[[], T]], limit: int) -> list[T]:
    """Make the calls side by side in threads, at most ``limit`` at a time; results in order, or the first error."""
    if len(calls) < 2:
        return [call() for call in calls]
    pool = ThreadPoolExecutor(min(limit, len(calls)), thread_name_prefix="sekha")
    try:
        futures = [pool.submit(contextvars.copy_context().run, call) for call in calls]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in done:
                future.result()  # the first error, if there is one
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after an error or Ctrl-C nothing more is begun


async def async_in_thread(call: Callable[[], T]) -> T:
    """Make a call that reads or writes a file, away from the event loop."""
    return await anyio.to_thread.run_sync(call)


def in_thread(call: Callable[[], T]) -> T:
    """Make the call; this thread may wait."""
    return call()


async def async_for_each(
    items: Iterator[T], work: Callable[[T], Awaitable[None]], limit: int, stop: Callable[[], object]
) -> None:
    """Work on items as they come, on at most ``limit`` at a time; the first error ends it, and calls ``stop``."""
    errors: list[Exception] = []
    turn = anyio.Lock()

    async def worker() -> None:
        try:
            while True:
                async with turn:
                    item = await anyio.to_thread.run_sync(next, items, _END)
                if isinstance(item, _End):
                    return
                await work(item)
        except Exception as error:
            errors.append(error)
            stop()
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for _ in range(limit):
            tasks.start_soon(worker)
    if errors:
        raise errors[0]


def for_each(items: Iterator[T], work: Callable[[T], None], limit: int, stop: Callable[[], object]) -> None:
    """Work on items as they come, in at most ``limit`` threads; the first error, or Ctrl-C, ends it: ``stop`` is
    called, what was begun is finished, and no more is begun."""
    begun: set[Future[None]] = set()
    with ThreadPoolExecutor(limit, thread_name_prefix="sekha") as pool:
        try:
            for item in items:
                begun.add(pool.submit(contextvars.copy_context().run, work, item))
                if len(begun) == limit:
                    done, begun = wait(begun, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            for future in begun:
                future.result()
        except BaseException:
            stop()
            raise


class _End:
    """What an iterator gives when it has no more."""


_END = _End()
