"""Interruptions in the middle of a call, at a line that can be counted: as a signal handler raises them."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import sys
import threading
from types import FrameType, ModuleType
from typing import Any, Callable, Iterator, List, Optional

SCOPE = "with async_move_on_after("


class Interruption(BaseException):
    """One that only its user knows."""


CALLED_BY_NOBODY = ("__del__", "_close_behind_loop", "_fire", "_wait_in_trio")
"""Finalizers, and what an event loop calls."""


def is_called_by_nobody(frame: Optional[FrameType]) -> bool:
    """Whether a frame is of a finalizer or a timer, or was called by one: what is raised there reaches no caller."""
    while frame is not None and frame.f_code.co_name not in CALLED_BY_NOBODY:
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def interrupted_at(number: int, error: BaseException, *modules: ModuleType) -> Iterator[Callable[[], bool]]:
    """Raise an error in front of the line that this thread runs as the so manieth one in the code of some modules.

    Lines of finalizers and of timers do not count: no caller gets what is raised there. Nor do lines where a cancel
    scope begins and ends: one that is entered and never left cancels its task later, and nobody can help that. The
    error keeps no frames, which would keep connections.

    Args:
        number: Which line, from 1.
        error: What is raised there.
        modules: The modules whose lines count.

    Yields:
        Whether there was such a line.
    """
    files = {module.__file__ for module in modules}
    before, count = sys.gettrace(), 0

    def in_frame(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "line" and SCOPE not in linecache.getline(frame.f_code.co_filename, frame.f_lineno):
            count += 1
            if count == number:
                raise error  # it ends the tracing, too
        return in_frame

    def in_call(frame: FrameType, event: str, argument: Any) -> Optional[Any]:
        return in_frame if frame.f_code.co_filename in files and not is_called_by_nobody(frame) else None

    sys.settrace(in_call)
    try:
        yield lambda: count >= number
    finally:
        sys.settrace(before)
        error.with_traceback(None)


@contextlib.contextmanager
def interrupted_between(number: int, error: BaseException, *modules: ModuleType) -> Iterator[Callable[[], bool]]:
    """Raise an error where Python may handle a signal in the middle of a line, at the so manieth such place.

    These are the beginning and the end of each function of some modules, and after each function in C that they call:
    what it returned is lost then. Coroutines count only in their middle: they also begin and end where they wait.

    Args:
        number: Which place, from 1.
        error: What is raised there.
        modules: The modules whose functions count.

    Yields:
        Whether there was such a place.
    """
    files = {module.__file__ for module in modules}
    count = 0

    def at(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        code = frame.f_code
        if event == "c_call" or code.co_filename not in files or is_called_by_nobody(frame):
            return
        if event != "c_return" and code.co_flags & inspect.CO_COROUTINE:
            return
        if SCOPE not in linecache.getline(code.co_filename, frame.f_lineno):
            count += 1
            if count == number:
                sys.setprofile(None)
                raise error

    sys.setprofile(at)
    try:
        yield lambda: count >= number
    finally:
        sys.setprofile(None)
        error.with_traceback(None)


def held(client: Any) -> List[str]:
    """What a client has in use: connections, slots, turns, locks. Nothing, as long as nobody uses it.

    A stream that was collected as garbage does not count: the next caller that needs its connection closes it.
    """
    found: List[str] = []
    for name in ("_controller_transport", "_bridge_transport"):
        state = getattr(client, name)._state
        pool = state.http_transport()._state
        slots = {"pool": pool.slots, "writes": state.write_gate._semaphore._slots.get()}
        for what, these in slots.items():
            found += [f"{what}: {ticket!r} is taken" for ticket in these.tickets() if ticket not in pool.abandoned]
            found += [f"{what}: {ticket!r} waits" for ticket in these.waiting()]
            found += [f"{what}: {these.lost} lost"] * bool(these.lost)
            entries = [*these._tickets.values(), *these.at_once.values()]
            found += [f"{what}: a ticket is lost" for entry in entries if entry() is None]
        found += [f"pool: {len(pool._idle)} idle"] * (len(pool._idle) > pool.slots.limit)
        bucket = state.rate_limiter.get()
        found += [f"limiter: {ticket} waits" for ticket in bucket._queue]
        found += ["limiter: its lock is held"] * (not is_free(bucket._lock._lock))
    return found


def is_free(lock: Any) -> bool:
    """Whether another thread could have a lock."""
    answers: List[bool] = []

    def look() -> None:
        answers.append(lock.acquire(blocking=False))
        if answers[-1]:
            lock.release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return answers[0]
