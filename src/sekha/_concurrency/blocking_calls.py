"""How tasks and threads wait at a gate of blocking code: tasks in a worker thread, threads where they are."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeVar

import anyio
from anyio import to_thread

from .primitives import AsyncPerLoop

T = TypeVar("T")
Release = Callable[[], object]

_MAX_BLOCKING = 1.0
"""Seconds that a worker thread may be away in one call, since nobody can interrupt it."""
_MAX_RELEASE = 0.5
"""Seconds that a task waits until something is given back, even if it was cancelled; the thread goes on by itself."""
_MAX_AWAITED_RELEASE = 5.0
"""The same, where nobody goes on by itself."""
_MAX_THREADS = 16

_LIMITERS: AsyncPerLoop[anyio.CapacityLimiter] = AsyncPerLoop(lambda: anyio.CapacityLimiter(_MAX_THREADS))
"""Threads for gates alone: those of the program may all wait for something else."""


async def async_call_blocking(function: Callable[[], T]) -> T:
    """Call a function that waits for a moment, in a worker thread; a cancelled caller leaves it to itself."""
    return await to_thread.run_sync(function, abandon_on_cancel=True, limiter=_LIMITERS.get())


def call_blocking(function: Callable[[], T]) -> T:
    """Call a function."""
    return function()


async def async_finish_blocking(function: Callable[[], object]) -> None:
    """Call a function that gives something back, in a worker thread, also for a caller that was cancelled."""
    with anyio.move_on_after(_MAX_RELEASE, shield=True):
        await to_thread.run_sync(function, abandon_on_cancel=True, limiter=_LIMITERS.get())


def finish_blocking(function: Callable[[], object]) -> None:
    """Call a function."""
    function()


async def async_acquire(gate: Any, deadline: float | None, keep: Callable[[Any], T]) -> T:
    """Ask a gate of the user.

    Args:
        gate: The gate, of either kind.
        deadline: Seconds that it may wait; those of blocking code are asked for a second at most.
        keep: Takes what the gate returned, in the thread in which it did: the caller may be gone.
    """
    if is_async_gate(gate):
        return keep(await gate.acquire(deadline))
    seconds = _MAX_BLOCKING if deadline is None else min(deadline, _MAX_BLOCKING)
    return await async_call_blocking(lambda: keep(gate.acquire(seconds)))


def acquire(gate: Any, deadline: float | None, keep: Callable[[Any], T]) -> T:
    """Ask a gate of the user."""
    return keep(gate.acquire(deadline))


async def async_give_back(gate: Any, release: Release) -> None:
    """Give back what a gate of the user gave, also for a caller that was cancelled."""
    if not is_async_gate(gate):
        await async_finish_blocking(release)
        return
    with anyio.move_on_after(_MAX_AWAITED_RELEASE, shield=True):
        result = release()
        if isawaitable(result):
            await result


def give_back(gate: Any, release: Release) -> None:
    """Give back what a gate of the user gave."""
    release()


def is_async_gate(gate: Any) -> bool:
    """Return whether a gate is awaited."""
    return iscoroutinefunction(gate.acquire)


def async_gate_problem(gate: Any) -> str:
    """Return why a client of this type cannot use a gate, or an empty text."""
    return ""


def gate_problem(gate: Any) -> str:
    """Return why a client of this type cannot use a gate, or an empty text."""
    return "its acquire() is async, which only async clients support" if is_async_gate(gate) else ""
