"""The protocols of gates: how clients of several processes or machines share a limit.

A gate is given to a client as ``write_gate`` (how many conversations are stored at the same time) or as
``rate_limiter`` (how many requests there are in any window). The extra ``redis`` has one for each
(`sekha.integrations.redis`); any object of yours with the right ``acquire`` is another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional, Protocol, Union

from typing_extensions import TypeAlias

__all__ = ["AsyncGate", "Gate"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


class Gate(Protocol):
    """A gate of blocking code, for both client types. Async clients call it in a worker thread.

    It is shared by all threads and tasks of a client.

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
            controller_url="http://localhost:8080", api_key="sk-your-api-key", write_gate=TwoAtATime()
        ) as client:
            client.controller.create_conversation(messages=[{"role": "user", "content": "Hello Sekha!"}])
        ```
    """

    def acquire(self, deadline: Optional[float], /) -> Optional[Callable[[], object]]:
        """Wait until the request may be sent.

        A client calls it with 0 first, which must not wait, and with the time that is left after that. An async client
        passes at most a second and calls it again, so that a cancelled task leaves no thread behind. If it raises, it
        must have taken nothing, and the call fails with that error: a `SekhaError` as it is, any other as the cause of
        one. Nothing is sent then.

        Args:
            deadline: Seconds that it may wait; None means no limit.

        Returns:
            A function without arguments that gives back what was taken; the client calls it once, when the request is
            over or will not be sent. None if the time was over first.
        """
        ...


class AsyncGate(Protocol):
    """A gate that is awaited, for async clients only. A blocking client refuses it.

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
                controller_url="http://localhost:8080", api_key="sk-your-api-key", write_gate=TwoAtATime()
            ) as client:
                await client.controller.create_conversation(messages=[{"role": "user", "content": "Hello Sekha!"}])


        anyio.run(main)
        ```
    """

    async def acquire(self, deadline: Optional[float], /) -> Optional[Callable[[], object]]:
        """Wait until the request may be sent; a cancelled wait must have taken nothing.

        Args:
            deadline: Seconds that it may wait, 0 for none; None means no limit.

        Returns:
            A function without arguments that gives back what was taken; what it returns is awaited, if it can be. None
            if the time was over first.
        """
        ...


AsyncClientGate: TypeAlias = Union[Gate, AsyncGate]
"""What async clients accept, and a config, which may be for one."""

ClientGate: TypeAlias = Gate
"""What blocking clients accept."""
