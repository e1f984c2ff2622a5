"""The thread that all calls of a store run on, so that none of them stops the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Protocol, TypeVar

_Result = TypeVar("_Result")


class Runner(Protocol):
    """Where the calls of a store run."""

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function, after all that were passed before it, and return its result."""
        ...

    async def run_beside(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function that only reads, on another connection, and return its result; no other call delays it."""
        ...

    def close(self) -> None:
        """Wait for the running calls, and end."""
        ...


class Worker:
    """One thread that runs functions in the order in which they are passed, and another for what only reads."""

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
        """Wait for the running functions, and end the threads."""
        self._executor.shutdown()
        self._beside.shutdown()


class Inline:
    """Runs functions at once, on the thread of the caller, without a switch to another task."""

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function, and return its result."""
        return function(*arguments)

    async def run_beside(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call a function, and return its result."""
        return function(*arguments)

    def close(self) -> None:
        """Do nothing."""
