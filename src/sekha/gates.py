"""Protocols for gates, with which clients in several processes or on several machines share a limit.

Pass a gate to a client as ``write_gate`` (limits concurrent writes) or as ``rate_limiter`` (limits requests in a
sliding window). The extra ``redis`` provides one of each (`sekha.integrations.redis`); any object with a matching
``acquire`` method works as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional, Protocol, Union

from typing_extensions import TypeAlias

__all__ = ["AsyncGate", "Gate"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


class Gate(Protocol):
    """Synchronous gate, for both client types. Async clients call it in a worker thread.

    All threads and tasks of a client share the gate.

    Example:
        ```python
        import threading

        from sekha import SekhaClient


        class TwoAtATime:
            def __init__(self):
                self.semaphore = threading.Semaphore(2)

            def acquire(self, deadline):
                acquired = self.semaphore.acquire(timeout=deadline)
                return self.semaphore.release if acquired else None


        with SekhaClient(
            controller_url="http://localhost:8080",
            api_key="sk-your-api-key",
            write_gate=TwoAtATime(),
        ) as client:
            client.controller.create_conversation(
                messages=[{"role": "user", "content": "Hello Sekha!"}]
            )
        ```
    """

    def acquire(self, deadline: Optional[float], /) -> Optional[Callable[[], object]]:
        """Wait until the request may be sent.

        A client first calls this method with 0, which must not wait, and then with the remaining time. An async client
        passes at most one second and calls it repeatedly, so that a cancelled task leaves no thread behind. If the
        method raises, it must have acquired nothing; nothing is sent, and the call fails: with the same error if it is
        a `SekhaError`, otherwise with a `SekhaError` whose cause it is.

        Args:
            deadline: Maximum wait in seconds, 0 to not wait; None means no limit.

        Returns:
            A function without arguments that releases what was acquired; the client calls it once, when the request has
            finished or will not be sent. None if the deadline passed first.
        """
        ...


class AsyncGate(Protocol):
    """Asynchronous gate, for async clients only. A sync client rejects it.

    Example:
        ```python
        import anyio

        from sekha import AsyncSekhaClient


        class TwoAtATime:
            def __init__(self):
                self.limiter = anyio.Semaphore(2)

            async def acquire(self, deadline):
                try:
                    self.limiter.acquire_nowait()
                except anyio.WouldBlock:
                    with anyio.move_on_after(deadline) as scope:
                        await self.limiter.acquire()
                    if scope.cancelled_caught:
                        return None
                return self.limiter.release


        async def main():
            async with AsyncSekhaClient(
                controller_url="http://localhost:8080",
                api_key="sk-your-api-key",
                write_gate=TwoAtATime(),
            ) as client:
                await client.controller.create_conversation(
                    messages=[{"role": "user", "content": "Hello Sekha!"}]
                )


        anyio.run(main)
        ```
    """

    async def acquire(self, deadline: Optional[float], /) -> Optional[Callable[[], object]]:
        """Wait until the request may be sent; a cancelled wait must have acquired nothing.

        Args:
            deadline: Maximum wait in seconds, 0 to not wait; None means no limit.

        Returns:
            A function without arguments that releases what was acquired; an awaitable result is awaited. None if the
            deadline passed first.
        """
        ...


AsyncClientGate: TypeAlias = Union[Gate, AsyncGate]
"""Gates that async clients accept, and configs, which may be for an async client."""

ClientGate: TypeAlias = Gate
"""Gates that sync clients accept."""
