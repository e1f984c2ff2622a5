"""The thread for calls of a store, so that they do not block the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Protocol, TypeVar

_Result = TypeVar("_Result")


class Runner(Protocol):
    """Runs the calls of a store."""

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function after all earlier ones, and return its result."""
        ...

    async def run_beside(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function that only reads, on a separate connection without waiting for writes; return its result."""
        ...

    def close(self) -> None:
        """Wait for running calls, and stop."""
        ...


class Worker:
    """Runs functions in order on one thread, and functions that only read on another."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "sekha-local-store")
        self._beside = ThreadPoolExecutor(1, "sekha-local-health")

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function on the thread, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    async def run_beside(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function on the other thread, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._beside, function, *arguments)

    def close(self) -> None:
        """Wait for running functions, and stop the threads."""
        self._executor.shutdown()
        self._beside.shutdown()


class Inline:
    """Runs functions immediately on the calling thread, without a task switch."""

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function, and return its result."""
        return function(*arguments)

    async def run_beside(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function, and return its result."""
        return function(*arguments)

    def close(self) -> None:
        """Do nothing."""
